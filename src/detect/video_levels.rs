//! Levels that cannot be meant: gain or offset that drives a scene into white, or crushes it towards black.
//!
//! A bright or a dark picture alone is no defect: snow, fog, a night. What gives a fault away is that it comes at once
//! in mid-scene and stays; an iris, a dimmer and a fade take their time, a lamp that goes out leaves bright places.

use super::past::{BRIGHTEST, Measure, Moment, Past};
use super::{Defect, Observation, Presence, Severity};
use crate::features::{Coarse, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// Share of samples in white from which a picture is too bright, %, and below which it is not.
const BRIGHT: (f64, f64) = (25.0, 12.0);
/// The mean must have risen by this share of the range, ...
const RISE: f64 = 0.1;
/// ... or the share of samples in white by so many points, %, while the tiles deviate more by this factor: gain about the
/// middle moves no mean. A slide of another colour deviates as the one before.
const WHITENED: f64 = 20.0;
const WIDENED: f64 = 1.15;
/// In fast motion a picture is no more than this like the one before. A step of the mean between the two by this share of
/// the range is none of motion.
const ALIKE: f64 = 0.55;
const STEP: f64 = 0.2;
/// Level below which 98 % of the samples of a crushed picture lie, and above which some are when it is none, share of
/// the range. A night scene has lamps.
const DARK: (f64, f64) = (0.45, 0.55);
/// The mean must have fallen to this share of what it was, ...
const FALL: f64 = 0.55;
/// ... by this share of the range, from no less than that: what is nearly black falls to half by nothing.
const FALL_MIN: f64 = 0.08;
const LIT: f64 = 0.1;
/// The brightest samples fall with all others, to this share: letters and lamps stay when only what is around them goes.
const BRIGHTEST_LEFT: f64 = 0.75;
/// The mean is back from this share of what it was.
const BACK: f64 = 0.8;
/// A mean that strayed by more than this share of the range shortly before was fading already.
const STEADY: f64 = 0.06;
/// Of another scene it cannot be told what it should be: after this it is taken as it is.
const OTHER_SCENE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bright,
    Dark,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    kind: Kind,
    since: MediaTime,
    /// Mean before it, share of the range.
    mean: f64,
    other_scene: Option<MediaTime>,
}

/// Follows the levels of one source.
#[derive(Clone, Debug, Default)]
pub struct VideoLevels {
    fault: Option<Fault>,
    good_since: Option<MediaTime>,
    /// Mean luma of the picture before, code values.
    last_mean: f64,
}

/// Levels of one picture, or of a moment.
struct Levels {
    /// Samples driven into white, %.
    white: f64,
    /// 98 % quantile, share of the range; of pictures alone.
    top: f64,
    /// Mean, share of the range.
    mean: f64,
}

impl VideoLevels {
    /// Looks at one picture; `past` are those before it.
    pub(super) fn observe(&mut self, features: &VideoFeatures, past: &Past) -> Observation {
        let at = features.stamp.at;
        let (black, white) = features.range.black_white();
        let (black, span) = (f64::from(black), f64::from(white) - f64::from(black));
        let levels = Levels {
            white: 100.0 * features.white_share(),
            top: (features.luma_quantile(0.98) - black) / span,
            mean: (features.luma_mean - black) / span,
        };
        let stepped = features.alike >= ALIKE && (features.luma_mean - self.last_mean).abs() >= STEP * span;
        self.last_mean = features.luma_mean;
        if let Some(fault) = &mut self.fault {
            if features.cut {
                fault.other_scene.get_or_insert(at);
            }
            if fault.is_over(at, &levels) {
                self.fault = None;
                self.good_since = Some(at);
            }
            return self.say(&levels);
        }
        let fault = past.recent(features).find_map(|before| {
            let was = Levels { white: 100.0 * before.white, top: 1.0, mean: (before.luma_mean - black) / span };
            let kind = levels.stepped(&was, features, before, black)?;
            let came = past.was_steady(before, Measure::Luma, STEADY * span)
                && (stepped || before.is_scene_of(&features.coarse));
            came.then_some(Fault { kind, since: at, mean: was.mean, other_scene: None })
        });
        self.fault = fault;
        self.say(&levels)
    }

