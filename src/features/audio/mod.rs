//! Sound in blocks of 100 ms: levels of each channel, how channels belong together, loudness, and what breaks it.
//!
//! A block is first gathered channel by channel; everything is then measured in one pass over each channel.

mod clip;
mod edges;
mod stuck;

pub use clip::Clip;
pub use edges::Kind as BreakKind;

use super::loudness::{Loudness, LoudnessMeter};
use crate::frame::AudioBlock;
use crate::time::{MediaTime, Stamp};
use clip::Pile;
use edges::{Edges, Found, Steps};
use std::time::Duration;
use stuck::Stuck;

/// Channels that are measured; further ones of a stream are left out.
pub const CHANNELS_MAX: usize = 16;
/// Pairs of channels: the first with the second, and so on.
pub const PAIRS_MAX: usize = CHANNELS_MAX / 2;
/// Breaks and steps that are told of one block; more would be noise.
const NEWS_MAX: usize = 8;

/// Slices of 1 ms in a block of 100 ms.
pub const SLICES: usize = 100;
/// Corner of the high-pass that keeps DC and rumble out of the level, in Hz (below the lowest programme sound).
const HIGH_PASS_HZ: f64 = 20.0;
/// The level told for digital silence, in dBFS.
pub const FLOOR_DBFS: f64 = -144.0;
/// Time stamps that leave out this much sound: less is jitter of muxers, more is no dropout but a loss.
const MISSING: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(500);
/// Sound that nobody hears does not miss a part, dBFS.
const MISSED_DBFS: f64 = -50.0;

/// One channel over one block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChannelLevel {
    /// RMS after the high-pass, in dBFS: a full-scale sine is -3.01; -144 for none at all.
    pub rms_dbfs: f64,
    /// Every sample of the block is the same: not even noise, so a cable, a mute switch or a dead embedder.
    pub constant: bool,
    /// Mean frequency, weighted with power (root of the second moment), Hz; hum has 50 to 200.
    pub mean_hz: f64,
    /// How samples pile up at the highest level, over the last half second.
    pub clip: Clip,
}

/// Two channels over one block: mean products of their high-passed samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    /// First with itself: mean square.
    pub first: f64,
    /// Second with itself.
    pub second: f64,
    /// One with the other; negative where they work against each other.
    pub cross: f64,
}

/// Something that breaks the sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Break {
    /// What.
    pub kind: BreakKind,
    /// From when.
    pub start: MediaTime,
    /// Up to when.
    pub end: MediaTime,
}

/// A step of gain in the middle of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub at: MediaTime,
    /// Up is positive.
    pub db: f64,
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
    /// Channels 0 and 1, 2 and 3, and so on.
    pub pairs: heapless::Vec<Pair, PAIRS_MAX>,
    /// Loudness at the end of the block.
    pub loudness: Loudness,
    /// Breaks that became known in this block; they may lie in an earlier one.
    pub breaks: heapless::Vec<Break, NEWS_MAX>,
    /// Steps of gain that became known in this block.
    pub steps: heapless::Vec<Step, NEWS_MAX>,
    /// The envelope: mean square of the high-passed sound in each slice of 1 ms, all channels added up.
    pub envelope: heapless::Vec<f32, SLICES>,
}

impl AudioFeatures {
    /// RMS of the loudest channel, dBFS.
    pub fn loudest_dbfs(&self) -> f64 {
        self.channels.iter().map(|channel| channel.rms_dbfs).fold(FLOOR_DBFS, f64::max)
    }
}

/// dBFS of a mean square.
pub(super) fn dbfs(square: f64) -> f64 {
    if square > 0.0 { (10.0 * square.log10()).max(FLOOR_DBFS) } else { FLOOR_DBFS }
}

/// One channel: the samples of the block, and what goes on from block to block.
#[derive(Clone, Debug, Default)]
struct Channel {
    samples: Vec<f32>,
    /// After the high-pass.
    clean: Vec<f32>,
    input: f64,
    output: f64,
    mean: f64,
    pile: Pile,
}

