//! One thread for each source: pulls units through the pipeline, survives its own failures, never waits for others.

use super::exchange::Exchange;
use super::tapes::Tape;
use super::wishes::Wishes;
use crate::alert::{Alert, Evidence};
use crate::budget::{Effort, Step};
use crate::detect::Observation;
use crate::health::{Heartbeat, thread_cpu_time};
use crate::ids::{IncidentIds, SourceId};
use crate::pipeline::{self, Pipeline};
use crate::source::{Backoff, Context, Input, Source, Unit};
use crate::tape::Recorder;
use crate::time::{Clock, Mono, Stamp};
use crate::wire::SourceState;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// How often a thread tells how its source is doing.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// Alerts kept while the control loop is stuck: far more than incidents can be told apart in the time that the
/// watchdog allows it.
const KEPT_MAX: usize = 4096;
/// How long a stopping thread waits for the control loop to take the last alerts.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// What leaves a source's thread: small, and never a frame.
#[derive(Clone, Debug)]
pub(super) enum Report {
    /// News of an incident.
    Alert(Box<Alert>),
    /// How the source is doing.
    State(SourceId, Box<SourceState>),
    /// The picture that was asked for, if there is one.
    Picture(SourceId, Option<Box<Evidence>>),
    /// What the detectors said last.
    Measured(SourceId, Vec<Observation>),
    /// A second as a fingerprint.
    Fingerprint(SourceId, Vec<u8>),
    /// The thread failed; its incidents are nobody's, and it starts again.
    Failed(SourceId),
}

/// One source and what its thread needs.
pub(super) struct Watch {
    /// What to read.
    pub input: Input,
    /// How to analyse it.
    pub settings: pipeline::Settings,
    /// Clock, stop flag, seed.
    pub context: Context,
    /// Names of its incidents.
    pub ids: IncidentIds,
    /// Its sign of life.
    pub heartbeat: Heartbeat,
    /// Where news goes.
    pub reports: Sender<Report>,
    /// What it is asked for.
    pub wishes: Wishes,
    /// Where what the detectors say is kept.
    pub tape: Option<Tape>,
    /// Fingerprints, to and from other sources.
    pub exchange: Exchange,
}

impl Watch {
    /// Starts the thread. It ends when the context's stop flag is set.
    pub(super) fn start(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        let name: String = format!("src {}", self.settings.source).chars().take(15).collect();
        std::thread::Builder::new().name(name).spawn(move || self.supervise())
    }

    /// Watches; after a panic, watches again after a pause.
    fn supervise(self) {
        let mut backoff = Backoff::new(self.context.seed);
        let mut restarts = 0;
        let mut failure = None;
        while !self.stopped() {
            let began = self.context.clock.mono();
            let attempt = AssertUnwindSafe(|| Session::new(&self, restarts).run(failure.take()));
            let Err(panic) = catch_unwind(attempt) else { return };
            let reason = said(&*panic);
            restarts += 1;
            tracing::error!(source = %self.settings.source, restarts, reason, "the watching thread failed and starts again");
            // Blocks for as long as the control loop is stuck, which the watchdog ends.
            let _ = self.reports.blocking_send(Report::Failed(self.settings.source.clone()));
            if self.context.clock.mono().since(began) > Backoff::MOST {
                backoff.reset();
            }
            self.pause(backoff.next_wait());
            failure = Some(format!("watching it failed ({reason})"));
        }
    }

    fn stopped(&self) -> bool {
        self.context.stop.load(Ordering::Relaxed)
    }

