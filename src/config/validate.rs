//! From what was given to what it means. Every value is looked at, whatever is wrong with the others.

use super::forms::{self, UrlFault};
use super::layers::Merged;
use super::mistake::{Mistake, Origin, is_secret, quoted};
use super::nearest::nearest;
use super::raw::{self, Form, Leaf};
use super::{Budget, Config, Device, Source};
use crate::identity::Store;
use crate::ids::SourceId;
use crate::mqtt;
use crate::source::Input;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where systemd puts credentials of the unit when the variable that says so is not at hand, as in a shell.
const CREDENTIALS: &str = "/run/credentials/picket.service";

/// The configuration, which counts only without mistakes, and the mistakes.
pub(super) fn config(merged: Merged, env: &BTreeMap<String, String>) -> (Config, Vec<Mistake>) {
    let Merged { raw, files, torn } = merged;
    let mut check = Check { env, torn, found: Vec::new() };
    let device = check.device(&raw.device);
    let broker = check.broker(&raw.broker, &device);
    let sources = check.sources(&raw.sources);
    let config = Config {
        prefix: check.value(&raw.broker.prefix, prefix).unwrap_or_default(),
        budget: Budget {
            limits: crate::budget::Settings {
                cpu_cores_max: check.percent(&raw.budget.cpu) / 100.0,
                memory_bytes_max: check.size(&raw.budget.memory),
                yield_when_busy: raw.budget.yield_when_busy.switch(),
            },
            encoder_cgroup: check.value(&raw.budget.encoder_cgroup, absolute),
        },
        health_period: check.duration(&raw.health.period),
        outbox: crate::outbox::Settings {
            folder: device.state_dir.join("outbox"),
            bytes_max: check.size(&raw.outbox.bytes_max),
            age_max: check.duration(&raw.outbox.age_max),
        },
        pictures: raw.evidence.pictures.switch(),
        tape: Some(check.size(&raw.tape.bytes_max)).filter(|_| raw.tape.enabled.switch()),
        discovery: raw.homeassistant.discovery.switch(),
        notes: notes(broker.as_ref(), &sources),
        device,
        broker,
        sources,
        files,
    };
    (config, check.found)
}

/// Remarks on what is right but may surprise.
fn notes(broker: Option<&mqtt::Settings>, sources: &[Source]) -> Vec<String> {
    let mut notes = Vec::new();
    if sources.is_empty() {
        notes.push("source: there is no [[source]], so nothing is watched".to_owned());
    }
    match broker {
        None => notes.push("broker: there is no url, so events wait in the outbox and nobody is told".to_owned()),
        Some(broker) if broker.tls.is_none() && broker.password_file.is_some() => {
            notes.push("broker.url: over mqtt:// the password can be read on the way; mqtts:// hides it".to_owned());
        }
        Some(_) => {}
    }
    notes
}

pub(super) struct Check<'a> {
    env: &'a BTreeMap<String, String>,
    torn: bool,
    found: Vec<Mistake>,
}

