//! A run of pictures that look like its first one, and whether it is a freeze.

use super::scene::{Motion, Scene};
use super::{PerTile, TILES, Tiles};
use crate::features::VideoFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// Share of cells that may differ from the first picture of the rest.
pub(super) const DRIFT_SHARE: f64 = 0.03;
/// Share of the usual motion that may go on in a rest: what coders move.
const LEFT: f64 = 0.1;
/// Most tiles of an overlay: 15 % of the picture holds a ticker over the whole width and a clock.
const OVERLAY_TILES: usize = TILES * TILES * 15 / 100;
/// So many odd pictures in a row end a rest: fewer are a pulse around a key picture, or a flash.
const ODD_PICTURES: u32 = 3;
/// While it is younger than this, a rest ends with the first odd picture; what comes after is judged once it is older.
const YOUNG: Duration = Duration::from_millis(300);
/// A key picture that changes the means by less, in code values, and correlates more with the picture before, shows
/// the same as coded anew.
const PULSE_CHANGE: f64 = 4.0;
const PULSE_ALIKE: f64 = 0.98;
/// A change between pictures a fifth of a second apart that correlates more than this with the change before is a
/// dissolve or a fade.
const DISSOLVE: f64 = 0.8;

/// Strong motion: this share of the cells moves from picture to picture.
const STRONG: f64 = 0.05;
/// What stopped must be this much while something else still moves: a car that goes on may be all that ever moved.
const STRONG_BUT_OVERLAY: f64 = 0.1;
/// Weak motion: a talking head, a car in a wide view.
const WEAK: f64 = 0.006;
/// Strong motion stopped abruptly: a freeze once it is longer than a short hold ...
const AFTER_STRONG: Duration = Duration::from_millis(600);
/// ... and longer when something still moves, for it might be alive.
const BUT_OVERLAY: Duration = Duration::from_secs(2);
/// Steady weak motion stopped abruptly: people pause for a second.
const AFTER_WEAK: Duration = Duration::from_millis(1_500);
/// Strong motion came to rest in any other way, and nothing at all has moved since.
const AFTER_ANY: Duration = Duration::from_millis(4_500);
/// A freeze lasts longer than this many times the longest rest shortly before (stop motion, animation on threes) ...
const LONGER_THAN: u32 = 2;
/// ... in the last ...
const SHORTLY: Duration = Duration::from_secs(2);
/// Where little moves, long rests are natural and the comparison goes further: so many times the longest ...
const FAR_LONGER_THAN: u32 = 5;
/// ... in the last ...
const LATELY: Duration = Duration::from_secs(15);
/// An overlay that has not moved for this long is none: clocks tick every second.
const OVERLAY_PAUSE: Duration = Duration::from_millis(1_100);

/// Pictures that the budget leaves out hide short rests and how motion ended. Then only strong motion counts, a freeze
/// lasts longer than what animation rests, ...
const LEFT_OUT_STRONG: Duration = Duration::from_millis(2_500);
/// ... and what was not seen to stop abruptly waits longer still.
const LEFT_OUT_ANY: Duration = Duration::from_millis(6_000);

/// How one picture differs from the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub at: MediaTime,
    /// Share of cells that moved.
    pub moved: f64,
    /// Mean absolute change of cell means, code values.
    pub change: f64,
    /// Correlation of cell means.
    pub alike: f64,
    /// A key picture: coders pulse there.
    pub intra: bool,
    /// There were pictures between the two that were not looked at.
    pub left_out: bool,
}

/// Longest of the last rests: each entry is longer than those after it.
#[derive(Clone, Debug, Default)]
struct Longest(heapless::Deque<(MediaTime, Duration), 32>);

/// Follows one rest after the other.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    allows_overlay: bool,
    /// The last picture that moved, which the others show again.
    start: MediaTime,
    /// The first picture that did not.
    onset: Option<MediaTime>,
    /// Cell means of the first picture, or of the last key picture that pulsed.
    reference: Vec<f32>,
    /// Cells moved in each tile, all pictures of the rest together.
    moved: PerTile,
    pictures: u32,
    /// Pictures of it in which any cell moved, coders' mending aside.
    stirred: u32,
    overlay_moved_at: Option<MediaTime>,
    left_out: bool,
    /// Usual motion without the overlay.
    usual: f64,
    motion: Motion,
    dissolve: Option<f64>,
    odd: u32,
    odd_since: MediaTime,
    ended_at: MediaTime,
    frozen: bool,
    longest: Longest,
}