    fn say(&self, levels: &Levels) -> Observation {
        let dark = (levels.top * 100.0, DARK.0 * 100.0, "picture is crushed towards black");
        let bright = (levels.white, BRIGHT.0, "picture is driven into white");
        let (value, threshold, phrase) = match self.fault {
            Some(Fault { kind: Kind::Dark, .. }) => dark,
            _ => bright,
        };
        Observation {
            presence: if self.fault.is_some() { Presence::Present } else { Presence::Absent },
            since: self.fault.map(|fault| fault.since).or(self.good_since),
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
    /// What fault makes these levels of what was before, if any.
    fn stepped(&self, was: &Levels, features: &VideoFeatures, before: &Moment, black: f64) -> Option<Kind> {
        if self.white >= BRIGHT.0 {
            let widened = || features.coarse.deviation() >= WIDENED * Coarse::deviation_of(&before.luma);
            let bright = self.mean >= was.mean + RISE || (self.white >= was.white + WHITENED && widened());
            return bright.then_some(Kind::Bright);
        }
        let fell =
            self.top <= DARK.0 && was.mean >= LIT && self.mean <= was.mean * FALL && self.mean <= was.mean - FALL_MIN;
        let brightest = || features.luma_quantile(BRIGHTEST) - black <= BRIGHTEST_LEFT * (before.brightest - black);
        (fell && brightest()).then_some(Kind::Dark)
    }
}

impl Fault {
    fn is_over(&self, at: MediaTime, now: &Levels) -> bool {
        let other = self.other_scene.is_some_and(|since| at.since(since) >= OTHER_SCENE);
        let normal = match self.kind {
            Kind::Bright => now.white < BRIGHT.1,
            Kind::Dark => now.mean >= BACK * self.mean || now.top > DARK.1,
        };
        other || normal
    }
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

    #[test]
    fn what_was_nearly_black_cannot_be_crushed() {
        let fade = |n: usize| (n as f64 - 10.0).max(0.0) / 40.0;
        for base in [12.0, 16.0, 30.0] {
            let shown =
                |n: usize| Picture::new(|_, _| base).mix(&Picture::hills(n as f64).level(|luma| 0.4 * luma), fade(n));
            assert!(present(&watch((0..50).map(shown))).is_empty(), "black at {base}");
        }
        let dip =
            |n: usize| Picture::hills(n as f64).level(|luma| if n % 20 == 15 { 16.0 } else { 16.0 + luma * 0.08 });
        assert!(present(&watch((0..50).map(dip))).is_empty());
    }

    #[test]
    fn another_dark_scene_is_taken_as_it_is_after_a_while() {
        // Crushed at once, and a second later another dark scene.
        let night = |x: usize, y: usize| 20.0 + ((x / 40 + y / 40) % 3) as f64 * 12.0;
        let shown = |n: usize| match n {
            0..10 => Picture::hills(n as f64),
            10..30 => Picture::hills(n as f64).level(|luma| 16.0 + (luma - 16.0) * 0.3),
            _ => Picture::new(night),
        };
        // The cut shows in picture 30, and 5 s later it is over.
        assert_eq!(present(&watch((0..200).map(shown))), (10..155).collect::<Vec<_>>());
    }

    #[test]
    fn pages_and_lamps_that_change_in_one_layout_are_meant() {
        let page = |paper: f64, ink: f64| {
            Picture::new(
                move |x, y| if (y / 20) % 3 == 1 && x > 40 && x < 200 && (x / 3) % 2 == 0 { ink } else { paper },
            )
            .over(|x, y| (x > 220 && y > 100).then_some(100.0))
        };
        let white = |n: usize| if n < 20 { page(225.0, 30.0) } else { page(235.0, 30.0) };
        assert!(present(&watch((0..60).map(white))).is_empty(), "paper a little whiter");
        let dark = |n: usize| if n < 20 { page(110.0, 220.0) } else { page(40.0, 220.0) };
        assert!(present(&watch((0..60).map(dark))).is_empty(), "letters as bright as before");
    }
}
