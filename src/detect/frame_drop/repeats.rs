//! Pictures shown again while the programme moves.

use super::Loss;
use crate::features::VideoFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// The past by which a source's own cadence is known.
const PAST: Duration = Duration::from_secs(2);
/// Pictures remembered: two seconds at 60 per second.
const REMEMBERED: usize = 120;
/// With fewer pictures nothing is known of a cadence.
const KNOWN: usize = 16;
/// Moving pictures of which the usual motion is the median, ...
const MOVING: usize = 8;
/// ... and as few are enough.
const MOVING_MIN: usize = 4;
/// Less motion than this, as a mean change of cell means in code values, is coding noise, and nobody sees it stop.
const MOTION_MIN: f64 = 0.2;
/// Below this share of the usual motion a picture may be a repeat: coders leave up to half of a picture's detail to the
/// repeats behind it.
const DIP: f64 = 0.45;
/// Below this share it is one, whatever comes behind.
const STILL: f64 = 0.15;
/// Motion went on behind repeats when the next picture makes up for it: the usual, and so much more of it for each
/// that was lost, ...
const MADE_UP: f64 = 0.3;
/// ... up to this many, since no picture differs more from another than scenes do: motion that eases out and in again
/// makes up for nothing, ...
const MADE_UP_MAX: u32 = 5;
/// ... and what looks like a cut by no more than so many times what was lost of it: a cut makes up for nothing, ...
const JUMP_MOST: f64 = 2.0;
/// ... and more than the repeat by this.
const CONTRAST: f64 = 5.0;
/// Motion that goes on to grow by this much with the next picture that moves made up for nothing: it sets in, as of a
/// camera or a figure that starts, and pictures shown twice are the rate's. Nor did motion that the very next picture
/// does not fall behind by as much: a picture that was added takes nothing away.
const GROWS: f64 = 1.15;
/// Motion that comes back weaker than this has faded.
const FADED: f64 = 0.6;
/// What stands longer than this is told by `freeze`.
const LONGEST: Duration = Duration::from_millis(500);
/// A picture of less than this share of the motion on both sides is a dip in the cadence, ...
const CADENCE_DIP: f32 = 0.4;
/// ... when the motion is no further away than this: animation holds no drawing longer than five pictures.
const CADENCE_REACH: usize = 5;
/// A source with a larger share of dips has a cadence: 24 in 25 pictures has 4 %, 20 in 24 has 17 %.
const CADENCE: f64 = 0.12;
/// Behind a cut the past is another scene's, in which less moved or the coder let less be seen. So many pictures tell
/// whether they are repeated ...
const OF_SCENE: u32 = 8;
/// ... as by a converter, which adds so many of one at the most (24 in 60).
const ADDED: u32 = 2;
/// Rates that were converted repeat every second to every sixth picture (25 in 50, 24 or 25 in 30), ...
const PERIODS: std::ops::RangeInclusive<usize> = 2..=6;
/// ... and where a coder at a low rate smears that, such pictures still move by less than this share of those before and
/// behind them, ...
const LESS: f32 = 0.85;
/// ... the second number of times in the first number of rounds: in six coded programmes that repeat nothing, 2 to 13 % of
/// all pictures are such.
const ROUNDS: [(usize, usize); 2] = [(8, 6), (16, 9)];
/// A change of which this share is a change of the mean luma is light, not motion.
const LIGHT: f64 = 0.6;

/// Repeats that go on.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: MediaTime,
    pictures: u32,
    /// Motion before.
    usual: f64,
    /// The largest change within.
    most: f64,
    /// There was no cadence before, ...
    new: bool,
    /// ... by pictures of this scene.
    settled: bool,
}

/// A loss that waits for the next picture that moves.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    loss: Loss,
    /// Motion behind it.
    change: f64,
}

/// Follows the motion.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    /// Changes of the last pictures, oldest first; of cuts no number.
    past: heapless::Deque<(MediaTime, f32), REMEMBERED>,
    moving: heapless::Deque<f32, MOVING>,
    run: Option<Run>,
    waiting: Option<Waiting>,
    luma: f64,
    was_cut: bool,
    /// Pictures since the last cut.
    of_scene: u32,
}

impl Repeats {
    /// Takes in a picture; the second one that moves again behind repeats tells of them.
    pub fn observe(&mut self, features: &VideoFeatures) -> Option<Loss> {
        let at = features.stamp.at;
        let light = (features.luma_mean - std::mem::replace(&mut self.luma, features.luma_mean)).abs();
        let was_cut = std::mem::replace(&mut self.was_cut, features.cut);
        if features.first || features.left_out {
            // What was not looked at may have moved.
            self.forget();
            return self.waiting.take().map(|waiting| waiting.loss);
        }
        self.of_scene = self.of_scene.saturating_add(1);
        let change = features.change;
        let jumps = |run: Run| change <= JUMP_MOST * f64::from(run.pictures + 1) * run.usual;
        if features.cut && !self.run.is_some_and(jumps) {
            // One is a cut, more are fast motion.
            (self.run, self.of_scene) = (None, 0);
            if was_cut {
                self.moved(at, change);
            } else {
                self.moving.clear();
                // Its place counts, its size does not.
                self.note(at, f64::NAN);
            }
            return self.waiting.take().map(|waiting| waiting.loss);
        }
        let usual = self.run.map(|run| run.usual).or_else(|| self.usual());
        if let Some(usual) = usual.filter(|&usual| usual >= MOTION_MIN && change <= DIP * usual) {
            self.stands(at, change, usual);
            return None;
        }
        let run = self.run.take();
        let least = if run.is_none() { change * GROWS } else { change / GROWS };
        let told = self.waiting.take().map(|waiting| self.settle(waiting, least));
        let loss = run.and_then(|run| self.judge(run, features, light));
        // Motion that makes up for a repeat is no measure.
        if loss.is_some_and(|loss| loss.certain) {
            self.note(at, change);
        } else {
            self.moved(at, change);
        }
        self.waiting = loss.map(|loss| Waiting { loss, change });
        told
    }

