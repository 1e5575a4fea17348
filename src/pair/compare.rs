//! Picture and sound of the output, each found in the input: once a second, over the last seconds.

use super::anchor::{Anchor, near_the_only_top};
use super::block::{Block, CELLS};
use super::correlate::{Peak, correlate, peak};
use super::phase::{Lag, Phase};
use super::pictures::{self, Pictures};
use super::steady::{Steady, Steadying};
use super::track::{PICTURE_STEP, SOUND_STEP, Track};
use crate::time::MediaTime;
use std::collections::VecDeque;

/// What is compared at once, ns.
const WINDOW: i64 = 5_000_000_000;
/// The input's fingerprint comes a second at a time and another way: its end is waited for, ns.
const BEHIND: i64 = 1_200_000_000;
/// The longest way through an encoder, ns.
const LATENCY_MAX: i64 = 30_000_000_000;
/// Changes of the picture are taken over this many places (80 ms): over what one picture of any rate takes.
const CHANGE_OVER: usize = 8;
/// A change counts up to this times the mean of the window: a cut, or the jump that ends a freeze, must not outweigh all
/// motion.
const CHANGE_MAX: f32 = 4.0;
/// Changes of the sound over this many slices (20 ms), which leaves gain and hum out, and their limits, dB: one bang must
/// not outweigh all else.
const LEVEL_OVER: usize = 5;
const LEVEL_CHANGE_MAX: f32 = 15.0;
/// Quieter sound is noise of the room or the coder, dB above -100 dBFS.
const LEVEL_MIN: f32 = 30.0;
/// Picture: around the lag that is known, ns, and nowhere else.
const PICTURE_AROUND: i64 = 2_000_000_000;
/// Sound: around the lag of the picture, ns.
const SOUND_AROUND: i64 = 1_500_000_000;
/// Places that are left out in the wide search.
const COARSE: usize = 4;
/// Readings without a lag of the picture, after which it is searched for widely again.
const LOST_AFTER: u32 = 5;
/// What a peak must reach, and the second highest as a share of it.
const PICTURE_HEIGHT: f64 = 0.8;
const SOUND_HEIGHT: f64 = 0.6;
pub(super) const SECOND: f64 = 0.9;
/// What belongs to the peak, places.
const PICTURE_APART: usize = 12;
const SOUND_APART: usize = 20;
/// Readings whose pictures lie within a window, and lost and repeated ones among them that do no harm.
const STUMBLE_WINDOWS: usize = 6;
const STUMBLES_MAX: u32 = 5;
/// Parts of a window, places of half a second, in each of which the output moves by this share of what the input does, ...
const PART: i64 = 50;
const STANDS: f32 = 0.25;
/// ... if the input moves there by this share of its mean, and this, code values over 80 ms.
const MOVES_ON: f32 = 0.4;
const MOVES_MIN: f32 = 0.15;
/// An offset that is known less well is none, ms: half a picture of 25 a second.
const WITHIN_MAX_MS: f64 = 20.0;
/// Less change than this (root mean square over the window; code values, dB) is none that could be followed.
const PICTURE_CHANGE_MIN: f32 = 0.12;
const SOUND_CHANGE_MIN: f32 = 0.8;

/// Why nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Less than a window was seen of one of both, without a gap.
    Waiting,
    /// It hardly changes.
    Quiet,
    /// It is not found in the other source.
    Unlike,
    /// It is found in more than one place: it repeats.
    Ambiguous,
}

impl Silence {
    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            Silence::Waiting => "waiting",
            Silence::Quiet => "too_little_change",
            Silence::Unlike => "not_alike",
            Silence::Ambiguous => "ambiguous",
        }
    }
}

