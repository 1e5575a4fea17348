//! Opens an input and takes it apart into packets.

use super::super::{Error, Input};
use super::clocks::{Clocks, Ticks};
use super::ts_bytes;
use crate::frame::ClockJump;
use crate::time::{Clock, Mono};
use ffmpeg_next as ff;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Demuxers that may be chosen by probing. FFmpeg also has some that make a "video" of any text file.
const FORMATS: &str = "mpegts,mpeg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,hls,dash,rtsp,rtp,sdp,flv,live_flv,avi,asf,\
    wav,w64,mp3,aac,ac3,eac3,flac,ogg,mpegvideo,h264,hevc,m4v,yuv4mpegpipe,nut,mxf,caf,aiff,ivf";

/// Formats that carry stamps as they were sent.
const CLOCKED: [&str; 4] = ["mpegts", "mpeg", "flv", "live_flv"];

/// How long opening may take: more than the longest GOP in use and the probing of FFmpeg (5 s).
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// One of the two streams that are watched.
pub(in crate::source) struct Found {
    /// Number of the stream within the input.
    pub index: usize,
    /// What its decoder needs.
    pub parameters: ff::codec::Parameters,
    /// Unit of its time stamps, in seconds.
    pub time_base: ff::Rational,
    /// Pictures per second, 0 when unknown or for sound.
    pub rate: f64,
}

/// A packet of one of the watched streams.
pub(in crate::source) struct Parcel {
    /// The packet.
    pub packet: ff::Packet,
    /// When it was read.
    pub arrived: Mono,
    /// Packets before it were lost because we did not fetch them in time.
    pub after_loss: bool,
    /// The clock of its stream jumps here.
    pub jump: Option<ClockJump>,
}

/// Makes blocking calls of FFmpeg return: after a time, or when the owner wants to stop.
#[derive(Clone)]
struct Patience {
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    until: Arc<AtomicU64>,
}

impl Patience {
    fn grant(&self, time: Duration) {
        self.until.store(self.clock.mono().plus(time).0, Ordering::Relaxed);
    }
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.clock.mono().0 > self.until.load(Ordering::Relaxed)
    }
}

/// An open input.
pub(in crate::source) struct Demuxer {
    input: ff::format::context::Input,
    patience: Patience,
    read_limit: Duration,
    video: Option<usize>,
    audio: Option<usize>,
    /// Where jumps of the clock mean something; the container's index or playlist tells of them elsewhere.
    clocks: Option<Clocks>,
    /// The same bytes, where they are a transport stream in a file.
    bytes: Option<std::fs::File>,
}

/// Why no packet came.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source) enum ReadEnd {
    /// The input ended.
    End,
    /// Nothing came for too long, or the owner stops.
    TimedOut,
    /// FFmpeg's word.
    Failed(String),
}

impl Demuxer {
    /// Opens and looks for one video and one audio stream. `read_limit`: longest silence while reading.
    pub(in crate::source) fn open(
        input: &Input,
        clock: &Arc<dyn Clock>,
        stop: &Arc<AtomicBool>,
        read_limit: Duration,
    ) -> Result<Self, Error> {
        super::silence_library_log();
        let url = url_of(input)?;
        let patience = Patience { clock: clock.clone(), stop: stop.clone(), until: Arc::default() };
        patience.grant(OPEN_LIMIT);
        let asked = patience.clone();
        let opened = ff::format::input_with_interrupt_and_dictionary(&url, move || asked.is_over(), options_for(input));
        let context = opened.map_err(|error| open_error(input, error))?;
        let pick = |kind| context.streams().best(kind).map(|stream| stream.index());
        let (video, audio) = (pick(ff::media::Type::Video), pick(ff::media::Type::Audio));
        if video.is_none() && audio.is_none() {
            return Err(Error::NotMedia(input.display()));
        }
        let format = context.format().name().to_owned();
        let clocks = CLOCKED.contains(&format.as_str()).then(|| Clocks::new(input.paces_itself()));
        let bytes = match input {
            Input::File(path) if format == "mpegts" => std::fs::File::open(path).ok(),
            _ => None,
        };
        Ok(Self { input: context, patience, read_limit, video, audio, clocks, bytes })
    }

    /// The video stream, if there is one.
    pub(in crate::source) fn video(&self) -> Option<Found> {
        self.video.and_then(|index| self.found(index))
    }

    /// The audio stream, if there is one.
    pub(in crate::source) fn audio(&self) -> Option<Found> {
        self.audio.and_then(|index| self.found(index))
    }

    fn found(&self, index: usize) -> Option<Found> {
        let stream = self.input.stream(index)?;
        let rate = [stream.avg_frame_rate(), stream.rate()].into_iter().find(|rate| rate.numerator() > 0);
        Some(Found {
            index,
            parameters: stream.parameters(),
            time_base: stream.time_base(),
            rate: rate.map_or(0.0, f64::from),
        })
    }

