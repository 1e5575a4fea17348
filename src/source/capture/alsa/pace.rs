//! Where blocks of sound lie in time: stamps without the jitter of interrupts, and what is missing between blocks.

use super::drift::Drift;
use crate::time::Mono;
use std::time::Duration;

/// Seconds after which the loop has found the device's clock and may hold on to it more firmly.
const SETTLE_S: f64 = 8.0;
/// Bandwidth of the loop until then and from then on, Hz: the first follows within a second, the second lets a jitter of
/// 10 ms pass as one of 0.2 ms.
const BANDWIDTH_HZ: [f64; 2] = [0.5, 0.05];
/// Sample clocks are within 100 ppm where they are clocks; what is further off is jitter that has not settled yet.
const SKEW_MAX: f64 = 1e-3;

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first sample.
    pub first: Mono,
    /// Where samples are missing before it, and how many in each channel.
    pub gap: Option<(Mono, u64)>,
}

/// Time of the sample that is due next.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// First sample of the run, which the others are counted from: floats keep their precision.
    origin: Mono,
    /// Since `origin`, seconds.
    at_s: f64,
    /// Samples of each channel since `origin`.
    counted: u64,
    /// Of the device's clock: how much longer than nominal a sample lasts.
    skew: f64,
}

/// Follows the stamps of one device: a delay-locked loop of second order (F. Adriaensen, "Using a DLL to filter time", 2005).
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: u32,
    /// A stamp that is further off than this is no jitter.
    allowance_s: f64,
    due: Option<Due>,
    broken: bool,
    drift: Drift,
}

impl Pace {
    /// For `rate` samples per second; stamps may be off by `allowance`.
    pub(super) fn new(rate: u32, allowance: Duration) -> Self {
        Self { rate, allowance_s: allowance.as_secs_f64(), due: None, broken: false, drift: Drift::default() }
    }

    /// A block of `frames` whose first sample lies at `raw`, says the device.
    pub(super) fn place(&mut self, raw: Mono, frames: u64) -> Place {
        let broken = std::mem::take(&mut self.broken);
        let (due, gap) = match self.due {
            None => (Due::at(raw), None),
            Some(due) => {
                let off_s = (raw.0 as i64 - due.time().0 as i64) as f64 / 1e9;
                if broken || off_s.abs() > self.allowance_s {
                    self.drift.cut();
                    let missing = (off_s * f64::from(self.rate)).round();
                    (Due::at(raw), (missing >= 1.0).then_some((due.time(), missing as u64)))
                } else {
                    (self.follow(due, off_s, frames), None)
                }
            }
        };
        let first = due.time();
        self.drift.note(raw.since(due.origin).as_secs_f64(), due.counted as f64 / f64::from(self.rate));
        let lasts_s = frames as f64 / f64::from(self.rate) * (1.0 + due.skew);
        self.due = Some(Due { at_s: due.at_s + lasts_s, counted: due.counted + frames, ..due });
        Place { first, gap }
    }

    /// Samples were lost after the last block: the next one sets the time anew, and what lies between is missing.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Parts per million that the device is fast.
    pub(super) fn drift_ppm(&self) -> Option<f64> {
        self.drift.ppm()
    }

    /// `due` drawn towards a stamp that is `off_s` later.
    fn follow(&self, due: Due, off_s: f64, frames: u64) -> Due {
        let lasts_s = frames as f64 / f64::from(self.rate);
        let bandwidth = BANDWIDTH_HZ[usize::from(due.at_s > SETTLE_S)];
        // Above one the loop would swing: a block of half a second in the first seconds.
        let omega = (std::f64::consts::TAU * bandwidth * lasts_s).min(0.5);
        let skew = due.skew + omega * omega * off_s / lasts_s.max(1e-6);
        Due { at_s: due.at_s + std::f64::consts::SQRT_2 * omega * off_s, skew: skew.clamp(-SKEW_MAX, SKEW_MAX), ..due }
    }
}

