//! Packets that the kernel dropped because we did not fetch them in time: our fault, not the sender's.

use super::Input;
use crate::time::Mono;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Without a sign of damage, looked at this often.
const EVERY: Duration = Duration::from_secs(1);

/// Follows the socket of one input.
#[derive(Debug)]
pub(super) struct SocketDrops {
    root: PathBuf,
    /// As /proc writes it, four hexadecimal digits.
    port: String,
    seen: u64,
    looked: Mono,
}

impl SocketDrops {
    /// Of an input that listens on a UDP port. `root` is `/`.
    pub(super) fn of(input: &Input, root: &Path) -> Option<Self> {
        let port = format!("{:04X}", input.udp_port()?);
        let mut drops = Self { root: root.to_owned(), port, seen: 0, looked: Mono(0) };
        drops.seen = drops.count();
        Some(drops)
    }

    /// Whether packets were dropped since the last look. Looks at once when the stream shows `damage`.
    pub(super) fn look(&mut self, now: Mono, damage: bool) -> bool {
        if !damage && now.since(self.looked) < EVERY {
            return false;
        }
        self.looked = now;
        let count = self.count();
        let more = count > self.seen;
        self.seen = count;
        more
    }

    /// proc(5), /proc/net/udp: local address in column 2, inode in 10, drops in 13. Others may listen on the same
    /// port of a multicast group; what they miss is theirs.
    fn count(&self) -> u64 {
        let ours = self.own_sockets();
        let tables = ["proc/net/udp", "proc/net/udp6"].map(|path| std::fs::read_to_string(self.root.join(path)));
        let rows = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
        rows.filter_map(|row| {
            let columns: Vec<&str> = row.split_whitespace().collect();
            let local = columns.get(1)?.rsplit_once(':')?.1;
            let fits = local == self.port && ours.contains(*columns.get(9)?);
            columns.get(12)?.parse::<u64>().ok().filter(|_| fits)
        })
        .sum()
    }

    /// Inodes of the sockets of this process.
    fn own_sockets(&self) -> BTreeSet<String> {
        let links = std::fs::read_dir(self.root.join("proc/self/fd")).into_iter().flatten().flatten();
        links
            .filter_map(|link| {
                let target = std::fs::read_link(link.path()).ok()?;
                Some(target.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_our_own_socket_are_counted() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |ours: u64, other: u64| {
            std::fs::create_dir_all(root.path().join("proc/net")).expect("made");
            let row = |inode: u32, drops: u64| {
                format!(
                    " 1: 0101EFEF:1388 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 {inode} 2 ff {drops}\n"
                )
            };
            let text = format!("  sl  local_address\n{}{}", row(77, ours), row(78, other));
            std::fs::write(root.path().join("proc/net/udp"), text).expect("written");
        };
        std::fs::create_dir_all(root.path().join("proc/self/fd")).expect("made");
        std::os::unix::fs::symlink("socket:[77]", root.path().join("proc/self/fd/3")).expect("linked");
        write(5, 9);
        let input: Input = "udp://239.239.1.1:5000".parse().expect("an input");
        let at = |ms: u64| Mono(ms * 1_000_000);
        let mut drops = SocketDrops::of(&input, root.path()).expect("it has a port");
        assert!(!drops.look(at(2000), true));
        write(5, 10);
        assert!(!drops.look(at(2100), true), "somebody else's");
        write(6, 10);
        assert!(!drops.look(at(2200), false), "not so soon");
        assert!(drops.look(at(2300), true));
        assert!(!drops.look(at(2400), true));
        assert!(SocketDrops::of(&"rtmp://h/x".parse().expect("an input"), root.path()).is_none());
    }
}
