//! The envelope of the sound, its channels added up, in slices of 1 ms: gaps with hard edges on both sides, clicks, and steps of gain.
//!
//! The envelope is that of the difference from sample to sample: it weighs high tones more, so that the swing of a
//! bass note is no gap, and a cut through a waveform stands out. Programme begins hard, a plosive or a drum rises by
//! 40 dB in a millisecond, but nothing in a room ends so: what falls by 10 dB at once and by 33 dB within 6 ms was cut.

/// Slices that make the level before and after an edge.
const AROUND: usize = 20;
/// Fall from the level before at one slice, as powers: 10 dB, for the window of a coder lets the first slices decay.
const FALL: f32 = 0.1;
/// Rise to it again: 12 dB below.
const RISE: f32 = 0.063;
/// While it is below this, the gap goes on: 20 dB.
const LOW: f32 = 0.01;
/// What a gap must reach: 33 dB. Closures of speech and damped strokes fall by up to 30 dB, to the tone of the room.
const DEEP: f32 = 0.0005;
/// Slices in which that must be reached: a codec's window smears an edge.
const EDGE_SLICES: u32 = 6;
/// Slices in which the way back must be made: coders announce what comes by as much.
const RISE_SLICES: u32 = 5;
/// One of the last three slices before the fall has at least this of the level (-6 dB): a fade of 20 ms has less.
const FULL: f32 = 0.25;
/// Shortest and longest gap, ms (contract, catalogue).
const GAP: std::ops::RangeInclusive<u32> = 5..=500;
/// A gap is one in sound that went on for this long, ms: beeps, Morse and stuttered effects are made of edges.
const SOUND_BEFORE: u32 = 200;
/// A pause lies 26 dB under the loudest slice, which is forgotten by as much in 300 ms.
const PAUSE: f32 = 0.0025;
const FORGET: f32 = 0.98;
/// Level before it, as mean square of the high-passed sound: -50 dBFS; who hears a gap in less?
const SOUND_MIN: f32 = 1e-5;
/// What comes back is as loud as what was before within 8 dB, for it is the same sound: or one sound simply ended and
/// another began.
const BACK: std::ops::RangeInclusive<f32> = 0.16..=6.3;

/// Some sound is made of hard edges: formant speech, chip tunes and drum machines fall as deep within [`EDGE_SLICES`] at
/// each closure and note, some 50 times in 10 s; speech, music and effects from microphones do so once or twice.
const CUTS: usize = 8;
/// So many cuts within this many slices are its style, and no gap is told.
const CUTS_AROUND: u64 = 10_000;
/// Cuts closer together are one.
const CUTS_APART: u64 = 20;
/// No gap is told before the style could be heard, slices.
const STYLE_AFTER: u64 = 2500;
/// Mean square of the difference that a cut falls from.
const CUT_SOUND: f32 = 1e-6;

/// A click stands out of the slices around it by 26 dB on both sides: plosives, claps and strokes die away longer.
const CLICK: f32 = 400.0;
/// Slices beside a click that may belong to it, and those that it is held against.
const CLICK_NEAR: usize = 3;
const CLICK_FAR: usize = 12;
/// A step from sample to sample of -30 dBFS, as mean square of the difference over 48 samples.
const CLICK_MIN: f32 = 2e-5;
/// Below this there is no sound to be disturbed, but a sound effect of its own.
const CLICK_SOUND: f32 = 1e-9;

/// Something that breaks the sound: first slice and the slice after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// What.
    pub kind: Kind,
    /// First slice of it.
    pub start: u64,
    /// First slice after it.
    pub end: u64,
}

/// Kinds of breaks in sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound is cut off and comes back.
    Gap,
    /// Time stamps say that samples are missing.
    Missing,
    /// The same few milliseconds over and over.
    Stuck,
    /// A crack of a millisecond or two.
    Click,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Sound,
    /// It fell; whether it falls deep is not known yet.
    Falling { before: f32, start: u64 },
    /// It is low.
    Low { before: f32, start: u64, deep: bool },
    /// It rises again.
    Rising { before: f32, start: u64, from: u64 },
    /// It is back; whether it stays is not known yet.
    Back { before: f32, start: u64, from: u64, until: u64, sum: f32 },
}

const RING: usize = 32;

/// Follows the sum of all channels.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// Differences of the last slices, and the same while sound goes on, with its level.
    all: [f32; RING],
    sound: [(f32, f32); RING],
    sounding: usize,
    /// Slices of sound without a gap, the loudest of late, and slices in a row far below it.
    lasted: u32,
    loudest: f32,
    quiet: u32,
    /// When the last cuts were, oldest first.
    cuts: [Option<u64>; CUTS],
    state: State,
    now: u64,
}

