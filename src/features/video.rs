//! One pass over each picture: cells of the current picture, differences to the picture before, chroma, histogram.

use super::weave::{Weave, Weaver};
use super::{Coarse, Correlation, Grid, Lines, at_rank};
use crate::frame::{DecodeEvidence, FieldOrder, Frame, Plane, Range};
use crate::kernels::{Band, CELL, Kernels, LumaCell, Strip};
use crate::time::Stamp;

/// Rows and columns from which the histogram takes its samples: every fourth of each, 1/16 of the picture, ...
const SAMPLED: usize = 4;
/// ... and fewer while more than this many are left: a share of 98 % is known to 0.1 % by then (its standard deviation).
const SAMPLES: usize = 20_000;

/// A mean change of cell means by this much, in code values ...
const CUT_CHANGE: f64 = 8.0;
/// ... into a picture whose cell means correlate less than this with those of the one before is a cut: 0.66 is the
/// least that was seen in the fastest motion, 0.47 the most at a cut.
const CUT_ALIKE: f64 = 0.5;
/// Cell means that deviate less, in code values, are a flat picture, which is like any other and like none.
const FLAT: f64 = 2.0;

/// How closely a picture is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Luma sums, extremes and the difference to the picture before, and the histogram: what needs each picture. The
    /// rest of the cells is void, steps and chroma are those of the last picture seen in full.
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
    /// Pictures came between this one and the one before that were not looked at.
    pub left_out: bool,
    /// Cells, row by row. Their differences are to the picture before, in a picture seen in full to the last such one.
    pub cells: Vec<LumaCell>,
    /// Cells of the picture before.
    pub before: Vec<LumaCell>,
    /// Mean luma of each cell, code values.
    pub means: Vec<f32>,
    /// `means` of the picture before.
    pub means_before: Vec<f32>,
    /// Steps over lines of the cells; new ones are new since the last picture that was seen in full.
    pub lines: Lines,
    /// Mean Cb of each cell in 8-bit code values times 16; empty where there is no chroma.
    pub cb: Vec<u16>,
    /// Mean Cr of each cell, as `cb`.
    pub cr: Vec<u16>,
    /// The picture in a few hundred tiles; their chroma and steps are of the last picture seen in full.
    pub coarse: Coarse,
    /// Mean distance of the cells' chroma from neutral, |Cb - 128| + |Cr - 128|, code values; 0 without chroma.
    pub saturation: f64,
    /// Luma histogram of 10 000 to 20 000 samples, or of 1/16 of a small picture.
    pub histogram: [u32; 256],
    /// Mean luma, code values.
    pub luma_mean: f64,
    /// Mean of the cells' `sad` per sample, code values.
    pub sad_mean: f64,
    /// Mean absolute change of cell means against the picture before, code values.
    pub change: f64,
    /// Another scene than the picture before, or from or to a flat picture.
    pub cut: bool,
    /// Correlation of the cell means of this picture and the one before, -1 to 1: low at a cut.
    pub alike: f64,
    /// As `alike`, with the last picture that was seen in full.
    pub alike_in_full: f64,
    /// Noise between two pictures, as a standard deviation in code values: from the quietest quarter of the cells,
    /// which do not move in most pictures (mean absolute difference over 2/sqrt(pi)).
    pub noise: f64,
    /// How the rows of this picture lie in time, in a picture seen in full.
    pub weave: Weave,
}

impl VideoFeatures {
    /// Share of samples at or below `level`, 0 to 1.
    pub fn share_up_to(&self, level: u8) -> f64 {
        let below: u32 = self.histogram[..=usize::from(level)].iter().sum();
        let all: u32 = self.histogram.iter().sum();
        f64::from(below) / f64::from(all.max(1))
    }

    /// Share of samples at or over 98 % of the nominal range, 0 to 1: driven into white.
    pub fn white_share(&self) -> f64 {
        let (black, white) = self.range.black_white();
        1.0 - self.share_up_to((f64::from(black) + 0.98 * (f64::from(white) - f64::from(black))) as u8)
    }

    /// Luma that a share of the samples, 0 to 1, does not exceed, code values.
    pub fn luma_quantile(&self, share: f64) -> f64 {
        let all: u32 = self.histogram.iter().sum();
        at_rank(&self.histogram, (f64::from(all) * share) as u32).unwrap_or(255) as f64
    }

