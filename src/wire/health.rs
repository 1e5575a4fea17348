//! How the box is doing (contract, mqtt; names of research, ecosystem, section 7): the passing message `health`.

use super::box_health::BoxBody;
use super::certificate::CertHealth;
use super::command::BODY_BYTES_MAX;
use super::head::Head;
use super::status::SourceState;
use super::verdict::Verdict;
use super::{Made, encoded, rounded};
use crate::health::BoxHealth;
use crate::ids::SourceId;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// The broker, "host:port".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
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

/// One source, for `health`. Counters count from the start of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct SourceHealth {
    /// As in its `state`.
    #[schemars(regex(pattern = "^(ok|warning|alert|lost|off)$"))]
    verdict: &'static str,
    #[serde(flatten)]
    rates: Option<RatesBody>,
    #[serde(flatten)]
    details: Option<DetailsBody>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct RatesBody {
    /// Pictures per second over the last second.
    fps: f64,
    /// Share of the pictures of the last seconds that were looked at, 0 to 1.
    coverage: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct DetailsBody {
    /// Pictures per second by their stamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    fps_expected: Option<f64>,
    /// From the arrival of pictures and sound to their having been judged, at its most over the last second.
    lag_ms: f64,
    /// Pictures.
    frames: u64,
    /// Pictures that are missing by their stamps, or by the driver's count.
    drop: u64,
    /// Pictures that were shown again while the programme moved.
    dup: u64,
    /// Pictures that Picket was too late for: judged more than a second after they came, or not fetched in time.
    late: u64,
    /// Damaged pictures and packets.
    errors: u64,
    /// Times that nothing came for more than a second.
    stalls: u64,
    /// Times the source was opened again.
    reconnects: u64,
    /// Times its thread was restarted after a failure.
    restarts: u64,
}

impl SourceHealth {
    fn of(state: &SourceState, cut: Cut) -> Self {
        let status = &state.status;
        let rates = || RatesBody { fps: rounded(status.fps), coverage: rounded(status.coverage) };
        let details = || DetailsBody {
            fps_expected: status.fps_expected.map(rounded),
            lag_ms: rounded(status.lag.as_secs_f64() * 1e3),
            frames: status.frames,
            drop: status.dropped,
            dup: status.repeated,
            late: status.late + status.capture.as_ref().map_or(0, |capture| capture.late),
            errors: status.errors,
            stalls: status.stalls,
            reconnects: status.reconnects,
            restarts: status.restarts,
        };
        Self {
            verdict: state.verdict().name(),
            rates: (cut < Cut::Rates).then(rates),
            details: (cut < Cut::Details).then(details),
        }
    }
}

/// What is left out, first things first, each with all before it, so that a body is not too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Nothing,
    /// The temperatures of all sensors but the hottest.
    Temps,
    /// Network interfaces.
    Net,
    /// The counters of all sources, and what else is of interest when one is looked at.
    Details,
    /// The rates of all sources.
    Rates,
    /// Sources: those that are well go first.
    Sources,
}

impl Cut {
    const ALL: [Cut; 6] = [Cut::Nothing, Cut::Temps, Cut::Net, Cut::Details, Cut::Rates, Cut::Sources];

    fn name(self) -> &'static str {
        match self {
            Cut::Nothing => "",
            Cut::Temps => "temps",
            Cut::Net => "net",
            Cut::Details => "src.details",
            Cut::Rates => "src.rates",
            Cut::Sources => "src",
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "health")]
pub(super) struct HealthBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Worst verdict of all sources; `warning` at least when the box itself is in trouble, `alert` in safe mode.
    #[schemars(regex(pattern = "^(ok|warning|alert|lost|off)$"))]
    class: &'a str,
    #[serde(flatten)]
    box_health: BoxBody<'a>,
    #[serde(flatten)]
    cert: CertHealth,
    budget: &'a BudgetHealth,
    spool: &'a SpoolHealth,
    mqtt: &'a BrokerHealth,
    src: BTreeMap<&'a str, SourceHealth>,
    /// Left out so that the body is not too long, first things first: `temps`, `net`, `src.details`, `src.rates`, `src`
    /// (of some sources, those that are well before others). Each source's `state` has more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    truncated: Vec<&'static str>,
}

/// What `health` is made of besides the machine.
#[derive(Clone, Copy, Debug)]
pub struct HealthParts<'a> {
    /// What Picket takes.
    pub budget: &'a BudgetHealth,
    /// The outbox.
    pub spool: &'a SpoolHealth,
    /// The link.
    pub mqtt: &'a BrokerHealth,
    /// The certificate of this device.
    pub cert: &'a CertHealth,
    /// All sources.
    pub sources: &'a BTreeMap<SourceId, SourceState>,
}

