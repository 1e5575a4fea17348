//! How long to wait before the next attempt: doubling, with full jitter, so that a site that comes back is not hit by
//! all its boxes at once.

use std::time::Duration;

/// Waits of one source. The only chance in a source, and it is seeded.
#[derive(Clone, Debug)]
pub struct Backoff {
    state: u64,
    attempt: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    /// The longest wait.
    pub const MOST: Duration = Duration::from_secs(15);

    /// Jitter from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1, attempt: 0 }
    }

    /// It worked: the next wait is short again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next wait: between half and the whole of 0.5 s, 1 s, 2 s ... 15 s.
    pub fn next_wait(&mut self) -> Duration {
        let most = (Self::FIRST * 2_u32.saturating_pow(self.attempt.min(10))).min(Self::MOST);
        self.attempt += 1;
        // xorshift64* (Vigna 2016): plain, and good enough to spread boxes.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let part = (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f64 / f64::from(1 << 24);
        most.mul_f64(0.5 + part / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_differ_between_seeds() {
        let mut backoff = Backoff::new(7);
        let waits: Vec<Duration> = (0..12).map(|_| backoff.next_wait()).collect();
        for (n, wait) in waits.iter().enumerate() {
            let most = (Backoff::FIRST * 2_u32.pow(n.min(10) as u32)).min(Backoff::MOST);
            assert!(*wait <= most && *wait >= most / 2, "{n}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Backoff::FIRST);
        assert_ne!(Backoff::new(1).next_wait(), Backoff::new(2 << 40).next_wait());
    }
}
