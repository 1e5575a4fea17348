//! Presentation times that jump without being announced: ISO/IEC 13818-1 (2.4.3.5) allows it with a discontinuity
//! indicator only, and receivers lose picture and sound where it is missing.

use super::{Defect, Observation, Presence, Severity};
use crate::features::TransportFeatures;

/// Told by the source from these on, see `source/ffmpeg/clocks.rs`: s forward, ...
const FORWARD_MIN: f64 = 0.7;
/// ... and back.
const BACK_MIN: f64 = -0.2;

/// Keeps nothing: a jump is a point in time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timestamp;

impl Timestamp {
    /// Looks at what has arrived.
    pub fn observe(self, features: &TransportFeatures) -> Observation {
        let quiet = Observation { unit: "s", ..Observation::of(Defect::Timestamp) };
        let Some((at, jump)) = features.jump.filter(|(_, jump)| jump.told) else { return quiet };
        let seconds = jump.by_ns as f64 / 1e9;
        let (threshold, phrase) = if seconds < 0.0 {
            (BACK_MIN, "presentation times go back")
        } else {
            (FORWARD_MIN, "presentation times jump forward")
        };
        Observation {
            presence: Presence::Present,
            since: Some(at),
            severity: Severity::Major,
            value: seconds,
            threshold,
            phrase,
            ..quiet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ClockJump;
    use crate::time::MediaTime;

    fn said(by_ns: i64, told: bool) -> Observation {
        let jump = Some((MediaTime(5), ClockJump { by_ns, told }));
        Timestamp.observe(&TransportFeatures { jump, ..TransportFeatures::default() })
    }

    #[test]
    fn a_jump_is_present_in_its_unit_and_at_no_other() {
        let back = said(-3_000_000_000, true);
        assert_eq!((back.presence, back.since, back.value), (Presence::Present, Some(MediaTime(5)), -3.0));
        assert_eq!(said(20_000_000_000, true).phrase, "presentation times jump forward");
        assert_eq!(said(20_000_000_000, false).presence, Presence::Absent, "it was announced");
        assert_eq!(Timestamp.observe(&TransportFeatures::default()).presence, Presence::Absent);
    }
}
