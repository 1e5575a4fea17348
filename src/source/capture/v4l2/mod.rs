//! Pictures from V4L2 capture devices: opened, watched, renegotiated and opened again for ever.

mod device;
mod fields;
mod formats;
mod node;
mod pool;
mod rate;
mod relay;
mod running;
mod signal;
mod stream;
mod track;
mod unpack;

pub use node::Node;
pub(super) use relay::fault as relay_fault;

use super::super::Backoff;
use super::holder;
use crate::budget::{Effort, Share};
use crate::frame::{Frame, Loss};
use crate::health::CaptureStatus;
use crate::kernels::Kernels;
use crate::time::{Clock, Mono};
use device::{Api, Device};
use formats::Layout;
use nix::errno::Errno;
use nix::libc;
use relay::Relay;
use running::{Care, Outer, Running};
use signal::{Signal, Timings};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use track::Tracker;
use v4l::v4l_sys as sys;

/// How often the input is looked at, whatever events say: many drivers send none. With what follows it tells a change
/// As many are named of those who hold a node.
const HOLDERS_MAX: usize = 3;
/// within half a second.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Who holds a node is looked for this often: all processes are asked.
const HOLDER_EVERY: Duration = Duration::from_secs(5);
/// After a change that a driver announced, a stream that stays silent for so long has to be started anew.
const SILENT_AFTER_CHANGE: Duration = Duration::from_secs(1);
/// The call that sets a device to a signal.
const SET_TIMINGS: &str = "S_DV_TIMINGS";
/// On rungs of the budget from this one on, pictures that are not looked at go back to the driver unseen: before that,
/// their stamps and sizes are still worth the copy. JPEGs must be decoded, which is dear.
const UNSEEN_FROM: u32 = 4;
const UNSEEN_FROM_JPEG: u32 = 2;

/// What comes of a camera. Times are CLOCK_MONOTONIC.
#[derive(Debug)]
pub(super) enum Sight {
    /// Pictures can be read; what they are.
    Opened(String),
    /// They are others from here on.
    Changed(String),
    /// A picture; its stamp is still to be set.
    Picture(Mono, Frame),
    /// A picture went back unseen.
    Passed(Mono),
    /// The driver's stamps jumped by so many nanoseconds.
    Jump(Mono, i64),
    /// Nothing comes, and why.
    Lost(Loss, String),
}

/// What is tapped, and with what.
pub(super) struct Setup {
    /// Where frames come from.
    pub node: Node,
    /// Where signals are known, if elsewhere.
    pub receiver: Option<PathBuf>,
    /// Where frames are handed on to.
    pub relay: Option<PathBuf>,
    /// Of its time-outs.
    pub clock: Arc<dyn Clock>,
    /// Of its attempts.
    pub seed: u64,
    /// Takes samples apart.
    pub kernels: Kernels,
    /// A stream that gives nothing for so long is started anew.
    pub reopen_after: Duration,
    /// What the budget allows.
    pub share: Share,
}

/// An open node, with or without a stream.
struct Open {
    device: Rc<Device>,
    receiver: Rc<Device>,
    path: PathBuf,
    api: Api,
    input: u32,
    /// When the input is looked at next.
    look: Mono,
    /// When the driver announced a change last.
    announced: Option<Mono>,
    running: Option<Running>,
    /// There is no signal, though buffers may come.
    blind: bool,
}

/// Why it has to be closed.
struct Trouble {
    loss: Loss,
    reason: String,
}

/// One V4L2 device.
pub(super) struct Camera {
    setup: Setup,
    open: Option<Open>,
    next_try: Mono,
    backoff: Backoff,
    tracker: Tracker,
    counts: CaptureStatus,
    relay: Option<Relay>,
    /// What was told last, until it is over.
    lost: Option<(Loss, String)>,
    holders_looked: Option<Mono>,
    opened_before: bool,
}

