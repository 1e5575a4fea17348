//! Frozen picture: it moved, and from one picture to the next it moves no more, without a cut.
//!
//! Means of 16 x 16 cells instead of a sum of absolute differences: noise of sigma s moves a mean by s/16, while the
//! slightest motion of the programme moves many means by code values. A run of still pictures is compared with its
//! first one, so that slow motion adds up. What makes a run a freeze is how it began and what still moves in it: a
//! camera comes to rest over some pictures and a live scene keeps moving here and there, a slate comes with a cut;
//! a frozen picture does none of these, but a clock or a ticker may run over it.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{Grid, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// A cell moved between two pictures when its mean changed by more than this: quantisation of coders moves means by
/// less than one code value.
const STEP_MIN: f64 = 1.0;
/// A cell differs from the first picture of the run when its mean is off by more than this: refinement and key
/// picture pulses of low bit rates stay below two code values.
const DRIFT_MIN: f64 = 2.0;
/// Five standard deviations of the difference of two means of 256 samples, per sigma of noise.
const NOISE_FACTOR: f64 = 5.0 * 0.0884;
/// Share of cells that may differ from the first picture of the run.
const DRIFT_SHARE: f64 = 0.03;
/// Share of cells that a clock or a ticker may cover, and of the coarse tiles (of 64) it may touch.
const OVERLAY_SHARE: f64 = 0.15;
/// As above: a ticker over the whole width and a clock.
const OVERLAY_TILES: u32 = 9;
/// Before a freeze, at least this share of cells must have moved from picture to picture.
const MOTION_MIN: f64 = 0.025;
/// A run starts abruptly when each of the last three pictures that moved still moved at least this much of the most
/// in the time before: cameras and people come to rest over several pictures.
const ABRUPT: f64 = 0.4;
/// Pictures that must have been in full motion.
const ABRUPT_PICTURES: usize = 3;
/// During a freeze no more than this share of the former motion goes on (overlays).
const MOTION_LEFT: f64 = 0.3;
/// Pictures of a run in which something moves outside overlays; a live scene has more. One is allowed always: coders
/// mend the last moving picture late.
const LIVE_SHARE: f64 = 0.04;
/// Motion in the two pictures after the start, as a share of the most before: a stop that tapers off is no freeze.
const TAIL: f64 = 0.05;
/// Share of pictures that must have moved at all for motion to be usual (animation on threes moves in every third).
const MOVING_SHARE: f64 = 0.25;
/// A change of means by this much, three times that of the pictures before, is a cut...
const CUT_CHANGE: f64 = 8.0;
/// ... and so is a picture whose cell means correlate less than this with those of the one before.
const CUT_CORRELATION: f64 = 0.5;
/// After the first repeated picture coders refine for this long.
const REFINE: Duration = Duration::from_millis(300);
/// How far back a run is searched for motion.
const LOOK_BACK: Duration = Duration::from_secs(3);
/// The time over which "usual" is taken.
const PAST: Duration = Duration::from_millis(1_000);
/// The time over which "most" is taken for abruptness.
const JUST_BEFORE: Duration = Duration::from_millis(600);
/// A rest that began smoothly may be meant; it is a freeze only when nothing at all has moved for this long, and for
/// twice as long as ever before.
const SMOOTH_MIN: Duration = Duration::from_secs(4);
/// A freeze is over when so many of its pictures had motion after all.
const NOT_FROZEN_SHARE: f64 = 0.25;
/// A freeze is told from a short hold of the picture from here on (the hold time of the incident comes on top).
const SETTLE: Duration = Duration::from_millis(600);
/// A still picture this long is severe.
const LONG: Duration = Duration::from_secs(5);
/// In a scene where little moves, all of it must stop for this long...
const QUIET_MIN: Duration = Duration::from_secs(5);
/// ... and for this many times the longest rest seen before.
const QUIET_FACTOR: u32 = 4;

/// Pictures remembered: a second at 120 per second.
const REMEMBERED: usize = 128;

