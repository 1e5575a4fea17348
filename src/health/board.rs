//! What kind of machine this is.

use std::path::Path;

/// A hardware watchdog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// "watchdog0".
    pub name: String,
    /// "Broadcom BCM2835 Watchdog timer".
    pub identity: String,
    /// Seconds until it bites.
    pub timeout_s: Option<u32>,
    /// Whether somebody has armed it.
    pub active: bool,
}

/// A machine's model, as its firmware tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// "Raspberry Pi 4 Model B Rev 1.4".
    pub model: Option<String>,
    /// The device tree's `compatible` strings, the most special first.
    pub device_tree: Vec<String>,
    /// DMI's vendor and product: "ACME Box 7".
    pub dmi: Option<String>,
    /// In the order of their numbers.
    pub watchdogs: Vec<Watchdog>,
}

impl Board {
    /// Reads /proc and /sys below `root`.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let plain = |text: String| Some(text.trim_end_matches('\0').trim().to_owned()).filter(|text| !text.is_empty());
        let firmware = || {
            let of = |name: &str| text(&format!("sys/class/dmi/id/{name}")).and_then(plain);
            let parts: Vec<String> = [of("sys_vendor"), of("product_name")].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        };
        let compatible = text("proc/device-tree/compatible").unwrap_or_default();
        let dmi = firmware();
        Self {
            model: text("proc/device-tree/model").and_then(plain).or_else(|| dmi.clone()),
            device_tree: compatible.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            dmi,
            watchdogs: watchdogs(root),
        }
    }
}

/// Kernel documentation, ABI/testing/sysfs-class-watchdog.
fn watchdogs(root: &Path) -> Vec<Watchdog> {
    let entries = std::fs::read_dir(root.join("sys/class/watchdog")).into_iter().flatten().flatten();
    let mut found: Vec<Watchdog> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_owned();
            let text = |file: &str| std::fs::read_to_string(entry.path().join(file)).ok();
            Some(Watchdog {
                identity: text("identity").map(|text| text.trim().to_owned()).unwrap_or_default(),
                timeout_s: text("timeout").and_then(|text| text.trim().parse().ok()),
                active: text("state").is_some_and(|state| state.trim() == "active"),
                name,
            })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    #[test]
    fn a_board_is_known_by_its_device_tree() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        write(at, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        write(at, "proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0");
        write(at, "sys/class/watchdog/watchdog0/identity", "Broadcom BCM2835 Watchdog timer\n");
        write(at, "sys/class/watchdog/watchdog0/timeout", "15\n");
        write(at, "sys/class/watchdog/watchdog0/state", "inactive\n");
        let board = Board::read(at);
        assert_eq!(board.model.as_deref(), Some("Raspberry Pi 4 Model B Rev 1.4"));
        assert_eq!(board.device_tree, ["raspberrypi,4-model-b", "brcm,bcm2711"]);
        let watchdog = &board.watchdogs[0];
        assert_eq!((watchdog.name.as_str(), watchdog.timeout_s, watchdog.active), ("watchdog0", Some(15), false));
    }

    #[test]
    fn a_pc_says_what_it_is_and_nothing_is_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let empty = Board::default();
        assert_eq!(Board::read(root.path()), empty);
        write(root.path(), "sys/class/dmi/id/sys_vendor", "ACME\n");
        write(root.path(), "sys/class/dmi/id/product_name", "Box 7\n");
        assert_eq!(
            Board::read(root.path()),
            Board { model: Some("ACME Box 7".to_owned()), dmi: Some("ACME Box 7".to_owned()), ..empty }
        );
    }
}
