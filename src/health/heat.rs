//! Temperatures, and whether the machine slows itself down for heat.

use std::collections::BTreeMap;
use std::path::Path;

/// Sensors that are told.
const SENSORS_MAX: usize = 16;

/// Degrees Celsius by sensor: thermal zones, and what hwmon has besides.
pub(super) fn temperatures(root: &Path) -> BTreeMap<String, f64> {
    let mut kinds = Vec::new();
    let mut found = BTreeMap::new();
    for (name, path) in entries(&root.join("sys/class/thermal")) {
        let Some(number) = name.strip_prefix("thermal_zone") else { continue };
        let kind = text(&path.join("type")).trim().to_owned();
        if let Some(milli) = number_of(&path.join("temp")) {
            found.insert(format!("{kind}-{number}"), milli as f64 / 1000.0);
        }
        // hwmon shows each zone again, with what it may not have in its name replaced.
        kinds.push(kind.replace('-', "_"));
    }
    for (_, path) in entries(&root.join("sys/class/hwmon")) {
        let chip = text(&path.join("name")).trim().to_owned();
        if kinds.contains(&chip) {
            continue;
        }
        for (file, input) in entries(&path) {
            let Some(number) = file.strip_prefix("temp").and_then(|rest| rest.strip_suffix("_input")) else { continue };
            let label = text(&path.join(format!("temp{number}_label"))).trim().to_owned();
            let label = if label.is_empty() { number.to_owned() } else { label };
            if let Some(milli) = number_of(&input) {
                found.insert(format!("{chip}-{label}"), milli as f64 / 1000.0);
            }
        }
    }
    // A sensor that is not there reads as something that no box survives.
    let good = found.into_iter().filter(|(name, c)| (-60.0..=200.0).contains(c) && name.len() <= 48);
    good.take(SENSORS_MAX).collect()
}

/// Whether processors are slowed down for heat, or hot enough to be; `None` where the machine does not tell.
///
/// Kernel documentation, driver-api/thermal/sysfs-api: a cooling device of a processor that is at work, or a zone at its
/// passive trip point. A Raspberry Pi's firmware slows it down by itself, and says so in bits 1 to 3 of `get_throttled`.
pub(super) fn is_throttled(root: &Path) -> Option<bool> {
    let flags = text(&root.join("sys/devices/platform/soc/soc:firmware/get_throttled"));
    let firmware = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok().map(|flags| flags & 0b1110 != 0);
    let parts = entries(&root.join("sys/class/thermal")).flat_map(|(_, path)| {
        let kind = text(&path.join("type"));
        let cools = kind.contains("cpufreq") || kind.starts_with("Processor");
        let slowed = number_of(&path.join("cur_state")).filter(|_| cools).map(|state| state > 0);
        let hot = number_of(&path.join("temp")).and_then(|temperature| {
            let passive = (0..12).filter(|n| text(&path.join(format!("trip_point_{n}_type"))).trim() == "passive");
            let trips = passive.filter_map(|n| number_of(&path.join(format!("trip_point_{n}_temp"))));
            trips.filter(|trip| *trip > 0).map(|trip| temperature >= trip).reduce(|a, b| a || b)
        });
        [slowed, hot]
    });
    parts.chain([firmware]).flatten().reduce(|a, b| a || b)
}

fn entries(folder: &Path) -> impl Iterator<Item = (String, std::path::PathBuf)> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn number_of(path: &Path) -> Option<i64> {
    text(path).trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    #[test]
    fn sensors_are_told_once() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        write(at, "sys/class/thermal/thermal_zone0/temp", "41500\n");
        write(at, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        write(at, "sys/class/thermal/thermal_zone1/temp", "-274000\n");
        write(at, "sys/class/thermal/thermal_zone1/type", "broken\n");
        write(at, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
        write(at, "sys/class/hwmon/hwmon0/temp1_input", "41500\n");
        write(at, "sys/class/hwmon/hwmon1/name", "nvme\n");
        write(at, "sys/class/hwmon/hwmon1/temp1_input", "35850\n");
        write(at, "sys/class/hwmon/hwmon1/temp1_label", "Composite\n");
        write(at, "sys/class/hwmon/hwmon1/temp2_input", "x\n");
        let told = [("cpu-thermal-0".to_owned(), 41.5), ("nvme-Composite".to_owned(), 35.85)];
        assert_eq!(temperatures(at), BTreeMap::from(told));
    }

    #[test]
    fn throttling_is_told_by_whoever_knows() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        assert_eq!(is_throttled(at), None);
        write(at, "sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n");
        assert_eq!(is_throttled(at), Some(false), "it was, and is not now");
        write(at, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
        assert_eq!(is_throttled(at), Some(true));
    }
}
