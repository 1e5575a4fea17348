//! Configuration from afar, commit-confirmed: checked in full, tried after a new start, given up by itself.

use super::control::Control;
use super::state_folder::write_whole;
use super::{Daemon, End};
use crate::config::{self, Config, Places, Remote, RemoteStatus};
use crate::ids::BootId;
use crate::time::Mono;
use crate::wire::{self, Command, ConfigTold, Message, Progress, Qos, Reply};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the control loop keeps of it.
pub(super) struct Afar {
    pub remote: Remote,
    path: PathBuf,
    places: Places,
    running: Config,
    /// Since when the broker has been away.
    away_since: Option<Mono>,
}

impl Afar {
    /// Reads what was set from afar, and finds the configuration that counts: `local`, or `local` with that layer over
    /// it. A layer that is wrong never keeps a box from running: it is given up.
    pub(super) fn open(daemon: &Daemon, local: &Config, boot: &BootId, now: Mono) -> Self {
        let path = local.device.state_dir.join("remote");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let remote = Remote::parse(&text).unwrap_or_else(|| {
            if !text.is_empty() {
                tracing::error!(path = %path.display(), "the configuration from afar cannot be read; going without it");
            }
            Remote::default()
        });
        let places = daemon.places.clone();
        let mut afar = Self { remote, path, places, running: local.clone(), away_since: Some(now) };
        let mut news = afar.remote.start(boot.as_str(), now.as_ms());
        while !afar.remote.layer().is_empty() {
            match afar.check(afar.remote.layer(), local) {
                Ok(config) => {
                    afar.running = config;
                    break;
                }
                Err((_, wrong)) => {
                    tracing::error!("the configuration from afar is given up: {wrong}");
                    news = true;
                    match afar.remote.pending() {
                        Some(_) => afar.remote.roll_back(&wrong),
                        None => afar.remote.give_up(&wrong),
                    }
                }
            }
        }
        if news {
            afar.store();
        }
        afar
    }

    /// The configuration that counts.
    pub(super) fn running(&self) -> &Config {
        &self.running
    }

    /// The configuration with `layer` over the box's own; the code and the text of what is wrong with it.
    fn check(&self, layer: &str, like: &Config) -> Result<Config, (&'static str, String)> {
        let config = config::load_over(&self.places, layer, &config::process_environment(), &[])
            .map_err(|mistakes| ("invalid", mistakes.to_string()))?;
        match reserved(&config, like) {
            Some(text) => Err(("invalid", text.to_owned())),
            None => Ok(config),
        }
    }

    /// False when the disk does not take it.
    fn store(&self) -> bool {
        let written = write_whole(&self.path, self.remote.text().as_bytes());
        if let Err(error) = &written {
            tracing::error!(%error, path = %self.path.display(), "the configuration from afar cannot be stored");
        }
        written.is_ok()
    }

    /// The command that set the layer on trial.
    pub(super) fn on_trial(&self) -> Option<&str> {
        self.remote.pending().map(|_| self.remote.command.as_str())
    }

    /// The broker was reached, or lost.
    pub(super) fn broker(&mut self, connected: bool, now: Mono) {
        self.away_since = match connected {
            true => None,
            false => self.away_since.or(Some(now)),
        };
    }
}

/// What a layer from afar may not do, told; `like`: the settings that stand. What makes the box itself stays as it is; a file that we read
/// for the broker would be shown to whatever broker the layer names; and who may send commands is not to lift what the box's owner locked.
fn reserved(config: &Config, like: &Config) -> Option<&'static str> {
    let own = |config: &Config| {
        let device = config.device.clone();
        (device.machine_id, device.state_dir, device.runtime_dir)
    };
    let files = |config: &Config| {
        let broker = config.broker.as_ref();
        let tls = broker.and_then(|broker| broker.tls.clone()).unwrap_or_default();
        (broker.and_then(|broker| broker.password_file.clone()), tls.ca, tls.identity)
    };
    let encrypted = |config: &Config| config.broker.as_ref().is_some_and(|broker| broker.tls.is_some());
    if own(config) != own(like) {
        return Some("device: machine_id, state_dir and runtime_dir are set on the box alone");
    }
    if files(config) != files(like) {
        return Some("broker: password_file, ca, cert and key are set on the box alone");
    }
    if encrypted(like) && !encrypted(config) && config.broker.is_some() {
        return Some("broker.url: from mqtts:// to mqtt:// is set on the box alone");
    }
    if config.device.allow_reboot && !like.device.allow_reboot {
        return Some("device.allow_reboot: is allowed on the box alone");
    }
    if config.pictures && !like.pictures {
        return Some("evidence.pictures: what keeps pictures on the box is lifted on the box alone");
    }
    None
}

