//! Combing in pictures that are one moment, and fields in the wrong order in pictures that are two.
//!
//! Two moments woven into one picture make rows more like every other row than like their neighbours, but only where
//! something moves; fine patterns that do so too stand still. The order of fields shows in how far each field is from
//! the other one of the picture before: the earlier field of a picture is next to it, the later one a field further.
//! Both are nothing that a picture without motion can tell, so what was, stays.

use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, VideoFeatures, Weave};
use crate::frame::FieldOrder;
use crate::time::MediaTime;
use std::time::Duration;

/// Bits of 16 x 16 samples that must move for a picture to tell anything.
const MOVING: u32 = 6;
/// Share of moving bits that are combed, from which a picture is woven and up to which it is not: clean programme stays
/// at 0, confetti at 2 %; combed motion shows in 5 % and more even where most of it is level.
const COMBED: (f64, f64) = (0.05, 0.02);
/// Distance of the field that should be next over that of the other, from which the order is wrong, and the same the
/// other way round: fields of one moment (progressive, flagged interlaced) differ by less than 3 %.
const DISTANCE: f64 = 1.1;
/// Fields that differ by less than this, in code values per sample, are noise.
const APART: f64 = 2.0;
/// Good pictures that may come between bad ones: film at 24 pictures a second is woven into 30 in two of five.
const GAP: Duration = Duration::from_millis(250);
/// Bad pictures that a decision needs.
const PICTURES: u32 = 3;
/// Combed share of the picture that spoils the programme.
const WIDE: f64 = 0.15;

/// What one picture says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Vote {
    Woven { moving: f64, picture: f64 },
    WrongOrder { ratio: f64 },
    Good,
    Unknown,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct Interlace {
    /// First and last bad picture of a run, and how many there were.
    run: Option<(MediaTime, MediaTime, u32)>,
    /// First good picture after the last bad one.
    good: Option<MediaTime>,
    ended: Option<MediaTime>,
}

impl Interlace {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first {
            *self = Self::default();
            return Observation::of(Defect::Interlace);
        }
        let vote = if features.depth == Depth::Full { vote(features) } else { Vote::Unknown };
        match vote {
            Vote::Woven { .. } | Vote::WrongOrder { .. } => {
                let (since, _, count) = self.run.unwrap_or((at, at, 0));
                self.run = Some((since, at, count + 1));
                self.good = None;
            }
            Vote::Good => {
                let good = *self.good.get_or_insert(at);
                if self.run.is_some_and(|(_, last, _)| at.since(last) > GAP) {
                    (self.run, self.ended) = (None, Some(good));
                }
            }
            Vote::Unknown => {}
        }
        self.say(vote)
    }

    /// Whether only pictures seen in full can decide.
    pub fn wants_full(&self) -> bool {
        self.run.is_some_and(|(.., count)| count < PICTURES)
    }

    fn say(&self, vote: Vote) -> Observation {
        let observation = Observation {
            since: self.run.map(|(since, ..)| since).or(self.ended),
            ..Observation::of(Defect::Interlace)
        };
        let known = self.run.is_some_and(|(.., count)| count >= PICTURES);
        match vote {
            Vote::Woven { moving, picture } if known => Observation {
                presence: Presence::Present,
                severity: if picture > WIDE { Severity::Major } else { Severity::Minor },
                value: moving * 100.0,
                threshold: COMBED.0 * 100.0,
                unit: "%",
                phrase: "motion is combed",
                ..observation
            },
            Vote::WrongOrder { ratio } if known => Observation {
                presence: Presence::Present,
                severity: Severity::Major,
                value: ratio,
                threshold: DISTANCE,
                unit: "ratio",
                phrase: "fields are in the wrong order",
                ..observation
            },
            Vote::Good if self.run.is_none() => observation,
            Vote::Unknown if self.run.is_none() && self.ended.is_none() && self.good.is_none() => observation,
            _ => Observation { presence: Presence::Unclear, ..observation },
        }
    }
}

