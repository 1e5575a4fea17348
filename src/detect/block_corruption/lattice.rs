//! How many cells have corners: sharp steps over an upright and a level side.
//!
//! One straight line is common (a window frame, a horizon, a black bar); lines that meet on the macroblock grid are
//! what damage makes. Corners of lattices shifted against the grid are as frequent in any programme, so they are
//! subtracted.

use crate::features::{Grid, Lines};
use crate::kernels::{CELL, PHASES};

/// Samples along a side.
const SIDE: u16 = CELL as u16;
/// Mean step over a side, in half code values of the difference of two pictures, that is new: 12 code values are more
/// than coders at low rates leave where blocks meet...
pub(super) const NEW: u16 = 6 * SIDE;
/// ... and 18 are more than any of them.
const SHARP: u16 = 9 * SIDE;
/// Mean step over a side, in code values, that is visible.
const VISIBLE: u16 = 6 * SIDE;

/// Corners in excess of those on shifted lattices, in % of the cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Corners {
    /// New since the picture before.
    pub new: f64,
    /// As `new`, sharper ones.
    pub sharp: f64,
    /// There now, new or not.
    pub visible: f64,
    /// What the fullest of the shifted lattices has, likewise.
    pub shifted: Shifted,
}

/// Corners where no coder puts any, in % of the cells: what texture makes by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shifted {
    pub new: f64,
    pub sharp: f64,
    pub visible: f64,
}

impl Corners {
    /// Of one picture.
    pub(super) fn count(grid: Grid, lines: &Lines) -> Self {
        let mut counts = [[0_u32; 3]; PHASES.len()];
        for row in 0..grid.rows {
            let below = row + 1 < grid.rows;
            for (phase, count) in counts.iter_mut().enumerate() {
                let new = Sides::of(lines.new_steps(row), below.then(|| lines.new_steps(row + 1)), grid.columns, phase);
                let there = Sides::of(lines.steps(row), below.then(|| lines.steps(row + 1)), grid.columns, phase);
                let [soft, sharp] = new.above([NEW, SHARP]);
                let [visible] = there.above([VISIBLE]);
                *count = [count[0] + soft, count[1] + sharp, count[2] + visible];
            }
        }
        let shifted = |kind: usize| counts[1..].iter().map(|count| count[kind]).max().unwrap_or(0);
        let share = |count: u32| f64::from(count) * 100.0 / grid.len().max(1) as f64;
        let excess = |kind: usize| share(counts[0][kind].saturating_sub(shifted(kind)));
        let [new, sharp, visible] = [0, 1, 2].map(|kind| share(shifted(kind)));
        Self { new: excess(0), sharp: excess(1), visible: excess(2), shifted: Shifted { new, sharp, visible } }
    }
}

/// The lines around each cell of a row, of one lattice: its left and upper ones, and those of its neighbours that
/// bound it.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    left: &'a [u16],
    top: &'a [u16],
    /// The last row has no lines below it.
    bottom: &'a [u16],
}

impl<'a> Sides<'a> {
    /// Of lattice `phase` in a row of cells and the one below it.
    pub(super) fn of(row: &'a [u16], below: Option<&'a [u16]>, columns: usize, phase: usize) -> Self {
        let line = |row: &'a [u16], line: usize| &row[line * columns..][..columns];
        let top = line(row, PHASES.len() + phase);
        Self { left: line(row, phase), top, bottom: below.map_or(top, |row| line(row, PHASES.len() + phase)) }
    }

    /// Of cell `column`: the sharper upright line and the sharper level one; the weaker of the two.
    pub(super) fn corner(&self, column: usize) -> u16 {
        let right = self.left.get(column + 1).copied().unwrap_or(0);
        self.left[column].max(right).min(self.top[column].max(self.bottom[column]))
    }

    /// Corners of the row above each of `limits`.
    fn above<const N: usize>(&self, limits: [u16; N]) -> [u32; N] {
        let Some(last) = self.left.len().checked_sub(1) else { return [0; N] };
        // Sums are 4080 at most and a row has 512 cells: signed words will do, of which every processor finds the larger.
        let mut counts = [0_i16; N];
        let sides = self.left[..last].iter().zip(&self.left[1..]).zip(&self.top[..last]).zip(&self.bottom[..last]);
        for (((&left, &right), &top), &bottom) in sides {
            let corner = (left as i16).max(right as i16).min((top as i16).max(bottom as i16));
            for (count, limit) in counts.iter_mut().zip(limits) {
                *count += i16::from(corner > limit as i16);
            }
        }
        let corner = self.corner(last);
        std::array::from_fn(|n| counts[n] as u32 + u32::from(corner > limits[n]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(grid: Grid, lined: &[usize], phase: usize) -> Lines {
        let mut lines = Lines::of(grid);
        for &index in lined {
            draw(&mut lines, grid, index, phase, true);
        }
        lines
    }

    /// Draws a sharp corner at a cell, new and, if `there`, in the picture too.
    fn draw(lines: &mut Lines, grid: Grid, index: usize, phase: usize, there: bool) {
        let (column, row) = grid.place(index);
        let steps = lines.row_mut(row);
        for line in [phase, PHASES.len() + phase] {
            steps.new[line * grid.columns + column] = 4000;
            if there {
                steps.there[line * grid.columns + column] = 4000;
            }
        }
    }

    #[test]
    fn corners_on_the_grid_count_and_others_cancel() {
        let grid = Grid::new(160, 160);
        let some = [11, 33, 55, 77];
        let corners = Corners::count(grid, &lines(grid, &some, 0));
        assert_eq!(corners, Corners { new: 4.0, sharp: 4.0, visible: 4.0, shifted: Shifted::default() });
        let shifted = Shifted { new: 4.0, sharp: 4.0, visible: 4.0 };
        assert_eq!(Corners::count(grid, &lines(grid, &some, 2)), Corners { shifted, ..Corners::default() });
        let mut both = lines(grid, &some, 0);
        some.iter().for_each(|&index| draw(&mut both, grid, index, 2, false));
        let shifted = Shifted { new: 4.0, sharp: 4.0, visible: 0.0 };
        assert_eq!(Corners::count(grid, &both), Corners { new: 0.0, sharp: 0.0, visible: 4.0, shifted });
    }

    #[test]
    fn corners_at_the_edges_count_too() {
        let grid = Grid::new(160, 160);
        assert_eq!(Corners::count(grid, &lines(grid, &[9, 90, 99], 0)).new, 3.0);
    }

    #[test]
    fn one_line_has_no_corners() {
        let grid = Grid::new(160, 160);
        let mut lines = Lines::of(grid);
        (0..10).for_each(|row| lines.row_mut(row).new[4] = 4000);
        assert_eq!(Corners::count(grid, &lines), Corners::default());
        assert_eq!(Corners::count(Grid::default(), &Lines::default()), Corners::default());
    }
}
