//! How the box and the sources are doing. Reads nobody: the others report here.

mod board;
mod counter;
mod deadman;
mod flash;
mod heat;
mod machine;
mod net;
mod rates;
mod reset;
#[cfg(test)]
mod testing;
pub use board::{Board, Watchdog};
pub use deadman::Deadman;
pub use machine::{
    BoxHealth, BoxLoad, Machine, RunHealth, keep_freed_memory, own_cpu_time, thread_cpu_time, trim_memory,
    yield_to_others,
};
pub use net::NetHealth;
pub use rates::{Coverage, Expected, Rate};

use crate::ids::SourceId;
use crate::time::Mono;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whether anything arrives from a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signal {
    /// First connection under way.
    #[default]
    Connecting,
    /// Units arrive.
    Up,
    /// Nothing arrives, or it cannot be opened.
    Lost,
}

/// What a tap on capture devices counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaptureStatus {
    /// Pictures that the driver counted and did not deliver.
    pub missing: u64,
    /// Pictures that were lost because they were not fetched in time: ours, not the device's.
    pub late: u64,
    /// Pictures that the driver marked as damaged, or that were not whole.
    pub flagged: u64,
    /// Time stamps of the driver that went back or ran ahead.
    pub jumps: u64,
    /// Times that the stream was started again.
    pub restarts: u64,
    /// Overruns of the sound device.
    pub xruns: u64,
    /// Samples of sound that are missing, per channel.
    pub sound_lost: u64,
    /// How much faster pictures come than their format says, parts per million.
    pub picture_ppm: Option<f64>,
    /// How much faster samples of sound come than their rate says, parts per million.
    pub sound_ppm: Option<f64>,
    /// How far sound has run ahead of the picture by that since both are there, for whoever counts pictures and samples
    /// instead of looking at stamps; ms.
    pub skew_ms: Option<f64>,
    /// The node that frames are handed on to, where there is one.
    pub relay: Option<RelayStatus>,
}

/// What became of frames that are handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayStatus {
    /// Taken by the output.
    pub passed: u64,
    /// Not taken.
    pub lost: u64,
    /// Why it takes none.
    pub trouble: Option<String>,
}

/// What a source thread tells of itself, once per second and when `signal` changes.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStatus {
    /// Whether anything arrives.
    pub signal: Signal,
    /// Why not, in English, when `Lost`.
    pub reason: Option<String>,
    /// "1920x1080 h264, 48000 Hz 2 ch aac", when known.
    pub format: Option<String>,
    /// Pictures per second over the last second.
    pub fps: f64,
    /// Pictures per second by the stamps of those that came, when they are known.
    pub fps_expected: Option<f64>,
    /// Mean luma of the last picture, 0 black to 1 white of the nominal range.
    pub luma_mean: Option<f64>,
    /// RMS over all channels of the last 100 ms of sound, dBFS.
    pub rms_dbfs: Option<f64>,
    /// Share of the pictures of the last seconds that were looked at, 0 to 1.
    pub coverage: f64,
    /// Momentary, short-term and integrated loudness (EBU R 128), LUFS; -70 for less than that.
    pub loudness: Option<[f64; 3]>,
    /// True peak of the last 100 ms of sound, dBTP.
    pub true_peak_dbtp: Option<f64>,
    /// Pictures since the start.
    pub frames: u64,
    /// Of these, looked at.
    pub looked_at: u64,
    /// Pictures that are missing by their stamps, or by the driver's count, since the start.
    pub dropped: u64,
    /// Pictures that were shown again while the programme moved, since the start.
    pub repeated: u64,
    /// Pictures that were judged late, since the start: we are to blame.
    pub late: u64,
    /// From the arrival of pictures and sound to their having been judged, at its most over the last second.
    pub lag: Duration,
    /// Times that nothing came for more than a second, since the start.
    pub stalls: u64,
    /// Pictures or packets that were damaged, since the start.
    pub errors: u64,
    /// Times the source was opened again, since the start.
    pub reconnects: u64,
    /// Times the source's thread was restarted after a panic, since the start.
    pub restarts: u64,
    /// Of a tap on capture devices.
    pub capture: Option<CaptureStatus>,
    /// Sound against picture by a line-up signal, ms; positive: sound late.
    pub offset_ms: Option<f64>,
    /// How much longer sound waits than the picture of the same time stamp, ms.
    pub skew_ms: Option<f64>,
    /// How fast the stamps of sound drift against those of the picture, ppm; positive: sound late.
    pub drift_ppm: Option<f64>,
    /// Against the source before the encoder.
    pub pair: Option<PairStatus>,
}

/// How a source compares with the one before its encoder. What could not be measured is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct PairStatus {
    /// That source.
    pub with: SourceId,
    /// From its arrival to this one's, ms.
    pub latency_ms: Option<f64>,
    /// What the encoder adds, ms; positive: sound late.
    pub offset_ms: Option<f64>,
    /// That may be off by this much, ms.
    pub within_ms: Option<f64>,
    /// Loudness that it adds, dB.
    pub level_db: Option<f64>,
    /// Likeness of the pictures, 0 to 1.
    pub quality: Option<f64>,
    /// Pictures that were left out, since the start.
    pub missing: u64,
    /// Pictures that were shown again, since the start; not known while it never was which pictures they show.
    pub repeated: Option<u64>,
    /// Why the picture is not measured.
    pub no_picture: Option<&'static str>,
    /// Why the sound is not measured.
    pub no_sound: Option<&'static str>,
}

impl Default for SourceStatus {
    fn default() -> Self {
        Self {
            signal: Signal::Connecting,
            reason: None,
            format: None,
            fps: 0.0,
            luma_mean: None,
            rms_dbfs: None,
            coverage: 1.0,
            loudness: None,
            true_peak_dbtp: None,
            frames: 0,
            looked_at: 0,
            fps_expected: None,
            dropped: 0,
            repeated: 0,
            late: 0,
            lag: Duration::ZERO,
            stalls: 0,
            errors: 0,
            reconnects: 0,
            restarts: 0,
            capture: None,
            offset_ms: None,
            skew_ms: None,
            drift_ppm: None,
            pair: None,
        }
    }
}

/// Sign of life of one thread: the watchdog is fed only while every enabled one beats.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    source: SourceId,
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A heart that beat at `now`.
    pub fn new(source: SourceId, now: Mono) -> Self {
        Self { source, last: Arc::new(AtomicU64::new(now.0)) }
    }
    /// Beats. Called at least once per second by a thread that moves, with or without pictures.
    pub fn beat(&self, now: Mono) {
        self.last.store(now.0, Ordering::Relaxed);
    }
    /// Whose heart.
    pub fn source(&self) -> &SourceId {
        &self.source
    }
    /// Last beat.
    pub fn last(&self) -> Mono {
        Mono(self.last.load(Ordering::Relaxed))
    }
}
