//! The reference: written to be read. The other versions must agree with it bit for bit.

use super::{Band, CELL, Kernels, Level, LumaCell, PHASES, Steps, Strip, unpack};
use std::ops::Range;

pub(super) const KERNELS: Kernels =
    Kernels { level: Level::Scalar, luma, glance, sums, unpack: unpack::scalar::UNPACK };

fn luma(band: &Band<'_>, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
    luma_from(band, 0, cells, steps);
}

/// Cells from number `first` on; also finishes what a wider version leaves over at the right edge.
pub(super) fn luma_from(band: &Band<'_>, first: usize, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
    glance_from(band, first, cells);
    let count = cells.len();
    for (n, cell) in cells.iter_mut().enumerate().skip(first) {
        let span = span(band, n);
        let mut above: Option<&[u8]> = None;
        for (current, _) in band.rows() {
            cell.across += (span.start..span.end.min(span.start + CELL - 1)).map(|x| across(current, x)).sum::<u16>();
            if let Some(above) = above {
                let pairs = above[span.clone()].iter().zip(&current[span.clone()]);
                cell.down += pairs.map(|(a, b)| u16::from(a.abs_diff(*b))).sum::<u16>();
            }
            above = Some(current);
        }
        for (phase, line) in PHASES.into_iter().zip(0..) {
            let upright = upright(band, span.start + phase);
            let level = level(band, span.clone(), phase);
            let (left, top) = (line * count + n, (line + PHASES.len()) * count + n);
            (steps.there[left], steps.new[left]) = upright;
            (steps.there[top], steps.new[top]) = level;
        }
    }
}

fn glance(band: &Band<'_>, cells: &mut [LumaCell]) {
    glance_from(band, 0, cells);
}

/// As [`luma_from`].
pub(super) fn glance_from(band: &Band<'_>, first: usize, cells: &mut [LumaCell]) {
    for (n, cell) in cells.iter_mut().enumerate().skip(first) {
        *cell = LumaCell { min: u8::MAX, ..LumaCell::default() };
        let span = span(band, n);
        for (current, previous) in band.rows() {
            for (&now, &before) in current[span.clone()].iter().zip(&previous[span.clone()]) {
                cell.sum += u16::from(now);
                cell.sad += u16::from(now.abs_diff(before));
                cell.min = cell.min.min(now);
                cell.max = cell.max.max(now);
            }
        }
    }
}

/// Columns of cell `n`.
fn span(band: &Band<'_>, n: usize) -> Range<usize> {
    n * CELL..band.width().min((n + 1) * CELL)
}

/// Step from the second sample left of `x` to the first.
fn across(row: &[u8], x: usize) -> u16 {
    u16::from(row[x.saturating_sub(2)].abs_diff(row[x.saturating_sub(1)]))
}

/// Along the upright line left of column `x`, of the picture and of its difference to the one before.
fn upright(band: &Band<'_>, x: usize) -> (u16, u16) {
    if x < 2 || x + 1 >= band.width() {
        return (0, 0);
    }
    band.rows().fold((0, 0), |(there, new), (current, previous)| {
        let around = [0, 1, 2, 3].map(|i| (current[x + i - 2], previous[x + i - 2]));
        (there + step(around.map(|(now, _)| now)), new + step(around.map(change)))
    })
}

/// Along the level line above row `y` of the cell at `span`.
fn level(band: &Band<'_>, span: Range<usize>, y: usize) -> (u16, u16) {
    let Some(rows) = band.around(y) else { return (0, 0) };
    span.fold((0, 0), |(there, new), x| {
        let around = rows.map(|(current, previous)| (current[x], previous[x]));
        (there + step(around.map(|(now, _)| now)), new + step(around.map(change)))
    })
}

/// By how much the step in the middle exceeds both beside it.
fn step([p1, p0, q0, q1]: [u8; 4]) -> u16 {
    u16::from(p0.abs_diff(q0).saturating_sub(p1.abs_diff(p0).max(q0.abs_diff(q1))))
}

/// Half the difference, about 128: what the averaging instructions of all processors give.
fn change((now, before): (u8, u8)) -> u8 {
    ((u16::from(now) + u16::from(!before) + 1) >> 1) as u8
}

fn sums(strip: &Strip<'_>, out: &mut [u16]) {
    sums_from(strip, 0, out);
}

/// Sums from number `first` on.
pub(super) fn sums_from(strip: &Strip<'_>, first: usize, out: &mut [u16]) {
    for (n, sum) in out.iter_mut().enumerate().skip(first) {
        let span = n * strip.step..strip.plane.width().min((n + 1) * strip.step);
        let rows = (strip.top..strip.top + strip.rows).map(|y| &strip.plane.row(y)[span.clone()]);
        *sum = rows.flatten().map(|&sample| u16::from(sample)).sum();
    }
}
