//! Black borders that appear in mid-scene: the active picture changed, as a wrong aspect ratio or a failing keyer makes it.
//!
//! Borders that come with a cut are left alone: films and advertisements of other shapes are part of any programme.

use super::past::{Moment, Past};
use super::{Defect, Observation, Presence, Region, Severity};
use crate::features::{Coarse, Correlation, Grid, VideoFeatures};
use crate::kernels::CELL;
use crate::time::MediaTime;

/// A cell is black up to this share of the nominal range: coders keep a flat border within a few code values.
const BLACK: f64 = 0.06;
/// What was there before was lit: this share of the range, ...
const LIT: f64 = 0.1;
/// ... in this share of the tiles that are black now.
const LIT_SHARE: f64 = 0.6;
/// What is left of the picture is as bright as the picture was, but for this share: no fade, no lamp that went out.
const AS_BRIGHT: f64 = 0.7;
/// What is left correlates this much with the same place before, or with the whole picture before, made smaller.
const SAME: f64 = 0.7;
/// Borders take at least this share of the picture, %.
const LOST_MIN: f64 = 4.0;

/// Black rows and columns of cells at the edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Borders {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

/// Follows the active picture of one source.
#[derive(Clone, Debug, Default)]
pub struct Letterbox {
    appeared: Option<(Borders, MediaTime)>,
    good_since: Option<MediaTime>,
}

impl Letterbox {
    /// Looks at one picture; `past` are those before it.
    pub(super) fn observe(&mut self, features: &VideoFeatures, past: &Past) -> Observation {
        let grid = features.grid;
        let now = Borders::of(features);
        let lost = now.share(grid);
        let mut presence = Presence::Absent;
        match self.appeared {
            Some((borders, _)) => {
                presence = now.against(borders);
                if presence == Presence::Absent {
                    self.appeared = None;
                    self.good_since = Some(features.stamp.at);
                }
            }
            // Few pictures have any.
            None if lost >= LOST_MIN
                && now.leave_something(grid)
                // Borders may make a scene look like another, so it is looked at more closely.
                && past.before(features).any(|before| came_over(before, features, now)) =>
            {
                self.appeared = Some((now, features.stamp.at));
                presence = Presence::Present;
            }
            None => {}
        }
        Observation {
            presence,
            since: self.appeared.map(|(_, since)| since).or(self.good_since),
            severity: Severity::Minor,
            value: lost,
            threshold: LOST_MIN,
            unit: "%",
            region: self.appeared.map(|(borders, _)| borders.active(grid)),
            phrase: "black borders appeared",
            ..Observation::of(Defect::Letterbox)
        }
    }
}

impl Borders {
    fn of(features: &VideoFeatures) -> Self {
        let (black, white) = features.range.black_white();
        let limit = (f64::from(black) + BLACK * (f64::from(white) - f64::from(black))) as u8;
        let grid = features.grid;
        let is_black = |column: usize, row: usize| features.cells[grid.index(column, row)].max <= limit;
        let row = |row: &usize| (0..grid.columns).all(|column| is_black(column, *row));
        let top = (0..grid.rows).take_while(row).count();
        let bottom = (top..grid.rows).rev().take_while(row).count();
        let rows = top..grid.rows - bottom;
        let column = |column: &usize| rows.clone().all(|row| is_black(*column, row));
        let left = if rows.is_empty() { 0 } else { (0..grid.columns).take_while(column).count() };
        let right = if rows.is_empty() { 0 } else { (left..grid.columns).rev().take_while(column).count() };
        Self { top, bottom, left, right }
    }

    fn leave_something(self, grid: Grid) -> bool {
        (self.top + self.bottom) * 2 < grid.rows && (self.left + self.right) * 2 < grid.columns
    }

    /// What they take of the picture, %.
    fn share(self, grid: Grid) -> f64 {
        let rows = (grid.rows - self.top - self.bottom) as f64 / grid.rows.max(1) as f64;
        let columns = (grid.columns - self.left - self.right) as f64 / grid.columns.max(1) as f64;
        100.0 * (1.0 - rows * columns)
    }

    /// Whether those that `appeared` still stand. While one does, a caption may lie in another.
    fn against(self, appeared: Self) -> Presence {
        let sides = [
            (self.top, appeared.top),
            (self.bottom, appeared.bottom),
            (self.left, appeared.left),
            (self.right, appeared.right),
        ];
        let mut kept = sides.iter().filter(|(_, then)| *then > 0).map(|(now, then)| now >= then);
        let standing = kept.clone().filter(|&kept| kept).count();
        match (kept.all(|kept| kept), standing) {
            (true, _) => Presence::Present,
            (false, 0) => Presence::Absent,
            (false, _) => Presence::Unclear,
        }
    }

    fn active(self, grid: Grid) -> Region {
        let (x, y) = (self.left * CELL, self.top * CELL);
        let (right, bottom) = (grid.columns - self.right, grid.rows - self.bottom);
        let (w, h) = ((right * CELL).min(grid.width) - x, (bottom * CELL).min(grid.height) - y);
        Region { x: x as u32, y: y as u32, w: w as u32, h: h as u32 }
    }
}