impl Control {
    /// Tries another layer.
    pub(super) fn config_set(&mut self, command: &Command, layer: &str, within: Duration) -> Reply {
        let failed = |code, text: &str| Reply::failed(&command.id, &command.name, code, text);
        let afar = &mut self.afar;
        if afar.remote.pending().is_some() {
            let text = format!("revision {} is pending: confirm it or roll it back", afar.remote.revision);
            return failed("busy", &text);
        }
        let config = match afar.check(layer, &afar.running) {
            Ok(config) => config,
            Err((code, text)) => return failed(code, &text),
        };
        // What is amiss already is no fault of this layer.
        let wall = self.clock.wall();
        let amiss = |config: &Config| {
            let certificates = config::check_certificates(config, &self.device.id, wall).0;
            [config::check_environment(config), certificates].concat()
        };
        let before = amiss(&afar.running);
        let found = amiss(&config).into_iter().filter(|found| !before.contains(found));
        let found: Vec<String> = found.map(|found| found.to_string()).collect();
        if !found.is_empty() {
            return failed("environment", &found.join("\n"));
        }
        let former = afar.remote.clone();
        afar.remote.begin(layer, &command.id, within, self.boot.as_str(), self.clock.mono().as_ms());
        if !afar.store() {
            afar.remote = former;
            return failed("disk", "it cannot be stored, so it could not fall back");
        }
        self.desk.end = Some(End::Restart);
        Reply::good(&command.id, &command.name, Progress::Running, "starting anew with it")
    }

    /// The pending layer stays.
    pub(super) fn config_confirm(&mut self, command: &Command, revision: Option<u64>) -> Reply {
        let failed = |code, text: &str| Reply::failed(&command.id, &command.name, code, text);
        let afar = &mut self.afar;
        if afar.remote.pending().is_none() {
            return failed("not_pending", "nothing is pending");
        }
        if let Some(other) = revision.filter(|revision| *revision != afar.remote.revision) {
            let text = format!("revision {} is pending, not {other}", afar.remote.revision);
            return failed("not_pending", &text);
        }
        let former = afar.remote.clone();
        afar.remote.confirm();
        if !afar.store() {
            afar.remote = former;
            return failed("disk", "it cannot be stored, so it will fall back");
        }
        self.tell_config();
        let revision = self.afar.remote.revision;
        Reply::good(&command.id, &command.name, Progress::Done, "it stays").with("revision", revision)
    }

    /// The pending layer goes.
    pub(super) fn config_rollback(&mut self, command: &Command) -> Reply {
        if self.afar.remote.pending().is_none() {
            return Reply::failed(&command.id, &command.name, "not_pending", "nothing is pending");
        }
        self.fall_back("as commanded");
        Reply::good(&command.id, &command.name, Progress::Running, "starting anew without it")
    }

    /// Gives the pending layer up when its time is over or the broker is lost.
    pub(super) fn watch_pending(&mut self) {
        let now = self.clock.mono();
        let away = self.afar.away_since.map(|since| now.since(since));
        if let Some(reason) = self.afar.remote.overdue(now.as_ms(), away) {
            self.fall_back(reason);
        }
    }

    fn fall_back(&mut self, reason: &str) {
        tracing::warn!(revision = self.afar.remote.revision, reason, "the configuration from afar is rolled back");
        self.afar.remote.roll_back(reason);
        // A disk that does not take it keeps the time at which the trial ends: the next start sees that.
        self.afar.store();
        self.desk.end = Some(End::Restart);
    }

    /// The broker was reached: the layer on trial, if there is one, has come so far.
    pub(super) fn config_arrived(&mut self) {
        let Some(id) = self.afar.on_trial().map(str::to_owned) else { return };
        let open = self.desk.journal.find(&id).is_some_and(|reply| !reply.status.is_final());
        if let Some(reply) = self.config_finished(&id).filter(|_| open && self.desk.end.is_none()) {
            self.finish(&reply);
        }
    }

    /// What became of a layer whose command was not finished.
    pub(super) fn config_finished(&self, id: &str) -> Option<Reply> {
        let remote = &self.afar.remote;
        if remote.command != id {
            return None;
        }
        Some(match (remote.status, remote.pending()) {
            (RemoteStatus::Pending, Some(pending)) => {
                let text = "pending: it falls back unless config-confirm comes in time";
                Reply::good(id, "config-set", Progress::Done, text)
                    .with("revision", remote.revision)
                    .with("confirm_within_s", pending.within_s)
            }
            _ => Reply::failed(id, "config-set", "rolled_back", remote.reason.clone().unwrap_or_default()),
        })
    }

    /// The settings that stand, as a reply.
    pub(super) fn config_get(&self, command: &Command) -> Reply {
        let told = self.config_told();
        Reply::good(&command.id, &command.name, Progress::Done, "the topic `config` has them too")
            .with("revision", told.revision)
            .with("status", told.status)
            .with("hash", told.hash)
            .with("values", told.values)
    }

    /// Publishes the settings that stand.
    pub(super) fn tell_config(&mut self) {
        self.courier.retain(Message {
            topic: self.topics.config(),
            payload: wire::config(&self.made(), &self.config_told()),
            qos: Qos::AtLeastOnce,
            retain: true,
            expires_after: None,
        });
    }

    fn config_told(&self) -> ConfigTold {
        let Afar { remote, running, .. } = &self.afar;
        let left = |until_ms: u64| until_ms.saturating_sub(self.clock.mono().as_ms()) / 1000;
        ConfigTold {
            revision: remote.revision,
            hash: running.hash(),
            status: remote.status.name(),
            reason: remote.reason.clone(),
            confirm_left_s: remote.pending().map(|pending| left(pending.until_ms)),
            values: running.told(),
        }
    }
}

/// The layer from afar that counts on a box with this state folder, for whoever looks at the configuration.
pub fn remote_layer(state_dir: &Path) -> String {
    let text = std::fs::read_to_string(state_dir.join("remote")).unwrap_or_default();
    Remote::parse(&text).unwrap_or_default().layer().to_owned()
}
