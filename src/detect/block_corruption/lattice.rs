//! How many cells have corners: sharp steps over an upright and a level side.
//!
//! One straight line is common (a window frame, a horizon, a black bar); lines that meet on the macroblock grid are
//! what damage makes. Corners of lattices shifted against the grid are as frequent in any programme, so they are
//! subtracted.

use crate::features::Grid;
use crate::kernels::{CELL, LumaCell, PHASES, Steps};

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
}

impl Corners {
    /// Of one picture.
    pub(super) fn count(grid: Grid, cells: &[LumaCell]) -> Self {
        let mut counts = [[0_u32; 3]; PHASES.len()];
        for index in 0..cells.len() {
            let (jumps, steps) = (
                Around::of(grid, cells, index, |cell| &cell.jumps),
                Around::of(grid, cells, index, |cell| &cell.steps),
            );
            for (phase, count) in counts.iter_mut().enumerate() {
                let jump = jumps.corner(phase);
                count[0] += u32::from(jump > NEW);
                count[1] += u32::from(jump > SHARP);
                count[2] += u32::from(steps.corner(phase) > VISIBLE);
            }
        }
        let excess = |kind: usize| {
            let shifted = counts[1..].iter().map(|count| count[kind]).max().unwrap_or(0);
            f64::from(counts[0][kind].saturating_sub(shifted)) * 100.0 / cells.len().max(1) as f64
        };
        Self { new: excess(0), sharp: excess(1), visible: excess(2) }
    }
}

/// The lines around one cell: its left and upper ones, and those of its neighbours that bound it.
pub(super) struct Around<'a> {
    own: &'a Steps,
    right: Option<&'a Steps>,
    below: Option<&'a Steps>,
}

impl<'a> Around<'a> {
    /// Of cell `index`.
    pub(super) fn of(grid: Grid, cells: &'a [LumaCell], index: usize, kind: fn(&LumaCell) -> &Steps) -> Self {
        let (column, row) = grid.place(index);
        Self {
            own: kind(&cells[index]),
            right: (column + 1 < grid.columns).then(|| kind(&cells[index + 1])),
            below: (row + 1 < grid.rows).then(|| kind(&cells[index + grid.columns])),
        }
    }
    /// The sharper upright line and the sharper level one; the weaker of the two.
    pub(super) fn corner(&self, phase: usize) -> u16 {
        let upright = self.own.left[phase].max(self.right.map_or(0, |steps| steps.left[phase]));
        let level = self.own.top[phase].max(self.below.map_or(0, |steps| steps.top[phase]));
        upright.min(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(grid: Grid, lined: &[usize], phase: usize) -> Vec<LumaCell> {
        let mut cells = vec![LumaCell::default(); grid.len()];
        for &index in lined {
            let mut steps = Steps::default();
            (steps.left[phase], steps.top[phase]) = (4000, 4000);
            (cells[index].steps, cells[index].jumps) = (steps, steps);
        }
        cells
    }

    #[test]
    fn corners_on_the_grid_count_and_others_cancel() {
        let grid = Grid::new(160, 160);
        let some = [11, 33, 55, 77];
        let corners = Corners::count(grid, &cells(grid, &some, 0));
        assert_eq!(corners, Corners { new: 4.0, sharp: 4.0, visible: 4.0 });
        assert_eq!(Corners::count(grid, &cells(grid, &some, 2)), Corners::default());
        let mut both = cells(grid, &some, 0);
        for (cell, shifted) in both.iter_mut().zip(cells(grid, &some, 2)) {
            cell.jumps.left[2] = shifted.jumps.left[2];
            cell.jumps.top[2] = shifted.jumps.top[2];
        }
        assert_eq!(Corners::count(grid, &both), Corners { new: 0.0, sharp: 0.0, visible: 4.0 });
    }

    #[test]
    fn one_line_has_no_corners() {
        let grid = Grid::new(160, 160);
        let mut cells = vec![LumaCell::default(); grid.len()];
        (0..10).for_each(|row| cells[row * 10 + 4].jumps.left[0] = 4000);
        assert_eq!(Corners::count(grid, &cells), Corners::default());
        assert_eq!(Corners::count(Grid::default(), &[]), Corners::default());
    }
}
