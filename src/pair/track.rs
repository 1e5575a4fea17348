//! What is remembered of one source: its picture and sound on even grids, and its pictures as they came.

use super::block::{Block, CELLS, PicturePrint, SLICES};
use crate::time::MediaTime;
use std::collections::VecDeque;

/// Places of the picture's grid, ns: fine enough for a hundredth of a second after interpolation.
pub const PICTURE_STEP: i64 = 10_000_000;
/// Places of the sound's grid, ns.
pub const SOUND_STEP: i64 = 4_000_000;
/// A longer gap is no part of what is compared, ns.
const GAP: i64 = 500_000_000;
/// A block this far back begins another axis, ns.
const BACK: i64 = 3_000_000_000;
/// Blocks of which the least epoch counts: packets wait, they never hurry.
const EPOCHS: usize = 10;

/// Values on an even grid.
#[derive(Clone, Debug)]
pub struct Grid<T> {
    /// Most places.
    kept: i64,
    /// Number of the first place that is kept.
    first: i64,
    values: VecDeque<T>,
}

impl<T: Copy> Grid<T> {
    fn new(step: i64, kept: i64) -> Self {
        let kept = kept / step;
        Self { kept, first: 0, values: VecDeque::with_capacity(kept as usize) }
    }

    /// The first place that is kept and the one after the last.
    pub fn range(&self) -> std::ops::Range<i64> {
        self.first..self.first + self.values.len() as i64
    }

    /// The value of place `at`.
    pub fn get(&self, at: i64) -> Option<&T> {
        self.values.get(usize::try_from(at - self.first).ok()?)
    }

    /// All values of `places`, side by side.
    pub fn slice(&mut self, places: std::ops::Range<i64>) -> Option<&[T]> {
        let from = usize::try_from(places.start - self.first).ok()?;
        let to = usize::try_from(places.end - self.first).ok()?;
        self.values.make_contiguous().get(from..to)
    }

    fn restart(&mut self, at: i64) {
        self.values.clear();
        self.first = at;
    }

    fn push(&mut self, value: T) {
        if self.values.len() as i64 >= self.kept {
            self.values.pop_front();
            self.first += 1;
        }
        self.values.push_back(value);
    }
}

/// The last while of one source.
#[derive(Clone, Debug)]
pub struct Track {
    /// Cells of the picture, code values, interpolated between pictures.
    pub cells: Grid<[f32; CELLS]>,
    /// Level of the sound, dB above -100 dBFS.
    pub sound: Grid<f32>,
    /// Pictures as they came.
    pub pictures: VecDeque<PicturePrint>,
    /// Width of the picture, and mean steps, of the last seconds, newest last: place, steps.
    pub textures: VecDeque<(MediaTime, [u8; CELLS])>,
    /// Of the last picture.
    pub width: u16,
    epochs: VecDeque<i64>,
    /// What is remembered, ns.
    kept: i64,
}

impl Track {
    /// Remembers `kept` ns.
    pub fn new(kept: i64) -> Self {
        Self {
            cells: Grid::new(PICTURE_STEP, kept),
            sound: Grid::new(SOUND_STEP, kept),
            pictures: VecDeque::new(),
            textures: VecDeque::new(),
            width: 0,
            epochs: VecDeque::new(),
            kept,
        }
    }

    /// Takes a block that follows the one before.
    pub fn take(&mut self, block: &Block) {
        // The source's axis began anew.
        if self.until().0.saturating_sub(block.at.0) > BACK {
            *self = Self::new(self.kept);
        }
        if self.epochs.len() == EPOCHS {
            self.epochs.pop_front();
        }
        self.epochs.push_back(block.epoch);
        // Of a second of sound alone none is known.
        if !block.pictures.is_empty() {
            self.width = block.width;
        }
        if block.texture != [0; CELLS] {
            self.textures.push_back((block.at, block.texture));
        }
        for picture in &block.pictures {
            self.picture(picture);
        }
        for sound in &block.sounds {
            self.sound(sound.at, &sound.levels);
        }
        let oldest = MediaTime(self.until().0.saturating_sub(self.kept));
        while self.textures.front().is_some_and(|(at, _)| *at < oldest) {
            self.textures.pop_front();
        }
    }

    /// Arrival less place, ns.
    pub fn epoch(&self) -> i64 {
        self.epochs.iter().copied().min().unwrap_or(0)
    }