    /// The loss, now that the next picture that moves is seen: it made up for motion if that was at `least` so much.
    fn settle(&mut self, waiting: Waiting, least: f64) -> Loss {
        let Waiting { mut loss, change } = waiting;
        if loss.certain && change < least {
            loss.certain = false;
            self.measure(change);
        }
        loss
    }

    fn stands(&mut self, at: MediaTime, change: f64, usual: f64) {
        let is_new = || !(self.has_cadence(at) || self.is_periodic());
        let new = self.run.map_or_else(is_new, |run| run.new);
        let run = self.run.get_or_insert(Run {
            from: at,
            pictures: 0,
            usual,
            most: 0.0,
            new,
            settled: self.of_scene >= OF_SCENE,
        });
        run.pictures += 1;
        run.most = run.most.max(change);
        let stopped = at.since(run.from) > LONGEST;
        self.note(at, change);
        if stopped {
            self.forget();
        }
    }

    fn judge(&self, run: Run, features: &VideoFeatures, light: f64) -> Option<Loss> {
        let change = features.change;
        let made_up = 1.0 + MADE_UP * f64::from(run.pictures.min(MADE_UP_MAX));
        let certain = change >= made_up * run.usual && change >= CONTRAST * run.most;
        let repeated = run.most <= STILL * run.usual && change >= FADED * run.usual;
        if !(certain || repeated) || light > LIGHT * change {
            return None;
        }
        let new = run.new && (run.settled || run.pictures > ADDED);
        Some(Loss { from: run.from, until: features.stamp.at, pictures: run.pictures, certain, new })
    }

    fn usual(&self) -> Option<f64> {
        let mut sorted: heapless::Vec<f32, MOVING> = self.moving.iter().copied().collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let (low, high) = (sorted.get((sorted.len().max(1) - 1) / 2)?, sorted.get(sorted.len() / 2)?);
        (sorted.len() >= MOVING_MIN).then_some(f64::from((low + high) / 2.0))
    }

    /// Whether pictures dip as a habit, or too little is known.
    fn has_cadence(&self, now: MediaTime) -> bool {
        let past: heapless::Vec<f32, REMEMBERED> =
            self.past.iter().filter(|(at, _)| now.since(*at) <= PAST).map(|&(_, change)| change).collect();
        let most = |changes: &[f32]| changes.iter().copied().fold(0.0, f32::max);
        let dips = (0..past.len()).filter(|&n| {
            let before = most(&past[n.saturating_sub(CADENCE_REACH)..n]);
            let behind = most(&past[n + 1..past.len().min(n + 1 + CADENCE_REACH)]);
            past[n] < CADENCE_DIP * before.min(behind)
        });
        past.len() < KNOWN || dips.count() as f64 > CADENCE * past.len() as f64
    }

    /// Whether pictures before this one, every so many, moved by less than both beside them.
    fn is_periodic(&self) -> bool {
        let past: heapless::Vec<f32, REMEMBERED> = self.past.iter().map(|&(_, change)| change).collect();
        PERIODS.into_iter().any(|period| {
            let places = (1..).map_while(|n| past.len().checked_sub(n * period)).take_while(|&at| at > 0);
            let less = |at: usize| past[at] < LESS * past[at - 1] && past[at] < LESS * past[at + 1];
            let found: heapless::Vec<bool, REMEMBERED> = places.map(less).collect();
            let often = |(rounds, least): (usize, usize)| {
                found.get(..rounds).is_some_and(|last| last.iter().filter(|&&less| less).count() >= least)
            };
            ROUNDS.into_iter().any(often)
        })
    }

    fn moved(&mut self, at: MediaTime, change: f64) {
        self.measure(change);
        self.note(at, change);
    }

    /// Takes a change in among those of which the usual motion is made.
    fn measure(&mut self, change: f64) {
        // Repeats right behind a cut, before the usual motion is known, are none of it.
        let most = self.moving.iter().copied().fold(0.0, f32::max);
        if change < STILL * f64::from(most) {
            return;
        }
        if self.moving.is_full() {
            self.moving.pop_front();
        }
        // Room was just made.
        let _ = self.moving.push_back(change as f32);
    }

    fn note(&mut self, at: MediaTime, change: f64) {
        if self.past.is_full() {
            self.past.pop_front();
        }
        // Room was just made.
        let _ = self.past.push_back((at, change as f32));
    }

    fn forget(&mut self) {
        self.past.clear();
        self.moving.clear();
        self.run = None;
    }
}
