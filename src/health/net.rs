//! Network interfaces: what goes through, what is lost there, whether there is a link.

use super::counter::Counter;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Interfaces that are told; a box has few, a host of containers has hundreds.
const INTERFACES_MAX: usize = 8;

/// One interface.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetHealth {
    /// Received and sent since the last reading, Mbit/s.
    pub rates: Option<(f64, f64)>,
    /// Damaged packets since Picket started, both ways.
    pub errs: u64,
    /// Packets that the kernel dropped since Picket started, both ways.
    pub drops: u64,
    /// A cable is in and the other side answers, or the radio is in touch.
    pub link: bool,
}

/// Counters of one interface.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    rx: Counter,
    tx: Counter,
    errs: [Counter; 2],
    drops: [Counter; 2],
}

/// Follows the interfaces of a machine.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    known: BTreeMap<String, Counters>,
}

impl Interfaces {
    /// Reads /proc and /sys below `root`. `passed`: since the last reading.
    pub(super) fn read(&mut self, root: &Path, passed: Option<Duration>) -> BTreeMap<String, NetHealth> {
        let text = std::fs::read_to_string(root.join("proc/net/dev")).unwrap_or_default();
        let mut rows: Vec<(bool, &str, Vec<u64>)> = text.lines().filter_map(|line| row(root, line)).collect();
        // What has hardware behind it comes first.
        rows.sort_by(|a, b| (!a.0, a.1).cmp(&(!b.0, b.1)));
        rows.truncate(INTERFACES_MAX);
        self.known.retain(|name, _| rows.iter().any(|row| row.1 == name));
        let mut told = BTreeMap::new();
        for (_, name, columns) in rows {
            let new = !self.known.contains_key(name);
            let counters = self.known.entry(name.to_owned()).or_default();
            // proc(5): 8 columns received, of which bytes 0, errs 2, drop 3; 8 sent.
            let [received, sent] = [counters.rx.step(columns[0]), counters.tx.step(columns[8])];
            for (n, at) in [0, 8].into_iter().enumerate() {
                counters.errs[n].step(columns[at + 2]);
                counters.drops[n].step(columns[at + 3]);
            }
            let seconds = passed.filter(|passed| !passed.is_zero() && !new).map(|passed| passed.as_secs_f64());
            let total = |both: [Counter; 2]| both[0].total().saturating_add(both[1].total());
            let health = NetHealth {
                rates: seconds.map(|seconds| (received as f64 * 8e-6 / seconds, sent as f64 * 8e-6 / seconds)),
                errs: total(counters.errs),
                drops: total(counters.drops),
                link: has_link(root, name),
            };
            told.insert(name.to_owned(), health);
        }
        told
    }
}

/// Whether there is hardware behind an interface, its name, and its 16 counters. Loopback, and what is virtual and not
/// up, are of no interest.
fn row<'a>(root: &Path, line: &'a str) -> Option<(bool, &'a str, Vec<u64>)> {
    let (name, columns) = line.split_once(':')?;
    let name = name.trim();
    let columns: Vec<u64> = columns.split_whitespace().map_while(|column| column.parse().ok()).collect();
    let real = root.join("sys/class/net").join(name).join("device").exists();
    let wanted = name != "lo" && columns.len() >= 16 && (real || has_link(root, name));
    wanted.then_some((real, name, columns))
}

/// Kernel documentation, networking/operstates: drivers that do not tell are `unknown`, and then the carrier counts.
fn has_link(root: &Path, name: &str) -> bool {
    let text =
        |file: &str| std::fs::read_to_string(root.join("sys/class/net").join(name).join(file)).unwrap_or_default();
    match text("operstate").trim() {
        "up" => true,
        "unknown" => text("carrier").trim() == "1",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    fn table(at: &Path, rows: &[(&str, u64, u64, u64)]) {
        let row = |(name, bytes, errs, drops): &(&str, u64, u64, u64)| {
            format!("{name:>6}: {bytes} 9 {errs} {drops} 0 0 0 0 {} 9 0 1 0 0 0 0\n", 2 * bytes)
        };
        let head = "Inter-|   Receive      |  Transmit\n face |bytes    packets errs\n";
        write(at, "proc/net/dev", &format!("{head}{}", rows.iter().map(row).collect::<String>()));
    }

    #[test]
    fn interfaces_are_told_with_rates_and_losses() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        write(at, "sys/class/net/eth0/operstate", "up\n");
        write(at, "sys/class/net/eth0/device/vendor", "x\n");
        write(at, "sys/class/net/veth9/operstate", "down\n");
        write(at, "sys/class/net/wwan0/operstate", "unknown\n");
        write(at, "sys/class/net/wwan0/carrier", "1\n");
        table(at, &[("lo", 5, 0, 0), ("eth0", u64::from(u32::MAX), 7, 7), ("veth9", 1, 0, 0), ("wwan0", 100, 0, 0)]);
        let mut interfaces = Interfaces::default();
        let first = interfaces.read(at, None);
        assert_eq!(first.keys().collect::<Vec<_>>(), ["eth0", "wwan0"]);
        assert_eq!(first["eth0"], NetHealth { rates: None, errs: 0, drops: 0, link: true });
        // A counter of 32 bits wraps; the other interface goes and comes back as a new one.
        table(at, &[("eth0", 1_249_999, 9, 8)]);
        let second = interfaces.read(at, Some(Duration::from_secs(10)));
        let (received, _) = second["eth0"].rates.expect("rates");
        assert!((received - 1.0).abs() < 1e-9, "{received}");
        assert_eq!((second["eth0"].errs, second["eth0"].drops, second.len()), (2, 1, 1));
        table(at, &[("eth0", 1_249_999, 9, 8), ("wwan0", 3, 0, 0)]);
        write(at, "sys/class/net/eth0/operstate", "down\n");
        let third = interfaces.read(at, Some(Duration::from_secs(10)));
        assert_eq!((third["wwan0"].rates, third["eth0"].link, third["eth0"].rates), (None, false, Some((0.0, 0.0))));
    }

    #[test]
    fn of_hundreds_those_with_hardware_are_told() {
        let root = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = (0..100).map(|n| format!("a{n}")).chain(["zz0".to_owned()]).collect();
        names.iter().for_each(|name| write(root.path(), &format!("sys/class/net/{name}/operstate"), "up\n"));
        write(root.path(), "sys/class/net/zz0/device/vendor", "x\n");
        table(root.path(), &names.iter().map(|name| (name.as_str(), 1, 0, 0)).collect::<Vec<_>>());
        let told = Interfaces::default().read(root.path(), None);
        assert!(told.len() == INTERFACES_MAX && told.contains_key("zz0"), "{told:?}");
    }
}
