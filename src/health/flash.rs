//! Wear of the flash memory, and how much is written to it.

use super::counter::Counter;
use crate::time::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

/// Wear moves by tenths in years, and asking for it costs a command to the device.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// What is written varies over a day ...
const PAST: Duration = Duration::from_secs(24 * 3600);
/// ... and a short while says nothing of it.
const KNOWN_AFTER: Duration = Duration::from_secs(600);
/// Readings of the past that are kept.
const EVERY: Duration = Duration::from_secs(1800);

/// Follows the disks of a machine.
#[derive(Debug, Default)]
pub(super) struct Flash {
    wear: Option<(Mono, Option<f64>)>,
    written: BTreeMap<String, Counter>,
    /// Bytes written up to then, oldest first.
    past: VecDeque<(Mono, u64)>,
}

impl Flash {
    /// How much of its life the most worn eMMC has behind it, %: the upper end of the tenth that it tells (JEDEC
    /// JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and B, in sysfs `life_time`).
    pub(super) fn wear_pct(&mut self, root: &Path, now: Mono) -> Option<f64> {
        match self.wear {
            Some((when, wear)) if now.since(when) < LOOK_EVERY => wear,
            _ => {
                let wear = disks(root).filter_map(|disk| life_time(root, &disk)).reduce(f64::max);
                self.wear = Some((now, wear));
                wear
            }
        }
    }

    /// What the machine writes to its disks in a day, MB, by the last 24 hours or what there is of them.
    pub(super) fn mb_per_day(&mut self, root: &Path, now: Mono) -> Option<f64> {
        let real: Vec<String> = disks(root).collect();
        let text = std::fs::read_to_string(root.join("proc/diskstats")).ok()?;
        for line in text.lines() {
            // Kernel documentation, admin-guide/iostats: device name in column 3, sectors of 512 bytes written in 10.
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (Some(&name), Some(Ok(sectors))) = (columns.get(2), columns.get(9).map(|text| text.parse())) else {
                continue;
            };
            if real.iter().any(|disk| disk == name) {
                self.written.entry(name.to_owned()).or_default().step(sectors);
            }
        }
        if self.written.is_empty() {
            return None;
        }
        let sectors = self.written.values().fold(0_u64, |sum, counter| sum.saturating_add(counter.total()));
        let total = sectors.saturating_mul(512);
        if self.past.back().is_none_or(|(when, _)| now.since(*when) >= EVERY) {
            self.past.push_back((now, total));
        }
        while self.past.get(1).is_some_and(|(when, _)| now.since(*when) >= PAST) {
            self.past.pop_front();
        }
        let (since, before) = *self.past.front()?;
        let passed = now.since(since);
        let share = Duration::from_secs(86_400).as_secs_f64() / passed.as_secs_f64().max(1.0);
        (passed >= KNOWN_AFTER).then(|| total.saturating_sub(before) as f64 / 1e6 * share)
    }
}

/// Names of disks that are devices: no partitions, no loops, nothing in memory.
fn disks(root: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(root.join("sys/block")).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().join("device").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
}

fn life_time(root: &Path, disk: &str) -> Option<f64> {
    let text = std::fs::read_to_string(root.join("sys/block").join(disk).join("device/life_time")).ok()?;
    let tenths = text.split_whitespace().filter_map(|part| u8::from_str_radix(part.trim_start_matches("0x"), 16).ok());
    // 0 is "not told", 1 "up to 10 %", 11 "beyond".
    tenths.filter(|tenth| (1..=11).contains(tenth)).max().map(|tenth| f64::from(tenth) * 10.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    fn at(hours: f64) -> Mono {
        Mono((hours * 3.6e12) as u64)
    }

    #[test]
    fn wear_is_the_worst_of_all_and_asked_for_hourly() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path();
        let mut flash = Flash::default();
        assert_eq!(flash.wear_pct(folder, at(0.0)), None);
        write(folder, "sys/block/mmcblk0/device/life_time", "0x02 0x0b\n");
        write(folder, "sys/block/mmcblk1/device/life_time", "0x00 0x00\n");
        write(folder, "sys/block/sda/device/vendor", "ACME\n");
        assert_eq!(flash.wear_pct(folder, at(0.5)), None, "not yet asked again");
        assert_eq!(flash.wear_pct(folder, at(1.0)), Some(110.0));
        write(folder, "sys/block/mmcblk0/device/life_time", "rubbish\n");
        assert_eq!(flash.wear_pct(folder, at(2.0)), None);
    }

    #[test]
    fn what_is_written_is_told_for_a_day() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path();
        write(folder, "sys/block/mmcblk0/device/type", "MMC\n");
        write(folder, "sys/block/zram0/size", "1\n");
        let stats = |sectors: u64| {
            let row = |name: &str, sectors: u64| format!(" 179 0 {name} 1 2 3 4 5 6 {sectors} 8 0 9 9\n");
            let text = [row("mmcblk0", sectors), row("mmcblk0p1", sectors), row("zram0", 99 * sectors)].concat();
            write(folder, "proc/diskstats", &text);
        };
        let mut flash = Flash::default();
        assert_eq!(flash.mb_per_day(folder, at(0.0)), None, "nothing there");
        // 1 MB an hour, over the end of 32 bits of sectors.
        let begin = u64::from(u32::MAX) - 2000;
        let mut told = None;
        for hour in 0..40_u64 {
            stats((begin + hour * 1_000_000 / 512) % (1 << 32));
            told = flash.mb_per_day(folder, at(hour as f64));
            assert!(told.is_none_or(|told| (told - 24.0).abs() < 0.2), "{told:?} at {hour}");
        }
        assert!(told.is_some() && flash.past.len() < 60);
        // A day without writing later, nothing is written.
        for hour in 40..66_u64 {
            told = flash.mb_per_day(folder, at(hour as f64));
        }
        assert_eq!(told, Some(0.0));
    }
}