impl Rest {
    pub fn new(allows_overlay: bool) -> Self {
        Self {
            allows_overlay,
            start: MediaTime(0),
            onset: None,
            reference: Vec::new(),
            moved: [0; TILES * TILES],
            pictures: 0,
            stirred: 0,
            overlay_moved_at: None,
            left_out: false,
            usual: 0.0,
            motion: Motion::default(),
            dissolve: None,
            odd: 0,
            odd_since: MediaTime(0),
            ended_at: MediaTime(0),
            frozen: false,
            longest: Longest::default(),
        }
    }

    /// A first picture: nothing is known, so the rest it begins means nothing.
    pub fn restart(&mut self, features: &VideoFeatures) {
        self.reference.resize(features.grid.len(), 0.0);
        self.longest.0.clear();
        self.begin(features, Motion::default());
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen
    }
    /// When the picture first stood still.
    pub fn onset(&self) -> MediaTime {
        self.onset.unwrap_or(self.start)
    }
    /// Whether it began with a cut.
    pub fn came_with_cut(&self) -> bool {
        self.motion.cut
    }
    /// When the last rest ended.
    pub fn ended_at(&self) -> MediaTime {
        self.ended_at
    }
    /// Whether the picture at `at` moved, so that a rest can only begin with it.
    pub fn starts_at(&self, at: MediaTime) -> bool {
        self.start == at
    }

    /// Takes in a picture: `moved` cells in each tile.
    pub fn look(
        &mut self,
        features: &VideoFeatures,
        tiles: &Tiles,
        seen: &Seen,
        moved: &PerTile,
        drift_min: f64,
        scene: &Scene,
    ) {
        let drifted = self.drifted(features, tiles, drift_min);
        let overlay = if self.allows_overlay { self.overlay(moved, &drifted) } else { [false; TILES * TILES] };
        let share = |cells: &PerTile, inside: bool| {
            let cells: u32 = cells.iter().zip(&overlay).filter(|&(_, &within)| within == inside).map(|(n, _)| n).sum();
            f64::from(cells) / tiles.cells.max(1) as f64
        };
        // An overlay moves in a freeze as it did before.
        let overlay_moves = (share(&self.moved, true) + share(moved, true)) / f64::from(self.pictures + 1);
        self.usual = (self.motion.usual - overlay_moves).max(0.0);
        let (moves, drifts) =
            (share(moved, false) > LEFT * self.usual && !seen.intra, share(&drifted, false) > DRIFT_SHARE);
        let young = seen.at.since(self.start) < YOUNG;
        let pulse = seen.intra && !young && seen.change < PULSE_CHANGE && seen.alike > PULSE_ALIKE;
        if (moves || drifts) && pulse {
            self.refer_to(features);
        } else if moves || drifts {
            self.odd += 1;
            if self.odd == 1 {
                self.odd_since = seen.at;
            }
            if young || scene.is_cut() || self.odd >= ODD_PICTURES {
                self.end();
                return self.begin(features, scene.motion(seen.at));
            }
        } else {
            self.odd = 0;
        }
        self.carry_on(seen, moved, share(moved, true) > 0.0, young);
    }

    fn carry_on(&mut self, seen: &Seen, moved: &PerTile, overlay_moves: bool, young: bool) {
        self.onset.get_or_insert(seen.at);
        self.left_out |= seen.left_out;
        if seen.intra {
            return;
        }
        self.pictures += 1;
        for (sum, cells) in self.moved.iter_mut().zip(moved) {
            *sum += cells;
        }
        self.stirred += u32::from(!young && seen.moved > 0.0);
        if overlay_moves {
            self.overlay_moved_at = Some(seen.at);
        }
    }

    fn end(&mut self) {
        self.ended_at = self.odd_since;
        if !self.frozen {
            self.longest.push(self.ended_at, self.ended_at.since(self.start));
        }
    }

