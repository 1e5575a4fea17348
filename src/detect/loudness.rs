//! Loudness: jumps, extremes, and a target missed (EBU R 128, ATSC A/85).
//!
//! Drama has whispers and explosions, so a level alone is no jump. A jump is a step of gain: within a millisecond all
//! of the sound is louder or softer by the same in low and high tones, and stays so: in the seconds after it soft and
//! loud moments alike lie as much higher as the others. Speech over music, a shout or another programme moves some of
//! them only. Without a step only what lies far from what the source has had for minutes is told. Streams lie anywhere from -30 to -12 LUFS, so a target counts
//! only where one was configured.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{AudioFeatures, GATE_LUFS, lufs};
use crate::time::MediaTime;
use std::time::Duration;

/// Blocks of 100 ms that are remembered: 3 s before a step, and some to learn of it.
const REMEMBERED: usize = 40;
/// Blocks that a level before a step needs, and that it is taken from.
const BEFORE: std::ops::RangeInclusive<usize> = 20..=30;
/// A step is one while the sound after it differs by this much, LU: a half louder, and clearly heard; music steps by up to 5 of its own.
const JUMP_LU: f64 = 6.0;
/// Blocks after a step that tell whether all of the sound stays changed: those of the hold time but two.
const AFTER: usize = 28;
/// Shares of the blocks at which both sides are compared, softest first; ...
const QUANTILES: [f64; 5] = [0.15, 0.3, 0.5, 0.7, 0.9];
/// ... pauses are left out: blocks this far under the loudest of their side, LU.
const PAUSE_LU: f64 = 25.0;
/// Each of them must have moved by this, ...
const MOVED_LU: f64 = 5.0;
/// ... and by as much as the others, LU: three seconds of the same music differ by 1 to 3 LU, other words by more.
const ALIKE_LU: f64 = 4.0;
/// The mean frequency of the sound stays within this factor: another voice or programme has another.
const COLOUR: f64 = 4.0;
/// The step itself is as high as the level has moved, dB: a loud first note is higher.
const STEP_ALIKE_DB: f64 = 8.0;
/// A step from less than this is the beginning of sound, LUFS.
const SOUND_LUFS: f64 = -50.0;
/// The mean of 3 s that says that it is over lags by about this much.
const LAG: Duration = Duration::from_secs(1);
/// After so long a new level is the level.
const JUMP_OVER: Duration = Duration::from_secs(30);

/// Blocks that must have passed the gate before a usual level is known (1 min).
const KNOWN: f64 = 600.0;
/// Short-term loudness this far over the usual for 10 s: more than twice as loud as the programme. Explosions and
/// choruses of wide dynamics lie 10 LU over the mean for some seconds.
const FAR_OVER_LU: f64 = 12.0;
const FAR_OVER_FOR: Duration = Duration::from_secs(10);
/// This far under it for half a minute: quiet scenes lie 10 to 18 LU under the mean and end.
const FAR_UNDER_LU: f64 = 20.0;
const FAR_UNDER_FOR: Duration = Duration::from_secs(30);
/// Integrated loudness that no delivery asks for, LUFS: the loudest masters have -8, talk over a quiet line -35.
const TOO_LOUD_LUFS: f64 = -7.0;
const TOO_QUIET_LUFS: f64 = -40.0;
/// Short-term loudness may stray from a target by 7 LU for half a minute: the comfort zone of -5 to +3 LU and more.
const STRAY_LU: f64 = 7.0;
const STRAY_FOR: Duration = Duration::from_secs(30);

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Integrated loudness, LUFS; `None`: only jumps and extremes are told.
    pub target: Option<f64>,
    /// How far it may lie from the target, LU.
    pub tolerance: f64,
}