/// What was measured of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// End of the window on the output's axis.
    pub at: MediaTime,
    /// How far the output's picture lies behind the input's on their axes, ms, and how alike both are there.
    pub picture: Result<(f64, f64), Silence>,
    /// The same of the sound.
    pub sound: Result<(f64, f64), Silence>,
    /// From the input's arrival to the output's, ms.
    pub latency_ms: Option<f64>,
    /// What the encoder adds, ms: positive is sound late. Not known while pictures stumble.
    pub offset_ms: Option<f64>,
    /// It may be off by this much, ms: more where the rates of pictures differ and little moves. An offset that would be
    /// known less well than within 20 ms is not told.
    pub within_ms: Option<f64>,
    /// Loudness that it adds, dB.
    pub level_db: Option<f64>,
    /// Pictures lost and repeated in the last second of the window.
    pub pictures: Pictures,
    /// Likeness of both pictures, 0 to 1, from means and detail of the cells; an estimate of SSIM.
    pub quality: Option<f64>,
}

/// Compares two sources.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Where the latency is searched, ns.
    search: std::ops::RangeInclusive<i64>,
    pub(super) input: Track,
    pub(super) output: Track,
    /// Last known lag of the picture on the axes.
    pub(super) lag: Option<Lag>,
    anchor: Anchor,
    /// Readings since it was known.
    unknown: u32,
    /// Whether it was the only one of all that are searched.
    sure: bool,
    /// End of the last window.
    done: Option<MediaTime>,
    steadying: Steadying,
    /// Lost and repeated pictures of the last readings, which their windows reach back to.
    stumbled: VecDeque<u32>,
    /// Scratch.
    long: Vec<f32>,
    window: Vec<f32>,
    heights: Vec<f32>,
    phase: Phase,
}

impl Pair {
    fn new(search: std::ops::RangeInclusive<i64>) -> Self {
        // What is searched lies before the window or behind it, by the latency at the most.
        let kept = search.end() - search.start().min(&0) + 3 * WINDOW;
        Self {
            search,
            input: Track::new(kept),
            output: Track::new(kept),
            lag: None,
            anchor: Anchor::default(),
            unknown: 0,
            sure: false,
            done: None,
            steadying: Steadying::default(),
            stumbled: VecDeque::new(),
            long: Vec::new(),
            window: Vec::new(),
            heights: Vec::new(),
            phase: Phase::default(),
        }
    }

    /// A tap and the encoder behind it: output comes up to 30 s later. A second the other way is what stamps may be off.
    pub fn live() -> Self {
        Self::new(-1_000_000_000..=LATENCY_MAX)
    }

    /// Two recordings, whichever begins first.
    pub fn recordings() -> Self {
        Self::new(-LATENCY_MAX..=LATENCY_MAX)
    }

    /// Takes a second of the input.
    pub fn input(&mut self, block: &Block) {
        self.input.take(block);
    }

    /// Takes a second of the output; what was measured with it.
    pub fn output(&mut self, block: &Block) -> Option<Reading> {
        self.output.take(block);
        self.read(MediaTime(self.output.until().0 - BEHIND))
    }

    /// What was steady over the last readings.
    pub fn steady(&self) -> Option<Steady> {
        self.steadying.steady()
    }

    /// Last known lag of the picture, ms.
    pub fn lag_ms(&self) -> Option<f64> {
        self.lag.map(|lag| lag.ns as f64 / 1e6)
    }

    /// What the window up to `at` of the output says.
    fn read(&mut self, at: MediaTime) -> Option<Reading> {
        if self.done.is_some_and(|done| at.0 - done.0 < 900_000_000 && at >= done) {
            return None;
        }
        let since = self.done.replace(at).filter(|done| *done < at);
        let picture = self.picture(at);
        match picture {
            Ok((lag, _)) => (self.lag, self.unknown) = (Some(lag), 0),
            Err(_) => self.unknown += 1,
        }
        let sound = self.sound(at);
        let lag = picture.ok().map(|(lag, _)| lag);
        let since = since.unwrap_or(at).max(MediaTime(at.0 - WINDOW));
        let tracks = (&self.input, &self.output);
        let pictures = lag.map(|lag| pictures::compare(tracks, lag, (since, at), pictures::MOVES));
        let pictures = pictures.unwrap_or_default();
        if pictures.missing + pictures.repeated > 0 || picture.is_err_and(|why| why == Silence::Waiting) {
            self.anchor.lose();
        }
        let steady = !self.too_many_stumble(pictures) && !lag.is_some_and(|lag| self.stands(at, lag.ns));
        let both = lag.zip(sound.ok()).filter(|_| steady);
        let latency = |lag: Lag| (lag.ns + self.output.epoch() - self.input.epoch()) as f64 / 1e6;
        let reading = Reading {
            at,
            picture: picture.map(|(lag, height)| (lag.ns as f64 / 1e6, height)),
            sound,
            latency_ms: lag.filter(|_| self.sure).map(latency),
            offset_ms: both
                .filter(|(picture, _)| picture.within_ms <= WITHIN_MAX_MS)
                .map(|(picture, sound)| sound.0 - picture.ns as f64 / 1e6),
            within_ms: both.map(|(picture, _)| picture.within_ms),
            level_db: sound.ok().and_then(|(lag, _)| self.level(at, (lag * 1e6) as i64)),
            pictures,
            quality: lag.and_then(|lag| pictures::quality(&self.input, &self.output, lag.ns, at)),
        };
        self.steadying.take(&reading);
        Some(reading)
    }

