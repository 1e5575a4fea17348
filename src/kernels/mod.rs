//! The arithmetic over samples, one version per instruction set, chosen once at start.
//!
//! A kernel visits a band: one row of cells, 16 x 16 luma samples each, loading each sample once for all detectors.
//! Results are integers (sums, counts, extremes), so that all versions agree with `scalar` bit for bit; means and
//! roots are taken later, once, in `features`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(test)]
mod tests;

use std::str::FromStr;

/// Edge of a cell in luma samples: the macroblock of MPEG-2 and H.264, so that coding damage falls on cell edges.
pub const CELL: usize = 16;

/// Where in a cell steps are measured, as columns and rows: its sides (0), and lines within that coding blocks of 16
/// samples have no sides on. What is as frequent there as on the sides belongs to the programme. 8 is where blocks
/// of 8 samples and user interfaces have sides, 6 and 10 are where nothing has.
pub const PHASES: [usize; 4] = [0, 6, 8, 10];

/// How sharply a picture steps from sample to sample across lines of a cell. A sample counts with what the step over
/// the line exceeds the steps to its neighbours on both sides by, so that texture, slopes and noise add little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Sums along the upright lines at [`PHASES`], 0 to 4080 each; 0 where samples are missing at a picture's edge.
    pub left: [u16; PHASES.len()],
    /// Sums along the level lines, as `left`.
    pub top: [u16; PHASES.len()],
}

/// Sums over one cell of the current picture, and against the same cell of the picture before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LumaCell {
    /// Sum of samples, 0 to 65 280.
    pub sum: u32,
    /// Sum of squares.
    pub squares: u32,
    /// Sum of absolute differences to the picture before, 0 to 65 280.
    pub sad: u32,
    /// Sum of absolute differences of horizontal neighbours inside the cell.
    pub across: u32,
    /// Sum of absolute differences of vertical neighbours inside the cell.
    pub down: u32,
    /// Smallest sample.
    pub min: u8,
    /// Largest sample.
    pub max: u8,
    /// Steps of the picture.
    pub steps: Steps,
    /// Steps of half its difference to the picture before: those of the picture that are new here.
    pub jumps: Steps,
}

/// Rows above a band that its upper sides need.
const ABOVE: usize = 2;

/// Up to 16 rows of the current picture and the same rows of the picture before, all of the same width.
#[derive(Clone, Copy)]
pub struct Band<'a> {
    /// Two rows above, then the rows of the band.
    current: [&'a [u8]; ABOVE + CELL],
    previous: [&'a [u8]; ABOVE + CELL],
    rows: usize,
    /// Whether there are rows above.
    inside: bool,
}

impl<'a> Band<'a> {
    /// Pairs of rows, top first; at most 16 are taken. `None` without rows or when their widths differ.
    pub fn new(rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let mut band = Band { current: [&[]; _], previous: [&[]; _], rows: 0, inside: false };
        for (current, previous) in rows.take(CELL) {
            if current.len() != previous.len() || (band.rows > 0 && current.len() != band.width()) {
                return None;
            }
            band.current[ABOVE + band.rows] = current;
            band.previous[ABOVE + band.rows] = previous;
            band.rows += 1;
        }
        (band.rows > 0).then_some(band)
    }
    /// With the two rows above it, upper first. `None` when their widths differ.
    pub fn below(mut self, above: [(&'a [u8], &'a [u8]); 2]) -> Option<Self> {
        for (n, (current, previous)) in above.into_iter().enumerate() {
            if current.len() != self.width() || previous.len() != self.width() {
                return None;
            }
            self.current[n] = current;
            self.previous[n] = previous;
        }
        self.inside = true;
        Some(self)
    }
    /// Samples in a row.
    pub fn width(&self) -> usize {
        self.current[ABOVE].len()
    }
    /// Cells in the band; the last may be narrower.
    pub fn cells(&self) -> usize {
        self.width().div_ceil(CELL)
    }
    /// Rows of the current picture, with those of the picture before.
    fn rows(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let band = *self;
        (ABOVE..ABOVE + self.rows).map(move |y| (band.current[y], band.previous[y]))
    }
    /// The two rows above row `y`, it and the next, of both pictures; `None` where one is missing.
    fn around(&self, y: usize) -> Option<[(&'a [u8], &'a [u8]); 4]> {
        let known = y + 1 < self.rows && (self.inside || y >= ABOVE);
        known.then(|| std::array::from_fn(|n| (self.current[y + n], self.previous[y + n])))
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

type LumaFn = fn(&Band<'_>, &mut [LumaCell]);
type SumFn = fn(&[&[u8]], usize, &mut [u32]);

/// One version of all kernels. Built once at start, then passed by value.
#[derive(Clone, Copy)]
pub struct Kernels {
    level: Level,
    luma: LumaFn,
    sums: SumFn,
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

    /// Sums of each cell of a band; `out` has `band.cells()` places.
    pub fn luma(&self, band: &Band<'_>, out: &mut [LumaCell]) {
        assert_eq!(out.len(), band.cells());
        (self.luma)(band, out);
    }

    /// Sums over `step` columns and all `rows` (at most 16, of one width) each: the chroma of a band of cells.
    pub fn sums(&self, rows: &[&[u8]], step: usize, out: &mut [u32]) {
        assert!(matches!(step, 8 | 16) && !rows.is_empty() && rows.len() <= CELL);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()));
        assert_eq!(out.len(), rows[0].len().div_ceil(step));
        (self.sums)(rows, step, out);
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
