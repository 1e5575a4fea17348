//! One pass over each picture: cells of the current picture, differences to the picture before, chroma, histogram.

use super::{Correlation, Grid};
use crate::frame::{DecodeEvidence, FieldOrder, Frame, Range};
use crate::kernels::{Band, CELL, Kernels, LumaCell};
use crate::time::Stamp;

/// Rows and columns from which the histogram takes its samples: every fourth of each, 1/16 of the picture.
const SAMPLED: usize = 4;

/// How closely a picture is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Luma sums, extremes and the difference to the picture before: what needs each picture. The rest of the cells
    /// is void, chroma is that of the last picture seen in full.
    Light,
    /// Everything.
    #[default]
    Full,
}

/// What the detectors see of a picture.
#[derive(Clone, Debug)]
pub struct VideoFeatures {
    /// When.
    pub stamp: Stamp,
    /// Where the cells lie.
    pub grid: Grid,
    /// Quantisation range.
    pub range: Range,
    /// Field order, as flagged.
    pub field_order: FieldOrder,
    /// Coded without reference to other pictures.
    pub intra: bool,
    /// What transport and decoder told.
    pub decode: DecodeEvidence,
    /// What of the cells is measured.
    pub depth: Depth,
    /// First picture, or first of another size: differences to the picture before mean nothing.
    pub first: bool,
    /// Cells, row by row.
    pub cells: Vec<LumaCell>,
    /// Cells of the picture before.
    pub before: Vec<LumaCell>,
    /// Mean Cb of each cell in 8-bit code values times 16; empty where there is no chroma.
    pub cb: Vec<u16>,
    /// Mean Cr of each cell, as `cb`.
    pub cr: Vec<u16>,
    /// `cb` of the picture before.
    pub cb_before: Vec<u16>,
    /// `cr` of the picture before.
    pub cr_before: Vec<u16>,
    /// Luma histogram of 1/16 of the samples.
    pub histogram: [u32; 256],
    /// Mean luma, code values.
    pub luma_mean: f64,
    /// Mean absolute luma difference to the picture before, code values.
    pub sad_mean: f64,
    /// Correlation of the cell means of this picture and the one before, -1 to 1: low at a cut.
    pub alike: f64,
    /// Noise between this picture and the one before, as a standard deviation in code values: from the quietest
    /// quarter of the cells, which do not move in most pictures (mean absolute difference over 2/sqrt(pi)).
    pub noise: f64,
}

impl VideoFeatures {
    /// Share of samples at or below `level`, 0 to 1.
    pub fn share_up_to(&self, level: u8) -> f64 {
        let below: u32 = self.histogram[..=usize::from(level)].iter().sum();
        let all: u32 = self.histogram.iter().sum();
        f64::from(below) / f64::from(all.max(1))
    }

    /// Mean luma of cell `index`, code values.
    pub fn cell_mean(&self, index: usize) -> f64 {
        f64::from(self.cells[index].sum) / f64::from(self.grid.area(index))
    }
}

/// Keeps the picture before, by reference, and the buffers; allocates only when the size changes.
#[derive(Debug)]
pub struct VideoAnalyzer {
    kernels: Kernels,
    previous: Option<Frame>,
    sums: Vec<u32>,
    features: VideoFeatures,
}

impl VideoAnalyzer {
    /// Uses `kernels`.
    pub fn new(kernels: Kernels) -> Self {
        let features = VideoFeatures {
            stamp: Stamp::default(),
            grid: Grid::default(),
            range: Range::Limited,
            field_order: FieldOrder::Progressive,
            intra: false,
            decode: DecodeEvidence::default(),
            depth: Depth::Full,
            first: true,
            cells: Vec::new(),
            before: Vec::new(),
            cb: Vec::new(),
            cr: Vec::new(),
            cb_before: Vec::new(),
            cr_before: Vec::new(),
            histogram: [0; 256],
            luma_mean: 0.0,
            sad_mean: 0.0,
            alike: 1.0,
            noise: 0.0,
        };
        Self { kernels, previous: None, sums: Vec::new(), features }
    }

    /// The picture analysed last.
    pub fn last_picture(&self) -> Option<&Frame> {
        self.previous.as_ref()
    }

    /// Forgets the picture before: what comes next does not follow it.
    pub fn restart(&mut self) {
        self.previous = None;
    }

    /// Analyses `frame` in full and keeps it for the next.
    pub fn analyze(&mut self, frame: Frame) -> &VideoFeatures {
        self.look(frame, Depth::Full)
    }

    /// Analyses `frame` to `depth` and keeps it for the next. The first picture of a size is always seen in full.
    pub fn look(&mut self, frame: Frame, depth: Depth) -> &VideoFeatures {
        let grid = Grid::new(frame.info.width, frame.info.height);
        if grid != self.features.grid || frame.info.chroma.is_some() == self.features.cb.is_empty() {
            self.resize(grid, frame.info.chroma.is_some());
        }
        let features = &mut self.features;
        std::mem::swap(&mut features.cells, &mut features.before);
        std::mem::swap(&mut features.cb, &mut features.cb_before);
        std::mem::swap(&mut features.cr, &mut features.cr_before);
        features.stamp = frame.stamp;
        features.range = frame.info.range;
        features.field_order = frame.info.field_order;
        features.intra = frame.info.intra;
        features.decode = frame.info.decode;
        features.first = self.previous.is_none();
        features.depth = if features.first { Depth::Full } else { depth };
        self.measure_luma(&frame);
        self.measure_chroma(&frame);
        self.previous = Some(frame);
        &self.features
    }

