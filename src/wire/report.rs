//! The closing line of `analyze`.

use super::{MINOR_VERSION, rounded};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `analyze` did, in one line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "summary")]
pub struct Summary {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `summary`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^summary$"))]
    pub kind: &'static str,
    /// The input, without credentials.
    pub input: String,
    /// "1920x1080 h264, 48000 Hz 2 ch aac".
    pub format: String,
    /// Media time from the first unit to the last, seconds.
    pub duration_s: f64,
    /// Pictures decoded.
    pub frames: u64,
    /// Pictures analysed.
    pub frames_analysed: u64,
    /// Damaged packets and pictures.
    pub decoder_errors: u64,
    /// Incidents raised, for each defect that was watched.
    pub incidents: BTreeMap<&'static str, u64>,
    /// Time that it took, seconds.
    pub wall_s: f64,
    /// Processor time of this process, user and system, seconds.
    pub cpu_s: f64,
    /// Most memory resident at once, bytes.
    pub peak_rss_bytes: u64,
    /// Instruction set of the kernels.
    pub kernels: &'static str,
}

/// As JSON.
pub fn summary(mut summary: Summary) -> Vec<u8> {
    summary.v = MINOR_VERSION;
    summary.kind = "summary";
    for seconds in [&mut summary.duration_s, &mut summary.wall_s, &mut summary.cpu_s] {
        *seconds = rounded(*seconds);
    }
    super::encoded(&summary)
}

/// `analyze --format json`: all events and the summary in one document.
pub fn document(events: &[Vec<u8>], summary: &[u8]) -> Vec<u8> {
    let mut out = br#"{"events":["#.to_vec();
    for (n, event) in events.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        out.extend_from_slice(event);
    }
    out.extend_from_slice(br#"],"summary":"#);
    out.extend_from_slice(summary);
    out.push(b'}');
    out
}
