//! Sharpness that is lost from one picture to the next, all over the picture, while the scene stays what it is.
//!
//! Never an absolute measure: what is soft by intent, by lens or by a low rate is so from its first picture. A lost
//! focus of the whole chain takes the same share from the texture of all cells, in both directions, within two
//! pictures, and leaves the cell means as they are. A focus pull and a dissolve take longer, a whip pan blurs in one
//! direction and moves the means, a fade takes the contrast of the means too, a cut changes them.

use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, Texture, VideoFeatures};
use crate::kernels::CELL;
use crate::time::MediaTime;
use std::time::Duration;

/// Texture of so many shares of the cells, in two directions.
const LEVELS: usize = 10;
/// Those that count where most cells have texture, and where only some have.
const DENSE: [usize; 6] = [1, 2, 3, 6, 7, 8];
const SPARSE: [usize; 6] = [2, 3, 4, 7, 8, 9];
/// Logarithms of texture over contrast.
type Levels = [f64; LEVELS];
/// Pictures that "before" is the median of, and the two across which sharpness is lost.
const PICTURES: usize = 5;
const KEPT: usize = PICTURES + 2;
/// Fall of each level, and of all on average: pictures of clean programme fall by up to 0.2 within two pictures, by a
/// key picture, a turn of the camera or the end of a grainy shot; Gaussian blur of sigma 2 takes 0.3 to 1.
const FALL: (f64, f64) = (0.2, 0.25);
/// Share of the textured cells that lose at the same picture, and what is a loss: motion takes from one half of them
/// what it gives to the other, blur takes from 90 % and more.
const TOGETHER: (f64, f64) = (0.75, 0.93);
/// As many cells, evenly over the picture, are looked at.
const CELLS: usize = 1000;
/// Differences of neighbours in a cell, in one direction.
const PAIRS: f64 = (CELL * (CELL - 1)) as f64;
/// Cell means that correlate less than this with those of the picture before are another scene or a whip pan.
const ALIKE: f64 = 0.85;
/// Another scene for certain.
const CUT: f64 = 0.6;
/// Texture that half of the cells have, and that 15 % of them have, in code values: a picture with less is graphics
/// and void.
const TEXTURED: (f64, f64) = (0.3, 1.0);
/// Sharpness that came as suddenly, within this time, may go again: noise, or a blur that has ended.
const RISEN: Duration = Duration::from_secs(15);
/// A fall back to this much above what was before a rise is none.
const BACK: f64 = 0.15;
/// The picture is sharp again when it has regained this share of the fall.
const REGAINED: f64 = 0.5;
/// What a source usually has is averaged over this time.
const USUAL: Duration = Duration::from_secs(10);
/// Another scene counts as blurred while it is this much below what is usual.
const BELOW: f64 = 0.25;
/// Average fall that spoils the programme: half of the texture.
const STRONG: f64 = 0.7;

/// What is kept of a picture.
#[derive(Clone, Copy, Debug)]
struct Picture {
    at: MediaTime,
    levels: Levels,
    texture: Texture,
    /// Share of the textured cells that lost texture since the picture before.
    fell: f64,
}

/// A loss of sharpness.
#[derive(Clone, Copy, Debug)]
struct Loss {
    since: MediaTime,
    /// Mean level before, and just after.
    before: f64,
    after: f64,
    /// Of which levels.
    of: [usize; 6],
    /// Another scene has come since.
    elsewhere: bool,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct Blur {
    pictures: heapless::Deque<Picture, KEPT>,
    /// Mean level that the source usually has.
    usual: Option<f64>,
    /// When all texture rose last, and where it rose from.
    risen: Option<(MediaTime, Levels)>,
    lost: Option<Loss>,
    ended: Option<MediaTime>,
    last: MediaTime,
    /// Texture of some cells of the last picture.
    cells: Vec<u32>,
}

impl Blur {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first {
            *self = Self { last: at, cells: std::mem::take(&mut self.cells), ..Self::default() };
            return Observation::of(Defect::Blur);
        }
        if features.depth == Depth::Light {
            return self.say(false);
        }
        let passed = at.since(std::mem::replace(&mut self.last, at));
        let fell = self.fell(features);
        let now = Picture { at, levels: levels(&features.texture), texture: features.texture, fell };
        if features.alike_in_full < ALIKE {
            self.pictures.clear();
        }
        if self.pictures.is_full() {
            self.pictures.pop_front();
        }
        let level = mean(&now.levels, DENSE);
        let _ = self.pictures.push_back(now);
        match self.lost {
            None => self.lost = self.fall(),
            Some(loss) => self.follow(loss, features, &now.levels),
        }
        if self.lost.is_none() {
            let usual = self.usual.get_or_insert(level);
            *usual += (level - *usual) * (passed.as_secs_f64() / USUAL.as_secs_f64()).min(1.0);
        }
        self.say(true)
    }

