//! Files that are there whole or not at all, and whose they are.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The old content or the new one, whatever happens in between; nobody sees it with another mode.
pub(super) fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let part = path.with_extension("part");
    // Of a run that was cut short.
    let _ = std::fs::remove_file(&part);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), sync)
}

/// What was made, renamed or removed in `folder` stays so.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Does `act` as the user who owns `path`, the state folder, or the nearest folder above it: what root makes in it is then
/// the daemon's, and no link that its user put there leads root astray. Without root's rights it is done as it is. The
/// process must have one thread.
pub fn as_owner_of<T>(path: &Path, act: impl FnOnce() -> T) -> io::Result<T> {
    use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, setegid, seteuid, setgroups};
    let there = path.ancestors().find_map(|path| path.metadata().ok());
    let owner = there.map(|there| (Uid::from_raw(there.uid()), Gid::from_raw(there.gid())));
    let Some((user, group)) = owner.filter(|(user, _)| geteuid().is_root() && !user.is_root()) else {
        return Ok(act());
    };
    let (root, roots_group, groups) = (geteuid(), getegid(), getgroups()?);
    setgroups(&[group])?;
    setegid(group)?;
    seteuid(user)?;
    let done = act();
    seteuid(root)?;
    setegid(roots_group)?;
    setgroups(&groups)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_with_their_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        std::fs::write(path.with_extension("part"), "left").expect("written");
        write_whole(&path, b"one", 0o600).expect("written");
        write_whole(&path, b"two", 0o600).expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn what_is_not_roots_is_done_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(as_owner_of(&folder.path().join("not/there"), || 5).expect("done"), 5);
    }
}
