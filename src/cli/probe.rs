//! `picket probe`: what this box has and what works; with `--watch`, what comes and goes.

use super::{CONFIGURATION, ENVIRONMENT, Failure, GOOD, output, probe_text};
use crate::config::BoardProfile;
use crate::health::{Board, Machine};
use crate::kernels::Kernels;
use crate::source::capture::discover::sound::SoundDevice;
use crate::source::capture::discover::video::{PixelFormat, Role, Signal, Size, VideoNode};
use crate::source::capture::discover::{Hotplug, decoders, devices};
use crate::source::capture::holder::Holder;
use crate::time::{Clock, SystemClock};
use crate::wire::{
    self, ProbeBoard, ProbeChange, ProbeDecoder, ProbeFormat, ProbeHolder, ProbeReport, ProbeSize, ProbeSound,
    ProbeVideo, ProbeWatchdog,
};
use clap::{Args, ValueEnum};
use std::path::Path;

#[derive(Args)]
pub(super) struct Options {
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    format: ProbeFormatOption,
    /// Goes on and tells what comes and goes, until it is interrupted
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProbeFormatOption {
    /// For people
    Text,
    /// One JSON document on a line; with --watch one more for each change
    Json,
}

pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let refused =
        |error: std::io::Error| Failure { code: ENVIRONMENT, text: format!("/dev cannot be watched: {error}") };
    // Watched before it is looked at: nothing comes unseen in between.
    let hotplug = options.watch.then(Hotplug::watch).transpose().map_err(refused)?;
    let mut report = survey()?;
    match options.format {
        ProbeFormatOption::Text => output::print(&probe_text::report(&report)),
        ProbeFormatOption::Json => output::print_json(&wire::probe(report.clone())),
    }
    let Some(hotplug) = hotplug else { return Ok(GOOD) };
    loop {
        hotplug.wait().map_err(refused)?;
        let (video, sound) = found();
        for change in changes((&report.video, &report.sound), (&video, &sound)) {
            let now = SystemClock.wall().unix_ms;
            match options.format {
                ProbeFormatOption::Text => output::print(&probe_text::change(&change)),
                ProbeFormatOption::Json => output::print_json(&wire::probe_change(change, now)),
            }
        }
        (report.video, report.sound) = (video, sound);
    }
}

fn survey() -> Result<ProbeReport, Failure> {
    let root = Path::new("/");
    let best = crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    let board = Board::read(root);
    let watchdog = |watchdog: crate::health::Watchdog| ProbeWatchdog {
        name: watchdog.name,
        identity: watchdog.identity,
        timeout_s: watchdog.timeout_s,
        active: watchdog.active,
    };
    let (video, sound) = found();
    let known = crate::config::board_profile(&board.device_tree, board.dmi.as_deref());
    Ok(ProbeReport {
        board: ProbeBoard {
            model: board.model,
            profile: known.as_ref().map_or("generic", |(name, _)| *name),
            title: known.as_ref().map(|(_, profile)| profile.title.clone()),
            decoders: known.as_ref().map(|(_, profile)| profile.decoders.prefer.clone()).unwrap_or_default(),
            notes: known.map(|(_, profile)| quirks(&profile)).unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            temps: Machine::new(root, root).read(SystemClock.mono()).temps,
            watchdogs: board.watchdogs.into_iter().map(watchdog).collect(),
        },
        kernels: best.level().name(),
        kernels_available: Kernels::available().iter().map(|set| set.level().name()).collect(),
        ffmpeg: crate::source::library_versions(),
        decoders: decoders::decoders().into_iter().map(decoder).collect(),
        video,
        sound,
        ..ProbeReport::default()
    })
}

/// What is to be known of the inputs of a board, each after its driver.
fn quirks(profile: &BoardProfile) -> Vec<String> {
    let of = |input: &crate::config::BoardCapture| {
        let driver = input.driver.clone();
        input.quirks.clone().into_iter().map(move |quirk| format!("{driver}: {quirk}")).collect::<Vec<_>>()
    };
    profile.capture.iter().flat_map(of).collect()
}

