//! The layer of the configuration that was set from afar, commit-confirmed: tried as pending, it stays only when it is
//! confirmed in time, and the one before comes back by itself. A state machine without files or clocks; as text it is
//! one document, so that a power cut leaves one state or the other.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A pending layer with which Picket started more often than this is not confirmed by anybody: it ends each time.
const STARTS_MAX: u32 = 3;
/// With a pending layer the broker may be away for this long, or for half the time to confirm.
const BROKER_AWAY_MAX: Duration = Duration::from_secs(60);

/// How the settings that stand came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteStatus {
    /// Those of the box alone.
    #[default]
    Applied,
    /// A layer from afar is tried.
    Pending,
    /// A layer from afar stands.
    Confirmed,
    /// The last one did not stay.
    RolledBack,
}

impl RemoteStatus {
    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            RemoteStatus::Applied => "applied",
            RemoteStatus::Pending => "pending",
            RemoteStatus::Confirmed => "confirmed",
            RemoteStatus::RolledBack => "rolled_back",
        }
    }
}

/// A layer on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// TOML.
    pub layer: String,
    /// How long there is to confirm it, seconds.
    pub within_s: u64,
    /// When that ends, CLOCK_BOOTTIME of `boot`, ms.
    pub until_ms: u64,
    /// The boot in which it was set.
    pub boot: String,
    /// Starts with it.
    pub starts: u32,
}

/// All that is known of layers from afar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Counts the layers that were set.
    pub revision: u64,
    /// How it stands.
    pub status: RemoteStatus,
    /// Why the last one was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Id of the command that set the last one.
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    confirmed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
}

impl Remote {
    /// From its text; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        toml::from_str(text).ok()
    }

    /// As text.
    pub fn text(&self) -> String {
        // Texts, numbers and names of variants: all of them can be said in TOML.
        toml::to_string(self).unwrap_or_default()
    }

    /// The layer that counts, TOML.
    pub fn layer(&self) -> &str {
        self.pending.as_ref().map_or(&self.confirmed, |pending| &pending.layer)
    }

    /// The layer on trial.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Puts `layer` on trial until `within` from `now_ms`.
    pub fn begin(&mut self, layer: &str, command: &str, within: Duration, boot: &str, now_ms: u64) {
        self.revision += 1;
        (self.status, self.reason) = (RemoteStatus::Pending, None);
        command.clone_into(&mut self.command);
        self.pending = Some(Pending {
            layer: layer.to_owned(),
            within_s: within.as_secs(),
            until_ms: now_ms + within.as_millis() as u64,
            boot: boot.to_owned(),
            starts: 0,
        });
    }

    /// Picket starts. Whether this is to be stored: a start with a layer on trial counts, and one too many ends it.
    pub fn start(&mut self, boot: &str, now_ms: u64) -> bool {
        let Some(pending) = &mut self.pending else { return false };
        pending.starts += 1;
        let reason = match pending {
            // How much time has passed since, nobody knows.
            pending if pending.boot != boot => "the machine was restarted before it was confirmed",
            pending if pending.starts > STARTS_MAX => "Picket ended again and again with it",
            pending if now_ms >= pending.until_ms => "it was not confirmed in time",
            _ => return true,
        };
        self.roll_back(reason);
        true
    }

    /// Why the layer on trial must go now, if it must; `away`: how long the broker has been.
    pub fn overdue(&self, now_ms: u64, away: Option<Duration>) -> Option<&'static str> {
        let pending = self.pending.as_ref()?;
        let away_max = BROKER_AWAY_MAX.min(Duration::from_secs(pending.within_s) / 2);
        match away {
            _ if now_ms >= pending.until_ms => Some("it was not confirmed in time"),
            Some(away) if away >= away_max => Some("the broker could not be reached with it"),
            _ => None,
        }
    }

    /// The layer on trial stays.
    pub fn confirm(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.confirmed = pending.layer;
            (self.status, self.reason) = (RemoteStatus::Confirmed, None);
        }
    }

    /// The layer on trial goes; the one before counts again.
    pub fn roll_back(&mut self, reason: &str) {
        self.pending = None;
        (self.status, self.reason) = (RemoteStatus::RolledBack, Some(reason.to_owned()));
    }

    /// The confirmed layer counts no more either: it is wrong for this version or this box.
    pub fn give_up(&mut self, reason: &str) {
        self.confirmed.clear();
        self.roll_back(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(100);

    fn begun() -> Remote {
        let mut remote = Remote::default();
        remote.begin("a = 1", "c1", WITHIN, "boot", 1_000);
        remote
    }

    #[test]
    fn what_is_confirmed_stays_and_what_is_not_goes() {
        let mut remote = begun();
        assert_eq!((remote.layer(), remote.status, remote.revision), ("a = 1", RemoteStatus::Pending, 1));
        assert!(remote.start("boot", 2_000));
        assert_eq!(remote.overdue(100_999, None), None);
        remote.confirm();
        assert_eq!((remote.layer(), remote.status), ("a = 1", RemoteStatus::Confirmed));
        remote.begin("b = 2", "c2", WITHIN, "boot", 200_000);
        assert_eq!(remote.layer(), "b = 2");
        assert_eq!(remote.overdue(300_000, None), Some("it was not confirmed in time"));
        remote.roll_back("late");
        assert_eq!((remote.layer(), remote.status, remote.revision), ("a = 1", RemoteStatus::RolledBack, 2));
        remote.give_up("wrong");
        assert_eq!(remote.layer(), "");
    }

    #[test]
    fn a_layer_on_trial_does_not_outlive_reboots_crashes_and_a_lost_broker() {
        let mut remote = begun();
        assert!(remote.start("other", 2_000));
        assert_eq!(remote.status, RemoteStatus::RolledBack);
        let mut remote = begun();
        (0..STARTS_MAX).for_each(|_| assert!(remote.start("boot", 2_000) && remote.pending().is_some()));
        assert!(remote.start("boot", 2_000) && remote.pending().is_none());
        let mut remote = begun();
        assert!(remote.start("boot", 101_000) && remote.pending().is_none());
        let remote = begun();
        assert_eq!(remote.overdue(2_000, Some(Duration::from_secs(49))), None);
        assert!(remote.overdue(2_000, Some(Duration::from_secs(50))).is_some());
    }

    #[test]
    fn its_text_is_read_again() {
        let mut remote = begun();
        assert_eq!(Remote::parse(&remote.text()), Some(remote.clone()));
        remote.begin("x = '''\n\"\\u0000\"'''\n[[source]]\n", "c", WITHIN, "boot", 1);
        assert_eq!(Remote::parse(&remote.text()), Some(remote.clone()));
        remote.roll_back("no");
        assert_eq!(Remote::parse(&remote.text()), Some(remote));
        assert_eq!(Remote::parse("revision = \"x\""), None);
    }
}
