//! The command `reboot`. Picket's own unit may not restart the machine: it writes down the wish, and
//! `picket-reboot.path`, where that is enabled, has systemd do it.

use super::control::Control;
use crate::time::Mono;
use crate::wire::{Command, Progress, Reply};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the wish in the runtime folder, as in picket-reboot.path.
const NAME: &str = "reboot";
/// systemd acts within a moment; a machine that stops in order ends us soon.
const ACTED_WITHIN: Duration = Duration::from_secs(60);

/// Who may wish for it.
#[derive(Debug)]
pub(super) struct Reboot {
    path: PathBuf,
    wished: Option<(Command, Mono)>,
}

impl Reboot {
    /// Where it is allowed. A wish of a former run is over.
    pub(super) fn new(runtime_folder: &Path) -> Self {
        let path = runtime_folder.join(NAME);
        // Mostly there is none.
        let _ = std::fs::remove_file(&path);
        Self { path, wished: None }
    }
}

impl Control {
    /// Wishes for it.
    pub(super) fn reboot(&mut self, command: &Command) -> Reply {
        let failed = |code, text: &str| Reply::failed(&command.id, &command.name, code, text);
        let until = self.clock.mono().plus(ACTED_WITHIN);
        let Some(reboot) = &mut self.desk.reboot else {
            let text = "not allowed on this box ([device] allow_reboot); `restart` starts Picket anew";
            return failed("not_allowed", text);
        };
        if reboot.wished.is_some() {
            return failed("busy", "it is wished for already");
        }
        let said = format!("{}\n", command.id);
        match std::fs::write(&reboot.path, said) {
            Err(error) => failed("refused", &format!("{}: {error}", reboot.path.display())),
            Ok(()) => {
                tracing::warn!(id = command.id, "the machine is to start anew, as commanded");
                reboot.wished = Some((command.clone(), until));
                Reply::good(&command.id, &command.name, Progress::Running, "systemd is asked to start the machine anew")
            }
        }
    }

    /// Takes the wish back when nobody acts on it. Called each second.
    pub(super) fn watch_reboot(&mut self) {
        let now = self.clock.mono();
        let Some(reboot) = &mut self.desk.reboot else { return };
        let Some((command, _)) = reboot.wished.take_if(|(_, until)| now >= *until) else { return };
        // Whoever acted late must not find it.
        let _ = std::fs::remove_file(&reboot.path);
        let text = "nobody acted on it: is picket-reboot.path enabled?";
        self.finish(&Reply::failed(&command.id, &command.name, "refused", text));
    }

    /// What became of the wish of a former run: `None` when it was not fulfilled.
    pub(super) fn rebooted(&self, id: &str) -> Option<Reply> {
        let restarted = self.runs.is_first_of_boot();
        restarted.then(|| Reply::good(id, "reboot", Progress::Done, "the machine has started anew"))
    }
}