    /// Place of the last picture.
    pub fn until(&self) -> MediaTime {
        self.pictures.back().map_or(MediaTime(0), |picture| picture.at)
    }

    /// Usual time from picture to picture, ns.
    pub fn picture_step(&self) -> i64 {
        let last = self.pictures.iter().rev().take(26).map(|picture| picture.at.0);
        let mut steps: Vec<i64> = last.clone().zip(last.skip(1)).map(|(late, early)| late - early).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(0)
    }

    fn picture(&mut self, picture: &PicturePrint) {
        let at = picture.at.0;
        let before = self.pictures.back().copied().filter(|before| (1..=GAP).contains(&(at - before.at.0)));
        match before {
            None => {
                self.cells.restart(at.div_euclid(PICTURE_STEP) + 1);
                self.pictures.clear();
            }
            Some(before) => {
                let span = (at - before.at.0) as f32;
                while self.cells.range().end * PICTURE_STEP <= at {
                    let share = (self.cells.range().end * PICTURE_STEP - before.at.0) as f32 / span;
                    let mix = |cell: usize| {
                        let (from, to) = (f32::from(before.cells[cell]), f32::from(picture.cells[cell]));
                        (from + share * (to - from)) / 64.0
                    };
                    self.cells.push(std::array::from_fn(mix));
                }
            }
        }
        self.pictures.push_back(*picture);
        while self.pictures.front().is_some_and(|first| at - first.at.0 > self.kept) {
            self.pictures.pop_front();
        }
    }

    /// The grid of the sound hangs on its own stamps: what lies between its places is interpolated.
    fn sound(&mut self, at: MediaTime, levels: &[u8; SLICES]) {
        let level = |n: usize| f32::from(levels[n.min(SLICES - 1)]) * 0.4;
        let end = at.0 + SLICES as i64 * SOUND_STEP;
        let next = self.sound.range().end * SOUND_STEP;
        if self.sound.range().is_empty() || (at.0 - next).abs() > 30_000_000 {
            self.sound.restart(at.0.div_euclid(SOUND_STEP) + 1);
        }
        // A few milliseconds between blocks are jitter of their stamps.
        while self.sound.range().end * SOUND_STEP < end {
            let place = ((self.sound.range().end * SOUND_STEP - at.0).max(0) as f32) / SOUND_STEP as f32;
            let (n, share) = (place as usize, place.fract());
            self.sound.push(level(n) + share * (level(n + 1) - level(n)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::block;
    use super::*;

    const KEPT: i64 = 45_000_000_000;

    #[test]
    fn pictures_and_sound_lie_on_even_grids() {
        let mut track = Track::new(KEPT);
        track.take(&block());
        assert_eq!(track.cells.range(), 701..797);
        // 7.010 s lies a quarter of the way from the first picture to the second.
        let cell = track.cells.get(701).expect("kept")[3];
        assert!((cell - 25.0 / 64.0).abs() < 1e-3, "{cell}");
        assert_eq!(track.sound.range().start, 1748);
        assert_eq!(track.sound.get(1748 + 26), Some(&0.4));
        assert_eq!((track.epoch(), track.picture_step(), track.width), (-5, 40_000_000, 1920));
    }

    #[test]
    fn memory_is_bounded_and_gaps_start_anew() {
        let mut track = Track::new(KEPT);
        for second in 0..100 {
            let mut next = block();
            let shift = |at: MediaTime| MediaTime(at.0 + second * 1_000_000_000);
            next.pictures.iter_mut().for_each(|picture| picture.at = shift(picture.at));
            next.sounds.iter_mut().for_each(|sound| sound.at = shift(sound.at));
            next.at = shift(next.at);
            track.take(&next);
        }
        assert_eq!(track.cells.range().count() as i64, KEPT / PICTURE_STEP);
        assert_eq!(track.sound.range().count() as i64, KEPT / SOUND_STEP);
        assert!(track.pictures.len() < 46 * 25 && track.textures.len() < 50);
        let mut later = block();
        later.pictures.iter_mut().for_each(|picture| picture.at = MediaTime(picture.at.0 + 200_000_000_000));
        track.take(&later);
        assert_eq!((track.pictures.len(), track.cells.range().start), (25, 20701));
    }
}
