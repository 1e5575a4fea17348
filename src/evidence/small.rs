//! A picture made small, and what is drawn on it.

use crate::detect::Region;
use crate::frame::{Frame, Plane, Range};
use crate::kernels::CELL;

/// Marks are drawn in a colour that no camera sees: full magenta (Y, Cb, Cr; ITU-T T.871).
pub(super) const MARK: [u8; 3] = [105, 212, 234];

/// How closely a picture is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// Every sample counts.
    Fine,
    /// Of the samples of a place, at most two by two: for copies that are nearly always thrown away.
    Quick,
}

/// A small picture: full-range Y, Cb, Cr, interleaved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Small {
    pub width: usize,
    pub height: usize,
    pub samples: Vec<u8>,
}

impl Small {
    /// `frame`, at most `width_max` wide; smaller ones are not enlarged. Samples keep their matrix: on HD material hues
    /// are off by a few degrees.
    pub fn of(frame: &Frame, width_max: usize) -> Self {
        let mut small = Self::default();
        small.take(frame, width_max, Care::Fine);
        small
    }

    /// Becomes `frame`, in the memory that it has.
    pub fn take(&mut self, frame: &Frame, width_max: usize, care: Care) {
        self.width = frame.info.width.min(width_max);
        self.height = (frame.info.height * self.width / frame.info.width).clamp(1, width_max * 2);
        self.samples.clear();
        self.samples.resize(self.width * self.height * 3, 128);
        let (black, white) = frame.info.range.black_white();
        // Chroma of limited range spans 16 to 240 (ITU-R BT.601).
        let chroma_gain = if frame.info.range == Range::Limited { 255.0 / 224.0 } else { 1.0 };
        let luma_gain = 255.0 / (f32::from(white) - f32::from(black));
        self.fill(0, &frame.luma(), care, (f32::from(black), luma_gain, 0.0));
        if let Some((cb, cr)) = frame.chroma() {
            self.fill(1, &cb, care, (128.0, chroma_gain, 128.0));
            self.fill(2, &cr, care, (128.0, chroma_gain, 128.0));
        }
    }

    /// Writes component `number` of each pixel: the mean of what it covers, less `from`, times `gain`, plus `to`.
    fn fill(&mut self, number: usize, plane: &Plane<'_>, care: Care, (from, gain, to): (f32, f32, f32)) {
        let span = |at: usize, of: usize, length: usize| {
            let from = (at * length / of).min(length - 1);
            from..((at + 1) * length / of).clamp(from + 1, length)
        };
        let step = |length: usize| if care == Care::Quick { length.div_ceil(2) } else { 1 };
        for y in 0..self.height {
            let rows = span(y, self.height, plane.height());
            let down = step(rows.len());
            for x in 0..self.width {
                let columns = span(x, self.width, plane.width());
                let across = step(columns.len());
                let (mut sum, mut count) = (0_u32, 0_u32);
                for row in rows.clone().step_by(down) {
                    for &sample in plane.row(row)[columns.clone()].iter().step_by(across) {
                        sum += u32::from(sample);
                        count += 1;
                    }
                }
                let level = ((sum as f32 / count as f32 - from) * gain + to).round().clamp(0.0, 255.0);
                self.samples[(y * self.width + x) * 3 + number] = level as u8;
            }
        }
    }

    /// Where sample (`x`, `y`) of `frame` lies.
    fn place(&self, frame: &Frame, x: usize, y: usize) -> (usize, usize) {
        let (x, y) = (x * self.width / frame.info.width, y * self.height / frame.info.height);
        (x.min(self.width), y.min(self.height))
    }

    fn paint(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        let at = (y * self.width + x) * 3;
        self.samples[at..at + 3].copy_from_slice(&colour);
    }

    /// Draws the edge of `region`.
    pub fn outline(&mut self, frame: &Frame, region: Region) {
        let (x, y, w, h) = (region.x as usize, region.y as usize, region.w as usize, region.h as usize);
        let ((left, top), (right, bottom)) = (self.place(frame, x, y), self.place(frame, x + w, y + h));
        for y in top..bottom {
            for x in left..right {
                if x < left + 2 || x + 2 >= right || y < top + 2 || y + 2 >= bottom {
                    self.paint(x, y, MARK);
                }
            }
        }
    }

    /// Becomes a map of `heat`: the picture dim and without colour, and each cell the nearer to the colour of the mark
    /// the oftener it was flagged.
    pub fn map(&mut self, frame: &Frame, heat: &[u8]) {
        for pixel in self.samples.as_chunks_mut::<3>().0 {
            *pixel = [pixel[0] / 2, 128, 128];
        }
        let columns = frame.info.width.div_ceil(CELL);
        let most = f32::from(heat.iter().copied().max().unwrap_or(0)).max(1.0);
        for (index, &times) in heat.iter().enumerate().filter(|&(_, &times)| times > 0) {
            // Flagged once among many is to be seen too.
            let share = 0.35 + 0.65 * f32::from(times) / most;
            let (x, y) = (index % columns * CELL, index / columns * CELL);
            let ((left, top), (right, bottom)) = (self.place(frame, x, y), self.place(frame, x + CELL, y + CELL));
            for y in top..bottom {
                for x in left..right {
                    let at = (y * self.width + x) * 3;
                    for (sample, mark) in self.samples[at..at + 3].iter_mut().zip(MARK) {
                        *sample = (f32::from(*sample) * (1.0 - share) + f32::from(mark) * share) as u8;
                    }
                }
            }
        }
    }

    /// `self` above; below it, in halves of its width, what there is of `left` and `right`.
    pub fn above(self, left: Option<&Small>, right: Option<&Small>) -> Self {
        let below = left.iter().chain(&right).map(|small| small.height).max().unwrap_or(0);
        if below == 0 {
            return self;
        }
        let (width, height) = (self.width, self.height);
        let mut all = Self { width, height: height + below, samples: self.samples };
        // Black where there is nothing.
        all.samples.extend([0, 128, 128].repeat(width * below));
        for (small, from) in [(left, 0), (right, width / 2)] {
            let Some(small) = small else { continue };
            let wide = small.width.min(width - from) * 3;
            for (y, row) in small.samples.chunks_exact(small.width.max(1) * 3).enumerate() {
                let at = ((height + y) * width + from) * 3;
                all.samples[at..at + wide].copy_from_slice(&row[..wide]);
            }
        }
        all
    }
}