impl Edges {
    /// Takes one slice: mean square of the difference from sample to sample, and of the high-passed sound.
    pub fn take(&mut self, difference: f32, level: f32, mut found: impl FnMut(Found)) {
        self.all[(self.now % RING as u64) as usize] = difference;
        if let Some(click) = self.click() {
            found(click);
        }
        self.note_cut(difference);
        let gap = self.gap(difference, level);
        if let Some(gap) = gap.filter(|gap| gap.start >= STYLE_AFTER && !self.is_style()) {
            found(gap);
        }
        self.now += 1;
    }

    /// Notes a slice that lies deep under those of a moment ago.
    fn note_cut(&mut self, now: f32) {
        let edge = u64::from(EDGE_SLICES);
        let Some(first) = self.now.checked_sub(edge + 2) else { return };
        let before = (first..first + 3).map(|n| self.all[(n % RING as u64) as usize]).sum::<f32>() / 3.0;
        let known = self.cuts[CUTS - 1].is_some_and(|last| self.now - last < CUTS_APART);
        if before > CUT_SOUND && now <= before * DEEP && !known {
            self.cuts.rotate_left(1);
            self.cuts[CUTS - 1] = Some(self.now);
        }
    }

    /// Whether hard edges are how this sound is made.
    fn is_style(&self) -> bool {
        self.cuts[0].is_some_and(|first| self.now - first < CUTS_AROUND)
    }

    fn gap(&mut self, now: f32, level: f32) -> Option<Found> {
        let at = self.now;
        match self.state {
            State::Sound => match self.before().filter(|&before| now <= before * FALL) {
                Some(before) => self.state = State::Falling { before, start: at },
                None => self.go_on(now, level),
            },
            State::Falling { before, start } => {
                if now <= before * DEEP {
                    self.state = State::Low { before, start, deep: true };
                } else if now > before * FALL {
                    self.state = State::Sound;
                    self.go_on(now, level);
                } else if at - start >= u64::from(EDGE_SLICES) {
                    self.give_up();
                }
            }
            State::Low { before, start, .. } => {
                if now > before * LOW {
                    self.state = State::Rising { before, start, from: at };
                    return self.rise(now);
                }
                if at - start > u64::from(*GAP.end()) {
                    self.give_up();
                }
            }
            State::Rising { .. } => return self.rise(now),
            State::Back { before, start, from, until, sum } => {
                if at < until {
                    self.state = State::Back { before, start, from, until, sum: sum + now };
                } else {
                    return self.back(BACK.contains(&(sum / (before * AROUND as f32))), start, from);
                }
            }
        }
        None
    }

    fn rise(&mut self, now: f32) -> Option<Found> {
        let State::Rising { before, start, from } = self.state else { return None };
        if now >= before * RISE {
            let until = self.now + AROUND as u64;
            self.state = State::Back { before, start, from, until, sum: 0.0 };
        } else if self.now - from >= u64::from(RISE_SLICES) {
            self.give_up();
        }
        None
    }

    fn back(&mut self, stays: bool, start: u64, end: u64) -> Option<Found> {
        self.state = State::Sound;
        self.sounding = 0;
        let long_enough = end - start >= u64::from(*GAP.start());
        if !stays || !long_enough {
            // A dip of a few slices belongs to the sound around it.
            self.lasted = if long_enough { 0 } else { self.lasted };
            return None;
        }
        Some(Found { kind: Kind::Gap, start, end })
    }

    fn give_up(&mut self) {
        self.state = State::Sound;
        self.sounding = 0;
        self.lasted = 0;
    }

    fn go_on(&mut self, now: f32, level: f32) {
        self.sound[self.sounding % RING] = (now, level);
        self.sounding += 1;
        self.loudest = (self.loudest * FORGET).max(now);
        self.quiet = if now < self.loudest * PAUSE { self.quiet + 1 } else { 0 };
        let paused = self.quiet >= *GAP.start();
        self.lasted = if paused { 0 } else { self.lasted.saturating_add(1) };
    }

    /// The level that an edge falls from, where sound went on for long enough and without deep dips.
    fn before(&self) -> Option<f32> {
        if self.sounding <= AROUND || self.lasted < SOUND_BEFORE {
            return None;
        }
        // The last slice may hold part of the edge.
        let last = (2..AROUND + 2).map(|back| self.sound[(self.sounding + RING - back) % RING]);
        let (mut sum, mut level, mut least) = (0.0, 0.0, f32::MAX);
        for (difference, square) in last {
            sum += difference;
            level += square;
            least = least.min(difference);
        }
        let mean = sum / AROUND as f32;
        let full = (1..4).any(|back| self.sound[(self.sounding + RING - back) % RING].0 >= FULL * mean);
        (full && level >= SOUND_MIN * AROUND as f32 && least >= mean * LOW).then_some(mean)
    }

