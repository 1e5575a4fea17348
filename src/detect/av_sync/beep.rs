//! Lone sounds: beeps, claps and clicks with quiet around them, whose onset is known to a millisecond.

use crate::features::AudioFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// Slices of 1 ms that are kept.
const RING: usize = 320;
/// What is quiet before a lone sound, ms. The nearest slices are left to the coder, which announces what comes by up to
/// half a window.
const QUIET_BEFORE: usize = 250;
const ANNOUNCED: usize = 14;
/// A lone sound stands out by this, as power (20 dB), ...
const OUT: f32 = 100.0;
/// ... and can be heard: -45 dBFS.
const HEARD: f32 = 3e-5;
/// Its peak comes within this time, ms: a voice takes longer to swell.
const ATTACK: usize = 20;
/// Its onset is where it comes within 6 dB of its peak.
const ONSET: f32 = 0.25;
/// It is over when it stays 20 dB below its peak for this long, ms, ...
const OVER: f32 = 0.01;
const OVER_AFTER: usize = 30;
/// ... and quiet, 15 dB below it, for this long after that: the tail of a room may sound.
const QUIET: f32 = 0.03;
const QUIET_AFTER: usize = 200;
/// A longer one is programme, ms.
const LASTS_MAX: usize = 600;

/// A lone sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beep {
    /// Its onset.
    pub at: MediaTime,
    /// Its peak, dBFS.
    pub peak_db: f32,
    /// How long it lasted, ms.
    pub lasted_ms: u32,
}

/// A sound that may become a lone one.
#[derive(Clone, Copy, Debug)]
struct Burst {
    /// Slices since the one that stood out.
    age: usize,
    peak: f32,
    /// Onset, in slices back from `age`; known after the attack.
    onset: Option<MediaTime>,
    /// Slices in a row below the peak.
    low: usize,
}

/// Finds lone sounds in the envelope.
#[derive(Clone, Debug)]
pub struct Beeps {
    ring: [f32; RING],
    next: usize,
    /// Slices since the last restart, up to `RING`.
    filled: usize,
    burst: Option<Burst>,
    until: Option<MediaTime>,
}

impl Default for Beeps {
    fn default() -> Self {
        Self { ring: [0.0; RING], next: 0, filled: 0, burst: None, until: None }
    }
}

impl Beeps {
    /// Takes 100 ms of sound and calls `found` for each lone sound that is over.
    pub fn take(&mut self, features: &AudioFeatures, mut found: impl FnMut(Beep)) {
        let start = features.stamp.at;
        // Sound that does not follow: what was before is not what was heard before.
        if self.until.is_some_and(|until| until.0.abs_diff(start.0) > 20_000_000) {
            *self = Self::default();
        }
        for (n, &level) in features.envelope.iter().enumerate() {
            let at = start.plus(Duration::from_millis(n as u64));
            self.ring[self.next] = level;
            self.next = (self.next + 1) % RING;
            self.filled = (self.filled + 1).min(RING);
            if let Some(beep) = self.follow(at, level) {
                found(beep);
            }
        }
        self.until = Some(features.end);
    }

    /// All lone sounds with an onset before this are known.
    pub fn known_until(&self) -> Option<MediaTime> {
        let until = self.until?.minus(Duration::from_millis(ATTACK as u64));
        let pending = self.burst.map(|burst| burst.onset.map_or(until, |onset| onset.minus(Duration::from_millis(1))));
        Some(pending.map_or(until, |pending| pending.min(until)))
    }

    /// Slice `back` before the newest.
    fn back(&self, back: usize) -> f32 {
        self.ring[(self.next + 2 * RING - 1 - back) % RING]
    }

    fn follow(&mut self, at: MediaTime, level: f32) -> Option<Beep> {
        let Some(mut burst) = self.burst.take() else {
            self.burst = self.stands_out(level).then_some(Burst { age: 0, peak: level, onset: None, low: 0 });
            return None;
        };
        burst.age += 1;
        if burst.age <= ATTACK {
            burst.peak = burst.peak.max(level);
        }
        if burst.age == ATTACK {
            let first = (0..=ATTACK + ANNOUNCED).rev().find(|&back| self.back(back) >= ONSET * burst.peak);
            burst.onset = Some(at.minus(Duration::from_millis(first.unwrap_or(ATTACK) as u64)));
        }
        burst.low = if level < OVER * burst.peak || (burst.low >= OVER_AFTER && level < QUIET * burst.peak) {
            burst.low + 1
        } else if burst.low >= OVER_AFTER {
            // Something else follows too soon.
            return None;
        } else {
            0
        };
        let sounded = burst.age.saturating_sub(burst.low);
        // What swells after its attack is programme, and so is what lasts.
        if sounded > LASTS_MAX || level > 4.0 * burst.peak {
            return None;
        }
        if burst.low < OVER_AFTER + QUIET_AFTER || burst.onset.is_none() {
            self.burst = Some(burst);
            return None;
        }
        let peak_db = 10.0 * burst.peak.log10();
        burst.onset.map(|at| Beep { at, peak_db, lasted_ms: sounded as u32 })
    }

    /// Whether `level`, the newest slice, stands out of what was before.
    fn stands_out(&self, level: f32) -> bool {
        level >= HEARD
            && self.filled > QUIET_BEFORE
            && (ANNOUNCED..=QUIET_BEFORE).all(|back| self.back(back) * OUT <= level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;

    /// Lone sounds in an envelope of 1 ms slices.
    fn found(level: impl Fn(usize) -> f32, ms: usize) -> Vec<(i64, u32)> {
        let (mut beeps, mut all) = (Beeps::default(), Vec::new());
        for block in 0..ms / 100 {
            let at = |n: usize| MediaTime(n as i64 * 100_000_000);
            let envelope = (0..100).map(|n| level(block * 100 + n)).collect();
            let stamp = Stamp { at: at(block), ..Stamp::default() };
            let features = AudioFeatures { stamp, end: at(block + 1), envelope, ..AudioFeatures::default() };
            beeps.take(&features, |beep| all.push((beep.at.0 / 1_000_000, beep.lasted_ms)));
        }
        all
    }

    #[test]
    fn a_beep_is_found_where_it_begins() {
        let beep = |ms: usize| match ms {
            // A coder's announcement.
            1114..1123 => 6e-5,
            1123..1183 => 0.1,
            _ => 1e-6,
        };
        assert_eq!(found(beep, 3000), [(1123, 59)]);
        // A click, and a clap that dies away.
        assert_eq!(found(|ms| if ms == 700 { 0.02 } else { 0.0 }, 2000), [(700, 0)]);
        let clap = |ms: usize| if ms < 700 { 1e-7 } else { 0.2 * (-((ms - 700) as f32) / 20.0).exp() + 1e-7 };
        assert_eq!(found(clap, 2000).iter().map(|beep| beep.0).collect::<Vec<_>>(), [700]);
    }

    #[test]
    fn programme_holds_no_lone_sound() {
        // Two in quick succession, a long one, one that swells, one in noise.
        assert_eq!(found(|ms| if (700..760).contains(&ms) || (900..960).contains(&ms) { 0.1 } else { 0.0 }, 2000), []);
        assert_eq!(found(|ms| if (700..1700).contains(&ms) { 0.1 } else { 0.0 }, 3000), []);
        assert_eq!(found(|ms| 1e-6 * (ms.saturating_sub(700) as f32 / 10.0).powi(2), 3000), []);
        assert_eq!(found(|ms| if (700..760).contains(&ms) { 0.1 } else { 0.01 }, 2000), []);
    }
}
