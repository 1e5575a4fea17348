//! What the governor and the thread of one source tell each other: numbers, and neither waits for the other.

use super::Step;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// One source's side of the budget. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Share(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    step: AtomicU8,
    decode_ns: AtomicU64,
    look_ns: AtomicU64,
    delay_ns: AtomicU64,
}

impl Share {
    /// What the governor wants.
    pub fn step(&self) -> Step {
        Step::from_number(self.0.step.load(Ordering::Relaxed))
    }

    /// Sets it.
    pub fn set_step(&self, step: Step) {
        self.0.step.store(step.0, Ordering::Relaxed);
    }

    /// Processor time that reading and decoding a unit took, and looking at it.
    pub fn add(&self, decode: Duration, look: Duration) {
        self.0.decode_ns.fetch_add(decode.as_nanos() as u64, Ordering::Relaxed);
        self.0.look_ns.fetch_add(look.as_nanos() as u64, Ordering::Relaxed);
    }

    /// How long a packet waited between its arrival and its decoder.
    pub fn waited(&self, delay: Duration) {
        self.0.delay_ns.fetch_max(delay.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Decoding, looking, and the longest wait since it was last taken.
    pub fn take(&self) -> (Duration, Duration, Duration) {
        let take = |number: &AtomicU64| Duration::from_nanos(number.swap(0, Ordering::Relaxed));
        (take(&self.0.decode_ns), take(&self.0.look_ns), take(&self.0.delay_ns))
    }
}
