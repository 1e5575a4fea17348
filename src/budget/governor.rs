//! From measurements to what each source may do. Pure: time and numbers come from outside.

use super::floors::{Backlog, Floors, Patience};
use super::{Decode, Grant, Reason, Step};
use std::time::Duration;

/// Part of the budget that is planned with: what is not foreseen fits in the rest.
const TARGET: f64 = 0.9;
/// A better rung must fit in this part of what a worse one may take ...
const UP_TARGET: f64 = 0.75;
/// ... for this long, before it is tried; longer after an attempt that came too early.
const CALM: Duration = Duration::from_secs(5);
/// Costs rise fast and fall slowly in our estimates: parts that one reading counts for.
const RISING: f64 = 0.7;
/// As above.
const FALLING: f64 = 0.2;
/// Part that one reading counts for while only key pictures are decoded.
const KEY_PART: f64 = 0.1;
/// On a step for so long, its cost is known well enough to tell how the stream changes.
const KNOWN: Duration = Duration::from_secs(20);
/// What decoding references or key pictures costs of decoding all, until it was measured: half the pictures of usual
/// streams are references, and those are the larger ones; key pictures are few, and larger still.
const REFERENCE: f64 = 0.65;
/// As above.
const KEY: f64 = 0.1;
/// Over the memory of the budget for this long, and nothing helped: a source is suspended.
const MEMORY_PATIENCE: Duration = Duration::from_secs(20);
/// A suspended source is tried again after this, when there is room.
const SUSPENDED_FOR: Duration = Duration::from_secs(120);
/// Part of the memory of the budget that must do for it.
const MEMORY_ROOM: f64 = 0.85;

/// The budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Processor time, in cores.
    pub cpu_cores_max: f64,
    /// Resident memory.
    pub memory_bytes_max: u64,
    /// Whether a busy machine is a reason to look at less.
    pub yield_when_busy: bool,
}

/// What was measured since the last time.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Time since the last time.
    pub passed: Duration,
    /// Processor time of this process.
    pub own: Duration,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Processor time of the machine, % of all cores.
    pub machine_busy_pct: Option<f64>,
    /// Share of the last 10 s in which some task waited for a processor, % (PSI).
    pub machine_waits_pct: Option<f64>,
    /// The same within the encoder's control group, where one is configured.
    pub encoder_waits_pct: Option<f64>,
    /// The processor runs slower than it could, for heat.
    pub throttled: bool,
    /// Each source, in the order of the configuration.
    pub sources: Vec<SourceLoad>,
}

/// What one source cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceLoad {
    /// Processor time of reading and decoding.
    pub decode: Duration,
    /// Processor time of looking.
    pub look: Duration,
    /// Longest wait of a packet for its decoder.
    pub delay: Duration,
    /// Whether it is decoded at all.
    pub decodes: bool,
}

/// What is known of one source. Costs in cores.
#[derive(Clone, Debug)]
struct Source {
    grant: Grant,
    /// How long the step has been in effect, from its first whole reading on.
    settled_for: Option<Duration>,
    /// Decoding, for each [`Decode`].
    decode: [Option<f64>; 3],
    /// Looking at all pictures in full.
    look: f64,
    last: Step,
    backlog: Backlog,
    /// How long a better rung has been possible.
    calm: Duration,
    patience: Patience,
    suspended_for: Duration,
}

/// Decides once per second or so.
#[derive(Clone, Debug)]
pub struct Governor {
    settings: Settings,
    sources: Vec<Source>,
    floors: Floors,
    /// Processor time that belongs to no source, cores.
    other: f64,
    over_memory: Duration,
}

impl Governor {
    /// For `sources` sources, all on the best rung.
    pub fn new(settings: Settings, sources: usize) -> Self {
        let sources = vec![Source::new(); sources];
        Self { settings, sources, floors: Floors::default(), other: 0.0, over_memory: Duration::ZERO }
    }

    /// What source `index` may do.
    pub fn grant(&self, index: usize) -> Grant {
        self.sources.get(index).map_or(Grant::default(), |source| source.grant)
    }