impl Check<'_> {
    /// What `parse` makes of the leaf's text; its error is a mistake and stands behind the value.
    pub(super) fn value<T>(&mut self, leaf: &Leaf, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = leaf.text()?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                // Whoever takes a password's file for the password has written it here.
                let shown = if is_secret(leaf.key.name) { "the value".to_owned() } else { quoted(text) };
                self.wrong(leaf, format!("{shown} {wrong}"), leaf.key.form.right());
                None
            }
        }
    }

    pub(super) fn wrong(&mut self, leaf: &Leaf, wrong: String, right: String) {
        if let Some(given) = &leaf.given {
            self.found.push(Mistake::new(&given.origin, &given.path, wrong, right));
        }
    }

    pub(super) fn missing(&mut self, origin: &Origin, path: &str, form: Form) {
        // In a text that is no TOML it may be there after all.
        if !self.torn {
            self.found.push(Mistake::new(origin, path, "is missing".to_owned(), form.right()));
        }
    }

    pub(super) fn duration(&mut self, leaf: &Leaf) -> Duration {
        let Form::Duration(least, most) = leaf.key.form else { return Duration::ZERO };
        let value = self.value(leaf, |text| within(forms::duration(text)?, least, most, forms::duration_text));
        value.unwrap_or_default()
    }

    fn size(&mut self, leaf: &Leaf) -> u64 {
        let Form::Size(least, most) = leaf.key.form else { return 0 };
        self.value(leaf, |text| within(forms::size(text)?, least, most, forms::size_text)).unwrap_or_default()
    }

    fn percent(&mut self, leaf: &Leaf) -> f64 {
        let Form::Percent(least, most) = leaf.key.form else { return 0.0 };
        let shown = |share: f64| format!("{share}%");
        self.value(leaf, |text| within(forms::percent(text)?, least, most, shown)).unwrap_or_default()
    }

    fn level(&mut self, leaf: &Leaf) -> Option<f64> {
        let Form::Level(least, most, unit) = leaf.key.form else { return None };
        let shown = |level: f64| format!("{level}{unit}");
        self.value(leaf, |text| within(forms::level(text, unit)?, least, most, shown))
    }

    fn device(&mut self, raw: &raw::Device) -> Device {
        Device {
            name: self.value(&raw.name, |text| title(text, 64)),
            site: self.value(&raw.site, |text| title(text, 64)),
            machine_id: self.value(&raw.machine_id, machine_id),
            state_dir: self.folder(&raw.state_dir, "STATE_DIRECTORY"),
            runtime_dir: self.folder(&raw.runtime_dir, "RUNTIME_DIRECTORY"),
            led: self.value(&raw.led, led),
            allow_reboot: raw.allow_reboot.switch(),
        }
    }

    /// A folder; where none is given, the first of those that systemd made for the unit.
    fn folder(&mut self, leaf: &Leaf, variable: &str) -> PathBuf {
        let made = self.env.get(variable).and_then(|folders| folders.split(':').next()).filter(|f| f.starts_with('/'));
        match made {
            Some(folder) if leaf.given.is_none() => PathBuf::from(folder),
            _ => self.value(leaf, absolute).unwrap_or_default(),
        }
    }

    fn file(&mut self, leaf: &Leaf) -> Option<PathBuf> {
        let credentials = self.env.get("CREDENTIALS_DIRECTORY").map_or(CREDENTIALS, String::as_str);
        self.value(leaf, |text| match text.strip_prefix("credential:") {
            Some("" | "." | "..") => Err("names no credential".to_owned()),
            Some(name) if name.contains('/') => Err("names no credential".to_owned()),
            Some(name) => Ok(Path::new(credentials).join(name)),
            None => absolute(text),
        })
    }

    fn broker(&mut self, raw: &raw::Broker, device: &Device) -> Option<mqtt::Settings> {
        let files = (self.file(&raw.ca), self.file(&raw.cert), self.file(&raw.key));
        let user = self.value(&raw.user, |text| title(text, 128));
        let password_file = self.file(&raw.password_file);
        let keep_alive = self.duration(&raw.keep_alive);
        let reconnect_spread = self.duration(&raw.reconnect_spread);
        self.together(&raw.cert, &raw.key, "a certificate and its key together");
        self.together(&raw.key, &raw.cert, "a certificate and its key together");
        if raw.url.given.is_none() {
            let [url, rest @ ..] = [&raw.url, &raw.ca, &raw.cert, &raw.user, &raw.password_file];
            if let Some(given) = rest.iter().find_map(|leaf| leaf.given.as_ref()) {
                self.missing(&given.origin, "broker.url", url.key.form);
            }
            return None;
        }
        let url = self.broker_url(raw)?;
        if url.user.is_none() && raw.user.given.is_none() {
            let right = "broker.user with it, or no password".to_owned();
            self.wrong(&raw.password_file, "is a password without a user".to_owned(), right);
        }
        let (ca, cert, key) = files;
        Some(mqtt::Settings {
            host: url.host,
            port: url.port,
            tls: url.tls.then(|| tls(ca, cert.zip(key), &device.state_dir)),
            user: user.or(url.user),
            password_file,
            keep_alive,
            reconnect_spread,
            version: self.value(&raw.version, version).unwrap_or_default(),
            runtime_folder: device.runtime_dir.clone(),
        })
    }

    /// The URL, and whether the other keys fit it.
    fn broker_url(&mut self, raw: &raw::Broker) -> Option<forms::BrokerUrl> {
        let text = raw.url.text()?;
        let url = match forms::broker_url(text) {
            Ok(url) => url,
            Err(UrlFault::Password) => {
                let right = "the user alone in the URL or in broker.user, the password in the file that \
                             broker.password_file names";
                self.wrong(
                    &raw.url,
                    "the URL carries a password, which is shown to everybody".to_owned(),
                    right.to_owned(),
                );
                return None;
            }
            Err(UrlFault::Other(wrong)) => {
                self.wrong(&raw.url, format!("{} {wrong}", quoted(text)), raw.url.key.form.right());
                return None;
            }
        };
        if !url.tls {
            for leaf in [&raw.ca, &raw.cert, &raw.key] {
                let right = "mqtts:// in broker.url, or no certificates".to_owned();
                self.wrong(leaf, "is for TLS, but broker.url begins with mqtt://".to_owned(), right);
            }
        }
        if url.user.is_some() {
            let wrong = "is a second user, next to the one in broker.url".to_owned();
            self.wrong(&raw.user, wrong, "one of the two".to_owned());
        }
        Some(url)
    }

    /// `given` is nothing without `other`.
    fn together(&mut self, given: &Leaf, other: &Leaf, right: &str) {
        if other.given.is_none() && !self.torn {
            self.wrong(given, format!("needs broker.{} beside it", other.key.name), right.to_owned());
        }
    }

    fn sources(&mut self, raw: &[raw::Source]) -> Vec<Source> {
        let ids: Vec<&str> = raw.iter().filter_map(|source| source.keys.id.text()).collect();
        raw.iter().filter_map(|source| self.source(source, &ids)).collect()
    }

    fn source(&mut self, raw: &raw::Source, ids: &[&str]) -> Option<Source> {
        let keys = &raw.keys;
        for leaf in [&keys.id, &keys.input].into_iter().filter(|leaf| leaf.given.is_none()) {
            self.missing(&raw.origin, &format!("{}.{}", raw.path, leaf.key.name), leaf.key.form);
        }
        let id = self.value(&keys.id, source_id);
        let input = self.input(&keys.input);
        let input = self.beside_pictures(keys, input);
        let pair_with = self.pair_with(&keys.pair_with, keys.id.text(), ids);
        let reopen_after = self.duration(&keys.reopen_after);
        let decoder = self.value(&keys.decoder, decoder);
        let incidents = self.incidents(raw);
        let mut loudness =
            crate::detect::LoudnessSettings { target: self.level(&raw.loudness.target), ..Default::default() };
        if let Some(tolerance) = self.level(&raw.loudness.tolerance) {
            loudness.tolerance = tolerance;
        }
        if raw.loudness.target.given.is_none() {
            let wrong = "needs target beside it".to_owned();
            self.wrong(&raw.loudness.tolerance, wrong, "a target and its tolerance, or neither".to_owned());
        }
        let slates = self.value(&keys.slates, slates).unwrap_or_default();
        let detect = crate::detect::Settings { loudness, slates, sync: self.sync(&raw.sync) };
        Some(Source { id: id?, input: input?, reopen_after, decoder, incidents, detect, pair_with })
    }

    fn sync(&mut self, raw: &raw::SyncKeys) -> crate::detect::SyncSettings {
        let mut pair = |told: &Leaf, major: &Leaf| {
            let limits = [self.duration(told), self.duration(major)];
            if limits[0] > limits[1] && !limits.contains(&Duration::ZERO) {
                let (wrong, right) = ("is less than the limit from which it is told", told.key.name);
                self.wrong(major, wrong.to_owned(), format!("no less than {right}"));
            }
            limits.map(|limit| limit.as_secs_f64() * 1000.0)
        };
        let early_ms = pair(&raw.early, &raw.early_major);
        crate::detect::SyncSettings { early_ms, late_ms: pair(&raw.late, &raw.late_major) }
    }

    fn input(&mut self, leaf: &Leaf) -> Option<Input> {
        match leaf.text()?.parse::<Input>() {
            Ok(input) => Some(input),
            // Its text names the input without credentials.
            Err(fault) => {
                self.wrong(leaf, fault.to_string(), leaf.key.form.right());
                None
            }
        }
    }

    /// `input` with the keys that stand beside a node for pictures, and beside no other input.
    fn beside_pictures(&mut self, keys: &raw::SourceKeys, input: Option<Input>) -> Option<Input> {
        let sound = self.value(&keys.audio, |text| match text.parse() {
            Ok(Input::Capture(taps)) if taps.sound.is_some() => Ok(taps.sound),
            _ => Err("is no sound device".to_owned()),
        });
        let relay = self.value(&keys.relay, absolute);
        let mut input = input?;
        match &mut input {
            Input::Capture(taps) if taps.picture.is_some() => {
                taps.sound = sound.flatten();
                if taps.picture.as_ref().is_some_and(|node| relay.as_ref().is_some_and(|relay| node.is(relay))) {
                    let wrong = "is the node that frames are read from".to_owned();
                    self.wrong(&keys.relay, wrong, keys.relay.key.form.right());
                }
                taps.relay = relay;
            }
            other => {
                let given = [(&keys.audio, sound.is_some()), (&keys.relay, relay.is_some())];
                for (leaf, _) in given.into_iter().filter(|(_, good)| *good) {
                    let wrong = format!("stands beside v4l2: alone, and the input is {}", other.display());
                    let right = format!("no `{}` key, or an input such as \"v4l2:/dev/video0\"", leaf.key.name);
                    self.wrong(leaf, wrong, right);
                }
            }
        }
        Some(input)
    }

    fn pair_with(&mut self, leaf: &Leaf, own: Option<&str>, ids: &[&str]) -> Option<SourceId> {
        let other = leaf.text()?;
        let others: Vec<&str> = ids.iter().copied().filter(|id| Some(*id) != own).collect();
        if others.contains(&other) {
            return SourceId::new(other).ok();
        }
        let wrong = match own == Some(other) {
            true => format!("{} is this source itself", quoted(other)),
            false => format!("{} is no source", quoted(other)),
        };
        let right = match others.as_slice() {
            [] => "the id of another [[source]]; there is none".to_owned(),
            others => format!("the id of another [[source]]: {}", others.join(", ")),
        };
        self.wrong(leaf, wrong, right);
        None
    }
}

