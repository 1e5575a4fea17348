//! x86-64 with AVX2: two cells per step.

use super::samples::{Column, Samples};
use super::{Band, CELL, Kernels, Level, LumaCell, PHASES, Steps, Strip, scalar, unpack};
use std::arch::x86_64::*;

/// `None` on processors without AVX2.
pub(super) fn kernels() -> Option<Kernels> {
    std::is_x86_feature_detected!("avx2").then_some(Kernels {
        level: Level::Avx2,
        luma,
        glance,
        sums,
        unpack: unpack::avx2::UNPACK,
    })
}

/// Cells per vector.
const CELLS: usize = 2;
const BYTES: usize = CELLS * CELL;
/// Samples left of a cell from which upright lines are looked at.
const LEFT: usize = 2;
/// Bytes in a line of cache.
const LINE: usize = 64;

/// 32 samples of row `y` of both pictures.
macro_rules! load {
    ($column:expr, $y:expr) => {{
        let (now, before) = $column.row($y, BYTES);
        // SAFETY: the columns and rows that are asked for lie in the planes of the band, which the debug build asserts: rows
        // of the band, or the two above it where it is inside, and columns at least 32 before its end. The load has no
        // alignment requirement.
        #[allow(unsafe_code)]
        unsafe {
            (_mm256_loadu_si256(now.cast()), _mm256_loadu_si256(before.cast()))
        }
    }};
}

#[allow(unsafe_code)]
fn luma(band: &Band<'_>, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
    // SAFETY: this function is only reached through `kernels()`, which looked for AVX2.
    unsafe { luma_avx2(band, cells, steps) }
}

#[target_feature(enable = "avx2")]
fn luma_avx2(band: &Band<'_>, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
    let Some(samples) = &Samples::of(band) else { return scalar::luma_from(band, 0, cells, steps) };
    let (pairs, count) = (band.width() / BYTES, cells.len());
    for n in 0..pairs {
        fetch(samples, n);
        let x = n * BYTES;
        let across = match x.checked_sub(LEFT) {
            Some(left) => upright::<false>(&samples.column(left), count, n, steps),
            None => upright::<true>(&samples.column(x), count, n, steps),
        };
        let column = &samples.column(x);
        let (upper, level) = if column.rows == CELL { level::<true>(column) } else { level::<false>(column) };
        let tops = [extract(level.there), extract(level.new)];
        for (c, cell) in cells[n * CELLS..][..CELLS].iter_mut().enumerate() {
            *cell = upper.cell(c, across);
            for (line, (&there, &new)) in tops[0][c].iter().zip(&tops[1][c]).enumerate() {
                steps.put(count, n * CELLS + c, PHASES.len() + line, there, new);
            }
        }
    }
    scalar::luma_from(band, pairs * CELLS, cells, steps);
}

#[allow(unsafe_code)]
fn glance(band: &Band<'_>, cells: &mut [LumaCell]) {
    // SAFETY: this function is only reached through `kernels()`, which looked for AVX2.
    unsafe { glance_avx2(band, cells) }
}

#[target_feature(enable = "avx2")]
fn glance_avx2(band: &Band<'_>, cells: &mut [LumaCell]) {
    let Some(samples) = &Samples::of(band) else { return scalar::glance_from(band, 0, cells) };
    let pairs = band.width() / BYTES;
    for n in 0..pairs {
        fetch(samples, n);
        let column = &samples.column(n * BYTES);
        let seen = if column.rows == CELL { see::<true>(column) } else { see::<false>(column) };
        for (c, cell) in cells[n * CELLS..][..CELLS].iter_mut().enumerate() {
            *cell = seen.cell(c, _mm256_setzero_si256());
        }
    }
    scalar::glance_from(band, pairs * CELLS, cells);
}

/// What one visit of all samples gives.
#[derive(Clone, Copy)]
struct Seen {
    sum: __m256i,
    sad: __m256i,
    down: __m256i,
    min: __m256i,
    max: __m256i,
}

