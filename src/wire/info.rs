//! What is fixed about this device while the daemon runs: the retained document `info` (contract, mqtt).

use super::certificate::ClockStep;
use super::command::{BODY_BYTES_MAX, COMMANDS};
use super::head::Head;
use super::{Made, encoded, rounded};
use crate::detect::Defect;
use crate::ids::DeviceId;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is fixed about this device while the daemon runs.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its name for people.
    pub name: Option<String>,
    /// Its site for people.
    pub site: Option<String>,
}

/// One source as `info` tells it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Info {
    /// Its id.
    pub id: String,
    /// What it reads, without credentials.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// Defects that are watched, with their hold times.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub detectors: BTreeMap<&'static str, Hold>,
}

/// Hold times of one defect.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Hold {
    /// Present for this long: raised.
    pub raise_after_s: f64,
    /// Gone for this long: cleared.
    pub clear_after_s: f64,
}

/// Hold times of all defects that are watched, by name.
pub fn holds(settings: &crate::alert::Settings) -> BTreeMap<&'static str, Hold> {
    let of = |defect: Defect| {
        settings.hold(defect).map(|hold| {
            let (raise, clear) = (hold.raise_after.as_secs_f64(), hold.clear_after.as_secs_f64());
            (defect.name(), Hold { raise_after_s: rounded(raise), clear_after_s: rounded(clear) })
        })
    };
    Defect::ALL.into_iter().filter_map(of).collect()
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "info")]
pub(super) struct InfoBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    /// Version of Picket.
    version: &'a str,
    /// Starts of the daemon on this device.
    start: u32,
    /// Processor architecture.
    arch: &'a str,
    /// Instruction set of the kernels.
    kernels: &'a str,
    sources: &'a [Info],
    /// Left out so that the body is not too long, first things first: `detectors` and `input` of all sources, `sources`
    /// for the last of them. `picket check --effective` has all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    truncated: Vec<&'static str>,
    /// The wall clock was set while the daemon ran; the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_step: Option<ClockStep>,
    /// Commands that this version does.
    commands: &'a [&'a str],
    /// Longest body under the main root, bytes.
    body_bytes_max: u32,
    /// Longest picture, bytes.
    image_bytes_max: u32,
}

/// The body of `info`, at most 8 KiB.
pub fn info(
    made: &Made,
    device: &Device,
    start: u32,
    kernels: &str,
    sources: &[Info],
    clock_step: Option<ClockStep>,
) -> Vec<u8> {
    let mut sources = sources.to_vec();
    let mut truncated = Vec::new();
    loop {
        let body = encoded(&InfoBody {
            head: Head::new(made),
            device: device.id.as_str(),
            name: device.name.as_deref(),
            site: device.site.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
            start,
            arch: std::env::consts::ARCH,
            kernels,
            sources: &sources,
            truncated: truncated.clone(),
            clock_step,
            commands: &COMMANDS,
            body_bytes_max: BODY_BYTES_MAX as u32,
            image_bytes_max: 32 << 10,
        });
        if body.len() <= BODY_BYTES_MAX || sources.is_empty() {
            return body;
        }
        match truncated.len() {
            0 => {
                truncated.push("detectors");
                sources.iter_mut().for_each(|source| source.detectors.clear());
            }
            1 => {
                truncated.push("input");
                sources.iter_mut().for_each(|source| source.input.clear());
            }
            _ => {
                if truncated.len() == 2 {
                    truncated.push("sources");
                }
                sources.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;

    fn body(sources: usize, input: &str) -> serde_json::Value {
        let made = Made { wall: Default::default(), mono: Default::default(), boot: BootId::from_kernel("0") };
        let device = Device { id: DeviceId::offline(), name: Some("x".repeat(64)), site: Some("y".repeat(64)) };
        let source = |n| Info {
            id: format!("{n:0>32}"),
            input: input.to_owned(),
            detectors: holds(&crate::alert::Settings::default()),
        };
        let sources: Vec<Info> = (0..sources).map(source).collect();
        let body = info(&made, &device, 1, "neon", &sources, None);
        assert!(body.len() <= BODY_BYTES_MAX, "{} bytes", body.len());
        serde_json::from_slice(&body).expect("JSON")
    }

    #[test]
    fn what_is_left_out_is_said() {
        let of = |body: &serde_json::Value| (body["truncated"].clone(), body["sources"].as_array().map_or(0, Vec::len));
        let none = serde_json::Value::Null;
        assert_eq!(of(&body(2, "udp://239.1.1.1:5000")), (none, 2));
        assert_eq!(of(&body(64, "udp://239.1.1.1:5000")), (serde_json::json!(["detectors"]), 64));
        assert_eq!(of(&body(64, &"u".repeat(200))), (serde_json::json!(["detectors", "input"]), 64));
        let (truncated, told) = of(&body(500, "x"));
        assert!(truncated == serde_json::json!(["detectors", "input", "sources"]) && told > 100, "{truncated} {told}");
    }
}
