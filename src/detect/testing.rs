//! Small made-up pictures for the tests of detectors: 320 x 192, 25 a second, without chance.

use crate::features::{AudioFeatures, ChannelLevel, VideoAnalyzer};
use crate::frame::{FieldOrder, Frame, OwnedSamples, PictureInfo};
use crate::kernels::Kernels;
use crate::time::{MediaTime, Stamp};

const WIDTH: usize = 320;
const HEIGHT: usize = 192;

/// A picture to be analysed.
#[derive(Clone, Debug)]
pub struct Picture {
    luma: Vec<f64>,
    chroma: (u8, u8),
    field_order: FieldOrder,
}

/// Analyses them.
pub fn analyzer() -> VideoAnalyzer {
    VideoAnalyzer::new(Kernels::detect())
}

/// When picture `n` is shown.
pub fn at(n: usize) -> MediaTime {
    MediaTime(n as i64 * 40_000_000)
}

impl Picture {
    /// Grey, by column and row.
    pub fn new(luma: impl Fn(usize, usize) -> f64) -> Self {
        let luma = (0..WIDTH * HEIGHT).map(|n| luma(n % WIDTH, n / WIDTH)).collect();
        Self { luma, chroma: (128, 128), field_order: FieldOrder::Progressive }
    }

    /// A hilly picture, seen `shift` samples further to the right.
    pub fn hills(shift: f64) -> Self {
        Self::new(|x, y| {
            let (x, y) = (x as f64 + shift, y as f64);
            120.0 + 50.0 * (x / 17.0 + 2.0 * (y / 23.0).sin()).sin() + 30.0 * ((x + 2.0 * y) / 11.0).sin()
        })
    }

    /// Low hills that are overgrown: `growth` is the height of the fine texture.
    pub fn grass(shift: f64, growth: f64) -> Self {
        let mut picture = Self::new(|_, _| 90.0).mix(&Self::hills(shift), 0.25);
        for (n, sample) in picture.luma.iter_mut().enumerate() {
            *sample += growth * blades((n % WIDTH) as f64 + shift, (n / WIDTH) as f64);
        }
        picture
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

    /// With `luma` in place of what it shows where that is `Some`.
    pub fn over(mut self, luma: impl Fn(usize, usize) -> Option<f64>) -> Self {
        for (n, sample) in self.luma.iter_mut().enumerate() {
            *sample = luma(n % WIDTH, n / WIDTH).unwrap_or(*sample);
        }
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
    pub fn chroma(mut self, cb: u8, cr: u8) -> Self {
        self.chroma = (cb, cr);
        self
    }

    /// As the `n`-th picture of a source.
    pub fn frame(&self, n: usize) -> Frame {
        let luma = self.luma.iter().map(|&sample| sample.round().clamp(0.0, 255.0) as u8).collect();
        let quarter = WIDTH * HEIGHT / 4;
        let info = PictureInfo { field_order: self.field_order, ..PictureInfo::yuv420(WIDTH, HEIGHT) };
        let samples =
            OwnedSamples::yuv420(WIDTH, HEIGHT, luma, vec![self.chroma.0; quarter], vec![self.chroma.1; quarter]);
        Frame::new(Stamp { at: at(n), ..Stamp::default() }, info, Box::new(samples)).expect("planes fit")
    }
}

/// Waves of some samples, -1 to 1, whose lengths change over the picture.
fn blades(x: f64, y: f64) -> f64 {
    0.5 * (x / 1.4 + (y / 19.0).sin() * 3.0).sin() + 0.5 * (y / 1.3 + x / 2.9).sin()
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