    /// When the packet is due to be decoded, on the stream's own clock; nanoseconds.
    pub(in crate::source) fn decode_time_ns(&self, parcel: &Parcel) -> Option<i64> {
        let base = self.input.stream(parcel.packet.stream())?.time_base();
        let stamp = parcel.packet.dts().or(parcel.packet.pts())?;
        Some(super::decode::nanos(stamp, base))
    }

    fn clock_jump(&mut self, parcel: &Parcel) -> Option<ClockJump> {
        let packet = &parcel.packet;
        let base = self.input.stream(packet.stream())?.time_base();
        let ticks = Ticks {
            due: self.decode_time_ns(parcel)?,
            lasts: super::decode::nanos(packet.duration(), base),
            arrived: parcel.arrived,
            corrupt: packet.is_corrupt(),
        };
        let which = usize::from(Some(packet.stream()) != self.video);
        let (bytes, at) = (&mut self.bytes, u64::try_from(packet.position()).ok());
        self.clocks.as_mut()?.observe(which, ticks, || ts_bytes::look(bytes.as_mut()?, at?))
    }

    /// The next packet of a watched stream. Blocks up to the read limit.
    pub(in crate::source) fn read(&mut self) -> Result<Parcel, ReadEnd> {
        self.patience.grant(self.read_limit);
        loop {
            let mut packet = ff::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if Some(packet.stream()) == self.video || Some(packet.stream()) == self.audio => {
                    let mut parcel =
                        Parcel { packet, arrived: self.patience.clock.mono(), after_loss: false, jump: None };
                    parcel.jump = self.clock_jump(&parcel);
                    return Ok(parcel);
                }
                // Other streams' packets, and single bad ones that a demuxer can step over.
                Ok(()) | Err(ff::Error::InvalidData) if !self.patience.is_over() => {}
                Err(ff::Error::Other { errno }) if errno == ff::error::EAGAIN && !self.patience.is_over() => {}
                Err(ff::Error::Eof) => return Err(ReadEnd::End),
                _ if self.patience.is_over() => return Err(ReadEnd::TimedOut),
                Ok(()) => return Err(ReadEnd::TimedOut),
                Err(error) => return Err(ReadEnd::Failed(error.to_string())),
            }
        }
    }
}

/// What FFmpeg is asked to open; files are looked at first, because its own words for them help nobody.
fn url_of(input: &Input) -> Result<String, Error> {
    match input {
        Input::File(path) => {
            let meta = std::fs::metadata(path).map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => Error::NotFound(path.clone()),
                _ => Error::Unreadable { path: path.clone(), source },
            })?;
            if meta.is_dir() {
                return Err(Error::Directory(path.clone()));
            }
            if meta.is_file() && meta.len() == 0 {
                return Err(Error::Empty(path.clone()));
            }
            std::fs::File::open(path).map_err(|source| Error::Unreadable { path: path.clone(), source })?;
            file_url(path)
        }
        Input::Stdin => Ok("pipe:0".to_owned()),
        Input::Url(url) => Ok(url.clone()),
        Input::Pattern(_) | Input::Capture(_) => Err(Error::NotMedia(input.display())),
    }
}

fn file_url(path: &Path) -> Result<String, Error> {
    let text = path.to_str().filter(|text| !text.contains('\0'));
    // "file:" keeps FFmpeg from reading a colon in the name as a protocol.
    text.map(|text| format!("file:{text}")).ok_or_else(|| Error::Open {
        input: path.display().to_string(),
        reason: "FFmpeg needs a path in UTF-8".to_owned(),
    })
}

fn options_for(input: &Input) -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    options.set("format_whitelist", FORMATS);
    if let Input::Url(url) = input {
        // FFmpeg asks for 384 KiB, a third of a second at 8 Mbit/s. The kernel gives at most net.core.rmem_max.
        if url.starts_with("udp") || url.starts_with("rtp:") || url.starts_with("rtsp") {
            options.set("buffer_size", "4194304");
        }
        // FFmpeg's own thread keeps the socket empty while we work; an overrun is data (lost packets), not an end.
        if url.starts_with("udp") {
            options.set("overrun_nonfatal", "1");
        }
        // Interleaved in TCP no packet is lost on the way to us: what is broken then is broken at the source.
        if url.starts_with("rtsp") {
            options.set("rtsp_flags", "prefer_tcp");
        }
    }
    options
}

fn open_error(input: &Input, error: ff::Error) -> Error {
    match (input, error) {
        (Input::File(_) | Input::Stdin, ff::Error::InvalidData | ff::Error::Eof) => Error::NotMedia(input.display()),
        // What FFmpeg says of formats that are not on our list.
        (Input::File(_) | Input::Stdin, ff::Error::Other { errno: ff::error::EINVAL }) => {
            Error::NotMedia(input.display())
        }
        (_, ff::Error::Exit) => {
            Error::Open { input: input.display(), reason: format!("no media within {} s", OPEN_LIMIT.as_secs()) }
        }
        _ => Error::Open { input: input.display(), reason: error.to_string() },
    }
}