/// How one picture differs from the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    at: MediaTime,
    /// Share of cells that moved.
    moved: f64,
    /// Mean absolute change of cell means, code values.
    change: f64,
    /// Correlation of cell means.
    correlation: f64,
    /// A key picture: coders pulse there.
    intra: bool,
    /// Coarse tiles in which something moved.
    tiles: u64,
}

/// A stretch of pictures that look like its first one.
#[derive(Clone, Debug, Default)]
struct Run {
    start: MediaTime,
    /// What it must fall to, from before it.
    usual: f64,
    /// The most that moved just before it.
    most: f64,
    abrupt: bool,
    cut: bool,
    steps: u32,
    broken: u32,
    broken_at: MediaTime,
}

/// Follows the runs of one source.
#[derive(Clone, Debug, Default)]
pub struct Freeze {
    grid: Grid,
    /// Cell means of the first picture of the run.
    reference: Vec<f32>,
    /// How often each cell moved in this run.
    restless: Vec<u8>,
    steps: heapless::Deque<Step, REMEMBERED>,
    run: Run,
    rest: Rest,
    luma_mean: f64,
    frozen: bool,
}

/// Longest time without any motion, for scenes where little moves.
#[derive(Clone, Debug, Default)]
struct Rest {
    since: MediaTime,
    longest: Duration,
    lively: f64,
}

/// What the cells of one picture say.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    moved: u32,
    moved_tiles: u64,
    drifted: u32,
    drift_tiles: u64,
    change: f64,
    correlation: f64,
}

