//! The arithmetic over samples, one version per instruction set, chosen once at start.
//!
//! A kernel visits a band: one row of cells, 16 x 16 luma samples each, loading each sample once for all detectors.
//! Results are integers (sums, counts, extremes), so that all versions agree with `scalar` bit for bit; means and
//! roots are taken later, once, in `features`.

/// Calls the macro `$row` for each row of a band: written out for whole bands, so that what depends on the row is known.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! each_row {
    ($band:expr, $whole:expr, $row:ident) => {
        if $whole {
            $row!(0);
            $row!(1);
            $row!(2);
            $row!(3);
            $row!(4);
            $row!(5);
            $row!(6);
            $row!(7);
            $row!(8);
            $row!(9);
            $row!(10);
            $row!(11);
            $row!(12);
            $row!(13);
            $row!(14);
            $row!(15);
        } else {
            for y in 0..$band.rows as isize {
                $row!(y);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(test)]
mod tests;
mod unpack;

pub use unpack::LumaAt;

use crate::frame::Plane;
use std::str::FromStr;

/// Edge of a cell in luma samples: the macroblock of MPEG-2 and H.264, so that coding damage falls on cell edges.
pub const CELL: usize = 16;

/// Where in a cell steps are measured, as columns and rows: its sides (0), and lines within that coding blocks of 16
/// samples have no sides on. What is as frequent there as on the sides belongs to the programme. 8 is where blocks
/// of 8 samples and user interfaces have sides, 6 and 10 are where nothing has.
pub const PHASES: [usize; 4] = [0, 6, 8, 10];

/// Lines of a cell that steps are measured over: at each of [`PHASES`] an upright one, then at each a level one.
pub const LINES: usize = 2 * PHASES.len();

/// Sums over one cell of the current picture, and against the same cell of the picture before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LumaCell {
    /// Sum of samples, 0 to 65 280.
    pub sum: u16,
    /// Sum of absolute differences to the picture before, 0 to 65 280.
    pub sad: u16,
    /// Sum of absolute differences of horizontal neighbours: 15 pairs in each row, from two samples left of the cell
    /// on (the first samples of a picture go on to its left). That is where they are also needed for [`Steps`].
    pub across: u16,
    /// Sum of absolute differences of vertical neighbours inside the cell.
    pub down: u16,
    /// Smallest sample.
    pub min: u8,
    /// Largest sample.
    pub max: u8,
}

impl LumaCell {
    /// Pairs of neighbours that `across`, and `down`, sums over in a whole cell.
    pub const PAIRS: f64 = (CELL * (CELL - 1)) as f64;
}

/// How sharply a picture steps from sample to sample across lines of the cells of a band, and how sharply half its
/// difference to the picture before does: steps that are new. A sample counts with what the step over the line exceeds
/// the steps to its neighbours on both sides by, so that texture, slopes and noise add little.
///
/// Places are sums along a line of 16 samples, 0 to 4080; 0 where samples are missing at a picture's edge. Line `n` of
/// cell `c` stands at `n * cells + c`: all cells of one line side by side.
#[derive(Debug)]
pub struct Steps<'a> {
    /// Steps of the picture: [`LINES`] times the cells of the band.
    pub there: &'a mut [u16],
    /// Steps of the difference, as `there`.
    pub new: &'a mut [u16],
}

/// Rows above a band that its upper sides need.
const ABOVE: usize = 2;

/// Up to 16 rows of the current picture and the same rows of the picture before.
#[derive(Clone, Copy, Debug)]
pub struct Band<'a> {
    current: Plane<'a>,
    previous: Plane<'a>,
    top: usize,
    rows: usize,
}

