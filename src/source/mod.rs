//! Where pictures and sound come from: files, live streams, built-in patterns.
//!
//! A source is pulled by one thread. Lost signal, damaged pictures and missing time stamps are data ([`Unit`]), not errors.

pub mod capture;
mod drops;
mod ffmpeg;
mod input;
mod live;
mod offline;
mod pattern;
mod reconnect;
mod timeline;

pub use capture::{Capture, Node, Taps};
pub use ffmpeg::{HARDWARE_DECODERS, has_video_decoder, library_versions, silence_library_log};
pub use input::{Input, redact};
pub use live::Live;
pub use offline::Offline;
pub use pattern::{Pattern, PatternSource};
pub use reconnect::Backoff;

use crate::budget::{Effort, Share};
use crate::frame::{AudioBlock, ClockJump, Frame, Loss, Part};
use crate::health::CaptureStatus;
use crate::kernels::Kernels;
use crate::time::{Clock, Stamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The next thing that a source has to say.
#[derive(Debug)]
pub enum Unit {
    /// A picture.
    Video(Frame),
    /// A block of sound.
    Audio(AudioBlock),
    /// A picture came that was not decoded, or was not read, to keep to the budget.
    Passed(Stamp),
    /// The clock of a stream jumps here. What comes stays on the same axis.
    Jump(Stamp, ClockJump),
    /// Nothing arrived for a while (live sources, several times per second).
    Idle(Stamp),
    /// Nothing comes of the source, or of a part of it, which is being opened again. Told for each failed attempt, or for
    /// each other reason.
    Lost {
        /// When.
        stamp: Stamp,
        /// Of what.
        part: Part,
        /// Which kind of trouble.
        loss: Loss,
        /// Why, in English.
        reason: String,
    },
    /// Opened: what it holds.
    Opened {
        /// When.
        stamp: Stamp,
        /// "1920x1080 h264, 48000 Hz 2 ch aac".
        format: String,
        /// Whether there is a video stream.
        video: bool,
        /// Whether there is an audio stream.
        audio: bool,
    },
    /// What it holds is decoded otherwise from here on: as in `Opened`.
    Format(String),
    /// The input ended, as files do.
    End,
}

impl Unit {
    /// All of a source cannot be reached.
    pub fn lost(stamp: Stamp, reason: String) -> Self {
        Unit::Lost { stamp, part: Part::Programme, loss: Loss::Unreachable, reason }
    }
}

/// What a source cannot be opened with. Exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file.
    #[error("{}: no such file", .0.display())]
    NotFound(PathBuf),
    /// A folder where a file should be.
    #[error("{}: is a directory, not a media file", .0.display())]
    Directory(PathBuf),
    /// Nothing in it.
    #[error("{}: the file is empty", .0.display())]
    Empty(PathBuf),
    /// The operating system refused.
    #[error("{}: cannot be read", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// FFmpeg found neither picture nor sound in it.
    #[error("{0}: not a media file, or of a kind that Picket does not read")]
    NotMedia(String),
    /// FFmpeg, or the driver of a capture device, could not open it.
    #[error("{input}: cannot be opened: {reason}")]
    Open {
        /// The input without credentials.
        input: String,
        /// FFmpeg's word for it.
        reason: String,
    },
    /// Not an input at all.
    #[error(transparent)]
    Input(#[from] input::InputError),
}

/// What every kind of source is opened with.
#[derive(Clone)]
pub struct Context {
    /// Stamps live units.
    pub clock: Arc<dyn Clock>,
    /// Set by the owner to make a blocked source return.
    pub stop: Arc<AtomicBool>,
    /// Seeds the jitter of reconnects; different for each device and source.
    pub seed: u64,
    /// A live source that sends nothing for this long is closed and opened again.
    pub reopen_after: Duration,
    /// What the budget allows it.
    pub share: Share,
    /// Name of the video decoder that is tried first.
    pub decoder: Option<String>,
    /// Takes samples of capture devices apart.
    pub kernels: Kernels,
}

/// An open source.
pub enum Source {
    /// As fast as it decodes, on media time.
    Offline(Box<Offline>),
    /// In real time, reconnecting for ever.
    Live(Box<Live>),
    /// Capture devices.
    Capture(Box<Capture>),
    /// Scripted.
    Pattern(PatternSource),
}

impl Source {
    /// Opens `input` to be read once, as fast as it decodes. Blocks; fails when it cannot be opened. Capture devices have no
    /// end and give no more than they have: they are watched in real time.
    pub fn open_offline(input: &Input, context: &Context) -> Result<Self, Error> {
        Ok(match input {
            Input::Pattern(pattern) => Source::Pattern(PatternSource::new(*pattern, None)),
            Input::Capture(taps) => Source::Capture(Box::new(Capture::open((**taps).clone(), context)?)),
            media => Source::Offline(Box::new(Offline::open(media, context)?)),
        })
    }

    /// Watches `input` in real time. Never fails: what cannot be opened is tried again and told as [`Unit::Lost`].
    pub fn open_live(input: &Input, context: &Context) -> Self {
        match input {
            Input::Pattern(pattern) => Source::Pattern(PatternSource::new(*pattern, Some(context.clone()))),
            Input::Capture(taps) => Source::Capture(Box::new(Capture::new((**taps).clone(), context.clone()))),
            media => Source::Live(Box::new(Live::start(media.clone(), context.clone()))),
        }
    }

    /// The next unit. Live sources return at least five times per second.
    pub fn next_unit(&mut self) -> Unit {
        match self {
            Source::Offline(source) => source.next_unit(),
            Source::Live(source) => source.next_unit(),
            Source::Capture(source) => source.next_unit(),
            Source::Pattern(source) => source.next_unit(),
        }
    }

    /// Damaged packets and pictures, and decoder errors, so far.
    pub fn errors(&self) -> u64 {
        match self {
            Source::Offline(source) => source.errors(),
            Source::Live(source) => source.errors(),
            Source::Capture(source) => source.errors(),
            Source::Pattern(_) => 0,
        }
    }

    /// Why a source that is read once ended before its end, if it did.
    pub fn failure(&self) -> Option<String> {
        match self {
            Source::Offline(source) => source.failure(),
            Source::Live(_) | Source::Capture(_) | Source::Pattern(_) => None,
        }
    }

    /// What its capture devices told, where it has any.
    pub fn capture(&self) -> Option<CaptureStatus> {
        match self {
            Source::Capture(source) => Some(source.status()),
            Source::Offline(_) | Source::Live(_) | Source::Pattern(_) => None,
        }
    }

    /// What is left of `effort` to those who look, when the source leaves out pictures by itself.
    pub fn left_of(&self, effort: Effort) -> Effort {
        match self {
            Source::Capture(source) => source.left_of(effort),
            Source::Offline(_) | Source::Live(_) | Source::Pattern(_) => effort,
        }
    }
}
