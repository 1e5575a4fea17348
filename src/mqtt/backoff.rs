//! How long to wait before the next connection.

use std::time::Duration;

/// Waits of one device. The only chance in the link, and it is seeded.
#[derive(Clone, Debug)]
pub struct Backoff {
    state: u64,
    attempt: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(60);

    /// Jitter from `seed`.
    pub fn new(seed: u64) -> Self {
        // xorshift must not start at zero, and seeds that differ in one bit must not start alike.
        Self { state: (seed ^ 0x9e37_79b9_7f4a_7c15).max(1), attempt: 0 }
    }

    /// The connection proved to be good: the next wait is short again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next wait: anything up to 1 s, 2 s, 4 s ... 60 s ("full jitter", Brooker 2015), so that devices that lost
    /// their broker together do not come back together.
    pub fn next_wait(&mut self) -> Duration {
        let most = (Self::FIRST * 2_u32.saturating_pow(self.attempt.min(10))).min(Self::MOST);
        self.attempt += 1;
        self.spread(most)
    }

    /// Anything up to `most`.
    pub fn spread(&mut self, most: Duration) -> Duration {
        // xorshift64* (Vigna 2016): plain, and good enough to spread boxes.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let part = (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f64 / f64::from(1 << 24);
        most.mul_f64(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fill_a_range_that_doubles_to_the_limit() {
        let mut most = [Duration::ZERO; 10];
        for seed in 0..500 {
            let mut backoff = Backoff::new(seed);
            for (n, most) in most.iter_mut().enumerate() {
                let wait = backoff.next_wait();
                assert!(wait <= Duration::from_secs(1 << n).min(Duration::from_secs(60)), "{n}: {wait:?}");
                *most = (*most).max(wait);
            }
            backoff.reset();
            assert!(backoff.next_wait() <= Duration::from_secs(1));
        }
        for (n, most) in most.iter().enumerate() {
            assert!(*most > Duration::from_secs(1 << n).min(Duration::from_secs(60)).mul_f64(0.9), "{n}: {most:?}");
        }
    }

    #[test]
    fn devices_differ() {
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|seed| Backoff::new(seed).spread(Duration::from_secs(120))).collect();
        assert_eq!(waits.len(), 100);
    }
}