fn found() -> (Vec<ProbeVideo>, Vec<ProbeSound>) {
    let devices = devices();
    (devices.video.into_iter().map(video).collect(), devices.sound.into_iter().map(sound).collect())
}

fn decoder(tried: decoders::Decoder) -> ProbeDecoder {
    let decoders::Decoder { name, codec, hardware, outcome } = tried;
    ProbeDecoder { name, codec, hardware, works: outcome == decoders::Outcome::Works, outcome: outcome.name() }
}

fn holder(holder: Holder) -> ProbeHolder {
    ProbeHolder { pid: holder.pid, name: holder.name }
}

fn video(node: VideoNode) -> ProbeVideo {
    let (signal, measured) = match node.signal {
        Signal::Locked(timings) => (Some("locked"), Some(timings)),
        Signal::Absent(word) => (Some(word), None),
        Signal::Untold => (None, None),
    };
    ProbeVideo {
        path: node.path.display().to_string(),
        stable: node.stable.iter().map(|path| path.display().to_string()).collect(),
        driver: node.driver,
        card: node.card,
        bus: node.bus,
        role: match node.role {
            Role::Capture => "capture",
            Role::Output => "output",
            Role::Converter => "converter",
            Role::Other => "other",
        },
        multiplanar: node.multiplanar,
        media_controlled: node.media_controlled,
        input: node.input,
        signal,
        measured,
        timings: node.timings,
        formats: node.formats.into_iter().map(format).collect(),
        holders: node.holders.into_iter().map(holder).collect(),
        problem: node.problem,
    }
}

fn format(format: PixelFormat) -> ProbeFormat {
    let size = |size: Size| match size {
        Size::Fixed { width, height, rates } => {
            ProbeSize { width, height, width_max: None, height_max: None, fps: rates }
        }
        Size::Range { least: (width, height), most } => {
            ProbeSize { width, height, width_max: Some(most.0), height_max: Some(most.1), fps: Vec::new() }
        }
    };
    ProbeFormat {
        fourcc: format.fourcc,
        description: format.description,
        sizes: format.sizes.into_iter().map(size).collect(),
    }
}

fn sound(device: SoundDevice) -> ProbeSound {
    let abilities = device.abilities.unwrap_or_default();
    // A device without channels is one that could not be asked.
    let channels = |n: u32| (n > 0).then_some(n);
    ProbeSound {
        name: device.name,
        stable: device.stable,
        card: device.card,
        device: device.device,
        formats: abilities.formats,
        rates: abilities.rates,
        channels_min: channels(abilities.channels.0),
        channels_max: channels(abilities.channels.1),
        holders: device.holder.into_iter().map(holder).collect(),
        running: device.running,
        problem: device.problem,
    }
}

type Lists<'a> = (&'a [ProbeVideo], &'a [ProbeSound]);

/// What differs: first what went, then what came or changed.
fn changes(before: Lists<'_>, after: Lists<'_>) -> Vec<ProbeChange> {
    let video = |change, node: &ProbeVideo| ProbeChange { change, video: Some(node.clone()), ..ProbeChange::default() };
    let sound = |change, item: &ProbeSound| ProbeChange { change, sound: Some(item.clone()), ..ProbeChange::default() };
    // Another card at the same place is another device.
    let nodes = difference(before.0, after.0, |a, b| (&a.path, &a.card, &a.bus) == (&b.path, &b.card, &b.bus));
    let cards = difference(before.1, after.1, |a, b| (&a.name, &a.stable) == (&b.name, &b.stable));
    let mut all: Vec<ProbeChange> = nodes.into_iter().map(|(change, node)| video(change, node)).collect();
    all.extend(cards.into_iter().map(|(change, item)| sound(change, item)));
    all.sort_by_key(|change| change.change != "went");
    all
}