impl Default for Settings {
    /// No target; 2 LU, as ATSC A/85 and EBU R 128 s1 allow for (R 128 itself asks for 1 LU live).
    fn default() -> Self {
        Self { target: None, tolerance: 2.0 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Jump {
    at: MediaTime,
    /// Power before it.
    before: f64,
    /// The sound before it.
    sound: Character,
    /// How high the step is, dB.
    db: f64,
    up: bool,
    /// The seconds after it said that all of the sound has changed.
    confirmed: bool,
}

/// Steps that are followed at a time: a false one, such as a hard chord, must not hide a true one.
const JUMPS: usize = 8;

/// A level that is wrong, the limit, the words, and how long it must be so.
type Wrong = (f64, f64, &'static str, Duration);

/// Follows the loudness of one source.
#[derive(Clone, Debug)]
pub struct Loudness {
    settings: Settings,
    past: [Block; REMEMBERED],
    seen: usize,
    /// Steps that may be jumps, oldest first.
    jumps: heapless::Vec<Jump, JUMPS>,
    wrong_since: Option<(MediaTime, &'static str)>,
    present: bool,
    good_since: Option<MediaTime>,
}

impl Loudness {
    /// With what is wanted.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            past: [Block::default(); REMEMBERED],
            seen: 0,
            jumps: heapless::Vec::new(),
            wrong_since: None,
            present: false,
            good_since: None,
        }
    }

    /// Looks at one block.
    pub fn observe(&mut self, features: &AudioFeatures) -> Observation {
        self.past[self.seen % REMEMBERED] = Block::of(features);
        self.seen += 1;
        for step in &features.steps {
            self.step(step.at, step.db);
        }
        let short_term = features.loudness.short_term;
        let told = match self.jumped(features.end) {
            Some((jump, level)) => {
                let words = if jump.up { "loudness jumped up" } else { "loudness fell at once" };
                let limit = lufs(jump.before) + if jump.up { JUMP_LU } else { -JUMP_LU };
                Some((jump.at, level, limit, words))
            }
            None => self.lasting(features),
        };
        let present = told.is_some();
        if self.present && !present {
            self.good_since = Some(features.stamp.at.minus(LAG));
        }
        self.present = present;
        let (since, value, threshold, phrase) = match told {
            Some((since, value, limit, words)) => (Some(since), value, limit, words),
            None => (self.good_since, short_term, self.settings.target.unwrap_or(TOO_LOUD_LUFS), "loudness is wrong"),
        };
        Observation {
            defect: Defect::Loudness,
            scope: Scope::Sound,
            presence: if present { Presence::Present } else { Presence::Absent },
            since,
            severity: Severity::Minor,
            value,
            threshold,
            unit: "LUFS",
            confidence: None,
            region: None,
            levels: None,
            phrase,
            change: None,
        }
    }

    /// Blocks, newest first.
    fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        (1..=self.seen.min(REMEMBERED)).map(|back| self.past[(self.seen - back) % REMEMBERED])
    }

    fn step(&mut self, at: MediaTime, db: f64) {
        // The block that holds the step has both levels.
        let whole = Duration::from_millis(100);
        let before = || self.blocks().filter(|block| block.at.plus(whole) <= at).take(*BEFORE.end());
        let (count, sum) = before().fold((0, 0.0), |(count, sum), block| (count + 1, sum + block.power));
        let mean = sum / f64::from(count.max(1));
        if count as usize >= *BEFORE.start() && lufs(mean) > SOUND_LUFS {
            let sound = Character::of(before());
            // Where there is no room, older ones decide.
            let _ = self.jumps.push(Jump { at, before: mean, sound, db, up: db > 0.0, confirmed: false });
        }
    }

    /// The oldest jump that lasts, and the level since.
    fn jumped(&mut self, now: MediaTime) -> Option<(Jump, f64)> {
        let mut jumps = std::mem::take(&mut self.jumps);
        jumps.retain(|jump| self.level_after(jump, now).is_some());
        for jump in jumps.iter_mut().filter(|jump| !jump.confirmed) {
            let after = || self.blocks().take_while(|block| block.at >= jump.at);
            if after().count() >= AFTER {
                jump.confirmed = jump.sound.moved(&Character::of(after()), jump.db);
                // What was no jump after all is dropped below.
                jump.before = if jump.confirmed { jump.before } else { 0.0 };
            }
        }
        jumps.retain(|jump| jump.before > 0.0);
        self.jumps = jumps;
        let oldest = *self.jumps.iter().find(|jump| jump.confirmed)?;
        self.level_after(&oldest, now).map(|level| (oldest, level))
    }

    /// The level since `jump`, while it lasts.
    fn level_after(&self, jump: &Jump, now: MediaTime) -> Option<f64> {
        let after = self.blocks().take(*BEFORE.end()).take_while(|block| block.at >= jump.at);
        let (count, sum) = after.fold((0, 0.0), |(count, sum), block| (count + 1, sum + block.power));
        if count == 0 {
            return Some(lufs(jump.before));
        }
        let level = lufs(sum / f64::from(count));
        let by = (level - lufs(jump.before)) * if jump.up { 1.0 } else { -1.0 };
        (by >= JUMP_LU && level > GATE_LUFS && now.since(jump.at) < JUMP_OVER).then_some(level)
    }

    /// What has been wrong for long enough.
    fn lasting(&mut self, features: &AudioFeatures) -> Option<(MediaTime, f64, f64, &'static str)> {
        let Some((value, limit, words, needed)) = self.wrong(features) else {
            self.wrong_since = None;
            return None;
        };
        let since = match self.wrong_since {
            Some((since, before)) if before == words => since,
            _ => features.stamp.at,
        };
        self.wrong_since = Some((since, words));
        (features.end.since(since) >= needed).then_some((since, value, limit, words))
    }

    fn wrong(&self, features: &AudioFeatures) -> Option<Wrong> {
        let loudness = features.loudness;
        let (now, usual) = (loudness.short_term, loudness.integrated);
        if loudness.gated_blocks < KNOWN {
            return None;
        }
        let sounds = now > GATE_LUFS;
        if let Some(target) = self.settings.target {
            let tolerance = self.settings.tolerance;
            if usual > target + tolerance {
                return Some((usual, target + tolerance, "loudness is over its target", STRAY_FOR));
            }
            if usual < target - tolerance {
                return Some((usual, target - tolerance, "loudness is under its target", STRAY_FOR));
            }
            let stray = STRAY_LU.max(tolerance);
            if now > target + stray {
                return Some((now, target + stray, "sound is far louder than its target", STRAY_FOR));
            }
        }
        if now > usual + FAR_OVER_LU {
            Some((now, usual + FAR_OVER_LU, "sound is far louder than usual", FAR_OVER_FOR))
        } else if sounds && now < usual - FAR_UNDER_LU {
            Some((now, usual - FAR_UNDER_LU, "sound is far softer than usual", FAR_UNDER_FOR))
        } else if usual > TOO_LOUD_LUFS {
            Some((usual, TOO_LOUD_LUFS, "sound is too loud", STRAY_FOR))
        } else if usual < TOO_QUIET_LUFS {
            Some((usual, TOO_QUIET_LUFS, "sound is too quiet", STRAY_FOR))
        } else {
            None
        }
    }
}

/// A block that is remembered.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    at: MediaTime,
    /// K-weighted mean square, summed over weighted channels.
    power: f64,
    /// Mean frequency of the loudest channel, Hz.
    hz: f64,
}

impl Block {
    fn of(features: &AudioFeatures) -> Self {
        let loudest = features.channels.iter().max_by(|a, b| a.rms_dbfs.total_cmp(&b.rms_dbfs));
        let hz = loudest.map_or(0.0, |channel| channel.mean_hz);
        Self { at: features.stamp.at, power: features.loudness.power, hz }
    }
}

/// What some seconds of sound are like, pauses left out.
#[derive(Clone, Copy, Debug)]
struct Character {
    /// Levels at each of [`QUANTILES`], LUFS.
    levels: [f64; QUANTILES.len()],
    /// Median of the mean frequency, Hz.
    hz: f64,
}

impl Character {
    fn of(blocks: impl Iterator<Item = Block>) -> Self {
        let mut sorted: heapless::Vec<(f64, f64), REMEMBERED> =
            blocks.take(REMEMBERED).map(|block| (lufs(block.power), block.hz)).collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let loudest = sorted.last().map_or(GATE_LUFS, |block| block.0);
        let pauses = sorted.iter().take_while(|block| block.0 < loudest - PAUSE_LU).count();
        let sounding = &mut sorted[pauses..];
        let last = sounding.len().saturating_sub(1);
        let at = |share: f64| sounding.get((share * last as f64).round() as usize).map_or(GATE_LUFS, |block| block.0);
        let levels = QUANTILES.map(at);
        sounding.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
        Self { levels, hz: sounding.get(last / 2).map_or(0.0, |block| block.1) }
    }

