//! The updater of an appliance image. Picket may write nothing but its own folders, so it asks by a file in its runtime folder, and
//! hears by one that the updater, which is root's, keeps beside that folder. That Picket is fit it tells by a file, too: a slot that came
//! with an update is confirmed by that alone.

use super::control::Control;
use super::state_folder::write_whole;
use crate::time::Mono;
use crate::wire::{self, Command, Firmware, LastUpdate, Message, Progress, Qos, Reply};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A state that is longer is none.
const STATE_BYTES_MAX: usize = 4 << 10;
/// Being fit must last for this long before it counts.
const FIT_AFTER: Duration = Duration::from_secs(60);
/// A broker that is away for this long is no fault of the image.
const BROKER_MAX: Duration = Duration::from_secs(15 * 60);
/// The updater answers sooner; else it never took the request.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// How Picket came to be fit: what the file `fit` says. An update that came by the broker is confirmed by `Answered` alone, or a
/// version that cannot reach it any more could be reached by nobody.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fit {
    /// The broker has acknowledged all that it keeps, or none is configured.
    Answered,
    /// It has been away for [`BROKER_MAX`].
    Alone,
}

/// What the control loop keeps of it.
#[derive(Debug)]
pub(super) struct Updater {
    state: PathBuf,
    request: PathBuf,
    fit: PathBuf,
    heard: String,
    told: Firmware,
    fit_since: Option<Mono>,
    fit_as: Option<Fit>,
    /// When the updater was asked last, or when Picket started.
    asked: Mono,
}

impl Updater {
    /// `runtime`: Picket's runtime folder.
    pub(super) fn new(runtime: &Path, now: Mono) -> Self {
        Self {
            state: runtime.with_file_name("picket-update").join("state"),
            request: runtime.join("update-request"),
            fit: runtime.join("fit"),
            heard: String::new(),
            told: Firmware::default(),
            fit_since: None,
            fit_as: None,
            asked: now,
        }
    }

    /// Whether there is one. It may have said nothing yet, but its folder is there from the box's start on.
    fn is_there(&self) -> bool {
        !self.told.updater.is_empty() || self.state.parent().is_some_and(Path::is_dir)
    }

    /// Whether there is news.
    fn listen(&mut self) -> bool {
        let text = std::fs::read_to_string(&self.state).unwrap_or_default();
        if text == self.heard || text.len() > STATE_BYTES_MAX {
            return false;
        }
        self.told = Firmware::parse(&text);
        self.heard = text;
        true
    }

    /// Writes the request, complete or not at all.
    fn ask(&mut self, id: &str, bundle: &str, force: bool, now: Mono) -> std::io::Result<()> {
        self.asked = now;
        let text = format!("id={id}\nsource={bundle}\nforce={}\n", u8::from(force));
        write_whole(&self.request, text.as_bytes())
    }

    /// Once all has been well for a minute, for as long as this process runs; what was fit alone may still be answered. `None`: not well.
    fn judge(&mut self, well: Option<Fit>, now: Mono) {
        let Some(fit) = well else {
            self.fit_since = None;
            return;
        };
        let since = *self.fit_since.get_or_insert(now);
        if now.since(since) < FIT_AFTER || self.fit_as == Some(Fit::Answered) || self.fit_as == Some(fit) {
            return;
        }
        self.fit_as = Some(fit);
        let text = match fit {
            Fit::Answered => "answered\n",
            Fit::Alone => "alone\n",
        };
        // On a system without an updater nobody reads it, and its folder may be missing.
        let _ = write_whole(&self.fit, text.as_bytes());
    }
}

/// What is said to the command that asked for the update, once there is something to say.
fn outcome(id: &str, last: &LastUpdate) -> Reply {
    let good = |progress| Reply::good(id, "update", progress, last.text.as_str());
    let reply = match last.result.as_str() {
        "installing" | "installed" => good(Progress::Running),
        "confirmed" => good(Progress::Done),
        code => Reply::failed(id, "update", code, last.text.as_str()),
    };
    match &last.version {
        Some(version) => reply.with("version", version.as_str()),
        None => reply,
    }
}

impl Control {
    /// Asks the updater for another image. The reply comes when it has run for a while, or was refused.
    pub(super) fn update(&mut self, command: &Command, bundle: &str, force: bool) -> Option<Reply> {
        let failed = |code, text: &str| Some(Reply::failed(&command.id, &command.name, code, text));
        if !self.updater.is_there() {
            return failed("unsupported", "no updater is installed on this box");
        }
        let told = &self.updater.told;
        let busy = told.last.as_ref().is_some_and(|last| ["installing", "installed"].contains(&last.result.as_str()));
        if busy || told.trial {
            return failed("busy", "another update is under way");
        }
        match self.updater.ask(&command.id, bundle, force, self.clock.mono()) {
            Ok(()) => Some(Reply::good(&command.id, &command.name, Progress::Running, "the updater was asked")),
            Err(error) => failed("refused", &format!("the updater cannot be asked: {error}")),
        }
    }

