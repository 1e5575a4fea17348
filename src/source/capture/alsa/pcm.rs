//! The real device, by alsa-lib.

use super::super::holder;
use super::name::Name;
use super::rates::Rates;
use super::samples::SampleFormat;
use super::{Device, Shape, Stop, Waiting};
use crate::time::{Clock, Mono};
use alsa::pcm::{Access, Frames, HwParams, PCM, Status, TstampType};
use alsa::{Direction, PollDescriptors, ValueOr};
use nix::errno::Errno;
use nix::libc::pollfd;
use std::ffi::CString;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Asked of the device, microseconds: often enough for alerts, seldom enough to cost nothing; and room for a second in
/// which the encoder has all processors.
const PERIOD_US: u32 = 20_000;
const BUFFER_US: u32 = 1_000_000;
/// What broadcast and HDMI run at. Another rate is taken where the device has no other.
const RATE: u32 = 48_000;
/// Stereo where there is a choice.
const CHANNELS: u32 = 2;
/// A stamp that is further from now was not taken from CLOCK_MONOTONIC, as some plug-ins do.
const STAMP_MAX: Duration = Duration::from_secs(10);

/// alsa-lib's complaints of this thread go to nobody: what matters comes as an error too.
pub(in super::super) fn quiet() {
    // Each call begins an empty buffer and frees the one before. Refused only without memory.
    let _ = alsa::Output::local_error_handler();
}

/// An open capture device.
pub(super) struct Pcm {
    pcm: PCM,
    shape: Shape,
    encoding: SampleFormat,
    rates: Option<Rates>,
    clock: Arc<dyn Clock>,
    bytes: Vec<u8>,
}

impl Pcm {
    /// Opens `name` and starts it. Why not, in English.
    pub(super) fn open(name: &str, clock: Arc<dyn Clock>) -> Result<Self, String> {
        quiet();
        let text = CString::new(name).map_err(|_| "is no name of a device".to_owned())?;
        let pcm = PCM::open(&text, Direction::Capture, true).map_err(|error| refusal(name, error))?;
        let refused = |what: &'static str| move |error: alsa::Error| format!("{what}: {}", reason(error));
        let encoding = shape_hardware(&pcm).map_err(refused("does not take the settings"))?;
        let shape = shape_of(&pcm, encoding).map_err(refused("does not tell its settings"))?;
        shape_software(&pcm).map_err(refused("does not take the settings"))?;
        pcm.start().map_err(refused("does not start"))?;
        let info = pcm.info().ok().filter(|info| info.get_card() >= 0);
        let rates =
            info.and_then(|info| Rates::find(info.get_card(), info.get_device(), info.get_subdevice(), shape.rate));
        Ok(Self { pcm, shape, encoding, rates, clock, bytes: Vec::new() })
    }

    /// Lets plug-ins whose descriptor is a timer see that it ran out.
    fn acknowledge(&self) {
        let Ok(mut fds) = self.pcm.get() else { return };
        if alsa::poll::poll(&mut fds, 0).is_ok_and(|ready| ready > 0) {
            let _ = self.pcm.revents(&fds);
        }
    }

    /// CLOCK_MONOTONIC of the first of `frames` that wait, from the moment at which the device told its position.
    fn stamp(&self, status: &Status, frames: u64) -> Mono {
        let told = status.get_htstamp();
        let told = Mono((told.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(told.tv_nsec as u64));
        let now = self.clock.driver();
        let is_real = now.since(told).max(told.since(now)) < STAMP_MAX;
        let moment = if is_real { told } else { now };
        // The delay counts what is on its way to the ring buffer too; plug-ins may not know it.
        let back = u64::try_from(status.get_delay()).unwrap_or(0).max(frames);
        Mono(moment.0.saturating_sub(back * 1_000_000_000 / u64::from(self.shape.rate.max(1))))
    }
}

impl Device for Pcm {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn poll_fds(&self) -> Vec<pollfd> {
        let mut fds = self.pcm.get().unwrap_or_default();
        fds.extend(self.rates.iter().flat_map(Rates::poll_fds));
        fds
    }

    fn waiting(&mut self) -> Result<Waiting, Stop> {
        if self.rates.as_ref().is_some_and(Rates::changed) {
            return Err(Stop::Changed);
        }
        self.acknowledge();
        let status = self.pcm.status().map_err(stop_of)?;
        let frames = u64::try_from(status.get_avail()).unwrap_or(0);
        // As in alsa/pcm.h; the crate's own enumeration panics on states that it does not know.
        match self.pcm.state_raw() {
            // Open or set up: the driver took the settings away. Draining: it will when all is read.
            0 | 1 => return Err(Stop::Changed),
            5 if frames == 0 => return Err(Stop::Changed),
            4 => return Err(Stop::Overrun),
            7 => return Err(Stop::Suspended),
            8 => return Err(stop_of(alsa::Error::new("snd_pcm_state", Errno::ENODEV as i32))),
            _ => {}
        }
        Ok(Waiting { frames, first: self.stamp(&status, frames) })
    }

