//! The reference: written to be read. The other versions must agree with it bit for bit.

use super::{Band, CELL, Kernels, Level, LumaCell, PHASES, Steps};
use std::ops::Range;

pub(super) const KERNELS: Kernels = Kernels { level: Level::Scalar, luma, sums };

fn luma(band: &Band<'_>, out: &mut [LumaCell]) {
    luma_from(band, 0, out);
}

/// Cells from number `first` on; also finishes what a wider version leaves over at the right edge.
pub(super) fn luma_from(band: &Band<'_>, first: usize, out: &mut [LumaCell]) {
    for (n, cell) in out.iter_mut().enumerate().skip(first) {
        *cell = LumaCell { min: u8::MAX, ..LumaCell::default() };
        let span = n * CELL..band.width().min((n + 1) * CELL);
        let mut above: Option<&[u8]> = None;
        for (current, previous) in band.rows() {
            let (current, previous) = (&current[span.clone()], &previous[span.clone()]);
            for (&now, &before) in current.iter().zip(previous) {
                cell.sum += u32::from(now);
                cell.squares += u32::from(now) * u32::from(now);
                cell.sad += u32::from(now.abs_diff(before));
                cell.min = cell.min.min(now);
                cell.max = cell.max.max(now);
            }
            cell.across += current.windows(2).map(|pair| u32::from(pair[0].abs_diff(pair[1]))).sum::<u32>();
            if let Some(above) = above {
                cell.down += above.iter().zip(current).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
            }
            above = Some(current);
        }
        (cell.steps, cell.jumps) = steps(band, span);
    }
}

/// Steps of the picture and of its difference to the one before, for the cell at `span`.
fn steps(band: &Band<'_>, span: Range<usize>) -> (Steps, Steps) {
    let (mut steps, mut jumps) = (Steps::default(), Steps::default());
    for (n, phase) in PHASES.into_iter().enumerate() {
        let x = span.start + phase;
        if x >= 2 && x + 1 < band.width() {
            for (current, previous) in band.rows() {
                steps.left[n] += step([0, 1, 2, 3].map(|i| current[x + i - 2]));
                jumps.left[n] += step([0, 1, 2, 3].map(|i| change(current[x + i - 2], previous[x + i - 2])));
            }
        }
        if let Some(rows) = band.around(phase) {
            for x in span.clone() {
                steps.top[n] += step(rows.map(|(current, _)| current[x]));
                jumps.top[n] += step(rows.map(|(current, previous)| change(current[x], previous[x])));
            }
        }
    }
    (steps, jumps)
}

/// By how much the step in the middle exceeds both beside it.
fn step([p1, p0, q0, q1]: [u8; 4]) -> u16 {
    u16::from(p0.abs_diff(q0).saturating_sub(p1.abs_diff(p0).max(q0.abs_diff(q1))))
}

/// Half the difference, about 128: what the averaging instructions of all processors give.
fn change(now: u8, before: u8) -> u8 {
    ((u16::from(now) + u16::from(!before) + 1) >> 1) as u8
}

fn sums(rows: &[&[u8]], step: usize, out: &mut [u32]) {
    sums_from(rows, step, 0, out);
}

/// Sums from number `first` on.
pub(super) fn sums_from(rows: &[&[u8]], step: usize, first: usize, out: &mut [u32]) {
    for (n, sum) in out.iter_mut().enumerate().skip(first) {
        let span = n * step..rows[0].len().min((n + 1) * step);
        *sum = rows.iter().map(|row| row[span.clone()].iter().map(|&s| u32::from(s)).sum::<u32>()).sum();
    }
}
