//! Values and states over a time whose length nobody knows yet, in bounded memory: time is cut into cells of equal
//! width, and when there are too many, two become one.

use crate::detect::Presence;
use crate::time::MediaTime;

/// Cells at most; between half of it and all are in use, so that a curve has about 800.
const CELLS_MAX: usize = 1_200;
/// Width of a cell at the start, in nanoseconds: half a picture at 25 Hz, so that 24 s are told picture by picture.
const WIDTH: i64 = 20_000_000;
/// Values further apart than this, in nanoseconds, are not joined by a line ...
const JOINED: i64 = 1_000_000_000;
/// ... unless cells are so wide that this many of them are longer.
const JOINED_CELLS: i64 = 3;

/// What can be kept of a stretch of time, and of two as one.
trait Cell: Default {
    fn join(&mut self, later: Self);
}

/// Cells from 0 on.
#[derive(Clone, Debug)]
struct Cells<T> {
    width: i64,
    cells: Vec<T>,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self { width: WIDTH, cells: Vec::new() }
    }
}

impl<T: Cell> Cells<T> {
    /// Number of the cell at `at`, for which there is room; sound before the first picture counts as at 0.
    fn index(&mut self, at: MediaTime) -> usize {
        while at.0 / self.width >= CELLS_MAX as i64 {
            self.halve();
        }
        let index = (at.0.max(0) / self.width) as usize;
        if index >= self.cells.len() {
            self.cells.resize_with(index + 1, T::default);
        }
        index
    }

    fn halve(&mut self) {
        self.width *= 2;
        let mut joined = Vec::with_capacity(CELLS_MAX);
        let mut cells = std::mem::take(&mut self.cells).into_iter();
        while let Some(mut cell) = cells.next() {
            cell.join(cells.next().unwrap_or_default());
            joined.push(cell);
        }
        self.cells = joined;
    }
}

#[derive(Clone, Copy, Debug)]
struct Values {
    min: f64,
    max: f64,
    sum: f64,
    count: u32,
}

impl Default for Values {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, count: 0 }
    }
}

impl Cell for Values {
    fn join(&mut self, later: Self) {
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.count += later.count;
    }
}

/// One measure over time: least, most and mean of each cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve(Cells<Values>);

/// A cell of a curve that has values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Middle of the cell.
    pub at: MediaTime,
    /// Least value in it.
    pub min: f64,
    /// Greatest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

impl Curve {
    /// Takes one value; what is no number is left out.
    pub fn add(&mut self, at: MediaTime, value: f64) {
        if value.is_finite() {
            let index = self.0.index(at);
            self.0.cells[index].join(Values { min: value, max: value, sum: value, count: 1 });
        }
    }

    /// Cells with values, in stretches without a gap.
    pub fn stretches(&self) -> Vec<Vec<Point>> {
        let joined = JOINED.max(JOINED_CELLS * self.0.width);
        let mut stretches: Vec<Vec<Point>> = Vec::new();
        for (index, cell) in self.0.cells.iter().enumerate().filter(|(_, cell)| cell.count > 0) {
            let at = MediaTime(index as i64 * self.0.width + self.0.width / 2);
            let point = Point { at, min: cell.min, max: cell.max, mean: cell.sum / f64::from(cell.count) };
            match stretches.last_mut() {
                Some(last) if last.last().is_some_and(|before| at.0 - before.at.0 <= joined) => last.push(point),
                _ => stretches.push(vec![point]),
            }
        }
        stretches
    }

    /// Least and greatest of all; `None` when there is no value.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.all().map(|all| (all.min, all.max))
    }

    /// Mean of all values; 0 when there is none.
    pub fn mean(&self) -> f64 {
        self.all().map_or(0.0, |all| all.sum / f64::from(all.count))
    }

    fn all(&self) -> Option<Values> {
        self.0.cells.iter().filter(|cell| cell.count > 0).copied().reduce(|mut all, cell| {
            all.join(cell);
            all
        })
    }

    /// Nanoseconds that one point stands for.
    pub fn resolution(&self) -> i64 {
        self.0.width
    }
}

/// How much a detector saw, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// Nothing.
    #[default]
    Nothing,
    /// It could not tell.
    Unclear,
    /// The defect, raised or not.
    Present,
}