    /// Mean luma of cell `index`, code values.
    pub fn cell_mean(&self, index: usize) -> f64 {
        f64::from(self.means[index])
    }
}

/// Keeps the picture before, by reference, and the buffers; allocates only when the size changes.
#[derive(Debug)]
pub struct VideoAnalyzer {
    kernels: Kernels,
    previous: Option<Frame>,
    /// The last picture that was seen in full, where it is not the one before.
    in_full: Option<Frame>,
    means_in_full: Vec<f32>,
    /// Samples in each cell.
    areas: Vec<u16>,
    sums: Vec<u16>,
    left_out: bool,
    weaver: Weaver,
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
            left_out: false,
            cells: Vec::new(),
            before: Vec::new(),
            means: Vec::new(),
            means_before: Vec::new(),
            lines: Lines::default(),
            cb: Vec::new(),
            cr: Vec::new(),
            coarse: Coarse::default(),
            saturation: 0.0,
            histogram: [0; 256],
            luma_mean: 0.0,
            sad_mean: 0.0,
            change: 0.0,
            cut: false,
            alike: 1.0,
            alike_in_full: 1.0,
            noise: 0.0,
            weave: Weave::default(),
        };
        let (means_in_full, areas, sums) = (Vec::new(), Vec::new(), Vec::new());
        let weaver = Weaver::default();
        Self { kernels, previous: None, in_full: None, means_in_full, areas, sums, left_out: false, weaver, features }
    }

    /// The picture analysed last.
    pub fn last_picture(&self) -> Option<&Frame> {
        self.previous.as_ref()
    }

    /// What was measured of it.
    pub fn features(&self) -> &VideoFeatures {
        &self.features
    }

    /// Forgets the picture before: what comes next does not follow it.
    pub fn restart(&mut self) {
        self.previous = None;
        self.in_full = None;
    }

    /// A picture came that will not be looked at.
    pub fn leave_out(&mut self) {
        self.left_out = true;
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
        let was = self.features.depth;
        let features = &mut self.features;
        std::mem::swap(&mut features.cells, &mut features.before);
        std::mem::swap(&mut features.means, &mut features.means_before);
        features.stamp = frame.stamp;
        features.range = frame.info.range;
        features.field_order = frame.info.field_order;
        features.intra = frame.info.intra;
        features.decode = frame.info.decode;
        features.first = self.previous.is_none();
        features.left_out = std::mem::take(&mut self.left_out);
        features.depth = if features.first { Depth::Full } else { depth };
        self.measure(&frame);
        self.weave(&frame);
        self.sum_up(was);
        self.keep(frame, was);
        &self.features
    }

    fn resize(&mut self, grid: Grid, chroma: bool) {
        let features = &mut self.features;
        features.grid = grid;
        features.cells = vec![LumaCell::default(); grid.len()];
        features.before = features.cells.clone();
        features.means = vec![0.0; grid.len()];
        features.means_before = features.means.clone();
        features.lines = Lines::of(grid);
        let places = if chroma { grid.len() } else { 0 };
        for plane in [&mut features.cb, &mut features.cr] {
            *plane = vec![0; places];
        }
        features.coarse = Coarse::of(grid, chroma);
        self.means_in_full = features.means.clone();
        self.areas = (0..grid.len()).map(|index| grid.area(index) as u16).collect();
        self.sums = vec![0; grid.columns];
        self.restart();
    }

    /// Visits all samples, band by band, so that each is fetched once.
    fn measure(&mut self, frame: &Frame) {
        let Self { kernels, previous, in_full, sums, features, .. } = self;
        let full = features.depth == Depth::Full;
        let before = if full { in_full.as_ref().or(previous.as_ref()) } else { previous.as_ref() };
        let (now, before) = (frame.luma(), before.map_or(frame.luma(), Frame::luma));
        let chroma = frame.chroma().zip(frame.info.chroma).filter(|_| full);
        let columns = features.grid.columns;
        let sampled = sampling(features.grid);
        features.histogram = [0; 256];
        for (row, cells) in features.cells.chunks_exact_mut(columns).enumerate() {
            let top = row * CELL;
            let Some(band) = Band::new(now, before, top) else { continue };
            if full {
                kernels.luma(&band, cells, &mut features.lines.row_mut(row));
            } else {
                kernels.glance(&band, cells);
            }
            let rows = (top..now.height().min(top + CELL)).skip(sampled.1 / 2).step_by(sampled.1);
            rows.for_each(|y| count(&mut features.histogram, now.row(y), sampled.0));
            let Some(((cb, cr), subsampling)) = chroma else { continue };
            let places = row * columns..(row + 1) * columns;
            mean_chroma(*kernels, cb, subsampling, row, sums, &mut features.cb[places.clone()]);
            mean_chroma(*kernels, cr, subsampling, row, sums, &mut features.cr[places]);
        }
    }

    /// How the rows lie in time, against the picture right before.
    fn weave(&mut self, frame: &Frame) {
        let Self { weaver, previous, features, .. } = self;
        let full = features.depth == Depth::Full;
        if !full || features.first || features.left_out {
            weaver.forget();
        }
        let before = previous.as_ref().filter(|_| !features.left_out).map(Frame::luma);
        let interlaced = features.field_order != FieldOrder::Progressive;
        features.weave = if full { weaver.look(frame.luma(), before, interlaced) } else { Weave::default() };
    }

    /// Numbers of the whole picture, and means. `was`: the depth of the picture before.
    fn sum_up(&mut self, was: Depth) {
        let Self { means_in_full, areas, features, .. } = self;
        let samples = (features.grid.width * features.grid.height) as f64;
        let (mut luma, mut sad) = (0_u64, 0_u64);
        let mut noise = Noise::default();
        for ((mean, cell), &area) in features.means.iter_mut().zip(&features.cells).zip(areas.iter()) {
            luma += u64::from(cell.sum);
            sad += u64::from(cell.sad);
            *mean = f32::from(cell.sum) / f32::from(area);
            noise.add(cell.sad, area);
        }
        features.luma_mean = luma as f64 / samples;
        features.sad_mean = sad as f64 / samples;
        features.noise = noise.sigma(features.cells.len());
        features.coarse.take_luma(&features.means);
        let both = Correlation::of(&features.means, &features.means_before);
        features.alike = both.value();
        features.change = mean_difference(&features.means, &features.means_before);
        let other = features.alike < CUT_ALIKE || both.deviation() < FLAT;
        features.cut = !features.first && features.change > CUT_CHANGE && other;
        if features.depth == Depth::Full {
            features.coarse.take_steps(&features.cells);
        }
        if features.depth == Depth::Full && !features.cb.is_empty() {
            features.coarse.take_chroma(&features.cb, &features.cr);
            features.saturation = (from_neutral(&features.cb) + from_neutral(&features.cr)) / 16.0;
        }
        if features.depth == Depth::Full {
            let same = was == Depth::Full;
            features.alike_in_full =
                if same { features.alike } else { Correlation::of(&features.means, means_in_full).value() };
        }
    }

    fn keep(&mut self, frame: Frame, was: Depth) {
        let previous = self.previous.replace(frame);
        match (self.features.depth, was) {
            (Depth::Full, _) => self.in_full = None,
            (Depth::Light, Depth::Full) => {
                self.in_full = previous;
                self.means_in_full.copy_from_slice(&self.features.means_before);
            }
            (Depth::Light, Depth::Light) => {}
        }
    }
}

