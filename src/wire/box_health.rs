//! The machine's part of `health`.

use super::{Made, rounded};
use crate::health::{BoxHealth, NetHealth};
use crate::time::Mono;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest text about a crash.
const TEXT_BYTES_MAX: usize = 512;

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
    /// Hottest sensor, degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_c: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub temps: BTreeMap<&'a str, f64>,
    /// Processors are slowed down for heat.
    #[serde(skip_serializing_if = "Option::is_none")]
    throttled: Option<bool>,
    /// For how long they were, since the daemon started, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_s: Option<f64>,
    /// Use of the file system that holds the outbox, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_pct: Option<f64>,
    /// Use of its inodes, %.
    #[serde(skip_serializing_if = "Option::is_none")]
    inode_pct: Option<f64>,
    /// It is mounted read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_ro: Option<bool>,
    /// How much of its life the most worn eMMC has behind it, the upper end of the tenth that it tells, %; 110: beyond.
    #[serde(skip_serializing_if = "Option::is_none")]
    flash_wear_pct: Option<f64>,
    /// What the machine writes to its disks in a day, by the last 24 hours or what there is of them, MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    flash_mb_day: Option<f64>,
    /// Network interfaces, eight at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub net: BTreeMap<&'a str, NetBody>,
    /// How far the wall clock may be off; absent while it is not synchronised.
    #[serde(skip_serializing_if = "Option::is_none")]
    clk_err_ms: Option<f64>,
    /// Of the watchdog.
    #[serde(skip_serializing_if = "Option::is_none")]
    wd: Option<WatchdogBody>,
    /// Times that Picket started again since the machine did.
    restarts: u32,
    /// Hours in which it ran without a crash, over restarts, since the last one.
    crashfree_h: f64,
    /// The last words of the last crash, where it is not long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_crash: Option<&'a str>,
    /// Why nothing is watched: Picket crashed again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    safe_mode: Option<&'a str>,
    /// Why the machine started anew: `kernel_panic`, `watchdog`, `overheat`, `fan_failure`, `undervoltage`; absent where
    /// that left no trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_reason: Option<&'a str>,
}

/// One network interface. Losses count both ways, from the start of the daemon.
#[derive(Serialize, JsonSchema)]
pub(super) struct NetBody {
    /// Received since the last message, Mbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    rx_mbit: Option<f64>,
    /// Sent since the last message, Mbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_mbit: Option<f64>,
    /// Damaged packets.
    errs: u64,
    /// Packets that the kernel dropped.
    drops: u64,
    /// There is a link.
    link: bool,
}

#[derive(Serialize, JsonSchema)]
struct WatchdogBody {
    /// Time until it would have bitten, at its least since the last message.
    margin_ms: u64,
}

impl<'a> BoxBody<'a> {
    pub(super) fn of(made: &Made, measured: &'a BoxHealth) -> Self {
        let net = |net: &NetHealth| NetBody {
            rx_mbit: net.rates.map(|rates| rounded(rates.0)),
            tx_mbit: net.rates.map(|rates| rounded(rates.1)),
            errs: net.errs,
            drops: net.drops,
            link: net.link,
        };
        let runs = &measured.runs;
        Self {
            up_s: rounded(measured.up.as_secs_f64()),
            os_up_s: rounded(made.mono.since(Mono(0)).as_secs_f64()),
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
            throttled: measured.throttled,
            throttle_s: measured.throttle.map(|time| rounded(time.as_secs_f64())),
            disk_pct: measured.disk_pct.map(rounded),
            inode_pct: measured.inode_pct.map(rounded),
            disk_ro: measured.disk_ro,
            flash_wear_pct: measured.flash_wear_pct.map(rounded),
            flash_mb_day: measured.flash_mb_day.map(rounded),
            net: measured.net.iter().map(|(name, one)| (name.as_str(), net(one))).collect(),
            clk_err_ms: measured.clock_error.map(|error| rounded(error.as_secs_f64() * 1e3)),
            wd: measured.watchdog_margin.map(|margin| WatchdogBody { margin_ms: margin.as_millis() as u64 }),
            restarts: runs.restarts,
            crashfree_h: rounded(runs.crash_free.as_secs_f64() / 3600.0),
            last_crash: runs.last_crash.as_deref().map(|text| super::cut(text, TEXT_BYTES_MAX)),
            safe_mode: runs.safe_mode.as_deref().map(|text| super::cut(text, TEXT_BYTES_MAX)),
            reset_reason: measured.reset_reason,
        }
    }
}
