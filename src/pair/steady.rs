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
    /// 0 to 1.
    pub confidence: f64,
    /// Since when, about.
    pub since: MediaTime,
    /// When it was last measured.
    pub at: MediaTime,
}

/// Follows readings.
#[derive(Clone, Debug, Default)]
pub(super) struct Steadying {
    last: VecDeque<Option<(MediaTime, f64, f64)>>,
    steady: Option<Steady>,
}

impl Steadying {
    pub fn take(&mut self, reading: &Reading) {
        let height = reading.picture.ok().zip(reading.sound.ok()).map(|(picture, sound)| picture.1.min(sound.1));
        if self.last.len() == OF {
            self.last.pop_front();
        }
        self.last.push_back(reading.offset_ms.zip(height).map(|(offset, height)| (reading.at, offset, height)));
        let Some((at, newest, _)) = self.last.back().copied().flatten() else { return };
        let agree = || self.last.iter().flatten().filter(|(_, offset, _)| (offset - newest).abs() <= WITHIN_MS);
        let count = agree().count();
        if count < AGREE {
            return;
        }
        let mut offsets: Vec<f64> = agree().map(|(_, offset, _)| *offset).collect();
        offsets.sort_unstable_by(f64::total_cmp);
        let offset_ms = offsets[count / 2];
        let first = agree().next().map_or(at, |(at, _, _)| *at).minus(HALF);
        let since = self.steady.filter(|steady| (steady.offset_ms - offset_ms).abs() <= SAME_MS);
        let confidence = agree().map(|(_, _, height)| height).sum::<f64>() / count as f64;
        self.steady = Some(Steady { offset_ms, confidence, since: since.map_or(first, |steady| steady.since), at });
    }

    pub fn steady(&self) -> Option<Steady> {
        self.steady
    }
}