    /// Whether too many pictures of the window are not what they should be: what moves then is shown late now and then,
    /// and where the picture lies is not known well enough to hold the sound against it.
    fn too_many_stumble(&mut self, pictures: Pictures) -> bool {
        if self.stumbled.len() == STUMBLE_WINDOWS {
            self.stumbled.pop_front();
        }
        self.stumbled.push_back(pictures.missing + pictures.repeated);
        self.stumbled.iter().sum::<u32>() > STUMBLES_MAX
    }

    /// Whether the output's picture stands in a part of the window where the input moves on, as a frozen or black one does:
    /// what is left of it may look like another moment, and where the picture lies is not known.
    fn stands(&self, at: MediaTime, lag: i64) -> bool {
        let (end, back) = (at.0.div_euclid(PICTURE_STEP), lag.div_euclid(PICTURE_STEP));
        let moves = |track: &Track, places: std::ops::Range<i64>| {
            let changes = places.filter_map(|place| {
                let (before, now) = (track.cells.get(place - CHANGE_OVER as i64)?, track.cells.get(place)?);
                Some(before.iter().zip(now).map(|(before, now)| (now - before).abs()).sum::<f32>() / CELLS as f32)
            });
            let (sum, count) = changes.fold((0.0, 0.0), |(sum, count), one| (sum + one, count + 1.0));
            if count > 0.0 { sum / count } else { 0.0 }
        };
        let parts = WINDOW / PICTURE_STEP / PART;
        let part = |n: i64| {
            let places = end - (n + 1) * PART..end - n * PART;
            (moves(&self.input, places.start - back..places.end - back), moves(&self.output, places))
        };
        let parts: Vec<(f32, f32)> = (0..parts).map(part).collect();
        let mean = parts.iter().map(|(input, _)| input).sum::<f32>() / parts.len() as f32;
        let least = MOVES_MIN.max(MOVES_ON * mean);
        parts.iter().any(|(input, output)| *input >= least && *output < STANDS * input)
    }

    /// Lag of the picture, and how alike both are.
    fn picture(&mut self, at: MediaTime) -> Result<(Lag, f64), Silence> {
        let known = self.lag.filter(|_| self.unknown < LOST_AFTER).map(|lag| lag.ns);
        let lags = match known {
            Some(lag) => {
                self.make_sure(at, lag)?;
                lag - PICTURE_AROUND..=lag + PICTURE_AROUND
            }
            None => {
                self.sure = self.remembers_all(at);
                let coarse = self.search(at)?;
                coarse - 100_000_000..=coarse + 100_000_000
            }
        };
        let first = self.lag_of(at, &lags, 0);
        let found = match self.picture_within(at, &lags, 1) {
            Err(Silence::Ambiguous) => return self.held(at, first).ok_or(Silence::Ambiguous),
            found => found?,
        };
        let near = first - (found.lag * PICTURE_STEP as f64) as i64;
        let window = (MediaTime(at.0 - WINDOW), at);
        let lag = self.phase.refine((&self.input, &self.output), near, window);
        Ok((self.anchor.better(lag, at), found.height))
    }

