//! Flat tops: how much the samples of a channel pile up at the highest level that they reach.
//!
//! Counting equal samples works on a capture only; a lossy codec lays noise over every flat top. What it cannot undo
//! is the distribution: programme reaches each level less often than the one below, a limiter keeps the round shape
//! of its peaks, while clipping heaps samples up at one level with little below and nothing above it.

/// Cells of the histogram for full scale; twice as many are kept, for decoders overshoot.
const FULL_SCALE: usize = 192;
const CELLS: usize = 256;
/// Blocks of 100 ms that are judged together: long enough to have some hundred peaks.
const BLOCKS: usize = 5;
/// Levels are looked at from here on (-14 dBFS): below, seven hundredths are less than three cells.
const LEVEL_MIN: usize = 40;
/// Share of samples that must lie at a level for it to be looked at: 0.4 %, or 20 of a thousand peaks.
const TOP_SHARE_MIN: f32 = 0.004;
/// Counts that are added below, as a share of all, so that a few samples make no ratio.
const STEADY: f32 = 0.001;

/// Parts of a block, 1 ms each: what comes in bursts is known by those in which it is there.
const PARTS: usize = 100;
/// Parts that reach this share of the level of the pile are loud, and the loudest, ...
const LOUD: f32 = 0.5;
/// ... this share.
const LOUDEST: f32 = 0.9;

/// Blocks that are looked back on to date the beginning of a pile: those of the hold time and the half second.
const PAST: usize = 20;
/// A block that belongs to a pile has its own highest sample this close to the level of the pile (a codec overshoots), ...
const PEAK: std::ops::RangeInclusive<f32> = 0.9..=1.15;
/// ... and this share of its samples within a tenth of it; programme has a fifth of that.
const PAST_SHARE_MIN: f32 = 0.006;
/// Share of samples above full scale from which those are what is dated.
const PAST_OVER: f32 = 0.0015;
/// So many softer blocks in a row end it.
const REST: usize = 4;

/// How a channel looks over the last half second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clip {
    /// Samples at the level of the pile over those a fifth below and those above it. Programme has 0.3, a limiter
    /// up to 1.4, a sine 2 to 3 (its kurtosis tells it); clipping has from 2.4 to some hundred.
    pub pile: f32,
    /// Where the pile is; full scale, which is 1, where there is none.
    pub level: f32,
    /// Share of samples above full scale: a decoder gives them, whoever plays them clips them.
    pub over: f32,
    /// Fourth moment over the squared second: 1 for a square wave, 1.5 for a sine.
    pub kurtosis: f32,
    /// The same over those milliseconds that reach half of the level of the pile: what is between bursts has no part in
    /// it. 0 where there is no pile.
    pub loud: f32,
    /// As `loud`, over those that reach nine tenths of that level.
    pub loudest: f32,
    /// Blocks before this one in which samples lay at that level already.
    pub blocks_before: u8,
}

#[derive(Clone, Debug)]
struct Block {
    cells: [u16; CELLS],
    parts: [Part; PARTS],
    over: u32,
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    peak: f32,
    squares: f32,
    fourths: f32,
    count: u32,
}

const SILENT: Part = Part { peak: 0.0, squares: 0.0, fourths: 0.0, count: 0 };
const EMPTY: Block = Block { cells: [0; CELLS], parts: [SILENT; PARTS], over: 0, count: 0 };

impl Block {
    /// Highest level and the share of samples within a tenth of it.
    fn top(&self) -> (f32, f32) {
        let highest = self.cells.iter().rposition(|&count| count > 0).unwrap_or(0);
        let close: u32 = self.cells[highest * 9 / 10..].iter().map(|&count| u32::from(count)).sum();
        (highest as f32 / FULL_SCALE as f32, close as f32 / self.count.max(1) as f32)
    }
}

/// Follows one channel.
#[derive(Clone, Debug)]
pub struct Pile {
    blocks: [Block; BLOCKS],
    at: usize,
    /// Highest level of each block and the share of samples close to it, newest first.
    past: [(f32, f32); PAST],
}

impl Default for Pile {
    fn default() -> Self {
        Self { blocks: [const { EMPTY }; BLOCKS], at: 0, past: [(0.0, 0.0); PAST] }
    }
}

impl Pile {
    /// Takes 100 ms and judges the last half second.
    pub fn take(&mut self, samples: &[f32]) -> Clip {
        self.at = (self.at + 1) % BLOCKS;
        let block = &mut self.blocks[self.at];
        *block = EMPTY;
        block.count = samples.len() as u32;
        for (n, part) in block.parts.iter_mut().enumerate() {
            let samples = &samples[n * samples.len() / PARTS..(n + 1) * samples.len() / PARTS];
            part.count = samples.len() as u32;
            for &sample in samples {
                let size = sample.abs();
                // A float cast saturates; not a number becomes 0.
                let cell = ((size * FULL_SCALE as f32) as usize).min(CELLS - 1);
                block.cells[cell] = block.cells[cell].saturating_add(1);
                let square = sample * sample;
                part.peak = part.peak.max(size);
                part.squares += square;
                part.fourths += square * square;
                block.over += u32::from(size > 1.0);
            }
        }
        let top = block.top();
        self.past.rotate_right(1);
        self.past[0] = top;
        let clip = self.judge();
        Clip { blocks_before: self.blocks_before(&clip), ..clip }
    }

    /// How far back samples have lain at the level of the pile, or above full scale where many do.
    fn blocks_before(&self, clip: &Clip) -> u8 {
        let (mut oldest, mut rest) = (0, 0);
        let is_over = clip.over >= PAST_OVER;
        for (back, &(peak, share)) in self.past.iter().enumerate() {
            if (!is_over && peak > clip.level * PEAK.end()) || rest >= REST {
                break;
            }
            let is_top = peak >= clip.level * PEAK.start() && share >= PAST_SHARE_MIN;
            let belongs = if is_over { peak > 1.0 } else { is_top };
            if belongs {
                (oldest, rest) = (back, 0);
            } else {
                rest += 1;
            }
        }
        oldest as u8
    }

