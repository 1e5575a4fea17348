//! Counts and stamps of buffers: what was lost on the way, and where a picture lies in time.

use crate::time::Mono;
use std::time::Duration;

/// A driver whose first picture is older than this, or from the future, stamps with another clock.
const FIRST_AGE_MAX: i64 = 2_000_000_000;
/// Stamps of USB devices are computed and may be early by so much.
const EARLY_MAX: i64 = 100_000_000;
/// More pictures than this are not lost at once: the driver began to count anew.
const LOST_MAX: u32 = 100_000;
/// A source without a known rate has at least this many nanoseconds from picture to picture (240 per second).
const STEP_MIN: i64 = 4_000_000;

/// What the driver said of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub sequence: u32,
    /// `None`: it does not stamp with CLOCK_MONOTONIC.
    pub stamp_ns: Option<i64>,
    /// CLOCK_MONOTONIC now.
    pub now: Mono,
}

/// What that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// On CLOCK_MONOTONIC; each later than the one before.
    pub at: Mono,
    /// Pictures that were lost before it, as the driver counts.
    pub missing: u32,
    /// The stamps jumped by so many nanoseconds more than was due.
    pub jump: Option<i64>,
    /// How long it has waited.
    pub waited: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// `None`: pictures went by since, uncounted.
    sequence: Option<u32>,
    stamp_ns: i64,
    at: i64,
}

/// Follows one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracker {
    last: Option<Last>,
    /// From the driver's clock to CLOCK_MONOTONIC.
    offset: i64,
    step: Option<i64>,
}

impl Tracker {
    /// The stream was started anew: its counts do not go on. `step_ns`: from picture to picture, where it is known.
    pub(super) fn restart(&mut self, step_ns: Option<u64>) {
        self.offset = 0;
        self.step = step_ns.and_then(|step| i64::try_from(step).ok());
        // What was placed stays behind what will be.
        if let Some(last) = &mut self.last {
            (last.sequence, last.stamp_ns) = (None, i64::MIN);
        }
    }

    /// Pictures go by that nobody looks at.
    pub(super) fn look_away(&mut self) {
        if let Some(last) = &mut self.last {
            last.sequence = None;
        }
    }

    /// Places the next picture.
    pub(super) fn place(&mut self, told: Told) -> Placed {
        let now = i64::try_from(told.now.0).unwrap_or(i64::MAX);
        let stamp = told.stamp_ns.unwrap_or(now);
        let before = self.last.filter(|last| last.stamp_ns != i64::MIN);
        let missing = before.and_then(|last| last.sequence).map_or(0, |last| missing(last, told.sequence));
        let mut jump = None;
        match before {
            None => self.anchor(stamp, now),
            Some(last) => {
                let step = stamp.wrapping_sub(last.stamp_ns);
                let ahead = stamp.wrapping_add(self.offset).wrapping_sub(now);
                if step <= 0 || ahead > EARLY_MAX {
                    let due = self.step.unwrap_or(now - last.at) * (i64::from(missing) + 1);
                    jump = Some(step.saturating_sub(due));
                    self.anchor(stamp, now);
                }
            }
        }
        let earliest = self.last.map_or(i64::MIN, |last| last.at + self.step.unwrap_or(STEP_MIN).min(STEP_MIN) / 4);
        let at = stamp.wrapping_add(self.offset).max(earliest);
        self.last = Some(Last { sequence: Some(told.sequence), stamp_ns: stamp, at });
        let waited = Duration::from_nanos(u64::try_from(now - at).unwrap_or(0));
        Placed { at: Mono(u64::try_from(at).unwrap_or(0)), missing, jump, waited }
    }

    /// The driver's clock is CLOCK_MONOTONIC if it can be; else what it says now is now.
    fn anchor(&mut self, stamp: i64, now: i64) {
        let age = now.saturating_sub(stamp);
        self.offset = if (-EARLY_MAX..=FIRST_AGE_MAX).contains(&age) { 0 } else { now.wrapping_sub(stamp) };
    }
}

