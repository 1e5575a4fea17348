//! Sources of which no new incidents are told for a time. What was open before is told to its end; what begins
//! meanwhile is told when the time is over, if it is still there then: each incident that is told has a beginning and
//! an end.

use super::state_folder::write_whole;
use crate::alert::{Alert, Transition};
use crate::ids::{BootId, SourceId};
use crate::outbox::Now;
use crate::time::Mono;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The end of a mute, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until {
    mono: Mono,
    unix_ms: i64,
    /// Whether `unix_ms` could be trusted when it was set.
    synced: bool,
}

/// All mutes of a device, and what was held back.
#[derive(Debug)]
pub(super) struct Mutes {
    path: PathBuf,
    boot: BootId,
    until: BTreeMap<SourceId, Until>,
    held: BTreeMap<String, Alert>,
}

impl Mutes {
    /// What a former run left. After a restart of the machine only trusted clocks can tell how much is left: in doubt
    /// nothing is muted.
    pub(super) fn open(path: &Path, boot: &BootId, now: Now) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let read = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [source, in_boot, mono, unix_ms, synced] = fields.as_slice() else { return None };
            let until =
                Until { mono: Mono(mono.parse().ok()?), unix_ms: unix_ms.parse().ok()?, synced: synced.parse().ok()? };
            let left = match *in_boot == boot.as_str() {
                true => until.mono.since(now.mono),
                false if until.synced && now.wall.synced => {
                    Duration::from_millis(u64::try_from(until.unix_ms - now.wall.unix_ms).unwrap_or(0))
                }
                false => Duration::ZERO,
            };
            let until = Until { mono: now.mono.plus(left), ..until };
            (!left.is_zero()).then_some((SourceId::new(source).ok()?, until))
        };
        let until = text.lines().filter_map(read).collect();
        Self { path: path.to_owned(), boot: boot.clone(), until, held: BTreeMap::new() }
    }

    /// Until when `source` is muted, wall-clock time, ms.
    pub(super) fn until(&self, source: &SourceId) -> Option<i64> {
        self.until.get(source).map(|until| until.unix_ms)
    }

    /// Mutes `source` from now for `span`.
    pub(super) fn mute(&mut self, source: &SourceId, span: Duration, now: Now) {
        let unix_ms = now.wall.unix_ms + span.as_millis() as i64;
        self.until.insert(source.clone(), Until { mono: now.mono.plus(span), unix_ms, synced: now.wall.synced });
        self.store();
    }

    /// Ends a mute; returns what is to be told now.
    #[must_use]
    pub(super) fn unmute(&mut self, source: &SourceId) -> Vec<Alert> {
        if self.until.remove(source).is_some() {
            self.store();
        }
        let (now, later) = std::mem::take(&mut self.held).into_iter().partition(|(_, alert)| alert.source == *source);
        self.held = later;
        let now: BTreeMap<String, Alert> = now;
        now.into_values().collect()
    }

    /// Nobody watches `source` any more: what was held back of it is never told.
    pub(super) fn forget(&mut self, source: &SourceId) {
        self.held.retain(|_, alert| alert.source != *source);
    }

    /// Sources whose time is over.
    pub(super) fn over(&self, now: Mono) -> Vec<SourceId> {
        self.until.iter().filter(|(_, until)| now >= until.mono).map(|(source, _)| source.clone()).collect()
    }

    /// The alert, if it is to be told now.
    pub(super) fn pass(&mut self, alert: Alert) -> Option<Alert> {
        let id = alert.id.as_str().to_owned();
        let muted = self.until.contains_key(&alert.source);
        match alert.transition {
            Transition::Raised if muted => {
                // Its picture would be an old one when it is told.
                self.held.insert(id, Alert { evidence: None, ..alert });
                None
            }
            Transition::Updated if self.held.contains_key(&id) => {
                let raised = Alert { transition: Transition::Raised, evidence: None, ..alert };
                self.held.insert(id, raised);
                None
            }
            Transition::Cleared { .. } if self.held.remove(&id).is_some() => None,
            _ => Some(alert),
        }
    }

    fn store(&self) {
        let line = |(source, until): (&SourceId, &Until)| {
            format!("{source} {} {} {} {}\n", self.boot.as_str(), until.mono.0, until.unix_ms, until.synced)
        };
        let text: String = self.until.iter().map(line).collect();
        if let Err(error) = write_whole(&self.path, text.as_bytes()) {
            tracing::warn!(%error, path = %self.path.display(), "a mute does not outlive a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::ClearedBy;
    use crate::detect::{Defect, Severity};
    use crate::ids::{DeviceId, IncidentIds, StartCount};
    use crate::time::{MediaTime, Stamp, Wall};

    fn source() -> SourceId {
        SourceId::new("one").expect("well formed")
    }

    fn now(seconds: u64, synced: bool) -> Now {
        let wall = Wall { unix_ms: 1_700_000_000_000 + seconds as i64 * 1000, synced };
        Now { mono: Mono(seconds * 1_000_000_000), wall }
    }

    fn alert(number: u32, transition: Transition) -> Alert {
        let mut ids = IncidentIds::new(&DeviceId::offline(), StartCount(number), &source());
        Alert {
            id: ids.next_id(),
            source: source(),
            defect: Defect::Black,
            transition,
            severity: Severity::Major,
            at: Stamp::default(),
            onset: MediaTime(0),
            value: 0.0,
            threshold: 0.0,
            unit: "%",
            confidence: None,
            region: None,
            text: String::new(),
            masks: Vec::new(),
            evidence: None,
        }
    }

    const CLEARED: Transition = Transition::Cleared { end: MediaTime(9), by: ClearedBy::Recovered };

    #[test]
    fn what_is_told_has_a_beginning_and_an_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let boot = BootId::from_kernel("12345678");
        let mut mutes = Mutes::open(&folder.path().join("mutes"), &boot, now(0, true));
        assert!(mutes.pass(alert(1, Transition::Raised)).is_some());
        mutes.mute(&source(), Duration::from_secs(60), now(0, true));
        assert!(mutes.pass(alert(1, CLEARED)).is_some(), "it was told before");
        assert!(mutes.pass(alert(2, Transition::Raised)).is_none());
        assert!(mutes.pass(alert(2, CLEARED)).is_none(), "nobody heard of it");
        assert!(mutes.pass(alert(3, Transition::Raised)).is_none());
        assert!(mutes.pass(alert(3, Transition::Updated)).is_none());
        assert_eq!(mutes.over(now(59, true).mono), []);
        assert_eq!(mutes.over(now(60, true).mono), [source()]);
        let told = mutes.unmute(&source());
        assert_eq!(told.iter().map(|alert| alert.transition).collect::<Vec<_>>(), [Transition::Raised]);
        assert!(mutes.pass(alert(3, CLEARED)).is_some());
    }

    #[test]
    fn a_mute_outlives_a_restart_but_no_doubt() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mutes");
        let (boot, next) = (BootId::from_kernel("12345678"), BootId::from_kernel("9abcdef0"));
        Mutes::open(&path, &boot, now(100, true)).mute(&source(), Duration::from_secs(60), now(100, true));
        let muted = |boot: &BootId, at: Now| Mutes::open(&path, boot, at).until(&source()).is_some();
        assert!(muted(&boot, now(130, false)), "the same boot needs no clock");
        assert!(!muted(&boot, now(160, false)));
        let rebooted = |seconds, synced| Now { mono: Mono(5_000_000_000), ..now(seconds, synced) };
        assert!(muted(&next, rebooted(130, true)));
        assert!(!muted(&next, rebooted(160, true)));
        assert!(!muted(&next, rebooted(130, false)));
        std::fs::write(&path, "one 12345678 x\nrubbish\n").expect("written");
        assert!(!muted(&boot, now(130, true)));
    }
}
