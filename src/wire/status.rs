//! Whether the device is there, and how each source is doing (contract, mqtt): status, state.

use super::capture::CaptureBody;
use super::head::Head;
use super::sync::{PairBody, SyncBody};
use super::verdict::Verdict;
use super::{Made, encoded, rfc3339, rounded};
use crate::alert::Candidate;
use crate::budget::{Grant, Reason};
use crate::detect::{Defect, Severity};
use crate::health::{Signal, SourceStatus};
use crate::ids::IncidentId;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Birth, will, and the last word of an orderly stop.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "status")]
pub(super) struct StatusBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// `online`, `stopping` or `lost`.
    #[schemars(regex(pattern = "^(online|stopping|lost)$"))]
    state: &'a str,
    /// Number of the connection since the daemon started: the same in birth and will.
    conn: u64,
}

/// The body of `status`.
pub fn status(made: &Made, state: &str, conn: u64) -> Vec<u8> {
    encoded(&StatusBody { head: Head::new(made), state, conn })
}

/// An open incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// Which.
    pub id: IncidentId,
    /// What.
    pub defect: Defect,
    /// How bad.
    pub severity: Severity,
}

/// How one source is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceState {
    /// What the budget allows it.
    pub effort: Grant,
    /// What its thread measured.
    pub status: SourceStatus,
    /// What is wrong.
    pub open: Vec<OpenIncident>,
    /// What may become so: seen, not yet for long enough. No alert.
    pub candidates: Vec<Candidate>,
    /// Until when new incidents are not told, wall-clock time, ms.
    pub muted_until: Option<i64>,
    /// Open incidents that somebody said to know of.
    pub acked: BTreeSet<IncidentId>,
}

impl SourceState {
    /// One word.
    pub fn verdict(&self) -> Verdict {
        let lost = self.open.iter().any(|open| open.defect == Defect::StreamLoss);
        match (self.status.signal, self.open.iter().map(|open| open.severity).max()) {
            (Signal::Lost, _) => Verdict::Lost,
            _ if lost => Verdict::Lost,
            (_, Some(Severity::Critical | Severity::Major)) => Verdict::Alert,
            (_, Some(Severity::Minor | Severity::Warning)) => Verdict::Warning,
            (Signal::Connecting, None) => Verdict::Off,
            (Signal::Up, None) => Verdict::Ok,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct OpenBody<'a> {
    id: &'a str,
    defect: &'a str,
    severity: &'a str,
    /// Somebody said to know of it (command `ack`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    acked: bool,
}

#[derive(Serialize, JsonSchema)]
struct CandidateBody<'a> {
    defect: &'a str,
    /// When it began, as `onset_s` of an event.
    since_s: f64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "state")]
pub(super) struct StateBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// `ok`, `warning`, `alert`, `lost` or `off`.
    #[schemars(regex(pattern = "^(ok|warning|alert|lost|off)$"))]
    verdict: &'a str,
    /// Open incidents.
    open: Vec<OpenBody<'a>>,
    /// What is seen, and not yet for long enough to be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<CandidateBody<'a>>,
    /// Why nothing arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Until then new incidents are not told (command `mute`), RFC 3339 UTC by this box's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<String>,
    /// "1920x1080 h264, 48000 Hz 2 ch aac".
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    /// Pictures per second over the last second.
    fps: f64,
    /// Share of the pictures of the last seconds that were looked at, 0 to 1.
    coverage: f64,
    /// How closely: "all pictures in full" down to "key pictures", or "suspended".
    effort: &'a str,
    /// Why not more closely.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(cpu_budget|memory_budget|encoder_starved|machine_busy|throttled|backlog)$"))]
    shed_by: Option<&'a str>,
    /// Mean luma, 0 black to 1 white.
    #[serde(skip_serializing_if = "Option::is_none")]
    luma: Option<f64>,
    /// Loudest channel over the last 100 ms, dBFS RMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    rms_dbfs: Option<f64>,
    /// Loudness of the last 400 ms, LUFS (EBU R 128); -70 for less than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    momentary_lufs: Option<f64>,
    /// Loudness of the last 3 s, LUFS.
    #[serde(skip_serializing_if = "Option::is_none")]
    short_term_lufs: Option<f64>,
    /// Integrated loudness, LUFS; what is older than half an hour weighs half.
    #[serde(skip_serializing_if = "Option::is_none")]
    integrated_lufs: Option<f64>,
    /// True peak of the last 100 ms, dBTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_peak_dbtp: Option<f64>,
    /// What capture devices told since they were opened, where the source is a tap on such.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<CaptureBody<'a>>,
    /// Sound against picture, where something is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<SyncBody>,
    /// Against the source before the encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<PairBody<'a>>,
}

/// The body of a source's `state`.
pub fn state(made: &Made, source: &SourceState) -> Vec<u8> {
    let status = &source.status;
    encoded(&StateBody {
        head: Head::new(made),
        verdict: source.verdict().name(),
        open: source
            .open
            .iter()
            .map(|open| OpenBody {
                id: open.id.as_str(),
                defect: open.defect.name(),
                severity: open.severity.name(),
                acked: source.acked.contains(&open.id),
            })
            .collect(),
        candidates: source
            .candidates
            .iter()
            .map(|seen| CandidateBody { defect: seen.defect.name(), since_s: rounded(seen.since.as_secs_f64()) })
            .collect(),
        reason: status.reason.as_deref(),
        muted_until: source.muted_until.map(rfc3339),
        format: status.format.as_deref(),
        fps: rounded(status.fps),
        coverage: rounded(status.coverage),
        effort: source.effort.step.name(),
        shed_by: source.effort.shed_by.map(Reason::name),
        luma: status.luma_mean.map(rounded),
        rms_dbfs: status.rms_dbfs.map(rounded),
        momentary_lufs: status.loudness.map(|loudness| rounded(loudness[0])),
        short_term_lufs: status.loudness.map(|loudness| rounded(loudness[1])),
        integrated_lufs: status.loudness.map(|loudness| rounded(loudness[2])),
        true_peak_dbtp: status.true_peak_dbtp.map(rounded),
        capture: status.capture.as_ref().map(CaptureBody::of),
        sync: SyncBody::of(status),
        pair: status.pair.as_ref().map(PairBody::of),
    })
}
