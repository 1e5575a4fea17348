//! What this device keeps over restarts besides the outbox: the lock against a second daemon, the count of starts.

use crate::ids::StartCount;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Why the state folder cannot be used. Exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made or written.
    #[error("{}: the state folder cannot be written: give [device] state_dir a folder that belongs to Picket's user", .path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another daemon uses it.
    #[error("{}: another Picket runs with this state folder", .0.display())]
    Locked(PathBuf),
}

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct StateFolder {
    _lock: Flock<File>,
    start: StartCount,
}

impl StateFolder {
    /// Makes the folder when it is missing, locks it, counts this start. A disk that is full, read-only or failing is no
    /// error: watching goes on, and the start is numbered by the clock (`now_s`, seconds since 1970), far above any count.
    pub fn open(folder: &Path, now_s: u32) -> Result<Self, Error> {
        let told = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Write { path, source }
        };
        std::fs::create_dir_all(folder).map_err(told(folder))?;
        // The folder itself: a file to lock could not be made on such a disk.
        let file = File::open(folder).map_err(told(folder))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => Error::Locked(folder.to_owned()),
            other => Error::Write { path: folder.to_owned(), source: other.into() },
        })?;
        let path = folder.join("starts");
        let start = StartCount(last_start(&path).wrapping_add(1));
        let written = write_whole(&path, format!("{}\n", start.0).as_bytes());
        Ok(Self { _lock: lock, start: numbered(&path, start, written, now_s)? })
    }

    /// The count of this start; the first is 1.
    pub fn start(&self) -> StartCount {
        self.start
    }
}

/// The start's number, when writing it to `path` came to `written`.
fn numbered(path: &Path, start: StartCount, written: std::io::Result<()>, now_s: u32) -> Result<StartCount, Error> {
    match written {
        Ok(()) => Ok(start),
        Err(error) if crate::outbox::is_of_the_medium(&error) => {
            tracing::warn!(%error, path = %path.display(), "the start cannot be counted; the clock numbers it");
            Ok(StartCount(now_s.max(start.0)))
        }
        Err(source) => Err(Error::Write { path: path.to_owned(), source }),
    }
}

/// 0 when there is none, or none that can be read.
fn last_start(path: &Path) -> u32 {
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The old content or the new one, whatever happens in between.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_counted_and_a_second_daemon_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("state");
        let first = StateFolder::open(&folder, 7).expect("opens");
        assert_eq!(first.start(), StartCount(1));
        assert!(matches!(StateFolder::open(&folder, 7), Err(Error::Locked(_))));
        drop(first);
        assert_eq!(StateFolder::open(&folder, 7).expect("opens").start(), StartCount(2));
        std::fs::write(folder.join("starts"), "rubbish").expect("written");
        assert_eq!(StateFolder::open(&folder, 7).expect("opens").start(), StartCount(1));
    }

    #[test]
    fn a_disk_that_takes_nothing_stops_no_watch() {
        let root = tempfile::tempdir().expect("a folder");
        drop(StateFolder::open(root.path(), 7).expect("opens"));
        // EISDIR is a mistake of the machine's set-up.
        let path = root.path().join("starts");
        std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).expect("a folder");
        assert!(matches!(StateFolder::open(root.path(), 7), Err(Error::Write { .. })));
        for (errno, heals) in [(28, true), (30, true), (5, true), (13, false)] {
            let error = std::io::Error::from_raw_os_error(errno);
            assert_eq!(numbered(&path, StartCount(3), Err(error), 1_800_000_000).is_ok(), heals, "{errno}");
        }
        let full = || Err(std::io::Error::from_raw_os_error(28));
        assert_eq!(numbered(&path, StartCount(3), full(), 1_800_000_000).expect("goes on"), StartCount(1_800_000_000));
        assert_eq!(numbered(&path, StartCount(3), full(), 2).expect("a clock of 1970"), StartCount(3));
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = StateFolder::open(&file.join("state"), 7).expect_err("no folder below a file");
        assert!(error.to_string().contains("state folder cannot be written"), "{error}");
    }
}
