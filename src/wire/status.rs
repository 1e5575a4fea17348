//! Retained documents and health (contract, mqtt): status, info, state, health.

use super::capture::CaptureBody;
use super::head::Head;
use super::sync::{PairBody, SyncBody};
use super::verdict::Verdict;
use super::{Made, encoded, rfc3339, rounded};
use crate::alert::Candidate;
use crate::budget::{Grant, Reason};
use crate::detect::{Defect, Severity};
use crate::health::{BoxHealth, Signal, SourceStatus};
use crate::ids::{DeviceId, IncidentId, SourceId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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

/// What is fixed about this device while the daemon runs.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its name for people.
    pub name: Option<String>,
    /// Its site for people.
    pub site: Option<String>,
}

/// One source as `info` tells it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Info {
    /// Its id.
    pub id: String,
    /// What it reads, without credentials.
    pub input: String,
    /// Defects that are watched, with their hold times.
    pub detectors: BTreeMap<&'static str, Hold>,
}

/// Hold times of one defect.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Hold {
    /// Present for this long: raised.
    pub raise_after_s: f64,
    /// Gone for this long: cleared.
    pub clear_after_s: f64,
}

/// Hold times of all defects that are watched, by name.
pub fn holds(settings: &crate::alert::Settings) -> BTreeMap<&'static str, Hold> {
    let of = |defect: Defect| {
        settings.hold(defect).map(|hold| {
            let (raise, clear) = (hold.raise_after.as_secs_f64(), hold.clear_after.as_secs_f64());
            (defect.name(), Hold { raise_after_s: rounded(raise), clear_after_s: rounded(clear) })
        })
    };
    Defect::ALL.into_iter().filter_map(of).collect()
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "info")]
pub(super) struct InfoBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    /// Version of Picket.
    version: &'a str,
    /// Starts of the daemon on this device.
    start: u32,
    /// Processor architecture.
    arch: &'a str,
    /// Instruction set of the kernels.
    kernels: &'a str,
    sources: &'a [Info],
    /// Commands that this version does.
    commands: &'a [&'a str],
    /// Longest body under the main root, bytes.
    body_bytes_max: u32,
    /// Longest picture, bytes.
    image_bytes_max: u32,
}

/// The body of `info`.
pub fn info(made: &Made, device: &Device, start: u32, kernels: &str, sources: &[Info]) -> Vec<u8> {
    encoded(&InfoBody {
        head: Head::new(made),
        device: device.id.as_str(),
        name: device.name.as_deref(),
        site: device.site.as_deref(),
        version: env!("CARGO_PKG_VERSION"),
        start,
        arch: std::env::consts::ARCH,
        kernels,
        sources,
        commands: &super::command::COMMANDS,
        body_bytes_max: super::command::BODY_BYTES_MAX as u32,
        image_bytes_max: 32 << 10,
    })
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

/// The outbox, for `health`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct SpoolHealth {
    /// Messages that the broker has not acknowledged.
    pub n: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Age of the oldest, seconds.
    pub oldest_s: f64,
    /// Messages given up because the outbox was full.
    pub dropped: u64,
    /// Messages that the broker would not take.
    pub refused: u64,
    /// Messages given up because of their age.
    pub expired: u64,
    /// Why messages are kept in memory only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The link, for `health`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct BrokerHealth {
    /// Connections after the first.
    pub reconnects: u64,
    /// From a publish to its acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Since the connection was made, seconds; 0 without one.
    pub up_s: f64,
    /// What the broker has against us: "not authorised to publish".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complaint: Option<&'static str>,
}

/// What Picket takes and may take, for `health`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BudgetHealth {
    /// Processor time of Picket over the last second, % of one core.
    pub cpu_pct: f64,
    /// The most it may be.
    pub cpu_pct_max: f64,
    /// The most that `rss_bytes` may be.
    pub rss_bytes_max: u64,
    /// Memory is over it.
    pub over_memory: bool,
    /// The least coverage of all sources, 0 to 1.
    pub coverage: f64,
}

/// One source, for `health`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SourceHealth {
    /// As in its `state`.
    #[schemars(regex(pattern = "^(ok|warning|alert|lost|off)$"))]
    pub verdict: &'static str,
    /// Pictures per second over the last second.
    pub fps: f64,
    /// Share of the pictures of the last seconds that were looked at, 0 to 1.
    pub coverage: f64,
    /// Pictures since the start.
    pub frames: u64,
    /// Damaged pictures and packets since the start.
    pub errors: u64,
    /// Times the source was opened again since the start.
    pub reconnects: u64,
    /// Times its thread was restarted after a failure since the start.
    pub restarts: u64,
}

