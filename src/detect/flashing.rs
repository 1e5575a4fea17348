//! Flashes of luminance and of red that may trigger seizures, after ITU-R BT.1702-3 and Ofcom's guidance.
//!
//! A transition is a change of 20 cd/m2 or more whose darker state is below 160 cd/m2; a flash is a pair of opposing
//! ones. More than three flashes in a second over a quarter of the screen are told. Red counts the same way, by
//! (R - G - B) x 320 of linear light above 20, where one state is saturated red (R / (R + G + B) >= 0.8).
//! This is a watch, not a certified test of photosensitive epilepsy risk: patterns are not judged.

use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// Peak of a display of standard range, cd/m2, ...
const PEAK: f32 = 200.0;
/// ... and its exponent (ITU-R BT.1886).
const GAMMA: f32 = 2.4;
/// Least change of a transition, cd/m2, and in units of red.
const CHANGE: f32 = 20.0;
/// A tile that changes by less between two pictures is at rest.
const RESTS: f32 = 2.0;
/// The darker state is below this, cd/m2.
const DARKER: f32 = 160.0;
/// Saturated red: share of R in linear R + G + B.
const RED: f32 = 0.8;
/// Share of the screen that changes together, %.
const AREA: f64 = 25.0;
/// Tiles that go the other way meanwhile, as a share of those that flash: motion makes as many brighter as darker.
const AGAINST: f64 = 0.15;
/// Opposing transitions in a second that are more than three flashes.
const TRANSITIONS: usize = 7;
const SECOND: Duration = Duration::from_secs(1);
/// A transition of the screen may take two pictures: changes of tiles this near to each other are one.
const TOGETHER: Duration = Duration::from_millis(45);

/// Follows one measure of each tile from extreme to extreme.
#[derive(Clone, Copy, Debug, Default)]
struct Tile {
    extreme: f32,
    /// Up 1, down -1, at rest 0.
    way: i8,
}

/// Transitions of the screen by one measure.
#[derive(Clone, Debug, Default)]
struct Screen {
    tiles: Vec<Tile>,
    /// No picture was seen yet.
    starts: bool,
    /// Tiles that went up and down lately, and when the first of them did.
    together: Option<(MediaTime, [usize; 2])>,
    /// When, each the other way than the one before; of the last second.
    transitions: heapless::Deque<MediaTime, { TRANSITIONS }>,
    last_up: Option<bool>,
    /// Largest share of the screen in one of the last transitions, %.
    area: f64,
}

/// Follows the flashes of one source.
#[derive(Clone, Debug)]
pub struct Flashing {
    luminance: [f32; 256],
    /// Linear light of 8-bit R, G or B, 1 is full.
    linear: [f32; 256],
    luma: Screen,
    red: Screen,
    since: Option<MediaTime>,
    ended: Option<MediaTime>,
}

impl Default for Flashing {
    fn default() -> Self {
        let linear = std::array::from_fn(|n| (n as f32 / 255.0).powf(GAMMA));
        Self {
            luminance: [0.0; 256],
            linear,
            luma: Screen::default(),
            red: Screen::default(),
            since: None,
            ended: None,
        }
    }
}

impl Flashing {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let (coarse, at) = (&features.coarse, features.stamp.at);
        if features.first || coarse.len() != self.luma.tiles.len() {
            self.restart(features);
        }
        let luminance = &self.luminance;
        let tiles = coarse.luma.iter().map(|&luma| luminance[luma as usize]);
        self.luma.look(at, tiles, |lower| lower < DARKER);
        if features.depth == Depth::Full && !coarse.cb.is_empty() {
            let linear = &self.linear;
            let (black, white) = features.range.black_white();
            let span = f32::from(white) - f32::from(black);
            let colours = coarse.luma.iter().zip(&coarse.cb).zip(&coarse.cr);
            let tiles = colours.map(|((&y, &cb), &cr)| red(linear, (y - f32::from(black)) / span, cb, cr));
            self.red.look(at, tiles, |_| true);
        }
        self.say()
    }

    fn restart(&mut self, features: &VideoFeatures) {
        let (black, white) = features.range.black_white();
        let span = f32::from(white) - f32::from(black);
        self.luminance =
            std::array::from_fn(|luma| PEAK * ((luma as f32 - f32::from(black)) / span).clamp(0.0, 1.1).powf(GAMMA));
        for screen in [&mut self.luma, &mut self.red] {
            screen.restart(features.coarse.len());
        }
    }

    fn say(&mut self) -> Observation {
        let (by_luma, by_red) = (self.luma.flashes(), self.red.flashes());
        let began = by_luma.or(by_red);
        match (began, self.since) {
            (Some(began), None) => self.since = Some(began),
            (None, Some(_)) => {
                self.since = None;
                self.ended = self.luma.last().max(self.red.last());
            }
            _ => {}
        }
        let red = by_red.is_some() && by_luma.is_none();
        Observation {
            presence: if began.is_some() { Presence::Present } else { Presence::Absent },
            since: self.since.or(self.ended),
            severity: Severity::Major,
            value: if red { self.red.area } else { self.luma.area },
            threshold: AREA,
            unit: "%",
            phrase: if red { "picture flashes in red" } else { "picture flashes" },
            ..Observation::of(Defect::Flashing)
        }
    }
}