impl<'a> Band<'a> {
    /// The rows from `top` on. `None` when there are none, or the pictures differ in size.
    pub fn new(current: Plane<'a>, previous: Plane<'a>, top: usize) -> Option<Self> {
        let same = (current.width(), current.height()) == (previous.width(), previous.height());
        let rows = current.height().saturating_sub(top).min(CELL);
        (same && rows > 0).then_some(Self { current, previous, top, rows })
    }
    /// Samples in a row.
    pub fn width(&self) -> usize {
        self.current.width()
    }
    /// Cells in the band; the last may be narrower.
    pub fn cells(&self) -> usize {
        self.width().div_ceil(CELL)
    }
    /// Whether there are rows above that the upper sides need.
    fn inside(&self) -> bool {
        self.top >= ABOVE
    }
    /// Rows of the current picture, with those of the picture before.
    fn rows(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        (self.top..self.top + self.rows).map(|y| (self.current.row(y), self.previous.row(y)))
    }
    /// The two rows above row `y` of the band, it and the next, of both pictures; `None` where one is missing.
    fn around(&self, y: usize) -> Option<[(&'a [u8], &'a [u8]); 4]> {
        let known = y + 1 < self.rows && (self.inside() || y >= ABOVE);
        let row = |n: usize| self.top + y + n - ABOVE;
        known.then(|| [0, 1, 2, 3].map(|n| (self.current.row(row(n)), self.previous.row(row(n)))))
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Steps<'_> {
    /// Puts the steps along `line` of cell `n` of `cells`, of the picture and of its difference.
    #[inline]
    #[allow(unsafe_code)]
    fn put(&mut self, cells: usize, n: usize, line: usize, there: u16, new: u16) {
        let place = line * cells + n;
        debug_assert!(line < LINES && n < cells);
        // SAFETY: `Kernels::luma` asserts that there are `LINES * cells` places, and `line` and `n` are constants and
        // counters below those. Sixteen checks for each cell would cost as much as the sums that they are for.
        unsafe {
            *self.there.get_unchecked_mut(place) = there;
            *self.new.get_unchecked_mut(place) = new;
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod samples {
    use super::{ABOVE, Band};
    use std::hint::black_box;

    /// The samples of a band by address.
    #[derive(Clone, Copy)]
    pub(super) struct Samples<'a> {
        band: Band<'a>,
        /// Sample 0 of row 0.
        current: *const u8,
        /// As `current`.
        previous: *const u8,
        /// What the next band will visit.
        ahead: [&'a [u8]; 2],
    }

    /// As many columns as a step visits, of all rows of a band. One stride for both pictures, so that one register for
    /// each row will do.
    #[derive(Clone, Copy)]
    pub(super) struct Column<'a> {
        band: Band<'a>,
        x: usize,
        current: *const u8,
        previous: *const u8,
        stride: isize,
        /// Rows of the band.
        pub rows: usize,
        /// Whether the two rows above it can be read too.
        pub inside: bool,
    }

    impl<'a> Samples<'a> {
        /// `None` for pictures of different strides: decoders have one for pictures of one size, or nearly always.
        pub(super) fn of(band: &Band<'a>) -> Option<Self> {
            let from = |row: usize| [band.current, band.previous].map(|plane| plane.bytes_from(row));
            let [current, previous] = from(band.top).map(<[u8]>::as_ptr);
            let same = band.current.stride() == band.previous.stride();
            same.then(|| Self { band: *band, current, previous, ahead: from(band.top + band.rows) })
        }

        /// From column `x` on.
        #[inline]
        pub(super) fn column(&self, x: usize) -> Column<'a> {
            // Known addresses make compilers keep one for each row of both pictures, which no processor has registers for.
            let [current, previous] = [self.current, self.previous].map(|row| black_box(row.wrapping_add(x)));
            let (rows, inside) = (self.band.rows, self.band.inside());
            Column { band: self.band, x, current, previous, stride: self.band.current.stride() as isize, rows, inside }
        }

        /// What to fetch at step `n` of as many bytes as a step visits: of each picture its share of what lies ahead, in
        /// the order of addresses. A band has more rows than the prefetchers of processors follow.
        #[inline]
        pub(super) fn ahead<const BYTES: usize>(&self, n: usize) -> [Option<&'a [u8; BYTES]>; 2] {
            self.ahead.map(|bytes| bytes.get(n * BYTES..)?.first_chunk())
        }
    }

    impl Column<'_> {
        /// `count` samples of row `y` of both pictures, which may be -1 and -2 where there are rows above.
        #[inline]
        pub(super) fn row(&self, y: isize, count: usize) -> (*const u8, *const u8) {
            debug_assert!((if self.inside { -(ABOVE as isize) } else { 0 }..self.rows as isize).contains(&y));
            debug_assert!(self.x + count <= self.band.width());
            (self.current.wrapping_offset(y * self.stride), self.previous.wrapping_offset(y * self.stride))
        }
    }
}

/// Up to 16 rows of a plane, in steps of 8 or 16 columns: the chroma of a band of cells.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'a> {
    plane: Plane<'a>,
    top: usize,
    rows: usize,
    step: usize,
}

