//! Who has a device open.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name, where this user may see it.
    pub name: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} (pid {})", self.pid),
            None => write!(f, "pid {}", self.pid),
        }
    }
}

/// The process of a thread that the kernel named.
pub fn of_task(root: &Path, task: u32) -> Holder {
    let status = std::fs::read_to_string(root.join(format!("proc/{task}/status"))).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    process(root, group.unwrap_or(task))
}

fn process(root: &Path, pid: u32) -> Holder {
    let name = std::fs::read_to_string(root.join(format!("proc/{pid}/comm")));
    Holder { pid, name: name.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()) }
}

/// All that have `node` open, but us: as far as this user may see, which without privileges is his own processes.
pub fn of_node(root: &Path, node: &Path) -> Vec<Holder> {
    let Ok(device) = std::fs::metadata(node) else { return Vec::new() };
    let entries = std::fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let files = std::fs::read_dir(root.join(format!("proc/{pid}/fd"))).into_iter().flatten().flatten();
        files.into_iter().any(|file| {
            // The target's name is compared first: looking at what pipes and sockets are is dear.
            let named = std::fs::read_link(file.path())
                .is_ok_and(|target| target.starts_with("/dev") || root != Path::new("/"));
            named && std::fs::metadata(file.path()).is_ok_and(|other| same(&device, &other))
        })
    };
    let mut holders: Vec<u32> = pids.filter(|pid| *pid != std::process::id()).filter(has).collect();
    holders.sort_unstable();
    holders.into_iter().map(|pid| process(root, pid)).collect()
}

/// Whether both are one device, whatever names it is opened by, or one file.
fn same(one: &Metadata, other: &Metadata) -> bool {
    match one.rdev() {
        0 => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        device => device == other.rdev(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_found_by_their_files_and_threads_by_their_process() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        let (node, other) = (at.join("video0"), at.join("null"));
        std::fs::write(&node, "").expect("written");
        std::fs::write(&other, "").expect("written");
        for (pid, open) in [(41, &node), (42, &other), (7, &node)] {
            let files = at.join(format!("proc/{pid}/fd"));
            std::fs::create_dir_all(&files).expect("made");
            std::os::unix::fs::symlink(open, files.join("3")).expect("linked");
        }
        std::fs::write(at.join("proc/41/comm"), "encoder\n").expect("written");
        std::fs::create_dir_all(at.join("proc/43")).expect("made");
        std::fs::write(at.join("proc/43/status"), "Name:\tcapture\nTgid:\t41\nPid:\t43\n").expect("written");
        let found: Vec<String> = of_node(at, &node).iter().map(Holder::to_string).collect();
        assert_eq!(found, ["pid 7", "encoder (pid 41)"]);
        assert_eq!(of_task(at, 43).to_string(), "encoder (pid 41)");
        assert_eq!(of_task(at, 99), Holder { pid: 99, name: None });
    }
}
