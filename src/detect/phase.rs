//! Channels out of phase: left and right work against each other for seconds, and a mono sum takes them away.
//!
//! The correlation over a second. Wide stereo and ambience lie between -0.3 and 0.3, and below that for moments;
//! matrix surround has effects near -1 for a second or two. An inverted leg has -0.9 in what was nearly mono.

use super::{Defect, Levels, Observation, Presence, Scope, Severity};
use crate::features::{AudioFeatures, PAIRS_MAX, Pair};
use crate::time::MediaTime;

/// Blocks that are judged together: 1 s.
const BLOCKS: usize = 10;
/// Correlation from which a pair is out of phase, and above which it is not.
const AGAINST: (f64, f64) = (-0.6, -0.2);
/// The same, as levels that others can be asked for in place of.
pub(super) const LEVELS: Levels = Levels { raise: AGAINST.0, clear: AGAINST.1 };
/// Mean square of each channel of a pair below which there is nothing to tell: -55 dBFS.
const POWER_MIN: f64 = 3.2e-6;
/// Levels further apart than this (15 dB) are not the two sides of one thing.
const APART: f64 = 31.6;

/// Follows the pairs.
#[derive(Clone, Debug, Default)]
pub struct Phase {
    blocks: [[Pair; BLOCKS]; PAIRS_MAX],
    at: usize,
    /// Since when each pair has worked against each other, block by block.
    negative_since: [Option<MediaTime>; PAIRS_MAX],
    against: bool,
    good_since: Option<MediaTime>,
}

impl Phase {
    /// Looks at one block.
    pub fn observe(&mut self, features: &AudioFeatures) -> Observation {
        self.at = (self.at + 1) % BLOCKS;
        let start = features.stamp.at;
        let mut worst: Option<(f64, Option<MediaTime>)> = None;
        for (index, pair) in features.pairs.iter().enumerate() {
            self.blocks[index][self.at] = *pair;
            // Centre and LFE of 5.1 and 7.1 are no pair.
            if index == 1 && matches!(features.channels.len(), 6 | 8) {
                continue;
            }
            let since = &mut self.negative_since[index];
            match correlation(pair) {
                Some(now) if now > AGAINST.1 => *since = None,
                Some(_) => *since = since.or(Some(start)),
                None => {}
            }
            let lasting = self.blocks[index].iter().fold(Pair::default(), |sum, pair| Pair {
                first: sum.first + pair.first / BLOCKS as f64,
                second: sum.second + pair.second / BLOCKS as f64,
                cross: sum.cross + pair.cross / BLOCKS as f64,
            });
            if let Some(correlation) = correlation(&lasting) {
                worst = worst.filter(|worst| worst.0 <= correlation).or(Some((correlation, *since)));
            }
        }
        let presence = match worst {
            Some((correlation, _)) if correlation <= AGAINST.0 => Presence::Present,
            Some((correlation, _)) if correlation > AGAINST.1 => Presence::Absent,
            // A pause says nothing; a source without pairs has no phase.
            _ if features.pairs.is_empty() => Presence::Absent,
            _ => Presence::Unclear,
        };
        let against = presence == Presence::Present || (presence == Presence::Unclear && self.against);
        // The second that is judged still holds the bad part when it turns good.
        if self.against && !against {
            self.good_since = Some(start.minus(std::time::Duration::from_millis(BLOCKS as u64 * 50)));
        }
        self.against = against;
        Observation {
            defect: Defect::Phase,
            scope: Scope::Sound,
            presence,
            since: if against { worst.and_then(|worst| worst.1) } else { self.good_since },
            severity: Severity::Major,
            value: worst.map_or(0.0, |worst| worst.0),
            threshold: AGAINST.0,
            unit: "correlation",
            confidence: None,
            region: None,
            // A pause has no correlation.
            levels: worst.map(|_| LEVELS),
            phrase: "channels are out of phase",
            change: None,
        }
    }
}

/// -1 to 1, where both have sound of about the same level.
fn correlation(pair: &Pair) -> Option<f64> {
    let (low, high) = (pair.first.min(pair.second), pair.first.max(pair.second));
    (low > POWER_MIN && high < APART * low).then(|| pair.cross / (pair.first * pair.second).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::testing::sound;
    use super::*;

    fn seen(parts: &[(usize, f64, f64)]) -> Vec<(Presence, Option<MediaTime>)> {
        let mut detector = Phase::default();
        let mut n = 0;
        let mut after = Vec::new();
        for &(blocks, correlation, level) in parts {
            let mut last = None;
            for _ in 0..blocks {
                let mut features = sound(n, &[-20.0, -20.0]);
                let power = 10.0_f64.powf(level / 10.0);
                let _ = features.pairs.push(Pair { first: power, second: power, cross: correlation * power });
                last = Some(detector.observe(&features));
                n += 1;
            }
            after.extend(last.map(|last| (last.presence, last.since)));
        }
        after
    }

    #[test]
    fn an_inverted_leg_is_told_since_it_was_inverted() {
        let seen = seen(&[(40, 0.8, -20.0), (20, -0.9, -20.0), (5, -0.9, -90.0), (20, 0.8, -20.0)]);
        assert_eq!(seen[1], (Presence::Present, Some(MediaTime(4_000_000_000))));
        assert_eq!(seen[3].0, Presence::Absent);
    }

    #[test]
    fn mono_and_wide_stereo_are_in_phase() {
        assert_eq!(seen(&[(40, 1.0, -20.0)])[0].0, Presence::Absent);
        assert!(
            seen(&[(40, 0.1, -20.0), (6, -0.5, -20.0), (20, 0.0, -20.0)])
                .iter()
                .all(|seen| seen.0 != Presence::Present)
        );
        assert_eq!(seen(&[(40, -0.9, -80.0)])[0].0, Presence::Unclear, "nothing is heard");
    }
}
