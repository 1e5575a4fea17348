//! The settings that stand, as TOML: defaults filled in, secrets left out.

use super::forms::{duration_text, size_text};
use super::rules::days_text;
use super::{Config, Source};
use crate::alert::{Expected, Rule, Settings as Incidents};
use crate::detect::{Defect, LoudnessSettings, SyncSettings};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Lines of TOML.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn table(&mut self, head: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{gap}{head}");
    }
    fn text(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {}", toml::Value::from(value));
    }
    fn path(&mut self, key: &str, value: &Path) {
        self.text(key, &value.to_string_lossy());
    }
    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }
}

impl Config {
    /// Every setting that stands, as TOML. Without secrets: a user, password or query in a source's URL is left out.
    pub fn effective(&self) -> String {
        let mut lines = Lines::default();
        let Self { device, budget, outbox, .. } = self;
        lines.table("[device]");
        let titles = [("name", &device.name), ("site", &device.site), ("machine_id", &device.machine_id)];
        for (key, value) in titles.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            lines.text(key, value);
        }
        lines.path("state_dir", &device.state_dir);
        lines.path("runtime_dir", &device.runtime_dir);
        if let Some(led) = &device.led {
            lines.text("led", led);
        }
        lines.plain("allow_reboot", device.allow_reboot);
        self.broker_lines(&mut lines);
        lines.table("[budget]");
        // Rounded, so that 33.3% does not come back as 33.299999999999997%.
        lines.text("cpu", &format!("{}%", (budget.limits.cpu_cores_max * 1e6).round() / 1e4));
        lines.text("memory", &size_text(budget.limits.memory_bytes_max));
        if let Some(folder) = &budget.encoder_cgroup {
            lines.path("encoder_cgroup", folder);
        }
        lines.plain("yield_when_busy", budget.limits.yield_when_busy);
        lines.table("[health]");
        lines.text("period", &duration_text(self.health_period));
        lines.table("[outbox]");
        lines.text("bytes_max", &size_text(outbox.bytes_max));
        lines.text("age_max", &duration_text(outbox.age_max));
        lines.table("[evidence]");
        lines.plain("pictures", self.pictures);
        lines.table("[tape]");
        lines.plain("enabled", self.tape.is_some());
        if let Some(bytes_max) = self.tape {
            lines.text("bytes_max", &size_text(bytes_max));
        }
        lines.table("[homeassistant]");
        lines.plain("discovery", self.discovery);
        for source in &self.sources {
            source_lines(source, &mut lines);
        }
        lines.0
    }

    /// SHA-256 of all settings, hexadecimal: the same for the same settings.
    pub fn hash(&self) -> String {
        use sha2::Digest;
        sha2::Sha256::digest(self.effective()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What others may be told of the settings: as [`Config::effective`], without what detectors have by default, and
    /// without the machine's identity, which machine-id(5) asks not to publish.
    pub fn told(&self) -> String {
        let mut usual = Lines::default();
        for defect in Defect::ALL {
            detect_line(&Incidents::default(), &Default::default(), defect, &mut usual);
        }
        let usual: Vec<&str> = usual.0.lines().collect();
        let all = self.effective();
        let told = all.lines().filter(|line| !line.starts_with("machine_id = ") && !usual.contains(line));
        told.flat_map(|line| [line, "\n"]).collect()
    }

    fn broker_lines(&self, lines: &mut Lines) {
        lines.table("[broker]");
        if let Some(broker) = &self.broker {
            let scheme = if broker.tls.is_some() { "mqtts" } else { "mqtt" };
            let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.clone() };
            lines.text("url", &format!("{scheme}://{host}:{}", broker.port));
            let tls = broker.tls.clone().unwrap_or_default();
            let (cert, key) = tls.identity.unzip();
            let files = [("ca", &tls.ca), ("cert", &cert), ("key", &key), ("password_file", &broker.password_file)];
            for (key, path) in files.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?))) {
                lines.path(key, path);
            }
            if let Some(user) = &broker.user {
                lines.text("user", user);
            }
            let three = broker.version == crate::mqtt::Version::ThreeOneOne;
            lines.text("version", if three { "3.1.1" } else { "5" });
            lines.text("keep_alive", &duration_text(broker.keep_alive));
            lines.text("reconnect_spread", &duration_text(broker.reconnect_spread));
        }
        lines.text("prefix", &self.prefix);
    }
}

