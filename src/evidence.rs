//! Pictures for people: a small JPEG of the moment, with the place of the defect marked.

use crate::alert::Evidence;
use crate::detect::Region;
use crate::frame::{Frame, Plane, Range};
use crate::kernels::CELL;

/// Largest file (contract, mqtt).
pub const BYTES_MAX: usize = 32 << 10;
/// Width of the picture; smaller sources are not enlarged.
const WIDTH_MAX: usize = 480;
/// Qualities tried until the file is small enough: at 480 pixels the first nearly always is.
const QUALITIES: [u8; 5] = [75, 55, 35, 15, 3];
/// Marks are drawn in a colour that no camera sees: full magenta (Y, Cb, Cr; ITU-T T.871).
const MARK: [u8; 3] = [105, 212, 234];

/// A JPEG of `frame`; `region` gets a frame around it, and the cells that are set in `flagged` (one entry a cell, or
/// none) get the colour of the mark. Samples keep their matrix: on HD material hues are off by a few degrees.
pub fn picture(frame: &Frame, region: Option<Region>, flagged: &[bool]) -> Option<Evidence> {
    let mut small = Small::of(frame);
    small.tint(frame, flagged);
    if let Some(region) = region {
        small.outline(frame, region);
    }
    let jpeg = QUALITIES.iter().find_map(|&quality| small.jpeg(quality).filter(|jpeg| jpeg.len() <= BYTES_MAX))?;
    let sha256 = sha256(&jpeg);
    Some(Evidence { jpeg, sha256 })
}

/// SHA-256, hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The picture made small: full-range Y, Cb, Cr, interleaved.
struct Small {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

impl Small {
    fn of(frame: &Frame) -> Self {
        let width = frame.info.width.min(WIDTH_MAX);
        let height = (frame.info.height * width / frame.info.width).clamp(1, WIDTH_MAX * 2);
        let mut samples = vec![128; width * height * 3];
        let (black, white) = frame.info.range.black_white();
        let luma_gain = 255.0 / (f64::from(white) - f64::from(black));
        let luma = |mean: f64| ((mean - f64::from(black)) * luma_gain).round().clamp(0.0, 255.0) as u8;
        // Chroma of limited range spans 16 to 240 (ITU-R BT.601).
        let chroma_gain = if frame.info.range == Range::Limited { 255.0 / 224.0 } else { 1.0 };
        let chroma = |mean: f64| ((mean - 128.0) * chroma_gain + 128.0).round().clamp(0.0, 255.0) as u8;
        fill(&mut samples, 0, (width, height), &frame.luma(), luma);
        if let Some((cb, cr)) = frame.chroma() {
            fill(&mut samples, 1, (width, height), &cb, chroma);
            fill(&mut samples, 2, (width, height), &cr, chroma);
        }
        Self { width, height, samples }
    }

    fn jpeg(&self, quality: u8) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut out, quality);
        let (width, height) = (self.width as u16, self.height as u16);
        encoder.encode(&self.samples, width, height, jpeg_encoder::ColorType::Ycbcr).ok()?;
        Some(out)
    }

    fn place(&self, frame: &Frame, x: usize, y: usize) -> (usize, usize) {
        let (x, y) = (x * self.width / frame.info.width, y * self.height / frame.info.height);
        (x.min(self.width), y.min(self.height))
    }

    fn tint(&mut self, frame: &Frame, flagged: &[bool]) {
        let columns = frame.info.width.div_ceil(CELL);
        for (index, _) in flagged.iter().enumerate().filter(|&(_, &flag)| flag) {
            let (x, y) = (index % columns * CELL, index / columns * CELL);
            let ((left, top), (right, bottom)) = (self.place(frame, x, y), self.place(frame, x + CELL, y + CELL));
            for y in top..bottom {
                for x in left..right {
                    // Colour only, so that the damage stays to be seen.
                    let at = (y * self.width + x) * 3;
                    self.samples[at + 1] = u8::midpoint(self.samples[at + 1], MARK[1]);
                    self.samples[at + 2] = u8::midpoint(self.samples[at + 2], MARK[2]);
                }
            }
        }
    }

    fn outline(&mut self, frame: &Frame, region: Region) {
        let (x, y, w, h) = (region.x as usize, region.y as usize, region.w as usize, region.h as usize);
        let ((left, top), (right, bottom)) = (self.place(frame, x, y), self.place(frame, x + w, y + h));
        for y in top..bottom {
            for x in left..right {
                if x < left + 2 || x + 2 >= right || y < top + 2 || y + 2 >= bottom {
                    let at = (y * self.width + x) * 3;
                    self.samples[at..at + 3].copy_from_slice(&MARK);
                }
            }
        }
    }
}

/// Writes component `number` of each pixel: the mean of the samples that it covers, through `level`.
fn fill(out: &mut [u8], number: usize, (width, height): (usize, usize), plane: &Plane<'_>, level: impl Fn(f64) -> u8) {
    let span = |at: usize, of: usize, length: usize| {
        let from = (at * length / of).min(length - 1);
        from..((at + 1) * length / of).clamp(from + 1, length)
    };
    for y in 0..height {
        let rows = span(y, height, plane.height());
        for x in 0..width {
            let columns = span(x, width, plane.width());
            let count = rows.len() * columns.len();
            let sum: u32 = rows.clone().flat_map(|row| &plane.row(row)[columns.clone()]).map(|&s| u32::from(s)).sum();
            out[(y * width + x) * 3 + number] = level(f64::from(sum) / count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{OwnedSamples, PictureInfo};
    use crate::time::Stamp;

    fn frame(width: usize, height: usize, luma: impl Fn(usize) -> u8) -> Frame {
        let info = PictureInfo::yuv420(width, height);
        let half = width.div_ceil(2) * height.div_ceil(2);
        let luma = (0..width * height).map(luma).collect();
        let samples = OwnedSamples::yuv420(width, height, luma, vec![128; half], vec![128; half]);
        Frame::new(Stamp::default(), info, Box::new(samples)).expect("planes fit")
    }

    #[test]
    fn a_picture_of_any_size_fits_and_is_a_jpeg() {
        let mut chance = 1_u32;
        let mut noise = move |_| {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (chance >> 24) as u8
        };
        for (width, height) in [(1920, 1080), (1, 1), (720, 576), (33, 1100)] {
            let values: Vec<u8> = (0..width * height).map(&mut noise).collect();
            let seen = picture(&frame(width, height, |n| values[n]), None, &[]).expect("a picture");
            assert!(seen.jpeg.starts_with(&[0xff, 0xd8]) && seen.jpeg.len() <= BYTES_MAX, "{}", seen.jpeg.len());
            assert_eq!(seen.sha256.len(), 64);
        }
    }

    #[test]
    fn range_and_marks_are_drawn() {
        let grey = frame(960, 540, |_| 16);
        let mut small = Small::of(&grey);
        assert_eq!((small.width, small.height, &small.samples[..3]), (480, 270, &[0, 128, 128][..]));
        let mut flagged = vec![false; 60 * 34];
        flagged[0] = true;
        small.tint(&grey, &flagged);
        assert_eq!(small.samples[..3], [0, 170, 181]);
        small.outline(&grey, Region { x: 100, y: 100, w: 200, h: 100 });
        let at = |x: usize, y: usize| &small.samples[(y * 480 + x) * 3..][..3];
        assert_eq!((at(50, 50), at(60, 60), at(149, 99)), (&MARK[..], &[0, 128, 128][..], &MARK[..]));
    }
}
