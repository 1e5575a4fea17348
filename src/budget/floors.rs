//! Reasons to do less that have nothing to do with our own account: others starve, the box is hot, packets wait.

use super::governor::{Load, SourceLoad};
use super::{Reason, Step};
use std::time::Duration;

/// The encoder's tasks wait for this share of the time, %: it is starved (PSI, some, 10 s) ...
const STARVED: f64 = 10.0;
/// ... and is no more below this.
const FED: f64 = 5.0;
/// All processors are taken from this load on, % ...
const BUSY: f64 = 95.0;
/// ... and have time to spare below this.
const SPARE: f64 = 90.0;
/// With all processors taken, tasks wait for them this share of the time, %. Our own wait counts in it, so it starts
/// the shedding and does not end it: that takes processors with time to spare.
const WAITING: f64 = 15.0;
/// A packet that waits longer than this for its decoder shows that we do not keep up ...
const LATE: Duration = Duration::from_millis(500);
/// ... and one that waits less, that we do.
const PROMPT: Duration = Duration::from_millis(200);
/// Between one rung down and the next: longer than it takes to see what the last one gave (PSI averages 10 s, but
/// answers within half of that).
const DOWN_EVERY: Duration = Duration::from_secs(5);
/// Between one rung up and the next.
const UP_EVERY: Duration = Duration::from_secs(10);
/// Heat goes slowly.
const COOL_EVERY: Duration = Duration::from_secs(30);
/// A rung that had to be left again so soon was tried too early ...
const RELAPSE: Duration = Duration::from_secs(30);
/// ... and is tried after twice as long, up to this.
const PATIENCE_MAX: Duration = Duration::from_secs(300);

/// How long things must be good before a better rung is tried: longer after each attempt that came too early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    least: Duration,
    now: Duration,
    /// Since the last rung up.
    since_up: Option<Duration>,
}

impl Patience {
    pub(super) fn new(least: Duration) -> Self {
        Self { least, now: least, since_up: None }
    }
    pub(super) fn pass(&mut self, time: Duration) {
        self.since_up = self.since_up.map(|since| since + time);
    }
    pub(super) fn needed(&self) -> Duration {
        self.now
    }
    pub(super) fn went_up(&mut self) {
        self.since_up = Some(Duration::ZERO);
    }
    pub(super) fn went_down(&mut self) {
        let relapse = self.since_up.is_some_and(|time| time < RELAPSE);
        self.now = if relapse { (self.now * 2).min(PATIENCE_MAX) } else { self.least };
    }
}

/// How far down something holds us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    pub step: Step,
    since: Duration,
}

impl Floor {
    /// Goes a rung down at once when it starts and then each `DOWN_EVERY`, and up each `up_every`.
    fn update(&mut self, passed: Duration, worse: bool, better: bool, last: Step, up_every: Duration) {
        self.since += passed;
        let began = worse && self.step == Step::FULL;
        if (began || worse && self.since >= DOWN_EVERY) && self.step < last {
            (self.step, self.since) = (self.step.down(last), Duration::ZERO);
        } else if better && self.since >= up_every && self.step > Step::FULL {
            (self.step, self.since) = (self.step.up(), Duration::ZERO);
        }
    }
}

/// What holds all sources down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floors {
    encoder: Floor,
    machine: Floor,
    heat: Floor,
}

impl Floors {
    pub(super) fn update(&mut self, load: &Load, yields: bool) {
        let encoder = load.encoder_waits_pct.unwrap_or(0.0);
        self.encoder.update(load.passed, encoder >= STARVED, encoder < FED, Step::LAST, UP_EVERY);
        let busy = load.machine_busy_pct.unwrap_or(0.0);
        let full = yields && busy >= BUSY && load.machine_waits_pct.unwrap_or(0.0) >= WAITING;
        // The budget was granted on this box as it is: a busy machine takes pictures from us, but not all of them.
        self.machine.update(load.passed, full, busy < SPARE, Step::LAST_UNDECODED, DOWN_EVERY);
        self.heat.update(load.passed, load.throttled, !load.throttled, Step::LAST, COOL_EVERY);
    }

    /// The lowest, and why.
    pub(super) fn lowest(&self) -> (Step, Reason) {
        let all = [(self.encoder, Reason::Encoder), (self.machine, Reason::Machine), (self.heat, Reason::Heat)];
        let lowest = all.into_iter().max_by_key(|(floor, _)| floor.step);
        lowest.map_or((Step::FULL, Reason::Machine), |(floor, reason)| (floor.step, reason))
    }
}

/// What its own backlog holds a source down to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    floor: Floor,
    patience: Patience,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { floor: Floor::default(), patience: Patience::new(UP_EVERY) }
    }
}

impl Backlog {
    /// `now`: the rung that the source is on.
    pub(super) fn update(&mut self, passed: Duration, load: &SourceLoad, now: Step, last: Step) {
        self.patience.pass(passed);
        let late = load.delay > LATE;
        if late && self.floor.step < now {
            // What is done now is too much, whatever it was that brought us here.
            self.floor = Floor { step: now, since: DOWN_EVERY };
        }
        let was = self.floor.step;
        self.floor.update(passed, late, load.delay < PROMPT, last, self.patience.needed());
        if self.floor.step < was {
            self.patience.went_up();
        } else if self.floor.step > was {
            self.patience.went_down();
        }
    }

    pub(super) fn step(&self) -> Step {
        self.floor.step
    }
}