impl<'a> Strip<'a> {
    /// `rows` rows from `top` on, fewer at the lower edge. `None` when there are none, or `rows` or `step` is not 8 or 16.
    pub fn new(plane: Plane<'a>, top: usize, rows: usize, step: usize) -> Option<Self> {
        let known = matches!(rows, 8 | 16) && matches!(step, 8 | 16) && top < plane.height();
        known.then(|| Self { plane, top, rows: rows.min(plane.height() - top), step })
    }
    /// Rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// What to fetch at step `n` of `BYTES` columns: its share of what the next strip will visit.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[inline]
    fn ahead<const BYTES: usize>(&self, n: usize) -> Option<&'a [u8; BYTES]> {
        self.plane.bytes_from(self.top + self.rows).get(n * BYTES..)?.first_chunk()
    }
    /// Steps in a row; the last may be narrower.
    pub fn steps(&self) -> usize {
        self.plane.width().div_ceil(self.step)
    }
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Plain Rust, the reference.
    Scalar,
    /// AArch64 Advanced SIMD.
    Neon,
    /// x86-64 with AVX2.
    Avx2,
}

impl Level {
    /// As in `PICKET_KERNELS`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
        }
    }
}

/// A name of an instruction set that is not known, or not to be had on this processor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PICKET_KERNELS={wanted}: this processor runs {known}")]
pub struct UnknownLevel {
    wanted: String,
    known: String,
}

type LumaFn = fn(&Band<'_>, &mut [LumaCell], &mut Steps<'_>);
type GlanceFn = fn(&Band<'_>, &mut [LumaCell]);
type SumFn = fn(&Strip<'_>, &mut [u16]);

/// One version of all kernels. Built once at start, then passed by value.
#[derive(Clone, Copy)]
pub struct Kernels {
    level: Level,
    luma: LumaFn,
    glance: GlanceFn,
    sums: SumFn,
    unpack: unpack::Unpack,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernels({})", self.level.name())
    }
}

impl Kernels {
    /// The fastest version that this processor runs.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(scalar::KERNELS)
    }

    /// All versions that this processor runs, slowest first. Tests and benchmarks walk this list.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "other processors have the reference only")]
        let mut sets = vec![scalar::KERNELS];
        #[cfg(target_arch = "aarch64")]
        sets.extend(neon::kernels());
        #[cfg(target_arch = "x86_64")]
        sets.extend(avx2::kernels());
        sets
    }

    /// Which.
    pub fn level(&self) -> Level {
        self.level
    }

    /// All of each cell of a band; `cells` has `band.cells()` places, those of `steps` are as many times [`LINES`].
    pub fn luma(&self, band: &Band<'_>, cells: &mut [LumaCell], steps: &mut Steps<'_>) {
        assert_eq!(cells.len(), band.cells());
        assert!([steps.there.len(), steps.new.len()].iter().all(|&places| places == LINES * cells.len()));
        (self.luma)(band, cells, steps);
    }

    /// What every picture needs of each cell: `sum`, `sad`, `min` and `max`. The rest of `cells` is set to 0.
    pub fn glance(&self, band: &Band<'_>, cells: &mut [LumaCell]) {
        assert_eq!(cells.len(), band.cells());
        (self.glance)(band, cells);
    }

    /// Sums over the columns of each step of a strip; `out` has `strip.steps()` places.
    pub fn sums(&self, strip: &Strip<'_>, out: &mut [u16]) {
        assert_eq!(out.len(), strip.steps());
        (self.sums)(strip, out);
    }

    /// Takes a row of packed 4:2:2 apart. `row` has 4 bytes for each two samples of `luma`, begun pairs included, and may be
    /// longer; `first` and `second` are the chroma samples in the order in which they stand there.
    pub fn packed(&self, row: &[u8], at: LumaAt, luma: &mut [u8], first: &mut [u8], second: &mut [u8]) {
        let half = luma.len().div_ceil(2);
        assert!(row.len() >= 4 * half && first.len() == half && second.len() == half, "the row and its planes differ");
        (self.unpack.packed)(&row[..4 * half], at, luma, first, second);
    }

    /// Takes a row of pairs of bytes apart. `row` may be longer.
    pub fn pairs(&self, row: &[u8], first: &mut [u8], second: &mut [u8]) {
        let count = first.len();
        assert!(row.len() >= 2 * count && second.len() == count, "the row and its planes differ");
        (self.unpack.pairs)(&row[..2 * count], first, second);
    }
}

impl FromStr for Kernels {
    type Err = UnknownLevel;

    /// By name, if this processor runs it.
    fn from_str(wanted: &str) -> Result<Self, UnknownLevel> {
        let sets = Self::available();
        sets.iter().find(|set| set.level.name() == wanted).copied().ok_or_else(|| UnknownLevel {
            wanted: wanted.to_owned(),
            known: sets.iter().map(|set| set.level.name()).collect::<Vec<_>>().join(", "),
        })
    }
}
