//! Where the picture lies across rates of pictures, to a few milliseconds.
//!
//! A converter of rates shows each picture of its input from one of its own ticks on, or mixes two. Interpolation between
//! stamps is right for what mixes, and off by up to a quarter of a picture's time for what repeats. So both are tried: the
//! output as the input held until its next picture, and as the input interpolated. Held, a whole range of lags explains
//! the same pictures; the stamps of both say for each how late pictures begin to be shown, in the mean. What is told is
//! the mean over all lags, each as likely as it explains the changes from picture to picture, and how far they spread.

use super::block::{CELLS, PicturePrint};
use super::track::Track;
use crate::time::MediaTime;

/// Lags are tried this far apart, ns, ...
const STEP: i64 = 2_000_000;
/// ... and up to the longest step between pictures and this from the lag that interpolation gave.
const BEYOND: i64 = 12_000_000;
/// Rates of pictures that differ by less are the same: stamps go through, and interpolation is exact.
const SAME_RATE: f64 = 0.005;
/// A change of the picture counts up to this times the mean: a cut must not outweigh all motion.
const CHANGE_MAX: f32 = 3.0;
/// A picture that changes by this share of what its neighbours do is the one before it again.
const SAME: f32 = 0.12;
/// Mixing is believed where it leaves this share of what repeating leaves unexplained: converters that repeat are the
/// rule, and coarse coding looks a little like mixing.
const MIXED: f32 = 0.5;
/// What no model explains, as a share of all.
const NEVER_EXPLAINED: f32 = 0.002;
/// How far interpolation is off, as a deviation, ms.
const ABOUT_MS: f64 = 12.0;
/// Lags that are this much less likely than the likeliest say nothing.
const UNLIKELY: f32 = 0.01;
/// Least correlation of changes from picture to picture, for one of both ways to be known.
const HEIGHT_MIN: f32 = 0.5;
/// Correlation from which on each picture of the output is known to be one of the input.
const FOLLOWED: f32 = 0.85;
/// What grids, stamps and coding leave at one rate, ms, and with the ticks of a converter across rates.
const WITHIN_MS: f64 = 3.0;
const WITHIN_CONVERTED_MS: f64 = 5.0;

type Cells = [f32; CELLS];

/// Pictures with their places.
#[derive(Clone, Debug, Default)]
struct Series {
    at: Vec<i64>,
    cells: Vec<Cells>,
}

impl Series {
    fn fill<'a>(&mut self, pictures: impl Iterator<Item = &'a PicturePrint>) {
        self.at.clear();
        self.cells.clear();
        for picture in pictures {
            self.at.push(picture.at.0);
            self.cells.push(picture.cells.map(|cell| f32::from(cell) / 64.0));
        }
    }

    /// Leaves out what shows the picture before it again, as 25 pictures in 50 do: what counts is when each begins.
    fn each_once(&mut self) {
        let change_at = |cells: &[Cells], at: usize| match (cells.get(at.wrapping_sub(1)), cells.get(at)) {
            (Some(before), Some(now)) => size(&change(before, now)),
            _ => 0.0,
        };
        let (mut kept, mut before, mut now) = (0, 0.0, 0.0);
        for at in 0..self.at.len() {
            let after = change_at(&self.cells, at + 1);
            if at == 0 || now > SAME * f32::max(before, after) {
                (self.at[kept], self.cells[kept]) = (self.at[at], self.cells[at]);
                kept += 1;
            }
            (before, now) = (now, after);
        }
        self.at.truncate(kept);
        self.cells.truncate(kept);
    }
}

/// Scratch, kept from window to window.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase {
    input: Series,
    output: Series,
    /// Changes of the output from picture to picture.
    changes: Vec<Cells>,
    /// What the output would show at one lag.
    would: Vec<Cells>,
    /// How well each lag explains the changes, if the output holds the input's pictures, and if it mixes them.
    held: Vec<f32>,
    mixed: Vec<f32>,
}

/// A lag of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lag {
    pub ns: i64,
    /// It may be off by this much, ms.
    pub within_ms: f64,
    pub follows: Follows,
}

