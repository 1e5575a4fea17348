//! Two sources that show the same programme, one before and one behind an encoder: fingerprints of both, aligned.
//!
//! Pure: blocks of fingerprints in, readings out. The daemon, `picket compare` and whoever records fingerprints far
//! away use the same blocks. The method is plain normalised cross-correlation of time series.

mod blame;
mod anchor;
mod block;
mod compare;
mod correlate;
mod phase;
mod pictures;
mod recording;
mod sampler;
mod steady;
#[cfg(test)]
mod tests;
mod track;

pub use blame::{Blame, Fault};
pub use block::{Block, BlockError, CELLS, PicturePrint, SLICES, SoundPrint};
pub use compare::{Pair, Reading, Silence};
pub use pictures::Pictures;
pub use recording::{RECORDING_HEAD, RecordingError, recording};
pub use sampler::Sampler;
pub use steady::Steady;
