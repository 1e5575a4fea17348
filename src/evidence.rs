//! Pictures for people: a small JPEG of the moment, with the place of the defect marked, and of what was before.

mod past;
mod small;

pub use past::{Heat, Past};

use crate::alert::Evidence;
use crate::detect::Region;
use crate::frame::Frame;
use small::Small;

/// Largest file (contract, mqtt).
pub const BYTES_MAX: usize = 32 << 10;
/// Width of the picture (contract, mqtt); smaller sources are not enlarged.
const WIDTH_MAX: usize = 480;
/// Qualities tried until the file is small enough: of 480 x 405 pixels the first or second nearly always is.
const QUALITIES: [u8; 5] = [75, 55, 35, 15, 3];

/// A picture from before the defect.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a>(&'a Small);

/// What is shown besides the picture itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// Gets a frame around it.
    pub region: Option<Region>,
    /// Shown below, on the left.
    pub before: Option<Before<'a>>,
    /// How often each cell was flagged, or none: shown as a map below, on the right.
    pub heat: &'a [u8],
}

/// One JPEG of all that is shown, so that one topic and one hash carry it: `frame` at the top, in the full width; below
/// it, in half the width each, the picture from before and the map of flagged cells, where there are such.
pub fn picture(frame: &Frame, shown: Shown<'_>) -> Option<Evidence> {
    let mut small = Small::of(frame, WIDTH_MAX);
    if let Some(region) = shown.region {
        small.outline(frame, region);
    }
    let half = (small.width / 2).max(1);
    let map = (!shown.heat.is_empty()).then(|| {
        let mut map = Small::of(frame, half);
        map.map(frame, shown.heat);
        map
    });
    let all = small.above(shown.before.map(|before| before.0), map.as_ref());
    let jpeg = QUALITIES.iter().find_map(|&quality| jpeg(&all, quality).filter(|jpeg| jpeg.len() <= BYTES_MAX))?;
    let sha256 = sha256(&jpeg);
    Some(Evidence { jpeg, sha256 })
}

fn jpeg(small: &Small, quality: u8) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    let (width, height) = (small.width as u16, small.height as u16);
    encoder.encode(&small.samples, width, height, jpeg_encoder::ColorType::Ycbcr).ok()?;
    Some(out)
}

/// SHA-256, hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::small::MARK;
    use super::*;
    use crate::frame::{OwnedSamples, PictureInfo};
    use crate::time::{MediaTime, Stamp};

    pub(super) fn frame_at(seconds: f64, width: usize, height: usize, luma: impl Fn(usize) -> u8) -> Frame {
        let info = PictureInfo::yuv420(width, height);
        let half = width.div_ceil(2) * height.div_ceil(2);
        let luma = (0..width * height).map(luma).collect();
        let samples = OwnedSamples::yuv420(width, height, luma, vec![128; half], vec![128; half]);
        let stamp = Stamp { at: MediaTime::from_secs_f64(seconds), ..Stamp::default() };
        Frame::new(stamp, info, Box::new(samples)).expect("planes fit")
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
            let frame = frame_at(9.0, width, height, |n| values[n]);
            let mut past = Past::default();
            past.take(&frame_at(0.0, width, height, |n| values[n]));
            let heat = vec![1; width.div_ceil(16) * height.div_ceil(16)];
            let before = past.before(MediaTime(5));
            for shown in [Shown::default(), Shown { before, heat: &heat, region: None }] {
                let seen = picture(&frame, shown).expect("a picture");
                assert!(seen.jpeg.starts_with(&[0xff, 0xd8]) && seen.jpeg.len() <= BYTES_MAX, "{}", seen.jpeg.len());
                assert_eq!(seen.sha256.len(), 64);
            }
        }
    }

    #[test]
    fn range_and_marks_are_drawn() {
        let grey = frame_at(0.0, 960, 540, |_| 16);
        let mut small = Small::of(&grey, 480);
        assert_eq!((small.width, small.height, &small.samples[..3]), (480, 270, &[0, 128, 128][..]));
        small.outline(&grey, Region { x: 100, y: 100, w: 200, h: 100 });
        let at = |small: &Small, x: usize, y: usize| -> [u8; 3] {
            small.samples[(y * small.width + x) * 3..][..3].try_into().expect("three")
        };
        assert_eq!([(50, 50), (60, 60), (149, 99)].map(|(x, y)| at(&small, x, y)), [MARK, [0, 128, 128], MARK]);
        let mut map = Small::of(&grey, 240);
        let mut heat = vec![0; 60 * 34];
        (heat[0], heat[1]) = (10, 1);
        map.map(&grey, &heat);
        assert_eq!(at(&map, 0, 0), MARK);
        assert!(at(&map, 5, 0)[1] > 150 && at(&map, 5, 0)[1] < 212 && at(&map, 9, 0) == [0, 128, 128]);
        let white = Small::of(&frame_at(0.0, 480, 270, |_| 235), 240);
        let all = small.above(Some(&white), Some(&map));
        assert_eq!((all.width, all.height), (480, 270 + 135));
        assert_eq!([at(&all, 0, 270), at(&all, 240, 270), at(&all, 250, 300)], [[255, 128, 128], MARK, [0, 128, 128]]);
    }

    #[test]
    fn what_is_missing_takes_no_room() {
        let grey = Small::of(&frame_at(0.0, 480, 270, |_| 90), 480);
        assert_eq!(grey.clone().above(None, None), grey);
    }
}
