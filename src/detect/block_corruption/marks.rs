//! Which cells are damaged: where and how much of the picture, for the alert and its picture.

use super::super::Region;
use super::lattice::Sides;
use crate::features::{Grid, VideoFeatures};
use crate::kernels::CELL;

/// Mean step over both sides, in half code values, that marks a cell while damage is known to be there. Lower than
/// what proves damage: inside it, weaker edges belong to it.
const MARK: u16 = 3 * CELL as u16;
/// A marked cell stays marked for so many pictures without a new sign: damage moves with the programme.
const STAY: u8 = 12;
/// A cell is blank when its samples differ by no more than this, and was not when they differed by more than this.
const BLANK: (u8, u8) = (2, 12);

/// The cells of one picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    grid: Grid,
    /// Pictures for which each cell stays marked.
    left: Vec<u8>,
    flagged: Vec<bool>,
    /// Cells still to be joined to a cluster, and those that have been.
    open: Vec<u32>,
    joined: Vec<bool>,
}

impl Marks {
    /// Room for the cells of `grid`, none marked.
    pub(super) fn resize(&mut self, grid: Grid) {
        self.grid = grid;
        self.left = vec![0; grid.len()];
        self.flagged = vec![false; grid.len()];
        self.open = Vec::with_capacity(grid.len());
        self.joined = vec![false; grid.len()];
    }

    /// One entry per cell.
    pub(super) fn flagged(&self) -> &[bool] {
        &self.flagged
    }

    /// Unmarks all.
    pub(super) fn clear(&mut self) {
        self.left.fill(0);
        self.flagged.fill(false);
    }

    /// Marks what is new in this picture and lets go of what has been quiet.
    pub(super) fn look(&mut self, features: &VideoFeatures) {
        let grid = self.grid;
        for (row, left) in self.left.chunks_exact_mut(grid.columns.max(1)).enumerate() {
            let below = (row + 1 < grid.rows).then(|| features.lines.new(row + 1));
            let sides = Sides::of(features.lines.new(row), below, grid.columns, 0);
            for (column, left) in left.iter_mut().enumerate() {
                let index = grid.index(column, row);
                let (cell, before) = (&features.cells[index], &features.before[index]);
                let blank = cell.max - cell.min <= BLANK.0 && before.max - before.min > BLANK.1;
                *left = if sides.corner(column) > MARK || blank { STAY } else { left.saturating_sub(1) };
            }
        }
        for index in 0..self.left.len() {
            // Edges surround damage: a cell between marked ones is part of it.
            self.flagged[index] =
                self.left[index] > 0 || self.neighbours(index).filter(|&n| self.left[n] > 0).count() > 2;
        }
    }

    /// Share of the picture, %.
    pub(super) fn area(&self) -> f64 {
        let count = self.flagged.iter().filter(|&&flagged| flagged).count();
        count as f64 * 100.0 / self.flagged.len().max(1) as f64
    }

    /// The rectangle around the largest group of cells that touch each other.
    pub(super) fn region(&mut self) -> Option<Region> {
        self.joined.fill(false);
        let mut largest: Option<(usize, [usize; 4])> = None;
        for start in 0..self.flagged.len() {
            if self.flagged[start] && !self.joined[start] {
                let cluster = self.cluster(start);
                if largest.is_none_or(|(size, _)| cluster.0 > size) {
                    largest = Some(cluster);
                }
            }
        }
        largest.map(|(_, [left, top, right, bottom])| {
            let (x, y) = (left * CELL, top * CELL);
            let w = ((right + 1) * CELL).min(self.grid.width) - x;
            let h = ((bottom + 1) * CELL).min(self.grid.height) - y;
            Region { x: x as u32, y: y as u32, w: w as u32, h: h as u32 }
        })
    }

    /// Size of the group around cell `start`, and its outermost columns and rows: left, top, right, bottom.
    fn cluster(&mut self, start: usize) -> (usize, [usize; 4]) {
        let (mut size, mut bounds) = (0, [usize::MAX, usize::MAX, 0, 0]);
        self.joined[start] = true;
        self.open.push(start as u32);
        while let Some(index) = self.open.pop() {
            let (column, row) = self.grid.place(index as usize);
            size += 1;
            bounds = [bounds[0].min(column), bounds[1].min(row), bounds[2].max(column), bounds[3].max(row)];
            for next in neighbours(self.grid, index as usize) {
                if self.flagged[next] && !self.joined[next] {
                    self.joined[next] = true;
                    self.open.push(next as u32);
                }
            }
        }
        (size, bounds)
    }

    fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        neighbours(self.grid, index)
    }
}

/// The up to four cells beside cell `index`.
fn neighbours(grid: Grid, index: usize) -> impl Iterator<Item = usize> {
    let (column, row) = grid.place(index);
    let beside = [
        (column > 0).then(|| index - 1),
        (column + 1 < grid.columns).then_some(index + 1),
        (row > 0).then(|| index - grid.columns),
        (row + 1 < grid.rows).then_some(index + grid.columns),
    ];
    beside.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_group_is_the_region() {
        let mut marks = Marks::default();
        marks.resize(Grid::new(100, 60));
        assert_eq!(marks.region(), None);
        for index in [0, 9, 10, 12, 13, 20, 27] {
            marks.flagged[index] = true;
        }
        // Columns 5 and 6 of rows 1 and 2: the last column is 4 samples wide, the last row 12 high.
        assert_eq!(marks.region(), Some(Region { x: 80, y: 16, w: 20, h: 44 }));
        assert!((marks.area() - 25.0).abs() < 1e-9);
    }
}
