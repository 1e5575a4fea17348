//! The edge to FFmpeg's libraries: the only folder that names them.

mod clocks;
mod complaints;
mod decode;
mod demux;
mod economy;
mod narrow;
mod picture;
mod sound;
mod stills;
mod ts_bytes;

pub use complaints::silence_library_log;
pub(super) use decode::Decoder;
pub(super) use demux::{Demuxer, Found, Parcel, ReadEnd};
pub(super) use stills::Stills;

/// Versions of FFmpeg's libraries that were loaded: "libavcodec 59.37.100, libavformat 59.27.100 (LGPL version 2.1 or later)".
pub fn library_versions() -> String {
    use ffmpeg_next::{codec, format};
    let parts = |version: u32| format!("{}.{}.{}", version >> 16, version >> 8 & 255, version & 255);
    format!("libavcodec {}, libavformat {} ({})", parts(codec::version()), parts(format::version()), codec::license())
}

/// Names of hardware decoders that boards with FFmpeg have, for those who mistype them.
pub const HARDWARE_DECODERS: [&str; 8] = [
    "h264_v4l2m2m",
    "hevc_v4l2m2m",
    "mpeg2_v4l2m2m",
    "vp9_v4l2m2m",
    "h264_rkmpp",
    "hevc_rkmpp",
    "h264_cuvid",
    "hevc_cuvid",
];

/// Whether the FFmpeg that was loaded has a video decoder of this name.
pub fn has_video_decoder(name: &str) -> bool {
    let is_name = !name.contains('\0');
    is_name
        && ffmpeg_next::codec::decoder::find_by_name(name).is_some_and(|codec| codec.is_decoder() && codec.is_video())
}
