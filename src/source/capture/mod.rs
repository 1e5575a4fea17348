//! Taps on capture devices: pictures from V4L2, sound from ALSA, or both, on one clock.
//!
//! Both kernels' interfaces stamp with CLOCK_MONOTONIC. Places on the source's axis are differences on that clock, so sound
//! and picture need no aligning, and nothing drifts against the other; how fast each clock runs by itself is measured.

pub mod alsa;
pub mod discover;
mod v4l2;

pub use v4l2::Node;

use super::{Context, Error, Unit};
use crate::budget::Effort;
use crate::frame::{AudioBlock, ClockJump, Loss, Part};
use crate::health::CaptureStatus;
use crate::time::{MediaTime, Mono, Stamp};
use self::alsa::{Alsa, Sound};
use nix::libc;
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;
use v4l2::{Camera, Setup, Sight};

/// How often a silent source says that it is silent.
const IDLE_EVERY: Duration = Duration::from_millis(200);
/// A descriptor that reports an error and has nothing to tell must not keep a processor busy.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// What is tapped: pictures, sound, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taps {
    /// Node that gives pictures.
    pub picture: Option<Node>,
    /// Node that knows timings and events of the signal, where that is another one (a bridge's /dev/v4l-subdevN).
    pub receiver: Option<PathBuf>,
    /// ALSA name of the device that gives sound: "hw:1,0".
    pub sound: Option<String>,
    /// Output node that frames are handed on to.
    pub relay: Option<PathBuf>,
}

impl Taps {
    /// What of it is not there or is of another kind, as far as can be seen without starting it: the key of a source that
    /// names it (`input` or `relay`), the node, and what is wrong.
    pub fn faults(&self) -> Vec<(&'static str, String, String)> {
        let picture = self.picture.iter().filter_map(|node| Some(("input", node.to_string(), node.fault()?)));
        let relay =
            self.relay.iter().filter_map(|path| Some(("relay", path.display().to_string(), v4l2::relay_fault(path)?)));
        picture.chain(relay).collect()
    }
}

/// Why a text names no capture device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Of `v4l2:`.
    Picture,
    /// Of `alsa:`.
    Sound,
}

/// Reads `v4l2:NODE[,timings=NODE]` and `alsa:NAME`; `None`: neither.
pub(super) fn parse(text: &str) -> Option<Result<Taps, Fault>> {
    if let Some(name) = text.strip_prefix("alsa:") {
        return Some(sound(name).map(|sound| Taps { sound: Some(sound), ..Taps::default() }).ok_or(Fault::Sound));
    }
    let rest = text.strip_prefix("v4l2:")?;
    let (node, receiver) = rest.rsplit_once(",timings=").map_or((rest, None), |(node, other)| (node, Some(other)));
    let known = receiver.is_none_or(|path| path.starts_with('/'));
    let picture = Node::parse(node).filter(|_| known);
    let taps = |picture| Taps { picture: Some(picture), receiver: receiver.map(PathBuf::from), ..Taps::default() };
    Some(picture.map(taps).ok_or(Fault::Picture))
}

/// An ALSA name, if it is one.
fn sound(name: &str) -> Option<String> {
    let fits = !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    fits.then(|| name.to_owned())
}

impl fmt::Display for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.picture, &self.sound) {
            (Some(picture), Some(sound)) => write!(f, "v4l2:{picture} + alsa:{sound}"),
            (Some(picture), None) => write!(f, "v4l2:{picture}"),
            (None, Some(sound)) => write!(f, "alsa:{sound}"),
            (None, None) => Ok(()),
        }
    }
}

/// A tap in real time. Never ends by itself.
pub struct Capture {
    context: Context,
    camera: Option<Camera>,
    sound: Option<Alsa>,
    /// Zero of the axis on CLOCK_MONOTONIC: when it was opened.
    zero: Mono,
    queue: VecDeque<Unit>,
    sights: VecDeque<Sight>,
    sounds: VecDeque<Sound>,
    /// What picture and sound are, once they were opened.
    formats: [Option<String>; 2],
    announced: bool,
    /// Since when both are there.
    both_since: Option<Mono>,
}

