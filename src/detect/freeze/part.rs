//! A part of the picture that stands still while the rest goes on: the window of a guest, one source of a multiview.
//!
//! Still backgrounds are everywhere. A part is frozen when all that moved in a rectangle, steadily, stopped at one
//! moment, without a cut, and nothing in it has moved since while what lies around it still does.

use super::{PerTile, TILES, Tiles};
use crate::detect::Region;
use crate::features::{Grid, VideoFeatures};
use crate::kernels::CELL;
use crate::time::MediaTime;
use std::time::Duration;

/// Share of the last pictures in which a tile moved, from which it moves steadily. Animation on twos does not.
const STEADY: f32 = 0.6;
/// Time over which that share is measured.
const OVER: Duration = Duration::from_secs(1);
/// Tiles that stopped within this time of each other stopped together.
const TOGETHER: Duration = Duration::from_millis(100);
/// A part must have stood for this long: longer than people, who never stand as still as a buffer, hold their breath.
const LASTED: Duration = Duration::from_secs(3);
/// Least share of the picture that stopped, and least and most that its rectangle takes: more is left to the whole picture.
const STOPPED_MIN: f64 = 0.08;
pub(super) const AREA: (f64, f64) = (0.1, 0.85);
/// Share of the rectangle that stopped, and that stands still.
const FILLED: f64 = 0.4;
const STILL: f64 = 0.95;
/// Share of the picture that moves on around it.
const ALIVE: f64 = 0.05;
/// Share of what stopped that moves again when it is over.
const WOKEN: f64 = 0.3;
/// How often a rectangle is sought: latency that nobody minds after `LASTED`.
const SOUGHT: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, Default)]
struct Tile {
    /// Share of pictures of the last second in which it moved.
    activity: f32,
    /// Since when it stands, and how active it was until then.
    still: Option<(MediaTime, f32)>,
}

/// A part that is frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frozen {
    pub onset: MediaTime,
    /// Tiles: left, top, right, bottom, the last two not included.
    rect: [usize; 4],
    /// Tiles that stood when it was found, of those in it.
    stood: usize,
    share: f64,
}

/// Follows all tiles.
#[derive(Clone, Debug)]
pub(super) struct Part {
    tiles: [Tile; TILES * TILES],
    last: Option<MediaTime>,
    sought: MediaTime,
    pub frozen: Option<Frozen>,
}

impl Default for Part {
    fn default() -> Self {
        Self { tiles: [Tile::default(); TILES * TILES], last: None, sought: MediaTime(0), frozen: None }
    }
}

impl Part {
    /// Takes in a picture: `moved` cells in each tile.
    pub fn look(&mut self, features: &VideoFeatures, tiles: &Tiles, moved: &PerTile) {
        let at = features.stamp.at;
        if features.first || features.cut || features.left_out {
            return *self = Self { last: Some(at), ..Self::default() };
        }
        let step = self.last.map_or(Duration::ZERO, |last| at.since(last));
        self.last = Some(at);
        let gain = (step.as_secs_f32() / OVER.as_secs_f32()).min(1.0);
        for (tile, &cells) in self.tiles.iter_mut().zip(moved) {
            // Key pictures are coded anew: what moves there only is the coder.
            let moves = cells > 0 && !features.intra;
            if moves {
                tile.still = None;
            } else if tile.still.is_none() && !features.intra {
                tile.still = Some((at, tile.activity));
            }
            tile.activity += gain * (f32::from(u8::from(moves)) - tile.activity);
        }
        match self.frozen {
            Some(frozen) if self.woken(frozen) => self.frozen = None,
            Some(_) => {}
            None if at.since(self.sought) >= SOUGHT => {
                self.sought = at;
                self.frozen = self.seek(at, &tiles.void);
            }
            None => {}
        }
    }

    fn woken(&self, frozen: Frozen) -> bool {
        let stopped = |tile: &&Tile| tile.still.is_some_and(|(since, _)| since <= frozen.onset.plus(TOGETHER));
        let tiles = || inside(frozen.rect).map(|at| &self.tiles[at]);
        (tiles().filter(stopped).count() as f64) < (1.0 - WOKEN) * frozen.stood as f64
    }

    fn seek(&self, at: MediaTime, void: &[bool]) -> Option<Frozen> {
        let all = void.iter().filter(|&&void| !void).count() as f64;
        let stopped = |tile: &Tile| {
            let (since, activity) = tile.still?;
            (activity >= STEADY && at.since(since) >= LASTED).then_some(since)
        };
        let mut times: heapless::Vec<MediaTime, { TILES * TILES }> = self.tiles.iter().filter_map(stopped).collect();
        if (times.len() as f64) < STOPPED_MIN * all {
            return None;
        }
        times.sort_unstable();
        // The moment at which most stopped together.
        let together = |first: MediaTime| times.iter().filter(|&&t| t >= first && t.since(first) <= TOGETHER).count();
        let onset = *times.iter().max_by_key(|&&first| together(first))?;
        let group = |tile: usize| {
            stopped(&self.tiles[tile]).is_some_and(|since| since >= onset && since.since(onset) <= TOGETHER)
        };
        let rect = bounds((0..self.tiles.len()).filter(|&tile| group(tile)))?;
        let count = |test: &dyn Fn(usize) -> bool| inside(rect).filter(|&n| !void[n] && test(n)).count() as f64;
        let area = count(&|_| true);
        let still = |tile: usize| self.tiles[tile].still.is_some_and(|(since, _)| at.since(since) + TOGETHER >= LASTED);
        let alive = self.tiles.iter().filter(|tile| tile.still.is_none() && tile.activity >= STEADY).count() as f64;
        let frozen = (AREA.0 * all..=AREA.1 * all).contains(&area)
            && count(&group) >= (FILLED * area).max(STOPPED_MIN * all)
            && count(&still) >= STILL * area
            && alive >= ALIVE * all;
        let stood = count(&|tile| self.tiles[tile].still.is_some_and(|(since, _)| since <= onset.plus(TOGETHER)));
        frozen.then_some(Frozen { onset, rect, stood: stood as usize, share: 100.0 * area / all })
    }
}

impl Frozen {
    /// Where, in luma samples.
    pub fn region(&self, grid: Grid) -> Region {
        let [left, top, right, bottom] = self.rect;
        let x = |tile: usize| ((tile * grid.columns).div_ceil(TILES) * CELL).min(grid.width) as u32;
        let y = |tile: usize| ((tile * grid.rows).div_ceil(TILES) * CELL).min(grid.height) as u32;
        Region { x: x(left), y: y(top), w: x(right) - x(left), h: y(bottom) - y(top) }
    }

    /// Share of the picture, %.
    pub fn share(&self) -> f64 {
        self.share
    }
}

fn inside([left, top, right, bottom]: [usize; 4]) -> impl Iterator<Item = usize> {
    (top..bottom).flat_map(move |row| (left..right).map(move |column| row * TILES + column))
}

fn bounds(tiles: impl Iterator<Item = usize>) -> Option<[usize; 4]> {
    tiles.map(|tile| (tile % TILES, tile / TILES)).fold(None, |bounds, (x, y)| {
        let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}
