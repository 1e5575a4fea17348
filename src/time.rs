//! Time as data: where a unit lies in its source, when it arrived, and the one trait that reads clocks.

use std::time::Duration;

/// Time on a source's own continuous axis: nanoseconds since its first picture (first sample where it has no
/// picture). Negative for sound that precedes the first picture. PTS wraps and jumps are already taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaTime(pub i64);

/// Time since the machine started, suspend included (CLOCK_BOOTTIME), in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

/// Wall-clock time for people and messages; never for durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wall {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: i64,
    /// Whether the kernel says that the clock is synchronised (adjtimex without STA_UNSYNC).
    pub synced: bool,
}

/// Both times of one unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Place on the source's axis.
    pub at: MediaTime,
    /// When it reached this process. For files: derived from `at`, so that the same file gives the same bytes.
    pub arrived: Mono,
}

impl MediaTime {
    /// From seconds.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e9).round() as i64)
    }
    /// As seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// Time passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: MediaTime) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    /// This time moved forward by `by`.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
    /// This time moved back by `by`.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Mono {
    /// Time passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
    /// This time moved forward by `by`.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
    /// Whole milliseconds, as the contract's `mono_ms`.
    pub fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// The only way to learn what time it is. Held by sources (stamping) and the daemon; stages get time with the data.
pub trait Clock: Send + Sync {
    /// Time since the machine started.
    fn mono(&self) -> Mono;
    /// Wall-clock time and whether it can be trusted.
    fn wall(&self) -> Wall;
    /// How far the wall clock may be off; `None` while that is not known.
    fn error(&self) -> Option<Duration> {
        None
    }
    /// What drivers stamp pictures and sound with (CLOCK_MONOTONIC): stands still while the machine sleeps. Compared with
    /// such stamps alone.
    fn driver(&self) -> Mono {
        self.mono()
    }
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        // CLOCK_BOOTTIME exists since Linux 2.6.39; without it time stands still rather than the daemon.
        read(nix::time::ClockId::CLOCK_BOOTTIME)
    }
    fn driver(&self) -> Mono {
        read(nix::time::ClockId::CLOCK_MONOTONIC)
    }
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall(&self) -> Wall {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Wall { unix_ms: since.as_millis() as i64, synced: kernel_clock().is_some() }
    }
    fn error(&self) -> Option<Duration> {
        kernel_clock()
    }
}

fn read(clock: nix::time::ClockId) -> Mono {
    let now = nix::time::clock_gettime(clock).map(Duration::from).unwrap_or_default();
    Mono(now.as_nanos() as u64)
}

/// The most that the kernel's clock discipline reports the clock to be off (adjtimex(2), `maxerror`); `None` for one that
/// is not synchronised.
#[allow(unsafe_code)]
fn kernel_clock() -> Option<Duration> {
    // SAFETY: `timex` is plain integers, for which all-zero is a valid value (modes = 0: read only), and the pointer
    // is to a live, exclusively borrowed local of exactly that type.
    let (state, error_us) = unsafe {
        let mut timex: nix::libc::timex = std::mem::zeroed();
        (nix::libc::adjtimex(&raw mut timex), timex.maxerror)
    };
    // 5 is TIME_ERROR: unsynchronised; negative is a refusal, read as not trusted.
    (0..5).contains(&state).then(|| Duration::from_micros(u64::try_from(error_us).unwrap_or(0)))
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_nanos() as u64, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn mono(&self) -> Mono {
        Mono(self.now.load(std::sync::atomic::Ordering::Relaxed))
    }
    fn wall(&self) -> Wall {
        Wall { unix_ms: 1_700_000_000_000 + self.mono().as_ms() as i64, synced: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_never_go_negative() {
        assert_eq!(MediaTime(5).since(MediaTime(9)), Duration::ZERO);
        assert_eq!(Mono(5).since(Mono(9)), Duration::ZERO);
        assert_eq!(MediaTime(0).minus(Duration::from_secs(1)).plus(Duration::from_secs(1)), MediaTime(0));
    }

    #[test]
    fn system_clock_advances() {
        let before = SystemClock.mono();
        assert!(before > Mono(0) && SystemClock.mono() >= before);
        assert!(SystemClock.wall().unix_ms > 1_600_000_000_000);
    }
}