impl Due {
    fn at(origin: Mono) -> Self {
        Self { origin, at_s: 0.0, counted: 0, skew: 0.0 }
    }

    fn time(&self) -> Mono {
        Mono(self.origin.0.saturating_add_signed((self.at_s * 1e9).round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(5_000_000_000_000);
    const BLOCK: u64 = 960;

    fn pace() -> Pace {
        Pace::new(48_000, Duration::from_millis(40))
    }

    /// Time of sample `n` of a clock that is `ppm` fast.
    fn time(n: u64, ppm: f64) -> Mono {
        START.plus(Duration::from_secs_f64(n as f64 / (48_000.0 * (1.0 + ppm * 1e-6))))
    }

    fn off_us(a: Mono, b: Mono) -> f64 {
        (a.0 as f64 - b.0 as f64).abs() / 1e3
    }

    #[test]
    fn stamps_lose_their_jitter_and_keep_to_the_devices_clock() {
        let mut pace = pace();
        let mut worst = 0.0_f64;
        for n in 0..3_000 {
            let jitter = Duration::from_micros(n * 7919 % 2_000);
            let place = pace.place(time(n * BLOCK, 80.0).plus(jitter), BLOCK);
            assert_eq!(place.gap, None);
            if n > 1_500 {
                // The middle of the jitter is where the loop comes to rest.
                worst = worst.max(off_us(place.first, time(n * BLOCK, 80.0).plus(Duration::from_millis(1))));
            }
        }
        assert!(worst < 100.0, "{worst} us");
        let drift = pace.drift_ppm().expect("a minute");
        assert!((drift - 80.0).abs() < 3.0, "{drift}");
    }

    #[test]
    fn what_an_overrun_took_is_counted_in_samples() {
        let mut pace = pace();
        (0..100).for_each(|n| {
            pace.place(time(n * BLOCK, 0.0), BLOCK);
        });
        pace.break_off();
        let place = pace.place(time(100 * BLOCK + 4_800, 0.0), BLOCK);
        let (at, frames) = place.gap.expect("told");
        assert!(off_us(at, time(100 * BLOCK, 0.0)) < 1.0 && frames == 4_800, "{place:?}");
        assert_eq!(place.first, time(100 * BLOCK + 4_800, 0.0));
        assert_eq!(pace.place(time(101 * BLOCK + 4_800, 0.0), BLOCK).gap, None);
    }

    #[test]
    fn an_overrun_that_took_nothing_is_no_gap() {
        let mut pace = pace();
        pace.place(START, BLOCK);
        pace.break_off();
        assert_eq!(pace.place(time(BLOCK, 0.0), BLOCK).gap, None);
    }

    #[test]
    fn samples_that_a_driver_lost_without_a_word_are_missing_too() {
        let mut pace = pace();
        pace.place(START, BLOCK);
        let late = time(BLOCK, 0.0).plus(Duration::from_millis(30));
        assert_eq!(pace.place(late, BLOCK).gap, None, "jitter");
        let lost = time(2 * BLOCK, 0.0).plus(Duration::from_millis(100));
        let (_, frames) = pace.place(lost, BLOCK).gap.expect("told");
        assert!((4_600..=4_800).contains(&frames), "{frames}");
    }

    #[test]
    fn a_stamp_that_goes_back_sets_the_time_and_is_no_gap() {
        let mut pace = pace();
        pace.place(time(48_000, 0.0), BLOCK);
        let place = pace.place(START, BLOCK);
        assert_eq!((place.first, place.gap), (START, None));
    }

    #[test]
    fn blocks_of_any_length_are_stable() {
        let mut pace = pace();
        let mut n = 0;
        for turn in 0..600_u64 {
            let frames = [1, 960, 24_000, 333][turn as usize % 4];
            let place = pace.place(time(n, -50.0).plus(Duration::from_micros(turn * 31 % 500)), frames);
            assert!(place.gap.is_none() && off_us(place.first, time(n, -50.0)) < 2_000.0, "{turn}: {place:?}");
            n += frames;
        }
    }
}