impl Camera {
    /// Opened by the first [`Camera::take`].
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            open: None,
            next_try: Mono(0),
            backoff: Backoff::new(setup.seed),
            tracker: Tracker::default(),
            counts: CaptureStatus::default(),
            relay: setup.relay.clone().map(Relay::new),
            lost: None,
            holders_looked: None,
            opened_before: false,
            setup,
        }
    }

    /// What to poll; `None` while closed.
    pub(super) fn poll_fd(&self) -> Option<libc::pollfd> {
        let open = self.open.as_ref()?;
        // Without a stream a node that is asked for pictures says "error" at once.
        let pictures = if open.running.is_some() { libc::POLLIN } else { 0 };
        Some(libc::pollfd { fd: open.device.fd(), events: libc::POLLPRI | pictures, revents: 0 })
    }

    /// When [`Camera::take`] wants to be called although nothing polls ready.
    pub(super) fn wake_at(&self) -> Mono {
        self.open.as_ref().map_or(self.next_try, |open| open.look)
    }

    /// What happened so far.
    pub(super) fn counts(&self) -> CaptureStatus {
        let running = self.open.as_ref().and_then(|open| open.running.as_ref());
        CaptureStatus {
            picture_ppm: running.and_then(Running::ppm),
            relay: self.relay.as_ref().map(Relay::status),
            ..self.counts.clone()
        }
    }

    /// Of how many pictures one is looked at, where the others go back unseen.
    pub(super) fn looks_at_every(&self, effort: Effort) -> u32 {
        let running = self.open.as_ref().and_then(|open| open.running.as_ref());
        every(effort, running.is_some_and(Running::is_jpeg))
    }

    /// Appends what there is to tell; at most one picture. Returns at once.
    pub(super) fn take(&mut self, out: &mut VecDeque<Sight>) {
        let now = self.setup.clock.mono();
        let open = match self.open.take() {
            Some(open) => Ok(open),
            None if now < self.next_try => return,
            None => self.open(now),
        };
        let outcome = open.and_then(|mut open| self.go_on(&mut open, now, out).map(|()| open));
        match outcome {
            Ok(open) => self.open = Some(open),
            Err(trouble) => self.close(trouble, now, out),
        }
    }

    fn close(&mut self, trouble: Trouble, now: Mono, out: &mut VecDeque<Sight>) {
        // Whether a device is there, or free, is seen by looking; what breaks is left alone for longer and longer.
        let wait = match trouble.loss {
            Loss::Gone | Loss::Busy => LOOK_EVERY,
            _ => self.backoff.next_wait(),
        };
        self.next_try = now.plus(wait);
        self.tell_lost(trouble.loss, trouble.reason, out);
    }

    fn tell_lost(&mut self, loss: Loss, reason: String, out: &mut VecDeque<Sight>) {
        if self.lost.as_ref().is_none_or(|(known, told)| (*known, told) != (loss, &reason)) {
            out.push_back(Sight::Lost(loss, reason.clone()));
        }
        self.lost = Some((loss, reason));
    }

    fn open(&mut self, now: Mono) -> Result<Open, Trouble> {
        let node = self.setup.node.to_string();
        let (path, device) = self.setup.node.open().map_err(|(path, error)| match error.raw_os_error() {
            Some(libc::EBUSY) => self.busy(&path.unwrap_or_default(), now),
            Some(libc::ENODEV | libc::ENXIO) | None => Trouble::gone(&node),
            Some(libc::ENOENT) => Trouble::gone(&node),
            _ => Trouble::of(format!("{node}: {}", device::plain(&error))),
        })?;
        if let Some(wrong) = node::refused(&device) {
            return Err(Trouble::of(format!("{node}: {wrong}")));
        }
        let single = device.capability().is_ok_and(|known| known.caps & sys::V4L2_CAP_VIDEO_CAPTURE != 0);
        let api = if single { Api::Single } else { Api::Multi };
        let device = Rc::new(device);
        let receiver = match &self.setup.receiver {
            None => device.clone(),
            Some(path) => Rc::new(
                Device::open(path)
                    .map_err(|error| Trouble::of(format!("{}: {}", path.display(), device::plain(&error))))?,
            ),
        };
        let input = device.input();
        for node in [&device, &receiver] {
            node.subscribe(sys::V4L2_EVENT_SOURCE_CHANGE, input);
            node.subscribe(sys::V4L2_EVENT_CTRL, sys::V4L2_CID_DV_RX_POWER_PRESENT);
        }
        Ok(Open { device, receiver, path, api, input, look: now, announced: None, running: None, blind: false })
    }

    /// Somebody else has it.
    fn busy(&mut self, path: &Path, now: Mono) -> Trouble {
        let due = self.holders_looked.is_none_or(|looked| now.since(looked) >= HOLDER_EVERY);
        let told = self.lost.as_ref().filter(|(loss, _)| *loss == Loss::Busy && !due);
        if let Some((loss, reason)) = told {
            return Trouble { loss: *loss, reason: reason.clone() };
        }
        self.holders_looked = Some(now);
        let known: Vec<String> =
            holder::of_node(Path::new("/"), path).iter().take(HOLDERS_MAX).map(ToString::to_string).collect();
        let by = match known.as_slice() {
            [] => "another process, which this user cannot see".to_owned(),
            known => known.join(", "),
        };
        Trouble { loss: Loss::Busy, reason: format!("{}: in use by {by}", path.display()) }
    }

    /// Everything but opening.
    fn go_on(&mut self, open: &mut Open, now: Mono, out: &mut VecDeque<Sight>) -> Result<(), Trouble> {
        let announced = open.announced_now().map_err(|error| open.trouble("DQEVENT", error))?;
        if announced {
            open.announced = Some(now);
        }
        // Before pictures are taken: those that a device makes up without a signal are not to be looked at.
        if announced || now >= open.look {
            open.look = now.plus(LOOK_EVERY);
            self.look(open, announced, now, out)?;
        }
        if let Some(running) = &mut open.running {
            let effort = self.setup.share.step().effort().unwrap_or(Effort::FULL);
            let every = u64::from(every(effort, running.is_jpeg()));
            let care = Care { blind: open.blind, every, driver_now: self.setup.clock.driver(), now };
            let (tracker, counts, relay) = (&mut self.tracker, &mut self.counts, &mut self.relay);
            let taken = running.take(care, &mut Outer { tracker, counts, relay, out });
            match taken {
                Ok(true) if !open.blind => self.backoff.reset(),
                Ok(_) => {}
                Err(error) => return Err(open.trouble("DQBUF", error)),
            }
        }
        Ok(())
    }

    /// What the input says, and what follows of it.
    fn look(&mut self, open: &mut Open, announced: bool, now: Mono, out: &mut VecDeque<Sight>) -> Result<(), Trouble> {
        let signal = signal::look(&open.device, &open.receiver, open.input);
        match signal.map_err(|error| open.trouble("ENUMINPUT", error))? {
            Signal::Absent(loss) => {
                // The stream goes on if it runs: those that frames are handed on to see what the device shows then.
                open.blind = true;
                self.tell_lost(loss, format!("{}: {}", open.path.display(), loss.phrase()), out);
                Ok(())
            }
            Signal::Present(timings) if open.fits(timings, announced) && !self.is_silent(open, now) => {
                if std::mem::take(&mut open.blind) {
                    let now = self.setup.clock.driver();
                    open.running.iter_mut().for_each(|running| running.see_again(now));
                    self.found(open, out);
                }
                Ok(())
            }
            Signal::Present(timings) => self.start(open, timings, now, out),
        }
    }

    fn is_silent(&self, open: &Open, now: Mono) -> bool {
        let Some(running) = &open.running else { return true };
        let after = match open.announced {
            Some(announced) if running.alive < announced => SILENT_AFTER_CHANGE,
            _ => self.setup.reopen_after,
        };
        now.since(running.alive) >= after
    }

    /// Starts the stream, anew if there is one.
    fn start(
        &mut self,
        open: &mut Open,
        timings: Option<Timings>,
        now: Mono,
        out: &mut VecDeque<Sight>,
    ) -> Result<(), Trouble> {
        // Drivers change nothing while there are buffers.
        let before = open.running.take().map(|running| running.described());
        open.announced = None;
        if let Some(relay) = &mut self.relay {
            relay.restart();
        }
        let running = match open.started(timings, self.setup.kernels, now) {
            Ok(running) => running,
            // It stays open: as soon as it is free, it is taken.
            Err((_, Errno::EBUSY)) => {
                let Trouble { loss, reason } = self.busy(&open.path, now);
                self.tell_lost(loss, reason, out);
                return Ok(());
            }
            // The signal is one that the device cannot be set to: another may come.
            Err((call, Errno::EINVAL | Errno::ERANGE)) if call == SET_TIMINGS => {
                let loss = Loss::OutOfRange;
                self.tell_lost(loss, format!("{}: {}", open.path.display(), loss.phrase()), out);
                return Ok(());
            }
            Err((call, error)) => return Err(open.trouble(&call, error)),
        };
        self.counts.restarts += u64::from(self.opened_before);
        self.tracker.restart(running.interval_ns());
        let described = running.described();
        open.running = Some(running);
        open.blind = false;
        if self.lost.is_some() || before.is_none() || !self.opened_before {
            self.found(open, out);
        } else {
            out.push_back(Sight::Changed(described));
        }
        self.opened_before = true;
        Ok(())
    }

    /// Pictures can come.
    fn found(&mut self, open: &Open, out: &mut VecDeque<Sight>) {
        self.lost = None;
        self.holders_looked = None;
        out.push_back(Sight::Opened(open.running.as_ref().map_or(String::new(), Running::described)));
    }
}

