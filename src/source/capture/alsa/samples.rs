//! Samples as sound cards deliver them, to floats.

use alsa::pcm::Format;

/// How a sample is written. Little-endian, as every capture device in use delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum SampleFormat {
    /// 16 bits.
    S16,
    /// 32 bits.
    S32,
    /// 24 bits in the low bytes of four.
    S24,
    /// 24 bits in three bytes.
    S24Packed,
    /// 32-bit floats, full scale 1.0.
    Float,
}

impl SampleFormat {
    /// In the order in which they are asked for: 16 bits are finer than anything that is measured here and load the bus
    /// least; floats come from sound servers only.
    pub(in super::super) const ALL: [SampleFormat; 5] =
        [SampleFormat::S16, SampleFormat::S32, SampleFormat::S24, SampleFormat::S24Packed, SampleFormat::Float];

    /// As FFmpeg and users write it.
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            SampleFormat::S16 => "s16le",
            SampleFormat::S32 => "s32le",
            SampleFormat::S24 => "s24_32le",
            SampleFormat::S24Packed => "s24le",
            SampleFormat::Float => "f32le",
        }
    }

    /// As alsa-lib calls it.
    pub(in super::super) fn alsa(self) -> Format {
        match self {
            SampleFormat::S16 => Format::S16LE,
            SampleFormat::S32 => Format::S32LE,
            SampleFormat::S24 => Format::S24LE,
            SampleFormat::S24Packed => Format::S243LE,
            SampleFormat::Float => Format::FloatLE,
        }
    }

    /// Bytes of one sample.
    pub(in super::super) fn bytes(self) -> usize {
        match self {
            SampleFormat::S16 => 2,
            SampleFormat::S24Packed => 3,
            SampleFormat::S32 | SampleFormat::S24 | SampleFormat::Float => 4,
        }
    }

    /// Appends the samples in `bytes`; full scale becomes 1.0, and what is no number silence. A part of a sample at the end
    /// is left out.
    pub(in super::super) fn convert(self, bytes: &[u8], out: &mut Vec<f32>) {
        /// Full scale of 32 bits.
        const FULL: f32 = 2_147_483_648.0;
        let fours = || bytes.as_chunks::<4>().0.iter();
        match self {
            SampleFormat::S16 => {
                out.extend(bytes.as_chunks().0.iter().map(|two| f32::from(i16::from_le_bytes(*two)) / 32_768.0));
            }
            SampleFormat::S32 => out.extend(fours().map(|four| i32::from_le_bytes(*four) as f32 / FULL)),
            // The fourth byte is undefined.
            SampleFormat::S24 => out.extend(fours().map(|four| (i32::from_le_bytes(*four) << 8) as f32 / FULL)),
            SampleFormat::S24Packed => {
                let widened = bytes.as_chunks().0.iter().map(|[a, b, c]| i32::from_le_bytes([0, *a, *b, *c]));
                out.extend(widened.map(|sample| sample as f32 / FULL));
            }
            SampleFormat::Float => out.extend(fours().map(|four| {
                let sample = f32::from_le_bytes(*four);
                if sample.is_finite() { sample } else { 0.0 }
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(encoding: SampleFormat, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        encoding.convert(bytes, &mut out);
        out
    }

    #[test]
    fn every_encoding_reaches_full_scale_and_zero() {
        assert_eq!(converted(SampleFormat::S16, &[0, 0x80, 0, 0, 0, 0x40]), [-1.0, 0.0, 0.5]);
        assert_eq!(converted(SampleFormat::S32, &[0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x40]), [-1.0, 0.0, 0.5]);
        assert_eq!(converted(SampleFormat::S24Packed, &[0, 0, 0x80, 0, 0, 0, 0, 0, 0x40]), [-1.0, 0.0, 0.5]);
        let floats: Vec<u8> = [-1.0_f32, f32::NAN, 0.5].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(converted(SampleFormat::Float, &floats), [-1.0, 0.0, 0.5]);
    }

    #[test]
    fn what_lies_in_the_fourth_byte_of_24_bits_is_not_looked_at() {
        let clean = converted(SampleFormat::S24, &[0, 0, 0x80, 0, 1, 0, 0, 0]);
        assert_eq!(clean, converted(SampleFormat::S24, &[0, 0, 0x80, 0xff, 1, 0, 0, 0x5a]));
        assert_eq!(clean, [-1.0, 1.0 / 8_388_608.0]);
    }

    #[test]
    fn a_part_of_a_sample_is_left_out() {
        for encoding in SampleFormat::ALL {
            let bytes = vec![0; 2 * encoding.bytes() + 1];
            assert_eq!(converted(encoding, &bytes).len(), 2, "{encoding:?}");
        }
    }
}