impl Capture {
    /// Opens nothing yet: the first call of [`Capture::next_unit`] does.
    pub fn new(taps: Taps, context: Context) -> Self {
        let camera = taps.picture.map(|node| {
            Camera::new(Setup {
                node,
                receiver: taps.receiver,
                relay: taps.relay,
                clock: context.clock.clone(),
                seed: context.seed,
                kernels: context.kernels,
                reopen_after: context.reopen_after,
                share: context.share.clone(),
            })
        });
        let sound = taps.sound.map(|name| Alsa::new(name, context.clock.clone(), context.seed ^ 1));
        Self {
            zero: context.clock.driver(),
            context,
            camera,
            sound,
            queue: VecDeque::new(),
            sights: VecDeque::new(),
            sounds: VecDeque::new(),
            formats: [None, None],
            announced: false,
            both_since: None,
        }
    }

    /// As [`Capture::new`], but a device that is not there, or is none, is an error. One without a signal is not. Blocks for
    /// as long as a device takes to start.
    pub fn open(taps: Taps, context: &Context) -> Result<Self, Error> {
        let input = taps.to_string();
        let mut capture = Self::new(taps, context.clone());
        loop {
            match capture.next_unit() {
                Unit::Idle(_) => {}
                Unit::Lost { loss: Loss::Unreachable | Loss::Gone | Loss::Busy, reason, .. } => {
                    return Err(Error::Open { input, reason });
                }
                unit => {
                    capture.queue.push_front(unit);
                    return Ok(capture);
                }
            }
        }
    }

    /// Pictures that were damaged or lost, and samples lost, so far.
    pub fn errors(&self) -> u64 {
        let status = self.status();
        status.flagged + status.missing + status.xruns
    }

    /// What the devices told so far.
    pub fn status(&self) -> CaptureStatus {
        let sound = self.sound.as_ref().map(Alsa::counts).unwrap_or_default();
        let picture = self.camera.as_ref().map(Camera::counts).unwrap_or_default();
        let both = self.both_since.map(|since| self.context.clock.driver().since(since));
        let apart = sound.drift_ppm.zip(picture.picture_ppm).map(|(sound, picture)| sound - picture);
        CaptureStatus {
            xruns: sound.xruns,
            sound_lost: sound.lost_frames,
            sound_ppm: sound.drift_ppm,
            skew_ms: apart.zip(both).map(|(ppm, both)| ppm * both.as_secs_f64() / 1e3),
            ..picture
        }
    }

    /// How many of the pictures that come are still to be looked at, when some go back to the driver unseen.
    pub fn left_of(&self, effort: Effort) -> Effort {
        let unseen = self.camera.as_ref().is_some_and(|camera| camera.looks_at_every(effort) > 1);
        if unseen { Effort { every: 1, ..effort } } else { effort }
    }

    /// The next unit; waits for it at most 200 ms.
    pub fn next_unit(&mut self) -> Unit {
        let until = self.context.clock.mono().plus(IDLE_EVERY);
        loop {
            if let Some(unit) = self.queue.pop_front() {
                return unit;
            }
            if self.context.stop.load(Ordering::Relaxed) {
                return Unit::End;
            }
            let failed = self.wait(until);
            self.fetch();
            if !self.queue.is_empty() {
                continue;
            }
            if self.context.clock.mono() >= until {
                return Unit::Idle(self.now());
            }
            if failed {
                std::thread::sleep(ERROR_PAUSE);
            }
        }
    }

