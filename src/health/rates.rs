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

/// Steps that [`Expected`] looks back.
const STEPS: usize = 48;
/// As few are enough to know the rate.
const STEPS_MIN: usize = 12;
/// What is further apart is a gap, whatever the rate.
const STEP_MAX: Duration = Duration::from_secs(1);

/// The rate at which pictures are meant to come, by their stamps.
#[derive(Clone, Debug)]
pub struct Expected {
    last: Option<MediaTime>,
    steps: [f32; STEPS],
    count: usize,
    since: MediaTime,
    fps: Option<f64>,
}

impl Default for Expected {
    fn default() -> Self {
        Self { last: None, steps: [0.0; STEPS], count: 0, since: MediaTime::default(), fps: None }
    }
}

impl Expected {
    /// A picture came. The rate, when it is known: looked at once per second, from the middle half of the steps, so that
    /// pictures that are lost, and the uneven steps of 3:2 pulldown, change nothing.
    pub fn picture(&mut self, at: MediaTime) -> Option<f64> {
        let step = self.last.replace(at).map(|last| at.since(last)).filter(|step| !step.is_zero() && *step < STEP_MAX);
        if let Some(step) = step {
            self.steps[self.count % STEPS] = step.as_secs_f32();
            self.count += 1;
        }
        if at.since(self.since) >= SECOND {
            self.since = at;
            let mut sorted = self.steps;
            let known = &mut sorted[..self.count.min(STEPS)];
            known.sort_unstable_by(f32::total_cmp);
            let quarter = known.len() / 4;
            let middle = &known[quarter..known.len() - quarter];
            let mean = middle.iter().map(|step| f64::from(*step)).sum::<f64>() / middle.len().max(1) as f64;
            self.fps = (known.len() >= STEPS_MIN).then_some(1.0 / mean);
        }
        self.fps
    }

    /// What comes from here on is another stream.
    pub fn restart(&mut self) {
        *self = Self::default();
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

    #[test]
    fn the_rate_is_known_whatever_is_lost() {
        let mut expected = Expected::default();
        assert_eq!((0..5).filter_map(|n| expected.picture(at(n))).next(), None);
        let told = (5..300).filter(|n| n % 7 != 0).filter_map(|n| expected.picture(at(n))).last();
        assert!(told.is_some_and(|fps| (fps - 25.0).abs() < 0.01), "{told:?}");
        // 24 in 60 fields: steps of 33 and 50 ms.
        expected.restart();
        let film = (0..240_i64).map(|n| MediaTime((n / 2 * 5 + n % 2 * 2) * 1_000_000_000 / 60));
        let told = film.filter_map(|at| expected.picture(at)).last();
        assert!(told.is_some_and(|fps| (fps - 24.0).abs() < 0.1), "{told:?}");
    }
}
