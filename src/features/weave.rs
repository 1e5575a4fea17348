//! How the rows of a picture lie in time: two moments woven row by row, the order of fields, and seams between an
//! upper and a lower part.
//!
//! Looked at in strips from top to bottom, one sample in ten or so: what is wrong with rows is wrong in all columns.

use super::strips::{ACROSS, Past, ROW, STRIPS, Strips, distance};
use crate::frame::Plane;
use crate::kernels::CELL;

/// Pictures back to which a part of a picture is looked for.
const LAGS: usize = 4;
/// A bit of 16 x 16 samples moves when it differs by more than this from the picture before, code values per sample:
/// noise of coders is less.
const MOVES: u32 = 3;
/// A bit is combed when neighbouring rows differ by so much (quarters) more than every other row ...
const COMBED: u32 = 6;
/// ... and by so many code values per sample.
const COMBED_MIN: u32 = 2;
/// A bit of a row is broken when the step over the seam is this many times those beside it ...
const BROKEN: u32 = 2;
/// ... and so many code values per sample more.
const BROKEN_MIN: u32 = 2;
/// Rows above and below a step within which the picture before is searched for the same step: what a fast tilt moves
/// an edge by.
const COPIES: usize = 24;
/// Correlation from which steps are the same.
const COPY: f64 = 0.6;
/// Rows above and below a step that move with an edge.
const AROUND: usize = 8;

/// What the strips of one picture tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weave {
    /// Bits of 16 x 16 samples that were looked at; none where there was no picture right before.
    pub bits: u32,
    /// Bits that moved.
    pub moving: u32,
    /// Bits that moved and are combed: rows are more like every other row than like their neighbours.
    pub combed: u32,
    /// In pictures flagged interlaced, mean distance of the upper field (rows 0, 2, ...) and of the lower one to the
    /// other field of the picture before, where the picture moves, code values.
    pub fields: [f64; 2],
    /// The row that stands out most from those beside it, and the one that does so most anew.
    pub seams: [Option<Seam>; 2],
}

/// A row that does not go with the row above it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seam {
    /// Its number.
    pub row: usize,
    /// By how much its step exceeds those beside it, code values per sample.
    pub excess: f64,
    /// The same of the next best row elsewhere.
    pub second: f64,
    /// Strips that move there.
    pub moving: usize,
    /// Strips of those across which the rows break.
    pub broken: usize,
    /// Mean step from above, with its sign, over the mean step without: 1 for an edge between light and dark.
    pub one_sided: f64,
    /// It is an edge of the programme, which moved up or down with what lies around it.
    pub carried: bool,
    /// How much of the step is gone where one of both rows is taken from an earlier picture: 1 when it is all gone.
    pub continued: f64,
}

/// Keeps the strips of the last pictures.
#[derive(Clone, Debug, Default)]
pub(super) struct Weaver {
    past: Past,
    /// Excess of the step to each row over those beside it, of this picture and the one before.
    excess: Vec<u32>,
    excess_before: Vec<u32>,
    /// Excess over what was there before.
    fresh: Vec<u32>,
}

impl Weaver {
    /// What comes next does not follow what came.
    pub fn forget(&mut self) {
        self.past.clear();
    }

    /// Looks at `now`, the next picture after `before`. `interlaced`: flagged so.
    pub fn look(&mut self, now: Plane<'_>, before: Option<Plane<'_>>, interlaced: bool) -> Weave {
        if self.past.get(0).is_none() {
            self.keep(before);
        }
        let known = self.past.get(0).is_some_and(|before| before.rows().len() == now.height());
        self.keep(Some(now));
        let mut weave = Weave::default();
        if !known {
            return weave;
        }
        std::mem::swap(&mut self.excess, &mut self.excess_before);
        let (Some(now), Some(before)) = (self.past.get(0), self.past.get(1)) else { return weave };
        self.excess.clear();
        self.excess.resize(now.rows().len(), 0);
        compare(now, before, interlaced, &mut self.excess, &mut weave);
        if !interlaced {
            weave.seams = self.seams();
        }
        weave
    }

    fn keep(&mut self, plane: Option<Plane<'_>>) {
        if let Some(strips) = plane.and_then(|plane| self.past.room().copy(plane)) {
            self.past.push(strips, LAGS + 1);
        }
    }