    /// A pause is life too.
    fn pause(&self, time: Duration) {
        let clock = &self.context.clock;
        let until = clock.mono().plus(time);
        while !self.stopped() && clock.mono() < until {
            self.heartbeat.beat(clock.mono());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One life of the pipeline.
struct Session<'a> {
    watch: &'a Watch,
    pipeline: Pipeline,
    restarts: u64,
    alerts: Vec<Alert>,
    kept: VecDeque<Alert>,
    /// An incident changed since the state was told.
    news: bool,
    told: Option<(Mono, SourceState)>,
    /// The longest that a unit waited since the state was told.
    lag: Duration,
}

impl<'a> Session<'a> {
    fn new(watch: &'a Watch, restarts: u64) -> Self {
        let mut pipeline = Pipeline::new(watch.settings.clone(), watch.ids.clone());
        if let Some(tape) = &watch.tape {
            pipeline.record(Recorder::new(Box::new(tape.clone())));
        }
        if let Some(with) = watch.exchange.with() {
            pipeline.pair_with(with.clone());
        }
        let clock = &watch.context.clock;
        pipeline.set_clock(clock.wall(), clock.mono());
        Self {
            watch,
            pipeline,
            restarts,
            alerts: Vec::new(),
            kept: VecDeque::new(),
            news: false,
            told: None,
            lag: Duration::ZERO,
        }
    }

    fn run(&mut self, failure: Option<String>) {
        let (watch, clock) = (self.watch, self.watch.context.clock.clone());
        if let Some(reason) = failure {
            // For the time in between nobody watched: that is a lost source.
            let stamp = Stamp { arrived: clock.mono(), ..Stamp::default() };
            self.take(Unit::lost(stamp, reason));
        }
        let mut source = Source::open_live(&watch.input, &watch.context);
        while !watch.stopped() {
            let step = watch.context.share.step();
            if step == Step::SUSPENDED {
                drop(source);
                self.sit_out();
                source = Source::open_live(&watch.input, &watch.context);
            }
            self.pipeline.set_effort(source.left_of(step.effort().unwrap_or(Effort::FULL)));
            let began = thread_cpu_time();
            let unit = source.next_unit();
            let decoded = thread_cpu_time();
            match unit {
                // Live sources end only when they are stopped.
                Unit::End if watch.stopped() => break,
                #[allow(clippy::panic, reason = "caught by the supervisor, which starts all of it again")]
                Unit::End => panic!("its reading thread ended"),
                unit => self.take(unit),
            }
            let looked = thread_cpu_time();
            let lag = clock.mono().since(self.pipeline.now().arrived);
            self.pipeline.waited(lag);
            self.lag = self.lag.max(lag);
            watch.context.share.add(decoded.saturating_sub(began), looked.saturating_sub(decoded));
            watch.heartbeat.beat(clock.mono());
            self.tell_state(clock.mono(), Some(&source));
            self.show();
        }
        self.pipeline.stop(&mut self.alerts);
        self.flush(&*clock);
    }

    /// Does nothing for as long as the governor wants it.
    fn sit_out(&mut self) {
        let (watch, clock) = (self.watch, &self.watch.context.clock);
        self.pipeline.suspend(&mut self.alerts);
        self.news = true;
        self.kept.extend(self.alerts.drain(..));
        while !watch.stopped() && watch.context.share.step() == Step::SUSPENDED {
            self.offer();
            watch.heartbeat.beat(clock.mono());
            self.tell_state(clock.mono(), None);
            self.show();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn take(&mut self, unit: Unit) {
        self.exchange();
        self.pipeline.step(unit, &mut self.alerts);
        self.news |= !self.alerts.is_empty();
        self.kept.extend(self.alerts.drain(..));
        self.offer();
    }

    /// Fingerprints come and go.
    fn exchange(&mut self) {
        let Watch { exchange, wishes, reports, settings, .. } = self.watch;
        let wished = wishes.fingerprint();
        match exchange.is_wanted() || wished {
            true => self.pipeline.fingerprint(),
            false => self.pipeline.end_fingerprint(),
        }
        exchange.taken().for_each(|block| self.pipeline.input_block(&block));
        for block in self.pipeline.blocks() {
            exchange.give(&block);
            if wished {
                // The next follows in a second.
                let _ = reports.try_send(Report::Fingerprint(settings.source.clone(), block.encode()));
            }
        }
    }

    /// Hands over what the control loop has room for; keeps the rest.
    fn offer(&mut self) {
        while let Some(alert) = self.kept.pop_front() {
            match self.watch.reports.try_send(Report::Alert(Box::new(alert))) {
                Ok(()) => {}
                Err(TrySendError::Full(Report::Alert(alert))) if self.kept.len() < KEPT_MAX => {
                    self.kept.push_front(*alert);
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn tell_state(&mut self, now: Mono, source: Option<&Source>) {
        let due = self.news
            || self.told.as_ref().is_none_or(|(when, last)| {
                now.since(*when) >= STATE_EVERY || last.status.signal != self.pipeline.status().signal
            });
        if !due {
            return;
        }
        self.pipeline.set_clock(self.watch.context.clock.wall(), now);
        let mut state = self.pipeline.state();
        state.status.restarts = self.restarts;
        state.status.lag = std::mem::take(&mut self.lag);
        state.status.capture = source.and_then(Source::capture);
        // A newer one follows in a second, so a full channel may drop it.
        let report = Report::State(self.watch.settings.source.clone(), Box::new(state.clone()));
        let _ = self.watch.reports.try_send(report);
        if self.watch.wishes.metrics() {
            let said = Report::Measured(self.watch.settings.source.clone(), self.pipeline.measures());
            let _ = self.watch.reports.try_send(said);
        }
        self.told = Some((now, state));
        self.news = false;
    }

    /// Hands over the picture that was asked for.
    fn show(&self) {
        if self.watch.wishes.take_picture() {
            let picture = self.pipeline.snapshot().map(Box::new);
            // Whoever asked gives up after a while.
            let _ = self.watch.reports.try_send(Report::Picture(self.watch.settings.source.clone(), picture));
        }
    }

    fn flush(&mut self, clock: &dyn Clock) {
        self.kept.extend(self.alerts.drain(..));
        let until = clock.mono().plus(FLUSH_MAX);
        while !self.kept.is_empty() && clock.mono() < until {
            self.offer();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The text of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown reason".to_owned())
}
