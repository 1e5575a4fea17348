//! The polite guest: measures what Picket takes and what the box has, and tells each source what it may do.

use crate::budget::{Governor, Grant, Load, Reason, Settings, Share, SourceLoad};
use crate::config::Config;
use crate::health::{Machine, own_cpu_time, trim_memory};
use crate::ids::SourceId;
use crate::time::Mono;
use crate::wire::BudgetHealth;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Freed memory is given back no more often than this while the process is over its budget.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// One source as the guest knows it.
struct Seat {
    id: SourceId,
    share: Share,
    decodes: bool,
    told: Grant,
}

/// Keeps to the budget.
pub(super) struct Guest {
    governor: Governor,
    seats: Vec<Seat>,
    machine: Machine,
    encoder: Option<PathBuf>,
    budget: Settings,
    measured: Mono,
    own: Duration,
    trimmed: Option<Mono>,
    cores: f64,
    over_memory: bool,
    throttled: Option<bool>,
    throttle: Duration,
}

impl Guest {
    /// All sources are looked at in full until something is known.
    pub(super) fn new(config: &Config, now: Mono) -> Self {
        let seat = |source: &crate::config::Source| Seat {
            id: source.id.clone(),
            share: Share::default(),
            decodes: source.input.is_decoded(),
            told: Grant::default(),
        };
        Self {
            governor: Governor::new(config.budget.limits, config.sources.len()),
            seats: config.sources.iter().map(seat).collect(),
            machine: Machine::new(Path::new("/"), &config.device.state_dir),
            encoder: config.budget.encoder_cgroup.clone(),
            budget: config.budget.limits,
            measured: now,
            own: own_cpu_time(),
            trimmed: None,
            cores: 0.0,
            over_memory: false,
            throttled: None,
            throttle: Duration::ZERO,
        }
    }

    /// One for each source, in the order of the configuration.
    pub(super) fn shares(&self) -> impl Iterator<Item = &Share> {
        self.seats.iter().map(|seat| &seat.share)
    }

    /// What a source may do.
    pub(super) fn effort(&self, source: &SourceId) -> Grant {
        self.seats.iter().find(|seat| seat.id == *source).map(|seat| seat.told).unwrap_or_default()
    }

    /// What is taken and may be. `coverage`: the least of all sources.
    pub(super) fn account(&self, coverage: f64) -> BudgetHealth {
        BudgetHealth {
            cpu_pct: self.cores * 100.0,
            cpu_pct_max: self.budget.cpu_cores_max * 100.0,
            rss_bytes_max: self.budget.memory_bytes_max,
            over_memory: self.over_memory,
            coverage,
        }
    }

    /// Whether processors are slowed down for heat, and for how long they were since the start, where that can be known.
    pub(super) fn throttled(&self) -> Option<(bool, Duration)> {
        self.throttled.map(|now| (now, self.throttle))
    }

    /// Called each second.
    pub(super) fn tick(&mut self, now: Mono) {
        let own = own_cpu_time();
        let passed = now.since(self.measured);
        if passed.is_zero() {
            return;
        }
        let used = own.saturating_sub(self.own);
        (self.own, self.measured) = (own, now);
        self.cores = used.as_secs_f64() / passed.as_secs_f64();
        let machine = self.machine.load(self.encoder.as_deref());
        self.throttled = machine.throttled;
        if self.throttled == Some(true) {
            self.throttle += passed;
        }
        let source = |seat: &Seat| {
            let (decode, look, delay) = seat.share.take();
            SourceLoad { decode, look, delay, decodes: seat.decodes }
        };
        self.governor.update(&Load {
            passed,
            own: used,
            memory_bytes: machine.rss_bytes.unwrap_or(0),
            machine_busy_pct: machine.cpu_pct,
            machine_waits_pct: machine.psi_cpu_pct,
            encoder_waits_pct: machine.encoder_psi_cpu_pct,
            throttled: machine.throttled.unwrap_or(false),
            sources: self.seats.iter().map(source).collect(),
        });
        self.tell_sources();
        self.mind_memory(now, machine.rss_bytes.unwrap_or(0));
    }

    fn tell_sources(&mut self) {
        for (n, seat) in self.seats.iter_mut().enumerate() {
            let grant = self.governor.grant(n);
            if grant.step != seat.told.step {
                let by = grant.shed_by.map_or("nothing", Reason::name);
                tracing::info!(source = %seat.id, effort = grant.step.name(), shed_by = by, "does what the budget allows");
            }
            seat.told = grant;
            seat.share.set_step(grant.step);
        }
    }

    fn mind_memory(&mut self, now: Mono, bytes: u64) {
        let over = self.governor.over_memory().is_some();
        if over && self.trimmed.is_none_or(|when| now.since(when) >= TRIM_EVERY) {
            self.trimmed = Some(now);
            trim_memory();
        }
        if over != self.over_memory {
            let (mib, most) = (bytes >> 20, self.budget.memory_bytes_max >> 20);
            if over {
                tracing::warn!(mib, most, "over the memory of the budget");
            } else {
                tracing::info!(mib, most, "within the memory of the budget again");
            }
        }
        self.over_memory = over;
    }
}
