//! Missing and repeated pictures: judder that the source did not have before.
//!
//! Repeats are told as in Wolf, "A No Reference (NR) and Reduced Reference (RR) Metric for Detecting Dropped Video
//! Frames" (NTIA, 2009): dips of the motion energy between pictures that move. What a source does always - animation on
//! twos and threes, pull-down, variable rates - is its cadence and no defect.

mod missing;
mod repeats;
#[cfg(test)]
mod tests;

use super::{Defect, Detectors, Observation, Presence};
use crate::features::{TransportFeatures, VideoFeatures};
use crate::time::MediaTime;
use missing::Missing;
use repeats::Repeats;
use std::time::Duration;

/// Losses further apart than this are no stretch. Judder of one cause (an overloaded encoder, a clock that is off) comes
/// every second or more often.
const APART_MAX: Duration = Duration::from_millis(1_500);
/// Once told it is over when none came for so long: one that comes each second may be overlooked where little moves.
const OVER: Duration = Duration::from_millis(2_500);
/// Losses of this time tell how bad it is and whether to say so.
const WINDOW: Duration = Duration::from_millis(2_500);
/// From this on a stretch is told, see [`Loss::weight`]: two losses of some pictures, or three of one.
const TOLD: f64 = 3.0;
/// Lost pictures per second that most people see as jerky (ITU-T J.247, annex on dropped frames, finds 10 % visible),
/// when they go on for the window: one stutter is soon forgotten.
const SEVERE: f64 = 2.5;
/// As many losses as are kept of a window: at 60 pictures per second every third may be one.
const KEPT: usize = 64;

/// One place where pictures are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Loss {
    /// The first lost picture.
    from: MediaTime,
    /// The next good one.
    until: MediaTime,
    /// How many.
    pictures: u32,
    /// Motion went on behind a repeat, or the stamps leave a gap: pictures are really lost.
    certain: bool,
    /// The source was steady before: this is not how it always is.
    new: bool,
}

impl Loss {
    /// One lost picture may be chance; a repeat without lost motion may be the coder's.
    fn weight(&self) -> f64 {
        match (self.certain, self.pictures) {
            (false, _) => 0.5,
            (true, 0 | 1) => 1.0,
            (true, _) => 1.5,
        }
    }
}

/// Losses that belong together.
#[derive(Clone, Debug, Default)]
struct Stretch {
    recent: heapless::Deque<Loss, KEPT>,
    first: Option<Loss>,
    told: bool,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct FrameDrop {
    missing: Missing,
    repeats: Repeats,
    stretch: Stretch,
    /// Pictures missing, and shown again.
    counts: (u64, u64),
}

impl Detectors {
    /// Pictures that were missing by their stamps or the driver's count, and such that were shown again while the programme
    /// moved, so far.
    pub fn lost_pictures(&self) -> (u64, u64) {
        self.frame_drop.counts
    }
}

impl FrameDrop {
    /// Takes in what arrived; what comes of it is told with the next picture.
    pub fn arrived(&mut self, features: &TransportFeatures) {
        if let Some(loss) = self.missing.observe(features) {
            self.counts.0 += u64::from(loss.pictures);
            self.stretch.add(loss);
        }
    }

    /// Looks at a picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        if let Some(loss) = self.repeats.observe(features) {
            self.counts.1 += u64::from(loss.pictures);
            self.stretch.add(loss);
        }
        self.stretch.observation(features.stamp.at)
    }
}

impl Stretch {
    fn add(&mut self, loss: Loss) {
        if self.recent.back().is_none_or(|last| loss.from.since(last.until) > self.over_after()) {
            *self = Self::default();
        }
        // What is no news was there before; once something was told it goes on with it.
        if !(loss.new || self.told) {
            return;
        }
        self.first.get_or_insert(loss);
        if self.recent.is_full() {
            self.recent.pop_front();
        }
        // Room was just made.
        let _ = self.recent.push_back(loss);
        while self.recent.front().is_some_and(|old| loss.until.since(old.until) > WINDOW) {
            self.recent.pop_front();
        }
        let certain = self.recent.iter().filter(|loss| loss.certain).count();
        let weight: f64 = self.recent.iter().map(Loss::weight).sum();
        self.told |= weight >= TOLD && 2 * certain >= self.recent.len();
    }

    fn over_after(&self) -> Duration {
        if self.told { OVER } else { APART_MAX }
    }

    fn observation(&mut self, now: MediaTime) -> Observation {
        let absent = Observation { unit: "1/s", phrase: "pictures are lost", ..Observation::of(Defect::FrameDrop) };
        let (Some(first), Some(last)) = (self.first, self.recent.back()) else { return absent };
        if !self.told {
            return absent;
        }
        let until = last.until;
        if now.since(until) > self.over_after() {
            *self = Self::default();
            return Observation { since: Some(until), ..absent };
        }
        let lost: u32 = self.recent.iter().map(|loss| loss.pictures).sum();
        let begun = now.since(first.from).clamp(Duration::from_secs(1), WINDOW);
        let per_second = f64::from(lost) / begun.as_secs_f64();
        Observation {
            presence: Presence::Present,
            since: Some(first.from),
            severity: if per_second >= SEVERE && until.since(first.from) >= WINDOW {
                super::Severity::Major
            } else {
                super::Severity::Minor
            },
            value: per_second,
            threshold: TOLD / WINDOW.as_secs_f64(),
            ..absent
        }
    }
}