    /// How long the process has been over the memory of its budget.
    pub fn over_memory(&self) -> Option<Duration> {
        (self.over_memory > Duration::ZERO).then_some(self.over_memory)
    }

    /// Takes in what was measured and decides anew.
    pub fn update(&mut self, load: &Load) {
        if load.passed.is_zero() || load.sources.len() != self.sources.len() {
            return;
        }
        self.learn(load);
        self.floors.update(load, self.settings.yield_when_busy);
        for (source, load_of) in self.sources.iter_mut().zip(&load.sources) {
            source.backlog.update(load.passed, load_of, source.grant.step, source.last);
        }
        let room = self.settings.cpu_cores_max * TARGET - self.other;
        let (down, up) = (self.plan(room), self.plan(room * UP_TARGET));
        for ((source, down), up) in self.sources.iter_mut().zip(down).zip(up) {
            if !source.is_suspended() {
                source.decide(load.passed, down, up, self.floors.lowest());
            }
        }
        self.mind_memory(load);
    }

    fn learn(&mut self, load: &Load) {
        let passed = load.passed.as_secs_f64();
        let mut known = 0.0;
        for (source, cost) in self.sources.iter_mut().zip(&load.sources) {
            source.last = if cost.decodes { Step::LAST } else { Step::LAST_UNDECODED };
            let (decode, look) = (cost.decode.as_secs_f64() / passed, cost.look.as_secs_f64() / passed);
            known += decode + look;
            if source.settled_for.is_some() && !source.is_suspended() {
                source.learn(decode, look);
            }
            source.settled_for = Some(source.settled_for.map_or(Duration::ZERO, |time| time + load.passed));
        }
        self.other = follow(self.other, (load.own.as_secs_f64() / passed - known).max(0.0));
    }

    /// The best rung of each source with which all fit in `room` cores, each within its fair part: who needs less than
    /// that leaves the rest to the others (max-min fairness).
    fn plan(&self, room: f64) -> Vec<Step> {
        let active = |source: &&Source| !source.is_suspended();
        let mut needs: Vec<f64> = self.sources.iter().filter(active).map(|source| source.cost(Step::FULL)).collect();
        needs.sort_unstable_by(f64::total_cmp);
        let (mut left, mut part) = (room, room);
        for (n, need) in needs.iter().enumerate() {
            part = left / (needs.len() - n) as f64;
            if *need > part {
                break;
            }
            left -= need;
        }
        let fitting = |source: &Source| Step::all(source.last).find(|step| source.cost(*step) <= part);
        let mut steps: Vec<Step> =
            self.sources.iter().map(|source| fitting(source).unwrap_or(source.cheapest())).collect();
        // Rungs are coarse: what they leave may lift one source or another.
        let cost =
            |steps: &[Step]| -> f64 { self.sources.iter().zip(steps).map(|(source, step)| source.cost(*step)).sum() };
        let mut spare = room - cost(&steps);
        for (source, step) in self.sources.iter().zip(&mut steps) {
            let better = Step::all(*step).find(|better| source.cost(*better) - source.cost(*step) <= spare);
            if let Some(better) = better.filter(|better| better < step) {
                spare -= source.cost(better) - source.cost(*step);
                *step = better;
            }
        }
        steps
    }

    /// The last resort against too much memory: the last source of the configuration that is not suspended yet.
    fn mind_memory(&mut self, load: &Load) {
        let most = self.settings.memory_bytes_max;
        self.over_memory = if load.memory_bytes > most { self.over_memory + load.passed } else { Duration::ZERO };
        for source in self.sources.iter_mut().filter(|source| source.is_suspended()) {
            source.suspended_for += load.passed;
        }
        let room = (load.memory_bytes as f64) < MEMORY_ROOM * most as f64;
        if self.over_memory >= MEMORY_PATIENCE
            && self.sources.iter().filter(|source| !source.is_suspended()).count() > 1
        {
            if let Some(source) = self.sources.iter_mut().rev().find(|source| !source.is_suspended()) {
                source.suspend();
                self.over_memory = Duration::from_nanos(1);
            }
        } else if room {
            let rested = |source: &&mut Source| source.is_suspended() && source.suspended_for >= SUSPENDED_FOR;
            if let Some(source) = self.sources.iter_mut().find(rested) {
                source.move_to(Step::FULL, None);
            }
        }
    }
}

