//! Counters of the kernel's: they wrap, and they begin anew when a device comes back.

/// A fall by no more than this across the end of 32 bits is a wrap; any other fall is a new beginning.
const WRAP_MAX: u64 = 1 << 30;

/// Follows one counter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    last: Option<u64>,
    total: u64,
}

impl Counter {
    /// How much it grew since the last reading; 0 for the first one, and for one that began anew: a hole is better than a
    /// spike. Drivers with counters of 32 bits let them wrap there.
    pub(super) fn step(&mut self, now: u64) -> u64 {
        let grown = match self.last.replace(now) {
            Some(last) if now >= last => now - last,
            Some(last) if last <= u64::from(u32::MAX) => {
                let wrapped = now + (1 << 32) - last;
                if wrapped <= WRAP_MAX { wrapped } else { 0 }
            }
            _ => 0,
        };
        self.total = self.total.saturating_add(grown);
        grown
    }

    /// All that it grew since the first reading.
    pub(super) fn total(self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_wrap_loses_nothing(start in any::<u32>(), steps in prop::collection::vec(0..=WRAP_MAX, 1..40)) {
            let mut counter = Counter::default();
            let mut shown = start;
            counter.step(u64::from(shown));
            for step in &steps {
                shown = shown.wrapping_add(*step as u32);
                prop_assert_eq!(counter.step(u64::from(shown)), *step);
            }
            prop_assert_eq!(counter.total(), steps.iter().sum::<u64>());
        }

        #[test]
        fn whatever_is_shown_there_is_no_spike(shown in prop::collection::vec(any::<u64>(), 1..40)) {
            let mut counter = Counter::default();
            let mut last = None;
            for now in shown {
                let grown = counter.step(now);
                let rise = last.map_or(0, |last: u64| now.saturating_sub(last));
                prop_assert!(grown == rise || (rise == 0 && grown <= WRAP_MAX), "{:?} {} {}", last, now, grown);
                last = Some(now);
            }
        }

        #[test]
        fn a_new_beginning_counts_nothing(before in (1_u64 << 32)..u64::MAX, after in 0..(1_u64 << 32)) {
            let mut counter = Counter::default();
            counter.step(before);
            prop_assert_eq!(counter.step(after), 0);
            prop_assert_eq!(counter.step(after + 5), 5);
        }
    }
}