/// Mean of the absolute differences.
fn mean_difference(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; 8];
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a8.iter().zip(b8) {
        lanes.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += (a - b).abs());
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b).abs()).sum();
    f64::from(lanes.iter().sum::<f32>() + rest) / a.len().max(1) as f64
}

/// Mean distance of chroma from neutral, in sixteenths of a code value.
fn from_neutral(plane: &[u16]) -> f64 {
    let sum: u32 = plane.iter().map(|&mean| u32::from(mean.abs_diff(128 * 16))).sum();
    f64::from(sum) / plane.len().max(1) as f64
}

/// Means of the cells in row `row` of one chroma plane.
fn mean_chroma(kernels: Kernels, plane: Plane<'_>, (x, y): (u8, u8), row: usize, sums: &mut [u16], means: &mut [u16]) {
    let (step, tall) = (CELL >> x, CELL >> y);
    let Some(strip) = Strip::new(plane, row * tall, tall, step) else { return };
    kernels.sums(&strip, sums);
    let mean = |sum: u16, samples: usize| (u32::from(sum) * 16 / samples as u32) as u16;
    let samples = step * strip.rows();
    for (place, &sum) in means.iter_mut().zip(&*sums) {
        // Nearly always, and a division is dear.
        *place = if samples == 64 { sum / 4 } else { mean(sum, samples) };
    }
    let narrow = plane.width() % step;
    if let (Some(place), Some(&sum), 1..) = (means.last_mut(), sums.last(), narrow) {
        *place = mean(sum, narrow * strip.rows());
    }
}

