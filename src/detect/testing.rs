//! Small made-up pictures for the tests of detectors: 320 x 192, 25 a second, without chance.

use super::past::Past;
use super::{Observation, Presence};
use crate::features::{AudioFeatures, ChannelLevel, VideoAnalyzer, VideoFeatures};
use crate::frame::{FieldOrder, Frame, OwnedSamples, PictureInfo};
use crate::kernels::Kernels;
use crate::time::{MediaTime, Stamp};

const WIDTH: usize = 320;
const HEIGHT: usize = 192;

/// A picture to be analysed.
#[derive(Clone, Debug)]
pub struct Picture {
    luma: Vec<f64>,
    cb: Vec<u8>,
    cr: Vec<u8>,
    field_order: FieldOrder,
}

/// Analyses them.
pub fn analyzer() -> VideoAnalyzer {
    VideoAnalyzer::new(Kernels::detect())
}

/// What a detector that looks back says of each of `pictures`.
pub fn told(
    pictures: impl Iterator<Item = Picture>,
    mut observe: impl FnMut(&VideoFeatures, &Past) -> Observation,
) -> Vec<Observation> {
    let (mut analyzer, mut past, mut said) = (analyzer(), Past::default(), Vec::new());
    for (n, picture) in pictures.enumerate() {
        let features = analyzer.analyze(picture.frame(n));
        said.push(observe(features, &past));
        past.note(features);
    }
    said
}

/// Numbers of the pictures in which the defect is there.
pub fn present(said: &[Observation]) -> Vec<usize> {
    (0..said.len()).filter(|&n| said[n].presence == Presence::Present).collect()
}

/// When picture `n` is shown.
pub fn at(n: usize) -> MediaTime {
    MediaTime(n as i64 * 40_000_000)
}

impl Picture {
    /// Grey, by column and row.
    pub fn new(luma: impl Fn(usize, usize) -> f64) -> Self {
        let luma = (0..WIDTH * HEIGHT).map(|n| luma(n % WIDTH, n / WIDTH)).collect();
        Self {
            luma,
            cb: vec![128; WIDTH * HEIGHT / 4],
            cr: vec![128; WIDTH * HEIGHT / 4],
            field_order: FieldOrder::Progressive,
        }
    }

    /// A hilly picture, seen `shift` samples further to the right.
    pub fn hills(shift: f64) -> Self {
        Self::new(|x, y| {
            let (x, y) = (x as f64 + shift, y as f64);
            120.0 + 50.0 * (x / 17.0 + 2.0 * (y / 23.0).sin()).sin() + 30.0 * ((x + 2.0 * y) / 11.0).sin()
        })
    }

    /// With every other row of `other`, from the second on.
    pub fn weave(mut self, other: &Self) -> Self {
        for (row, to) in self.luma.chunks_mut(WIDTH).zip(other.luma.chunks(WIDTH)).skip(1).step_by(2) {
            row.copy_from_slice(to);
        }
        self
    }

    /// With `other` from row `row` on.
    pub fn below(mut self, row: usize, other: &Self) -> Self {
        self.luma[row * WIDTH..].copy_from_slice(&other.luma[row * WIDTH..]);
        self
    }

    /// Flagged as interlaced.
    pub fn flagged(mut self, field_order: FieldOrder) -> Self {
        self.field_order = field_order;
        self
    }

    /// Another picture, which has nothing in common with the hills.
    pub fn slate() -> Self {
        Self::new(|x, y| if (x / 50 + y / 30) % 2 == 0 { 200.0 } else { 60.0 })
    }

    /// Luma at a place.
    pub fn luma_at(&self, x: usize, y: usize) -> f64 {
        self.luma[y * WIDTH + x]
    }

    /// With `luma` in place of what it shows where that is `Some`.
    pub fn over(mut self, luma: impl Fn(usize, usize) -> Option<f64>) -> Self {
        for (n, sample) in self.luma.iter_mut().enumerate() {
            *sample = luma(n % WIDTH, n / WIDTH).unwrap_or(*sample);
        }
        self
    }

    /// Each sample through `level`.
    pub fn level(mut self, level: impl Fn(f64) -> f64) -> Self {
        self.luma.iter_mut().for_each(|sample| *sample = level(*sample));
        self
    }

    /// `share` of `other` mixed in.
    pub fn mix(mut self, other: &Self, share: f64) -> Self {
        for (sample, &to) in self.luma.iter_mut().zip(&other.luma) {
            *sample += share * (to - *sample);
        }
        self
    }

    /// With nearly normal noise (the sum of four even ones), another for each `seed`.
    pub fn noise(mut self, sigma: f64, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut even = || {
            // xorshift64*
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        for sample in &mut self.luma {
            // An even number from -0.5 to 0.5 has a variance of 1/12.
            *sample += sigma * 3.0_f64.sqrt() * (even() + even() + even() + even());
        }
        self
    }

    /// Of one colour.
    pub fn chroma(self, cb: u8, cr: u8) -> Self {
        self.colours(|_, _| (cb, cr))
    }

    /// Cb and Cr by column and row of luma.
    pub fn colours(mut self, chroma: impl Fn(usize, usize) -> (u8, u8)) -> Self {
        for (n, (cb, cr)) in self.cb.iter_mut().zip(&mut self.cr).enumerate() {
            (*cb, *cr) = chroma(n % (WIDTH / 2) * 2, n / (WIDTH / 2) * 2);
        }
        self
    }

    /// As the `n`-th picture of a source.
    pub fn frame(&self, n: usize) -> Frame {
        let luma = self.luma.iter().map(|&sample| sample.round().clamp(0.0, 255.0) as u8).collect();
        let info = PictureInfo { field_order: self.field_order, ..PictureInfo::yuv420(WIDTH, HEIGHT) };
        let samples = OwnedSamples::yuv420(WIDTH, HEIGHT, luma, self.cb.clone(), self.cr.clone());
        Frame::new(Stamp { at: at(n), ..Stamp::default() }, info, Box::new(samples)).expect("planes fit")
    }
}

/// Block `n` of sound whose channels have these levels, dBFS.
pub fn sound(n: i64, levels: &[f64]) -> AudioFeatures {
    let start = MediaTime(n * 100_000_000);
    AudioFeatures {
        stamp: Stamp { at: start, ..Stamp::default() },
        end: MediaTime(start.0 + 100_000_000),
        channels: levels.iter().map(|&rms_dbfs| ChannelLevel { rms_dbfs, ..ChannelLevel::default() }).collect(),
        ..AudioFeatures::default()
    }
}