/// The loudness that is asked for, as keys behind others.
fn target(loudness: &LoudnessSettings) -> String {
    let keys = |target| format!(", target = \"{target}LUFS\", tolerance = \"{}LU\"", loudness.tolerance);
    loudness.target.map(keys).unwrap_or_default()
}

/// Limits of sound against picture, as keys behind others.
fn offsets(sync: &SyncSettings) -> String {
    let text = |ms: f64| duration_text(Duration::from_secs_f64(ms / 1000.0));
    let keys = [("early", sync.early_ms[0]), ("early_major", sync.early_ms[1])];
    let keys = keys.into_iter().chain([("late", sync.late_ms[0]), ("late_major", sync.late_ms[1])]);
    keys.map(|(key, ms)| format!(", {key} = \"{}\"", text(ms))).collect()
}

/// What is judged in another way than the detector's own, as keys behind others.
fn rule(incidents: &Incidents, defect: Defect) -> String {
    let Rule { levels, often, severity, .. } = incidents.rule(defect);
    let unit = defect.levels().map_or("", |(_, unit)| unit);
    let mut keys = String::new();
    for (key, level) in [("raise_level", levels.raise), ("clear_level", levels.clear)] {
        level.into_iter().for_each(|level| keys.push_str(&format!(", {key} = \"{level}{unit}\"")));
    }
    if let Some(often) = often {
        let (share, window) = ((often.share * 1e6).round() / 1e4, duration_text(often.window));
        keys.push_str(&format!(", present_share = \"{share}%\", window = \"{window}\""));
    }
    severity.iter().for_each(|severity| keys.push_str(&format!(", severity = \"{}\"", severity.name())));
    keys
}

fn expect_lines(expected: &Expected, lines: &mut Lines) {
    let hour = |seconds: u32| format!("{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    lines.table("[[source.expect]]");
    lines.text("from", &hour(expected.from));
    lines.text("to", &hour(expected.to));
    lines.text("days", &days_text(expected.days));
    let sign = if expected.zone < 0 { '-' } else { '+' };
    lines.text("zone", &format!("{sign}{}", hour(expected.zone.unsigned_abs())));
    let states: Vec<String> = expected.states.iter().map(|state| format!("{:?}", state.name())).collect();
    lines.plain("states", format!("[{}]", states.join(", ")));
}

fn detect_line(incidents: &Incidents, detect: &crate::detect::Settings, defect: Defect, lines: &mut Lines) {
    let value = match incidents.hold(defect) {
        None => "{ enabled = false }".to_owned(),
        Some(hold) => format!(
            "{{ raise_after = \"{}\", clear_after = \"{}\"{}{} }}",
            duration_text(hold.raise_after),
            duration_text(hold.clear_after),
            rule(incidents, defect),
            match defect {
                Defect::Loudness => target(&detect.loudness),
                Defect::AvSync => offsets(&detect.sync),
                _ => String::new(),
            }
        ),
    };
    lines.plain(&format!("detect.{}", defect.name()), value);
}

fn source_lines(source: &Source, lines: &mut Lines) {
    lines.table("[[source]]");
    lines.text("id", source.id.as_str());
    lines.text("input", &source.input.display());
    if let Some(other) = &source.pair_with {
        lines.text("pair_with", other.as_str());
    }
    lines.text("reopen_after", &duration_text(source.reopen_after));
    if let Some(decoder) = &source.decoder {
        lines.text("decoder", decoder);
    }
    let slates: Vec<String> = source.detect.slates.iter().flatten().map(|mark| format!("\"{mark:016x}\"")).collect();
    if !slates.is_empty() {
        lines.plain("slates", format!("[{}]", slates.join(", ")));
    }
    for defect in Defect::ALL {
        detect_line(&source.incidents, &source.detect, defect, lines);
    }
    source.incidents.expected.iter().for_each(|expected| expect_lines(expected, lines));
}
