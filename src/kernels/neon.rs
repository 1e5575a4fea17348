//! AArch64 Advanced SIMD: one cell per step. Every AArch64 processor that runs Linux has it.

use super::{Band, CELL, Kernels, Level, LumaCell, scalar};
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
        let mut above: Option<uint8x16_t> = None;
        for (current, previous) in band.rows() {
            let now = load(current, n * CELL);
            sum = vpadalq_u8(sum, now);
            sad = vpadalq_u8(sad, vabdq_u8(now, load(previous, n * CELL)));
            squares = vpadalq_u16(squares, vmull_u8(vget_low_u8(now), vget_low_u8(now)));
            squares = vpadalq_u16(squares, vmull_high_u8(now, now));
            // The first sample of a cell has no left neighbour inside it: it is held against itself.
            let left = vextq_u8::<15>(vdupq_laneq_u8::<0>(now), now);
            across = vpadalq_u8(across, vabdq_u8(now, left));
            down = vpadalq_u8(down, vabdq_u8(now, above.unwrap_or(now)));
            min = vminq_u8(min, now);
            max = vmaxq_u8(max, now);
            above = Some(now);
        }
        *cell = LumaCell {
            sum: vaddlvq_u16(sum),
            squares: vaddvq_u32(squares),
            sad: vaddlvq_u16(sad),
            across: vaddlvq_u16(across),
            down: vaddlvq_u16(down),
            min: vminvq_u8(min),
            max: vmaxvq_u8(max),
        };
    }
    scalar::luma_from(band, whole, out);
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