    /// Whether it became `after` by a gain of about `db`: all levels moved the same way and by about as much.
    fn moved(&self, after: &Self, db: f64) -> bool {
        let mut moved = [0.0; QUANTILES.len()];
        for (by, (before, after)) in moved.iter_mut().zip(self.levels.iter().zip(&after.levels)) {
            *by = (after - before) * db.signum();
        }
        moved.sort_unstable_by(f64::total_cmp);
        let [least, _, middle, _, most] = moved;
        let colour_stays = self.hz <= after.hz * COLOUR && after.hz <= self.hz * COLOUR;
        let step_fits = (middle - db.abs()).abs() <= STEP_ALIKE_DB;
        colour_stays && step_fits && least >= MOVED_LU && most - least <= ALIKE_LU
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sound;
    use super::*;
    use crate::features::Step;

    fn block(n: i64, now: f64, usual: f64) -> AudioFeatures {
        let mut features = sound(n, &[now]);
        features.loudness.power = 10.0_f64.powf((now + 0.691) / 10.0);
        features.loudness.short_term = now;
        features.loudness.integrated = usual;
        features.loudness.gated_blocks = n as f64;
        features
    }

    /// First block at which it is present, with its onset.
    fn first(detector: &mut Loudness, blocks: std::ops::Range<i64>, now: f64, usual: f64) -> Option<(i64, MediaTime)> {
        let mut found = None;
        for n in blocks {
            let seen = detector.observe(&block(n, now, usual));
            if seen.presence == Presence::Present {
                found = found.or(seen.since.map(|since| (n, since)));
            }
        }
        found
    }

    #[test]
    fn a_step_of_gain_is_a_jump_and_another_level_is_not() {
        let mut detector = Loudness::new(Settings::default());
        assert_eq!(first(&mut detector, 0..50, -23.0, -23.0), None);
        assert_eq!(first(&mut detector, 50..80, -12.0, -20.0), None, "drama");
        let mut stepped = block(80, -24.0, -20.0);
        let _ = stepped.steps.push(Step { at: stepped.stamp.at, db: -12.0 });
        detector.observe(&stepped);
        assert_eq!(first(&mut detector, 81..110, -24.0, -20.0), Some((107, stepped.stamp.at)));
        assert_eq!(first(&mut detector, 110..125, -13.0, -20.0).map(|_| ()), Some(()), "the mean of 3 s lags");
        assert_eq!(first(&mut detector, 125..140, -13.0, -20.0), None, "it is back");
    }

    #[test]
    fn a_step_that_lifts_the_loud_moments_only_is_none() {
        let mut detector = Loudness::new(Settings::default());
        assert_eq!(first(&mut detector, 0..50, -35.0, -35.0), None);
        let mut stepped = block(50, -20.0, -35.0);
        let _ = stepped.steps.push(Step { at: stepped.stamp.at, db: 15.0 });
        detector.observe(&stepped);
        for n in 51..120 {
            // Words over music.
            let level = if n % 3 == 0 { -35.0 } else { -20.0 };
            assert_eq!(detector.observe(&block(n, level, -30.0)).presence, Presence::Absent, "{n}");
        }
    }

    #[test]
    fn far_from_the_usual_needs_a_usual_and_time() {
        let mut detector = Loudness::new(Settings::default());
        assert_eq!(first(&mut detector, 0..100, -10.0, -23.0), None);
        assert_eq!(first(&mut detector, 600..700, -10.0, -23.0).map(|found| found.0), Some(699));
        assert_eq!(first(&mut detector, 700..990, -44.0, -23.0), None, "a quiet scene");
        assert_eq!(first(&mut detector, 990..1000, -23.0, -23.0), None);
    }

    #[test]
    fn a_target_counts_only_where_there_is_one() {
        let mut loose = Loudness::new(Settings::default());
        assert_eq!(first(&mut loose, 600..1200, -14.0, -14.0), None);
        let mut strict = Loudness::new(Settings { target: Some(-23.0), tolerance: 1.0 });
        assert_eq!(first(&mut strict, 600..1200, -23.5, -23.5), None);
        assert_eq!(first(&mut strict, 1200..1800, -21.0, -21.5).map(|found| found.0), Some(1499));
    }
}
