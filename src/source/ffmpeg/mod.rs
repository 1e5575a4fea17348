//! The edge to FFmpeg's libraries: the only folder that names them.

mod complaints;
mod decode;
mod demux;
mod picture;
mod sound;

pub use complaints::silence_library_log;
pub(super) use decode::Decoder;
pub(super) use demux::{Demuxer, Found, Parcel, ReadEnd};