    /// Sleeps until a device has something, wants to be called, or `until`. Whether one reports an error.
    #[allow(unsafe_code)]
    fn wait(&self, until: Mono) -> bool {
        let mut fds: Vec<libc::pollfd> = self.camera.iter().filter_map(Camera::poll_fd).collect();
        fds.extend(self.sound.iter().flat_map(Alsa::poll_fds));
        let wake =
            self.camera.as_ref().map(Camera::wake_at).into_iter().chain(self.sound.as_ref().and_then(Alsa::wake_at));
        let until = wake.fold(until, Mono::min);
        let left = until.since(self.context.clock.mono());
        // Rounded up: less than a millisecond would be asked for again and again.
        let ms = left.as_nanos().div_ceil(1_000_000).min(IDLE_EVERY.as_millis()) as i32;
        // SAFETY: the pointer and the count are those of a live vector, which is borrowed for the call alone. A signal
        // that ends it early is no harm.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, ms) };
        ready > 0 && fds.iter().any(|fd| fd.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0)
    }

    fn fetch(&mut self) {
        if let Some(camera) = &mut self.camera {
            camera.take(&mut self.sights);
        }
        if let Some(sound) = &mut self.sound {
            sound.take(&mut self.sounds);
        }
        while let Some(sight) = self.sights.pop_front() {
            let unit = self.seen(sight);
            self.queue.push_back(unit);
        }
        while let Some(sound) = self.sounds.pop_front() {
            let unit = self.heard(sound);
            self.queue.extend(unit);
        }
    }

    fn seen(&mut self, sight: Sight) -> Unit {
        match sight {
            Sight::Opened(format) => self.opened(Part::Picture, format),
            Sight::Changed(format) => {
                self.formats[0] = Some(format);
                Unit::Format(self.format())
            }
            Sight::Picture(at, mut frame) => {
                frame.stamp = self.stamp(at);
                Unit::Video(frame)
            }
            Sight::Passed(at) => Unit::Passed(self.stamp(at)),
            Sight::Jump(at, by_ns) => Unit::Jump(self.stamp(at), ClockJump { by_ns, told: true }),
            Sight::Lost(loss, reason) => self.lost(Part::Picture, loss, reason),
        }
    }

    fn heard(&mut self, sound: Sound) -> Option<Unit> {
        Some(match sound {
            Sound::Opened { format } => self.opened(Part::Sound, format),
            Sound::Block { first, rate, channels, samples } => {
                Unit::Audio(AudioBlock { stamp: self.stamp(first), rate, channels, samples })
            }
            // The stamps say it.
            Sound::Gap { .. } => return None,
            Sound::Lost { reason } => self.lost(Part::Sound, Loss::Unreachable, reason),
        })
    }

    /// A device was opened. The first one opens the source; when pictures come back, what came before is not compared with.
    fn opened(&mut self, part: Part, format: String) -> Unit {
        let before = self.formats[usize::from(part == Part::Sound)].replace(format);
        if self.formats.iter().all(Option::is_some) {
            self.both_since.get_or_insert(self.context.clock.driver());
        }
        let anew = part == Part::Picture || self.camera.is_none();
        if self.announced && !(anew && before.is_some()) {
            return Unit::Format(self.format());
        }
        self.announced = true;
        Unit::Opened {
            stamp: self.now(),
            format: self.format(),
            video: self.camera.is_some(),
            audio: self.sound.is_some(),
        }
    }

    fn lost(&mut self, part: Part, loss: Loss, reason: String) -> Unit {
        self.both_since = None;
        let alone = self.camera.is_none() || self.sound.is_none();
        Unit::Lost { stamp: self.now(), part: if alone { Part::Programme } else { part }, loss, reason }
    }

    fn format(&self) -> String {
        self.formats.iter().flatten().cloned().collect::<Vec<_>>().join(", ")
    }

    fn now(&self) -> Stamp {
        self.stamp(self.context.clock.driver())
    }

    /// What lies `at` on CLOCK_MONOTONIC.
    fn stamp(&self, at: Mono) -> Stamp {
        let place = i128::from(at.0) - i128::from(self.zero.0);
        let at = MediaTime(i64::try_from(place).unwrap_or(0));
        Stamp { at, arrived: self.context.clock.mono() }
    }
}

#[cfg(test)]
mod tests;