    fn begin(&mut self, features: &VideoFeatures, motion: Motion) {
        self.start = features.stamp.at;
        self.onset = None;
        self.refer_to(features);
        self.moved = [0; TILES * TILES];
        self.pictures = 0;
        self.stirred = 0;
        self.overlay_moved_at = None;
        self.left_out = false;
        self.motion = motion;
        self.usual = motion.usual;
        self.dissolve = None;
        self.odd = 0;
        self.frozen = false;
    }

    fn refer_to(&mut self, features: &VideoFeatures) {
        self.reference.copy_from_slice(&features.means);
        self.odd = 0;
    }

    /// Cells in each tile that differ from the first picture.
    fn drifted(&self, features: &VideoFeatures, tiles: &Tiles, drift_min: f64) -> PerTile {
        let drift_min = drift_min as f32;
        tiles.count(&features.means, &self.reference, |mean, reference| (mean - reference).abs() > drift_min)
    }

    /// The tiles in which most moves.
    fn overlay(&self, moved: &PerTile, drifted: &PerTile) -> [bool; TILES * TILES] {
        let weight = |tile: usize| self.moved[tile] + moved[tile] + drifted[tile];
        let mut order: [u8; TILES * TILES] = std::array::from_fn(|tile| tile as u8);
        order.select_nth_unstable_by_key(OVERLAY_TILES, |&tile| std::cmp::Reverse(weight(usize::from(tile))));
        let mut overlay = [false; TILES * TILES];
        for tile in order[..OVERLAY_TILES].iter().map(|&tile| usize::from(tile)) {
            overlay[tile] = weight(tile) > 0;
        }
        overlay
    }

    /// Whether it is a freeze by now; it then is one until it ends.
    pub fn judge(&mut self, at: MediaTime, scene: &Scene) {
        let lasted = at.since(self.start);
        if self.frozen || self.motion.cut || lasted < YOUNG {
            return;
        }
        let (reference, start) = (&self.reference, self.start);
        if *self.dissolve.get_or_insert_with(|| scene.dissolve(reference, start)) >= DISSOLVE {
            return;
        }
        self.frozen = self.needed(at).is_some_and(|needed| lasted >= needed);
    }

    /// How long this rest must last to be a freeze; `None`: never.
    fn needed(&self, at: MediaTime) -> Option<Duration> {
        let Motion { abrupt, steady, any, .. } = self.motion;
        let shortly = LONGER_THAN * self.longest.within(self.start, SHORTLY);
        let lately = FAR_LONGER_THAN * self.longest.within(self.start, LATELY);
        if self.allows_overlay {
            let alive =
                !self.left_out && self.overlay_moved_at.is_some_and(|moved_at| at.since(moved_at) < OVERLAY_PAUSE);
            return (abrupt && alive && self.usual >= STRONG_BUT_OVERLAY).then_some(BUT_OVERLAY.max(shortly));
        }
        // One picture may stir: coders mend late.
        let quiet = self.stirred <= 1;
        if self.left_out {
            return match self.usual {
                usual if usual >= STRONG && abrupt => Some(LEFT_OUT_STRONG.max(shortly)),
                usual if usual >= STRONG && any && quiet => Some(LEFT_OUT_ANY.max(lately)),
                _ => None,
            };
        }
        match self.usual {
            usual if usual >= STRONG && abrupt => Some(AFTER_STRONG.max(shortly)),
            usual if usual >= WEAK && abrupt && steady && quiet => Some(AFTER_WEAK.max(lately)),
            usual if usual >= STRONG && any && quiet => Some(AFTER_ANY.max(lately)),
            _ => None,
        }
    }
}

impl Longest {
    fn push(&mut self, at: MediaTime, lasted: Duration) {
        while self.0.back().is_some_and(|&(_, shorter)| shorter <= lasted) {
            self.0.pop_back();
        }
        while self.0.front().is_some_and(|&(ended_at, _)| at.since(ended_at) > LATELY) {
            self.0.pop_front();
        }
        // Full: then the new one is the shortest of many and tells nothing.
        let _ = self.0.push_back((at, lasted));
    }

    /// The longest that ended within `time` before `at`.
    fn within(&self, at: MediaTime, time: Duration) -> Duration {
        self.0.iter().find(|&&(ended_at, _)| at.since(ended_at) < time).map_or(Duration::ZERO, |&(_, lasted)| lasted)
    }
}
