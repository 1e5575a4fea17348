//! The closing line of `analyze`, and what `bench` found.

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

/// What `bench` found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "bench")]
pub struct BenchReport {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `bench`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^bench$"))]
    pub kind: &'static str,
    /// Instruction set that the daemon would use.
    pub kernels: &'static str,
    /// Processor time of the budget, % of one core.
    pub budget_cpu_pct: f64,
    /// What looking at a picture takes.
    pub looks: Vec<BenchLook>,
    /// What decoding takes, where an input was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<BenchDecode>,
    /// How many sources fit into the budget.
    pub fits: Vec<BenchFit>,
}

/// Looking at pictures of one size with one instruction set, all detectors: processor time of each.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BenchLook {
    /// Which instruction set.
    pub kernels: &'static str,
    /// Luma samples.
    pub width: u32,
    /// Luma samples.
    pub height: u32,
    /// In full, ms.
    pub full_ms: f64,
    /// Lightly, ms.
    pub light_ms: f64,
}

/// Decoding one input: processor time of each picture that came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct BenchDecode {
    /// The input, without credentials.
    pub input: String,
    /// "1920x1080 h264, 48000 Hz 2 ch aac".
    pub format: String,
    /// All pictures decoded, ms.
    pub full_ms: f64,
    /// Key pictures decoded, ms.
    pub key_pictures_ms: f64,
}

/// How many sources of one size and rate fit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BenchFit {
    /// Luma samples.
    pub width: u32,
    /// Luma samples.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
    /// All pictures looked at in full.
    pub all_in_full: u32,
    /// Every 4th in full and lightly between.
    pub every_4th_in_full: u32,
    /// The same, with decoding as measured for the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_decode: Option<u32>,
}

/// As JSON.
pub fn bench(mut report: BenchReport) -> Vec<u8> {
    report.v = MINOR_VERSION;
    report.kind = "bench";
    report.budget_cpu_pct = rounded(report.budget_cpu_pct);
    for look in &mut report.looks {
        (look.full_ms, look.light_ms) = (rounded(look.full_ms), rounded(look.light_ms));
    }
    if let Some(decode) = &mut report.decode {
        (decode.full_ms, decode.key_pictures_ms) = (rounded(decode.full_ms), rounded(decode.key_pictures_ms));
    }
    super::encoded(&report)
}