/// Pictures between two counts.
fn missing(last: u32, now: u32) -> u32 {
    match now.wrapping_sub(last) {
        // Drivers that do not count, or have begun anew.
        0 => 0,
        step if step > LOST_MAX => 0,
        step => step - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 40_000_000;
    const START: i64 = 1_000_000_000_000;

    fn told(sequence: u32, stamp_ns: i64, now: i64) -> Told {
        Told { sequence, stamp_ns: Some(stamp_ns), now: Mono(now as u64) }
    }

    fn running() -> Tracker {
        let mut tracker = Tracker::default();
        tracker.restart(Some(FRAME as u64));
        for n in 0..5 {
            let at = START + i64::from(n) * FRAME;
            let placed = tracker.place(told(n, at, at + 1_000_000));
            assert_eq!((placed.at.0 as i64, placed.missing, placed.jump), (at, 0, None));
            assert_eq!(placed.waited, Duration::from_millis(1));
        }
        tracker
    }

    #[test]
    fn lost_pictures_are_counted_over_the_end_of_the_counter() {
        let at = START + 8 * FRAME;
        assert_eq!(running().place(told(8, at, at)).missing, 3);
        assert_eq!((missing(u32::MAX, 0), missing(u32::MAX, 3), missing(u32::MAX - 1, 1)), (0, 3, 2));
        assert_eq!((missing(7, 7), missing(7, 6), missing(1000, 0)), (0, 0, 0));
    }

    #[test]
    fn a_driver_with_a_clock_of_its_own_is_taken_at_its_differences() {
        for epoch in [0, i64::MAX - 10 * FRAME, -START] {
            let mut tracker = Tracker::default();
            let first = tracker.place(told(0, epoch, START)).at.0 as i64;
            assert_eq!(first, START, "{epoch}");
            let next = tracker.place(told(1, epoch.wrapping_add(FRAME), START + FRAME + 5_000_000));
            assert_eq!((next.at.0 as i64, next.jump), (START + FRAME, None), "{epoch}");
        }
    }

    #[test]
    fn stamps_that_go_back_or_run_ahead_are_jumps_and_time_goes_on() {
        for by in [-3_600_000_000_000, 3_600_000_000_000, -FRAME] {
            let mut tracker = running();
            let now = START + 5 * FRAME;
            let placed = tracker.place(told(5, now + by, now));
            assert_eq!(placed.jump, Some(by), "{by}");
            assert!((placed.at.0 as i64 - now).abs() <= FRAME, "{by} {placed:?}");
            let next = tracker.place(told(6, now + by + FRAME, now + FRAME));
            assert_eq!(next.jump, None, "{by}");
            assert!(next.at > placed.at);
        }
    }

    #[test]
    fn a_wrap_of_the_stamps_is_a_jump_and_not_the_end() {
        let mut tracker = Tracker::default();
        tracker.place(told(0, i64::MAX - FRAME, START));
        // Two's complement: as nanoseconds this goes on.
        let next = tracker.place(told(1, i64::MIN, START + FRAME));
        assert_eq!(next.at.0 as i64, START + FRAME + 1);
    }

    #[test]
    fn late_reading_is_no_jump() {
        let mut tracker = running();
        let now = START + 5 * FRAME + 30_000_000_000;
        let placed = tracker.place(told(5, START + 5 * FRAME, now));
        assert_eq!((placed.at.0 as i64, placed.jump), (START + 5 * FRAME, None));
        assert_eq!(placed.waited, Duration::from_secs(30));
    }

    #[test]
    fn drivers_without_stamps_are_stamped_on_arrival() {
        let mut tracker = Tracker::default();
        for n in 0..4_u64 {
            let now = Mono(START as u64 + n * 33_000_000);
            assert_eq!(tracker.place(Told { sequence: 0, stamp_ns: None, now }).at, now);
        }
    }

    #[test]
    fn what_nobody_looked_at_is_not_missing() {
        let mut tracker = running();
        tracker.look_away();
        let at = START + 50 * FRAME;
        let placed = tracker.place(told(50, at, at));
        assert_eq!((placed.missing, placed.jump, placed.at.0 as i64), (0, None, at));
        assert_eq!(tracker.place(told(52, at + 2 * FRAME, at + 2 * FRAME)).missing, 1);
    }

    #[test]
    fn a_restart_counts_anew_and_time_still_goes_on() {
        let mut tracker = running();
        tracker.restart(Some(FRAME as u64));
        let placed = tracker.place(told(0, START + 4 * FRAME, START + 4 * FRAME));
        assert_eq!((placed.missing, placed.jump), (0, None));
        assert!(placed.at.0 as i64 > START + 4 * FRAME, "two pictures never lie at one place");
    }
}