fn difference<'a, T: PartialEq>(
    before: &'a [T],
    after: &'a [T],
    same: impl Fn(&T, &T) -> bool,
) -> Vec<(&'static str, &'a T)> {
    let went = before.iter().filter(|old| !after.iter().any(|new| same(old, new))).map(|old| ("went", old));
    let news = after.iter().filter_map(|new| match before.iter().find(|old| same(old, new)) {
        None => Some(("came", new)),
        Some(old) => (old != new).then_some(("changed", new)),
    });
    went.chain(news).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, rates: &[u32]) -> ProbeSound {
        sound(SoundDevice {
            name: name.to_owned(),
            stable: format!("{name} stable"),
            card: "Card".to_owned(),
            device: "Device".to_owned(),
            abilities: (!rates.is_empty()).then(|| crate::source::capture::discover::sound::Abilities {
                formats: vec!["s16le"],
                rates: rates.to_vec(),
                channels: (2, 8),
            }),
            holder: Some(Holder { pid: 5, name: Some("encoder".to_owned()) }),
            running: None,
            problem: None,
        })
    }

    fn node(path: &str, signal: Signal) -> ProbeVideo {
        video(VideoNode {
            path: path.into(),
            stable: vec!["/dev/v4l/by-path/a".into()],
            driver: "vivid".to_owned(),
            card: "vivid".to_owned(),
            bus: "platform:vivid-000".to_owned(),
            role: Role::Capture,
            multiplanar: false,
            media_controlled: false,
            input: Some("HDMI".to_owned()),
            signal,
            timings: Some("1280x720p60.00".to_owned()),
            formats: vec![PixelFormat {
                fourcc: "YUYV".to_owned(),
                description: "YUYV 4:2:2".to_owned(),
                sizes: vec![
                    Size::Fixed { width: 1280, height: 720, rates: vec![60.0, 59.940_059_94, 25.0] },
                    Size::Range { least: (16, 16), most: (4096, 2160) },
                ],
            }],
            holders: Vec::new(),
            problem: None,
        })
    }

    #[test]
    fn what_comes_goes_and_changes_is_told_once() {
        let locked = Signal::Locked("1280x720p60.00".to_owned());
        let before = (vec![node("/dev/video0", locked)], vec![item("hw:1,0", &[48_000])]);
        let after = (
            vec![node("/dev/video0", Signal::Absent("no signal"))],
            vec![item("hw:2,0", &[48_000]), item("hw:3,0", &[])],
        );
        let told: Vec<(&str, String)> = changes((&before.0, &before.1), (&after.0, &after.1))
            .into_iter()
            .map(|told| {
                (told.change, told.video.map(|node| node.path).or(told.sound.map(|item| item.name)).unwrap_or_default())
            })
            .collect();
        let expected = [("went", "hw:1,0"), ("changed", "/dev/video0"), ("came", "hw:2,0"), ("came", "hw:3,0")];
        assert_eq!(told, expected.map(|(change, name)| (change, name.to_owned())));
        assert_eq!(changes((&after.0, &after.1), (&after.0, &after.1)), []);
    }

    #[test]
    fn text_shows_devices_with_all_that_matters() {
        let report = ProbeReport {
            board: ProbeBoard { profile: "generic", cores: 4, ..ProbeBoard::default() },
            kernels: "neon",
            video: vec![node("/dev/video0", Signal::Absent("no signal"))],
            sound: vec![item("hw:1,0", &[44_100, 48_000])],
            ..ProbeReport::default()
        };
        let said = probe_text::report(&report);
        for part in [
            "no signal",
            "/dev/v4l/by-path/a",
            "1280x720 at 60, 59.94, 25",
            "16x16 to 4096x2160",
            "44100, 48000 Hz",
            "2 to 8 channels",
            "encoder (pid 5)",
        ] {
            assert!(said.contains(part), "{part}:\n{said}");
        }
        assert!(said.lines().all(|line| line == line.trim_end()), "{said}");
    }
}