    fn read(&mut self, frames: u64, out: &mut Vec<f32>) -> Result<u64, Stop> {
        let frame = self.encoding.bytes() * usize::from(self.shape.channels);
        self.bytes.resize(frames as usize * frame, 0);
        let got = match self.pcm.io_bytes().readi(&mut self.bytes) {
            Ok(got) => got,
            Err(error) if error.errno().abs() == Errno::EAGAIN as i32 => 0,
            Err(error) => return Err(stop_of(error)),
        };
        self.encoding.convert(&self.bytes[..(got * frame).min(self.bytes.len())], out);
        Ok(got as u64)
    }

    fn restart(&mut self) -> Result<(), Stop> {
        self.pcm.prepare().and_then(|()| self.pcm.start()).map_err(stop_of)
    }

    fn resume(&mut self) -> Result<bool, Stop> {
        match self.pcm.resume() {
            Ok(()) => Ok(true),
            Err(error) if error.errno().abs() == Errno::EAGAIN as i32 => Ok(false),
            // Devices that cannot go on begin anew.
            Err(_) => self.restart().map(|()| true),
        }
    }
}

/// Settings as near as the device has them to what is wanted.
fn shape_hardware(pcm: &PCM) -> alsa::Result<SampleFormat> {
    let wanted = HwParams::any(pcm)?;
    // What the device measures is what is wanted, not what a plug-in makes of it. Without plug-ins there is nothing to set.
    let _ = wanted.set_rate_resample(false);
    wanted.set_access(Access::RWInterleaved)?;
    let has = |encoding: &SampleFormat| wanted.test_format(encoding.alsa()).is_ok();
    let encoding = SampleFormat::ALL.into_iter().find(has);
    let encoding = encoding.ok_or_else(|| alsa::Error::new("snd_pcm_hw_params_set_format", Errno::EINVAL as i32))?;
    wanted.set_format(encoding.alsa())?;
    if wanted.set_channels(CHANNELS).is_err() {
        let _ = wanted.set_channels_near(CHANNELS)?;
    }
    let _ = wanted.set_rate_near(RATE, ValueOr::Nearest)?;
    let _ = wanted.set_period_time_near(PERIOD_US, ValueOr::Nearest)?;
    let _ = wanted.set_buffer_time_near(BUFFER_US, ValueOr::Nearest)?;
    pcm.hw_params(&wanted)?;
    Ok(encoding)
}

/// Stamps from CLOCK_MONOTONIC, and a start when we say so.
fn shape_software(pcm: &PCM) -> alsa::Result<()> {
    let period = pcm.hw_params_current()?.get_period_size()?;
    let wanted = pcm.sw_params_current()?;
    wanted.set_avail_min(period)?;
    wanted.set_start_threshold(Frames::MAX)?;
    wanted.set_tstamp_mode(true)?;
    // Refused by some plug-ins; `Pcm::stamp` then finds that the stamps are none.
    let _ = wanted.set_tstamp_type(TstampType::Monotonic);
    pcm.sw_params(&wanted)
}

fn shape_of(pcm: &PCM, encoding: SampleFormat) -> alsa::Result<Shape> {
    let current = pcm.hw_params_current()?;
    let (rate, channels) = (current.get_rate()?, current.get_channels()?);
    let period = u64::try_from(current.get_period_size()?).unwrap_or(0);
    let mut format = format!("{rate} Hz {channels} ch {}", encoding.name());
    if let Some(map) = channel_map(pcm) {
        let _ = write!(format, " ({map})");
    }
    Ok(Shape {
        rate,
        channels: u16::try_from(channels).unwrap_or(u16::MAX),
        format,
        period: Duration::from_nanos(period * 1_000_000_000 / u64::from(rate.max(1))),
    })
}

/// "FL FR RL RR FC LFE", where the driver knows and it is not what everybody expects.
fn channel_map(pcm: &PCM) -> Option<String> {
    let map = pcm.get_chmap().ok()?;
    let mut text = String::new();
    write!(text, "{map}").ok()?;
    let plain = matches!(text.as_str(), "FL FR" | "MONO" | "") || text.split(' ').all(|part| part == "UNKNOWN");
    (!plain).then_some(text)
}

fn stop_of(error: alsa::Error) -> Stop {
    match Errno::from_raw(error.errno().abs()) {
        Errno::EPIPE => Stop::Overrun,
        Errno::ESTRPIPE => Stop::Suspended,
        Errno::EBADFD => Stop::Changed,
        Errno::ENODEV | Errno::ENXIO | Errno::ENOENT => Stop::Gone("the device was unplugged".to_owned()),
        _ => Stop::Gone(reason(error)),
    }
}

fn reason(error: alsa::Error) -> String {
    Errno::from_raw(error.errno().abs()).desc().to_lowercase()
}

/// Why a device does not open.
fn refusal(name: &str, error: alsa::Error) -> String {
    match Errno::from_raw(error.errno().abs()) {
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => "no such capture device".to_owned(),
        Errno::EBUSY | Errno::EAGAIN => {
            let root = Path::new("/");
            let owner = Name::parse(name).and_then(|name| name.owner(root));
            match owner {
                Some(task) => format!("busy: in use by {}", holder::of_task(root, task)),
                None => "busy: in use by another program".to_owned(),
            }
        }
        Errno::EACCES | Errno::EPERM => "permission denied: the user must be in the group 'audio'".to_owned(),
        _ => reason(error),
    }
}