/// The body of `health`, at most 8 KiB.
pub fn health(made: &Made, measured: &BoxHealth, parts: HealthParts<'_>) -> Vec<u8> {
    let HealthParts { budget, spool, mqtt, cert, sources } = parts;
    let class = class(measured.runs.safe_mode.is_some(), parts).name();
    let (used, most, coverage) = (rounded(budget.cpu_pct), rounded(budget.cpu_pct_max), rounded(budget.coverage));
    let budget = &BudgetHealth { cpu_pct: used, cpu_pct_max: most, coverage, ..*budget };
    let spool = &SpoolHealth { oldest_s: rounded(spool.oldest_s), ..spool.clone() };
    let mqtt = &BrokerHealth { rtt_ms: mqtt.rtt_ms.map(rounded), up_s: rounded(mqtt.up_s), ..mqtt.clone() };
    let body = |cut: Cut, sources_max: usize| {
        let mut box_health = BoxBody::of(made, measured);
        if cut >= Cut::Temps {
            box_health.temps.clear();
        }
        if cut >= Cut::Net {
            box_health.net.clear();
        }
        let mut told: Vec<(&SourceId, &SourceState)> = sources.iter().collect();
        if told.len() > sources_max {
            told.sort_by_key(|(_, state)| std::cmp::Reverse(rank(state.verdict())));
            told.truncate(sources_max);
        }
        encoded(&HealthBody {
            head: Head::new(made),
            class,
            box_health,
            cert: cert.rounded(),
            budget,
            spool,
            mqtt,
            src: told.into_iter().map(|(id, state)| (id.as_str(), SourceHealth::of(state, cut))).collect(),
            truncated: Cut::ALL[1..].iter().take_while(|part| **part <= cut).map(|part| part.name()).collect(),
        })
    };
    for cut in &Cut::ALL[..Cut::ALL.len() - 1] {
        let body = body(*cut, sources.len());
        if body.len() <= BODY_BYTES_MAX {
            return body;
        }
    }
    // One source needs about 60 bytes then.
    let mut sources_max = sources.len().min(BODY_BYTES_MAX / 60);
    loop {
        let body = body(Cut::Sources, sources_max);
        if body.len() <= BODY_BYTES_MAX || sources_max == 0 {
            return body;
        }
        sources_max -= sources_max.div_ceil(16);
    }
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Off => 1,
        Verdict::Warning => 2,
        Verdict::Alert => 3,
        Verdict::Lost => 4,
    }
}

/// The worst of all. `safe_mode`: nothing is watched.
pub fn class(safe_mode: bool, parts: HealthParts<'_>) -> Verdict {
    let own = if safe_mode {
        Verdict::Alert
    } else if parts.spool.trouble.is_some() || parts.budget.over_memory {
        Verdict::Warning
    } else {
        Verdict::Ok
    };
    let sources = parts.sources.values().map(SourceState::verdict);
    sources.chain([own, parts.cert.verdict()]).max_by_key(|verdict| rank(*verdict)).unwrap_or(Verdict::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{NetHealth, Signal, SourceStatus};
    use crate::ids::BootId;

    fn told(sources: usize) -> serde_json::Value {
        let made = Made { wall: Default::default(), mono: Default::default(), boot: BootId::from_kernel("0") };
        let state = |n: usize| {
            let signal = if n % 10 == 9 { Signal::Lost } else { Signal::Up };
            let most = u64::from(u32::MAX);
            let status = SourceStatus {
                signal,
                fps: 59.94,
                fps_expected: Some(59.94),
                frames: most,
                dropped: most,
                repeated: most,
                errors: most,
                ..SourceStatus::default()
            };
            SourceState { status, ..SourceState::default() }
        };
        let id = |n| SourceId::new(&format!("{n:0>32}")).expect("well formed");
        let sources = (0..sources).map(|n| (id(n), state(n))).collect();
        let mut measured = BoxHealth { cpu_pct: Some(f64::NAN), load1: Some(f64::INFINITY), ..BoxHealth::default() };
        measured.temps = (0..16).map(|n| (format!("{n:0>48}"), 41.5)).collect();
        let net = NetHealth { rates: Some((1e4, 1e4)), errs: u64::MAX, drops: u64::MAX, link: true };
        measured.net = (0..8).map(|n| (format!("{n:0>15}"), net)).collect();
        measured.runs.last_crash = Some("y".repeat(5000));
        let budget =
            BudgetHealth { cpu_pct: 1.0, cpu_pct_max: 25.0, rss_bytes_max: 1, over_memory: false, coverage: 1.0 };
        let spool = SpoolHealth { trouble: Some("x".repeat(200)), ..SpoolHealth::default() };
        let mqtt = BrokerHealth { broker: Some("h".repeat(253)), ..BrokerHealth::default() };
        let cert = CertHealth::default();
        let parts = HealthParts { budget: &budget, spool: &spool, mqtt: &mqtt, cert: &cert, sources: &sources };
        let body = health(&made, &measured, parts);
        assert!(body.len() <= BODY_BYTES_MAX, "{} bytes", body.len());
        serde_json::from_slice(&body).expect("JSON")
    }

    #[test]
    fn bodies_fit_and_say_what_was_left_out() {
        let of = |value: &serde_json::Value| {
            let all = value["truncated"].as_array().cloned().unwrap_or_default();
            let last = all.last().and_then(|last| last.as_str()).unwrap_or_default().to_owned();
            (all.len(), last, value["src"].as_object().map_or(0, |all| all.len()))
        };
        let few = told(4);
        assert_eq!(of(&few), (0, String::new(), 4));
        assert!(few["temps"].is_object() && few["net"].is_object(), "{few}");
        assert_eq!((&few["cpu_pct"], &few["load1"]), (&0.0.into(), &0.0.into()), "never null");
        let many = told(64);
        assert_eq!(of(&many), (3, "src.details".to_owned(), 64));
        assert!(
            many.get("temps").is_none()
                && many["src"].as_object().expect("all").values().all(|one| one["fps"] == 59.94)
        );
        let most = told(1000);
        let (cuts, last, sources) = of(&most);
        assert!(cuts == 5 && last == "src" && sources > 60, "{cuts} {last} {sources}");
        let lost = most["src"].as_object().expect("some").values().filter(|one| one["verdict"] == "lost").count();
        assert_eq!(lost, sources.min(100), "those in trouble first");
    }
}