impl Seen {
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        let zero = _mm256_setzero_si256();
        Self { sum: zero, sad: zero, down: zero, min: _mm256_set1_epi8(-1), max: zero }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add(&mut self, now: __m256i, before: __m256i) {
        self.sum = _mm256_add_epi64(self.sum, _mm256_sad_epu8(now, _mm256_setzero_si256()));
        self.sad = _mm256_add_epi64(self.sad, _mm256_sad_epu8(now, before));
        self.min = _mm256_min_epu8(self.min, now);
        self.max = _mm256_max_epu8(self.max, now);
    }

    /// Cell `c`, with `across` in quadwords like the others.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn cell(&self, c: usize, across: __m256i) -> LumaCell {
        // Four sums of 16 bits into one quadword, then both quadwords of a cell into one.
        let low = _mm256_or_si256(self.sum, _mm256_slli_epi64::<16>(self.sad));
        let high = _mm256_or_si256(across, _mm256_slli_epi64::<16>(self.down));
        let all = _mm256_or_si256(low, _mm256_slli_epi64::<32>(high));
        let all = _mm256_add_epi16(all, _mm256_bsrli_epi128::<8>(all));
        let min = _mm256_min_epu8(self.min, _mm256_srli_epi16::<8>(self.min));
        let least = _mm256_xor_si256(self.max, _mm256_set1_epi8(-1));
        let least = _mm256_min_epu8(least, _mm256_srli_epi16::<8>(least));
        let word = |v: __m256i| {
            let bytes = _mm256_and_si256(v, _mm256_set1_epi16(0xff));
            if c == 0 { _mm256_castsi256_si128(bytes) } else { _mm256_extracti128_si256::<1>(bytes) }
        };
        let sums = if c == 0 { _mm256_extract_epi64::<0>(all) } else { _mm256_extract_epi64::<2>(all) };
        LumaCell {
            sum: sums as u16,
            sad: (sums >> 16) as u16,
            across: (sums >> 32) as u16,
            down: (sums >> 48) as u16,
            min: _mm_cvtsi128_si32(_mm_minpos_epu16(word(min))) as u8,
            max: !_mm_cvtsi128_si32(_mm_minpos_epu16(word(least))) as u8,
        }
    }
}

#[target_feature(enable = "avx2")]
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

/// Steps over the level lines of two cells: of line `n` in bits `16 * n` to `16 * n + 15` of each quadword.
#[derive(Clone, Copy)]
struct Level4 {
    there: __m256i,
    new: __m256i,
}

/// Two neighbouring rows, and the steps down to them and to the row above them.
#[derive(Clone, Copy)]
struct Slope {
    last: __m256i,
    step: __m256i,
    step_above: __m256i,
}

impl Slope {
    /// Goes one row down; what the step to the row before exceeds those beside it by.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn down(&mut self, row: __m256i) -> __m256i {
        let step = abs_diff(row, self.last);
        let excess = _mm256_subs_epu8(self.step, _mm256_max_epu8(self.step_above, step));
        *self = Self { last: row, step, step_above: self.step };
        excess
    }
}

/// Whole rows of the cells, and the level lines in them.
#[target_feature(enable = "avx2")]
#[allow(unused_assignments, reason = "of the last row")]
fn level<const WHOLE: bool>(column: &Column<'_>) -> (Seen, Level4) {
    let zero = _mm256_setzero_si256();
    let mut seen = Seen::new();
    let mut lines = Level4 { there: zero, new: zero };
    let (mut slope, mut slope_of_change) = above(column);
    macro_rules! row {
        ($y:expr) => {
            let y: isize = $y;
            let (now, before) = load!(column, y);
            seen.add(now, before);
            if y > 0 {
                seen.down = _mm256_add_epi64(seen.down, _mm256_sad_epu8(now, slope.last));
            }
            // Rows 2 to 4 and from 12 on are in no line's neighbourhood.
            if y < 2 || (4..12).contains(&y) {
                let excess = [slope.down(now), slope_of_change.down(change(now, before))];
                let [there, new] = excess.map(|excess| _mm256_sad_epu8(excess, zero));
                match y {
                    1 if column.inside => lines = Level4 { there, new },
                    7 => lines.add::<16>(there, new),
                    9 => lines.add::<32>(there, new),
                    11 => lines.add::<48>(there, new),
                    _ => {}
                }
            } else {
                slope.last = now;
            }
        };
    }
    each_row!(column, WHOLE, row);
    (seen, lines)
}