    fn click(&self) -> Option<Found> {
        let centre = self.now.checked_sub(CLICK_FAR as u64)?;
        let at = |offset: i64| self.all[((centre as i64 + offset).rem_euclid(RING as i64)) as usize];
        let here = at(0);
        if here < CLICK_MIN || here < at(-1) || here <= at(1) {
            return None;
        }
        let (near, far) = (CLICK_NEAR as i64, CLICK_FAR as i64);
        let around = (near..=far).flat_map(|offset| [at(-offset), at(offset)]);
        let (mut most, mut least) = (0.0_f32, f32::MAX);
        for difference in around {
            most = most.max(difference);
            least = least.min(difference);
        }
        let stands_out = here > most * CLICK && least > CLICK_SOUND && centre >= 2 * CLICK_FAR as u64;
        stands_out.then_some(Found { kind: Kind::Click, start: centre, end: centre + 1 })
    }
}

/// Slices on each side of a step, in windows of 10.
const SIDE: usize = 40;
const WINDOW: usize = 10;
/// Slices beside a step that are not compared: the cut through the waveform cracks.
const EDGE: u64 = 3;
const STEP_RING: usize = 128;
/// Smallest step that is told, dB: 6 dB, less what 40 ms of sound vary by.
const STEP_MIN_DB: f32 = 5.0;
/// A gain is the same for low and high tones; another sound has another colour. 40 ms of low tones vary by some dB;
/// whether all stays changed is for the seconds after it to tell.
const COLOUR_DB: f32 = 6.0;
/// The step itself, from the mean of some slices to that of the next ones, is most of it, and a step by itself: strings
/// and reeds take 10 ms to speak, and what ends in a room takes longer.
const SHARP: f32 = 0.6;
const SHARP_SLICES: u64 = 4;
/// Every window of one side lies above all of the other by this factor (2 dB): speech and beats swing through it.
const APART: f32 = 1.6;
/// Both sides are sound: differences of a tone of 1 kHz at -60 dBFS.
const STEP_SOUND: f32 = 1e-8;

/// A step of gain in the middle of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GainStep {
    /// First slice of the new gain.
    pub at: u64,
    /// Up is positive.
    pub db: f32,
}

/// Looks for steps in the sum of all channels.
#[derive(Clone, Debug)]
pub struct Steps {
    ring: [(f32, f32); STEP_RING],
    best: Option<GainStep>,
    now: u64,
}

impl Default for Steps {
    fn default() -> Self {
        Self { ring: [(0.0, 0.0); STEP_RING], best: None, now: 0 }
    }
}

impl Steps {
    /// Takes one slice: mean square of the difference from sample to sample, and the squared difference of the mean from
    /// that of the slice before, which is the low tones without a filter's memory. A step is told once the slices after
    /// it are known.
    pub fn take(&mut self, difference: f32, low: f32) -> Option<GainStep> {
        self.ring[(self.now % STEP_RING as u64) as usize] = (difference, low);
        self.now += 1;
        let centre = self.now.checked_sub(SIDE as u64 + EDGE + 1)?;
        let here = if centre > SIDE as u64 + EDGE { self.step_at(centre) } else { None };
        match (here, self.best) {
            (None, best) => {
                self.best = None;
                best
            }
            (Some(here), Some(best)) if best.db.abs() >= here.db.abs() => None,
            (Some(here), _) => {
                self.best = Some(here);
                None
            }
        }
    }

    /// Whether the gain changes at `centre`, whose own slice may hold the edge.
    fn step_at(&self, centre: u64) -> Option<GainStep> {
        let window = |first: u64| {
            let slices = (first..first + WINDOW as u64).map(|n| self.ring[(n % STEP_RING as u64) as usize]);
            slices.fold((0.0, 0.0), |sum: (f32, f32), slice| (sum.0 + slice.0, sum.1 + slice.1))
        };
        let (mut left, mut right) = (Side::default(), Side::default());
        for n in 0..(SIDE / WINDOW) as u64 {
            left.add(window(centre - EDGE - (n + 1) * WINDOW as u64));
            right.add(window(centre + EDGE + n * WINDOW as u64));
        }
        if !(right.least > APART * left.most || left.least > APART * right.most) {
            return None;
        }
        let near = |first: u64| {
            (first..first + SHARP_SLICES).map(|n| self.ring[(n % STEP_RING as u64) as usize].0).sum::<f32>()
        };
        let (before, after) = (near(centre - 1 - SHARP_SLICES), near(centre + 1));
        let db = 10.0 * (right.difference / left.difference).log10();
        if 10.0 * (after / before).log10() * db.signum() < (SHARP * db.abs()).max(STEP_MIN_DB) {
            return None;
        }
        let low = 10.0 * (right.low / left.low).log10();
        let sounds = left.difference.min(right.difference) > STEP_SOUND * SIDE as f32;
        let is_gain = db.abs() >= STEP_MIN_DB && (db - low).abs() <= COLOUR_DB && sounds;
        is_gain.then_some(GainStep { at: centre, db })
    }
}

