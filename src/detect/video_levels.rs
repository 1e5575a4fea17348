//! Levels that cannot be meant: gain or offset that drives a scene into white, or crushes it towards black.
//!
//! A bright or a dark picture alone is no defect: snow, fog, a night. What gives a fault away is that it comes at once
//! in mid-scene and stays; an iris, a dimmer and a fade take their time, a lamp that goes out leaves bright places.

use super::past::{Measure, Moment, Past};
use super::{Defect, Observation, Presence, Severity};
use crate::features::{VideoFeatures, at_rank};
use crate::time::MediaTime;

/// Share of samples in white from which a picture is too bright, %, and below which it is not.
const BRIGHT: (f64, f64) = (25.0, 12.0);
/// The mean must have risen by this share of the range, ...
const RISE: f64 = 0.1;
/// ... or the share of samples in white by so many points, %: gain about the middle moves no mean.
const WHITENED: f64 = 20.0;
/// In fast motion a picture is no more than this like the one before. A step of the mean between the two by this share of
/// the range is none of motion.
const ALIKE: f64 = 0.55;
const STEP: f64 = 0.2;
/// Level below which 98 % of the samples of a crushed picture lie, and above which some are when it is none, share of
/// the range. A night scene has lamps.
const DARK: (f64, f64) = (0.45, 0.55);
/// The mean must have fallen to this share of what it was.
const FALL: f64 = 0.55;
/// A mean that strayed by more than this share of the range shortly before was fading already.
const STEADY: f64 = 0.06;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Bright,
    Dark,
}

/// Follows the levels of one source.
#[derive(Clone, Debug, Default)]
pub struct VideoLevels {
    fault: Option<(Fault, MediaTime)>,
    good_since: Option<MediaTime>,
    /// Mean luma of the picture before, code values.
    last_mean: f64,
}

/// Levels of one picture.
struct Levels {
    /// Samples driven into white, %.
    white: f64,
    /// 98 % quantile, share of the range.
    top: f64,
    /// Mean, share of the range.
    mean: f64,
}

impl VideoLevels {
    /// Looks at one picture; `past` are those before it.
    pub(super) fn observe(&mut self, features: &VideoFeatures, past: &Past) -> Observation {
        let (black, white) = features.range.black_white();
        let (black, span) = (f64::from(black), f64::from(white) - f64::from(black));
        let levels = Levels {
            white: 100.0 * features.white_share(),
            top: (quantile(&features.histogram, 0.98) - black) / span,
            mean: (features.luma_mean - black) / span,
        };
        let was = |moment: &Moment| ((moment.luma_mean - black) / span, 100.0 * moment.white);
        let stepped = features.alike >= ALIKE && (features.luma_mean - self.last_mean).abs() >= STEP * span;
        self.last_mean = features.luma_mean;
        match self.fault {
            None => {
                let fault = levels.extreme();
                let came = fault.is_some_and(|fault| {
                    let mut before = past.recent(features).filter(|&before| levels.stepped(fault, was(before)));
                    before.any(|before| {
                        past.was_steady(before, Measure::Luma, STEADY * span)
                            && (stepped || before.is_scene_of(&features.coarse))
                    })
                });
                self.fault = fault.filter(|_| came).map(|fault| (fault, features.stamp.at));
            }
            Some((fault, _)) if levels.normal(fault) => {
                self.fault = None;
                self.good_since = Some(features.stamp.at);
            }
            Some(_) => {}
        }
        self.say(&levels)
    }

    fn say(&self, levels: &Levels) -> Observation {
        let dark = (levels.top * 100.0, DARK.0 * 100.0, "picture is crushed towards black");
        let bright = (levels.white, BRIGHT.0, "picture is driven into white");
        let (value, threshold, phrase) = match self.fault {
            Some((Fault::Dark, _)) => dark,
            _ => bright,
        };
        Observation {
            presence: if self.fault.is_some() { Presence::Present } else { Presence::Absent },
            since: self.fault.map(|(_, since)| since).or(self.good_since),
            severity: Severity::Minor,
            value,
            threshold,
            unit: "%",
            phrase,
            ..Observation::of(Defect::VideoLevels)
        }
    }
}

impl Levels {
    fn extreme(&self) -> Option<Fault> {
        if self.white >= BRIGHT.0 {
            return Some(Fault::Bright);
        }
        (self.top <= DARK.0).then_some(Fault::Dark)
    }

    /// Whether mean and share in white went from what they were the way that makes `fault`.
    fn stepped(&self, fault: Fault, (mean, white): (f64, f64)) -> bool {
        match fault {
            Fault::Bright => self.mean >= mean + RISE || self.white >= white + WHITENED,
            Fault::Dark => self.mean <= mean * FALL,
        }
    }

    fn normal(&self, fault: Fault) -> bool {
        match fault {
            Fault::Bright => self.white < BRIGHT.1,
            Fault::Dark => self.top > DARK.1,
        }
    }
}

/// Code value that a share of the samples does not exceed.
fn quantile(histogram: &[u32; 256], share: f64) -> f64 {
    let all: u32 = histogram.iter().sum();
    at_rank(histogram, (f64::from(all) * share) as u32).unwrap_or(255) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{self, Picture, at, present};

    /// What is said of each picture: 10 as they are, 30 through `level`, 10 as they are.
    fn told(level: impl Fn(f64, usize) -> f64) -> Vec<Observation> {
        watch((0..50).map(|n| {
            let picture = Picture::hills(n as f64);
            if (10..40).contains(&n) { picture.level(|luma| level(luma, n)) } else { picture }
        }))
    }

    fn watch(pictures: impl Iterator<Item = Picture>) -> Vec<Observation> {
        let mut detector = VideoLevels::default();
        testing::told(pictures, |features, past| detector.observe(features, past))
    }

    #[test]
    fn a_scene_driven_into_white_or_crushed_is_told_until_it_is_right() {
        let bright = told(|luma, _| (luma * 1.5 + 60.0).min(235.0));
        assert_eq!(present(&bright), (10..40).collect::<Vec<_>>());
        assert_eq!((bright[20].since, bright[40].since), (Some(at(10)), Some(at(40))));
        let dark = told(|luma, _| 16.0 + (luma - 16.0) * 0.3);
        assert_eq!(present(&dark), (10..40).collect::<Vec<_>>());
        assert_eq!(dark[20].phrase, "picture is crushed towards black");
    }

    #[test]
    fn slow_and_small_changes_are_meant() {
        assert!(present(&told(|luma, n| 16.0 + (luma - 16.0) * (1.0 - 0.028 * (n - 10) as f64))).is_empty(), "a fade");
        assert!(present(&told(|luma, _| luma * 0.8)).is_empty());
        assert!(present(&told(|luma, _| luma + 15.0)).is_empty());
    }

    #[test]
    fn a_cut_to_a_dark_or_bright_scene_is_none() {
        let night = |x: usize, y: usize| 20.0 + ((x / 40 + y / 40) % 3) as f64 * 12.0;
        let shown = |n: usize| if n < 10 { Picture::hills(n as f64) } else { Picture::new(night) };
        assert!(present(&watch((0..40).map(shown))).is_empty());
    }
}
