//! Fingerprints in a file: a line that says what it is, then blocks one behind the other.

use super::block::{Block, BlockError};
use crate::time::MediaTime;

/// The first line. What comes over MQTT can be appended to it as it is.
pub const RECORDING_HEAD: &[u8] = b"picket-fingerprint\n";

/// Why a file is no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// It has another first line.
    #[error("does not begin with the line 'picket-fingerprint'")]
    Head,
    /// It holds nothing.
    #[error("holds no fingerprint")]
    Empty,
    /// A block is broken.
    #[error("block {0}, at byte {1}: {2}")]
    Block(usize, usize, BlockError),
}

/// All blocks of a file, on an axis that begins with the first; an end that was cut off is left out.
pub fn recording(bytes: &[u8]) -> Result<Vec<Block>, RecordingError> {
    let mut rest = bytes.strip_prefix(RECORDING_HEAD).ok_or(RecordingError::Head)?;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        match Block::decode_first(rest) {
            Ok((block, used)) => {
                blocks.push(block);
                rest = &rest[used..];
            }
            Err(BlockError::Short(..)) => break,
            Err(error) => return Err(RecordingError::Block(blocks.len(), bytes.len() - rest.len(), error)),
        }
    }
    let begin = blocks.first().ok_or(RecordingError::Empty)?.at.0;
    for block in &mut blocks {
        block.shift(-begin);
    }
    Ok(blocks)
}

impl Block {
    /// Moves it by `ns`, to an axis of its own: when it arrived says nothing there.
    fn shift(&mut self, ns: i64) {
        let moved = |at: MediaTime| MediaTime(at.0.saturating_add(ns));
        (self.at, self.epoch) = (moved(self.at), 0);
        self.pictures.iter_mut().for_each(|picture| picture.at = moved(picture.at));
        self.sounds.iter_mut().for_each(|sound| sound.at = moved(sound.at));
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::block;
    use super::*;

    #[test]
    fn a_recording_comes_back_on_its_own_axis() {
        let bytes = [RECORDING_HEAD, &block().encode(), &block().encode()].concat();
        let blocks = recording(&bytes).expect("whole");
        assert_eq!((blocks.len(), blocks[0].at, blocks[0].epoch), (2, MediaTime(0), 0));
        assert_eq!(blocks[1].pictures[1].at, MediaTime(40_000_000));
        // Cut off in the second block.
        assert_eq!(recording(&bytes[..bytes.len() - 9]).map(|blocks| blocks.len()), Ok(1));
    }

    #[test]
    fn what_is_no_recording_is_told() {
        assert_eq!(recording(b"GIF89a"), Err(RecordingError::Head));
        assert_eq!(recording(RECORDING_HEAD), Err(RecordingError::Empty));
        let bytes = [RECORDING_HEAD, &block().encode(), b"x"].concat();
        let at = bytes.len() - 1;
        assert_eq!(recording(&bytes), Err(RecordingError::Block(1, at, BlockError::Version(b'x'))));
    }
}
