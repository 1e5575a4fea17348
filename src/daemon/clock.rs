//! The wall clock while the daemon runs: by how much it was set, and the last good time for a start without one.

use crate::identity::KeptTime;
use crate::time::{Mono, Wall};
use crate::wire::ClockStep;
use std::path::Path;

/// A clock that is steered moves by less than a thousandth of that between two looks.
const STEP_MS: i64 = 500;

/// Looks at the clock, once per second.
#[derive(Debug)]
pub(super) struct ClockWatch {
    kept: KeptTime,
    /// Wall clock less CLOCK_BOOTTIME at the last look, ms.
    apart_ms: Option<i64>,
    /// The last time that the clock was set.
    pub step: Option<ClockStep>,
}

impl ClockWatch {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { kept: KeptTime::open(state_dir), apart_ms: None, step: None }
    }

    /// Whether the clock was set since the last look.
    pub(super) fn look(&mut self, wall: Wall, mono: Mono) -> bool {
        if let Err(error) = self.kept.note(wall) {
            tracing::warn!(%error, "the time cannot be kept for the next start");
        }
        let mono_ms = mono.as_ms();
        let apart_ms = wall.unix_ms - mono_ms as i64;
        let offset_ms = self.apart_ms.replace(apart_ms).map_or(0, |before| apart_ms - before);
        if offset_ms.abs() < STEP_MS {
            return false;
        }
        tracing::info!(offset_ms, synced = wall.synced, "the clock was set");
        self.step = Some(ClockStep { offset_ms, mono_ms });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_once_and_one_that_is_steered_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut watch = ClockWatch::new(folder.path());
        let at = |unix_ms, synced| Wall { unix_ms, synced };
        let mono = |ms: u64| Mono(ms * 1_000_000);
        assert!(!watch.look(at(5_000, false), mono(5_000)));
        assert!(!watch.look(at(6_001, false), mono(6_000)));
        assert!(watch.look(at(1_800_000_007_000, true), mono(7_000)));
        assert_eq!(watch.step, Some(ClockStep { offset_ms: 1_799_999_999_999, mono_ms: 7_000 }));
        assert!(!watch.look(at(1_800_000_008_400, true), mono(8_000)));
        assert_eq!(std::fs::read_to_string(folder.path().join("time")).expect("kept"), "1800000007\n");
        assert!(watch.look(at(1_800_000_000_000, true), mono(9_000)));
        assert_eq!(watch.step.map(|step| step.offset_ms), Some(-9_400));
    }
}
