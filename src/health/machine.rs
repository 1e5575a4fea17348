//! The machine as /proc and /sys show it. Readers take a root folder, so that tests can show them another machine.

use super::flash::Flash;
use super::net::{Interfaces, NetHealth};
use super::{heat, reset};
use crate::time::Mono;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the box is doing. What this machine does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoxHealth {
    /// Since the daemon started.
    pub up: Duration,
    /// Processor time of the machine since the last reading, % of all cores.
    pub cpu_pct: Option<f64>,
    /// Processor time of this process since the last reading, % of one core.
    pub own_cpu_pct: Option<f64>,
    /// Runnable tasks, mean of a minute.
    pub load1: Option<f64>,
    /// Share of the last 10 s in which some task waited for a processor, % (PSI).
    pub psi_cpu_pct: Option<f64>,
    /// The same for memory.
    pub psi_mem_pct: Option<f64>,
    /// The same for disks.
    pub psi_io_pct: Option<f64>,
    /// Memory in use, %.
    pub mem_pct: Option<f64>,
    /// Resident memory of this process.
    pub rss_bytes: Option<u64>,
    /// Degrees Celsius by sensor.
    pub temps: BTreeMap<String, f64>,
    /// A processor is slowed down for heat, or hot enough to be.
    pub throttled: Option<bool>,
    /// For how long that was so, since the daemon started.
    pub throttle: Option<Duration>,
    /// Use of the file system that holds the outbox, %.
    pub disk_pct: Option<f64>,
    /// Use of its inodes, %.
    pub inode_pct: Option<f64>,
    /// Whether that file system is mounted read-only.
    pub disk_ro: Option<bool>,
    /// How much of its life the most worn flash memory has behind it, %; more than 100 is beyond.
    pub flash_wear_pct: Option<f64>,
    /// What the machine writes to its disks in a day, by the last 24 hours, MB.
    pub flash_mb_day: Option<f64>,
    /// By network interface.
    pub net: BTreeMap<String, NetHealth>,
    /// How far the wall clock may be off, where it can be trusted.
    pub clock_error: Option<Duration>,
    /// Why the machine started anew, where that left a trace.
    pub reset_reason: Option<&'static str>,
    /// How Picket itself has been running.
    pub runs: RunHealth,
    /// Time until the watchdog would have bitten, at its least since the last reading.
    pub watchdog_margin: Option<Duration>,
}

/// How Picket itself has been running.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunHealth {
    /// Times that Picket started again since the machine did.
    pub restarts: u32,
    /// Time in which it ran without a crash, over restarts, since the last one.
    pub crash_free: Duration,
    /// The last words of the last crash.
    pub last_crash: Option<String>,
    /// Why nothing is watched.
    pub safe_mode: Option<String>,
}

/// How the box is doing from one second to the next, for the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoxLoad {
    /// As in [`BoxHealth`].
    pub cpu_pct: Option<f64>,
    /// As in [`BoxHealth`].
    pub psi_cpu_pct: Option<f64>,
    /// The same within the encoder's control group.
    pub encoder_psi_cpu_pct: Option<f64>,
    /// As in [`BoxHealth`].
    pub rss_bytes: Option<u64>,
    /// As in [`BoxHealth`].
    pub throttled: Option<bool>,
}

/// Processor time used so far, in clock ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    busy: u64,
    all: u64,
    own: u64,
}

/// Reads the machine; keeps what the next reading is compared with.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    state_folder: PathBuf,
    last: Option<Ticks>,
    read_at: Option<Mono>,
    interfaces: Interfaces,
    flash: Flash,
}