/// An estimate that rises fast and falls slowly.
fn follow(was: f64, now: f64) -> f64 {
    was + (now - was) * if now > was { RISING } else { FALLING }
}

impl Source {
    fn new() -> Self {
        Self {
            grant: Grant::default(),
            settled_for: None,
            decode: [None; 3],
            look: 0.0,
            last: Step::LAST,
            backlog: Backlog::default(),
            calm: Duration::ZERO,
            patience: Patience::new(CALM),
            suspended_for: Duration::ZERO,
        }
    }

    fn is_suspended(&self) -> bool {
        self.grant.step == Step::SUSPENDED
    }

    /// What decoding and looking took on the present step.
    fn learn(&mut self, decode: f64, look: f64) {
        let mode = self.grant.step.decode();
        if mode != Decode::Key {
            // How many key pictures a stream has is not known here.
            self.look = follow(self.look, look / self.grant.step.looking());
        }
        let guess = self.decoding(mode);
        let was = guess.unwrap_or(decode);
        // Key pictures are seldom and dear: only the mean of many readings tells what they cost.
        let now = if mode == Decode::Key { was + (decode - was) * KEY_PART } else { follow(was, decode) };
        self.decode[mode as usize] = Some(now);
        if self.settled_for.is_some_and(|time| time >= KNOWN) && was > 0.0 {
            // The stream became dearer or cheaper, so it did for what is not done now.
            let others = self.decode.iter_mut().enumerate().filter(|(n, _)| *n != mode as usize);
            others.for_each(|(_, cost)| *cost = cost.map(|cost| cost * now / was));
        }
    }

    fn decoding(&self, mode: Decode) -> Option<f64> {
        match mode {
            Decode::Full => self.decode[0],
            Decode::Reference => self.decode[1].or(self.decode[0].map(|full| full * REFERENCE)),
            Decode::Key => self.decode[2].or(self.decode[0].map(|full| full * KEY)),
        }
    }

    /// On `step`, in cores.
    fn cost(&self, step: Step) -> f64 {
        if step == Step::SUSPENDED {
            return 0.0;
        }
        self.decoding(step.decode()).unwrap_or(0.0) + self.look * step.looking()
    }

    fn cheapest(&self) -> Step {
        let cheaper = |a: &Step, b: &Step| self.cost(*a).total_cmp(&self.cost(*b));
        Step::all(self.last).min_by(cheaper).unwrap_or(self.last)
    }

    /// `down`: what fits; `up`: what fits with room to spare; `floor`: what holds all down.
    fn decide(&mut self, passed: Duration, down: Step, up: Step, floor: (Step, Reason)) {
        self.patience.pass(passed);
        let held = [(down, Reason::Cpu), floor, (self.backlog.step(), Reason::Backlog)];
        let (wanted, reason) = held.into_iter().max_by_key(|(step, _)| *step).unwrap_or((down, Reason::Cpu));
        let wanted = wanted.min(self.last);
        if wanted > self.grant.step {
            self.patience.went_down();
            return self.move_to(wanted, Some(reason));
        }
        let better = wanted.max(up.min(self.last));
        self.calm = if better < self.grant.step { self.calm + passed } else { Duration::ZERO };
        if self.calm >= self.patience.needed() {
            let reason = if better > wanted { Reason::Cpu } else { reason };
            self.move_to(better, (better > Step::FULL).then_some(reason));
            self.patience.went_up();
        }
    }

    fn move_to(&mut self, step: Step, reason: Option<Reason>) {
        self.grant = Grant { step, shed_by: reason };
        self.settled_for = None;
        self.calm = Duration::ZERO;
    }

    fn suspend(&mut self) {
        self.move_to(Step::SUSPENDED, Some(Reason::Memory));
        self.suspended_for = Duration::ZERO;
    }
}