/// Excess of red where it is saturated, else 0. `luma` is a share of the range; matrix of ITU-R BT.601.
fn red(linear: &[f32; 256], luma: f32, cb: f32, cr: f32) -> f32 {
    let (b, r) = ((cb - 128.0) / 224.0, (cr - 128.0) / 224.0);
    let light = |value: f32| linear[(value.clamp(0.0, 1.0) * 255.0) as usize];
    let (r, g, b) = (light(luma + 1.402 * r), light(luma - 0.344 * b - 0.714 * r), light(luma + 1.772 * b));
    if r >= RED * (r + g + b) { ((r - g - b) * 320.0).max(0.0) } else { 0.0 }
}

impl Screen {
    fn restart(&mut self, tiles: usize) {
        self.tiles.clear();
        self.tiles.resize(tiles, Tile::default());
        self.starts = true;
        self.transitions.clear();
        (self.together, self.last_up) = (None, None);
    }

    /// Takes in each tile's value. A transition counts by its lower state.
    fn look(&mut self, at: MediaTime, values: impl Iterator<Item = f32>, counts: impl Fn(f32) -> bool) {
        if std::mem::take(&mut self.starts) {
            self.tiles.iter_mut().zip(values).for_each(|(tile, value)| tile.extreme = value);
            return;
        }
        let mut moved = [0, 0];
        for (tile, value) in self.tiles.iter_mut().zip(values) {
            if let Some((up, lower)) = tile.go(value)
                && counts(lower)
            {
                moved[usize::from(!up)] += 1;
            }
        }
        let (from, sum) = match self.together {
            Some((from, before)) if at.since(from) <= TOGETHER => (from, [before[0] + moved[0], before[1] + moved[1]]),
            _ => (at, moved),
        };
        self.together = (sum != [0, 0]).then_some((from, sum));
        let share = |tiles: usize| 100.0 * tiles as f64 / self.tiles.len().max(1) as f64;
        let (up, area) = if sum[0] >= sum[1] { (true, share(sum[0])) } else { (false, share(sum[1])) };
        let against = share(sum[0].min(sum[1]));
        if area >= AREA && against <= area * AGAINST && self.last_up != Some(up) {
            if self.transitions.is_full() {
                self.transitions.pop_front();
            }
            // Room was just made.
            let _ = self.transitions.push_back(from);
            (self.last_up, self.area, self.together) = (Some(up), area, None);
        }
        while self.transitions.front().is_some_and(|&first| at.since(first) > SECOND) {
            self.transitions.pop_front();
        }
    }

    /// Since when, while there are more than three flashes in the last second.
    fn flashes(&self) -> Option<MediaTime> {
        if self.transitions.is_full() { self.transitions.front().copied() } else { None }
    }

    fn last(&self) -> Option<MediaTime> {
        self.transitions.back().copied()
    }
}

impl Tile {
    /// The transition that `value` completes, if any: whether up, and its lower state.
    fn go(&mut self, value: f32) -> Option<(bool, f32)> {
        let change = value - self.extreme;
        if change.abs() < RESTS {
            // From rest, any way is open.
            *self = Self { extreme: value, way: 0 };
        } else if change * f32::from(self.way) > 0.0 {
            self.extreme = value;
        } else if change.abs() >= CHANGE {
            let lower = value.min(self.extreme);
            *self = Self { extreme: value, way: if change > 0.0 { 1 } else { -1 } };
            return Some((change > 0.0, lower));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer, at};

    /// When flashes are told of pictures at 25 a second.
    fn present(pictures: impl Iterator<Item = Picture>) -> Vec<usize> {
        let (mut analyzer, mut detector) = (analyzer(), Flashing::default());
        let said = pictures.enumerate().map(|(n, picture)| detector.observe(analyzer.analyze(picture.frame(n))));
        said.enumerate().filter(|(_, said)| said.presence == Presence::Present).map(|(n, _)| n).collect()
    }

    /// Grey that is `high` in the left part of `width` samples in every other `half` pictures.
    fn flashes(n: usize, half: usize, width: usize, high: f64) -> Picture {
        Picture::new(move |x, _| if x < width && n / half % 2 == 1 { high } else { 90.0 })
    }

    #[test]
    fn more_than_three_flashes_in_a_second_are_told() {
        let told = present((0..75).map(|n| flashes(if n < 50 { n } else { 50 }, 3, 200, 200.0)));
        assert_eq!((told[0], told[told.len() - 1] < 75), (3 + 6 * 3, true), "from the seventh transition on");
        let (mut analyzer, mut detector) = (analyzer(), Flashing::default());
        let said: Vec<Observation> = (0..75)
            .map(|n| detector.observe(analyzer.analyze(flashes(if n < 50 { n } else { 50 }, 3, 200, 200.0).frame(n))))
            .collect();
        assert_eq!((said[30].since, said[74].since), (Some(at(3)), Some(at(48))));
    }

    #[test]
    fn slow_small_and_faint_flashes_are_not() {
        assert!(present((0..75).map(|n| flashes(n, 5, 200, 200.0))).is_empty(), "2.5 flashes a second");
        assert!(present((0..75).map(|n| flashes(n, 2, 60, 200.0))).is_empty(), "19 % of the screen");
        assert!(present((0..75).map(|n| flashes(n, 2, 200, 110.0))).is_empty(), "less than 20 cd/m2");
        assert!(present((0..75).map(|n| Picture::hills(n as f64 * 8.0))).is_empty(), "motion");
    }

    #[test]
    fn saturated_red_counts_by_its_colour() {
        let red = |n: usize| {
            let on = n / 2 % 2 == 1;
            Picture::new(move |_, _| if on { 81.0 } else { 84.0 })
                .colours(move |_, _| if on { (90, 240) } else { (128, 128) })
        };
        assert!(!present((0..50).map(red)).is_empty());
    }
}