/// What stands on one side of a step.
struct Side {
    difference: f32,
    low: f32,
    least: f32,
    most: f32,
}

impl Default for Side {
    fn default() -> Self {
        Self { difference: 0.0, low: 0.0, least: f32::MAX, most: 0.0 }
    }
}

impl Side {
    fn add(&mut self, (difference, low): (f32, f32)) {
        self.difference += difference;
        self.low += low;
        self.least = self.least.min(difference);
        self.most = self.most.max(difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(envelope: impl IntoIterator<Item = f32>) -> Vec<Found> {
        let mut edges = Edges::default();
        let mut found = Vec::new();
        for difference in envelope {
            edges.take(difference, difference, |what| found.push(what));
        }
        found
    }

    /// 3 s of sound, what stands between, 100 ms of sound.
    fn between(middle: impl IntoIterator<Item = f32>) -> Vec<Found> {
        let sound = |count: usize| (0..count).map(|n| 1e-3 * (1.0 + 0.8 * (n as f32 * 0.7).sin()));
        found(sound(3000).chain(middle).chain(sound(100)))
    }

    #[test]
    fn a_gap_is_found_from_five_to_five_hundred_milliseconds() {
        for length in [5, 20, 80, 499] {
            assert_eq!(between(vec![0.0; length]), [Found { kind: Kind::Gap, start: 3000, end: 3000 + length as u64 }]);
        }
        assert_eq!(between(vec![0.0; 3]), []);
        assert_eq!(between(vec![0.0; 600]), []);
    }

    #[test]
    fn a_codec_smears_the_edges_and_fills_the_gap() {
        let smeared = [2e-5, 1e-5, 2e-6].into_iter().chain(vec![3e-7; 14]).chain([4e-6, 2e-5]);
        assert_eq!(between(smeared).len(), 1);
    }

    #[test]
    fn what_dies_away_or_swells_is_no_gap() {
        let fade = (0..40).map(|n| 1e-3 * 0.3_f32.powf(n as f32 / 3.0));
        assert_eq!(between(fade.clone()), [], "hard only at the end");
        assert_eq!(between(vec![1e-7; 30].into_iter().chain((0..30).map(|n| 1e-7 * 1.3_f32.powi(n)))), []);
        assert_eq!(between(vec![1e-4; 50]), [], "only 10 dB down");
    }

    #[test]
    fn beeps_are_made_of_edges() {
        let beep = |n: usize| if n % 120 < 60 { 1e-3 } else { 0.0 };
        assert_eq!(found((0..3000).map(beep)), []);
    }

    #[test]
    fn sound_that_is_made_of_edges_has_no_gaps() {
        // Notes of 300 ms and rests of 40 ms, cut at both ends.
        let notes = |n: usize| if n % 340 < 300 { 1e-3 } else { 0.0 };
        assert_eq!(found((0..10_000).map(notes)), []);
    }

    #[test]
    fn a_click_stands_alone() {
        let click = |n: usize| if n % 200 == 100 { 1e-3 } else { 1e-7 };
        assert_eq!(found((0..700).map(click)).len(), 3);
        let stroke = |n: usize| 1e-3 * 0.75_f32.powi((n % 200) as i32) + 1e-7;
        assert_eq!(found((0..1000).map(stroke)), []);
    }

    #[test]
    fn a_step_of_gain_is_told_once_with_its_place() {
        let steps = |gain: fn(usize) -> f32| {
            let mut steps = Steps::default();
            let sound = |n: usize| 1e-3 * gain(n) * (1.0 + 0.4 * (n as f32 * 0.9).sin());
            (0..1000).filter_map(|n| steps.take(sound(n), 3.0 * sound(n))).collect::<Vec<_>>()
        };
        let up = steps(|n| if n < 500 { 1.0 } else { 12.6 });
        assert_eq!(up.len(), 1);
        assert!(up[0].at.abs_diff(500) <= 1 && (up[0].db - 11.0).abs() < 0.5, "{up:?}");
        assert_eq!(steps(|n| 1.0 + n as f32 / 50.0), [], "a fade is no step");
    }
}
