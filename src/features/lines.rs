//! How sharply a picture steps over the lines of its cells, kept for all cells.

use super::Grid;
use crate::kernels::{LINES, Steps};

/// Steps over the lines of all cells, at each row of cells as [`Steps`] has them.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    columns: usize,
    there: Vec<u16>,
    new: Vec<u16>,
}

impl Lines {
    /// All 0.
    pub fn of(grid: Grid) -> Self {
        let places = vec![0; grid.len() * LINES];
        Self { columns: grid.columns, there: places.clone(), new: places }
    }
    /// Steps of the picture in row `row` of cells: [`LINES`] times its columns.
    pub fn steps(&self, row: usize) -> &[u16] {
        &self.there[row * self.columns * LINES..][..self.columns * LINES]
    }
    /// Steps that are new, as `steps`.
    pub fn new_steps(&self, row: usize) -> &[u16] {
        &self.new[row * self.columns * LINES..][..self.columns * LINES]
    }
    /// Both, to be written.
    pub fn row_mut(&mut self, row: usize) -> Steps<'_> {
        let places = row * self.columns * LINES..(row + 1) * self.columns * LINES;
        Steps { there: &mut self.there[places.clone()], new: &mut self.new[places] }
    }
}