/// Of how many pictures one is looked at.
fn every(effort: Effort, jpeg: bool) -> u32 {
    let from = if jpeg { UNSEEN_FROM_JPEG } else { UNSEEN_FROM };
    if effort.every >= from { effort.every } else { 1 }
}

impl Trouble {
    fn of(reason: String) -> Self {
        Self { loss: Loss::Unreachable, reason }
    }

    fn gone(node: &str) -> Self {
        Self { loss: Loss::Gone, reason: format!("{node}: there is no such device now") }
    }
}

impl Open {
    fn trouble(&self, call: &str, error: Errno) -> Trouble {
        match error {
            Errno::ENODEV | Errno::ENXIO => Trouble::gone(&self.path.display().to_string()),
            Errno::UnknownErrno => Trouble::of(format!("{}: {call}", self.path.display())),
            error => Trouble::of(format!("{}: {call}: {}", self.path.display(), error.desc())),
        }
    }

    /// Takes all events; whether one of them was a change at the input.
    fn announced_now(&self) -> Result<bool, Errno> {
        let mut changed = false;
        let shared = Rc::ptr_eq(&self.device, &self.receiver);
        for node in [Some(&self.device), (!shared).then_some(&self.receiver)].into_iter().flatten() {
            loop {
                match node.event() {
                    Ok(kind) => changed |= matches!(kind, sys::V4L2_EVENT_SOURCE_CHANGE | sys::V4L2_EVENT_CTRL),
                    Err(Errno::ENODEV) => return Err(Errno::ENODEV),
                    // ENOENT: no more; others: the driver knows no events.
                    Err(_) => break,
                }
            }
        }
        Ok(changed)
    }

