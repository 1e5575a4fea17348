//! Sharpness that is lost from one picture to the next, all over the picture, while the scene stays what it is.
//!
//! Never an absolute measure: what is soft by intent, by lens or by a low rate is so from its first picture. A lost
//! focus of the whole chain takes the same share from the texture of all cells, in both directions, within two
//! pictures, and leaves the cell means as they are. A focus pull and a dissolve take longer, a whip pan blurs in one
//! direction and moves the means, a fade takes the contrast of the means too, a cut changes them.

use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, Texture, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// Texture of so many shares of the cells, in two directions.
const LEVELS: usize = 6;
/// Logarithms of texture over contrast.
type Levels = [f64; LEVELS];
/// Pictures that "before" is the median of, and the two across which sharpness is lost.
const PICTURES: usize = 5;
const KEPT: usize = PICTURES + 2;
/// Fall of each level, and of all on average: pictures of clean programme fall by up to 0.2 within two pictures, by a
/// key picture, a turn of the camera or the end of a grainy shot; Gaussian blur of sigma 2 takes 0.3 to 1.
const FALL: (f64, f64) = (0.22, 0.27);
/// Cell means that correlate less than this with those of the picture before are another scene or a whip pan.
const ALIKE: f64 = 0.85;
/// Another scene for certain.
const CUT: f64 = 0.6;
/// Median texture of the cells, in code values: a picture with less is mostly graphics and void.
const TEXTURED: f64 = 0.5;
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

/// A loss of sharpness.
#[derive(Clone, Copy, Debug)]
struct Loss {
    since: MediaTime,
    /// Mean level before, and just after.
    before: f64,
    after: f64,
    /// Another scene has come since.
    elsewhere: bool,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct Blur {
    pictures: heapless::Deque<(MediaTime, Levels), KEPT>,
    /// Mean level that the source usually has.
    usual: Option<f64>,
    /// When all texture rose last, and where it rose from.
    risen: Option<(MediaTime, f64)>,
    lost: Option<Loss>,
    ended: Option<MediaTime>,
    last: MediaTime,
}

impl Blur {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first {
            *self = Self { last: at, ..Self::default() };
            return Observation::of(Defect::Blur);
        }
        if features.depth == Depth::Light {
            return self.say(false);
        }
        let passed = at.since(std::mem::replace(&mut self.last, at));
        let now = levels(&features.texture);
        if features.alike_in_full < ALIKE {
            self.pictures.clear();
        }
        if self.pictures.is_full() {
            self.pictures.pop_front();
        }
        let _ = self.pictures.push_back((at, now));
        self.follow(at, features, mean(&now));
        if self.lost.is_none() {
            let usual = self.usual.get_or_insert(mean(&now));
            *usual += (mean(&now) - *usual) * (passed.as_secs_f64() / USUAL.as_secs_f64()).min(1.0);
        }
        self.say(true)
    }

    fn follow(&mut self, at: MediaTime, features: &VideoFeatures, now: f64) {
        let Some(mut loss) = self.lost else {
            self.lost = self.fall(at).filter(|_| is_textured(&features.texture));
            return;
        };
        loss.elsewhere |= features.alike_in_full < CUT;
        let limit = if loss.elsewhere {
            self.usual.map_or(loss.before, |usual| usual - BELOW)
        } else {
            loss.after + REGAINED * (loss.before - loss.after)
        };
        self.lost = Some(loss);
        if now > limit {
            (self.lost, self.ended) = (None, Some(at));
            self.pictures.clear();
        }
    }

    /// Whether all levels have just fallen.
    fn fall(&mut self, at: MediaTime) -> Option<Loss> {
        if !self.pictures.is_full() {
            return None;
        }
        let picture = |n: usize| self.pictures.iter().nth(n).copied().unwrap_or_default();
        let before: Levels = std::array::from_fn(|level| {
            let mut of: heapless::Vec<f64, KEPT> = self.pictures.iter().take(PICTURES).map(|(_, l)| l[level]).collect();
            of.sort_unstable_by(f64::total_cmp);
            of[PICTURES / 2]
        });
        let (last, (first_at, first), (_, now)) = (picture(PICTURES - 1).1, picture(PICTURES), picture(PICTURES + 1));
        let fall = |from: &Levels| (0..LEVELS).map(|n| from[n] - now[n]).fold(f64::INFINITY, f64::min);
        let rise = |from: &Levels| (0..LEVELS).map(|n| now[n] - from[n]).fold(f64::INFINITY, f64::min);
        if rise(&before).min(rise(&last)) > FALL.0 {
            self.risen = Some((at, mean(&before)));
        }
        let fallen = mean(&before).min(mean(&last)) - mean(&now);
        if fall(&before).min(fall(&last)) < FALL.0 || fallen < FALL.1 {
            return None;
        }
        let risen = self.risen.filter(|(when, _)| at.since(*when) < RISEN);
        if risen.is_some_and(|(_, from)| mean(&now) > from - BACK) {
            return None;
        }
        let since = if mean(&last) - mean(&first) > mean(&first) - mean(&now) { first_at } else { at };
        Some(Loss { since, before: mean(&before), after: mean(&now), elsewhere: false })
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

fn mean(levels: &Levels) -> f64 {
    levels.iter().sum::<f64>() / LEVELS as f64
}

fn is_textured(texture: &Texture) -> bool {
    texture.across[0].min(texture.down[0]) > TEXTURED
}

fn levels(texture: &Texture) -> Levels {
    // What is added keeps rounding of smooth cells out, and contrast of flat pictures.
    let level = |value: f64| ((value + 0.3) / texture.spread.max(2.0)).ln();
    let (across, down) = (&texture.across, &texture.down);
    [across[1], across[2], across[3], down[1], down[2], down[3]].map(level)
}
