//! What `probe` found, and what came and went since.

use super::{MINOR_VERSION, rounded};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What this box has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "probe")]
pub struct ProbeReport {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `probe`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^probe$"))]
    pub kind: &'static str,
    /// The machine.
    pub board: ProbeBoard,
    /// Instruction set that the daemon would use.
    pub kernels: &'static str,
    /// All that work here, the plain reference first.
    pub kernels_available: Vec<&'static str>,
    /// Versions of FFmpeg's libraries.
    pub ffmpeg: String,
    /// Video decoders that were tried.
    pub decoders: Vec<ProbeDecoder>,
    /// V4L2 nodes.
    pub video: Vec<ProbeVideo>,
    /// ALSA capture devices.
    pub sound: Vec<ProbeSound>,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ProbeBoard {
    /// As its firmware tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Board that was recognised, or `generic`.
    pub profile: &'static str,
    /// That board's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its hardware decoders, by FFmpeg's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decoders: Vec<String>,
    /// What is to be known of its video inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Processors that this process may use.
    pub cores: usize,
    /// Degrees Celsius of each thermal zone.
    pub temps: BTreeMap<String, f64>,
    /// Hardware watchdogs.
    pub watchdogs: Vec<ProbeWatchdog>,
}

/// A hardware watchdog.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeWatchdog {
    /// "watchdog0".
    pub name: String,
    /// What its driver calls it.
    pub identity: String,
    /// Seconds until it resets the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// Whether it is armed.
    pub active: bool,
}

/// A decoder that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeDecoder {
    /// FFmpeg's name.
    pub name: &'static str,
    /// What it decodes.
    pub codec: &'static str,
    /// Whether it is for hardware.
    pub hardware: bool,
    /// Whether it showed every picture of a clip.
    pub works: bool,
    /// "works", "does not open", "shows no picture", "hangs".
    pub outcome: &'static str,
}

/// A V4L2 node.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeVideo {
    /// "/dev/video0".
    pub path: String,
    /// Names that stay when numbers change.
    pub stable: Vec<String>,
    /// Kernel driver.
    pub driver: String,
    /// Name of the card.
    pub card: String,
    /// Where it is plugged in.
    pub bus: String,
    /// `capture`, `output`, `converter` or `other`.
    pub role: &'static str,
    /// Whether buffers may have several memory planes.
    pub multiplanar: bool,
    /// Whether the media controller sets it up.
    pub media_controlled: bool,
    /// Name of the chosen input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// `locked`, `no signal`, `no lock`, `out of range`, `no power`; absent where the device does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<&'static str>,
    /// What arrives: "1920x1080p60.00".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
    /// What the receiver is set to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<String>,
    /// Pixel formats.
    pub formats: Vec<ProbeFormat>,
    /// Who has it open.
    pub holders: Vec<ProbeHolder>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A pixel format.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeFormat {
    /// "YUYV".
    pub fourcc: String,
    /// The driver's words.
    pub description: String,
    /// Sizes that it comes in; none where the input decides.
    pub sizes: Vec<ProbeSize>,
}

/// A size of pictures, or a range of sizes: then with its largest width and height.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeSize {
    /// Samples in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Largest width of a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width_max: Option<u32>,
    /// Largest height of a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height_max: Option<u32>,
    /// Pictures per second, highest first.
    pub fps: Vec<f64>,
}

/// A process that has a device open.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeHolder {
    /// Its number.
    pub pid: u32,
    /// Its name, where it may be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An ALSA capture device.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProbeSound {
    /// "hw:1,0".
    pub name: String,
    /// The same by the name of its card.
    pub stable: String,
    /// Name of the card.
    pub card: String,
    /// Name of the device on it.
    pub device: String,
    /// Sample formats; empty while it cannot be opened, as the others.
    pub formats: Vec<&'static str>,
    /// Of the usual sample rates, Hz.
    pub rates: Vec<u32>,
    /// Fewest channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels_min: Option<u32>,
    /// Most channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels_max: Option<u32>,
    /// Who has it open.
    pub holders: Vec<ProbeHolder>,
    /// What it runs at for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A device that came, went or changed, told by `probe --watch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "probe_change")]
pub struct ProbeChange {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `probe_change`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^probe_change$"))]
    pub kind: &'static str,
    /// When.
    pub ts: String,
    /// `came`, `went` or `changed`.
    pub change: &'static str,
    /// The V4L2 node, as it is now, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<ProbeVideo>,
    /// The ALSA device, as it is now, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<ProbeSound>,
}

/// As JSON.
pub fn probe(mut report: ProbeReport) -> Vec<u8> {
    report.v = MINOR_VERSION;
    report.kind = "probe";
    report.board.temps.values_mut().for_each(|degrees| *degrees = rounded(*degrees));
    report.video.iter_mut().for_each(round_rates);
    super::encoded(&report)
}

/// As JSON. `unix_ms`: when.
pub fn probe_change(mut change: ProbeChange, unix_ms: i64) -> Vec<u8> {
    change.v = MINOR_VERSION;
    change.kind = "probe_change";
    change.ts = super::rfc3339(unix_ms);
    change.video.iter_mut().for_each(round_rates);
    super::encoded(&change)
}

fn round_rates(node: &mut ProbeVideo) {
    let sizes = node.formats.iter_mut().flat_map(|format| &mut format.sizes);
    sizes.flat_map(|size| &mut size.fps).for_each(|rate| *rate = rounded(*rate));
}
