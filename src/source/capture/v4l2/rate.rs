//! The clock of pictures against the machine's: how much faster they come than their format says.

use crate::time::Mono;

/// Stamps jitter by a millisecond or so: over half a minute that is some tens of parts per million.
const LEAST_NS: f64 = 30e9;
/// A clock of more than this is another rate: 59.94 for 60 are 1000, which receivers that round do not tell apart.
const PPM_MAX: f64 = 5_000.0;

/// A line through the places of pictures: least squares, with sums that begin at the first.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    interval_ns: u64,
    first: Option<Mono>,
    number: u64,
    n: f64,
    sum_x: f64,
    sum_y: f64,
    sum_xx: f64,
    sum_xy: f64,
    last_x: f64,
}

impl Rate {
    /// For pictures that are to come every `interval_ns`.
    pub(super) fn new(interval_ns: u64) -> Self {
        Self {
            interval_ns,
            first: None,
            number: 0,
            n: 0.0,
            sum_x: 0.0,
            sum_y: 0.0,
            sum_xx: 0.0,
            sum_xy: 0.0,
            last_x: 0.0,
        }
    }

    pub(super) fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// A picture came `at`, after `missing` that did not.
    pub(super) fn add(&mut self, missing: u32, at: Mono) {
        let first = *self.first.get_or_insert(at);
        if self.n > 0.0 {
            self.number += u64::from(missing) + 1;
        }
        let x = at.since(first).as_nanos() as f64;
        // How far counting is ahead of the clock: small numbers, which sums keep well.
        let y = self.number as f64 * self.interval_ns as f64 - x;
        self.n += 1.0;
        self.sum_x += x;
        self.sum_y += y;
        self.sum_xx += x * x;
        self.sum_xy += x * y;
        self.last_x = x;
    }

    /// Parts per million, once enough is known.
    pub(super) fn ppm(&self) -> Option<f64> {
        let spread = self.n * self.sum_xx - self.sum_x * self.sum_x;
        if self.last_x < LEAST_NS || spread <= 0.0 {
            return None;
        }
        let ppm = (self.n * self.sum_xy - self.sum_x * self.sum_y) / spread * 1e6;
        Some(ppm).filter(|ppm| ppm.abs() < PPM_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_measured_through_jitter_and_lost_pictures() {
        for off in [-120.0, 0.0, 40.0] {
            let mut rate = Rate::new(20_000_000);
            let real = 20_000_000.0 / (1.0 + off / 1e6);
            let mut number = 0_u32;
            let mut lost = 0;
            while number < 60 * 50 {
                let jitter = f64::from(number * 7919 % 1000) * 1000.0;
                rate.add(lost, Mono(5_000_000_000 + (f64::from(number) * real + jitter) as u64));
                lost = u32::from(number.is_multiple_of(17));
                number += 1 + lost;
            }
            let ppm = rate.ppm().expect("a minute is enough");
            assert!((ppm - off).abs() < 3.0, "{off}: {ppm}");
        }
    }

    #[test]
    fn little_is_not_enough_and_another_rate_is_no_drift() {
        let run = |seconds: u64, interval: u64| {
            let mut rate = Rate::new(20_000_000);
            (0..seconds * 50).for_each(|n| rate.add(0, Mono(n * interval)));
            rate.ppm()
        };
        assert_eq!(run(20, 20_000_000), None);
        assert_eq!(run(60, 40_000_000), None, "every other one");
        assert!(run(60, 20_000_000).is_some_and(|ppm| ppm.abs() < 1e-3));
    }
}