/// Every how manieth column and row the histogram takes.
fn sampling(grid: Grid) -> (usize, usize) {
    let (mut x, mut y) = (SAMPLED, SAMPLED);
    while grid.width / x * (grid.height / y) > SAMPLES {
        // A band of cells has a row to give up to the last.
        if y < CELL && y <= x { y *= 2 } else { x *= 2 }
    }
    (x, y)
}

fn count(histogram: &mut [u32; 256], row: &[u8], step: usize) {
    match step {
        4 => count_each::<4>(histogram, row),
        8 => count_each::<8>(histogram, row),
        16 => count_each::<16>(histogram, row),
        _ => row.iter().skip(step / 2).step_by(step).for_each(|&sample| histogram[usize::from(sample)] += 1),
    }
}

fn count_each<const STEP: usize>(histogram: &mut [u32; 256], row: &[u8]) {
    let (whole, rest) = row.as_chunks::<STEP>();
    whole.iter().for_each(|samples| histogram[usize::from(samples[STEP / 2])] += 1);
    if let Some(&sample) = rest.get(STEP / 2) {
        histogram[usize::from(sample)] += 1;
    }
}

/// Mean absolute differences per sample, counted in steps of 1/16 code value; what moves by more than 16 is no noise.
struct Noise([u32; 256]);

impl Default for Noise {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Noise {
    fn add(&mut self, sad: u16, area: u16) {
        // Nearly all cells have 256 samples, and a division is dear.
        let step = if area == 256 { u32::from(sad) / 16 } else { u32::from(sad) * 16 / u32::from(area) };
        self.0[step.min(255) as usize] += 1;
    }

    /// Their 25 % quantile over 1.128.
    fn sigma(&self, cells: usize) -> f64 {
        at_rank(&self.0, cells as u32 / 4).unwrap_or(0) as f64 / 16.0 / 1.128
    }
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
            assert_eq!(features.means_before[0], 100.0);
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

    #[test]
    fn a_picture_in_full_is_held_against_the_last_in_full() {
        let shown = |n: usize| move |x: usize, _: usize| if x < 16 * n { 200 } else { 50 };
        let mut analyzer = VideoAnalyzer::new(Kernels::detect());
        analyzer.analyze(picture(64, 32, shown(0), 90, 90));
        let light = analyzer.look(picture(64, 32, shown(1), 120, 90), Depth::Light);
        assert_eq!((light.depth, light.cells[0].sad, light.cb[0]), (Depth::Light, 150 * 256, 90 * 16));
        assert_eq!(light.histogram.iter().sum::<u32>(), 16 * 8);
        let light = analyzer.look(picture(64, 32, shown(2), 120, 90), Depth::Light);
        assert_eq!((light.cells[0].sad, light.cells[1].sad), (0, 150 * 256));
        let full = analyzer.look(picture(64, 32, shown(2), 120, 90), Depth::Full);
        assert_eq!((full.cells[0].sad, full.cells[1].sad, full.cb[0]), (150 * 256, 150 * 256, 120 * 16));
        assert_eq!((full.means_before[1], full.alike), (200.0, 1.0));
        assert!(full.alike_in_full == 1.0, "the first picture was flat");
        // The side at column 32 is new since then, and not since the picture before.
        assert_eq!(full.lines.new_steps(0)[2], 75 * 16);
        let again = analyzer.look(picture(64, 32, shown(2), 120, 90), Depth::Full);
        assert_eq!((again.lines.new_steps(0)[2], again.lines.steps(0)[2]), (0, 150 * 16));
    }

    #[test]
    fn large_pictures_are_sampled_no_more_than_small_ones() {
        for (width, height) in [(1280, 720), (1920, 1080), (3840, 2160), (8192, 4320), (320, 180)] {
            let (x, y) = sampling(Grid::new(width, height));
            let samples = width / x * (height / y);
            assert!(samples <= SAMPLES && (samples >= SAMPLES / 2 || x == SAMPLED), "{width}x{height}: {samples}");
            assert!(CELL.is_multiple_of(y), "each band has the same rows");
        }
    }
}
