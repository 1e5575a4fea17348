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
    /// A row without marks, for what is above and below the picture.
    none: Vec<u8>,
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
        self.none = vec![0; grid.columns];
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
        let (grid, columns) = (self.grid, self.grid.columns.max(1));
        let cells = features.cells.chunks_exact(columns).zip(features.before.chunks_exact(columns));
        for (row, (left, (cells, before))) in self.left.chunks_exact_mut(columns).zip(cells).enumerate() {
            let below = (row + 1 < grid.rows).then(|| features.lines.new_steps(row + 1));
            let sides = Sides::of(features.lines.new_steps(row), below, columns, 0);
            for (column, (left, (cell, before))) in left.iter_mut().zip(cells.iter().zip(before)).enumerate() {
                let blank = cell.max - cell.min <= BLANK.0 && before.max - before.min > BLANK.1;
                *left = if blank || sides.corner(column) > MARK { STAY } else { left.saturating_sub(1) };
            }
        }
        for (row, flagged) in self.flagged.chunks_exact_mut(columns).enumerate() {
            let of = |row: usize| self.left.get(row * columns..(row + 1) * columns).unwrap_or(&self.none);
            surround(flagged, of(row.wrapping_sub(1).min(grid.rows)), of(row), of(row + 1));
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
}

/// Flags the marked cells of `row`, and those between marked ones: edges surround damage, what they surround is part of
/// it.
fn surround(flagged: &mut [bool], above: &[u8], row: &[u8], below: &[u8]) {
    let last = row.len() - 1;
    let marked = |left: u8| u8::from(left > 0);
    for column in [0, last] {
        let beside = if column > 0 { marked(row[column - 1]) } else { row.get(1).map_or(0, |&left| marked(left)) };
        flagged[column] = row[column] > 0 || marked(above[column]) + marked(below[column]) + beside > 2;
    }
    let beside = row.windows(3).zip(above[1..].iter().zip(&below[1..]));
    for (flagged, (row, (&above, &below))) in flagged[1..].iter_mut().zip(beside) {
        *flagged = (row[1] > 0) | (marked(row[0]) + marked(row[2]) + marked(above) + marked(below) > 2);
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
    fn a_cell_between_marked_ones_is_part_of_the_damage() {
        let flags = |above: [u8; 4], row: [u8; 4], below: [u8; 4]| {
            let mut flagged = [false; 4];
            surround(&mut flagged, &above, &row, &below);
            flagged
        };
        assert_eq!(flags([0, 1, 0, 1], [0, 0, 9, 0], [0, 1, 0, 1]), [false, true, true, true]);
        assert_eq!(flags([1, 0, 0, 0], [0, 3, 0, 0], [1, 0, 0, 0]), [true, true, false, false]);
        let mut single = [false];
        surround(&mut single, &[1], &[0], &[1]);
        assert_eq!(single, [false]);
    }

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
