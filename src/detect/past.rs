//! The scene a moment ago, for defects that begin in mid-scene: levels, colour, borders.

use crate::features::{Coarse, Correlation, Depth, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// What changes within this time changes at once; dissolves and fades take longer.
const AT_ONCE: Duration = Duration::from_millis(300);
/// Time between what is remembered.
const APART: Duration = Duration::from_millis(80);
/// Tiles that correlate this much with those of a moment ago show the same scene: levels and colours change nothing of
/// it, the fastest motion between two pictures comes down to 0.66.
const SAME_SCENE: f64 = 0.7;

/// What is changing already for this long is a fade.
const STEADY: Duration = Duration::from_millis(700);
/// As little as this is needed to tell of level and colour, ...
const STEADY_MIN: Duration = Duration::from_millis(150);
/// ... and of texture, which coders build up after a cut.
const STEADY_STEPS_MIN: Duration = Duration::from_millis(500);
/// Numbers remembered of `STEADY` and `AT_ONCE`, `APART` from each other.
const REMEMBERED: usize = 16;

/// Share of the samples below the brightest.
pub(super) const BRIGHTEST: f64 = 0.999;

/// What is kept of one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    pub at: MediaTime,
    pub luma: Vec<f32>,
    pub luma_mean: f64,
    pub saturation: f64,
    /// Share of samples in white, 0 to 1.
    pub white: f64,
    /// What the brightest thousandth of the samples has at least, code values.
    pub brightest: f64,
    /// Of tiles; empty unless the picture was seen in full.
    pub steps: Vec<f32>,
    /// Their mean, of the last picture seen in full.
    pub steps_mean: f64,
    taken: bool,
}

/// The last moments of the scene, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    moments: [Moment; 4],
    /// Mean luma and saturation since the cut.
    numbers: heapless::Deque<(MediaTime, [f64; 3]), REMEMBERED>,
}

/// What may have changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    Luma,
    Saturation,
    Steps,
}

impl Past {
    /// Takes in a picture, after all detectors have seen it.
    pub fn note(&mut self, features: &VideoFeatures) {
        let coarse = &features.coarse;
        if features.first || features.cut || self.moments[0].luma.len() != coarse.len() {
            for moment in &mut self.moments {
                moment.taken = false;
                moment.luma.resize(coarse.len(), 0.0);
                moment.steps.reserve(coarse.len());
            }
            self.numbers.clear();
        }
        let [.., last] = &self.moments;
        if last.taken && features.stamp.at.since(last.at) < APART {
            return;
        }
        self.moments.rotate_left(1);
        let [.., last] = &mut self.moments;
        (last.at, last.taken) = (features.stamp.at, true);
        (last.luma_mean, last.saturation) = (features.luma_mean, features.saturation);
        last.white = features.white_share();
        last.brightest = features.luma_quantile(BRIGHTEST);
        last.steps_mean = coarse.steps.iter().map(|&step| f64::from(step)).sum::<f64>() / coarse.len().max(1) as f64;
        last.luma.copy_from_slice(&coarse.luma);
        last.steps.clear();
        if features.depth == Depth::Full {
            last.steps.extend_from_slice(&coarse.steps);
        }
        if self.numbers.is_full() {
            self.numbers.pop_front();
        }
        // Room was just made.
        let numbers = [last.luma_mean, last.saturation, last.steps_mean];
        let _ = self.numbers.push_back((features.stamp.at, numbers));
    }

    /// Whether `measure` kept within `spread` of what it was at `moment` for a while before: no fade was on its way.
    pub fn was_steady(&self, moment: &Moment, measure: Measure, spread: f64) -> bool {
        let (of, then, least) = match measure {
            Measure::Luma => (0, moment.luma_mean, STEADY_MIN),
            Measure::Saturation => (1, moment.saturation, STEADY_MIN),
            Measure::Steps => (2, moment.steps_mean, STEADY_STEPS_MIN),
        };
        let before = || self.numbers.iter().filter(|(at, _)| *at <= moment.at && moment.at.since(*at) <= STEADY);
        let known = before().next().is_some_and(|(first, _)| moment.at.since(*first) >= least);
        known && before().all(|(_, numbers)| (numbers[of] - then).abs() <= spread)
    }

    /// Moments of the same scene that are near enough for a change since then to have come at once.
    pub fn recent(&self, features: &VideoFeatures) -> impl Iterator<Item = &Moment> {
        self.before(features).filter(|_| !features.cut)
    }

    /// The same, whatever scene this picture is of.
    pub fn before(&self, features: &VideoFeatures) -> impl Iterator<Item = &Moment> {
        let (at, first) = (features.stamp.at, features.first);
        self.moments.iter().filter(move |moment| !first && moment.taken && at.since(moment.at) <= AT_ONCE)
    }
}

impl Moment {
    /// Whether `coarse` shows the same scene, at whatever level.
    pub fn is_scene_of(&self, coarse: &Coarse) -> bool {
        self.alike(coarse) >= SAME_SCENE
    }

    /// Correlation of the tiles' luma with those of `coarse`, -1 to 1.
    pub fn alike(&self, coarse: &Coarse) -> f64 {
        Correlation::of(&self.luma, &coarse.luma).value()
    }
}