/// A slice of 1 ms.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Mean square of the difference from sample to sample.
    difference: f32,
    /// Mean square of the high-passed sound.
    level: f32,
    /// Squared difference of the mean from that of the slice before.
    low: f32,
}

/// What does not start anew where sound is missing.
#[derive(Debug)]
struct Lasting {
    channels: Vec<Channel>,
    edges: Edges,
    steps: Steps,
    stuck: Stuck,
    loudness: LoudnessMeter,
    /// The block, interleaved, channels that are not measured left out.
    samples: Vec<f32>,
    mono: Vec<f32>,
    /// Blocks so far.
    blocks: u64,
}

/// Cuts sound into blocks and measures them.
#[derive(Debug, Default)]
pub struct AudioAnalyzer {
    rate: u32,
    count: usize,
    lasting: Option<Box<Lasting>>,
    start: Option<Stamp>,
    /// When the next sample should be.
    next: Option<MediaTime>,
    /// Sound that time stamps left out.
    missing: Option<(MediaTime, MediaTime)>,
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
        let rate = f64::from(block.rate);
        let whole = (block.rate / 10).max(1) as usize;
        for (n, frame) in block.samples.chunks_exact(usize::from(block.channels)).enumerate() {
            let Some(lasting) = &mut self.lasting else { return };
            if lasting.samples.is_empty() {
                let into = Duration::from_secs_f64(n as f64 / rate);
                self.start = Some(Stamp { at: block.stamp.at.plus(into), arrived: block.stamp.arrived });
            }
            lasting.samples.extend_from_slice(&frame[..count]);
            if lasting.samples.len() == whole * count {
                self.complete(block.rate, whole);
                told(&self.features);
            }
        }
        self.next = Some(block.stamp.at.plus(Duration::from_secs_f64(block.frames() as f64 / rate)));
    }

    /// Whether the block does not follow the one before: then all starts anew. Notes what is missing in between.
    fn is_apart(&mut self, block: &AudioBlock) -> bool {
        let Some(next) = self.next else { return false };
        let left_out = block.stamp.at.since(next);
        if MISSING.contains(&left_out) && self.features.loudest_dbfs() > MISSED_DBFS {
            self.missing.get_or_insert((next, block.stamp.at));
        }
        next.0.abs_diff(block.stamp.at.0) > MISSING.end().as_nanos() as u64
    }

    fn restart(&mut self, rate: u32, count: usize) {
        let whole = (rate / 10).max(1) as usize;
        let channel =
            || Channel { samples: Vec::with_capacity(whole), clean: Vec::with_capacity(whole), ..Channel::default() };
        let lasting = Lasting {
            channels: (0..count).map(|_| channel()).collect(),
            edges: Edges::default(),
            steps: Steps::default(),
            stuck: Stuck::default(),
            loudness: LoudnessMeter::new(count, rate),
            samples: Vec::with_capacity(whole * count),
            mono: Vec::with_capacity(whole),
            blocks: 0,
        };
        *self = Self { rate, count, lasting: Some(Box::new(lasting)), ..Self::default() };
    }

    fn complete(&mut self, rate: u32, whole: usize) {
        let Some(lasting) = &mut self.lasting else { return };
        let start = self.start.unwrap_or_default();
        let features = &mut self.features;
        features.stamp = start;
        features.end = start.at.plus(Duration::from_secs_f64(whole as f64 / f64::from(rate)));
        // The lists hold as many entries as channels are measured; what is too much of news is left out.
        features.channels.clear();
        features.pairs.clear();
        features.breaks.clear();
        features.steps.clear();
        features.envelope.clear();
        if let Some((from, to)) = self.missing.take() {
            let _ = features.breaks.push(Break { kind: BreakKind::Missing, start: from, end: to });
        }
        features.loudness = lasting.loudness.take(&lasting.samples);
        lasting.measure(rate, start.at, features);
        lasting.samples.clear();
        lasting.blocks += 1;
    }
}