    /// See [`Picture::fell`].
    fn fell(&mut self, features: &VideoFeatures) -> f64 {
        let limit = PAIRS * (features.texture.across[1] + features.texture.down[1]).max(2.0 * TEXTURED.0);
        let stride = (features.cells.len() / CELLS).max(1);
        let now = features.cells.iter().step_by(stride).map(|cell| u32::from(cell.across) + u32::from(cell.down));
        self.cells.resize(features.cells.len().div_ceil(stride), 0);
        let (mut all, mut fell) = (0_u32, 0_u32);
        for (was, now) in self.cells.iter_mut().zip(now) {
            let textured = f64::from(now.max(*was)) > limit;
            all += u32::from(textured);
            fell += u32::from(textured && f64::from(now) < TOGETHER.1 * f64::from(*was));
            *was = now;
        }
        f64::from(fell) / f64::from(all.max(1))
    }

    /// Whether `loss` goes on.
    fn follow(&mut self, mut loss: Loss, features: &VideoFeatures, now: &Levels) {
        loss.elsewhere |= features.alike_in_full < CUT;
        let sharp = if loss.elsewhere {
            self.usual.is_none_or(|usual| mean(now, DENSE) > usual - BELOW)
        } else {
            mean(now, loss.of) > loss.after + REGAINED * (loss.before - loss.after)
        };
        self.lost = Some(loss);
        if sharp {
            (self.lost, self.ended) = (None, Some(features.stamp.at));
            self.pictures.clear();
        }
    }

    /// Whether all levels have just fallen.
    fn fall(&mut self) -> Option<Loss> {
        let mut newest = self.pictures.iter().rev();
        let (now, first, last) = (*newest.next()?, *newest.next()?, *newest.next()?);
        if !self.pictures.is_full() {
            return None;
        }
        let of = shares(&last.texture)?;
        let before = self.before();
        let least = |a: &Levels, b: &Levels| of.iter().map(|&n| a[n] - b[n]).fold(f64::INFINITY, f64::min);
        if least(&now.levels, &before).min(least(&now.levels, &last.levels)) > FALL.0 {
            self.risen = Some((now.at, before));
        }
        let [was, at_last, at_first, after] =
            [&before, &last.levels, &first.levels, &now.levels].map(|levels| mean(levels, of));
        let each = least(&before, &now.levels).min(least(&last.levels, &now.levels));
        let together = now.fell.max(first.fell) > TOGETHER.0;
        if !together || each < FALL.0 || was.min(at_last) - after < FALL.1 {
            return None;
        }
        let risen = self.risen.filter(|(when, _)| now.at.since(*when) < RISEN);
        if risen.is_some_and(|(_, from)| after > mean(&from, of) - BACK) {
            return None;
        }
        let since = if at_last - at_first > at_first - after { first.at } else { now.at };
        Some(Loss { since, before: was, after, of, elsewhere: false })
    }

    /// Medians of the pictures before the last two.
    fn before(&self) -> Levels {
        std::array::from_fn(|level| {
            let before = self.pictures.iter().take(PICTURES).map(|picture| picture.levels[level]);
            let mut sorted: heapless::Vec<f64, PICTURES> = before.collect();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted[PICTURES / 2]
        })
    }

