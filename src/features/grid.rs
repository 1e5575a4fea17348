//! Cells and where they lie.

use crate::kernels::CELL;

/// The grid of 16 x 16 cells over a picture; cells at the right and lower edge may be smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Picture width in luma samples.
    pub width: usize,
    /// Picture height in luma samples.
    pub height: usize,
    /// Cells in a row.
    pub columns: usize,
    /// Rows of cells.
    pub rows: usize,
}

impl Grid {
    /// Over a picture of `width` x `height` luma samples.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, columns: width.div_ceil(CELL), rows: height.div_ceil(CELL) }
    }
    /// Cells in all.
    pub fn len(&self) -> usize {
        self.columns * self.rows
    }
    /// Whether there is no cell at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Number of the cell at `column`, `row`.
    pub fn index(&self, column: usize, row: usize) -> usize {
        row * self.columns + column
    }
    /// Column and row of cell `index`.
    pub fn place(&self, index: usize) -> (usize, usize) {
        (index % self.columns, index / self.columns)
    }
    /// Luma samples in cell `index`.
    pub fn area(&self, index: usize) -> u32 {
        let (column, row) = self.place(index);
        let across = (self.width - column * CELL).min(CELL);
        let down = (self.height - row * CELL).min(CELL);
        (across * down) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_cells_are_smaller() {
        let grid = Grid::new(40, 20);
        assert_eq!((grid.columns, grid.rows, grid.len()), (3, 2, 6));
        let areas: Vec<u32> = (0..grid.len()).map(|n| grid.area(n)).collect();
        assert_eq!(areas, [256, 256, 128, 64, 64, 32]);
        assert_eq!(areas.iter().sum::<u32>(), 800);
        assert_eq!(grid.place(grid.index(2, 1)), (2, 1));
    }
}
