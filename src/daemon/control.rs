//! The control loop: takes reports from the source threads, hands messages to the courier, tells health, feeds the
//! watchdog. One task; everything in it is short.

use super::bundles::PIECE_EVERY;
use super::certificates::Certificates;
use super::clock::ClockWatch;
use super::commands::Desk;
use super::guest::Guest;
use super::history::History;
use super::kept::{self, Kept};
use super::live::LiveSocket;
use super::mutes::Mutes;
use super::remote::Afar;
use super::runs::Runs;
use super::signals::EndSignals;
use super::source_thread::Report;
use super::updater::Updater;
use super::{About, End, Reporting};
use crate::alert::{Alert, Transition};
use crate::health::{BoxHealth, Deadman, Machine, Signal};
use crate::ids::{BootId, SourceId};
use crate::mqtt::{Courier, Event};
use crate::outbox::{Entry, Step};
use crate::time::{Clock, Mono};
use crate::wire::{
    self, BrokerHealth, HealthParts, Made, Message, Qos, SourceState, SpoolHealth, Teller, Topics, Verdict,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Pictures of one source go out at most this often (contract, mqtt).
const PICTURE_EVERY: Duration = Duration::from_secs(10);
/// A state without news is told again this often, for its rates and levels.
const STATE_EVERY: Duration = Duration::from_secs(30);
/// News of what the budget takes away or gives back go out at most this often (contract, mqtt) ...
const SHED_EVERY: Duration = Duration::from_secs(10);
/// ... and a change of coverage by more than this is news.
const COVERAGE_NEWS: f64 = 0.05;
/// The broker need not keep events for longer than we do.
const TICK: Duration = Duration::from_secs(1);

/// The control loop of one daemon.
pub(super) struct Control {
    pub clock: Arc<dyn Clock>,
    pub boot: BootId,
    pub topics: Topics,
    pub device: wire::Device,
    pub courier: Courier,
    pub machine: Machine,
    pub guest: Guest,
    pub deadman: Deadman,
    pub reporting: Reporting,
    pub started: Mono,
    pub sources: BTreeMap<SourceId, Watched>,
    pub health_told: Option<(Mono, Verdict)>,
    pub ready: bool,
    pub desk: Desk,
    pub mutes: Mutes,
    pub afar: Afar,
    pub kept: Kept,
    pub runs: Runs,
    /// Health of the last hour.
    pub history: History,
    /// Where the live part of support archives is asked for.
    pub live: LiveSocket,
    pub certificates: Certificates,
    pub clock_watch: ClockWatch,
    pub about: About,
    /// When Home Assistant is to be told again.
    pub introduce_at: Option<Mono>,
    pub updater: Updater,
}

/// What the loop remembers of a source.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub state: SourceState,
    told: Option<(Mono, SourceState)>,
    pictured: Option<Mono>,
}

/// A source of which nothing is known yet, or in safe mode ever.
pub(super) fn unwatched(runs: &Runs) -> Watched {
    let mut watched = Watched::default();
    watched.state.status.reason = runs.safe_mode().map(|why| format!("safe mode: {why}"));
    watched
}

impl Watched {
    /// Whether another picture may go out.
    pub(super) fn may_picture(&self, now: Mono) -> bool {
        self.pictured.is_none_or(|last| now.since(last) >= PICTURE_EVERY)
    }
}

