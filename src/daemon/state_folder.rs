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
    /// Makes the folder when it is missing, locks it, counts this start.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let told = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Write { path, source }
        };
        std::fs::create_dir_all(folder).map_err(told(folder))?;
        let path = folder.join("lock");
        let file = File::create(&path).map_err(told(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => Error::Locked(folder.to_owned()),
            other => Error::Write { path: path.clone(), source: other.into() },
        })?;
        let path = folder.join("starts");
        let start = StartCount(last_start(&path).wrapping_add(1));
        write_whole(&path, format!("{}\n", start.0).as_bytes()).map_err(told(&path))?;
        Ok(Self { _lock: lock, start })
    }

    /// The count of this start; the first is 1.
    pub fn start(&self) -> StartCount {
        self.start
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
        let first = StateFolder::open(&folder).expect("opens");
        assert_eq!(first.start(), StartCount(1));
        assert!(matches!(StateFolder::open(&folder), Err(Error::Locked(_))));
        drop(first);
        assert_eq!(StateFolder::open(&folder).expect("opens").start(), StartCount(2));
        std::fs::write(folder.join("starts"), "rubbish").expect("written");
        assert_eq!(StateFolder::open(&folder).expect("opens").start(), StartCount(1));
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = StateFolder::open(&file.join("state")).expect_err("no folder below a file");
        assert!(error.to_string().contains("state folder cannot be written"), "{error}");
    }
}