impl Level4 {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn add<const SHIFT: i32>(&mut self, there: __m256i, new: __m256i) {
        self.there = _mm256_or_si256(self.there, _mm256_slli_epi64::<SHIFT>(there));
        self.new = _mm256_or_si256(self.new, _mm256_slli_epi64::<SHIFT>(new));
    }
}

/// The slopes above the band, of the picture and of its change.
#[target_feature(enable = "avx2")]
#[inline]
fn above(column: &Column<'_>) -> (Slope, Slope) {
    let zero = _mm256_setzero_si256();
    if !column.inside {
        let none = Slope { last: zero, step: zero, step_above: zero };
        return (none, none);
    }
    let rows = [-2, -1].map(|y| load!(column, y));
    let (upper, lower) = (change(rows[0].0, rows[0].1), change(rows[1].0, rows[1].1));
    (
        Slope { last: rows[1].0, step: abs_diff(rows[1].0, rows[0].0), step_above: zero },
        Slope { last: lower, step: abs_diff(lower, upper), step_above: zero },
    )
}

/// The upright lines of two cells, into `steps`; sums of horizontal differences, in quadwords.
#[target_feature(enable = "avx2")]
fn upright<const FIRST: bool>(column: &Column<'_>, count: usize, n: usize, steps: &mut Steps<'_>) -> __m256i {
    let zero = _mm256_setzero_si256();
    let (mut even, mut odd, mut there, mut new) = (zero, zero, zero, zero);
    // Each half starts two samples left of its cell, so that the lines at 0 to 10 and the steps beside them lie in it.
    macro_rules! row {
        ($y:expr) => {
            let (mut now, mut before) = load!(column, $y);
            if FIRST {
                (now, before) = (continued(now), continued(before));
            }
            let step = Step::of(now);
            even = _mm256_add_epi16(even, step.even);
            odd = _mm256_add_epi16(odd, step.odd);
            there = _mm256_add_epi16(there, step.excess());
            new = _mm256_add_epi16(new, Step::of(change(now, before)).excess());
        };
    }
    let rows = column.rows as isize;
    for y in 0..rows / 2 {
        row!(2 * y);
        row!(2 * y + 1);
    }
    if rows % 2 == 1 {
        row!(rows - 1);
    }
    // The last sample of each half has no neighbour in it.
    let odd = _mm256_bslli_epi128::<2>(odd);
    // Now in the low word of each quadword.
    let across = _mm256_add_epi16(even, odd);
    let across = _mm256_add_epi16(across, _mm256_srli_epi64::<32>(across));
    let across = _mm256_add_epi16(across, _mm256_srli_epi64::<16>(across));
    let across = _mm256_and_si256(across, _mm256_set1_epi64x(0xffff));
    let left = |sums: __m256i| {
        [
            _mm256_extract_epi16::<0>(sums),
            _mm256_extract_epi16::<3>(sums),
            _mm256_extract_epi16::<4>(sums),
            _mm256_extract_epi16::<5>(sums),
            _mm256_extract_epi16::<8>(sums),
            _mm256_extract_epi16::<11>(sums),
            _mm256_extract_epi16::<12>(sums),
            _mm256_extract_epi16::<13>(sums),
        ]
    };
    let (there, new) = (left(there), left(new));
    for (place, (there, new)) in there.into_iter().zip(new).enumerate() {
        let (c, line) = (place / PHASES.len(), place % PHASES.len());
        let void = FIRST && place == 0;
        let (there, new) = if void { (0, 0) } else { (there as u16, new as u16) };
        steps.put(count, n * CELLS + c, line, there, new);
    }
    across
}

/// Steps between horizontal neighbours, in 16 bits each.
#[derive(Clone, Copy)]
struct Step {
    even: __m256i,
    odd: __m256i,
}

impl Step {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn of(row: __m256i) -> Self {
        let step = abs_diff(row, _mm256_bsrli_epi128::<1>(row));
        Self { even: _mm256_and_si256(step, _mm256_set1_epi16(0xff)), odd: _mm256_srli_epi16::<8>(step) }
    }

