//! Units become numbers: the only caller of the kernels. Detectors see what stands here and no samples.

mod audio;
mod coarse;
mod correlation;
mod counts;
mod grid;
mod lines;
mod loudness;
mod strips;
mod transport;
mod video;
mod weave;

pub use audio::{
    AudioAnalyzer, AudioFeatures, Break, BreakKind, CHANNELS_MAX, ChannelLevel, Clip, FLOOR_DBFS, PAIRS_MAX, Pair,
    SLICES, Step,
};
pub use coarse::Coarse;
pub use correlation::Correlation;
pub use counts::at_rank;
pub use grid::Grid;
pub use lines::Lines;
pub use loudness::{GATE_LUFS, Loudness, lufs};
pub use transport::{Arrival, TransportFeatures, TransportTracker};
pub use video::{Depth, VideoAnalyzer, VideoFeatures};
pub use weave::{Seam, Weave};
