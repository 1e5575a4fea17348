//! x86-64 with AVX2: two cells per step.

use super::{Band, CELL, Kernels, Level, LumaCell, PHASES, Steps, scalar};
use std::arch::x86_64::*;

/// `None` on processors without AVX2.
pub(super) fn kernels() -> Option<Kernels> {
    std::is_x86_feature_detected!("avx2").then_some(Kernels { level: Level::Avx2, luma, sums })
}

/// Cells per vector.
const CELLS: usize = 2;
const BYTES: usize = CELLS * CELL;

#[allow(unsafe_code)]
fn luma(band: &Band<'_>, out: &mut [LumaCell]) {
    // SAFETY: this function is only reached through `kernels()`, which looked for AVX2.
    unsafe { luma_avx2(band, out) }
}

#[target_feature(enable = "avx2")]
fn luma_avx2(band: &Band<'_>, out: &mut [LumaCell]) {
    let pairs = band.width() / BYTES;
    for (n, cells) in out.chunks_exact_mut(CELLS).take(pairs).enumerate() {
        let zero = _mm256_setzero_si256();
        // All but the first sample of each cell has a left neighbour inside the cell.
        let inner = _mm256_xor_si256(_mm256_set1_epi8(-1), _mm256_setr_epi64x(0xff, 0, 0xff, 0));
        let (mut sum, mut squares, mut sad, mut across, mut down) = (zero, zero, zero, zero, zero);
        let (mut min, mut max) = (_mm256_set1_epi8(-1), zero);
        let (mut steps, mut jumps) = (zero, zero);
        let mut above: Option<__m256i> = None;
        for (current, previous) in band.rows() {
            let now = load(current, n * BYTES);
            let before = load(previous, n * BYTES);
            sum = _mm256_add_epi64(sum, _mm256_sad_epu8(now, zero));
            sad = _mm256_add_epi64(sad, _mm256_sad_epu8(now, before));
            let (low, high) = (_mm256_unpacklo_epi8(now, zero), _mm256_unpackhi_epi8(now, zero));
            squares = _mm256_add_epi32(squares, _mm256_madd_epi16(low, low));
            squares = _mm256_add_epi32(squares, _mm256_madd_epi16(high, high));
            let left = _mm256_bslli_epi128::<1>(now);
            let both = (_mm256_and_si256(now, inner), _mm256_and_si256(left, inner));
            across = _mm256_add_epi64(across, _mm256_sad_epu8(both.0, both.1));
            down = _mm256_add_epi64(down, _mm256_sad_epu8(now, above.unwrap_or(now)));
            let (p, b) = (left_of(current, n * BYTES), left_of(previous, n * BYTES));
            steps = add_even(steps, step(p.1, p.0, now, _mm256_bsrli_epi128::<1>(now)));
            let change_now = change(now, before);
            let change_right = _mm256_bsrli_epi128::<1>(change_now);
            jumps = add_even(jumps, step(change(p.1, b.1), change(p.0, b.0), change_now, change_right));
            min = _mm256_min_epu8(min, now);
            max = _mm256_max_epu8(max, now);
            above = Some(now);
        }
        let (sum, sad, across, down) = (per_cell64(sum), per_cell64(sad), per_cell64(across), per_cell64(down));
        let (squares, min, max) = (per_cell32(squares), bytes(min), bytes(max));
        let (steps, jumps) = (bytes(steps), bytes(jumps));
        let tops = tops(band, n * BYTES);
        for (c, cell) in cells.iter_mut().enumerate() {
            *cell = LumaCell {
                sum: sum[c],
                squares: squares[c],
                sad: sad[c],
                across: across[c],
                down: down[c],
                min: min[c * CELL..][..CELL].iter().copied().min().unwrap_or(u8::MAX),
                max: max[c * CELL..][..CELL].iter().copied().max().unwrap_or(0),
                steps: Steps { left: lefts(&steps, n, c), top: tops[c].0 },
                jumps: Steps { left: lefts(&jumps, n, c), top: tops[c].1 },
            };
        }
    }
    scalar::luma_from(band, pairs * CELLS, out);
}

/// By how much the step in the middle exceeds both beside it.
#[target_feature(enable = "avx2")]
fn step(p1: __m256i, p0: __m256i, q0: __m256i, q1: __m256i) -> __m256i {
    let beside = _mm256_max_epu8(abs_diff(p1, p0), abs_diff(q0, q1));
    _mm256_subs_epu8(abs_diff(p0, q0), beside)
}

#[target_feature(enable = "avx2")]
fn abs_diff(a: __m256i, b: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a))
}

/// Half the difference, about 128.
#[target_feature(enable = "avx2")]
fn change(now: __m256i, before: __m256i) -> __m256i {
    _mm256_avg_epu8(now, _mm256_xor_si256(before, _mm256_set1_epi8(-1)))
}

