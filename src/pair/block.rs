//! A second of a source as a fingerprint of some 700 bytes: what is exchanged, recorded and compared.
//!
//! Picture: mean luma of eight cells (4 x 2), which scaling and coding hardly change, for each picture, and the mean
//! steps in each cell over the second. Sound: log energy of each 4 ms. No picture can be made of it.

use crate::time::{MediaTime, Mono};

/// Cells of a picture: 4 columns, 2 rows.
pub const CELLS: usize = 8;
/// Slices of 4 ms in 100 ms of sound.
pub const SLICES: usize = 25;
/// Most pictures of a second that are kept: of more than 60 every other one would do.
pub const PICTURES_MAX: usize = 64;
/// Most stretches of 100 ms.
pub const SOUNDS_MAX: usize = 16;
/// First byte of an encoded block.
const VERSION: u8 = 1;
/// Places of pictures within a block, in ns.
const TICK: i64 = 20_000;

/// One picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PicturePrint {
    /// Its place.
    pub at: MediaTime,
    /// Mean luma of each cell, code values times 64, row by row.
    pub cells: [u16; CELLS],
}

/// 100 ms of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundPrint {
    /// Its first slice.
    pub at: MediaTime,
    /// Energy of each slice: 0.4 dB a step above -100 dBFS.
    pub levels: [u8; SLICES],
}

/// About a second of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Place of its begin.
    pub at: MediaTime,
    /// When its last unit arrived, less the place of that: ns. Of a file 0.
    pub epoch: i64,
    /// Width of the picture in samples.
    pub width: u16,
    /// Mean step between samples side by side, tenths of a code value; 0 where no picture was seen in full.
    pub texture: [u8; CELLS],
    /// Pictures that were looked at.
    pub pictures: Vec<PicturePrint>,
    /// Sound.
    pub sounds: Vec<SoundPrint>,
}

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Of another version, or no fingerprint at all.
    #[error("begins with {0}, and a block of a fingerprint of this version begins with {VERSION}")]
    Version(u8),
    /// Ends too early.
    #[error("ends after {0} bytes, within its {1}")]
    Short(usize, &'static str),
    /// Bytes are left.
    #[error("has {0} bytes behind its end")]
    Long(usize),
    /// More than a second holds.
    #[error("has {0} {1}, more than a second holds")]
    TooMany(usize, &'static str),
}

impl Block {
    /// As bytes, at most 1.9 kB; 0.7 kB at 25 pictures per second.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 18 * self.pictures.len() + 29 * self.sounds.len());
        out.push(VERSION);
        out.extend(self.at.0.to_le_bytes());
        out.extend(self.epoch.to_le_bytes());
        out.extend(self.width.to_le_bytes());
        out.extend(self.texture);
        out.extend([self.pictures.len().min(PICTURES_MAX) as u8, self.sounds.len().min(SOUNDS_MAX) as u8]);
        for picture in self.pictures.iter().take(PICTURES_MAX) {
            let ticks = (picture.at.0 - self.at.0).div_euclid(TICK).clamp(0, i64::from(u16::MAX));
            out.extend((ticks as u16).to_le_bytes());
            picture.cells.iter().for_each(|cell| out.extend(cell.to_le_bytes()));
        }
        for sound in self.sounds.iter().take(SOUNDS_MAX) {
            let micros = (sound.at.0 - self.at.0).div_euclid(1000).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            out.extend((micros as i32).to_le_bytes());
            out.extend(sound.levels);
        }
        out
    }

    /// From bytes that [`Block::encode`] made, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        let (block, used) = Self::decode_first(bytes)?;
        if used == bytes.len() { Ok(block) } else { Err(BlockError::Long(bytes.len() - used)) }
    }

    /// The block that `bytes` begin with, and its length: blocks can stand one behind the other.
    pub fn decode_first(bytes: &[u8]) -> Result<(Self, usize), BlockError> {
        let mut rest = Reader { bytes, at: 0 };
        let [version] = rest.take("version")?;
        if version != VERSION {
            return Err(BlockError::Version(version));
        }
        let at = MediaTime(i64::from_le_bytes(rest.take("place")?));
        let epoch = i64::from_le_bytes(rest.take("epoch")?);
        let width = u16::from_le_bytes(rest.take("width")?);
        let texture = rest.take("texture")?;
        let [pictures, sounds] = rest.take("counts")?.map(usize::from);
        for (count, most, what) in [(pictures, PICTURES_MAX, "pictures"), (sounds, SOUNDS_MAX, "stretches of sound")] {
            if count > most {
                return Err(BlockError::TooMany(count, what));
            }
        }
        let pictures = (0..pictures).map(|_| rest.picture(at)).collect::<Result<_, _>>()?;
        let sounds = (0..sounds).map(|_| rest.sound(at)).collect::<Result<_, _>>()?;
        Ok((Self { at, epoch, width, texture, pictures, sounds }, rest.at))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BlockError> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        found.copied().ok_or(BlockError::Short(self.bytes.len(), what))
    }

    fn picture(&mut self, from: MediaTime) -> Result<PicturePrint, BlockError> {
        let ticks = u16::from_le_bytes(self.take("pictures")?);
        let mut cells = [0; CELLS];
        for cell in &mut cells {
            *cell = u16::from_le_bytes(self.take("pictures")?);
        }
        Ok(PicturePrint { at: MediaTime(from.0.saturating_add(i64::from(ticks) * TICK)), cells })
    }

    fn sound(&mut self, from: MediaTime) -> Result<SoundPrint, BlockError> {
        let micros = i32::from_le_bytes(self.take("sound")?);
        let levels = self.take("sound")?;
        Ok(SoundPrint { at: MediaTime(from.0.saturating_add(i64::from(micros) * 1000)), levels })
    }
}

/// Arrival less place, ns.
pub(super) fn epoch(at: MediaTime, arrived: Mono) -> i64 {
    i64::try_from(arrived.0).unwrap_or(i64::MAX).saturating_sub(at.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A block of 25 pictures and a second of sound.
    pub fn block() -> Block {
        let time = |ms: i64| MediaTime(ms * 1_000_000);
        let pictures = (0..25).map(|n| PicturePrint { at: time(7000 + n * 40), cells: [n as u16 * 100; CELLS] });
        let sounds = (0..10).map(|n| SoundPrint { at: time(6990 + n * 100), levels: [n as u8; SLICES] });
        Block {
            at: time(7000),
            epoch: -5,
            width: 1920,
            texture: [9; CELLS],
            pictures: pictures.collect(),
            sounds: sounds.collect(),
        }
    }

    #[test]
    fn a_second_takes_less_than_a_kilobyte_and_comes_back() {
        let bytes = block().encode();
        assert!(bytes.len() < 800, "{}", bytes.len());
        assert_eq!(Block::decode(&bytes), Ok(block()));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let bytes = block().encode();
        assert_eq!(Block::decode(&[]), Err(BlockError::Short(0, "version")));
        assert_eq!(Block::decode(b"TS"), Err(BlockError::Version(b'T')));
        for length in 0..bytes.len() {
            assert!(Block::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert_eq!(Block::decode(&[bytes.clone(), vec![0]].concat()), Err(BlockError::Long(1)));
        let mut many = bytes;
        many[27] = 65;
        assert_eq!(Block::decode(&many), Err(BlockError::TooMany(65, "pictures")));
    }
}
