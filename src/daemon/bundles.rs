//! The command `bundle`: `picket bundle` makes the support archive in a process of its own (it tries decoders and devices,
//! which may take their process with them), and its pieces go to the broker one by one, behind all events.

use super::control::Control;
use super::live::{self, Part};
use crate::time::Mono;
use crate::wire::{Command, Message, Progress, Qos, Reply};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// Makes the program that writes an archive to this file.
pub type Bundler = Box<dyn Fn(&Path) -> std::process::Command>;

/// As long as pictures, which every broker for this contract takes.
const PIECE_BYTES: usize = 32 << 10;
/// A larger archive is a mistake of ours.
const BYTES_MAX: usize = 5 << 20;
/// Time to make one, on a box that has next to none to spare.
const MAKE_MAX: Duration = Duration::from_secs(300);
/// Time for the broker to take one more piece, a time without connection included.
const PIECE_MAX: Duration = Duration::from_secs(300);
/// Between two pieces: 320 kB/s at the most, so that others find room between them.
pub(super) const PIECE_EVERY: Duration = Duration::from_millis(100);
/// The broker need not keep a piece for longer.
const PIECE_FRESH: Duration = Duration::from_secs(600);

/// What has become of the archive that was asked for.
enum Stage {
    Making { child: Child, until: Mono },
    Sending { bytes: Vec<u8>, pieces: usize, sent: usize, refused: u64, until: Mono },
}

/// The one archive that is under way.
pub(super) struct Bundles {
    make: Bundler,
    file: PathBuf,
    under_way: Option<(Command, Stage)>,
}

impl Bundles {
    /// `folder`: for the archive while it is made.
    pub(super) fn new(make: Bundler, folder: &Path) -> Self {
        Self { make, file: folder.join("bundle.tar.gz"), under_way: None }
    }

    /// Whether pieces wait to be sent.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.under_way, Some((_, Stage::Sending { .. })))
    }
}

impl Drop for Bundles {
    fn drop(&mut self) {
        if let Some((_, Stage::Making { child, .. })) = &mut self.under_way {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn failed(command: &Command, code: &str, text: &str) -> Reply {
    Reply::failed(&command.id, &command.name, code, text)
}

impl Control {
    /// Begins to make one.
    pub(super) fn bundle(&mut self, command: &Command) -> Reply {
        let bundles = &mut self.desk.bundles;
        if bundles.under_way.is_some() {
            return failed(command, "busy", "another archive is under way");
        }
        let mut program = (bundles.make)(&bundles.file);
        match program.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn() {
            Err(error) => failed(command, "refused", &format!("the program that makes it does not start: {error}")),
            Ok(child) => {
                let until = self.clock.mono().plus(MAKE_MAX);
                bundles.under_way = Some((command.clone(), Stage::Making { child, until }));
                Reply::good(&command.id, &command.name, Progress::Running, "it is being made")
            }
        }
    }

    /// What the daemon alone knows.
    pub(super) fn live_parts(&self) -> Vec<Part> {
        let counters = self.courier.counters();
        let open: Vec<String> = self.courier.open_incidents().into_iter().map(|open| open.incident).collect();
        let outbox = format!(
            "waiting {}\nbytes {}\noldest_s {}\ndropped {}\nexpired {}\nrefused {}\ntrouble {}\nconnected {}\nreconnects {}\ncomplaint {}\nopen {}\n",
            counters.outbox.waiting,
            counters.outbox.bytes,
            counters.outbox.oldest.unwrap_or_default().as_secs(),
            counters.outbox.dropped,
            counters.outbox.expired,
            counters.outbox.refused,
            counters.trouble.as_deref().unwrap_or("none"),
            counters.connected,
            counters.reconnects,
            counters.complaint.unwrap_or("none"),
            open.join(" "),
        );
        vec![
            ("log.txt".to_owned(), self.desk.lines.text().into_bytes()),
            ("health.ndjson".to_owned(), self.history.text()),
            ("outbox.txt".to_owned(), outbox.into_bytes()),
        ]
    }

    /// Tells one who asked on this box.
    pub(super) fn tell_live(&self, stream: tokio::net::UnixStream) {
        live::answer(stream, &self.live_parts());
    }

    /// Looks after the one that is being made. Called each second.
    pub(super) fn watch_bundle(&mut self) {
        let now = self.clock.mono();
        let bundles = &mut self.desk.bundles;
        let Some((command, Stage::Making { child, until })) = &mut bundles.under_way else { return };
        let command = command.clone();
        let made = match child.try_wait() {
            Ok(None) if now < *until => return,
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err("it took too long".to_owned())
            }
            Ok(Some(status)) if status.success() => std::fs::read(&bundles.file).map_err(|error| error.to_string()),
            Ok(Some(status)) => Err(format!("the program that makes it ended with {status}")),
        };
        bundles.under_way = None;
        // It lies in memory (a tmpfs).
        let _ = std::fs::remove_file(&bundles.file);
        let reply = match made {
            Ok(bytes) if bytes.len() <= BYTES_MAX => self.begin_to_send(&command, bytes, now),
            Ok(bytes) => failed(&command, "too_large", &format!("it has {} bytes", bytes.len())),
            Err(why) => failed(&command, "refused", &why),
        };
        self.finish(&reply);
    }

    fn begin_to_send(&mut self, command: &Command, bytes: Vec<u8>, now: Mono) -> Reply {
        use sha2::Digest;
        let hash: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let pieces = bytes.len().div_ceil(PIECE_BYTES);
        let reply = Reply::good(&command.id, &command.name, Progress::Running, "its pieces follow")
            .with("topic", self.topics.bundle(&command.id))
            .with("pieces", pieces)
            .with("bytes", bytes.len())
            .with("sha256", hash);
        let (refused, until) = (self.courier.counters().retained_refused, now.plus(PIECE_MAX));
        let stage = Stage::Sending { bytes, pieces, sent: 0, refused, until };
        self.desk.bundles.under_way = Some((command.clone(), stage));
        reply
    }

    /// Sends the next piece, when the broker has the one before it and all events.
    pub(super) fn send_piece(&mut self) {
        let (now, settled, counters) = (self.clock.mono(), self.courier.is_settled(), self.courier.counters());
        let Some((command, Stage::Sending { bytes, pieces, sent, refused, until })) = &mut self.desk.bundles.under_way
        else {
            return;
        };
        let reply = if counters.retained_refused != *refused {
            failed(
                command,
                "refused",
                &format!("the broker does not take pieces on {}", self.topics.bundle(&command.id)),
            )
        } else if now >= *until {
            failed(command, "expired", &format!("the broker took {sent} of {pieces} pieces in time"))
        } else if !settled || counters.outbox.waiting > 0 {
            return;
        } else if *sent < *pieces {
            let from = *sent * PIECE_BYTES;
            let piece = Message {
                topic: format!("{}/{sent}", self.topics.bundle(&command.id)),
                payload: bytes[from..bytes.len().min(from + PIECE_BYTES)].to_vec(),
                qos: Qos::AtLeastOnce,
                retain: false,
                expires_after: Some(PIECE_FRESH),
            };
            (*sent, *until) = (*sent + 1, now.plus(PIECE_MAX));
            self.courier.retain(piece);
            return;
        } else {
            let text = format!("the broker has all {pieces} pieces");
            Reply::good(&command.id, &command.name, Progress::Done, text).with("pieces", *pieces)
        };
        self.desk.bundles.under_way = None;
        self.finish(&reply);
    }
}