impl From<Presence> for Seen {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Absent => Seen::Nothing,
            Presence::Unclear => Seen::Unclear,
            Presence::Present => Seen::Present,
        }
    }
}

impl Cell for Seen {
    fn join(&mut self, later: Self) {
        *self = (*self).max(later);
    }
}

/// What one detector saw over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    cells: Cells<Seen>,
    last: Option<(MediaTime, Seen)>,
}

impl Track {
    /// Takes what was seen at `at`: it lasts until the next word, if that comes soon.
    pub fn add(&mut self, at: MediaTime, seen: Seen) {
        if let Some((from, before)) = self.last.replace((at, seen))
            && before != Seen::Nothing
            && (0..=JOINED).contains(&(at.0 - from.0))
        {
            // The later first: making room for it may move the earlier.
            let to = self.cells.index(at);
            let from = self.cells.index(from);
            for cell in &mut self.cells.cells[from..=to] {
                cell.join(before);
            }
        }
    }

    /// Whether a word was heard at all.
    pub fn has_spoken(&self) -> bool {
        self.last.is_some()
    }

    /// Stretches in which something was seen: from, to, what.
    pub fn stretches(&self) -> Vec<(MediaTime, MediaTime, Seen)> {
        let width = self.cells.width;
        let mut stretches: Vec<(MediaTime, MediaTime, Seen)> = Vec::new();
        for (index, &seen) in self.cells.cells.iter().enumerate().filter(|(_, seen)| **seen != Seen::Nothing) {
            let (from, to) = (MediaTime(index as i64 * width), MediaTime((index as i64 + 1) * width));
            match stretches.last_mut() {
                Some(last) if last.1 == from && last.2 == seen => last.1 = to,
                _ => stretches.push((from, to, seen)),
            }
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn a_day_keeps_its_extremes_in_bounded_memory() {
        let mut curve = Curve::default();
        for tenth in 0..864_000_i64 {
            let value = if tenth == 500_000 { 99.0 } else { (tenth % 10) as f64 };
            curve.add(MediaTime(tenth * 100 * MS), value);
        }
        let stretches = curve.stretches();
        assert_eq!((stretches.len(), curve.range()), (1, Some((0.0, 99.0))));
        let count = stretches[0].len();
        assert!((CELLS_MAX / 2..=CELLS_MAX).contains(&count), "{count}");
        let peak = stretches[0].iter().find(|point| point.max == 99.0).expect("kept");
        assert!((peak.at.0 - 50_000_000 * MS).abs() <= curve.resolution() && peak.mean < 5.0);
    }

    #[test]
    fn gaps_stay_gaps_and_what_is_no_number_is_left_out() {
        let mut curve = Curve::default();
        assert_eq!(curve.range(), None);
        for (ms, value) in [(-30, 1.0), (100, 2.0), (200, f64::NAN), (2_000, 3.0), (1_900, f64::INFINITY)] {
            curve.add(MediaTime(ms * MS), value);
        }
        let lengths: Vec<usize> = curve.stretches().iter().map(Vec::len).collect();
        assert_eq!((lengths, curve.range()), (vec![2, 1], Some((1.0, 3.0))));
    }

    #[test]
    fn a_time_far_away_neither_overflows_nor_fills_memory() {
        let mut curve = Curve::default();
        curve.add(MediaTime(0), 1.0);
        curve.add(MediaTime(i64::MAX), 2.0);
        curve.add(MediaTime(i64::MIN), 0.5);
        assert!(curve.0.cells.len() <= CELLS_MAX);
        assert_eq!(curve.range(), Some((0.5, 2.0)));
    }

    #[test]
    fn what_was_seen_lasts_until_the_next_word() {
        let mut track = Track::default();
        assert!(!track.has_spoken());
        for (ms, seen) in [
            (0, Seen::Nothing),
            (100, Seen::Present),
            (200, Seen::Nothing),
            (300, Seen::Unclear),
            (400, Seen::Unclear),
            // Nobody knows what was in between.
            (9_000, Seen::Nothing),
        ] {
            track.add(MediaTime(ms * MS), seen);
        }
        let told: Vec<_> = track.stretches().iter().map(|(a, b, seen)| (a.0 / MS, b.0 / MS, *seen)).collect();
        assert_eq!(told, [(100, 220, Seen::Present), (300, 420, Seen::Unclear)]);
        assert!(track.has_spoken());
    }
}