/// Adds the even bytes of `v`: all [`PHASES`] are even, and 16 rows of bytes fit 16 bits.
#[target_feature(enable = "avx2")]
fn add_even(sum: __m256i, v: __m256i) -> __m256i {
    _mm256_add_epi16(sum, _mm256_and_si256(v, _mm256_set1_epi16(0xff)))
}

/// The samples one and two to the left of those at `at`; none are left of the picture, what stands there is void.
#[target_feature(enable = "avx2")]
fn left_of(row: &[u8], at: usize) -> (__m256i, __m256i) {
    if at > 0 {
        return (load(row, at - 1), load(row, at - 2));
    }
    let now = load(row, 0);
    let before = _mm256_permute2x128_si256::<0x08>(now, now);
    (_mm256_alignr_epi8::<15>(now, before), _mm256_alignr_epi8::<14>(now, before))
}

/// The upright lines of cell `c` of pair `n`, from sums of even columns.
fn lefts(sums: &[u8; BYTES], n: usize, c: usize) -> [u16; PHASES.len()] {
    PHASES.map(|phase| {
        let at = c * CELL + phase;
        let outside = n == 0 && at == 0;
        if outside { 0 } else { u16::from_le_bytes([sums[at], sums[at + 1]]) }
    })
}

/// The level lines of two cells, of the picture and of its difference to the one before.
#[target_feature(enable = "avx2")]
fn tops(band: &Band<'_>, at: usize) -> [([u16; PHASES.len()], [u16; PHASES.len()]); CELLS] {
    let mut out = <[([u16; PHASES.len()], [u16; PHASES.len()]); CELLS]>::default();
    let zero = _mm256_setzero_si256();
    for (k, phase) in PHASES.into_iter().enumerate() {
        let Some(rows) = band.around(phase) else { continue };
        let [p1, p0, q0, q1] = rows.map(|(current, _)| load(current, at));
        let [c1, c0, d0, d1] = rows.map(|(current, previous)| change(load(current, at), load(previous, at)));
        let steps = per_cell64(_mm256_sad_epu8(step(p1, p0, q0, q1), zero));
        let jumps = per_cell64(_mm256_sad_epu8(step(c1, c0, d0, d1), zero));
        for (c, cell) in out.iter_mut().enumerate() {
            (cell.0[k], cell.1[k]) = (steps[c] as u16, jumps[c] as u16);
        }
    }
    out
}

#[allow(unsafe_code)]
fn sums(rows: &[&[u8]], step: usize, out: &mut [u32]) {
    // SAFETY: this function is only reached through `kernels()`, which looked for AVX2.
    unsafe { sums_avx2(rows, step, out) }
}

#[target_feature(enable = "avx2")]
fn sums_avx2(rows: &[&[u8]], step: usize, out: &mut [u32]) {
    let per_vector = BYTES / step;
    let vectors = rows[0].len() / BYTES;
    for (n, places) in out.chunks_exact_mut(per_vector).take(vectors).enumerate() {
        let zero = _mm256_setzero_si256();
        let mut sum = zero;
        for row in rows {
            sum = _mm256_add_epi64(sum, _mm256_sad_epu8(load(row, n * BYTES), zero));
        }
        let eights = lanes64(sum);
        for (place, group) in places.iter_mut().zip(eights.chunks_exact(step / 8)) {
            *place = group.iter().sum();
        }
    }
    scalar::sums_from(rows, step, vectors * per_vector, out);
}

#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
fn load(row: &[u8], at: usize) -> __m256i {
    let samples: &[u8; BYTES] = row[at..at + BYTES].try_into().unwrap_or(&[0; BYTES]);
    // SAFETY: the reference is to 32 readable bytes; the load has no alignment requirement.
    unsafe { _mm256_loadu_si256(samples.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn lanes64(v: __m256i) -> [u32; 4] {
    // The sums of a cell fit 32 bits by far.
    [
        _mm256_extract_epi64::<0>(v) as u32,
        _mm256_extract_epi64::<1>(v) as u32,
        _mm256_extract_epi64::<2>(v) as u32,
        _mm256_extract_epi64::<3>(v) as u32,
    ]
}

#[target_feature(enable = "avx2")]
fn per_cell64(v: __m256i) -> [u32; CELLS] {
    let lanes = lanes64(v);
    [lanes[0] + lanes[1], lanes[2] + lanes[3]]
}

#[target_feature(enable = "avx2")]
fn per_cell32(v: __m256i) -> [u32; CELLS] {
    let pairs = _mm256_add_epi32(v, _mm256_bsrli_epi128::<8>(v));
    let all = _mm256_add_epi32(pairs, _mm256_bsrli_epi128::<4>(pairs));
    [_mm256_extract_epi32::<0>(all) as u32, _mm256_extract_epi32::<4>(all) as u32]
}

#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
fn bytes(v: __m256i) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    // SAFETY: the array is 32 writable bytes; the store has no alignment requirement.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), v) };
    out
}
