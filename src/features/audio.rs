//! Levels of sound in blocks of 100 ms, per channel.

use crate::frame::AudioBlock;
use crate::time::{MediaTime, Stamp};
use std::time::Duration;

/// Channels that are measured; further ones of a stream are left out.
pub const CHANNELS_MAX: usize = 16;

/// Length of a block.
const BLOCK: Duration = Duration::from_millis(100);
/// Corner of the high-pass that keeps DC and rumble out of the level, in Hz (below the lowest programme sound).
const HIGH_PASS_HZ: f64 = 20.0;
/// The level told for digital silence, in dBFS.
const FLOOR_DBFS: f64 = -144.0;

/// One channel over one block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChannelLevel {
    /// RMS after the high-pass, in dBFS: a full-scale sine is -3.01; -144 for none at all.
    pub rms_dbfs: f64,
    /// Every sample of the block is the same: not even noise, so a cable, a mute switch or a dead embedder.
    pub constant: bool,
}

/// All channels over one block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioFeatures {
    /// Start of the block.
    pub stamp: Stamp,
    /// End of the block.
    pub end: MediaTime,
    /// One entry a channel.
    pub channels: heapless::Vec<ChannelLevel, CHANNELS_MAX>,
}

impl AudioFeatures {
    /// RMS of the loudest channel, dBFS.
    pub fn loudest_dbfs(&self) -> f64 {
        self.channels.iter().map(|channel| channel.rms_dbfs).fold(FLOOR_DBFS, f64::max)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    input: f64,
    output: f64,
    squares: f64,
    first: f32,
    varies: bool,
}

/// Cuts sound into blocks and measures them.
#[derive(Clone, Debug, Default)]
pub struct AudioAnalyzer {
    rate: u32,
    count: usize,
    channels: [Channel; CHANNELS_MAX],
    start: Option<Stamp>,
    filled: usize,
    features: AudioFeatures,
}

impl AudioAnalyzer {
    /// Measures `block` and calls `told` for each 100 ms that are complete.
    pub fn analyze(&mut self, block: &AudioBlock, mut told: impl FnMut(&AudioFeatures)) {
        let count = usize::from(block.channels).min(CHANNELS_MAX);
        if block.rate == 0 || count == 0 {
            return;
        }
        if (self.rate, self.count) != (block.rate, count) || self.is_apart(block) {
            self.restart(block.rate, count);
        }
        let keep = high_pass_factor(block.rate);
        let whole = (u64::from(block.rate) * BLOCK.as_millis() as u64 / 1000).max(1) as usize;
        for (n, frame) in block.samples.chunks_exact(usize::from(block.channels)).enumerate() {
            if self.filled == 0 {
                let into = Duration::from_secs_f64(n as f64 / f64::from(block.rate));
                self.start = Some(Stamp { at: block.stamp.at.plus(into), arrived: block.stamp.arrived });
            }
            for (channel, &sample) in self.channels.iter_mut().zip(&frame[..count]) {
                channel.take(sample, keep, self.filled == 0);
            }
            self.filled += 1;
            if self.filled == whole {
                self.complete(block.rate);
                told(&self.features);
            }
        }
    }

    /// Whether the block does not follow the one before.
    fn is_apart(&self, block: &AudioBlock) -> bool {
        let Some(start) = self.start.filter(|_| self.filled > 0) else { return false };
        let expected = start.at.plus(Duration::from_secs_f64(self.filled as f64 / f64::from(block.rate)));
        expected.0.abs_diff(block.stamp.at.0) > BLOCK.as_nanos() as u64
    }

    fn restart(&mut self, rate: u32, count: usize) {
        *self = Self { rate, count, ..Self::default() };
    }

    fn complete(&mut self, rate: u32) {
        let start = self.start.unwrap_or_default();
        self.features.stamp = start;
        self.features.end = start.at.plus(Duration::from_secs_f64(self.filled as f64 / f64::from(rate)));
        self.features.channels.clear();
        for channel in &mut self.channels[..self.count] {
            let mean = channel.squares / self.filled as f64;
            let rms_dbfs = if mean > 0.0 { (10.0 * mean.log10()).max(FLOOR_DBFS) } else { FLOOR_DBFS };
            // The list holds as many channels as are measured, so there is always room.
            let _ = self.features.channels.push(ChannelLevel { rms_dbfs, constant: !channel.varies });
            channel.squares = 0.0;
            channel.varies = false;
        }
        self.filled = 0;
    }
}

impl Channel {
    fn take(&mut self, sample: f32, keep: f64, first: bool) {
        if first {
            self.first = sample;
        }
        self.varies |= sample != self.first;
        let input = f64::from(sample);
        self.output = keep * (self.output + input - self.input);
        self.input = input;
        self.squares += self.output * self.output;
    }
}

/// Factor of a first-order high-pass (bilinear pole at the corner frequency).
fn high_pass_factor(rate: u32) -> f64 {
    1.0 / (1.0 + std::f64::consts::TAU * HIGH_PASS_HZ / f64::from(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(sample: impl Fn(usize) -> f32, seconds: usize) -> Vec<f64> {
        let samples = (0..48_000 * seconds).flat_map(|n| [sample(n), sample(n)]).collect();
        let block = AudioBlock { stamp: Stamp::default(), rate: 48_000, channels: 2, samples };
        let mut levels = Vec::new();
        AudioAnalyzer::default().analyze(&block, |features| levels.push(features.loudest_dbfs()));
        levels
    }

    fn sine(n: usize, hz: f64) -> f32 {
        (n as f64 / 48_000.0 * hz * std::f64::consts::TAU).sin() as f32
    }

    #[test]
    fn a_full_scale_sine_is_minus_three_decibels() {
        let last = levels(|n| sine(n, 997.0), 1);
        assert_eq!(last.len(), 10);
        assert!((last[9] + 3.01).abs() < 0.02, "{last:?}");
    }

    #[test]
    fn dc_and_nothing_are_silent() {
        assert!(levels(|_| 0.25, 2)[19] < -100.0);
        assert_eq!(levels(|_| 0.0, 1)[0], FLOOR_DBFS);
    }

    #[test]
    fn blocks_are_timed_and_constant_sound_is_told_apart() {
        let mut analyzer = AudioAnalyzer::default();
        let mut seen = Vec::new();
        for n in 0..10 {
            let stamp = Stamp { at: MediaTime(n * 40_000_000), ..Stamp::default() };
            let samples = (0..1920).map(|s| if n < 5 { 0.0 } else { sine(s, 440.0) }).collect();
            let block = AudioBlock { stamp, rate: 48_000, channels: 1, samples };
            analyzer.analyze(&block, |f| seen.push((f.stamp.at.0 / 1_000_000, f.channels[0].constant)));
        }
        assert_eq!(seen, [(0, true), (100, true), (200, false), (300, false)]);
    }

    #[test]
    fn odd_sound_does_not_upset_it() {
        let mut analyzer = AudioAnalyzer::default();
        let empty = AudioBlock { rate: 0, channels: 0, ..AudioBlock::default() };
        analyzer.analyze(&empty, |_| unreachable!("nothing to tell"));
        let many = AudioBlock { rate: 8_000, channels: 40, samples: vec![0.5; 40 * 800], ..AudioBlock::default() };
        let mut told = 0;
        analyzer.analyze(&many, |features| told += features.channels.len());
        assert_eq!(told, CHANNELS_MAX);
    }
}