    fn say(&self, full: bool) -> Observation {
        let Some(loss) = self.lost else {
            let presence = if full { Presence::Absent } else { Presence::Unclear };
            return Observation { presence, since: self.ended, ..Observation::of(Defect::Blur) };
        };
        let fall = loss.before - loss.after;
        Observation {
            presence: if full { Presence::Present } else { Presence::Unclear },
            since: Some(loss.since),
            severity: if fall > STRONG { Severity::Major } else { Severity::Minor },
            value: (1.0 - (-fall).exp()) * 100.0,
            threshold: (1.0 - (-FALL.1).exp()) * 100.0,
            unit: "%",
            phrase: "sharpness is lost all over the picture",
            ..Observation::of(Defect::Blur)
        }
    }
}

fn mean(levels: &Levels, of: [usize; 6]) -> f64 {
    of.iter().map(|&n| levels[n]).sum::<f64>() / of.len() as f64
}

/// The levels that count in a picture of this texture.
fn shares(texture: &Texture) -> Option<[usize; 6]> {
    let least = |n: usize| texture.across[n].min(texture.down[n]);
    if least(0) > TEXTURED.0 { Some(DENSE) } else { (least(2) > TEXTURED.1).then_some(SPARSE) }
}

fn levels(texture: &Texture) -> Levels {
    // What is added keeps rounding of smooth cells out, and contrast of flat pictures.
    let level = |value: f64| ((value + 0.3) / texture.spread.max(2.0)).ln();
    let n = texture.across.len();
    std::array::from_fn(|level_of| {
        level(if level_of < n { texture.across[level_of] } else { texture.down[level_of - n] })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer, at};

    /// The last word on grass of so much growth in each picture.
    fn watch(pictures: usize, growth: impl Fn(usize) -> f64) -> Observation {
        watch_pictures(pictures, |n| Picture::grass(n as f64, growth(n)))
    }

    fn watch_pictures(pictures: usize, picture: impl Fn(usize) -> Picture) -> Observation {
        let (mut analyzer, mut blur) = (analyzer(), Blur::default());
        let said = (0..pictures).map(|n| blur.observe(analyzer.analyze(picture(n).frame(n))));
        said.last().expect("at least one picture")
    }

    #[test]
    fn texture_that_is_lost_at_once_is_blur_until_it_comes_back() {
        let said = watch(80, |n| if n < 30 { 30.0 } else { 6.0 });
        assert_eq!((said.presence, said.since, said.severity), (Presence::Present, Some(at(30)), Severity::Major));
        let said = watch(80, |n| if n < 30 { 30.0 } else { 17.0 });
        assert_eq!((said.presence, said.severity), (Presence::Present, Severity::Minor));
        let said = watch(80, |n| if (30..60).contains(&n) { 6.0 } else { 30.0 });
        assert_eq!((said.presence, said.since), (Presence::Absent, Some(at(60))));
    }

    #[test]
    fn a_focus_pull_and_a_soft_scene_are_none() {
        assert_eq!(watch(90, |n| 30.0 - 24.0 * (n as f64 / 40.0).min(1.0)).presence, Presence::Absent);
        let soft = |n: usize| {
            if n < 30 { Picture::slate().mix(&Picture::grass(0.0, 40.0), 0.5) } else { Picture::hills(n as f64) }
        };
        assert_eq!(watch_pictures(60, soft).presence, Presence::Absent);
    }

    #[test]
    fn the_end_of_noise_is_none() {
        let noisy = |n: usize| {
            let sigma = if (30..60).contains(&n) { 12.0 } else { 0.0 };
            Picture::grass(n as f64, 12.0).noise(sigma, n as u64)
        };
        assert_eq!(watch_pictures(90, noisy).presence, Presence::Absent);
    }

    #[test]
    fn a_part_that_is_soft_is_none() {
        let part = |n: usize| {
            let soft = Picture::grass(n as f64, 6.0);
            let sharp = Picture::grass(n as f64, 30.0);
            if n < 30 { sharp } else { sharp.below(110, &soft) }
        };
        assert_eq!(watch_pictures(60, part).presence, Presence::Absent);
    }
}