    /// The lag that was known of late, where the window alone does not tell it, as of a slow pan, but does not speak
    /// against it either. `first`: lag of the first place that was searched.
    fn held(&self, at: MediaTime, first: i64) -> Option<(Lag, f64)> {
        let lag = self.anchor.now(at)?;
        let place = usize::try_from((first - lag.ns).div_euclid(PICTURE_STEP)).ok()?;
        near_the_only_top(&self.heights, place).then(|| (lag, f64::from(self.heights[place])))
    }

    /// A lag that was found while not all of the input that is searched was there may be one of several, as of a
    /// programme that repeats: searches once more when all is there.
    fn make_sure(&mut self, at: MediaTime, lag: i64) -> Result<(), Silence> {
        if self.sure || !self.remembers_all(at) {
            return Ok(());
        }
        match self.search(at) {
            Ok(found) if (found - lag).abs() <= PICTURE_AROUND => self.sure = true,
            Ok(_) | Err(Silence::Ambiguous) => {
                self.lag = None;
                return Err(Silence::Ambiguous);
            }
            // Nothing moves: the next window may tell.
            Err(_) => {}
        }
        Ok(())
    }

    /// Whether the input is there as far back as it is searched. Of recordings all is there that there is.
    fn remembers_all(&self, at: MediaTime) -> bool {
        let first = self.input.cells.range().start * PICTURE_STEP;
        *self.search.start() == -LATENCY_MAX || at.0 - WINDOW - self.lags().end() >= first
    }

    /// Lags that are searched, on the axes of both, which began when they were opened.
    fn lags(&self) -> std::ops::RangeInclusive<i64> {
        let apart = self.input.epoch() - self.output.epoch();
        self.search.start() + apart..=self.search.end() + apart
    }

    /// The lag, roughly, among all that are searched.
    fn search(&mut self, at: MediaTime) -> Result<i64, Silence> {
        let lags = self.lags();
        let found = self.picture_within(at, &lags, COARSE)?;
        Ok(self.lag_of(at, &lags, (found.lag * COARSE as f64) as i64 * PICTURE_STEP))
    }

    /// The lag at `into` ns behind the first place that is searched.
    fn lag_of(&self, at: MediaTime, lags: &std::ops::RangeInclusive<i64>, into: i64) -> i64 {
        let (window, long) = self.picture_places(at, lags);
        (window.start - long.start) * PICTURE_STEP - into
    }

    /// Places of the window, and of what it is searched in.
    fn picture_places(
        &self,
        at: MediaTime,
        lags: &std::ops::RangeInclusive<i64>,
    ) -> (std::ops::Range<i64>, std::ops::Range<i64>) {
        let (end, kept) = (at.0.div_euclid(PICTURE_STEP), self.input.cells.range());
        let window = end - WINDOW / PICTURE_STEP..end;
        let from = (window.start - lags.end().div_euclid(PICTURE_STEP)).max(kept.start + CHANGE_OVER as i64);
        let to = (window.end - lags.start().div_euclid(PICTURE_STEP)).min(kept.end);
        (window, from..to)
    }

    fn picture_within(
        &mut self,
        at: MediaTime,
        lags: &std::ops::RangeInclusive<i64>,
        every: usize,
    ) -> Result<Peak, Silence> {
        let (places, searched) = self.picture_places(at, lags);
        let Self { input, output, long, window, heights, .. } = self;
        let grown = |places: &std::ops::Range<i64>| places.start - CHANGE_OVER as i64..places.end;
        let seen = output.cells.slice(grown(&places)).ok_or(Silence::Waiting)?;
        changes(seen, every, window);
        let rms = (window.iter().map(|change| change * change).sum::<f32>() / window.len().max(1) as f32).sqrt();
        if rms < PICTURE_CHANGE_MIN {
            return Err(Silence::Quiet);
        }
        let most = CHANGE_MAX * window.iter().map(|change| change.abs()).sum::<f32>() / window.len().max(1) as f32;
        limit(window, most);
        let seen = input.cells.slice(grown(&searched)).ok_or(Silence::Waiting)?;
        changes(seen, every, long);
        limit(long, most);
        if long.len() < window.len() {
            return Err(Silence::Waiting);
        }
        correlate(long, window, CELLS, heights);
        accept(peak(heights, PICTURE_APART / every.min(PICTURE_APART)), PICTURE_HEIGHT)
    }