    /// Whether the stream that runs is right for what arrives. A change of unknown kind wants a new look at the format.
    fn fits(&self, timings: Option<Timings>, announced: bool) -> bool {
        match (&self.running, timings) {
            (None, _) => false,
            (Some(running), Some(now)) => running.timings.is_some_and(|then| then.fits(&now)),
            (Some(running), None) => running.timings.is_none() && !announced,
        }
    }

    /// Sets the device to what arrives and starts it.
    fn started(&self, timings: Option<Timings>, kernels: Kernels, now: Mono) -> Result<Running, (String, Errno)> {
        let named = |call: &'static str| move |error| (call.to_owned(), error);
        if timings.is_some() {
            let arriving = self.receiver.query_timings().map_err(named("QUERY_DV_TIMINGS"))?;
            let set = self.receiver.timings().ok().as_ref().and_then(Timings::of);
            if set.zip(Timings::of(&arriving)).is_none_or(|(set, arriving)| !set.fits(&arriving)) {
                self.receiver.set_timings(&arriving).map_err(named(SET_TIMINGS))?;
            }
        }
        let (format, layout) = self.format()?;
        Running::start(&self.device, self.api, (format, layout), timings, kernels, now)
            .map_err(|(call, error)| (call.to_owned(), error))
    }

    /// The format that is set, if it can be read: whoever set it knew why. Else the best of what the device offers.
    fn format(&self) -> Result<(sys::v4l2_format, Layout), (String, Errno)> {
        let mut raw = self.device.format(self.api.kind()).map_err(|error| ("G_FMT".to_owned(), error))?;
        if let Some(layout) = Layout::of(&raw) {
            return Ok((raw, layout));
        }
        let offered = self.device.formats(self.api);
        let none = || {
            let names: Vec<String> = offered.iter().map(|&code| formats::name_of(code)).collect();
            let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            (format!("offers {names}, of which Picket reads none"), Errno::UnknownErrno)
        };
        formats::set_code(&mut raw, formats::best(&offered).ok_or_else(none)?);
        self.device.set_format(&mut raw).map_err(|error| ("S_FMT".to_owned(), error))?;
        let layout = Layout::of(&raw).ok_or_else(none)?;
        Ok((raw, layout))
    }
}
