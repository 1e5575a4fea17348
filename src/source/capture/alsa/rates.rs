//! Drivers that tell the sample rate at their input by a control, such as a loopback's or a USB gadget's.

use alsa::Ctl;
use alsa::ctl::{ElemId, ElemValue};
use nix::libc::pollfd;

/// Names of such controls: the input of snd-aloop, of the USB audio gadget, of S/PDIF and HDMI receivers.
const NAMES: [&str; 4] = ["PCM Slave Rate", "Capture Rate", "IEC958 Capture Rate", "HDMI Capture Rate"];

/// The rate control of one capture device.
pub(super) struct Rates {
    control: Ctl,
    id: ElemId,
    open_rate: u32,
}

impl Rates {
    /// The control of `device` and `subdevice` on a card, if its driver has one.
    pub(super) fn find(card: i32, device: u32, subdevice: u32, open_rate: u32) -> Option<Self> {
        let control = Ctl::new(&format!("hw:{card}"), true).ok()?;
        let list = control.elem_list().ok()?;
        let place = (0..list.get_used()).find(|at| {
            list.get_name(*at).is_ok_and(|name| NAMES.contains(&name))
                && (list.get_device(*at), list.get_subdevice(*at)) == (Ok(device), Ok(subdevice))
        })?;
        let id = list.get_id(place).ok()?;
        control.subscribe_events(true).ok()?;
        Some(Self { control, id, open_rate })
    }

    /// What to poll for a change.
    pub(super) fn poll_fds(&self) -> Vec<pollfd> {
        alsa::poll::Descriptors::get(&self.control).unwrap_or_default()
    }

    /// Whether the input now has another rate than the device was opened with.
    pub(super) fn changed(&self) -> bool {
        let mut told = false;
        while let Ok(Some(_)) = self.control.read() {
            told = true;
        }
        told && self.current().is_some_and(|rate| rate > 0 && rate != self.open_rate)
    }

    fn current(&self) -> Option<u32> {
        let mut value = ElemValue::new(alsa::ctl::ElemType::Integer).ok()?;
        value.set_id(&self.id);
        self.control.elem_read(&mut value).ok()?;
        value.get_integer(0).and_then(|rate| u32::try_from(rate).ok())
    }
}