impl Lasting {
    fn measure(&mut self, rate: u32, start: MediaTime, features: &mut AudioFeatures) {
        let Self { channels, edges, steps, stuck, samples, mono, blocks, .. } = self;
        let first_slice = *blocks * SLICES as u64;
        // Slices and looks count milliseconds since the first block.
        let at = |slice: u64| {
            let ms = slice as i64 - first_slice as i64;
            MediaTime(start.0 + ms * 1_000_000)
        };
        let tell = |found: Found, features: &mut AudioFeatures| {
            let news = Break { kind: found.kind, start: at(found.start), end: at(found.end) };
            let known = |other: &Break| other.kind == news.kind && other.start < news.end && news.start < other.end;
            if !features.breaks.iter().any(known) {
                let _ = features.breaks.push(news);
            }
        };
        let mut sum = [Slice::default(); SLICES];
        let count = channels.len();
        for (index, channel) in channels.iter_mut().enumerate() {
            channel.samples.clear();
            channel.samples.extend(samples[index..].iter().step_by(count));
            let mut slices = [Slice::default(); SLICES];
            let _ = features.channels.push(channel.measure(rate, &mut slices));
            for (slice, all) in slices.iter().zip(&mut sum) {
                all.difference += slice.difference;
                all.level += slice.level;
                all.low += slice.low;
            }
        }
        for pair in channels.chunks_exact(2) {
            let _ = features.pairs.push(together(&pair[0].clean, &pair[1].clean));
        }
        for slice in sum {
            let _ = features.envelope.push(slice.level);
            // A lost packet takes all channels; what ends in one of them was played so.
            edges.take(slice.difference, slice.level, |found| tell(found, features));
            if let Some(step) = steps.take(slice.difference, slice.low) {
                let _ = features.steps.push(Step { at: at(step.at), db: f64::from(step.db) });
            }
        }
        mono.clear();
        mono.extend(samples.chunks_exact(count).map(|frame| frame.iter().sum::<f32>() / count as f32));
        if let Some(found) = stuck.take(mono, rate) {
            tell(found, features);
        }
    }
}

impl Channel {
    fn measure(&mut self, rate: u32, slices: &mut [Slice; SLICES]) -> ChannelLevel {
        let keep = high_pass_factor(rate);
        let clip = self.pile.take(&self.samples);
        self.clean.clear();
        let (mut squares, mut differences) = (0.0, 0.0);
        let whole = self.samples.len();
        for (n, slice) in slices.iter_mut().enumerate() {
            let part = n * whole / SLICES..(n + 1) * whole / SLICES;
            let count = part.len().max(1) as f64;
            let (mut square, mut difference, mut sum) = (0.0, 0.0, 0.0);
            for &sample in &self.samples[part] {
                let input = f64::from(sample);
                let change = input - self.input;
                self.output = keep * (self.output + change);
                self.input = input;
                self.clean.push(self.output as f32);
                square += self.output * self.output;
                difference += change * change;
                sum += input;
            }
            squares += square;
            differences += difference;
            let change = sum / count - self.mean;
            self.mean = sum / count;
            *slice = Slice {
                difference: (difference / count) as f32,
                level: (square / count) as f32,
                low: (change * change) as f32,
            };
        }
        let first = self.samples.first().copied().unwrap_or_default();
        let constant = self.samples.iter().all(|&sample| sample == first);
        let mean_hz =
            if squares > 0.0 { (differences / squares).sqrt() * f64::from(rate) / std::f64::consts::TAU } else { 0.0 };
        ChannelLevel { rms_dbfs: dbfs(squares / whole.max(1) as f64), constant, mean_hz, clip }
    }
}

fn together(first: &[f32], second: &[f32]) -> Pair {
    let mut sums = [[0.0_f32; 8]; 3];
    for (a, b) in first.chunks_exact(8).zip(second.chunks_exact(8)) {
        for lane in 0..8 {
            sums[0][lane] += a[lane] * a[lane];
            sums[1][lane] += b[lane] * b[lane];
            sums[2][lane] += a[lane] * b[lane];
        }
    }
    let mean = |lanes: [f32; 8]| lanes.into_iter().map(f64::from).sum::<f64>() / first.len().max(1) as f64;
    let [first, second, cross] = sums.map(mean);
    Pair { first, second, cross }
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