impl From<&SourceState> for SourceHealth {
    fn from(state: &SourceState) -> Self {
        let status = &state.status;
        Self {
            verdict: state.verdict().name(),
            fps: rounded(status.fps),
            coverage: rounded(status.coverage),
            frames: status.frames,
            errors: status.errors,
            reconnects: status.reconnects,
            restarts: status.restarts,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "health")]
pub(super) struct HealthBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Worst verdict of all sources, or `warning` when the box itself is in trouble.
    #[schemars(regex(pattern = "^(ok|warning|alert|lost|off)$"))]
    class: &'a str,
    #[serde(flatten)]
    box_health: &'a BoxBody<'a>,
    budget: &'a BudgetHealth,
    spool: &'a SpoolHealth,
    mqtt: &'a BrokerHealth,
    src: BTreeMap<&'a str, SourceHealth>,
}

/// Fields that this machine does not have are absent.
#[derive(Serialize, JsonSchema)]
pub(super) struct BoxBody<'a> {
    /// Since the daemon started, seconds.
    up_s: f64,
    /// Since the machine started, seconds.
    os_up_s: f64,
    /// Processor time of the machine, % of all cores, since the last message.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_pct: Option<f64>,
    /// Processor time of Picket, % of one core, since the last message.
    #[serde(skip_serializing_if = "Option::is_none")]
    own_cpu_pct: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load1: Option<f64>,
    /// Pressure (PSI, some, 10 s), %.
    #[serde(skip_serializing_if = "Option::is_none")]
    psi_cpu_pct: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi_mem_pct: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi_io_pct: Option<f64>,
    /// Memory in use, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_pct: Option<f64>,
    /// Memory of Picket, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_bytes: Option<u64>,
    /// Hottest thermal zone, degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_c: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    temps: BTreeMap<&'a str, f64>,
    /// Use of the file system that holds the outbox, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_pct: Option<f64>,
    /// It is mounted read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_ro: Option<bool>,
    /// Time until the watchdog would have bitten, at its least since the last message, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    wd_margin_ms: Option<u64>,
}

/// The body of `health`.
pub fn health(
    made: &Made,
    measured: &BoxHealth,
    budget: &BudgetHealth,
    spool: &SpoolHealth,
    mqtt: &BrokerHealth,
    sources: &BTreeMap<SourceId, SourceState>,
) -> Vec<u8> {
    let box_health = BoxBody {
        up_s: rounded(measured.up.as_secs_f64()),
        os_up_s: rounded(made.mono.since(crate::time::Mono(0)).as_secs_f64()),
        cpu_pct: measured.cpu_pct.map(rounded),
        own_cpu_pct: measured.own_cpu_pct.map(rounded),
        load1: measured.load1.map(rounded),
        psi_cpu_pct: measured.psi_cpu_pct.map(rounded),
        psi_mem_pct: measured.psi_mem_pct.map(rounded),
        psi_io_pct: measured.psi_io_pct.map(rounded),
        mem_pct: measured.mem_pct.map(rounded),
        rss_bytes: measured.rss_bytes,
        temp_c: measured.temps.values().copied().reduce(f64::max).map(rounded),
        temps: measured.temps.iter().map(|(name, &c)| (name.as_str(), rounded(c))).collect(),
        disk_pct: measured.disk_pct.map(rounded),
        disk_ro: measured.disk_ro,
        wd_margin_ms: measured.watchdog_margin.map(|margin| margin.as_millis() as u64),
    };
    let (used, most, coverage) = (rounded(budget.cpu_pct), rounded(budget.cpu_pct_max), rounded(budget.coverage));
    let budget = &BudgetHealth { cpu_pct: used, cpu_pct_max: most, coverage, ..*budget };
    let spool = &SpoolHealth { oldest_s: rounded(spool.oldest_s), ..spool.clone() };
    let mqtt = &BrokerHealth { rtt_ms: mqtt.rtt_ms.map(rounded), up_s: rounded(mqtt.up_s), ..mqtt.clone() };
    encoded(&HealthBody {
        head: Head::new(made),
        class: class(budget, spool, sources).name(),
        box_health: &box_health,
        budget,
        spool,
        mqtt,
        src: sources.iter().map(|(id, state)| (id.as_str(), state.into())).collect(),
    })
}

/// The worst of all.
pub fn class(budget: &BudgetHealth, spool: &SpoolHealth, sources: &BTreeMap<SourceId, SourceState>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Ok => 0,
        Verdict::Off => 1,
        Verdict::Warning => 2,
        Verdict::Alert => 3,
        Verdict::Lost => 4,
    };
    let own = if spool.trouble.is_some() || budget.over_memory { Verdict::Warning } else { Verdict::Ok };
    sources.values().map(SourceState::verdict).chain([own]).max_by_key(rank).unwrap_or(Verdict::Ok)
}