fn vote(features: &VideoFeatures) -> Vote {
    let weave = &features.weave;
    if weave.moving < MOVING {
        return Vote::Unknown;
    }
    match features.field_order {
        FieldOrder::Progressive => combing(weave),
        FieldOrder::TopFirst => order(weave.fields[0], weave.fields[1]),
        FieldOrder::BottomFirst => order(weave.fields[1], weave.fields[0]),
    }
}

fn combing(weave: &Weave) -> Vote {
    let combed = f64::from(weave.combed);
    let moving = combed / f64::from(weave.moving);
    if moving >= COMBED.0 && weave.combed > 1 {
        Vote::Woven { moving, picture: combed / f64::from(weave.bits.max(1)) }
    } else if moving <= COMBED.1 {
        Vote::Good
    } else {
        Vote::Unknown
    }
}

/// `first` is the distance of the field that is flagged as the earlier one.
fn order(first: f64, second: f64) -> Vote {
    if first.max(second) < APART {
        Vote::Unknown
    } else if first > DISTANCE * second {
        Vote::WrongOrder { ratio: first / second.max(f64::MIN_POSITIVE) }
    } else if second > DISTANCE * first {
        Vote::Good
    } else {
        Vote::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer, at};

    /// The last word on so many pictures.
    fn watch(pictures: usize, picture: impl Fn(usize) -> Picture) -> Observation {
        let (mut analyzer, mut interlace) = (analyzer(), Interlace::default());
        let said = (0..pictures).map(|n| interlace.observe(analyzer.analyze(picture(n).frame(n))));
        said.last().expect("at least one picture")
    }

    fn pan(moment: usize) -> Picture {
        Picture::hills(5.0 * moment as f64)
    }

    /// Two moments in each picture.
    fn woven(n: usize) -> Picture {
        pan(2 * n).weave(&pan(2 * n + 1))
    }

    #[test]
    fn woven_moments_are_combing_from_the_first_picture_on() {
        let said = watch(30, |n| if n < 10 { pan(2 * n) } else { woven(n) });
        assert_eq!((said.presence, said.since, said.severity), (Presence::Present, Some(at(10)), Severity::Major));
        let said = watch(40, |n| if (10..20).contains(&n) { woven(n) } else { pan(2 * n) });
        assert_eq!((said.presence, said.since), (Presence::Absent, Some(at(20))));
    }

    #[test]
    fn film_woven_into_two_of_five_pictures_is_combing() {
        let said = watch(43, |n| if n % 5 < 2 { pan(2 * n) } else { woven(n) });
        assert_eq!(said.presence, Presence::Present);
    }

    #[test]
    fn fine_lines_that_stand_still_are_none() {
        let lines = |x: usize, y: usize| (x < 200).then_some(if y.is_multiple_of(2) { 200.0 } else { 40.0 });
        let said = watch(20, |n| pan(2 * n).over(lines));
        assert_eq!(said.presence, Presence::Absent);
        // What is combed stays so while nothing moves.
        let said = watch(40, |n| woven(n.min(20)));
        assert_eq!(said.presence, Presence::Unclear);
    }

    #[test]
    fn fields_in_their_flagged_order_are_right_and_the_other_way_round_wrong() {
        let lower_first = |n: usize| pan(2 * n + 1).weave(&pan(2 * n));
        for (order, upper, lower) in [
            (FieldOrder::TopFirst, Presence::Absent, Presence::Present),
            (FieldOrder::BottomFirst, Presence::Present, Presence::Absent),
        ] {
            assert_eq!(watch(20, |n| woven(n).flagged(order)).presence, upper, "{order:?}");
            assert_eq!(watch(20, |n| lower_first(n).flagged(order)).presence, lower, "{order:?}");
        }
    }

    #[test]
    fn one_moment_flagged_as_two_is_not_wrong() {
        assert_eq!(watch(20, |n| pan(2 * n).flagged(FieldOrder::TopFirst)).presence, Presence::Absent);
    }
}
