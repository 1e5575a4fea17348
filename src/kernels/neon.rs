//! AArch64 Advanced SIMD: one cell per step. Every AArch64 processor that runs Linux has it.

use super::samples::{Column, Samples};
use super::{Band, CELL, Kernels, Level, LumaCell, PHASES, Steps, Strip, scalar, unpack};
use std::arch::aarch64::*;

/// Always there.
pub(super) fn kernels() -> Option<Kernels> {
    Some(Kernels { level: Level::Neon, luma, glance, sums, unpack: unpack::neon::UNPACK })
}

/// Samples left of a cell from which upright lines are looked at.
const LEFT: usize = 2;

/// 16 samples of row `y` of both pictures.
macro_rules! load {
    ($column:expr, $y:expr) => {{
        let (now, before) = $column.row($y, CELL);
        // SAFETY: the columns and rows that are asked for lie in the planes of the band, which the debug build asserts: rows
        // of the band, or the two above it where it is inside, and columns at least 16 before its end. The load has no
        // alignment requirement.
        #[allow(unsafe_code)]
        unsafe {
            (vld1q_u8(now), vld1q_u8(before))
        }
    }};
}

#[allow(unsafe_code)]
fn luma(band: &Band<'_>, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
    // SAFETY: NEON is part of the baseline of every aarch64 Linux target.
    unsafe { luma_neon(band, cells, steps) }
}

#[target_feature(enable = "neon")]
fn luma_neon(band: &Band<'_>, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
    let Some(samples) = &Samples::of(band) else { return scalar::luma_from(band, 0, cells, steps) };
    let (whole, count) = (band.width() / CELL, cells.len());
    for (n, cell) in cells.iter_mut().take(whole).enumerate() {
        fetch(samples, n);
        let x = n * CELL;
        let across = match x.checked_sub(LEFT) {
            Some(left) => upright::<false>(&samples.column(left), count, n, steps),
            None => upright::<true>(&samples.column(x), count, n, steps),
        };
        let column = &samples.column(x);
        let (seen, lines) = if column.rows == CELL { level::<true>(column) } else { level::<false>(column) };
        *cell = seen.cell(across);
        for (line, (there, new)) in lines.into_iter().enumerate() {
            steps.put(count, n, PHASES.len() + line, there, new);
        }
    }
    scalar::luma_from(band, whole, cells, steps);
}

#[allow(unsafe_code)]
fn glance(band: &Band<'_>, cells: &mut [LumaCell]) {
    // SAFETY: NEON is part of the baseline of every aarch64 Linux target.
    unsafe { glance_neon(band, cells) }
}

#[target_feature(enable = "neon")]
fn glance_neon(band: &Band<'_>, cells: &mut [LumaCell]) {
    let Some(samples) = &Samples::of(band) else { return scalar::glance_from(band, 0, cells) };
    let whole = band.width() / CELL;
    for (n, cell) in cells.iter_mut().take(whole).enumerate() {
        fetch(samples, n);
        let column = &samples.column(n * CELL);
        let seen = if column.rows == CELL { see::<true>(column) } else { see::<false>(column) };
        *cell = seen.cell(0);
    }
    scalar::glance_from(band, whole, cells);
}

/// What one visit of all samples gives. 16 rows of pairs of bytes are at most 16 * 2 * 255, which fits 16 bits.
#[derive(Clone, Copy)]
struct Seen {
    sum: uint16x8_t,
    sad: uint16x8_t,
    down: uint16x8_t,
    min: uint8x16_t,
    max: uint8x16_t,
}

