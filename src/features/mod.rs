//! Units become numbers: the only caller of the kernels. Detectors see what stands here and no samples.

mod audio;
mod correlation;
mod grid;
mod transport;
mod video;

pub use audio::{AudioAnalyzer, AudioFeatures, CHANNELS_MAX, ChannelLevel};
pub use correlation::Correlation;
pub use grid::Grid;
pub use transport::{TransportFeatures, TransportTracker};
pub use video::{Depth, Lines, VideoAnalyzer, VideoFeatures};
