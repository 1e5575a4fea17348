//! What systemd is told (sd_notify(3)): ready, alive, a line for people, stopping. Does nothing without systemd.

use crate::ids::SourceId;
use crate::wire::{SourceState, Verdict};
use sd_notify::NotifyState;
use std::collections::BTreeMap;
use std::time::Duration;

/// Tells systemd.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reporting {
    /// How often health is told.
    pub health_period: Duration,
    watchdog: bool,
}

impl Reporting {
    /// Looks at what systemd asks for.
    pub(super) fn new(health_period: Duration) -> Self {
        Self { health_period, watchdog: sd_notify::watchdog_enabled().is_some() }
    }

    /// Start-up is over.
    pub(super) fn ready(&self) {
        tracing::info!("every source has been judged: ready");
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// All threads move.
    pub(super) fn alive(&self) {
        if self.watchdog {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        tracing::info!("stopping");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
    }

    /// "4 sources: 3 ok, 1 alert; broker up; 0 waiting".
    pub(super) fn status(&self, sources: &BTreeMap<SourceId, SourceState>, connected: bool, waiting: u64) {
        let line = status_line(sources, connected, waiting);
        let _ = sd_notify::notify(&[NotifyState::Status(&line)]);
    }
}

fn status_line(sources: &BTreeMap<SourceId, SourceState>, connected: bool, waiting: u64) -> String {
    let verdicts = [Verdict::Ok, Verdict::Warning, Verdict::Alert, Verdict::Lost, Verdict::Off];
    let counts: Vec<String> = verdicts
        .into_iter()
        .map(|verdict| (verdict, sources.values().filter(|source| source.verdict() == verdict).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.name()))
        .collect();
    let broker = if connected { "up" } else { "down" };
    format!("{} sources: {}; broker {broker}; {waiting} waiting", sources.len(), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Signal, SourceStatus};

    #[test]
    fn the_line_counts_verdicts() {
        let state = |signal| {
            let status = SourceStatus { signal, ..SourceStatus::default() };
            SourceState { status, ..SourceState::default() }
        };
        let id = |name| SourceId::new(name).expect("well formed");
        let sources = BTreeMap::from([
            (id("a"), state(Signal::Up)),
            (id("b"), state(Signal::Up)),
            (id("c"), state(Signal::Lost)),
        ]);
        assert_eq!(status_line(&sources, true, 3), "3 sources: 2 ok, 1 lost; broker up; 3 waiting");
    }
}
