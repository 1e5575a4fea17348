//! Flashes: part of the picture, or all of it, lights up from one picture to the next and is what it was soon after.

use crate::features::VideoFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// A tile lights up by this many code values.
const STEP: f32 = 40.0;
/// So many of the tiles do, as a share: a lamp of a tenth of the picture's width and twice as high.
const SHARE_MIN: f32 = 0.015;
/// Tiles that go dark meanwhile, as a share of these: what moves makes as many darker as brighter.
const DARKER: f32 = 0.15;
/// It is over within this time; what stays is a cut or a lamp that was switched on.
const LASTS_MAX: Duration = Duration::from_millis(500);
/// Share of the lit tiles that must come back, and how near, as a share of their step.
const BACK: f32 = 0.8;
const BACK_BY: f32 = 0.35;
/// The rest of the picture is the same as before, code values: motion goes on.
const REST: f32 = 10.0;
/// A flash that is that much larger takes the place of one that is not over.
const LARGER: f32 = 1.5;

/// A flash that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flash {
    /// When its first picture is shown.
    pub at: MediaTime,
    /// Time between two pictures then.
    pub step: Duration,
    /// Share of the picture, 0 to 1.
    pub share: f32,
    /// How long it lasted.
    pub lasted: Duration,
}

/// Finds flashes.
#[derive(Clone, Debug, Default)]
pub struct Flashes {
    last: Vec<f32>,
    last_at: Option<MediaTime>,
    /// The picture before the flash.
    before: Vec<f32>,
    /// Steps of the tiles that lit up; 0 of others.
    lit: Vec<f32>,
    /// A flash that is not over.
    rise: Option<Flash>,
}

impl Flashes {
    /// Takes a picture; the flash that is over with it.
    pub fn take(&mut self, features: &VideoFeatures) -> Option<Flash> {
        let (luma, at) = (&features.coarse.luma, features.stamp.at);
        if features.first || features.left_out || luma.len() != self.last.len() {
            for tiles in [&mut self.last, &mut self.before, &mut self.lit] {
                tiles.resize(luma.len(), 0.0);
            }
            self.last.copy_from_slice(luma);
            (self.last_at, self.rise) = (Some(at), None);
            return None;
        }
        let over = self.rise.filter(|_| self.is_back(luma));
        if over.is_some() || self.rise.is_some_and(|rise| at.since(rise.at) > LASTS_MAX) {
            self.rise = None;
        }
        if over.is_none() {
            self.light_up(luma, at);
        }
        self.last.copy_from_slice(luma);
        self.last_at = Some(at);
        over.map(|flash| Flash { lasted: at.since(flash.at), ..flash })
    }

    /// All flashes that began before this are known.
    pub fn known_until(&self) -> Option<MediaTime> {
        match self.rise {
            Some(rise) => Some(rise.at.minus(Duration::from_millis(1))),
            None => self.last_at,
        }
    }

    fn light_up(&mut self, luma: &[f32], at: MediaTime) {
        let (mut up, mut down) = (0_u32, 0_u32);
        for (now, last) in luma.iter().zip(&self.last) {
            up += u32::from(now - last >= STEP);
            down += u32::from(last - now >= STEP);
        }
        let share = up as f32 / luma.len().max(1) as f32;
        let larger = self.rise.is_none_or(|rise| share > LARGER * rise.share);
        if share < SHARE_MIN || down as f32 > DARKER * up as f32 || !larger {
            return;
        }
        self.before.copy_from_slice(&self.last);
        for ((lit, now), last) in self.lit.iter_mut().zip(luma).zip(&self.last) {
            *lit = if now - last >= STEP { now - last } else { 0.0 };
        }
        let step = self.last_at.map_or(Duration::ZERO, |last| at.since(last));
        self.rise = Some(Flash { at, step, share, lasted: Duration::ZERO });
    }

    /// Whether `luma` is again what was before the flash.
    fn is_back(&self, luma: &[f32]) -> bool {
        let (mut lit, mut back, mut rest, mut moved) = (0_u32, 0_u32, 0_u32, 0.0_f32);
        for ((now, before), step) in luma.iter().zip(&self.before).zip(&self.lit) {
            if *step > 0.0 {
                lit += 1;
                back += u32::from(now - before <= BACK_BY * step);
            } else {
                rest += 1;
                moved += (now - before).abs();
            }
        }
        back as f32 >= BACK * lit as f32 && moved <= REST * rest as f32
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Picture, analyzer, at};
    use super::*;

    fn found(pictures: impl Iterator<Item = Picture>) -> Vec<(MediaTime, Duration)> {
        let (mut analyzer, mut flashes) = (analyzer(), Flashes::default());
        let take = |(n, picture): (usize, Picture)| flashes.take(analyzer.analyze(picture.frame(n)));
        pictures.enumerate().filter_map(take).map(|flash| (flash.at, flash.lasted)).collect()
    }

    #[test]
    fn a_lit_rectangle_and_a_white_picture_are_flashes() {
        let square = |x: usize, y: usize| (100..200).contains(&x) && (60..120).contains(&y);
        let lit = |n: usize| Picture::hills(n as f64).over(|x, y| (n / 2 == 5 && square(x, y)).then_some(235.0));
        assert_eq!(found((0..40).map(lit)), [(at(10), Duration::from_millis(80))]);
        let white = |n: usize| Picture::new(|_, _| if n == 10 { 235.0 } else { 16.0 });
        assert_eq!(found((0..40).map(white)), [(at(10), Duration::from_millis(40))]);
    }

    #[test]
    fn cuts_motion_and_lamps_are_none() {
        let cut = |n: usize| if n < 10 { Picture::hills(0.0) } else { Picture::slate() };
        assert_eq!(found((0..40).map(cut)), []);
        // Two cuts, back to another moment of a scene that went on; a lamp that stays on; fast motion.
        let shot = |n: usize| if (10..14).contains(&n) { Picture::slate() } else { Picture::hills(9.0 * n as f64) };
        assert_eq!(found((0..40).map(shot)), []);
        assert_eq!(found((0..40).map(|n| Picture::new(|_, _| if n < 10 { 60.0 } else { 180.0 }))), []);
        assert_eq!(found((0..40).map(|n| Picture::hills(11.0 * n as f64))), []);
    }
}
