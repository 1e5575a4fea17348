//! Sharpness lost against the source's own past.
//!
//! There is no absolute measure of what is too soft: fog, portraits and focus are chosen. But when all that had texture
//! loses it at once while the scene itself, seen in tiles, goes on unchanged, something behind the camera softens it: a
//! scaler, a filter, a wrong format. A change of focus takes longer and leaves or sharpens something.

use super::past::{Measure, Moment, Past};
use super::{Defect, Observation, Presence, Severity};
use crate::features::{Coarse, Depth, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// A tile has texture when samples side by side differ by this much on average, code values.
const TEXTURED: f32 = 2.0;
/// The most textured share of the tiles is judged: contours, which coders keep while they drop grain.
const TEXTURED_SHARE: f64 = 0.12;
/// Of the texture of half of these tiles at most this is left, ...
const LEFT: f32 = 0.62;
/// ... and of three quarters of them at most this.
const LEFT_MOST: f32 = 0.8;
/// All other tiles together lost texture too, as titles that go do not make them: at most this is left of it.
const LEFT_ELSEWHERE: f64 = 0.8;
/// So long after damage the picture may be anything.
const DAMAGED: Duration = Duration::from_secs(1);
/// The scene in tiles correlates this much with what it was, and varies as much but for this share: blur changes
/// nothing of it, motion and fades do.
const SAME: f64 = 0.9;
const VARIES: f64 = 0.2;
/// Texture that strayed by more than this share shortly before was a coder's, or damage.
const STEADY: f64 = 0.2;
/// Share of the former texture from which it is back.
const BACK: f64 = 0.85;
/// Texture that comes back at once in the same scene by this share of what was lost is that, whatever the scene had.
const REGAINED: f64 = 0.6;
/// From another scene nothing can be learned but for so long: then it is taken as it is.
const OTHER_SCENE: Duration = Duration::from_secs(5);
/// Texture is lost from one picture to the next, or the one behind it: in a dissolve of half a second, which goes through
/// pictures that are like each other, a third of it goes in this time.
const AT_ONCE: Duration = Duration::from_millis(170);
/// Severe when less than this share is left.
const SEVERE: f32 = 0.45;

/// Follows the sharpness of one source.
#[derive(Clone, Debug, Default)]
pub struct Blur {
    lost: Option<Lost>,
    good_since: Option<MediaTime>,
    damaged_at: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    since: MediaTime,
    /// Mean step of the scene before, code values.
    before: f64,
    /// Of that, what was lost.
    by: f64,
    /// Share of the texture that was left.
    left: f32,
    /// When the scene changed.
    other_scene: Option<MediaTime>,
}

impl Blur {
    /// Looks at one picture; `past` are those before it, `damaged` whether blocks of it are: damage has no texture.
    pub(super) fn observe(&mut self, features: &VideoFeatures, past: &Past, damaged: bool) -> Observation {
        let at = features.stamp.at;
        if damaged {
            self.damaged_at = Some(at);
            self.lost = self.lost.filter(|lost| at.since(lost.since) > DAMAGED);
        }
        let damaged = self.damaged_at.is_some_and(|damaged_at| at.since(damaged_at) <= DAMAGED);
        if features.depth == Depth::Light {
            return self.say(Presence::Unclear);
        }
        match &mut self.lost {
            None if damaged => {}
            None => {
                let near = |before: &&Moment| at.since(before.at) <= AT_ONCE;
                let lost = past.recent(features).filter(near).find_map(|before| {
                    let lost = lost(before, features)?;
                    past.was_steady(before, Measure::Steps, STEADY * lost.before).then_some(lost)
                });
                self.lost = lost;
            }
            Some(lost) => {
                if features.cut {
                    lost.other_scene.get_or_insert(at);
                }
                let now = mean(&features.coarse.steps);
                let back = match lost.other_scene {
                    None => now >= BACK * lost.before,
                    Some(since) => at.since(since) >= OTHER_SCENE || now >= lost.before,
                };
                let regained = |before: &Moment| {
                    at.since(before.at) <= AT_ONCE
                        && now >= before.steps_mean + REGAINED * lost.by
                        && is_unchanged(before, &features.coarse)
                };
                if back || past.recent(features).any(regained) {
                    self.lost = None;
                    self.good_since = Some(at);
                }
            }
        }
        self.say(if self.lost.is_some() { Presence::Present } else { Presence::Absent })
    }

    fn say(&self, presence: Presence) -> Observation {
        let left = self.lost.map_or(1.0, |lost| lost.left);
        Observation {
            presence,
            since: self.lost.map(|lost| lost.since).or(self.good_since),
            severity: if left < SEVERE { Severity::Major } else { Severity::Minor },
            value: f64::from(left) * 100.0,
            threshold: f64::from(LEFT) * 100.0,
            unit: "%",
            phrase: "picture has lost its sharpness",
            ..Observation::of(Defect::Blur)
        }
    }
}

/// Whether what had texture in `before` lost it, and nothing else changed.
fn lost(before: &Moment, features: &VideoFeatures) -> Option<Lost> {
    let coarse = &features.coarse;
    if before.steps.is_empty() {
        return None;
    }
    // Cheap first: nearly always the texture is what it was.
    let (was, is) = (before.steps_mean, mean(&coarse.steps));
    if is > 0.95 * was {
        return None;
    }
    let count = (TEXTURED_SHARE * coarse.len() as f64) as usize;
    let mut ratios: heapless::Vec<f32, { Coarse::TILES_MAX }> = before.steps.iter().copied().collect();
    let limit = *ratios.select_nth_unstable_by(coarse.len() - count.max(1), f32::total_cmp).1;
    if limit < TEXTURED {
        return None;
    }
    ratios.clear();
    let tiles = before.steps.iter().zip(&coarse.steps).filter(|(was, _)| **was >= limit);
    ratios.extend(tiles.map(|(was, now)| now / was));
    let count = ratios.len();
    let mut at = |rank: usize| *ratios.select_nth_unstable_by(rank, f32::total_cmp).1;
    let (left, most) = (at(count / 2), at(count * 3 / 4));
    let elsewhere = |(was, now): (&f32, &f32)| if *was < limit { [f64::from(*was), f64::from(*now)] } else { [0.0; 2] };
    let [was_there, is_there] =
        before.steps.iter().zip(&coarse.steps).map(elsewhere).fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
    let softer = left <= LEFT && most <= LEFT_MOST && is_there <= LEFT_ELSEWHERE * was_there;
    (softer && is_unchanged(before, coarse)).then_some(Lost {
        since: features.stamp.at,
        before: was,
        by: was - is,
        left,
        other_scene: None,
    })
}

fn is_unchanged(before: &Moment, coarse: &Coarse) -> bool {
    let (was, is) = (Coarse::deviation_of(&before.luma), coarse.deviation());
    before.alike(coarse) >= SAME && (is / was.max(0.1) - 1.0).abs() <= VARIES
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{self, Picture, at, present};

    /// Hills with fine texture of `amplitude`, moving.
    fn scene(n: usize, amplitude: f64) -> Picture {
        let textured = move |x: usize, y: usize| {
            let at = (x as f64 + n as f64, y as f64);
            120.0
                + 60.0 * (at.0 / 70.0).sin() * (at.1 / 50.0).cos()
                + amplitude * (at.0 * 1.3).sin() * (at.1 * 1.1).sin()
        };
        Picture::new(textured)
    }

    fn told(pictures: usize, picture: impl Fn(usize) -> Picture) -> Vec<Observation> {
        let mut detector = Blur::default();
        testing::told((0..pictures).map(picture), |features, past| detector.observe(features, past, false))
    }

    #[test]
    fn texture_that_goes_at_once_is_told_until_it_is_back() {
        let said = told(60, |n| scene(n, if (20..45).contains(&n) { 4.0 } else { 12.0 }));
        assert_eq!(present(&said), (20..45).collect::<Vec<_>>());
        assert_eq!((said[30].since, said[30].severity), (Some(at(20)), Severity::Major));
    }

    #[test]
    fn texture_regained_at_once_is_the_end_whatever_the_scene_had() {
        // The scene had 12 before, and goes on with 9.5.
        let said = told(60, |n| scene(n, [12.0, 4.0, 9.5][usize::from(n >= 20) + usize::from(n >= 45)]));
        assert_eq!(present(&said), (20..45).collect::<Vec<_>>());
    }

    #[test]
    fn slow_changes_part_of_the_picture_and_another_scene_are_meant() {
        assert!(present(&told(80, |n| scene(n, 12.0 * 0.97_f64.powi(n as i32)))).is_empty(), "a change of focus");
        let part = |n: usize| {
            let soft = scene(n, 3.0);
            if n < 20 { scene(n, 12.0) } else { scene(n, 12.0).over(move |x, y| (x > 200).then(|| soft.luma_at(x, y))) }
        };
        assert!(present(&told(60, part)).is_empty());
        let cut = |n: usize| if n < 20 { scene(n, 12.0) } else { Picture::hills(n as f64) };
        assert!(present(&told(60, cut)).is_empty());
        let fade = |n: usize| scene(n, 12.0).level(move |luma| 16.0 + (luma - 16.0) * 0.9_f64.powi(n as i32));
        assert!(present(&told(60, fade)).is_empty());
    }
}