/// Whether `borders` came over the scene that `before` shows.
fn came_over(before: &Moment, features: &VideoFeatures, borders: Borders) -> bool {
    let (coarse, grid) = (&features.coarse, features.grid);
    let (black, white) = features.range.black_white();
    let lit = (f64::from(black) + LIT * (f64::from(white) - f64::from(black))) as f32;
    let part = |n: usize, of: usize| (n as f32 + 0.5) / of as f32;
    let frame = Frame {
        left: borders.left as f32 / grid.columns as f32,
        top: borders.top as f32 / grid.rows as f32,
        right: 1.0 - borders.right as f32 / grid.columns as f32,
        bottom: 1.0 - borders.bottom as f32 / grid.rows as f32,
    };
    let (mut hidden, mut hidden_lit) = (0, 0);
    let (mut in_place, mut smaller) = (Correlation::default(), Correlation::default());
    let (mut now_sum, mut before_sum) = (0.0, 0.0);
    for row in 0..coarse.rows {
        for column in 0..coarse.columns {
            let (x, y) = (part(column, coarse.columns), part(row, coarse.rows));
            let at = row * coarse.columns + column;
            let (now, was) = (coarse.luma[at], before.luma[at]);
            match frame.inside(x, y) {
                None => {
                    hidden += 1;
                    hidden_lit += i32::from(was >= lit);
                }
                Some((x, y)) => {
                    in_place.add(f64::from(now), f64::from(was));
                    smaller.add(f64::from(now), f64::from(tile_at(coarse, &before.luma, x, y)));
                    now_sum += now - f32::from(black);
                    before_sum += was - f32::from(black);
                }
            }
        }
    }
    f64::from(hidden_lit) >= LIT_SHARE * f64::from(hidden)
        && now_sum >= AS_BRIGHT as f32 * before_sum
        && in_place.value().max(smaller.value()) >= SAME
}

/// The active picture, as shares of width and height.
struct Frame {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

impl Frame {
    /// Where in it a place of the whole picture lies, as shares of its own size.
    fn inside(&self, x: f32, y: f32) -> Option<(f32, f32)> {
        let (x, y) = ((x - self.left) / (self.right - self.left), (y - self.top) / (self.bottom - self.top));
        ((0.0..1.0).contains(&x) && (0.0..1.0).contains(&y)).then_some((x, y))
    }
}

fn tile_at(coarse: &Coarse, luma: &[f32], x: f32, y: f32) -> f32 {
    let (column, row) = ((x * coarse.columns as f32) as usize, (y * coarse.rows as f32) as usize);
    luma[row.min(coarse.rows - 1) * coarse.columns + column.min(coarse.columns - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{self, Picture, at, present};

    fn told(pictures: impl Iterator<Item = Picture>) -> Vec<Observation> {
        let mut detector = Letterbox::default();
        testing::told(pictures, |features, past| detector.observe(features, past))
    }

    fn boxed(n: usize) -> Picture {
        Picture::hills(n as f64).over(|_, y| (!(32..160).contains(&y)).then_some(16.0))
    }

    #[test]
    fn borders_over_a_scene_or_around_a_smaller_one_are_told_until_they_go() {
        let said = told((0..40).map(|n| if (10..30).contains(&n) { boxed(n) } else { Picture::hills(n as f64) }));
        assert_eq!(present(&said), (10..30).collect::<Vec<_>>());
        assert_eq!((said[12].since, said[30].since), (Some(at(10)), Some(at(30))));
        assert_eq!(said[12].region, Some(Region { x: 0, y: 32, w: 320, h: 128 }));
        // Made smaller: what stood at x stands at 40 + x * 3/4.
        let small = |n: usize| {
            let full = move |x: f64, y: f64| 120.0 + 50.0 * ((x + n as f64) / 37.0 + 2.0 * (y / 43.0).sin()).sin();
            Picture::new(move |x, y| match x {
                _ if n < 10 => full(x as f64, y as f64),
                32..288 => full((x as f64 - 32.0) * 1.25, y as f64),
                _ => 16.0,
            })
        };
        assert_eq!(present(&told((0..20).map(small))), (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn borders_that_come_with_a_cut_or_were_there_are_meant() {
        let slate = || Picture::slate().over(|_, y| (!(32..160).contains(&y)).then_some(16.0));
        assert!(present(&told((0..30).map(|n| if n < 10 { Picture::hills(n as f64) } else { slate() }))).is_empty());
        assert!(present(&told((0..30).map(boxed))).is_empty());
    }

    #[test]
    fn a_scene_that_darkens_has_no_borders() {
        let dusk = |n: usize| Picture::hills(n as f64).level(move |luma| 16.0 + (luma - 16.0) * 0.9_f64.powi(n as i32));
        assert!(present(&told((0..40).map(dusk))).is_empty());
        let off = |n: usize| Picture::hills(0.0).over(move |_, y| (n > 10 && y < 64).then_some(20.0 + y as f64));
        assert!(present(&told((0..30).map(off))).is_empty(), "a shadow has no straight edge in black");
    }
}