    fn judge(&self) -> Clip {
        // `above[n]`: samples in cell n and higher.
        let mut above = [0_u32; CELLS + 1];
        for cell in (0..CELLS).rev() {
            let here: u32 = self.blocks.iter().map(|block| u32::from(block.cells[cell])).sum();
            above[cell] = above[cell + 1] + here;
        }
        let count = above[0].max(1) as f32;
        let over = self.blocks.iter().map(|block| block.over as f32).sum::<f32>() / count;
        let kurtosis = self.kurtosis(0.0);
        // Without a pile it is full scale that is asked for.
        let mut clip = Clip { over, kurtosis, level: 1.0, ..Clip::default() };
        for level in LEVEL_MIN..CELLS - CELLS / 16 {
            let share = |from: usize, to: usize| (above[level * from / 100] - above[level * to / 100]) as f32;
            let top = share(96, 103);
            if top < TOP_SHARE_MIN * count {
                continue;
            }
            let pile = top / (share(77, 84) + above[level * 103 / 100] as f32 + STEADY * count);
            if pile > clip.pile {
                clip.pile = pile;
                clip.level = level as f32 / FULL_SCALE as f32;
            }
        }
        if clip.pile > 0.0 {
            (clip.loud, clip.loudest) = (self.kurtosis(LOUD * clip.level), self.kurtosis(LOUDEST * clip.level));
        }
        clip
    }

    /// Of the parts whose peak is `least` or more.
    fn kurtosis(&self, least: f32) -> f32 {
        let parts = self.blocks.iter().flat_map(|block| &block.parts).filter(|part| part.peak >= least);
        let (squares, fourths, count) = parts.fold((0.0, 0.0, 0), |(squares, fourths, count), part| {
            (squares + part.squares, fourths + part.fourths, count + part.count)
        });
        if squares > 0.0 { fourths * count as f32 / (squares * squares) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A melody of three partials, as loud as `gain` says, through `shape`; the last half second.
    fn judged(gain: f32, shape: impl Fn(f32) -> f32) -> Clip {
        let mut pile = Pile::default();
        let sample = |n: usize| {
            let t = n as f32 / 48_000.0;
            let wave = (t * 1382.0).sin() + 0.7 * (t * 2073.0 + 1.0).sin() + 0.5 * (t * 5529.0 + 2.0).sin();
            shape(gain * wave * (0.6 + 0.4 * (t * 19.0).sin()))
        };
        let mut clip = Clip::default();
        for block in 0..10 {
            let samples: Vec<f32> = (0..4800).map(|n| sample(block * 4800 + n)).collect();
            clip = pile.take(&samples);
        }
        clip
    }

    #[test]
    fn clipping_heaps_samples_up_at_any_level_and_programme_does_not() {
        assert!(judged(0.4, |x| x).pile < 1.0);
        let hard = judged(1.5, |x| x.clamp(-0.9, 0.9));
        assert!(hard.pile > 5.0 && (hard.level - 0.9).abs() < 0.05, "{hard:?}");
        let attenuated = judged(1.5, |x| 0.3 * x.clamp(-0.9, 0.9));
        assert!(attenuated.pile > 5.0 && (attenuated.level - 0.27).abs() < 0.02, "{attenuated:?}");
    }

    #[test]
    fn a_pile_is_dated_back_to_the_block_in_which_it_began() {
        let mut pile = Pile::default();
        let mut clip = Clip::default();
        for block in 0..14 {
            let gain = if block < 7 { 0.2 } else { 3.0 };
            let wave = |t: f32| (t * 1382.0).sin() + 0.7 * (t * 2073.0).sin();
            let sample = |n: usize| (gain * wave((block * 4800 + n) as f32 / 48_000.0)).clamp(-0.9, 0.9);
            clip = pile.take(&(0..4800).map(sample).collect::<Vec<f32>>());
        }
        assert_eq!(clip.blocks_before, 6, "{clip:?}");
    }

    #[test]
    fn soft_saturation_and_a_sine_are_told_from_clipping() {
        assert!(judged(0.7, |x| x.tanh()).pile < 2.0);
        let mut pile = Pile::default();
        let mut clip = Clip::default();
        for _ in 0..5 {
            let samples: Vec<f32> = (0..4800).map(|n| 0.7 * (n as f32 * 0.131_7).sin()).collect();
            clip = pile.take(&samples);
        }
        assert!((clip.kurtosis - 1.5).abs() < 0.02 && clip.pile < 4.0, "{clip:?}");
    }

    #[test]
    fn bursts_of_a_tone_have_the_shape_of_a_tone() {
        let mut pile = Pile::default();
        let mut clip = Clip::default();
        // 20 ms of 1.5 kHz every 100 ms.
        for _ in 0..5 {
            let tick = |n: usize| if n < 960 { 0.6 * (n as f32 * 0.196_35).sin() } else { 0.0 };
            clip = pile.take(&(0..4800).map(tick).collect::<Vec<f32>>());
        }
        assert!(clip.pile > 3.0 && clip.kurtosis > 6.0, "{clip:?}");
        assert!((clip.loud - 1.5).abs() < 0.05 && (clip.loudest - clip.loud).abs() < 0.02, "{clip:?}");
    }

    #[test]
    fn samples_above_full_scale_are_counted() {
        let clip = judged(0.8, |x| x);
        assert!(clip.over > 0.005, "{clip:?}");
        assert_eq!(judged(0.3, |x| x).over, 0.0);
    }
}