    /// Passes on what the updater says, and says whether Picket is fit.
    pub(super) fn watch_updater(&mut self) {
        let now = self.clock.mono();
        let counters = self.courier.counters();
        let answered = self.afar.running().broker.is_none() || (counters.connected && self.courier.is_settled());
        let fit = match answered {
            true => Some(Fit::Answered),
            false if now.since(self.started) >= BROKER_MAX => Some(Fit::Alone),
            false => None,
        };
        self.updater.judge(fit.filter(|_| self.ready), now);
        if self.updater.listen() {
            self.tell_firmware();
        }
        for former in self.desk.journal.unfinished().into_iter().filter(|reply| reply.command == "update") {
            let last = self.updater.told.last.as_ref();
            match last.filter(|last| last.id.as_deref() == Some(&former.id)).map(|last| outcome(&former.id, last)) {
                Some(reply) if reply != former => self.finish(&reply),
                Some(_) => {}
                None if now.since(self.updater.asked) >= ANSWER_MAX => {
                    let text = "the updater did not take the request";
                    self.finish(&Reply::failed(&former.id, "update", "interrupted", text));
                }
                None => {}
            }
        }
    }

    /// Tells the versions and slots anew.
    pub(super) fn tell_firmware(&mut self) {
        let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let payload = wire::firmware(&self.made(), &os_release, &self.updater.told);
        let topic = self.topics.firmware();
        self.courier.retain(Message { topic, payload, qos: Qos::AtLeastOnce, retain: true, expires_after: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn it_is_asked_by_a_file_and_heard_by_another() {
        let root = tempfile::tempdir().expect("a folder");
        let runtime = root.path().join("picket");
        std::fs::create_dir_all(&runtime).expect("made");
        std::fs::create_dir_all(root.path().join("picket-update")).expect("made");
        let mut updater = Updater::new(&runtime, at(0));
        assert!(updater.is_there() && !updater.listen() && updater.told.updater.is_empty(), "it has not spoken yet");
        assert!(!Updater::new(&root.path().join("elsewhere/picket"), at(0)).is_there());
        std::fs::write(root.path().join("picket-update/state"), "updater=rauc\nslot=A\n").expect("written");
        assert!(updater.listen() && !updater.listen());
        assert_eq!(updater.told.slot.as_deref(), Some("A"));
        updater.ask("u1", "a.raucb", true, at(5)).expect("written");
        let request = std::fs::read_to_string(runtime.join("update-request")).expect("there");
        assert_eq!(request, "id=u1\nsource=a.raucb\nforce=1\n");
    }

    #[test]
    fn fit_is_what_was_well_for_a_minute() {
        let root = tempfile::tempdir().expect("a folder");
        let mut updater = Updater::new(root.path(), at(0));
        let well = Some(Fit::Answered);
        for (second, well) in [(0, well), (50, well), (55, None), (60, well), (119, well)] {
            updater.judge(well, at(second));
            assert!(!root.path().join("fit").exists(), "{second}");
        }
        updater.judge(well, at(120));
        assert!(root.path().join("fit").exists());
    }

    #[test]
    fn a_broker_that_answers_late_makes_it_wholly_fit() {
        let root = tempfile::tempdir().expect("a folder");
        let mut updater = Updater::new(root.path(), at(0));
        let said = || std::fs::read_to_string(root.path().join("fit")).unwrap_or_default();
        for (second, fit, text) in [
            (0, Fit::Alone, ""),
            (60, Fit::Alone, "alone\n"),
            (61, Fit::Answered, "answered\n"),
            // Once is enough.
            (62, Fit::Alone, "answered\n"),
        ] {
            updater.judge(Some(fit), at(second));
            assert_eq!(said(), text, "{second}");
        }
    }

    #[test]
    fn outcomes_are_told_to_who_asked() {
        let last = |result: &str| LastUpdate {
            id: None,
            version: Some("2".to_owned()),
            result: result.to_owned(),
            text: "why".to_owned(),
        };
        let said = |result| outcome("u", &last(result));
        assert_eq!(said("installing").status, Progress::Running);
        assert_eq!(said("confirmed").status, Progress::Done);
        let back = said("rolled_back");
        assert_eq!((back.status, back.code.as_str(), back.text.as_str()), (Progress::Failed, "rolled_back", "why"));
    }
}
