//! Why the machine started anew, where it can be told.

use std::path::Path;

/// Flags of `bootstatus` (linux/watchdog.h): what made the machine start.
const FLAGS: [(u32, &str); 4] = [(0x20, "watchdog"), (0x01, "overheat"), (0x02, "fan_failure"), (0x10, "undervoltage")];

/// "kernel_panic" where the kernel left its last words (pstore), or what the
/// watchdog's driver knows of the reset. A power cut leaves no trace, and neither does an orderly restart.
pub(super) fn reason(root: &Path) -> Option<&'static str> {
    let has_words = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("dmesg-"))
    };
    if has_words("sys/fs/pstore") {
        return Some("kernel_panic");
    }
    let watchdogs = std::fs::read_dir(root.join("sys/class/watchdog")).into_iter().flatten().flatten();
    let flags = watchdogs
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("bootstatus")).ok()?.trim().parse::<u32>().ok())
        .fold(0, |all, flags| all | flags);
    FLAGS.iter().find(|(flag, _)| flags & flag != 0).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    #[test]
    fn last_words_and_watchdogs_tell() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        assert_eq!(reason(at), None);
        write(at, "sys/class/watchdog/watchdog0/bootstatus", "0\n");
        assert_eq!(reason(at), None);
        write(at, "sys/class/watchdog/watchdog0/bootstatus", "32\n");
        assert_eq!(reason(at), Some("watchdog"));
        write(at, "sys/fs/pstore/console-ramoops-0", "x");
        assert_eq!(reason(at), Some("watchdog"), "the console is always kept");
        write(at, "sys/fs/pstore/dmesg-ramoops-0", "Panic#1");
        assert_eq!(reason(at), Some("kernel_panic"));
    }
}
