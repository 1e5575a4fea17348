//! Features become blocks of fingerprints, a second each.

use super::block::{Block, CELLS, PICTURES_MAX, PicturePrint, SLICES, SOUNDS_MAX, SoundPrint, epoch};
use crate::features::{AudioFeatures, Coarse, Depth, VideoFeatures};
use crate::time::{MediaTime, Stamp};
use std::time::Duration;

/// Length of a block.
const LASTS: Duration = Duration::from_secs(1);

/// Makes blocks of one source.
#[derive(Debug, Default)]
pub struct Sampler {
    block: Option<Block>,
    /// Steps of the pictures seen in full, added up, and how many.
    steps: [f32; CELLS],
    full: u32,
}

impl Sampler {
    /// Takes a picture; the block before it, if that is complete.
    pub fn picture(&mut self, features: &VideoFeatures) -> Option<Block> {
        let done = self.begin(features.stamp);
        let block = self.block.get_or_insert_default();
        block.width = u16::try_from(features.grid.width).unwrap_or(u16::MAX);
        if block.pictures.len() < PICTURES_MAX {
            let cells = cells(&features.coarse, &features.coarse.luma).map(|mean| (mean * 64.0) as u16);
            block.pictures.push(PicturePrint { at: features.stamp.at, cells });
        }
        if features.depth == Depth::Full {
            let steps = cells(&features.coarse, &features.coarse.steps);
            self.steps.iter_mut().zip(steps).for_each(|(sum, step)| *sum += step);
            self.full += 1;
        }
        done
    }

    /// Takes 100 ms of sound; the block before it, if that is complete.
    pub fn sound(&mut self, features: &AudioFeatures) -> Option<Block> {
        let done = self.begin(features.stamp);
        let block = self.block.get_or_insert_default();
        if block.sounds.len() < SOUNDS_MAX {
            let mut levels = [0; SLICES];
            for (level, slices) in levels.iter_mut().zip(features.envelope.chunks_exact(4)) {
                let power = slices.iter().sum::<f32>() / 4.0;
                *level = ((10.0 * (power + 1e-10).log10() + 100.0) / 0.4).clamp(0.0, 255.0) as u8;
            }
            block.sounds.push(SoundPrint { at: features.stamp.at, levels });
        }
        done
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Option<Block> {
        let mut block = self.block.take()?;
        if self.full > 0 {
            let mean = |sum: f32| (sum / self.full as f32 * 10.0).clamp(0.0, 255.0) as u8;
            block.texture = self.steps.map(mean);
        }
        (self.steps, self.full) = ([0.0; CELLS], 0);
        Some(block)
    }

    fn begin(&mut self, stamp: Stamp) -> Option<Block> {
        let begins = self.block.as_ref().map(|block| block.at);
        // Streams of one programme do not lie in order; what goes back further is another stretch of time.
        let goes_on = |at: MediaTime| stamp.at < at.plus(LASTS) && stamp.at.plus(LASTS) > at;
        if begins.is_some_and(goes_on) {
            return None;
        }
        let done = self.finish();
        self.block = Some(Block { at: stamp.at, epoch: epoch(stamp.at, stamp.arrived), ..Block::default() });
        done
    }
}

/// Means over the cells of a fingerprint.
fn cells(coarse: &Coarse, tiles: &[f32]) -> [f32; CELLS] {
    let (mut sums, mut counts) = ([0.0_f32; CELLS], [0_u16; CELLS]);
    for (row, tiles) in tiles.chunks(coarse.columns.max(1)).enumerate() {
        for (column, tile) in tiles.iter().enumerate() {
            let cell = row * 2 / coarse.rows.max(1) * 4 + column * 4 / coarse.columns.max(1);
            sums[cell] += tile;
            counts[cell] += 1;
        }
    }
    std::array::from_fn(|cell| sums[cell] / f32::from(counts[cell].max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::VideoAnalyzer;
    use crate::frame::{Frame, OwnedSamples, PictureInfo};
    use crate::kernels::Kernels;

    fn frame(n: usize) -> Frame {
        let (width, height) = (320, 192);
        // Bright on the left half.
        let luma = (0..width * height).map(|at| if at % width < width / 2 { 200 } else { 50 }).collect();
        let chroma = vec![128; width * height / 4];
        let samples = OwnedSamples::yuv420(width, height, luma, chroma.clone(), chroma);
        let stamp = Stamp { at: MediaTime(n as i64 * 40_000_000), ..Stamp::default() };
        Frame::new(stamp, PictureInfo::yuv420(width, height), Box::new(samples)).expect("planes fit")
    }

    #[test]
    fn a_second_makes_a_block() {
        let (mut analyzer, mut sampler) = (VideoAnalyzer::new(Kernels::detect()), Sampler::default());
        let blocks: Vec<Block> = (0..60).filter_map(|n| sampler.picture(analyzer.analyze(frame(n)))).collect();
        assert_eq!(blocks.iter().map(|block| block.pictures.len()).collect::<Vec<_>>(), [25, 25]);
        let [bright, dark] = [200 * 64, 50 * 64];
        assert_eq!(blocks[0].pictures[3].cells, [bright, bright, dark, dark, bright, bright, dark, dark]);
        assert_eq!((blocks[1].at, blocks[1].width), (MediaTime(1_000_000_000), 320));
        assert_eq!(sampler.finish().map(|block| block.pictures.len()), Some(10));
    }

    #[test]
    fn sound_that_begins_before_the_picture_belongs_to_its_second() {
        let (mut analyzer, mut sampler) = (VideoAnalyzer::new(Kernels::detect()), Sampler::default());
        let sound = |ms: i64| AudioFeatures {
            stamp: Stamp { at: MediaTime(ms * 1_000_000), ..Stamp::default() },
            envelope: (0..100).map(|_| 0.01).collect(),
            ..AudioFeatures::default()
        };
        assert_eq!(sampler.sound(&sound(-20)), None);
        assert_eq!(sampler.picture(analyzer.analyze(frame(0))), None);
        assert_eq!(sampler.sound(&sound(80)), None);
        let block = sampler.finish().expect("begun");
        // -20 dBFS are 80 dB above the floor.
        assert_eq!((block.sounds.len(), block.sounds[0].levels), (2, [200; SLICES]));
    }
}
