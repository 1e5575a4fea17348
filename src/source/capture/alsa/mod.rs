//! Sound from ALSA capture devices: never blocks, never fails; what goes wrong becomes data ([`Sound`]).

mod drift;
mod name;
mod pace;
mod pcm;
mod rates;
mod samples;
#[cfg(test)]
mod tests;

pub(super) use name::Name;
pub(super) use pcm::quiet;
pub(super) use samples::SampleFormat;

use super::super::Backoff;
use crate::time::{Clock, Mono};
use nix::libc::pollfd;
use pace::Pace;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// An open device that delivers nothing for this long has no clock at its input, or hangs: the longest period in use is a
/// tenth of it.
const STALL: Duration = Duration::from_secs(2);

/// Sound is handed on in blocks of at most this long, so that a backlog does not become one huge block.
const BLOCK_MAX: Duration = Duration::from_millis(100);

/// What comes from a capture device. Times are CLOCK_MONOTONIC, as the kernel stamps pictures too.
#[derive(Clone, Debug, PartialEq)]
pub enum Sound {
    /// The device is open.
    Opened {
        /// "48000 Hz 2 ch s16le", with the channel map where it is not plain stereo.
        format: String,
    },
    /// A block of sound.
    Block {
        /// CLOCK_MONOTONIC of the first sample.
        first: Mono,
        /// Samples per second and channel.
        rate: u32,
        /// Channels.
        channels: u16,
        /// Interleaved; full scale is 1.0.
        samples: Vec<f32>,
    },
    /// Samples are missing: an overrun, a suspended machine, or a driver that lost some.
    Gap {
        /// CLOCK_MONOTONIC of the first one that is missing.
        at: Mono,
        /// How many in each channel.
        frames: u64,
    },
    /// The device cannot be opened or has gone. Told for each attempt; the next comes by itself.
    Lost {
        /// Why, in English.
        reason: String,
    },
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlsaCounts {
    /// Overruns: we came too late, and the device stopped.
    pub xruns: u64,
    /// Samples of each channel that are missing, by the stamps.
    pub lost_frames: u64,
    /// Times that the device was opened again.
    pub reopens: u64,
    /// Times that it came back with another sample rate.
    pub rate_changes: u64,
    /// Parts per million that its sample clock is faster than CLOCK_MONOTONIC, once half a minute was heard without a break.
    pub drift_ppm: Option<f64>,
}

/// How an open device delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    rate: u32,
    channels: u16,
    /// As in [`Sound::Opened`].
    format: String,
    /// Between two interrupts: as coarse as positions may be told.
    period: Duration,
}

/// Why nothing more can be read for now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stop {
    /// The ring buffer ran over.
    Overrun,
    /// The machine slept.
    Suspended,
    /// Rate or channels at the input are others now.
    Changed,
    /// The device is no longer there, or refuses.
    Gone(String),
}

/// Samples that wait in the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    /// Of each channel.
    frames: u64,
    /// CLOCK_MONOTONIC of the first of them.
    first: Mono,
}

/// An open device.
trait Device: Send {
    fn shape(&self) -> &Shape;
    fn poll_fds(&self) -> Vec<pollfd>;
    fn waiting(&mut self) -> Result<Waiting, Stop>;
    /// Appends up to `frames` samples of each channel; how many.
    fn read(&mut self, frames: u64, out: &mut Vec<f32>) -> Result<u64, Stop>;
    /// Begins anew after an overrun; what waits is lost.
    fn restart(&mut self) -> Result<(), Stop>;
    /// Goes on after the machine slept; whether it goes already.
    fn resume(&mut self) -> Result<bool, Stop>;
}

/// Opens a device by its name; why not, in English.
type Opener = Box<dyn FnMut(&str) -> Result<Box<dyn Device>, String> + Send>;

struct Stream {
    device: Box<dyn Device>,
    /// When samples came last, or it was opened.
    alive: Mono,
    /// Whether any came since it was opened.
    heard: bool,
}

/// One capture device, opened again for ever.
pub struct Alsa {
    name: String,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    opener: Opener,
    stream: Option<Stream>,
    next_try: Mono,
    opened_before: bool,
    pace: Option<Pace>,
    rate: u32,
    counts: AlsaCounts,
}

impl Alsa {
    /// `device`: an ALSA name, as "hw:1,0" or "default". It is opened by the first [`Alsa::take`]. `seed`: of the jitter
    /// between attempts.
    pub fn new(device: String, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let of_driver = clock.clone();
        let opener = move |name: &str| pcm::Pcm::open(name, of_driver.clone()).map(|pcm| Box::new(pcm) as _);
        Self::with(device, clock, seed, Box::new(opener))
    }

    fn with(name: String, clock: Arc<dyn Clock>, seed: u64, opener: Opener) -> Self {
        Self {
            name,
            clock,
            backoff: Backoff::new(seed),
            opener,
            stream: None,
            next_try: Mono(0),
            opened_before: false,
            pace: None,
            rate: 0,
            counts: AlsaCounts::default(),
        }
    }

