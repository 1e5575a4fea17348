//! ALSA capture devices and what they can deliver.

use super::super::alsa::{Name, SampleFormat, quiet};
use crate::source::capture::holder::{self, Holder};
use alsa::card::{Card, Iter};
use alsa::ctl::{Ctl, DeviceIter};
use alsa::pcm::{HwParams, PCM};
use alsa::{Direction, ValueOr};
use nix::errno::Errno;
use std::ffi::CString;
use std::path::Path;

/// Rates that are asked for one by one.
const RATES: [u32; 7] = [16_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000];

/// What a device can deliver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// "s16le", "s32le"..., those that Picket reads.
    pub formats: Vec<&'static str>,
    /// Of the usual sample rates, Hz.
    pub rates: Vec<u32>,
    /// Fewest and most channels.
    pub channels: (u32, u32),
}

/// The capture side of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundDevice {
    /// "hw:1,0": what stands after `alsa:`.
    pub name: String,
    /// "hw:CARD=Loopback,DEV=0": stays when numbers change.
    pub stable: String,
    /// "Loopback".
    pub card: String,
    /// "Loopback PCM".
    pub device: String,
    /// What it can deliver; `None` while it cannot be opened.
    pub abilities: Option<Abilities>,
    /// Who has it open, as far as the kernel tells.
    pub holder: Option<Holder>,
    /// What it runs at for them: "48000 Hz 2 ch S16_LE".
    pub running: Option<String>,
    /// Why it could not be looked at.
    pub problem: Option<String>,
}

/// All of them. Cards that cannot be asked are left out.
pub(super) fn devices(root: &Path) -> Vec<SoundDevice> {
    quiet();
    Iter::new().flatten().flat_map(|card| of_card(root, &card)).collect()
}

fn of_card(root: &Path, card: &Card) -> Vec<SoundDevice> {
    let Ok(control) = Ctl::from_card(card, true) else { return Vec::new() };
    let info = control.card_info().ok();
    let word = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let id = word(info.as_ref().and_then(|info| info.get_id().ok()));
    let title = word(info.as_ref().and_then(|info| info.get_name().ok()));
    DeviceIter::new(&control)
        .filter_map(|number| {
            let number = u32::try_from(number).ok()?;
            // Refused where the device has a playback side only.
            let pcm = control.pcm_info(number, 0, Direction::Capture).ok()?;
            let name = format!("hw:{},{number}", card.get_index());
            let stable = if id.is_empty() { name.clone() } else { format!("hw:CARD={id},DEV={number}") };
            Some(examined(
                root,
                SoundDevice {
                    name,
                    stable,
                    card: title.clone(),
                    device: word(pcm.get_name().ok()),
                    abilities: None,
                    holder: None,
                    running: None,
                    problem: None,
                },
            ))
        })
        .collect()
}

fn examined(root: &Path, mut device: SoundDevice) -> SoundDevice {
    if let Some(name) = Name::parse(&device.name) {
        device.holder = name.owner(root).map(|task| holder::of_task(root, task));
        device.running = name.running(root);
    }
    match abilities(&device.name) {
        Ok(abilities) => device.abilities = Some(abilities),
        // Told by its holder.
        Err(error) if error.errno().abs() == Errno::EBUSY as i32 && device.holder.is_some() => {}
        Err(error) => {
            device.problem = Some(match Errno::from_raw(error.errno().abs()) {
                Errno::EACCES | Errno::EPERM => "permission denied: the user must be in the group 'audio'".to_owned(),
                errno => errno.desc().to_lowercase(),
            });
        }
    }
    device
}

fn abilities(name: &str) -> alsa::Result<Abilities> {
    let text = CString::new(name).unwrap_or_default();
    let pcm = PCM::open(&text, Direction::Capture, true)?;
    let all = HwParams::any(&pcm)?;
    let formats = SampleFormat::ALL.into_iter().filter(|format| all.test_format(format.alsa()).is_ok());
    let mut rates: Vec<u32> = RATES.into_iter().filter(|rate| all.test_rate(*rate).is_ok()).collect();
    if rates.is_empty() {
        // Something unusual, as fixed by the other side of a loopback.
        rates.extend(all.clone().set_rate_near(48_000, ValueOr::Nearest).ok());
    }
    Ok(Abilities {
        formats: formats.map(SampleFormat::name).collect(),
        rates,
        channels: (all.get_channels_min()?, all.get_channels_max()?),
    })
}
