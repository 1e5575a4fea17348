//! The edge to FFmpeg's libraries: the only folder that names them.

mod complaints;
mod decode;
mod demux;
mod picture;
mod sound;

pub use complaints::silence_library_log;
pub(super) use decode::Decoder;
pub(super) use demux::{Demuxer, Found, Parcel, ReadEnd};

/// Versions of FFmpeg's libraries that were loaded: "libavcodec 59.37.100, libavformat 59.27.100 (LGPL version 2.1 or later)".
pub fn library_versions() -> String {
    use ffmpeg_next::{codec, format};
    let parts = |version: u32| format!("{}.{}.{}", version >> 16, version >> 8 & 255, version & 255);
    format!("libavcodec {}, libavformat {} ({})", parts(codec::version()), parts(format::version()), codec::license())
}