/// Which picture of the input each of the output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// The one at the lag: both have the same rate.
    Nearest,
    /// The last that had begun, at any lag from the first to the second, ns.
    Held(i64, i64),
    /// That is not known: it mixes pictures, or cannot be told from that.
    Unknown,
}

/// How the output may be made of the input.
#[derive(Clone, Copy)]
enum Model {
    Held,
    Mixed,
}

impl Phase {
    /// A better lag than `near`, which interpolation gave, from the output's pictures after `from` up to `to`.
    pub fn refine(&mut self, (input, output): (&Track, &Track), near: i64, (from, to): (MediaTime, MediaTime)) -> Lag {
        let steps = (input.picture_step(), output.picture_step());
        let rough = Lag { ns: near, within_ms: WITHIN_MS, follows: Follows::Nearest };
        if steps.0 <= 0 || (steps.1 as f64 / steps.0 as f64 - 1.0).abs() < SAME_RATE {
            return rough;
        }
        // Between both models, whichever it is.
        let apart = (steps.0 - steps.1).max(0) / 2;
        let within_ms = WITHIN_CONVERTED_MS + (apart + steps.0.min(steps.1)) as f64 / 2e6;
        let neither = Lag { ns: near - apart / 2, within_ms, follows: Follows::Unknown };
        let reach = steps.0.max(steps.1) + BEYOND;
        self.output.fill(output.pictures.iter().filter(|picture| picture.at > from && picture.at <= to));
        let (first, last) = (from.0 - near - reach, to.0 - near + reach);
        let around = steps.0 + STEP;
        let is_near = |picture: &&PicturePrint| (first - around..=last + around).contains(&picture.at.0);
        self.input.fill(input.pictures.iter().filter(is_near));
        self.input.each_once();
        if self.output.at.len() < 3 || self.input.at.len() < 3 {
            return neither;
        }
        let (most, count) = self.see();
        let lags = (near - reach..=near + reach).step_by(STEP as usize);
        self.held.clear();
        self.mixed.clear();
        for lag in lags {
            let (held, mixed) = (self.alike(lag, Model::Held, most), self.alike(lag, Model::Mixed, most));
            self.held.push(held);
            self.mixed.push(mixed);
        }
        let (held, mixed) = (top(&self.held), top(&self.mixed));
        if held.1.max(mixed.1) < HEIGHT_MIN {
            return neither;
        }
        let first = near - reach;
        let lag_of = |place: usize| first + place as i64 * STEP;
        let if_mixed = spread(&self.mixed, mixed, (count, near), |place| Some(lag_of(place)));
        if 1.0 - mixed.1 < MIXED * (1.0 - held.1) {
            return if_mixed.map_or(neither, |lag| Lag { follows: Follows::Unknown, ..lag });
        }
        let Some(lag) = spread(&self.held, held, (count, near - apart / 2), |place| self.late(lag_of(place))) else {
            return neither;
        };
        // Where it may be mixed after all, that is what it may be off by.
        let doubt = if_mixed.filter(|_| mixed.1 > held.1).map_or(0, |mixed| (mixed.ns - lag.ns).abs());
        let follows = match lag.follows {
            Follows::Held(a, b) if held.1 >= FOLLOWED => Follows::Held(lag_of(a as usize), lag_of(b as usize)),
            _ => Follows::Unknown,
        };
        Lag { within_ms: lag.within_ms + doubt as f64 / 1e6, follows, ..lag }
    }

    /// Changes of the output; how much of one counts at the most, and how many as large as the largest they amount to.
    fn see(&mut self) -> (f32, f32) {
        let Self { output, changes, .. } = self;
        changes.clear();
        changes.extend(output.cells.windows(2).map(|two| change(&two[0], &two[1])));
        let most = CHANGE_MAX * changes.iter().map(size).sum::<f32>() / changes.len() as f32;
        changes.iter_mut().for_each(|one| *one = limited(*one, most));
        let power = |one: &Cells| dot(one, one);
        let (sum, squares) =
            changes.iter().map(power).fold((0.0, 0.0), |(sum, squares), one| (sum + one, squares + one * one));
        (most, if squares > 0.0 { sum * sum / squares } else { 0.0 })
    }