    fn resize(&mut self, grid: Grid, chroma: bool) {
        let features = &mut self.features;
        features.grid = grid;
        features.cells = vec![LumaCell::default(); grid.len()];
        features.before = features.cells.clone();
        let places = if chroma { grid.len() } else { 0 };
        for plane in [&mut features.cb, &mut features.cr, &mut features.cb_before, &mut features.cr_before] {
            *plane = vec![0; places];
        }
        self.sums = vec![0; grid.columns];
        self.previous = None;
    }

    fn measure_luma(&mut self, frame: &Frame) {
        let features = &mut self.features;
        let now = frame.luma();
        let before = self.previous.as_ref().map_or(now, Frame::luma);
        for (n, cells) in features.cells.chunks_exact_mut(features.grid.columns).enumerate() {
            let top = n * CELL;
            let pair = |y| (now.row(y), before.row(y));
            let band = Band::new((top..now.height().min(top + CELL)).map(pair));
            let band =
                band.and_then(|band| if n > 0 { band.below([pair(top - 2), pair(top - 1)]) } else { Some(band) });
            if let Some(band) = band {
                self.kernels.luma(&band, cells);
            }
        }
        let samples = (features.grid.width * features.grid.height) as f64;
        features.luma_mean = features.cells.iter().map(|cell| u64::from(cell.sum)).sum::<u64>() as f64 / samples;
        features.sad_mean = features.cells.iter().map(|cell| u64::from(cell.sad)).sum::<u64>() as f64 / samples;
        features.alike = alike(features);
        features.noise = noise(&features.cells, features.grid);
        features.histogram = [0; 256];
        for row in now.rows().skip(SAMPLED / 2).step_by(SAMPLED) {
            for &sample in row.iter().skip(SAMPLED / 2).step_by(SAMPLED) {
                features.histogram[usize::from(sample)] += 1;
            }
        }
    }

    fn measure_chroma(&mut self, frame: &Frame) {
        let (Some((cb, cr)), Some((x, y))) = (frame.chroma(), frame.info.chroma) else { return };
        let (step, tall) = (CELL >> x, CELL >> y);
        let columns = self.features.grid.columns;
        for (plane, means) in [(cb, &mut self.features.cb), (cr, &mut self.features.cr)] {
            for (n, means) in means.chunks_exact_mut(columns).enumerate() {
                let mut rows: heapless::Vec<&[u8], CELL> = heapless::Vec::new();
                rows.extend((n * tall..plane.height().min((n + 1) * tall)).map(|y| plane.row(y)));
                self.kernels.sums(&rows, step, &mut self.sums);
                for (column, (mean, sum)) in means.iter_mut().zip(&self.sums).enumerate() {
                    let wide = (plane.width() - column * step).min(step);
                    *mean = (sum * 16 / (wide * rows.len()) as u32) as u16;
                }
            }
        }
    }
}

fn alike(features: &VideoFeatures) -> f64 {
    let mut alike = Correlation::default();
    for (index, before) in features.before.iter().enumerate() {
        alike.add(features.cell_mean(index), f64::from(before.sum) / f64::from(features.grid.area(index)));
    }
    alike.value()
}

/// 25 % quantile of the mean absolute difference per sample of a cell, over 1.128.
fn noise(cells: &[LumaCell], grid: Grid) -> f64 {
    // In steps of 1/16 code value; whatever moves by more than 16 is no noise.
    let mut counts = [0_u32; 256];
    for (index, cell) in cells.iter().enumerate() {
        counts[(cell.sad * 16 / grid.area(index)).min(255) as usize] += 1;
    }
    let rank = cells.len() as u32 / 4;
    let mut below = 0;
    let step = counts.iter().position(|&count| {
        below += count;
        below > rank
    });
    step.unwrap_or(0) as f64 / 16.0 / 1.128
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{OwnedSamples, PictureInfo};

    fn picture(width: usize, height: usize, luma: impl Fn(usize, usize) -> u8, cb: u8, cr: u8) -> Frame {
        let half = width.div_ceil(2) * height.div_ceil(2);
        let luma = (0..width * height).map(|n| luma(n % width, n / width)).collect();
        let info = PictureInfo::yuv420(width, height);
        let samples = OwnedSamples::yuv420(width, height, luma, vec![cb; half], vec![cr; half]);
        Frame::new(Stamp::default(), info, Box::new(samples)).expect("planes fit")
    }

    #[test]
    fn numbers_of_a_known_picture() {
        for kernels in Kernels::available() {
            let mut analyzer = VideoAnalyzer::new(kernels);
            assert!(analyzer.analyze(picture(50, 35, |_, _| 100, 90, 200)).first);
            let features = analyzer.analyze(picture(50, 35, |x, _| if x < 16 { 120 } else { 100 }, 90, 200));
            assert!(!features.first);
            assert_eq!((features.cell_mean(0), features.cell_mean(1)), (120.0, 100.0));
            assert_eq!((features.cells[0].sad, features.cells[1].sad, features.before[0].sum), (5120, 0, 25_600));
            assert!(features.cb.iter().all(|&mean| mean == 90 * 16) && features.cr.iter().all(|&m| m == 200 * 16));
            assert!((features.sad_mean - 20.0 * 16.0 / 50.0).abs() < 1e-9);
            assert!(features.share_up_to(99) == 0.0 && features.share_up_to(120) == 1.0);
        }
    }

    #[test]
    fn another_size_starts_anew() {
        let mut analyzer = VideoAnalyzer::new(Kernels::detect());
        analyzer.analyze(picture(64, 64, |_, _| 1, 1, 1));
        assert!(analyzer.analyze(picture(32, 48, |_, _| 1, 1, 1)).first);
        assert!(!analyzer.analyze(picture(32, 48, |_, _| 1, 1, 1)).first);
        let features = analyzer.analyze(picture(1, 1, |_, _| 77, 1, 1));
        assert!(features.first && features.luma_mean == 77.0);
    }
}
