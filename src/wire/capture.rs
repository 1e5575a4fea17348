//! What a tap on capture devices tells in the `state` of its source.

use super::rounded;
use crate::health::{CaptureStatus, RelayStatus};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct CaptureBody<'a> {
    /// Pictures that the driver counted and did not deliver.
    missing: u64,
    /// Pictures that were lost because Picket did not fetch them in time.
    late: u64,
    /// Pictures that the driver marked as damaged, or that were not whole.
    flagged: u64,
    /// Time stamps of the driver that went back or ran ahead.
    jumps: u64,
    /// Times that the stream was started again.
    restarts: u64,
    /// Overruns of the sound device.
    xruns: u64,
    /// Samples of sound that are missing, per channel.
    sound_lost: u64,
    /// How much faster pictures come than their format says, parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture_ppm: Option<f64>,
    /// How much faster samples of sound come than their rate says, parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    sound_ppm: Option<f64>,
    /// How far sound ran ahead of the picture by that since both are there, ms: what an encoder is off that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    skew_ms: Option<f64>,
    /// Frames that are handed on to another node.
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<RelayBody<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct RelayBody<'a> {
    /// Taken by the node.
    passed: u64,
    /// Not taken.
    lost: u64,
    /// Why it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<&'a str>,
}

impl<'a> CaptureBody<'a> {
    pub(super) fn of(status: &'a CaptureStatus) -> Self {
        let relay = |relay: &'a RelayStatus| RelayBody {
            passed: relay.passed,
            lost: relay.lost,
            trouble: relay.trouble.as_deref(),
        };
        Self {
            missing: status.missing,
            late: status.late,
            flagged: status.flagged,
            jumps: status.jumps,
            restarts: status.restarts,
            xruns: status.xruns,
            sound_lost: status.sound_lost,
            picture_ppm: status.picture_ppm.map(rounded),
            sound_ppm: status.sound_ppm.map(rounded),
            skew_ms: status.skew_ms.map(rounded),
            relay: status.relay.as_ref().map(relay),
        }
    }
}
