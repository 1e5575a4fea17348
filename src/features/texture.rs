//! How fine and how restless a picture is, as quantiles over its cells.
//!
//! Quantiles say what holds everywhere: snow and a lost focus change all of a picture, programme changes parts of it.

use super::Grid;
use super::video::Lines;
use crate::kernels::{CELL, LINES, LumaCell, PHASES};

/// As many cells, evenly over the picture, are looked at: quantiles of more are no better.
const CELLS: usize = 1000;
/// Samples of a cell, and its pairs of neighbours in one direction.
const SAMPLES: f64 = (CELL * CELL) as f64;
const PAIRS: f64 = (CELL * (CELL - 1)) as f64;
/// Lines of [`PHASES`] on which neither coding blocks nor user interfaces have sides.
const FREE: [usize; 2] = [1, 3];
/// Samples along the free lines of one cell, upright and level.
const ALONG: f64 = (2 * FREE.len() * CELL) as f64;
const _: () = assert!(PHASES[FREE[0]] == 6 && PHASES[FREE[1]] == 10);
/// Mean absolute difference of two samples of normal noise, per standard deviation: 2 / sqrt(pi).
const PER_SIGMA: f64 = 1.128;

/// What the cells of one picture tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Texture {
    /// Mean difference of horizontal neighbours that 50, 70, 85, 95 and 98 % of the cells stay below, code values.
    pub across: [f64; 5],
    /// The same of vertical neighbours.
    pub down: [f64; 5],
    /// Mean excess of steps over those beside them, off all coding grids, that 70 and 90 % stay below, code values.
    pub steps: [f64; 2],
    /// Share of those steps in the differences of neighbours: white noise has more of them than texture.
    pub white: f64,
    /// Standard deviation of the cell means, code values: what there is of a picture beyond texture.
    pub spread: f64,
    /// Noise that 80 % of the cells have at least, as a standard deviation: no more than what changes from picture to
    /// picture, and no more than what differs from row to row (from column to column where two moments are woven).
    pub floor: f64,
    /// The latter over the former, which three of four restless cells exceed: about 1 for white noise, less for what
    /// moves.
    pub fresh: f64,
}

impl Texture {
    /// Of a picture seen in full. `interlaced`: flagged so.
    pub(super) fn of(grid: Grid, cells: &[LumaCell], means: &[f32], lines: &Lines, interlaced: bool) -> Self {
        let mut all = Quantiles { interlaced, ..Quantiles::default() };
        let stride = (grid.len() / CELLS).max(1);
        // Cells of less than the full size would need other scales.
        let (columns, rows) = (grid.width / CELL, grid.height / CELL);
        for row in 0..rows {
            let steps = lines.steps(row);
            // Starts shifted from row to row, so that no columns of cells are left out.
            for column in ((row * 7) % stride..columns).step_by(stride) {
                let index = grid.index(column, row);
                let along = |line: usize| u32::from(steps[line * grid.columns + column]);
                let free = FREE.iter().map(|&line| along(line) + along(line + LINES / 2)).sum();
                all.add(&cells[index], means[index], free);
            }
        }
        all.texture()
    }
}

/// Counts of what the cells show.
#[derive(Default)]
struct Quantiles {
    interlaced: bool,
    across: Counts,
    down: Counts,
    steps: Counts,
    floor: Counts,
    fresh: Counts,
    cells: f64,
    sum: f64,
    squares: f64,
    excess: u64,
    differences: u64,
}

impl Quantiles {
    fn add(&mut self, cell: &LumaCell, mean: f32, free: u32) {
        let mean = f64::from(mean);
        self.cells += 1.0;
        self.sum += mean;
        self.squares += mean * mean;
        self.excess += u64::from(free);
        self.differences += u64::from(cell.across) + u64::from(cell.down);
        self.across.add(cell.across.into());
        self.down.add(cell.down.into());
        self.steps.add(free);
        // As many differences as the cell has samples.
        let near = if self.interlaced { cell.across } else { cell.down };
        let near = u32::from(near) * CELL as u32 / (CELL as u32 - 1);
        self.floor.add(near.min(cell.sad.into()));
        // Half a code value per sample: less is rounding.
        if u32::from(cell.sad) > (CELL * CELL / 2) as u32 {
            self.fresh.add(near * UNIT / u32::from(cell.sad));
        }
    }

    fn texture(&self) -> Texture {
        let cells = self.cells.max(1.0);
        let mean = self.sum / cells;
        let quarters = |counts: &Counts| [0.5, 0.7, 0.85, 0.95, 0.98].map(|share| counts.quantile(share) / PAIRS);
        Texture {
            across: quarters(&self.across),
            down: quarters(&self.down),
            steps: [0.7, 0.9].map(|share| self.steps.quantile(share) / ALONG),
            white: (self.excess as f64 / ALONG) / (self.differences as f64 / PAIRS).max(f64::MIN_POSITIVE),
            spread: (self.squares / cells - mean * mean).max(0.0).sqrt(),
            floor: self.floor.quantile(0.2) / SAMPLES / PER_SIGMA,
            fresh: self.fresh.quantile(0.25) / f64::from(UNIT),
        }
    }
}

/// One, in counted ratios.
const UNIT: u32 = 1000;
/// Bits of a number after its first one that tell bins apart: 16 bins in each octave.
const BITS: u32 = 4;
const PER_OCTAVE: usize = 1 << BITS;
/// Octaves up to the largest sum of a cell.
const OCTAVES: usize = 17;

/// How often numbers occur, by size.
struct Counts {
    bins: [u16; OCTAVES * PER_OCTAVE],
    all: u32,
}

impl Default for Counts {
    fn default() -> Self {
        Self { bins: [0; OCTAVES * PER_OCTAVE], all: 0 }
    }
}

impl Counts {
    fn add(&mut self, value: u32) {
        // One more, so that nothing is a number with an octave too.
        let value = value.saturating_add(1).min((1 << OCTAVES) - 1);
        let octave = value.ilog2();
        let fine = (value << BITS >> octave) as usize % PER_OCTAVE;
        self.bins[octave as usize * PER_OCTAVE + fine] += 1;
        self.all += 1;
    }

    /// What `share` of the numbers stay below, to some 3 %.
    fn quantile(&self, share: f64) -> f64 {
        let mut left = share * f64::from(self.all);
        for (bin, &count) in self.bins.iter().enumerate() {
            let count = f64::from(count);
            if left <= count && count > 0.0 {
                let start = |bin: usize| {
                    let fine = (bin % PER_OCTAVE) as f64 / PER_OCTAVE as f64;
                    (1.0 + fine) * f64::from(1_u32 << (bin / PER_OCTAVE))
                };
                let (from, to) = (start(bin), start(bin + 1));
                return from + (to - from) * left / count - 1.0;
            }
            left -= count;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let mut counts = Counts::default();
        (0..1000).for_each(|n| counts.add(n * 40));
        for share in [0.1, 0.5, 0.9] {
            let quantile = counts.quantile(share);
            assert!((quantile / (share * 40_000.0) - 1.0).abs() < 0.04, "{share}: {quantile}");
        }
        assert_eq!(Counts::default().quantile(0.5), 0.0);
        let mut counts = Counts::default();
        (0..5).for_each(|_| counts.add(0));
        counts.add(u32::MAX);
        assert!(counts.quantile(0.5) < 0.1);
    }
}