    /// Correlation of the changes with those that the input would make at `lag`.
    fn alike(&mut self, lag: i64, model: Model, most: f32) -> f32 {
        let Self { input, output, changes, would, .. } = self;
        would.clear();
        let mut next = 0;
        for at in &output.at {
            while next < input.at.len() && input.at[next] <= at - lag {
                next += 1;
            }
            let (before, after) = (next.saturating_sub(1), next.min(input.at.len() - 1));
            let (a, b) = (&input.cells[before], &input.cells[after]);
            let share = match model {
                Model::Mixed if after > before => {
                    (at - lag - input.at[before]) as f32 / (input.at[after] - input.at[before]) as f32
                }
                _ => 0.0,
            };
            would.push(std::array::from_fn(|cell| a[cell] + share * (b[cell] - a[cell])));
        }
        let (mut both, mut seen, mut made) = (0.0, 0.0, 0.0);
        for (is, two) in changes.iter().zip(would.windows(2)) {
            let would = limited(change(&two[0], &two[1]), most);
            both += dot(is, &would);
            seen += dot(is, is);
            made += dot(&would, &would);
        }
        let power = (seen * made).sqrt();
        if power > 0.0 { both / power } else { 0.0 }
    }

    /// How late the output begins to show a picture of the input, in the mean, if it holds them `lag` late.
    fn late(&self, lag: i64) -> Option<i64> {
        let (mut next, mut shown, mut sum, mut count) = (0, 0, 0, 0);
        for at in &self.output.at {
            while next < self.input.at.len() && self.input.at[next] <= at - lag {
                next += 1;
            }
            // Of the first it is not known when it began.
            if next > 0 && shown > 0 && next != shown {
                sum += at - self.input.at[next - 1];
                count += 1;
            }
            shown = next;
        }
        (count > 0).then(|| sum / count)
    }
}

/// The highest, and where.
fn top(heights: &[f32]) -> (usize, f32) {
    heights.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// The mean of what `late` says of all lags, each as likely as it explains so many changes and as near as it is to what
/// interpolation gave, and what is left open; with the first and the last place that are likely.
fn spread(
    heights: &[f32],
    (_, top): (usize, f32),
    (count, about): (f32, i64),
    late: impl Fn(usize) -> Option<i64>,
) -> Option<Lag> {
    let unexplained = |height: f32| 1.0 - height * height.abs() + NEVER_EXPLAINED;
    let (mut sum, mut mean, mut square, mut likely) = (0.0, 0.0, 0.0, (i64::MAX, i64::MIN));
    for (place, height) in heights.iter().enumerate() {
        let weight = (unexplained(top) / unexplained(*height)).powf(count / 2.0);
        if weight < UNLIKELY {
            continue;
        }
        // From there, for axes that began days apart leave no digits for squares.
        let ms = (late(place)? - about) as f64 / 1e6;
        let weight = f64::from(weight) * (-0.5 * (ms / ABOUT_MS) * (ms / ABOUT_MS)).exp();
        (sum, mean, square) = (sum + weight, mean + weight * ms, square + weight * ms * ms);
        likely = (likely.0.min(place as i64), likely.1.max(place as i64));
    }
    let mean = mean / sum;
    let deviation = (square / sum - mean * mean).max(0.0).sqrt();
    let ns = about + (mean * 1e6) as i64;
    Some(Lag { ns, within_ms: WITHIN_CONVERTED_MS + 2.0 * deviation, follows: Follows::Held(likely.0, likely.1) })
}

fn change(before: &Cells, now: &Cells) -> Cells {
    std::array::from_fn(|cell| now[cell] - before[cell])
}

fn dot(a: &Cells, b: &Cells) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn size(change: &Cells) -> f32 {
    dot(change, change).sqrt()
}

fn limited(change: Cells, most: f32) -> Cells {
    let size = size(&change);
    if size > most { change.map(|cell| cell * most / size) } else { change }
}
