//! Where the outbox's bytes live: a folder on disk. Behind a trait, so that tests can cut the power and break the disk.

use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// What the file system has left for an ordinary user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files that could still be made.
    pub inodes: u64,
}

/// A flat folder of files. Names are plain file names. After an error nothing is known about the file it concerned.
pub trait Storage: Send {
    /// Makes the folder where it is missing, takes it for this process alone, and lists its files.
    fn open(&mut self) -> io::Result<Vec<String>>;
    /// A whole file.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// Part of a file.
    fn read_at(&mut self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Adds to the end of a file, which is made where it is missing.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Writes over a part of a file, which is made where it is missing.
    fn overwrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when what was written to the file, and its name, would survive a power cut.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// What is left.
    fn room(&mut self) -> io::Result<Room>;
}

/// A folder of the machine's file system.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    /// The folder itself, locked as long as this lives.
    lock: Option<Flock<File>>,
    /// The file that was written last, kept open.
    writing: Option<(String, File)>,
    /// Files whose names are not known to be on disk.
    unnamed: BTreeSet<String>,
}

impl Disk {
    /// Storage in `folder`; touches nothing yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, lock: None, writing: None, unnamed: BTreeSet::new() }
    }

    fn writing(&mut self, name: &str) -> io::Result<&File> {
        let known = matches!(&self.writing, Some((open, _)) if open == name);
        if !known {
            let path = self.folder.join(name);
            if !path.exists() {
                self.unnamed.insert(name.to_owned());
            }
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
            self.writing = Some((name.to_owned(), file));
        }
        match &self.writing {
            Some((_, file)) => Ok(file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Storage for Disk {
    fn open(&mut self) -> io::Result<Vec<String>> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if self.lock.is_none() {
            let folder = File::open(&self.folder)?;
            let lock = Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
                nix::errno::Errno::EWOULDBLOCK => io::Error::new(io::ErrorKind::AddrInUse, "in use by another process"),
                other => other.into(),
            })?;
            self.lock = Some(lock);
        }
        let entries = fs::read_dir(&self.folder)?;
        let names: Vec<String> =
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<_>>()?;
        // A run that was killed may have made a file and not come to putting its name on disk.
        self.unnamed.extend(names.iter().cloned());
        Ok(names)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join(name))
    }

    fn read_at(&mut self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        match &self.writing {
            Some((open, file)) if open == name => file.read_exact_at(&mut bytes, offset)?,
            _ => File::open(self.folder.join(name))?.read_exact_at(&mut bytes, offset)?,
        }
        Ok(bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.writing(name)?;
        let end = file.metadata()?.len();
        file.write_all_at(bytes, end)
    }

    fn overwrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(name);
        if !path.exists() {
            self.unnamed.insert(name.to_owned());
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.write_all_at(bytes, offset)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        match &self.writing {
            Some((open, file)) if open == name => file.sync_data()?,
            _ => OpenOptions::new().write(true).open(self.folder.join(name))?.sync_data()?,
        }
        if self.unnamed.contains(name) {
            File::open(&self.folder)?.sync_all()?;
            self.unnamed.clear();
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        if matches!(&self.writing, Some((open, _)) if open == name) {
            self.writing = None;
        }
        fs::remove_file(self.folder.join(name))
    }

    fn room(&mut self) -> io::Result<Room> {
        let state = nix::sys::statvfs::statvfs(&self.folder)?;
        // Some file systems (btrfs) count no inodes at all.
        let inodes = if state.files() == 0 { u64::MAX } else { state.files_available() };
        Ok(Room { bytes: state.blocks_available() * state.fragment_size(), inodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_process() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut disk = Disk::new(folder.path().join("deep/outbox"));
        assert!(disk.open()?.is_empty());
        let second = Disk::new(folder.path().join("deep/outbox")).open();
        assert_eq!(second.map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        Ok(())
    }

    #[test]
    fn what_is_written_is_read() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut disk = Disk::new(folder.path().to_owned());
        disk.open()?;
        disk.append("a", b"one")?;
        disk.append("b", b"x")?;
        disk.append("a", b"two")?;
        disk.overwrite("b", 3, b"y")?;
        disk.sync("a")?;
        disk.sync("b")?;
        assert_eq!(disk.read("a")?, b"onetwo");
        assert_eq!(disk.read_at("a", 3, 3)?, b"two");
        assert_eq!(disk.read("b")?, b"x\0\0y");
        assert!(disk.read_at("a", 4, 9).is_err());
        disk.remove("a")?;
        assert!(disk.read("a").is_err());
        assert!(disk.room()?.inodes > 0);
        Ok(())
    }
}