    fn seams(&mut self) -> [Option<Seam>; 2] {
        let Self { excess, excess_before, fresh, .. } = self;
        // What was there already is the edge of something, and what moves behind it changes.
        let known = excess_before.len();
        let before = |row: usize| {
            let around = row.saturating_sub(1)..(row + 2).min(known);
            excess_before.get(around).into_iter().flatten().max().copied().unwrap_or(0)
        };
        fresh.clear();
        fresh.extend_from_slice(excess);
        let inner = fresh.len().saturating_sub(2).min(known.saturating_sub(2));
        for (fresh, around) in fresh.iter_mut().skip(1).zip(excess_before.windows(3)).take(inner) {
            *fresh = fresh.saturating_sub(around[0].max(around[1]).max(around[2]));
        }
        for row in [0, fresh.len().saturating_sub(1)] {
            if let Some(fresh) = fresh.get_mut(row) {
                *fresh = fresh.saturating_sub(before(row));
            }
        }
        let newest = highest(fresh).filter(|seam| 2 * before(seam.row) <= excess[seam.row]);
        [highest(excess), newest].map(|seam| seam.and_then(|seam| self.measure(seam)))
    }

    fn measure(&self, mut seam: Seam) -> Option<Seam> {
        let (now, before) = (self.past.get(0)?, self.past.get(1)?);
        let row = seam.row;
        let [above, at] = [row.checked_sub(1)?, row].map(|row| now.rows().get(row));
        let (above, at) = (above?, at?);
        let (beyond, below) = (now.rows().get(row.checked_sub(2)?)?, now.rows().get(row + 1)?);
        let (mut signed, mut all) = (0_i32, 0_u32);
        for n in 0..STRIPS {
            let step = distance(&at[n], &above[n]);
            let beside = distance(&above[n], &beyond[n]).max(distance(&below[n], &at[n]));
            let moved = distance(&at[n], &before.rows()[row][n]).max(distance(&above[n], &before.rows()[row - 1][n]));
            if moved > MOVES * ACROSS as u32 {
                seam.moving += 1;
                seam.broken += usize::from(step > BROKEN * beside + BROKEN_MIN * ACROSS as u32);
            }
            signed += at[n].iter().zip(&above[n]).map(|(&at, &above)| i32::from(at) - i32::from(above)).sum::<i32>();
            all += step;
        }
        seam.one_sided = f64::from(signed.abs()) / f64::from(all.max(1));
        // Most rows are no seams, and the rest is dear.
        if seam.moving > 0 && 2 * seam.broken >= seam.moving {
            seam.carried = carried(row, now, before);
            seam.continued = self.continued(row, now);
        }
        Some(seam)
    }

    /// See [`Seam::continued`].
    fn continued(&self, row: usize, now: &Strips) -> f64 {
        let (at, above) = (now.row(row), now.row(row - 1));
        let beside = distance(above, now.row(row - 2)).max(distance(now.row(row + 1), at));
        let step = distance(at, above);
        let earlier = (1..=LAGS).filter_map(|back| self.past.get(back));
        let left = earlier.map(|then| distance(at, then.row(row - 1)).min(distance(then.row(row), above))).min();
        let excess = |step: u32| f64::from(step.saturating_sub(beside));
        left.map_or(0.0, |left| 1.0 - excess(left) / excess(step).max(1.0))
    }
}

/// The row at which `heights` is greatest, and the next best elsewhere.
fn highest(heights: &[u32]) -> Option<Seam> {
    let first = *heights.iter().max()?;
    let row = heights.iter().rposition(|&height| height == first)?;
    let (above, below) = (&heights[..row.saturating_sub(2)], heights.get(row + 3..).unwrap_or_default());
    let second = above.iter().max().max(below.iter().max()).copied()?;
    let per_sample = |sum: u32| f64::from(sum) / ROW as f64;
    Some(Seam { row, excess: per_sample(first), second: per_sample(second), ..Seam::default() })
}

/// See [`Seam::carried`].
fn carried(row: usize, now: &Strips, before: &Strips) -> bool {
    let step = |strips: &Strips, row: usize| -> [i16; ROW] {
        let (at, above) = (strips.row(row), strips.row(row - 1));
        std::array::from_fn(|n| i16::from(at[n]) - i16::from(above[n]))
    };
    let here = step(now, row);
    let last = now.rows().len();
    let rows = row.saturating_sub(COPIES).max(AROUND + 1)..(row + COPIES).min(last.saturating_sub(AROUND));
    let of = |other: usize| (correlation(&here, &step(before, other)), other);
    let (alike, other) = rows.map(of).fold((0.0, row), |best, one| if one.0 > best.0 { one } else { best });
    if alike < COPY || other == row || row < AROUND || row + AROUND > last {
        return false;
    }
    let away = |from: usize| -> u32 {
        (0..2 * AROUND).map(|n| distance(now.row(row + n - AROUND), before.row(from + n - AROUND))).sum()
    };
    2 * away(other) < away(row)
}