impl Machine {
    /// `root` is `/`; `state_folder` is where the outbox lies.
    pub fn new(root: &Path, state_folder: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state_folder: state_folder.to_owned(),
            last: None,
            read_at: None,
            interfaces: Interfaces::default(),
            flash: Flash::default(),
        }
    }

    /// Reads all; never fails, because a health message with holes beats none.
    pub fn read(&mut self, now: Mono) -> BoxHealth {
        let (cpu_pct, own_cpu_pct) = self.cpu().unzip();
        let passed = self.read_at.replace(now).map(|last| now.since(last));
        let disk = nix::sys::statvfs::statvfs(&self.state_folder).ok();
        BoxHealth {
            cpu_pct,
            own_cpu_pct,
            load1: self.text("proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            psi_cpu_pct: self.pressure("cpu"),
            psi_mem_pct: self.pressure("memory"),
            psi_io_pct: self.pressure("io"),
            mem_pct: self.memory(),
            rss_bytes: self.status_kib("VmRSS:").map(|kib| kib * 1024),
            temps: heat::temperatures(&self.root),
            disk_pct: disk.map(|disk| used_pct(disk.blocks(), disk.blocks_available()).unwrap_or(0.0)),
            // Some file systems (btrfs) count no inodes at all.
            inode_pct: disk.and_then(|disk| used_pct(disk.files(), disk.files_available())),
            disk_ro: disk.map(|disk| disk.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY)),
            flash_wear_pct: self.flash.wear_pct(&self.root, now),
            flash_mb_day: self.flash.mb_per_day(&self.root, now),
            net: self.interfaces.read(&self.root, passed),
            reset_reason: reset::reason(&self.root),
            ..BoxHealth::default()
        }
    }

    /// Reads what the budget needs. `encoder`: the folder of its control group.
    pub fn load(&mut self, encoder: Option<&Path>) -> BoxLoad {
        BoxLoad {
            cpu_pct: self.cpu().map(|(all, _)| all),
            psi_cpu_pct: self.pressure("cpu"),
            encoder_psi_cpu_pct: encoder
                .and_then(|folder| some_avg10(&std::fs::read_to_string(folder.join("cpu.pressure")).ok()?)),
            rss_bytes: self.status_kib("VmRSS:").map(|kib| kib * 1024),
            throttled: heat::is_throttled(&self.root),
        }
    }

    /// Most memory that this process ever had resident, bytes.
    pub fn peak_rss_bytes(&self) -> Option<u64> {
        self.status_kib("VmHWM:").map(|kib| kib * 1024)
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }

    /// proc(5), /proc/stat: user nice system idle iowait irq softirq steal; /proc/self/stat: 14 utime, 15 stime.
    fn cpu(&mut self) -> Option<(f64, f64)> {
        let stat = self.text("proc/stat")?;
        let fields: Vec<u64> =
            stat.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
        let all: u64 = fields.iter().sum();
        let idle = fields.get(3)? + fields.get(4)?;
        let own_stat = self.text("proc/self/stat")?;
        // The name in parentheses may hold spaces.
        let after_name = own_stat.rsplit_once(')')?.1;
        let own = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let now = Ticks { busy: all - idle, all, own };
        let last = self.last.replace(now)?;
        let cores = stat.lines().skip(1).filter(|line| line.starts_with("cpu")).count().max(1) as f64;
        let passed = now.all.saturating_sub(last.all).max(1) as f64;
        let busy = now.busy.saturating_sub(last.busy) as f64 / passed;
        let own = now.own.saturating_sub(last.own) as f64 / (passed / cores);
        Some((100.0 * busy, 100.0 * own))
    }

    fn pressure(&self, of: &str) -> Option<f64> {
        some_avg10(&self.text(&format!("proc/pressure/{of}"))?)
    }

    fn memory(&self) -> Option<f64> {
        let text = self.text("proc/meminfo")?;
        let kib = |key: &str| -> Option<f64> {
            text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
        };
        let (total, available) = (kib("MemTotal:")?, kib("MemAvailable:")?);
        Some(100.0 * (total - available) / total.max(1.0))
    }

    fn status_kib(&self, key: &str) -> Option<u64> {
        let text = self.text("proc/self/status")?;
        text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
    }
}

/// Use in percent; `None` where there is nothing to be used.
fn used_pct(all: u64, free: u64) -> Option<f64> {
    (all > 0).then(|| 100.0 * all.saturating_sub(free) as f64 / all as f64)
}

/// Of "some avg10=1.23 avg60=...".
fn some_avg10(text: &str) -> Option<f64> {
    text.lines().next()?.split(' ').find_map(|part| part.strip_prefix("avg10="))?.parse().ok()
}

/// Processor time that this thread has used, user and system.
pub fn thread_cpu_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    // Refused only for a clock that does not exist.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Keeps memory that is freed for the next picture: where each comes in memory of its own, as raw video does, giving it
/// back costs more than looking at it (page faults). Up to 64 MiB stay, until [`trim_memory`]. To be called before threads
/// start.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    // SAFETY: mallopt(3) changes numbers of the allocator; no other thread allocates yet.
    unsafe {
        // The largest that the C library takes for blocks it does not map one by one.
        nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, 32 << 20);
        nix::libc::mallopt(nix::libc::M_TRIM_THRESHOLD, 64 << 20);
    }
}

/// Has the calling thread yield to all others of the machine from now on, a tenth of their weight: with the least there is
/// (nice 19) it would never be done on a box that is busy all the time. The filter of picket.service forbids that: there
/// the unit's own weight is what is left, which is small.
pub fn yield_to_others() {
    #[allow(unsafe_code)]
    // SAFETY: setpriority(2) takes three numbers and touches no memory; 0 is the calling thread on Linux. It may always
    // give way, so there is nothing to be refused.
    unsafe {
        nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, 10);
    }
}

