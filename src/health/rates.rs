//! Pictures per second, and the share of them that was looked at.

use crate::time::MediaTime;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Seconds that [`Coverage`] looks back.
const SECONDS: usize = 5;

/// Pictures over the last second of media time.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    since: MediaTime,
    count: u32,
    fps: f64,
}

impl Rate {
    /// A picture came; pictures per second.
    pub fn picture(&mut self, at: MediaTime) -> f64 {
        self.count += 1;
        self.idle(at)
    }

    /// Time went on; pictures per second.
    pub fn idle(&mut self, at: MediaTime) -> f64 {
        let passed = at.since(self.since);
        if passed >= SECOND {
            self.fps = f64::from(self.count) / passed.as_secs_f64();
            self.count = 0;
            self.since = at;
        }
        self.fps
    }
}

/// Share of the pictures that were looked at, over the last five seconds in which any came.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    since: MediaTime,
    /// Came and looked at, in each second; the first is the present one.
    seconds: [(u32, u32); SECONDS],
}

impl Coverage {
    /// A picture came.
    pub fn picture(&mut self, at: MediaTime, looked: bool) {
        if at.since(self.since) >= SECOND {
            self.seconds.rotate_right(1);
            self.seconds[0] = (0, 0);
            self.since = at;
        }
        self.seconds[0].0 += 1;
        self.seconds[0].1 += u32::from(looked);
    }

    /// 0 to 1; 1 before any picture.
    pub fn share(&self) -> f64 {
        let (came, looked) = self.seconds.iter().fold((0, 0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
        if came == 0 { 1.0 } else { f64::from(looked) / f64::from(came) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(picture: i64) -> MediaTime {
        MediaTime(picture * 40_000_000)
    }

    #[test]
    fn rates_of_known_pictures() {
        let (mut rate, mut coverage) = (Rate::default(), Coverage::default());
        assert_eq!(coverage.share(), 1.0);
        let mut fps = 0.0;
        for n in 0..250 {
            fps = rate.picture(at(n));
            coverage.picture(at(n), n % 4 == 0);
        }
        assert!((fps - 25.0).abs() < 0.1 && (coverage.share() - 0.25).abs() < 0.01, "{fps} {}", coverage.share());
        (250..400).for_each(|n| coverage.picture(at(n), true));
        assert_eq!(coverage.share(), 1.0);
        assert!(rate.idle(at(1000)) < 1.0);
    }
}
