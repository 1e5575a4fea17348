//! Frozen picture: it moved, and from one picture to the next it moves no more, without a cut or a dissolve.
//!
//! Means of 16 x 16 cells instead of a sum of absolute differences: noise of sigma s moves a mean by s/16, while the
//! slightest motion of the programme moves many means by code values. A rest is a run of pictures that hardly move,
//! held against its first one, so that slow motion adds up. What makes a rest a freeze is how it began and how it
//! compares with what was before: a freeze stops full motion within two pictures and lasts longer than any rest
//! before it; a camera and people come to rest over some pictures, a slate comes with a cut, a caption with a
//! dissolve. Two rests are followed: a strict one, and one that allows for a clock or a ticker.

mod part;
mod rest;
mod scene;

use super::{Change, Defect, Observation, Presence, Severity, Slates};
use crate::features::{Grid, VideoFeatures};
use crate::time::MediaTime;
use part::Part;
use rest::{Rest, Seen};
use scene::Scene;
use std::time::Duration;

/// A cell moved between two pictures when its mean changed by more than this, in code values: quantisation of coders
/// moves means by less than one.
const STEP_MIN: f64 = 1.0;
/// A cell differs from the first picture of the rest when its mean is off by more than this: refinement by coders and
/// the pulses of key pictures mostly stay below two code values.
const DRIFT_MIN: f64 = 2.0;
/// Five standard deviations of the difference of two means of 256 samples, per sigma of noise: 5 x sqrt(2 / 256).
const NOISE_FACTOR: f64 = 0.442;
/// A still picture this long is severe.
const LONG: Duration = Duration::from_secs(5);
/// A picture that came to rest in a way that is usually meant, with a cut or slowly, is worth a warning after this long:
/// no programme is that still, slates and dead inputs are.
const STANDS: Duration = Duration::from_secs(60);
/// Bits in which marks of one slate may differ: parts near the middle brightness, and what a clock covers.
const MARK_OFF: u32 = 6;
/// Edge of the raster of coarse tiles over the picture: a clock or a ticker covers few of them, live motion many.
const TILES: usize = 16;

/// One number for each coarse tile.
type PerTile = [u32; TILES * TILES];

/// How the cells lie in the coarse tiles: runs of cells next to each other in one tile, row by row.
#[derive(Clone, Debug, Default)]
struct Tiles {
    runs: Vec<(u8, u16)>,
    cells: usize,
    /// Tiles without any cell, in small pictures.
    void: Vec<bool>,
}

impl Tiles {
    fn of(grid: Grid) -> Self {
        let mut runs: Vec<(u8, u16)> = Vec::new();
        for index in 0..grid.len() {
            let tile = tile(grid, index);
            match runs.last_mut() {
                Some((last, cells)) if *last == tile && index % grid.columns > 0 => *cells += 1,
                _ => runs.push((tile, 1)),
            }
        }
        let mut void = vec![true; TILES * TILES];
        runs.iter().for_each(|&(tile, _)| void[usize::from(tile)] = false);
        Self { runs, cells: grid.len(), void }
    }

    /// Cells in each tile whose numbers in `a` and `b` are `different`.
    fn count(&self, mut a: &[f32], mut b: &[f32], different: impl Fn(f32, f32) -> bool) -> PerTile {
        let mut counts = [0; TILES * TILES];
        for &(tile, cells) in &self.runs {
            let (here, there);
            (here, a) = a.split_at(usize::from(cells));
            (there, b) = b.split_at(usize::from(cells));
            let count: u32 = here.iter().zip(there).map(|(&a, &b)| u32::from(different(a, b))).sum();
            counts[usize::from(tile)] += count;
        }
        counts
    }
}

/// Follows the picture of one source.
#[derive(Clone, Debug)]
pub struct Freeze {
    grid: Grid,
    tiles: Tiles,
    scene: Scene,
    /// Nothing moves at all.
    whole: Rest,
    /// Nothing moves but an overlay.
    but_overlay: Rest,
    part: Part,
    luma_mean: f64,
    slates: Slates,
    /// Mark of the picture, where it matters.
    mark: Option<u64>,
    frozen: bool,
    moving_since: Option<MediaTime>,
}

impl Default for Freeze {
    fn default() -> Self {
        Self {
            grid: Grid::default(),
            tiles: Tiles::default(),
            scene: Scene::default(),
            whole: Rest::new(false),
            but_overlay: Rest::new(true),
            part: Part::default(),
            luma_mean: 0.0,
            slates: Slates::default(),
            mark: None,
            frozen: false,
            moving_since: None,
        }
    }
}

