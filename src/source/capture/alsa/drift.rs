//! How much faster a device's sample clock runs than CLOCK_MONOTONIC.

use std::collections::VecDeque;

/// Seconds over which the slope is taken: with stamps that jitter by a millisecond the error is about 1 ppm.
const WINDOW_S: usize = 300;

/// Pairs of points nearer than this say more about jitter than about clocks, seconds.
const DISTANCE_MIN_S: f64 = 15.0;

/// Fewer pairs are no evidence.
const PAIRS_MIN: usize = 15;

/// One second of stamps.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// Samples are counted without a break within a run.
    run: u32,
    /// Time in the run, seconds.
    at_s: f64,
    /// How much later than the count of samples says, seconds.
    late_s: f64,
}

/// A robust slope through the lateness of stamps: the median over pairs of points half a run apart (Theil 1950, the
/// incomplete method), so that a moment of a busy machine moves nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    points: VecDeque<Point>,
    run: u32,
    /// The best of the second under way: a position is told late by as much as the device is coarse, never early.
    best: Option<Point>,
}

impl Drift {
    /// The first of `samples` counted so far lies `elapsed_s` after the first of the run by the stamps of the device, and
    /// `counted_s` by the nominal rate.
    pub(super) fn note(&mut self, elapsed_s: f64, counted_s: f64) {
        let point = Point { run: self.run, at_s: elapsed_s, late_s: elapsed_s - counted_s };
        match &mut self.best {
            Some(best) if point.at_s.floor() == best.at_s.floor() => {
                if point.late_s < best.late_s {
                    *best = point;
                }
            }
            best => {
                if let Some(done) = best.replace(point) {
                    self.points.push_back(done);
                }
                if self.points.len() > WINDOW_S {
                    self.points.pop_front();
                }
            }
        }
    }

    /// Samples were lost: what comes is not to be held against what was.
    pub(super) fn cut(&mut self) {
        self.points.extend(self.best.take());
        self.run = self.run.wrapping_add(1);
    }

    /// Parts per million that the device is fast (negative: slow); `None` before half a minute of sound.
    pub(super) fn ppm(&self) -> Option<f64> {
        let points: Vec<Point> = self.points.iter().copied().collect();
        let mut slopes: Vec<f64> = points
            .chunk_by(|a, b| a.run == b.run)
            .flat_map(|run| run.iter().zip(&run[run.len() / 2..]))
            .filter(|(a, b)| b.at_s - a.at_s >= DISTANCE_MIN_S)
            .map(|(a, b)| (b.late_s - a.late_s) / (b.at_s - a.at_s))
            .collect();
        if slopes.len() < PAIRS_MIN {
            return None;
        }
        let middle = slopes.len() / 2;
        let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        Some(*median * -1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` of blocks of 20 ms from a clock that is `ppm` fast; `late` adds to each stamp.
    fn run(drift: &mut Drift, seconds: u32, ppm: f64, late: impl Fn(u32) -> f64) {
        for n in 0..seconds * 50 {
            let counted = f64::from(n) * 0.02;
            drift.note(counted / (1.0 + ppm * 1e-6) + late(n), counted);
        }
    }

    #[test]
    fn a_fast_clock_is_positive_and_measured_through_jitter() {
        for ppm in [-250.0, 0.0, 40.0] {
            let mut drift = Drift::default();
            // Positions that are told per period of 10 ms, at any phase: up to 10 ms late.
            run(&mut drift, 200, ppm, |n| f64::from(n.wrapping_mul(2_654_435_761) >> 16) * 1e-2 / 65_536.0);
            let measured = drift.ppm().expect("long enough");
            assert!((measured - ppm).abs() < 2.0, "{ppm}: {measured}");
        }
    }

    #[test]
    fn a_busy_machine_and_a_lost_second_move_nothing() {
        let mut drift = Drift::default();
        run(&mut drift, 100, 30.0, |n| if n % 700 < 150 { 0.03 } else { 0.0 });
        drift.cut();
        run(&mut drift, 100, 30.0, |_| 0.0);
        let measured = drift.ppm().expect("long enough");
        assert!((measured - 30.0).abs() < 1.0, "{measured}");
    }

    #[test]
    fn little_sound_says_nothing() {
        let mut drift = Drift::default();
        run(&mut drift, 25, 30.0, |_| 0.0);
        assert_eq!(drift.ppm(), None);
        (0..100).for_each(|_| {
            drift.cut();
            run(&mut drift, 10, 30.0, |_| 0.0);
        });
        assert_eq!(drift.ppm(), None, "every run is too short");
        assert!(drift.points.len() <= WINDOW_S + 10, "bounded");
    }
}
