//! Gaps in the stamps of pictures that otherwise come at a steady rate.

use super::Loss;
use crate::features::{Arrival, TransportFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// Steps remembered.
const STEPS: usize = 48;
/// As few are enough to know the rate.
const STEPS_MIN: usize = 12;
/// A step of more than this many pictures is a gap: 3:2 cadence in stamps has steps of 2 and 3 fields, 1.2 and 0.8 of
/// their mean or 1.5 of the shorter one.
const GAP_MIN: f64 = 1.6;
/// Steps that deviate by more than this are not steady; stamps in units of 1 ms deviate by 3 % at 60 pictures per second.
const UNEVEN: f64 = 0.25;
/// A source of which more than this share of the steps is uneven has no rate of its own.
const UNEVEN_MAX: f64 = 0.1;
/// What lasts longer is told by `stream_loss`.
const LONGEST: Duration = Duration::from_millis(1_000);
/// What is damaged loses pictures too, and `block_corruption` tells of it; decoders need up to that long to recover.
const DAMAGED: Duration = Duration::from_millis(1_000);

/// Follows the stamps.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    /// Steps in milliseconds, oldest first.
    steps: heapless::Deque<f32, STEPS>,
    /// The step before was a gap too.
    was_gap: bool,
    damaged: Option<MediaTime>,
}

impl Missing {
    /// Takes in what arrived: a gap is a loss, gap after gap is another rate.
    pub fn observe(&mut self, features: &TransportFeatures) -> Option<Loss> {
        if features.interrupted {
            *self = Self::default();
        }
        let picture = features.picture.as_ref()?;
        if picture.damaged {
            self.damaged = Some(picture.at);
        }
        if picture.missing > 0 {
            return self.counted(picture);
        }
        let step = picture.step?;
        let nominal = self.nominal();
        let steps = nominal.map(|nominal| step.as_secs_f64() * 1e3 / f64::from(nominal));
        let gap = steps.filter(|&steps| steps > GAP_MIN && step <= LONGEST);
        let was_gap = std::mem::replace(&mut self.was_gap, gap.is_some());
        let loss = gap.filter(|_| !was_gap).and_then(|steps| self.gap(picture.at.minus(step), picture.at, steps));
        if self.steps.is_full() {
            self.steps.pop_front();
        }
        // Room was just made.
        let _ = self.steps.push_back((step.as_secs_f64() * 1e3) as f32);
        loss
    }

    /// The source itself counted what is missing: there is nothing to learn a rate for.
    fn counted(&mut self, picture: &Arrival) -> Option<Loss> {
        self.was_gap = false;
        let step = picture.step.filter(|&step| step <= LONGEST)?;
        if self.damaged.is_some_and(|when| picture.at.since(when) <= DAMAGED) {
            return None;
        }
        let pictures = u32::from(picture.missing);
        let from = picture.at.minus(step).plus(step / (pictures + 1));
        Some(Loss { from, until: picture.at, pictures, certain: true, new: true })
    }

    fn gap(&self, last: MediaTime, at: MediaTime, steps: f64) -> Option<Loss> {
        let nominal = self.nominal()?;
        if self.damaged.is_some_and(|when| at.since(when) <= DAMAGED) {
            return None;
        }
        let uneven = self.steps.iter().filter(|&&step| (step / nominal - 1.0).abs() > UNEVEN as f32).count();
        let from = last.plus(Duration::from_secs_f64(f64::from(nominal) / 1e3));
        let new = uneven as f64 <= UNEVEN_MAX * self.steps.len() as f64;
        Some(Loss { from, until: at, pictures: steps.round() as u32 - 1, certain: true, new })
    }

    /// The median of the steps, milliseconds.
    fn nominal(&self) -> Option<f32> {
        let mut sorted: heapless::Vec<f32, STEPS> = self.steps.iter().copied().collect();
        sorted.sort_unstable_by(f32::total_cmp);
        sorted.get(sorted.len() / 2).copied().filter(|&nominal| sorted.len() >= STEPS_MIN && nominal > 0.0)
    }
}