impl Freeze {
    /// No freeze is told of a picture with one of the marks in `slates`.
    pub fn new(slates: Slates) -> Self {
        Self { slates, ..Self::default() }
    }

    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first || features.grid != self.grid {
            self.restart(features);
            return self.say(at, 0.0);
        }
        let (seen, moved) = self.look(features);
        let part_ends = self.part.frozen.is_some();
        self.part.look(features, &self.tiles, &moved);
        self.scene.note(&seen);
        let drift_min = DRIFT_MIN.max(NOISE_FACTOR * features.noise);
        for rest in [&mut self.whole, &mut self.but_overlay] {
            rest.look(features, &self.tiles, &seen, &moved, drift_min, &self.scene);
        }
        if self.whole.starts_at(at) {
            self.scene.snapshot(features);
        }
        self.whole.judge(at, &self.scene);
        self.but_overlay.judge(at, &self.scene);
        let frozen = self.whole.is_frozen() || self.but_overlay.is_frozen();
        if self.frozen && !frozen {
            self.moving_since = Some(self.whole.ended_at().max(self.but_overlay.ended_at()));
        } else if part_ends && self.part.frozen.is_none() {
            self.moving_since = Some(at);
        }
        self.frozen = frozen;
        let stands = frozen || at.since(self.whole.onset()) >= STANDS;
        self.mark = stands.then(|| features.coarse.mark());
        self.say(at, seen.moved)
    }

    fn restart(&mut self, features: &VideoFeatures) {
        let grid = features.grid;
        if grid != self.grid {
            self.grid = grid;
            self.tiles = Tiles::of(grid);
        }
        self.scene.restart(features);
        self.whole.restart(features);
        self.but_overlay.restart(features);
        self.luma_mean = features.luma_mean;
        if self.frozen {
            self.moving_since = Some(features.stamp.at);
        }
        self.frozen = false;
    }

    /// How the picture differs from the one before, and the cells that moved in each tile.
    fn look(&mut self, features: &VideoFeatures) -> (Seen, PerTile) {
        let step_min = STEP_MIN.max(NOISE_FACTOR * features.noise);
        // A camera that opens its iris changes every cell and moves none.
        let brighter = features.luma_mean - self.luma_mean;
        self.luma_mean = features.luma_mean;
        let (step_min, brighter) = (step_min as f32, brighter as f32);
        let (means, before) = (&features.means, &features.means_before);
        let moved = self.tiles.count(means, before, |mean, before| {
            let step = mean - before;
            step.abs().min((step - brighter).abs()) > step_min
        });
        let cells = self.tiles.cells.max(1) as f64;
        let seen = Seen {
            at: features.stamp.at,
            moved: f64::from(moved.iter().sum::<u32>()) / cells,
            change: features.change,
            alike: features.alike,
            intra: features.intra,
            left_out: features.left_out,
        };
        (seen, moved)
    }

    fn say(&self, at: MediaTime, moved: f64) -> Observation {
        let onset = [&self.whole, &self.but_overlay].into_iter().filter(|rest| rest.is_frozen()).map(Rest::onset).min();
        let said = Observation {
            value: moved * 100.0,
            threshold: rest::DRIFT_SHARE * 100.0,
            unit: "%",
            ..Observation::of(Defect::Freeze)
        };
        let near = |slate: &u64| self.mark.is_some_and(|mark| (mark ^ slate).count_ones() <= MARK_OFF);
        if self.slates.iter().flatten().any(near) {
            return Observation { since: self.moving_since, ..said };
        }
        if let Some(onset) = onset {
            return Observation {
                presence: match self.frozen {
                    // A pulse of the coder, or the end: the next pictures tell.
                    true if self.whole.is_frozen() && moved > rest::DRIFT_SHARE => Presence::Unclear,
                    _ => Presence::Present,
                },
                since: Some(onset),
                severity: if at.since(onset) >= LONG { Severity::Critical } else { Severity::Major },
                phrase: if self.whole.is_frozen() {
                    "picture is frozen"
                } else {
                    "picture is frozen but for an overlay"
                },
                ..said
            };
        }
        if let Some(part) = &self.part.frozen {
            return Observation {
                presence: Presence::Present,
                since: Some(part.onset),
                severity: Severity::Major,
                value: part.share(),
                threshold: part::AREA.0 * 100.0,
                region: Some(part.region(self.grid)),
                phrase: "part of the picture is frozen",
                ..said
            };
        }
        if at.since(self.whole.onset()) >= STANDS {
            return Observation {
                presence: Presence::Present,
                since: Some(self.whole.onset()),
                severity: Severity::Warning,
                phrase: if self.whole.came_with_cut() {
                    "picture stands still since a cut, as a slate does"
                } else {
                    "picture stands still"
                },
                change: self.mark.map(Change::Standing),
                ..said
            };
        }
        Observation { since: self.moving_since, ..said }
    }
}

/// Number of the coarse tile that cell `index` lies in.
fn tile(grid: Grid, index: usize) -> u8 {
    let (column, row) = grid.place(index);
    (row * TILES / grid.rows * TILES + column * TILES / grid.columns) as u8
}

#[cfg(test)]
mod tests;