impl Control {
    /// Runs until a signal or a command asks for the end.
    pub(super) async fn run(&mut self, reports: &mut Receiver<Report>, signals: &mut EndSignals) -> End {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut piece = tokio::time::interval(PIECE_EVERY);
        piece.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Alerts before all else; whoever sends many commands must not keep the end or the watchdog waiting.
                biased;
                Some(report) = reports.recv() => self.take(report),
                () = signals.recv() => return End::Stop,
                _ = tick.tick() => self.tick(),
                event = self.courier.next() => self.heard(event),
                stream = self.live.next() => self.tell_live(stream),
                _ = piece.tick(), if self.desk.bundles.is_sending() => self.send_piece(),
            }
            if let Some(end) = self.desk.end.take() {
                return end;
            }
        }
    }

    /// Takes one report of a source thread.
    pub(super) fn take(&mut self, report: Report) {
        match report {
            Report::Alert(alert) => self.alert(*alert),
            Report::State(source, state) => {
                let effort = self.guest.effort(&source);
                let muted_until = self.mutes.until(&source);
                let watched = self.sources.entry(source.clone()).or_default();
                let mut acked = std::mem::take(&mut watched.state.acked);
                acked.retain(|id| state.open.iter().any(|open| open.id == *id));
                watched.state = SourceState { effort, acked, muted_until, ..*state };
                self.tell_state(&source);
                self.tell_health();
                self.tell_ready();
            }
            Report::Picture(source, picture) => self.pictured(&source, picture.as_deref()),
            Report::Measured(source, said) => self.measured(&source, &said),
            Report::Fingerprint(source, block) => self.fingerprinted(&source, block),
            Report::Failed(source) => {
                self.mutes.forget(&source);
                self.close_orphans(Some(&source));
            }
        }
    }

    /// Clears incidents that nobody watches any more: of a thread that failed, or of a run that was killed.
    pub(super) fn close_orphans(&mut self, of: Option<&SourceId>) {
        let topic = of.map(|source| self.topics.event(source));
        for open in self.courier.open_incidents() {
            if topic.as_ref().is_some_and(|topic| *topic != open.topic) {
                continue;
            }
            let (seq, made) = (self.courier.next_seq(), self.made());
            match wire::cleared_by_restart(&open.body, seq, &made) {
                Some(body) => self.courier.spool(Entry { seq, step: Step::Cleared, made, body, ..open }),
                None => tracing::warn!(incident = open.incident, "an open incident of a former run cannot be read"),
            }
        }
    }

    pub(super) fn made(&self) -> Made {
        Made { wall: self.clock.wall(), mono: self.clock.mono(), boot: self.boot.clone() }
    }

    fn alert(&mut self, alert: Alert) {
        if let Some(alert) = self.mutes.pass(alert) {
            self.tell(alert);
        }
    }

    /// An alert goes out.
    pub(super) fn tell(&mut self, mut alert: Alert) {
        let now = self.clock.mono();
        self.picture(&mut alert, now);
        let seq = self.courier.next_seq();
        let teller = Teller {
            device: &self.device.id,
            seq,
            boot: &self.boot,
            clocks: Some((self.clock.wall(), now)),
            topics: Some(&self.topics),
        };
        let body = wire::event(&alert, &teller);
        let step = match alert.transition {
            Transition::Raised => Step::Raised,
            Transition::Updated => Step::Updated,
            Transition::Cleared { .. } => Step::Cleared,
        };
        let topic = self.topics.event(&alert.source);
        let (incident, made) = (alert.id.as_str().to_owned(), self.made());
        self.courier.spool(Entry { seq, incident, step, topic, made, body });
        // After it is on disk: what the log tells will arrive.
        let (source, defect, severity, id) = (&alert.source, alert.defect.name(), alert.severity.name(), &alert.id);
        tracing::info!(%source, defect, severity, %id, ?step, "{}", alert.text);
    }

    /// Publishes the alert's picture, unless one went out a moment ago: then the event names none.
    fn picture(&mut self, alert: &mut Alert, now: Mono) {
        let may = self.sources.entry(alert.source.clone()).or_default().may_picture(now);
        match &alert.evidence {
            Some(_) if !may => alert.evidence = None,
            Some(evidence) => {
                let jpeg = evidence.jpeg.clone();
                self.show(&alert.source, jpeg);
            }
            None => {}
        }
    }

    /// Publishes a picture.
    pub(super) fn show(&mut self, source: &SourceId, jpeg: Vec<u8>) {
        self.sources.entry(source.clone()).or_default().pictured = Some(self.clock.mono());
        self.courier.retain(Message {
            topic: self.topics.image(source),
            payload: jpeg,
            qos: Qos::AtMostOnce,
            retain: true,
            expires_after: None,
        });
    }

    fn heard(&mut self, event: Event) {
        match &event {
            Event::Connected { pair, .. } => {
                self.certificate_accepted(pair.as_deref());
                self.afar.broker(true, self.clock.mono());
                self.config_arrived();
            }
            Event::Disconnected { reason } => {
                self.afar.broker(false, self.clock.mono());
                self.certificate_failed(reason);
            }
            _ => {}
        }
        match event {
            Event::Connected { conn, .. } => tracing::info!(conn, "connected to the broker"),
            Event::Disconnected { reason } => tracing::warn!(reason, "no connection to the broker"),
            Event::Incoming { topic, payload, .. } if topic == wire::HOME_ASSISTANT_BIRTH => {
                if payload == b"online" {
                    self.introduce_at = Some(self.clock.mono().plus(self.introduce_after()));
                }
            }
            Event::Incoming { topic, payload, retained, fresh_for } => {
                self.incoming(&topic, &payload, retained, fresh_for);
            }
            Event::Storage { trouble: Some(reason) } => tracing::error!(reason, "the outbox is in memory only"),
            Event::Storage { trouble: None } => tracing::info!("the outbox is on disk again"),
            Event::Refused { seq } => tracing::error!(seq, "the broker refused an event for good"),
            Event::IdentityConflict => {
                tracing::error!(device = %self.device.id, "another device uses this id: set [device] machine_id on one of them");
            }
        }
    }

    fn tick(&mut self) {
        let now = self.clock.mono();
        match self.deadman.look(now) {
            Ok(()) => self.reporting.alive(),
            Err(source) => tracing::error!(%source, "its thread stands still; the watchdog is not fed"),
        }
        self.guest.tick(now);
        self.end_what_is_over();
        self.watch_pending();
        self.watch_updater();
        self.runs.tick(now);
        if self.runs.is_quiet(now) {
            tracing::info!("safe mode ends: watching is tried again");
            self.desk.end = Some(End::Restart);
        }
        self.watch_certificates();
        if self.clock_watch.look(self.clock.wall(), now) {
            let info = self.about.info(self);
            self.courier.retain(info);
        }
        if self.introduce_at.is_some_and(|at| now >= at) {
            self.introduce();
        }
        if self.courier.is_settled() {
            self.kept.settled();
        }
        let ids: Vec<SourceId> = self.sources.keys().cloned().collect();
        for id in ids {
            if let Some(watched) = self.sources.get_mut(&id) {
                watched.state.effort = self.guest.effort(&id);
            }
            self.tell_state(&id);
        }
        self.tell_health();
        self.tell_ready();
    }

    /// Tells Home Assistant what there is, where it is to be told, and empties topics of former configurations.
    pub(super) fn introduce(&mut self) {
        self.introduce_at = None;
        for message in kept::discovery(self.afar.running(), &self.device, &self.topics) {
            self.courier.retain(message);
        }
        for topic in self.kept.gone() {
            self.courier.retain(Message::emptying(topic));
        }
    }

    /// Home Assistant that has just started is not told by all devices at once: after 1 to 10 s.
    fn introduce_after(&self) -> Duration {
        Duration::from_millis(1000 + super::seed(&self.device.id, "home assistant") % 9000)
    }

    /// At once on news; else only now and then.
    pub(super) fn tell_state(&mut self, source: &SourceId) {
        let now = self.clock.mono();
        let made = self.made();
        let muted_until = self.mutes.until(source);
        let Some(watched) = self.sources.get_mut(source) else { return };
        watched.state.muted_until = muted_until;
        let due = watched.told.as_ref().is_none_or(|(when, told)| {
            let news = told.verdict() != watched.state.verdict()
                || told.open != watched.state.open
                || told.acked != watched.state.acked
                || told.muted_until != watched.state.muted_until
                || told.status.format != watched.state.status.format;
            let shed = told.effort != watched.state.effort
                || (told.status.coverage - watched.state.status.coverage).abs() > COVERAGE_NEWS;
            let since = now.since(*when);
            news || (shed && since >= SHED_EVERY) || (since >= STATE_EVERY && *told != watched.state)
        });
        if due {
            watched.told = Some((now, watched.state.clone()));
            self.courier.retain(Message {
                topic: self.topics.state(source),
                payload: wire::state(&made, &watched.state),
                qos: Qos::AtLeastOnce,
                retain: true,
                expires_after: None,
            });
        }
    }

    /// Each period, and at once when the worst verdict changes, which is returned.
    pub(super) fn tell_health(&mut self) -> Verdict {
        let now = self.clock.mono();
        let counters = self.courier.counters();
        let spool = SpoolHealth {
            n: counters.outbox.waiting,
            bytes: counters.outbox.bytes,
            oldest_s: counters.outbox.oldest.unwrap_or_default().as_secs_f64(),
            dropped: counters.outbox.dropped,
            refused: counters.outbox.refused,
            expired: counters.outbox.expired,
            trouble: counters.trouble,
        };
        let states: BTreeMap<SourceId, SourceState> =
            self.sources.iter().map(|(id, watched)| (id.clone(), watched.state.clone())).collect();
        let coverage = states.values().map(|state| state.status.coverage).fold(1.0, f64::min);
        let budget = self.guest.account(coverage);
        let mqtt = BrokerHealth {
            broker: self.afar.running().broker.as_ref().map(|broker| format!("{}:{}", broker.host, broker.port)),
            reconnects: counters.reconnects,
            rtt_ms: counters.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            up_s: counters.connected_for.unwrap_or_default().as_secs_f64(),
            complaint: counters.complaint,
        };
        let cert = self.certificates.health().clone();
        let parts = HealthParts { budget: &budget, spool: &spool, mqtt: &mqtt, cert: &cert, sources: &states };
        let class = wire::class(self.runs.safe_mode().is_some(), parts);
        let period = self.reporting.health_period;
        if self.health_told.is_some_and(|(when, told)| told == class && now.since(when) < period) {
            return class;
        }
        self.health_told = Some((now, class));
        let measured = self.measured_box(now);
        self.reporting.status(&states, counters.connected, spool.n);
        let payload = wire::health(&self.made(), &measured, parts);
        self.history.note(now, payload.clone());
        self.courier.send(Message {
            topic: self.topics.health(),
            payload,
            qos: Qos::AtMostOnce,
            retain: false,
            expires_after: Some(period * 3),
        });
        class
    }

    fn measured_box(&mut self, now: Mono) -> BoxHealth {
        BoxHealth {
            up: now.since(self.started),
            throttled: self.guest.throttled().map(|(throttled, _)| throttled),
            throttle: self.guest.throttled().map(|(_, time)| time),
            clock_error: self.clock.error(),
            runs: self.runs.health(now),
            watchdog_margin: self.deadman.take_margin(),
            ..self.machine.read(now)
        }
    }

    /// Ready when each source has shown a picture or sound, or is known to be absent. The broker is not waited for.
    fn tell_ready(&mut self) {
        if !self.ready && self.is_judged() {
            self.ready = true;
            self.reporting.ready();
        }
    }

    /// In safe mode there is nothing to wait for.
    fn is_judged(&self) -> bool {
        let judged = |watched: &Watched| watched.state.status.signal != Signal::Connecting;
        self.runs.safe_mode().is_some() || self.sources.values().all(judged)
    }
}
