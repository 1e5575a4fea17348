//! The watchdog is fed by progress: only while every source's thread has moved of late.

use super::Heartbeat;
use crate::ids::SourceId;
use crate::time::Mono;
use std::time::Duration;

/// Longest time between two beats of a thread that moves: live sources return five times per second, and the
/// slowest single step, decoding a picture on a starved box, takes a second or two.
const DEADLINE: Duration = Duration::from_secs(10);

/// Watches the hearts of all threads.
#[derive(Debug)]
pub struct Deadman {
    hearts: Vec<Heartbeat>,
    least_margin: Option<Duration>,
}

impl Deadman {
    /// Over these threads.
    pub fn new(hearts: Vec<Heartbeat>) -> Self {
        Self { hearts, least_margin: None }
    }

    /// Looks at all hearts; names a thread that has missed its deadline.
    pub fn look(&mut self, now: Mono) -> Result<(), &SourceId> {
        let oldest = self.hearts.iter().min_by_key(|heart| heart.last());
        let Some(oldest) = oldest else { return Ok(()) };
        let margin = DEADLINE.saturating_sub(now.since(oldest.last()));
        self.least_margin = Some(self.least_margin.map_or(margin, |least| least.min(margin)));
        if margin.is_zero() { Err(oldest.source()) } else { Ok(()) }
    }

    /// The least time that was left since the last call.
    pub fn take_margin(&mut self) -> Option<Duration> {
        self.least_margin.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_that_stands_still_is_named() {
        let heart = |name: &str| Heartbeat::new(SourceId::new(name).expect("well formed"), Mono(0));
        let (moving, standing) = (heart("a"), heart("b"));
        let mut deadman = Deadman::new(vec![moving.clone(), standing]);
        let at = |s: u64| Mono(s * 1_000_000_000);
        moving.beat(at(9));
        assert_eq!(deadman.look(at(9)), Ok(()));
        assert_eq!(deadman.take_margin(), Some(Duration::from_secs(1)));
        moving.beat(at(10));
        assert_eq!(deadman.look(at(10)).map_err(SourceId::as_str), Err("b"));
        assert_eq!(Deadman::new(Vec::new()).look(at(99)), Ok(()));
    }
}