/// Gives memory that was freed back to the system, where the C library keeps it.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    // SAFETY: malloc_trim(3) may be called by any thread at any time.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Processor time that this process has used, user and system.
pub fn own_cpu_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let used = getrusage(UsageWho::RUSAGE_SELF).map(|used| used.user_time() + used.system_time());
    // Refused only for a wrong `who`.
    let micros = used.map_or(0, |time| time.num_microseconds());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    #[test]
    fn a_machine_is_read_from_its_files() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        write(at, "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 0 1 8\ncpu1 1 0 1 8\nctxt 5\n");
        write(at, "proc/self/stat", "7 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 30 20 0 0 20 0 1 0 5\n");
        write(at, "proc/self/status", "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n");
        write(at, "proc/loadavg", "0.42 0.30 0.20 1/100 5\n");
        write(at, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n");
        write(at, "proc/pressure/cpu", "some avg10=1.50 avg60=0.00 avg300=0.00 total=5\n");
        write(at, "sys/class/thermal/thermal_zone0/temp", "41500\n");
        write(at, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        let mut machine = Machine::new(at, at);
        let first = machine.read(Mono(0));
        assert_eq!((first.cpu_pct, first.load1, first.mem_pct), (None, Some(0.42), Some(75.0)));
        assert_eq!((first.rss_bytes, machine.peak_rss_bytes()), (Some(1 << 20), Some(2 << 20)));
        assert_eq!((first.psi_cpu_pct, first.psi_io_pct), (Some(1.5), None));
        assert_eq!(first.temps, BTreeMap::from([("cpu-thermal-0".to_owned(), 41.5)]));
        // 400 ticks later, half of them busy on two cores; this process used 50 of the 200 of one core.
        write(at, "proc/stat", "cpu  200 0 200 1000 0 0 0 0 0 0\ncpu0 1 0 1 8\ncpu1 1 0 1 8\n");
        write(at, "proc/self/stat", "7 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 60 40 0 0 20 0 1 0 5\n");
        let second = machine.read(Mono(1));
        assert_eq!((second.cpu_pct, second.own_cpu_pct), (Some(50.0), Some(25.0)));
    }

    #[test]
    fn what_the_budget_needs_is_read() {
        let root = tempfile::tempdir().expect("a folder");
        let at = root.path();
        write(at, "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 0 1 8\n");
        write(at, "proc/self/stat", "7 (x) S 1 1 1 0 -1 0 0 0 0 0 30 20 0 0 20 0 1 0 5\n");
        write(at, "proc/self/status", "VmRSS:\t   1024 kB\n");
        write(at, "proc/pressure/cpu", "some avg10=12.50 avg60=0.00 avg300=0.00 total=5\n");
        write(at, "encoder/cpu.pressure", "some avg10=3.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00\n");
        write(at, "sys/class/thermal/thermal_zone0/temp", "84000\n");
        write(at, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        write(at, "sys/class/thermal/thermal_zone0/trip_point_0_type", "passive\n");
        write(at, "sys/class/thermal/thermal_zone0/trip_point_0_temp", "85000\n");
        write(at, "sys/class/thermal/cooling_device0/type", "thermal-cpufreq-0\n");
        write(at, "sys/class/thermal/cooling_device0/cur_state", "0\n");
        let mut machine = Machine::new(at, at);
        let load = machine.load(Some(&at.join("encoder")));
        assert_eq!(
            (load.psi_cpu_pct, load.encoder_psi_cpu_pct, load.rss_bytes),
            (Some(12.5), Some(3.0), Some(1 << 20))
        );
        assert_eq!(load.throttled, Some(false));
        write(at, "sys/class/thermal/cooling_device0/cur_state", "2\n");
        assert_eq!(machine.load(None).throttled, Some(true));
        write(at, "sys/class/thermal/cooling_device0/cur_state", "0\n");
        write(at, "sys/class/thermal/thermal_zone0/temp", "85000\n");
        assert_eq!(machine.load(None).throttled, Some(true));
    }

    #[test]
    fn an_empty_machine_has_holes_and_no_errors() {
        let root = tempfile::tempdir().expect("a folder");
        let health = Machine::new(root.path(), root.path()).read(Mono(0));
        assert_eq!((health.cpu_pct, health.rss_bytes, health.temps.len()), (None, None, 0));
        assert!(health.disk_pct.is_some());
    }
}
