//! Pictures of more than 8 bits, and of chroma in pairs, to 8-bit planes. FFmpeg's scaler dithers on the way, which
//! costs four times what analysing the picture does (PERFORMANCE.md) and adds noise that nobody sent.

use crate::frame::OwnedSamples;
use ff::format::Pixel;
use ffmpeg_next as ff;

/// How the samples of a format lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Chroma subsampling as powers of two; `None`: luma only.
    pub chroma: Option<(u8, u8)>,
    /// Cb and Cr take turns in one plane.
    paired: bool,
    /// Bytes of a sample: 1, or 2 with the lower first.
    bytes: usize,
    /// Bits to the right of the 8 that count.
    shift: u32,
}

impl Layout {
    /// `None`: neither of these kinds.
    pub(super) fn of(format: Pixel) -> Option<Self> {
        let planar = |chroma, shift| Some(Self { chroma, paired: false, bytes: 2, shift });
        match format {
            Pixel::YUV420P10LE => planar(Some((1, 1)), 2),
            Pixel::YUV422P10LE => planar(Some((1, 0)), 2),
            Pixel::YUV444P10LE => planar(Some((0, 0)), 2),
            Pixel::YUV420P12LE => planar(Some((1, 1)), 4),
            Pixel::YUV422P12LE => planar(Some((1, 0)), 4),
            Pixel::GRAY10LE => planar(None, 2),
            // What hardware decoders give.
            Pixel::NV12 => Some(Self { chroma: Some((1, 1)), paired: true, bytes: 1, shift: 0 }),
            Pixel::P010LE => Some(Self { chroma: Some((1, 1)), paired: true, bytes: 2, shift: 8 }),
            _ => None,
        }
    }

    /// The planes of `picture`, whose format this is the layout of. Samples are cut off, not rounded: black and white
    /// stay where they are.
    pub(super) fn narrow(&self, picture: &ff::frame::Video) -> OwnedSamples {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let plane = |index: usize, wide: usize, tall: usize, every: usize, first: usize| {
            let mut samples = Vec::with_capacity(wide * tall);
            let (data, stride) = (picture.data(index), picture.stride(index));
            for row in data.chunks(stride.max(1)).take(tall) {
                let row = &row[..(wide * every * self.bytes).min(row.len())];
                self.append(row, every, first, &mut samples);
            }
            samples
        };
        let luma = plane(0, width, height, 1, 0);
        let Some((x, y)) = self.chroma else { return OwnedSamples::new([luma, vec![], vec![]], [width, 0, 0]) };
        let (wide, tall) = (width.div_ceil(1 << x), height.div_ceil(1 << y));
        let (cb, cr) = match self.paired {
            true => (plane(1, wide, tall, 2, 0), plane(1, wide, tall, 2, 1)),
            false => (plane(1, wide, tall, 1, 0), plane(2, wide, tall, 1, 0)),
        };
        OwnedSamples::new([luma, cb, cr], [width, wide, wide])
    }

    /// One of `every` samples of a row, from the `first` on. Each loop is one that compilers make vectors of.
    fn append(&self, row: &[u8], every: usize, first: usize, samples: &mut Vec<u8>) {
        let shift = self.shift;
        let cut = move |sample: [u8; 2]| (u16::from_le_bytes(sample) >> shift) as u8;
        match (self.bytes, every) {
            (1, 1) => samples.extend_from_slice(row),
            (1, _) => samples.extend(row.as_chunks::<2>().0.iter().map(|pair| pair[first])),
            (_, 1) => samples.extend(row.as_chunks::<2>().0.iter().map(|&sample| cut(sample))),
            _ => samples.extend(row.as_chunks::<4>().0.iter().map(|pair| cut([pair[2 * first], pair[2 * first + 1]]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Samples;

    /// A picture whose sample `n` of plane `p` is `value(p, n)`, at the format's own depth.
    fn picture(format: Pixel, bytes: usize, paired: bool, value: impl Fn(usize, usize) -> u16) -> ff::frame::Video {
        let (width, height) = (6, 4);
        let mut picture = ff::frame::Video::new(format, width, height);
        for index in 0..if paired { 2 } else { 3 } {
            let (wide, tall) = if index == 0 {
                (6, 4)
            } else if paired {
                (6, 2)
            } else {
                (3, 2)
            };
            let stride = picture.stride(index);
            let data = picture.data_mut(index);
            for n in 0..wide * tall {
                let at = n / wide * stride + n % wide * bytes;
                data[at..at + bytes].copy_from_slice(&value(index, n).to_le_bytes()[..bytes]);
            }
        }
        picture
    }

    fn narrowed(format: Pixel, picture: &ff::frame::Video) -> [Vec<u8>; 3] {
        let samples = Layout::of(format).expect("known").narrow(picture);
        [0, 1, 2].map(|plane| samples.plane(plane).expect("three planes").0.to_vec())
    }

    #[test]
    fn ten_bits_lose_two() {
        let shown = picture(Pixel::YUV420P10LE, 2, false, |plane, n| 64 + 4 * (100 * plane as u16 + n as u16) + 3);
        let [luma, cb, cr] = narrowed(Pixel::YUV420P10LE, &shown);
        assert_eq!(luma, (16..40).collect::<Vec<u8>>());
        assert_eq!((cb, cr), ((116..122).collect::<Vec<u8>>(), (216..222).collect::<Vec<u8>>()));
    }

    #[test]
    fn chroma_in_pairs_is_taken_apart() {
        for (format, bytes, shift) in [(Pixel::NV12, 1, 0), (Pixel::P010LE, 2, 8)] {
            let shown = picture(format, bytes, true, |plane, n| (40 * plane as u16 + n as u16) << shift);
            let [luma, cb, cr] = narrowed(format, &shown);
            assert_eq!((luma.len(), luma[23]), (24, 23), "{format:?}");
            assert_eq!((cb, cr), (vec![40, 42, 44, 46, 48, 50], vec![41, 43, 45, 47, 49, 51]), "{format:?}");
        }
    }
}
