//! The picture in a few hundred tiles: enough to tell scenes, colours and flashes, and cheap to keep.

use super::Grid;
use crate::kernels::LumaCell;

/// Most tiles in a row and in a column.
const COLUMNS_MAX: usize = 32;
const ROWS_MAX: usize = 18;

/// Means over tiles of whole cells, row by row.
#[derive(Clone, Debug, Default)]
pub struct Coarse {
    /// Tiles in a row.
    pub columns: usize,
    /// Rows of tiles.
    pub rows: usize,
    /// Mean luma, code values.
    pub luma: Vec<f32>,
    /// Mean Cb, code values, 128 is neutral; empty without chroma.
    pub cb: Vec<f32>,
    /// Mean Cr, as `cb`.
    pub cr: Vec<f32>,
    /// Mean step between samples side by side, code values: across alone, which the lines of fields do not change.
    pub steps: Vec<f32>,
    /// Cells in each column and row of tiles.
    wide: Vec<u8>,
    high: Vec<u8>,
    /// Sums over the cells of one column of cells in a row of tiles.
    line: Vec<f32>,
}

impl Coarse {
    /// Most tiles of a picture.
    pub const TILES_MAX: usize = COLUMNS_MAX * ROWS_MAX;

    /// For a picture of `grid`, all 0.
    pub fn of(grid: Grid, chroma: bool) -> Self {
        let (columns, rows) = (grid.columns.min(COLUMNS_MAX), grid.rows.min(ROWS_MAX));
        // Cells `n * cells / tiles` up to the next, which is at most 512 / 18.
        let parts = |tiles: usize, cells: usize| {
            (0..tiles).map(|n| ((n + 1) * cells / tiles - n * cells / tiles) as u8).collect::<Vec<u8>>()
        };
        let tiles = vec![0.0; columns * rows];
        let colours = if chroma { tiles.clone() } else { Vec::new() };
        Self {
            columns,
            rows,
            steps: tiles.clone(),
            luma: tiles,
            cb: colours.clone(),
            cr: colours,
            wide: parts(columns, grid.columns),
            high: parts(rows, grid.rows),
            line: vec![0.0; grid.columns],
        }
    }

    /// Takes in mean luma of all cells, code values.
    pub(super) fn take_luma(&mut self, means: &[f32]) {
        let Self { columns, luma, wide, high, line, .. } = self;
        pool(means, line, (wide, high), 1.0, *columns, luma, |&mean| mean);
    }

    /// Takes in steps of all cells, of pictures seen in full.
    pub(super) fn take_steps(&mut self, cells: &[LumaCell]) {
        let Self { columns, steps, wide, high, line, .. } = self;
        pool(cells, line, (wide, high), 1.0 / LumaCell::PAIRS as f32, *columns, steps, |cell| f32::from(cell.across));
    }

    /// Takes in chroma of all cells, code values times 16.
    pub(super) fn take_chroma(&mut self, cb: &[u16], cr: &[u16]) {
        let Self { columns, cb: cb_out, cr: cr_out, wide, high, line, .. } = self;
        for (out, cells) in [(cb_out, cb), (cr_out, cr)] {
            pool(cells, line, (wide, high), 1.0 / 16.0, *columns, out, |&mean| f32::from(mean));
        }
    }

    /// A mark of 64 bits by which a picture is known again, whatever its noise and coding: which of 8 x 8 parts are
    /// brighter than half of them, and which chroma does not change.
    pub fn mark(&self) -> u64 {
        let part = |n: usize, parts: usize, tiles: usize| (2 * n + 1) * tiles / (2 * parts);
        let at = |n: usize| self.luma.get(part(n / 8, 8, self.rows) * self.columns + part(n % 8, 8, self.columns));
        let parts: [f32; 64] = std::array::from_fn(|n| at(n).copied().unwrap_or(0.0));
        let mut sorted = parts;
        sorted.sort_unstable_by(f32::total_cmp);
        let middle = f32::midpoint(sorted[31], sorted[32]);
        parts.iter().fold(0, |mark, &part| mark << 1 | u64::from(part > middle))
    }

    /// Standard deviation of the tiles' luma, code values.
    pub fn deviation(&self) -> f64 {
        Self::deviation_of(&self.luma)
    }

    /// Standard deviation of `tiles`.
    pub fn deviation_of(tiles: &[f32]) -> f64 {
        let count = tiles.len().max(1) as f64;
        let (sum, squares) =
            tiles.iter().map(|&v| f64::from(v)).fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
        (squares / count - (sum / count).powi(2)).max(0.0).sqrt()
    }

    /// Tiles in all.
    pub fn len(&self) -> usize {
        self.luma.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.luma.is_empty()
    }
}

/// Means of `value` over tiles, times `scale`: rows of cells are added up first, side by side as processors like it.
fn pool<T>(
    cells: &[T],
    line: &mut [f32],
    (wide, high): (&[u8], &[u8]),
    scale: f32,
    columns: usize,
    out: &mut [f32],
    value: impl Fn(&T) -> f32,
) {
    let mut rows = cells.chunks_exact(line.len().max(1));
    for (out, &high) in out.chunks_exact_mut(columns.max(1)).zip(high) {
        line.fill(0.0);
        for row in rows.by_ref().take(usize::from(high)) {
            line.iter_mut().zip(row).for_each(|(sum, cell)| *sum += value(cell));
        }
        let mut rest = &*line;
        for (out, &wide) in out.iter_mut().zip(wide) {
            let (tile, after) = rest.split_at(usize::from(wide).min(rest.len()));
            rest = after;
            *out = tile.iter().sum::<f32>() * (scale / (f32::from(wide) * f32::from(high)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_means_of_their_cells() {
        // 40 x 20 cells on 32 x 18 tiles.
        let grid = Grid::new(640, 320);
        let mut coarse = Coarse::of(grid, true);
        assert_eq!((coarse.columns, coarse.rows, coarse.len()), (32, 18, 576));
        let means: Vec<f32> = (0..grid.len()).map(|n| grid.place(n).0 as f32).collect();
        coarse.take_luma(&means);
        // Tile 3 holds cells 3 and 4, tile 0 cell 0.
        assert_eq!((coarse.luma[0], coarse.luma[3], coarse.luma[31 + 17 * 32]), (0.0, 3.5, 38.5));
        let chroma: Vec<u16> = means.iter().map(|&mean| mean as u16 * 16).collect();
        coarse.take_chroma(&chroma, &chroma);
        assert_eq!((&coarse.cb, &coarse.cr), (&coarse.luma, &coarse.luma));
    }

    #[test]
    fn small_pictures_have_a_tile_for_each_cell() {
        let coarse = Coarse::of(Grid::new(33, 20), false);
        assert_eq!((coarse.columns, coarse.rows, coarse.cb.len()), (3, 2, 0));
    }
}
