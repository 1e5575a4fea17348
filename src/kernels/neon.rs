//! AArch64 Advanced SIMD: one cell per step. Every AArch64 processor that runs Linux has it.

use super::{Band, CELL, Kernels, Level, LumaCell, PHASES, Steps, scalar};
use std::arch::aarch64::*;

/// Always there.
pub(super) fn kernels() -> Option<Kernels> {
    Some(Kernels { level: Level::Neon, luma, sums })
}

#[allow(unsafe_code)]
fn luma(band: &Band<'_>, out: &mut [LumaCell]) {
    // SAFETY: NEON is part of the baseline of every aarch64 Linux target.
    unsafe { luma_neon(band, out) }
}

#[target_feature(enable = "neon")]
fn luma_neon(band: &Band<'_>, out: &mut [LumaCell]) {
    let whole = band.width() / CELL;
    for (n, cell) in out.iter_mut().take(whole).enumerate() {
        let zero = vdupq_n_u8(0);
        // 16 rows of pairs of bytes: at most 16 * 2 * 255, which fits 16 bits.
        let (mut sum, mut sad, mut across, mut down) = (vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0));
        let mut squares = vdupq_n_u32(0);
        let (mut min, mut max) = (vdupq_n_u8(u8::MAX), zero);
        let (mut steps, mut jumps) = (vdupq_n_u16(0), vdupq_n_u16(0));
        let mut above: Option<uint8x16_t> = None;
        for (current, previous) in band.rows() {
            let (now, before) = (load(current, n * CELL), load(previous, n * CELL));
            sum = vpadalq_u8(sum, now);
            sad = vpadalq_u8(sad, vabdq_u8(now, before));
            squares = vpadalq_u16(squares, vmull_u8(vget_low_u8(now), vget_low_u8(now)));
            squares = vpadalq_u16(squares, vmull_high_u8(now, now));
            // The first sample of a cell has no left neighbour inside it: it is held against itself.
            let left = vextq_u8::<15>(vdupq_laneq_u8::<0>(now), now);
            across = vpadalq_u8(across, vabdq_u8(now, left));
            down = vpadalq_u8(down, vabdq_u8(now, above.unwrap_or(now)));
            // Left of the picture there is nothing: what is read for it is void.
            let beside = n.saturating_sub(1) * CELL;
            let (now_beside, before_beside) = (load(current, beside), load(previous, beside));
            steps = add_even(steps, upright(now_beside, now));
            jumps = add_even(jumps, upright(change(now_beside, before_beside), change(now, before)));
            min = vminq_u8(min, now);
            max = vmaxq_u8(max, now);
            above = Some(now);
        }
        let tops = tops(band, n * CELL);
        *cell = LumaCell {
            sum: vaddlvq_u16(sum),
            squares: vaddvq_u32(squares),
            sad: vaddlvq_u16(sad),
            across: vaddlvq_u16(across),
            down: vaddlvq_u16(down),
            min: vminvq_u8(min),
            max: vmaxvq_u8(max),
            steps: Steps { left: lefts(steps, n), top: tops.0 },
            jumps: Steps { left: lefts(jumps, n), top: tops.1 },
        };
    }
    scalar::luma_from(band, whole, out);
}

/// By how much the step in the middle exceeds both beside it.
#[target_feature(enable = "neon")]
fn step(p1: uint8x16_t, p0: uint8x16_t, q0: uint8x16_t, q1: uint8x16_t) -> uint8x16_t {
    vqsubq_u8(vabdq_u8(p0, q0), vmaxq_u8(vabdq_u8(p1, p0), vabdq_u8(q0, q1)))
}

/// Steps over upright lines left of each sample of `now`; `beside` is the vector left of it.
#[target_feature(enable = "neon")]
fn upright(beside: uint8x16_t, now: uint8x16_t) -> uint8x16_t {
    step(vextq_u8::<14>(beside, now), vextq_u8::<15>(beside, now), now, vextq_u8::<1>(now, now))
}

/// Half the difference, about 128.
#[target_feature(enable = "neon")]
fn change(now: uint8x16_t, before: uint8x16_t) -> uint8x16_t {
    vrhaddq_u8(now, vmvnq_u8(before))
}

/// Adds the even bytes of `v`: all [`PHASES`] are even, and 16 rows of bytes fit 16 bits.
#[target_feature(enable = "neon")]
fn add_even(sum: uint16x8_t, v: uint8x16_t) -> uint16x8_t {
    vaddq_u16(sum, vandq_u16(vreinterpretq_u16_u8(v), vdupq_n_u16(0xff)))
}

/// The upright lines of cell `n` of a band, from sums of even columns.
#[target_feature(enable = "neon")]
fn lefts(sums: uint16x8_t, n: usize) -> [u16; PHASES.len()] {
    let first = if n == 0 { 0 } else { vgetq_lane_u16::<0>(sums) };
    [first, vgetq_lane_u16::<3>(sums), vgetq_lane_u16::<4>(sums), vgetq_lane_u16::<5>(sums)]
}

/// The level lines of a cell, of the picture and of its difference to the one before.
#[target_feature(enable = "neon")]
fn tops(band: &Band<'_>, at: usize) -> ([u16; PHASES.len()], [u16; PHASES.len()]) {
    let mut out = <([u16; PHASES.len()], [u16; PHASES.len()])>::default();
    for (k, phase) in PHASES.into_iter().enumerate() {
        let Some(rows) = band.around(phase) else { continue };
        let [p1, p0, q0, q1] = rows.map(|(current, _)| load(current, at));
        let [c1, c0, d0, d1] = rows.map(|(current, previous)| change(load(current, at), load(previous, at)));
        out.0[k] = vaddlvq_u8(step(p1, p0, q0, q1));
        out.1[k] = vaddlvq_u8(step(c1, c0, d0, d1));
    }
    out
}

#[allow(unsafe_code)]
fn sums(rows: &[&[u8]], step: usize, out: &mut [u32]) {
    // SAFETY: NEON is part of the baseline of every aarch64 Linux target.
    unsafe { sums_neon(rows, step, out) }
}

#[target_feature(enable = "neon")]
fn sums_neon(rows: &[&[u8]], step: usize, out: &mut [u32]) {
    let per_vector = CELL / step;
    let vectors = rows[0].len() / CELL;
    for (n, places) in out.chunks_exact_mut(per_vector).take(vectors).enumerate() {
        let mut sum = vdupq_n_u16(0);
        for row in rows {
            sum = vpadalq_u8(sum, load(row, n * CELL));
        }
        let halves = [vaddlv_u16(vget_low_u16(sum)), vaddlv_u16(vget_high_u16(sum))];
        for (place, group) in places.iter_mut().zip(halves.chunks_exact(step / 8)) {
            *place = group.iter().sum();
        }
    }
    scalar::sums_from(rows, step, vectors * per_vector, out);
}

#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
fn load(row: &[u8], at: usize) -> uint8x16_t {
    let samples: &[u8; CELL] = row[at..at + CELL].try_into().unwrap_or(&[0; CELL]);
    // SAFETY: the reference is to 16 readable bytes; the load has no alignment requirement.
    unsafe { vld1q_u8(samples.as_ptr()) }
}