    /// What the odd ones exceed the even ones beside them by.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn excess(&self) -> __m256i {
        _mm256_subs_epu8(self.odd, _mm256_max_epu8(self.even, _mm256_bsrli_epi128::<2>(self.even)))
    }
}

/// The first 30 samples of a row, with two more of the first before them.
#[target_feature(enable = "avx2")]
#[inline]
fn continued(row: __m256i) -> __m256i {
    let first = _mm256_broadcastb_epi8(_mm256_castsi256_si128(row));
    _mm256_alignr_epi8::<14>(row, _mm256_permute2x128_si256::<0x20>(first, row))
}

#[target_feature(enable = "avx2")]
#[inline]
fn abs_diff(a: __m256i, b: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a))
}

/// Half the difference, about 128.
#[target_feature(enable = "avx2")]
#[inline]
fn change(now: __m256i, before: __m256i) -> __m256i {
    _mm256_avg_epu8(now, _mm256_xor_si256(before, _mm256_set1_epi8(-1)))
}

/// Four sums of 16 bits for each cell, from two quadwords each.
#[target_feature(enable = "avx2")]
#[inline]
fn extract(sums: __m256i) -> [[u16; 4]; CELLS] {
    let all = _mm256_add_epi16(sums, _mm256_bsrli_epi128::<8>(sums));
    [_mm256_extract_epi64::<0>(all), _mm256_extract_epi64::<2>(all)]
        .map(|four| [four as u16, (four >> 16) as u16, (four >> 32) as u16, (four >> 48) as u16])
}

/// Asks for what the next band will need, into the second level of cache: the first is full of this one.
#[target_feature(enable = "avx2")]
#[inline]
fn fetch(band: &Samples<'_>, n: usize) {
    for share in band.ahead::<{ BYTES * CELL }>(n).into_iter().flatten() {
        fetch_all(share);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn fetch_all(bytes: &[u8]) {
    for line in bytes.chunks_exact(LINE) {
        _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
    }
}

#[allow(unsafe_code)]
fn sums(strip: &Strip<'_>, out: &mut [u16]) {
    // SAFETY: this function is only reached through `kernels()`, which looked for AVX2.
    unsafe { sums_avx2(strip, out) }
}

#[target_feature(enable = "avx2")]
fn sums_avx2(strip: &Strip<'_>, out: &mut [u16]) {
    let per_vector = BYTES / strip.step;
    let vectors = strip.plane.width() / BYTES;
    let (start, stride) = (strip.plane.bytes_from(strip.top).as_ptr(), strip.plane.stride());
    for (n, places) in out.chunks_exact_mut(per_vector).take(vectors).enumerate() {
        // Eight rows of chroma; of sixteen the prefetchers of processors see to the rest.
        if let Some(share) = strip.ahead::<{ BYTES * 8 }>(n) {
            fetch_all(share);
        }
        let mut sum = _mm256_setzero_si256();
        for y in 0..strip.rows {
            // SAFETY: a strip's rows are rows of its plane, and these are 32 of its `width` columns; no alignment is asked for.
            #[allow(unsafe_code)]
            let row = unsafe { _mm256_loadu_si256(start.add(y * stride + n * BYTES).cast()) };
            sum = _mm256_add_epi64(sum, _mm256_sad_epu8(row, _mm256_setzero_si256()));
        }
        if strip.step == CELL {
            sum = _mm256_add_epi64(sum, _mm256_bsrli_epi128::<8>(sum));
        }
        let eights = [
            _mm256_extract_epi64::<0>(sum) as u16,
            _mm256_extract_epi64::<1>(sum) as u16,
            _mm256_extract_epi64::<2>(sum) as u16,
            _mm256_extract_epi64::<3>(sum) as u16,
        ];
        match places {
            [a, b, c, d] => [*a, *b, *c, *d] = eights,
            [a, b] => [*a, *b] = [eights[0], eights[2]],
            _ => {}
        }
    }
    scalar::sums_from(strip, vectors * per_vector, out);
}
