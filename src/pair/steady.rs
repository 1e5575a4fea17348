//! What several readings agree in.

use super::compare::Reading;
use crate::time::MediaTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Readings that are looked at, and that must agree within so many ms.
const OF: usize = 5;
const AGREE: usize = 3;
const WITHIN_MS: f64 = 10.0;
/// An offset that moves by less is the same one, ms.
const SAME_MS: f64 = 20.0;
/// A change shows in a reading when about half of its window lies behind it.
const HALF: Duration = Duration::from_millis(2_500);

/// An offset in which readings agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steady {
    /// What the encoder adds, ms: positive is sound late.
    pub offset_ms: f64,
    /// It may be off by this much, ms.
    pub within_ms: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Since when, about.
    pub since: MediaTime,
    /// When it was last measured.
    pub at: MediaTime,
}

/// What is kept of a reading.
#[derive(Clone, Copy, Debug)]
struct One {
    at: MediaTime,
    offset_ms: f64,
    within_ms: f64,
    height: f64,
}

impl One {
    fn of(reading: &Reading) -> Option<Self> {
        let height = reading.picture.ok()?.1.min(reading.sound.ok()?.1);
        Some(Self { at: reading.at, offset_ms: reading.offset_ms?, within_ms: reading.within_ms?, height })
    }
}

/// Follows readings.
#[derive(Clone, Debug, Default)]
pub(super) struct Steadying {
    last: VecDeque<Option<One>>,
    steady: Option<Steady>,
}

impl Steadying {
    pub fn take(&mut self, reading: &Reading) {
        if self.last.len() == OF {
            self.last.pop_front();
        }
        self.last.push_back(One::of(reading));
        let Some(newest) = self.last.back().copied().flatten() else { return };
        let agree = || self.last.iter().flatten().filter(|one| (one.offset_ms - newest.offset_ms).abs() <= WITHIN_MS);
        let count = agree().count();
        if count < AGREE {
            return;
        }
        let median = |of: fn(&One) -> f64| {
            let mut all: Vec<f64> = agree().map(of).collect();
            all.sort_unstable_by(f64::total_cmp);
            all[count / 2]
        };
        let (offset_ms, within_ms) = (median(|one| one.offset_ms), median(|one| one.within_ms));
        let first = agree().next().map_or(newest.at, |one| one.at).minus(HALF);
        let since = self.steady.filter(|steady| (steady.offset_ms - offset_ms).abs() <= SAME_MS);
        let confidence = agree().map(|one| one.height).sum::<f64>() / count as f64;
        let since = since.map_or(first, |steady| steady.since);
        self.steady = Some(Steady { offset_ms, within_ms, confidence, since, at: newest.at });
    }

    pub fn steady(&self) -> Option<Steady> {
        self.steady
    }
}