    /// Lag of the sound, ms, and how alike both are.
    fn sound(&mut self, at: MediaTime) -> Result<(f64, f64), Silence> {
        let near = self.lag.ok_or(Silence::Waiting)?.ns;
        let end = at.0.div_euclid(SOUND_STEP);
        let places = end - WINDOW / SOUND_STEP..end;
        let kept = self.input.sound.range();
        let from = places.start - (near + SOUND_AROUND).div_euclid(SOUND_STEP);
        let to = places.end - (near - SOUND_AROUND).div_euclid(SOUND_STEP);
        let searched = from.max(kept.start + LEVEL_OVER as i64)..to.min(kept.end);
        let Self { input, output, long, window, heights, .. } = self;
        let grown = |places: &std::ops::Range<i64>| places.start - LEVEL_OVER as i64..places.end;
        level_changes(output.sound.slice(grown(&places)).ok_or(Silence::Waiting)?, window);
        let rms = (window.iter().map(|change| change * change).sum::<f32>() / window.len().max(1) as f32).sqrt();
        if rms < SOUND_CHANGE_MIN {
            return Err(Silence::Quiet);
        }
        level_changes(input.sound.slice(grown(&searched)).ok_or(Silence::Waiting)?, long);
        if long.len() < window.len() {
            return Err(Silence::Waiting);
        }
        correlate(long, window, 1, heights);
        let found = accept(peak(heights, SOUND_APART), SOUND_HEIGHT)?;
        let lag = ((places.start - searched.start) * SOUND_STEP) as f64 - found.lag * SOUND_STEP as f64;
        Ok((lag / 1e6, found.height))
    }

    /// Energy of the output's sound over the window against the input's, dB.
    fn level(&mut self, at: MediaTime, lag: i64) -> Option<f64> {
        let end = at.0.div_euclid(SOUND_STEP);
        let places = end - WINDOW / SOUND_STEP..end;
        let back = lag.div_euclid(SOUND_STEP);
        let energy = |levels: &[f32]| levels.iter().map(|level| 10.0_f64.powf(f64::from(*level) / 10.0)).sum::<f64>();
        let output = energy(self.output.sound.slice(places.clone())?);
        let input = energy(self.input.sound.slice(places.start - back..places.end - back)?);
        Some(10.0 * (output / input).log10())
    }
}

fn accept(found: Option<Peak>, least: f64) -> Result<Peak, Silence> {
    let found = found.filter(|peak| peak.height >= least).ok_or(Silence::Unlike)?;
    if found.second <= SECOND * found.height { Ok(found) } else { Err(Silence::Ambiguous) }
}

/// Changes of the cells over [`CHANGE_OVER`] places, of every `every`th place, all cells side by side.
fn changes(cells: &[[f32; CELLS]], every: usize, out: &mut Vec<f32>) {
    out.clear();
    let pairs = cells.iter().zip(cells.iter().skip(CHANGE_OVER)).step_by(every);
    out.extend(pairs.flat_map(|(before, now)| (0..CELLS).map(|cell| now[cell] - before[cell])));
}

/// Lets no change be larger than `most`, either way.
fn limit(changes: &mut [f32], most: f32) {
    changes.iter_mut().for_each(|change| *change = change.clamp(-most, most));
}

/// Changes of the level over [`LEVEL_OVER`] slices.
fn level_changes(levels: &[f32], out: &mut Vec<f32>) {
    out.clear();
    let heard = |level: &f32| level.max(LEVEL_MIN);
    let change = |(before, now): (&f32, &f32)| (heard(now) - heard(before)).clamp(-LEVEL_CHANGE_MAX, LEVEL_CHANGE_MAX);
    out.extend(levels.iter().zip(levels.iter().skip(LEVEL_OVER)).map(change));
}
