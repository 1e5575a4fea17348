//! Dropouts: gaps of 5 to 500 ms that were cut into the sound, samples that never came, stuck buffers, and clicks.
//!
//! A level alone cannot tell a gap from a pause: what does is that both its edges are hard (`features/audio/edges.rs`).
//! A few clicks may be meant, five within ten seconds are not.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{AudioFeatures, Break, BreakKind};
use crate::time::MediaTime;
use std::time::Duration;

/// Shortest gap, ms (contract, catalogue).
const GAP_MIN_MS: f64 = 5.0;
/// So many clicks within [`AROUND`] are told.
const CLICKS: usize = 5;
/// So many breaks within [`AROUND`] spoil the programme.
const MANY: usize = 3;
const AROUND: Duration = Duration::from_secs(10);

/// Follows the breaks of one source.
#[derive(Clone, Debug, Default)]
pub struct AudioDropout {
    /// The last clicks and the last breaks that were told, oldest first.
    clicks: [Option<MediaTime>; CLICKS],
    told: [Option<MediaTime>; MANY],
    last: Option<(BreakKind, f64, MediaTime)>,
}

impl AudioDropout {
    /// Looks at one block.
    pub fn observe(&mut self, features: &AudioFeatures) -> Observation {
        let mut since: Option<MediaTime> = None;
        for found in &features.breaks {
            let start = match found.kind {
                BreakKind::Click => match self.click(found) {
                    Some(first) => first,
                    None => continue,
                },
                BreakKind::Gap | BreakKind::Missing | BreakKind::Stuck => found.start,
            };
            since = Some(since.map_or(start, |since| since.min(start)));
            self.told.rotate_left(1);
            self.told[MANY - 1] = Some(found.start);
            let ms = found.end.since(found.start).as_secs_f64() * 1000.0;
            self.last = Some((found.kind, ms, found.end));
        }
        let (kind, ms, end) = match self.last {
            Some((kind, ms, end)) => (Some(kind), ms, Some(end)),
            None => (None, 0.0, None),
        };
        let many = self.told[0].is_some_and(|first| features.end.since(first) <= AROUND);
        let clicks = kind == Some(BreakKind::Click);
        Observation {
            defect: Defect::AudioDropout,
            scope: Scope::Sound,
            presence: if since.is_some() { Presence::Present } else { Presence::Absent },
            since: since.or(end),
            severity: if many { Severity::Major } else { Severity::Minor },
            value: if clicks { CLICKS as f64 } else { ms },
            threshold: if clicks { CLICKS as f64 } else { GAP_MIN_MS },
            unit: if clicks { "clicks in 10 s" } else { "ms" },
            confidence: None,
            region: None,
            levels: None,
            change: None,
            phrase: match kind {
                Some(BreakKind::Click) => "sound clicks",
                Some(BreakKind::Missing) => "samples are missing",
                Some(BreakKind::Stuck) => "sound is stuck on a few milliseconds",
                Some(BreakKind::Gap) | None => "sound has a gap",
            },
        }
    }

    /// Notes a click. The first of those that are enough to be told.
    fn click(&mut self, found: &Break) -> Option<MediaTime> {
        self.clicks.rotate_left(1);
        self.clicks[CLICKS - 1] = Some(found.start);
        self.clicks[0].filter(|first| found.start.since(*first) <= AROUND)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sound;
    use super::*;

    fn broken(detector: &mut AudioDropout, n: i64, kind: BreakKind, start_ms: i64, end_ms: i64) -> Observation {
        let mut features = sound(n, &[-20.0]);
        let at = |ms: i64| MediaTime(ms * 1_000_000);
        let _ = features.breaks.push(Break { kind, start: at(start_ms), end: at(end_ms) });
        detector.observe(&features)
    }

    #[test]
    fn a_gap_is_told_at_once_with_its_place_and_length() {
        let mut detector = AudioDropout::default();
        let seen = broken(&mut detector, 10, BreakKind::Gap, 950, 970);
        assert_eq!((seen.presence, seen.since, seen.value), (Presence::Present, Some(MediaTime(950_000_000)), 20.0));
        assert_eq!(seen.severity, Severity::Minor);
        let after = detector.observe(&sound(11, &[-20.0]));
        assert_eq!((after.presence, after.since), (Presence::Absent, Some(MediaTime(970_000_000))));
        broken(&mut detector, 20, BreakKind::Stuck, 1900, 1990);
        assert_eq!(broken(&mut detector, 30, BreakKind::Gap, 2900, 2950).severity, Severity::Major);
    }

    #[test]
    fn a_few_clicks_may_be_meant_and_five_are_not() {
        let mut detector = AudioDropout::default();
        let mut click =
            |second: i64| broken(&mut detector, second * 10, BreakKind::Click, second * 1000, second * 1000 + 1);
        for second in [1, 9, 10, 12, 15] {
            assert_eq!(click(second).presence, Presence::Absent, "the first is long ago");
        }
        assert_eq!(click(18).since, Some(MediaTime(9_000_000_000)));
    }
}