impl Freeze {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first || features.grid != self.grid {
            self.restart(features);
            return self.say(features, false, 0.0);
        }
        let counts = self.count(features);
        let cells = f64::from(features.grid.len() as u32);
        let step = Step {
            at,
            moved: f64::from(counts.moved) / cells,
            change: counts.change,
            correlation: counts.correlation,
            intra: features.intra,
            tiles: counts.moved_tiles,
        };
        let drifted = f64::from(counts.drifted) / cells;
        let confined = drifted <= OVERLAY_SHARE && counts.drift_tiles.count_ones() <= OVERLAY_TILES;
        self.rest.look(step, !step.intra && step.tiles & !self.overlay_tiles() != 0, self.frozen);
        if drifted <= DRIFT_SHARE || confined {
            self.run.broken = 0;
            self.carry_on(step);
        } else {
            // One odd picture (a pulse at a key picture, a flash) does not end a run.
            if self.run.broken == 0 {
                self.run.broken_at = at;
            }
            self.run.broken += 1;
            if self.run.broken >= 2 {
                self.frozen = false;
                self.begin_run(features, step);
            }
        }
        self.remember(step);
        self.frozen = self.run.broken < 2 && (self.is_freeze(at) || self.is_unusual_rest(at));
        if std::env::var("FZ").is_ok() {
            let r = &self.run;
            let (l, m) = self.motion_left(at);
            eprintln!(
                "{:.2} I{} start {:.2} usual {:.3} abrupt {} cut {} live {:.3} left {:.4} moved {:.3} drift {:.3} change {:.1} corr {:.2} noise {:.2} tiles {} rest {:.1}/{:.1} lively {:.2}{}",
                at.as_secs_f64(),
                features.intra as u8,
                r.start.as_secs_f64(),
                r.usual,
                r.abrupt,
                r.cut,
                l,
                m,
                step.moved,
                drifted,
                step.change,
                step.correlation,
                features.noise,
                self.overlay_tiles().count_ones(),
                at.since(self.rest.since).as_secs_f64(),
                self.rest.longest.as_secs_f64(),
                self.rest.lively,
                if self.frozen { " FROZEN" } else { "" }
            );
        }
        self.say(features, self.frozen, drifted.max(step.moved))
    }

    fn restart(&mut self, features: &VideoFeatures) {
        *self = Self { grid: features.grid, luma_mean: features.luma_mean, ..Self::default() };
        self.reference = vec![0.0; features.grid.len()];
        self.restless = vec![0; features.grid.len()];
        self.rest.since = features.stamp.at;
        self.begin_run(features, Step { at: features.stamp.at, ..Step::default() });
    }

    fn begin_run(&mut self, features: &VideoFeatures, step: Step) {
        for (index, mean) in self.reference.iter_mut().enumerate() {
            *mean = features.cell_mean(index) as f32;
        }
        self.restless.fill(0);
        self.run = Run { start: step.at, broken: 0, ..Run::default() };
        self.judge_begin(step);
    }

    /// What happened before the run decides what a long rest means.
    fn judge_begin(&mut self, step: Step) {
        let before = |time: Duration| self.steps.iter().rev().filter(move |past| step.at.since(past.at) <= time);
        let steady = |time| before(time).filter(|past| !past.intra);
        let mut moved: heapless::Vec<f64, REMEMBERED> =
            steady(PAST).map(|past| past.moved).filter(|&moved| moved > 0.005).collect();
        moved.sort_unstable_by(f64::total_cmp);
        let moving = moved.len() as f64 >= MOVING_SHARE * steady(PAST).count() as f64;
        let most = steady(JUST_BEFORE).map(|past| past.moved).fold(0.0, f64::max);
        let last: heapless::Vec<f64, ABRUPT_PICTURES> = steady(JUST_BEFORE)
            .map(|past| past.moved)
            .filter(|&moved| moved > 0.0 && moved >= 0.15 * most)
            .take(ABRUPT_PICTURES)
            .collect();
        self.run.abrupt = last.is_full() && last.iter().all(|&moved| moved >= ABRUPT * most);
        self.run.most = most;
        self.run.usual = moved.get(moved.len() / 2).copied().filter(|_| moving).unwrap_or(0.0);
        self.run.cut = self.is_cut(step, 0) || self.steps.back().is_some_and(|last| self.is_cut(*last, 1));
    }

    /// Whether `step`, which stands `back` steps back, is a cut.
    fn is_cut(&self, step: Step, back: usize) -> bool {
        let mut before: heapless::Vec<f64, 3> =
            self.steps.iter().rev().skip(back).take(3).map(|past| past.change).collect();
        before.sort_unstable_by(f64::total_cmp);
        let usual = before.get(before.len() / 2).copied().unwrap_or(0.0);
        step.change > CUT_CHANGE && (step.change > 3.0 * usual || step.correlation < CUT_CORRELATION)
    }

    fn carry_on(&mut self, step: Step) {
        self.run.steps += 1;
        if self.run.steps <= 2 && !step.intra && step.moved > TAIL * self.run.most {
            self.run.abrupt = false;
        }
    }

    fn count(&mut self, features: &VideoFeatures) -> Counts {
        let step_min = STEP_MIN.max(NOISE_FACTOR * features.noise);
        let drift_min = DRIFT_MIN.max(NOISE_FACTOR * features.noise);
        let mut counts = Counts::default();
        let mut alike = Correlation::default();
        // A camera that opens its iris changes every cell and moves none.
        let brighter = features.luma_mean - self.luma_mean;
        self.luma_mean = features.luma_mean;
        let settled = features.stamp.at.since(self.run.start) >= REFINE;
        for index in 0..features.cells.len() {
            let area = f64::from(features.grid.area(index));
            let mean = f64::from(features.cells[index].sum) / area;
            let before = f64::from(features.before[index].sum) / area;
            let change = (mean - before).abs();
            counts.change += change;
            alike.add(mean, before);
            let tile = 1_u64 << tile(features.grid, index);
            if change.min((mean - before - brighter).abs()) > step_min {
                counts.moved += 1;
                counts.moved_tiles |= tile;
                if settled {
                    self.restless[index] = self.restless[index].saturating_add(1);
                }
            }
            if (mean - f64::from(self.reference[index])).abs() > drift_min {
                counts.drifted += 1;
                counts.drift_tiles |= tile;
            }
        }
        counts.change /= features.cells.len().max(1) as f64;
        counts.correlation = alike.value();
        counts
    }

    /// Tiles in which cells move again and again; none when they are too many for an overlay.
    fn overlay_tiles(&self) -> u64 {
        let mut tiles = 0_u64;
        for (index, _) in self.restless.iter().enumerate().filter(|&(_, &times)| times >= 3) {
            tiles |= 1 << tile(self.grid, index);
        }
        if tiles.count_ones() <= OVERLAY_TILES { tiles } else { 0 }
    }

    fn remember(&mut self, step: Step) {
        if self.steps.is_full() {
            self.steps.pop_front();
        }
        // Room was just made.
        let _ = self.steps.push_back(step);
    }

    fn is_freeze(&self, at: MediaTime) -> bool {
        let (live, moved) = self.motion_left(at);
        if self.frozen {
            return live <= NOT_FROZEN_SHARE;
        }
        let lasted = at.since(self.run.start);
        self.run.usual >= MOTION_MIN
            && !self.run.cut
            && moved <= MOTION_LEFT * self.run.usual
            && match self.run.abrupt {
                true => lasted >= SETTLE && live <= LIVE_SHARE,
                false => {
                    let rest = at.since(self.rest.since.max(self.run.start));
                    rest >= SMOOTH_MIN && rest >= 2 * self.rest.longest
                }
            }
    }

    /// Of the latest pictures of the run: the share in which something outside overlays moved, and the mean share of
    /// cells that moved. Overlays are known late, so this looks back. Key pictures do not count.
    fn motion_left(&self, at: MediaTime) -> (f64, f64) {
        let (overlay, from) = (self.overlay_tiles(), self.run.start.plus(REFINE));
        let steps =
            || self.steps.iter().filter(move |step| step.at >= from && at.since(step.at) <= LOOK_BACK && !step.intra);
        let pictures = steps().count().max(1) as f64;
        let live = steps().filter(|step| step.tiles & !overlay != 0).count().saturating_sub(1);
        (live as f64 / pictures, steps().map(|step| step.moved).sum::<f64>() / pictures)
    }

    /// In a scene where little but something always moves, nothing does for much longer than ever before.
    fn is_unusual_rest(&self, at: MediaTime) -> bool {
        let rest = at.since(self.rest.since);
        !self.run.cut
            && self.rest.lively >= 0.3
            && rest >= QUIET_MIN
            && rest >= self.rest.longest * QUIET_FACTOR
            && self.run.start <= self.rest.since
    }

    fn say(&self, features: &VideoFeatures, frozen: bool, moving: f64) -> Observation {
        let at = features.stamp.at;
        let lasted = at.since(self.run.start);
        Observation {
            defect: Defect::Freeze,
            scope: Scope::Picture,
            presence: if frozen { Presence::Present } else { Presence::Absent },
            since: (frozen || self.run.broken >= 2 || lasted.is_zero()).then_some(self.run.start),
            severity: if lasted >= LONG { Severity::Critical } else { Severity::Major },
            value: moving * 100.0,
            threshold: DRIFT_SHARE * 100.0,
            unit: "% of the picture moving",
            confidence: None,
            region: None,
            phrase: "picture is frozen",
        }
    }
}

/// Correlation of two rows of numbers (Pearson).
#[derive(Clone, Copy, Debug, Default)]
struct Correlation {
    count: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Correlation {
    fn add(&mut self, a: f64, b: f64) {
        self.count += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
    }
    /// -1 to 1; 1 where one of them does not vary.
    fn value(&self) -> f64 {
        let (va, vb) = (self.count * self.aa - self.a * self.a, self.count * self.bb - self.b * self.b);
        let product = va * vb;
        if product > 0.0 { (self.count * self.ab - self.a * self.b) / product.sqrt() } else { 1.0 }
    }
}

impl Rest {
    fn look(&mut self, step: Step, moves: bool, frozen: bool) {
        // Share of pictures with motion, over some seconds.
        if !frozen {
            self.lively += (f64::from(u8::from(moves)) - self.lively) / 50.0;
        }
        if moves {
            if !frozen {
                self.longest = self.longest.max(step.at.since(self.since));
            }
            self.since = step.at;
        }
    }
}

/// Number of the coarse tile (8 x 8 over the picture) that cell `index` lies in.
fn tile(grid: Grid, index: usize) -> u32 {
    let (column, row) = grid.place(index);
    (row * 8 / grid.rows * 8 + column * 8 / grid.columns) as u32
}