/// `value` if it lies in the bounds; else the words that stand behind it.
pub(super) fn within<T: PartialOrd + Copy>(
    value: T,
    least: T,
    most: T,
    shown: impl Fn(T) -> String,
) -> Result<T, String> {
    if value < least {
        Err(format!("is less than {}", shown(least)))
    } else if value > most {
        Err(format!("is more than {}", shown(most)))
    } else {
        Ok(value)
    }
}

fn title(text: &str, chars_max: usize) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("is empty".to_owned()),
        count if count > chars_max => Err(format!("has {count} characters")),
        _ if text.chars().any(char::is_control) => Err("has a control character in it".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// One name, and no way out of the folder.
fn led(text: &str) -> Result<String, String> {
    let good = (1..=64).contains(&text.len()) && !text.starts_with('.') && !text.contains('/');
    if good { Ok(text.to_owned()) } else { Err("is no name of a light".to_owned()) }
}

fn machine_id(text: &str) -> Result<String, String> {
    let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(text.to_lowercase()) } else { Err("is no machine id".to_owned()) }
}

/// Without a certificate in the configuration the one that `picket provision` keeps counts.
fn tls(ca: Option<PathBuf>, identity: Option<(PathBuf, PathBuf)>, state_dir: &Path) -> mqtt::Tls {
    let pair = Store::of(state_dir).current().folder().to_owned();
    mqtt::Tls {
        ca,
        pair: identity.is_none().then_some(pair),
        identity,
        kept_time: Some(crate::identity::kept_time(state_dir)),
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') { Ok(PathBuf::from(text)) } else { Err("is no absolute path".to_owned()) }
}

fn source_id(text: &str) -> Result<SourceId, String> {
    SourceId::new(text).map_err(|_| "is no source id".to_owned())
}

fn slates(text: &str) -> Result<crate::detect::Slates, String> {
    let mut slates = crate::detect::Slates::default();
    let mut places = slates.iter_mut();
    for mark in text.split(',') {
        let digits = mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
        let known = u64::from_str_radix(mark, 16).ok().filter(|_| digits);
        let known = known.ok_or_else(|| format!("has {mark:?}, which is no mark of 16 hexadecimal digits"))?;
        *places.next().ok_or("has more than 8 marks")? = Some(known);
    }
    Ok(slates)
}

fn decoder(text: &str) -> Result<String, String> {
    if crate::source::has_video_decoder(text) {
        return Ok(text.to_owned());
    }
    let near = nearest(text, crate::source::HARDWARE_DECODERS.iter().copied());
    let hint = near.map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
    Err(format!("is no video decoder of the FFmpeg on this box{hint}"))
}

fn version(text: &str) -> Result<mqtt::Version, String> {
    match text {
        "5" => Ok(mqtt::Version::Five),
        "3.1.1" => Ok(mqtt::Version::ThreeOneOne),
        _ => Err("is no version of MQTT that Picket speaks".to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let fits = |level: &str| {
        !level.is_empty() && level.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match text.split('/').count() {
        _ if text.is_empty() => Ok(String::new()),
        1 | 2 if text.split('/').all(fits) => Ok(text.to_owned()),
        1 | 2 => Err("is no topic prefix".to_owned()),
        levels => Err(format!("has {levels} levels")),
    }
}