/// Correlation about zero: a step has no mean to be taken off.
fn correlation(a: &[i16; ROW], b: &[i16; ROW]) -> f64 {
    let product = |a: &[i16; ROW], b: &[i16; ROW]| -> f64 {
        f64::from(a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>())
    };
    let energy = product(a, a) * product(b, b);
    if energy > 0.0 { product(a, b) / energy.sqrt() } else { 0.0 }
}

/// Sums over 16 rows, for each column of the strips: 16 x 255 at the most.
#[derive(Clone, Copy)]
struct Sums {
    /// Steps from row to row, and to every other row.
    next: [u16; ROW],
    second: [u16; ROW],
    /// Difference to the picture before.
    change: [u16; ROW],
    /// Distances of even and odd rows to the rows beside them in the picture before.
    fields: [[u16; ROW]; 2],
}

/// A row of all strips.
type Row = [u8; ROW];

fn compare(now: &Strips, before: &Strips, interlaced: bool, excess: &mut [u32], weave: &mut Weave) {
    let rows = now.rows().len();
    let mut fields = [0_u64; 2];
    for top in (0..rows / CELL).map(|band| band * CELL) {
        // The first rows have none above them.
        let range = top.max(2)..(top + CELL).min(rows - 1);
        let mut sums = Sums { next: [0; ROW], second: [0; ROW], change: [0; ROW], fields: [[0; ROW]; 2] };
        for y in range.clone() {
            let (at, above, beyond, below) = (now.row(y), now.row(y - 1), now.row(y - 2), now.row(y + 1));
            add_distances(&mut sums.next, at, above);
            add_distances(&mut sums.second, at, beyond);
            add_distances(&mut sums.change, at, before.row(y));
            excess[y] = step_excess(at, above, beyond, below);
            if interlaced {
                add_distances(&mut sums.fields[y % 2], at, &between(before.row(y - 1), before.row(y + 1)));
            }
        }
        sum_up(&sums, (range.len() * ACROSS) as u32, &mut fields, weave);
    }
    let samples = f64::from(weave.moving.max(1)) * (CELL * ACROSS / 2) as f64;
    weave.fields = fields.map(|sum| sum as f64 / samples);
}

/// Judges the bits of one band, of so many `samples` each.
fn sum_up(sums: &Sums, samples: u32, fields: &mut [u64; 2], weave: &mut Weave) {
    for n in 0..STRIPS {
        let of = |columns: &[u16; ROW]| columns[n * ACROSS..][..ACROSS].iter().map(|&sum| u32::from(sum)).sum::<u32>();
        weave.bits += 1;
        if of(&sums.change) > MOVES * samples {
            let (next, second) = (of(&sums.next), of(&sums.second));
            weave.moving += 1;
            weave.combed += u32::from(4 * next > COMBED * second && next - second > COMBED_MIN * samples);
            (0..2).for_each(|field| fields[field] += u64::from(of(&sums.fields[field])));
        }
    }
}

/// Adds how far each sample is from that beside it. One loop over bytes, which compilers turn into vectors.
fn add_distances(sums: &mut [u16; ROW], a: &Row, b: &Row) {
    for n in 0..ROW {
        sums[n] += u16::from(a[n].abs_diff(b[n]));
    }
}

/// By how much the steps to a row exceed those beside it.
fn step_excess(at: &Row, above: &Row, beyond: &Row, below: &Row) -> u32 {
    let mut lanes = [0_u16; ACROSS];
    for strip in (0..ROW).step_by(ACROSS) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            let n = strip + lane;
            let beside = above[n].abs_diff(beyond[n]).max(below[n].abs_diff(at[n]));
            *sum += u16::from(at[n].abs_diff(above[n]).saturating_sub(beside));
        }
    }
    lanes.iter().map(|&sum| u32::from(sum)).sum()
}

fn between(a: &Row, b: &Row) -> Row {
    let mut mean = [0; ROW];
    for n in 0..ROW {
        mean[n] = ((u16::from(a[n]) + u16::from(b[n]) + 1) >> 1) as u8;
    }
    mean
}
