//! Pictures by half blocks: each cell shows two pixels, one above the other.

use crate::ids::{DeviceId, SourceId};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Wider or higher pictures are not decoded: Picket's are 480 wide.
const SIDE_MAX: usize = 2048;

/// A decoded picture, RGB.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// The picture that was shown last: decoded once, not with each drawing.
pub(in crate::watch) struct Cache {
    key: Option<(DeviceId, SourceId, u64)>,
    picture: Option<Picture>,
    true_colour: bool,
}

impl Cache {
    /// With all colours, or with the 256 that every terminal has.
    pub(in crate::watch) fn new(true_colour: bool) -> Self {
        Self { key: None, picture: None, true_colour }
    }

    /// Shows a JPEG as large as it fits; `false` when it cannot be decoded.
    pub(super) fn show(
        &mut self,
        buffer: &mut Buffer,
        area: Rect,
        (device, source, number): (&DeviceId, &SourceId, u64),
        jpeg: &[u8],
    ) -> bool {
        let key = (device.clone(), source.clone(), number);
        if self.key.as_ref() != Some(&key) {
            self.picture = decode(jpeg);
            self.key = Some(key);
        }
        let Some(picture) = &self.picture else { return false };
        let (columns, rows) = fitting(picture, area);
        for row in 0..rows {
            for column in 0..columns {
                let colour = |half: usize| picture.mean((column, 2 * row + half), (columns, 2 * rows));
                let (x, y) = (area.x + column as u16, area.y + row as u16);
                if let Some(cell) = buffer.cell_mut((x, y)) {
                    cell.set_symbol("▀").set_fg(self.colour(colour(0))).set_bg(self.colour(colour(1)));
                }
            }
        }
        true
    }

    fn colour(&self, [r, g, b]: [u8; 3]) -> Color {
        if self.true_colour { Color::Rgb(r, g, b) } else { Color::Indexed(indexed([r, g, b])) }
    }
}

/// Of the 6 x 6 x 6 cube of the 256 colours, or of its 24 greys.
fn indexed([r, g, b]: [u8; 3]) -> u8 {
    let (low, high) = (r.min(g).min(b), r.max(g).max(b));
    if high - low < 12 {
        // Greys are 8, 18 ... 238.
        return match high {
            0..4 => 16,
            247.. => 231,
            grey => 232 + (grey.saturating_sub(3) / 10).min(23),
        };
    }
    // Steps are 0, 95, 135, 175, 215, 255.
    let step = |value: u8| match value {
        0..48 => 0,
        48..115 => 1,
        value => (value - 35) / 40,
    };
    16 + 36 * step(r) + 6 * step(g) + step(b)
}

/// Columns and rows that keep the shape; a cell is twice as high as wide.
fn fitting(picture: &Picture, area: Rect) -> (usize, usize) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let rows = (width * picture.height).div_ceil(picture.width * 2).max(1);
    match rows <= height {
        true => (width, rows),
        false => ((height * 2 * picture.width / picture.height).clamp(1, width.max(1)), height),
    }
}

impl Picture {
    /// Mean colour of one of so many equal fields.
    fn mean(&self, (column, row): (usize, usize), (columns, rows): (usize, usize)) -> [u8; 3] {
        let part = |at: usize, of: usize, length: usize| {
            let from = at * length / of;
            from..((at + 1) * length / of).clamp(from + 1, length.max(from + 1))
        };
        let (mut sums, mut count) = ([0_u32; 3], 0_u32);
        for y in part(row, rows, self.height) {
            for x in part(column, columns, self.width) {
                let at = (y * self.width + x) * 3;
                if let Some([r, g, b]) = self.rgb.get(at..at + 3) {
                    sums[0] += u32::from(*r);
                    sums[1] += u32::from(*g);
                    sums[2] += u32::from(*b);
                    count += 1;
                }
            }
        }
        sums.map(|sum| (sum / count.max(1)) as u8)
    }
}

/// A JPEG that anybody may have made. `None`: it is none, or too large.
fn decode(jpeg: &[u8]) -> Option<Picture> {
    let options = DecoderOptions::default()
        .set_max_width(SIDE_MAX)
        .set_max_height(SIDE_MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let rgb = decoder.decode().ok()?;
    let (width, height) = decoder.dimensions()?;
    let whole = width > 0 && height > 0 && rgb.len() >= width.checked_mul(height)?.checked_mul(3)?;
    whole.then_some(Picture { width, height, rgb })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left half of one colour, right half of another.
    fn halves(left: [u8; 3], right: [u8; 3]) -> Vec<u8> {
        let rgb: Vec<u8> = (0..64 * 32).flat_map(|n| if n % 64 < 32 { left } else { right }).collect();
        let mut out = Vec::new();
        jpeg_encoder::Encoder::new(&mut out, 90).encode(&rgb, 64, 32, jpeg_encoder::ColorType::Rgb).expect("encoded");
        out
    }

    fn device() -> (DeviceId, SourceId) {
        (DeviceId::offline(), SourceId::new("a").expect("an id"))
    }

    #[test]
    fn a_picture_keeps_its_shape_and_colours() {
        let (device, source) = device();
        let area = Rect::new(0, 0, 20, 10);
        let mut buffer = Buffer::empty(area);
        let mut cache = Cache::new(true);
        assert!(cache.show(&mut buffer, area, (&device, &source, 1), &halves([200, 30, 30], [20, 20, 180])));
        // 64 x 32 in 20 columns: 10 half rows, 5 rows.
        let near = |colour: Color, wanted: [u8; 3]| match colour {
            Color::Rgb(r, g, b) => [r, g, b].iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 12),
            _ => false,
        };
        assert!(near(buffer[(2, 2)].fg, [200, 30, 30]) && near(buffer[(17, 4)].bg, [20, 20, 180]));
        assert_eq!((buffer[(2, 4)].symbol(), buffer[(2, 5)].symbol()), ("▀", " "));
    }

    #[test]
    fn spoilt_pictures_are_refused_or_shown_and_never_panic() {
        let (device, source) = device();
        let good = halves([255; 3], [0; 3]);
        let area = Rect::new(0, 0, 7, 3);
        let mut buffer = Buffer::empty(area);
        let mut cache = Cache::new(false);
        for (n, at) in (0..good.len()).enumerate() {
            let mut bad = good.clone();
            bad[at] ^= 0x5a;
            bad.truncate(good.len() - at / 3);
            cache.show(&mut buffer, area, (&device, &source, n as u64), &bad);
        }
        assert!(!cache.show(&mut buffer, area, (&device, &source, u64::MAX), b"\xff\xd8 no JPEG"));
        assert_eq!(decode(b""), None);
    }

    #[test]
    fn the_256_colours() {
        assert_eq!([indexed([0; 3]), indexed([255; 3]), indexed([128; 3])], [16, 231, 244]);
        assert_eq!([indexed([255, 0, 0]), indexed([0, 255, 0]), indexed([95, 135, 175])], [196, 46, 67]);
    }
}
