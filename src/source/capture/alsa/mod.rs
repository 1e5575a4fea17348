//! Sound from ALSA capture devices.

use crate::time::{Clock, Mono};
use nix::libc::pollfd;
use std::collections::VecDeque;
use std::sync::Arc;

/// What comes from a capture device. Times are CLOCK_MONOTONIC, as the kernel stamps pictures too.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code, reason = "what a build without ALSA never sees")]
pub enum Sound {
    /// The device is open.
    Opened {
        /// "48000 Hz 2 ch s16le".
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
    /// Samples are missing.
    Gap {
        /// CLOCK_MONOTONIC of the first one that is missing.
        at: Mono,
        /// How many in each channel.
        frames: u64,
    },
    /// The device cannot be opened or has gone.
    Lost {
        /// Why, in English.
        reason: String,
    },
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlsaCounts {
    /// Overruns.
    pub xruns: u64,
    /// Samples of each channel that are missing.
    pub lost_frames: u64,
    /// Times that the device was opened again.
    pub reopens: u64,
    /// Times that it came back with another sample rate.
    pub rate_changes: u64,
    /// Parts per million that its sample clock is faster than CLOCK_MONOTONIC.
    pub drift_ppm: Option<f64>,
}

/// One capture device.
pub struct Alsa {
    name: String,
    told: bool,
}

impl Alsa {
    /// `device`: an ALSA name, as "hw:1,0".
    pub fn new(device: String, _clock: Arc<dyn Clock>, _seed: u64) -> Self {
        Self { name: device, told: false }
    }

    /// What to poll; empty while closed.
    pub fn poll_fds(&self) -> Vec<pollfd> {
        Vec::new()
    }

    /// When [`Alsa::take`] wants to be called although nothing polls ready.
    pub fn wake_at(&self) -> Option<Mono> {
        None
    }

    /// What happened so far.
    pub fn counts(&self) -> AlsaCounts {
        AlsaCounts::default()
    }

    /// Appends all that waits.
    pub fn take(&mut self, out: &mut VecDeque<Sound>) {
        if !std::mem::replace(&mut self.told, true) {
            out.push_back(Sound::Lost { reason: format!("alsa:{}: not in this build", self.name) });
        }
    }
}