    /// What to poll; empty while closed.
    pub fn poll_fds(&self) -> Vec<pollfd> {
        self.stream.as_ref().map_or_else(Vec::new, |stream| stream.device.poll_fds())
    }

    /// When [`Alsa::take`] wants to be called although nothing polls ready.
    pub fn wake_at(&self) -> Option<Mono> {
        Some(self.stream.as_ref().map_or(self.next_try, |stream| stream.alive.plus(STALL)))
    }

    /// What happened so far.
    pub fn counts(&self) -> AlsaCounts {
        AlsaCounts { drift_ppm: self.pace.as_ref().and_then(Pace::drift_ppm), ..self.counts }
    }

    /// Appends all that waits. Returns at once.
    pub fn take(&mut self, out: &mut VecDeque<Sound>) {
        let now = self.clock.mono();
        if self.stream.is_none() && now >= self.next_try {
            self.open(now, out);
        }
        let Some(mut stream) = self.stream.take() else { return };
        match self.read(&mut stream, now, out) {
            Ok(()) => self.stream = Some(stream),
            Err(Stop::Changed) if stream.heard => {
                drop(stream);
                if let Some(pace) = &mut self.pace {
                    pace.break_off();
                }
                self.open(now, out);
            }
            // One that changes as soon as it is opened would be opened without end.
            Err(Stop::Changed) => self.lose("its format changes all the time", now, out),
            Err(Stop::Gone(reason)) => self.lose(&reason, now, out),
            Err(Stop::Overrun | Stop::Suspended) => self.lose("does not start again", now, out),
        }
    }

    fn open(&mut self, now: Mono, out: &mut VecDeque<Sound>) {
        let device = match (self.opener)(&self.name) {
            Ok(device) => device,
            Err(reason) => return self.lose(&reason, now, out),
        };
        let shape = device.shape();
        // Two periods: the one that is under way and the one whose interrupt is late.
        let allowance = Duration::from_millis(40).max(shape.period * 2);
        if self.rate != shape.rate || self.pace.is_none() {
            self.counts.rate_changes += u64::from(self.rate != 0 && self.rate != shape.rate);
            self.pace = Some(Pace::new(shape.rate, allowance));
            self.rate = shape.rate;
        }
        self.counts.reopens += u64::from(self.opened_before);
        self.opened_before = true;
        out.push_back(Sound::Opened { format: shape.format.clone() });
        self.stream = Some(Stream { device, alive: now, heard: false });
    }

    /// Closed, and not opened again before some time has passed.
    fn lose(&mut self, reason: &str, now: Mono, out: &mut VecDeque<Sound>) {
        self.stream = None;
        // How long nothing was heard is told by the loss: it is no gap.
        self.pace = None;
        self.next_try = now.plus(self.backoff.next_wait());
        out.push_back(Sound::Lost { reason: format!("alsa:{}: {reason}", self.name) });
    }

    fn read(&mut self, stream: &mut Stream, now: Mono, out: &mut VecDeque<Sound>) -> Result<(), Stop> {
        let done = self.read_blocks(stream, now, out);
        match done {
            Err(Stop::Overrun) => {
                self.counts.xruns += 1;
                self.break_off();
                // It had samples, more than it could keep: it was us who did not come.
                stream.alive = now;
                stream.device.restart()
            }
            Err(Stop::Suspended) => {
                self.break_off();
                // While the device still wakes up there is nothing to read, and the stall ends it if it never does.
                if stream.device.resume()? { Ok(()) } else { self.check_alive(stream, now) }
            }
            Err(stop) => Err(stop),
            Ok(()) => self.check_alive(stream, now),
        }
    }

    fn break_off(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.break_off();
        }
    }

    fn check_alive(&self, stream: &Stream, now: Mono) -> Result<(), Stop> {
        match now.since(stream.alive) >= STALL {
            true => Err(Stop::Gone("delivers no samples: there may be no signal at its input".to_owned())),
            false => Ok(()),
        }
    }

    fn read_blocks(&mut self, stream: &mut Stream, now: Mono, out: &mut VecDeque<Sound>) -> Result<(), Stop> {
        let Shape { rate, channels, .. } = *stream.device.shape();
        let most = (u64::from(rate) * BLOCK_MAX.as_millis() as u64 / 1000).max(1);
        let Waiting { frames: mut left, mut first } = stream.device.waiting()?;
        while left > 0 {
            let mut samples = Vec::with_capacity(left.min(most) as usize * usize::from(channels));
            let frames = stream.device.read(left.min(most), &mut samples)?;
            if frames == 0 {
                break;
            }
            (stream.alive, stream.heard) = (now, true);
            self.backoff.reset();
            let pace = self.pace.get_or_insert_with(|| Pace::new(rate, Duration::from_millis(40)));
            let place = pace.place(first, frames);
            if let Some((at, frames)) = place.gap {
                self.counts.lost_frames += frames;
                out.push_back(Sound::Gap { at, frames });
            }
            out.push_back(Sound::Block { first: place.first, rate, channels, samples });
            first = first.plus(Duration::from_nanos(frames * 1_000_000_000 / u64::from(rate.max(1))));
            left = left.saturating_sub(frames);
        }
        Ok(())
    }
}