impl Seen {
    #[target_feature(enable = "neon")]
    fn new() -> Self {
        let zero = vdupq_n_u16(0);
        Self { sum: zero, sad: zero, down: zero, min: vdupq_n_u8(u8::MAX), max: vdupq_n_u8(0) }
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn add(&mut self, now: uint8x16_t, before: uint8x16_t) {
        self.sum = vpadalq_u8(self.sum, now);
        self.sad = vpadalq_u8(self.sad, vabdq_u8(now, before));
        self.min = vminq_u8(self.min, now);
        self.max = vmaxq_u8(self.max, now);
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn cell(&self, across: u16) -> LumaCell {
        // The largest, 16 * 16 * 255, fits 16 bits.
        LumaCell {
            sum: vaddvq_u16(self.sum),
            sad: vaddvq_u16(self.sad),
            across,
            down: vaddvq_u16(self.down),
            min: vminvq_u8(self.min),
            max: vmaxvq_u8(self.max),
        }
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn see<const WHOLE: bool>(column: &Column<'_>) -> Seen {
    let mut seen = Seen::new();
    macro_rules! row {
        ($y:expr) => {
            let (now, before) = load!(column, $y);
            seen.add(now, before);
        };
    }
    each_row!(column, WHOLE, row);
    seen
}

/// Two neighbouring rows, and the steps down to them and to the row above them.
#[derive(Clone, Copy)]
struct Slope {
    last: uint8x16_t,
    step: uint8x16_t,
    step_above: uint8x16_t,
}

impl Slope {
    /// Goes one row down; what the step to the row before exceeds those beside it by.
    #[target_feature(enable = "neon")]
    #[inline]
    fn down(&mut self, row: uint8x16_t) -> uint8x16_t {
        let step = vabdq_u8(row, self.last);
        let excess = vqsubq_u8(self.step, vmaxq_u8(self.step_above, step));
        *self = Self { last: row, step, step_above: self.step };
        excess
    }
}

/// Whole rows of the cell, and the level lines in it: each of the picture and of its change.
#[target_feature(enable = "neon")]
#[allow(unused_assignments, reason = "of the last row")]
fn level<const WHOLE: bool>(column: &Column<'_>) -> (Seen, [(u16, u16); PHASES.len()]) {
    let mut seen = Seen::new();
    let mut lines = [(0, 0); PHASES.len()];
    let (mut slope, mut slope_of_change) = above(column);
    macro_rules! row {
        ($y:expr) => {
            let y: isize = $y;
            let (now, before) = load!(column, y);
            seen.add(now, before);
            if y > 0 {
                seen.down = vpadalq_u8(seen.down, vabdq_u8(now, slope.last));
            }
            // Rows 2 to 4 and from 12 on are in no line's neighbourhood.
            if y < 2 || (4..12).contains(&y) {
                let excess = (slope.down(now), slope_of_change.down(change(now, before)));
                let line = match y {
                    1 if column.inside => Some(0),
                    7 => Some(1),
                    9 => Some(2),
                    11 => Some(3),
                    _ => None,
                };
                if let Some(line) = line {
                    lines[line] = (vaddlvq_u8(excess.0), vaddlvq_u8(excess.1));
                }
            } else {
                slope.last = now;
            }
        };
    }
    each_row!(column, WHOLE, row);
    (seen, lines)
}

/// The slopes above the band, of the picture and of its change.
#[target_feature(enable = "neon")]
#[inline]
fn above(column: &Column<'_>) -> (Slope, Slope) {
    let zero = vdupq_n_u8(0);
    if !column.inside {
        let none = Slope { last: zero, step: zero, step_above: zero };
        return (none, none);
    }
    let rows = [-2, -1].map(|y| load!(column, y));
    let (upper, lower) = (change(rows[0].0, rows[0].1), change(rows[1].0, rows[1].1));
    (
        Slope { last: rows[1].0, step: vabdq_u8(rows[1].0, rows[0].0), step_above: zero },
        Slope { last: lower, step: vabdq_u8(lower, upper), step_above: zero },
    )
}

/// The upright lines of a cell, into `steps`; the sum of horizontal differences.
#[target_feature(enable = "neon")]
fn upright<const FIRST: bool>(column: &Column<'_>, count: usize, n: usize, steps: &mut Steps<'_>) -> u16 {
    let (mut across, mut there, mut new) = (vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0));
    // It starts two samples left of the cell, so that the lines at 0 to 10 and the steps beside them lie in it.
    macro_rules! row {
        ($y:expr) => {{
            let (mut now, mut before) = load!(column, $y);
            if FIRST {
                (now, before) = (continued(now), continued(before));
            }
            (to_the_right(now), to_the_right(change(now, before)))
        }};
    }
    let rows = column.rows as isize;
    for y in 0..rows / 2 {
        let (a, b) = (row!(2 * y), row!(2 * y + 1));
        let step = Step::of(a.0, b.0);
        across = step.add_to(across);
        there = step.add_excess_to(there);
        new = Step::of(a.1, b.1).add_excess_to(new);
    }
    if rows % 2 == 1 {
        let (a, none) = (row!(rows - 1), vdupq_n_u8(0));
        let step = Step::of(a.0, none);
        across = step.add_to(across);
        there = step.add_excess_to(there);
        new = Step::of(a.1, none).add_excess_to(new);
    }
    let left = |sums: uint16x8_t| {
        let first = if FIRST { 0 } else { vgetq_lane_u16::<0>(sums) };
        [first, vgetq_lane_u16::<3>(sums), vgetq_lane_u16::<4>(sums), vgetq_lane_u16::<5>(sums)]
    };
    for (line, (there, new)) in left(there).into_iter().zip(left(new)).enumerate() {
        steps.put(count, n, line, there, new);
    }
    vaddvq_u16(across)
}

/// The first 14 samples of a row, with two more of the first before them.
#[target_feature(enable = "neon")]
#[inline]
fn continued(row: uint8x16_t) -> uint8x16_t {
    vextq_u8::<14>(vdupq_laneq_u8::<0>(row), row)
}

/// The steps to the right of each sample; that of the last is void.
#[target_feature(enable = "neon")]
#[inline]
fn to_the_right(row: uint8x16_t) -> uint8x16_t {
    vabdq_u8(row, vextq_u8::<1>(row, row))
}

/// Steps between horizontal neighbours of two rows.
#[derive(Clone, Copy)]
struct Step {
    even: uint8x16_t,
    odd: uint8x16_t,
}

impl Step {
    #[target_feature(enable = "neon")]
    #[inline]
    fn of(a: uint8x16_t, b: uint8x16_t) -> Self {
        Self { even: vuzp1q_u8(a, b), odd: vuzp2q_u8(a, b) }
    }

    /// Adds all but the void ones, the last odd one of each row.
    #[target_feature(enable = "neon")]
    #[inline]
    fn add_to(&self, across: uint16x8_t) -> uint16x8_t {
        let odd = vandq_u8(self.odd, vreinterpretq_u8_u64(vdupq_n_u64(u64::MAX >> 8)));
        vpadalq_u8(vpadalq_u8(across, self.even), odd)
    }

    /// Adds what the odd ones exceed the even ones beside them by. The last of each row is void: no line stands there.
    #[target_feature(enable = "neon")]
    #[inline]
    fn add_excess_to(&self, sums: uint16x8_t) -> uint16x8_t {
        let beside = vmaxq_u8(self.even, vextq_u8::<1>(self.even, self.even));
        let excess = vqsubq_u8(self.odd, beside);
        vaddw_high_u8(vaddw_u8(sums, vget_low_u8(excess)), excess)
    }
}

/// Half the difference, about 128.
#[target_feature(enable = "neon")]
#[inline]
fn change(now: uint8x16_t, before: uint8x16_t) -> uint8x16_t {
    vrhaddq_u8(now, vmvnq_u8(before))
}

/// Asks for what the next band will need, into the second level of cache: the first is full of this one.
#[inline]
fn fetch(band: &Samples<'_>, n: usize) {
    for share in band.ahead::<{ CELL * CELL }>(n).into_iter().flatten() {
        let (half, other) = share.split_at(HALF);
        fetch_half(half);
        fetch_half(other);
    }
}

/// Bytes that one hint covers: two lines of cache of 64.
const HALF: usize = 128;

#[inline]
fn fetch_half(bytes: &[u8]) {
    // SAFETY: a hint, which changes nothing that a program can see.
    #[allow(unsafe_code)]
    unsafe {
        std::arch::asm!(
            "prfm pldl2keep, [{0}]",
            "prfm pldl2keep, [{0}, #64]",
            in(reg) bytes.as_ptr(),
            options(nostack, readonly, preserves_flags)
        );
    }
}

#[allow(unsafe_code)]
fn sums(strip: &Strip<'_>, out: &mut [u16]) {
    // SAFETY: NEON is part of the baseline of every aarch64 Linux target.
    unsafe { sums_neon(strip, out) }
}

#[target_feature(enable = "neon")]
fn sums_neon(strip: &Strip<'_>, out: &mut [u16]) {
    let per_vector = CELL / strip.step;
    let vectors = strip.plane.width() / CELL;
    let (start, stride) = (strip.plane.bytes_from(strip.top).as_ptr(), strip.plane.stride());
    for (n, places) in out.chunks_exact_mut(per_vector).take(vectors).enumerate() {
        // Eight rows of chroma; of sixteen the prefetchers of processors see to the rest.
        if let Some(share) = strip.ahead::<HALF>(n) {
            fetch_half(share);
        }
        let mut sum = vdupq_n_u16(0);
        for y in 0..strip.rows {
            // SAFETY: a strip's rows are rows of its plane, and these are 16 of its `width` columns; no alignment is asked for.
            #[allow(unsafe_code)]
            let row = unsafe { vld1q_u8(start.add(y * stride + n * CELL)) };
            sum = vpadalq_u8(sum, row);
        }
        match places {
            [a, b] => [*a, *b] = [vaddv_u16(vget_low_u16(sum)), vaddv_u16(vget_high_u16(sum))],
            [a] => *a = vaddvq_u16(sum),
            _ => {}
        }
    }
    scalar::sums_from(strip, vectors * per_vector, out);
}
