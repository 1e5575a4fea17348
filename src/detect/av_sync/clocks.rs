//! The clocks of picture and sound: how their stamps go against arrival, and so against each other.
//!
//! A source whose sound is stamped by another clock than its picture drifts apart. What packets wait for hides that from
//! one moment to the next, but not the least wait of ten seconds, and not over minutes. A step is none: how far apart
//! the streams are multiplexed may change, their stamps stay right.

use crate::features::TransportFeatures;
use crate::time::{MediaTime, Mono};
use std::time::Duration;

/// Time of which the least wait counts.
const BIN: Duration = Duration::from_secs(10);
/// Bins that are remembered: an hour.
const BINS: usize = 360;
/// Bins from which on there is a slope.
const ENOUGH: usize = 6;
/// A drift stands out of what is left of the line by this factor; a step of the waits by 6 at the most.
const OUT: f64 = 12.0;

/// What the stamps say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clocks {
    /// How much longer sound waits than the picture with the same stamp, ms.
    pub skew_ms: f64,
    /// How fast the sound's clock goes against the picture's, ppm; positive: sound comes late, ever more.
    pub drift_ppm: Option<f64>,
}

/// Least wait of both in one bin.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    until: MediaTime,
    picture: Option<i64>,
    sound: Option<i64>,
}

/// Follows the stamps of one source.
#[derive(Clone, Debug, Default)]
pub struct ClockWatch {
    bin: Bin,
    /// How much longer sound waited, ms, with the end of the bin.
    skews: heapless::Deque<(MediaTime, f32), BINS>,
}

impl ClockWatch {
    /// Takes what arrives; whether there is news.
    pub fn take(&mut self, features: &TransportFeatures) -> bool {
        if features.jump.is_some() || features.unreachable_since.is_some() {
            *self = Self::default();
            return false;
        }
        let wait = |at: MediaTime, arrived: Mono| arrived.0 as i64 - at.0;
        let arrived = features.stamp.arrived;
        let least = |known: &mut Option<i64>, wait: i64| *known = Some(known.map_or(wait, |known| known.min(wait)));
        if let Some(picture) = features.picture {
            least(&mut self.bin.picture, wait(picture.at, arrived));
        }
        if let Some((at, ..)) = features.sound {
            least(&mut self.bin.sound, wait(at, arrived));
        }
        let now = features.stamp.at;
        if now < self.bin.until {
            return false;
        }
        let Bin { until, picture, sound } =
            std::mem::replace(&mut self.bin, Bin { until: now.plus(BIN), ..Bin::default() });
        // The first bin ends at once.
        let Some((picture, sound)) = picture.zip(sound).filter(|_| until != MediaTime::default()) else { return false };
        if self.skews.is_full() {
            self.skews.pop_front();
        }
        self.skews.push_back((until, ((sound - picture) as f64 / 1e6) as f32)).is_ok()
    }

    /// What the stamps say.
    pub fn clocks(&self) -> Option<Clocks> {
        let skew_ms = f64::from(self.skews.back()?.1);
        Some(Clocks { skew_ms, drift_ppm: self.line().map(|line| -1000.0 * line.slope) })
    }

    /// What a drift has come to, ms, positive: sound late; since when it is watched.
    pub fn drifted(&self) -> Option<(f64, MediaTime)> {
        let line = self.line()?;
        let drifted = line.slope * line.seconds;
        (drifted.abs() > OUT * line.rest).then_some((-drifted, line.since))
    }

    fn line(&self) -> Option<Line> {
        let (since, last) = (self.skews.front()?.0, self.skews.back()?.0);
        let points = || self.skews.iter().map(|(at, skew)| (at.since(since).as_secs_f64(), f64::from(*skew)));
        let count = self.skews.len() as f64;
        let sums =
            points().fold([0.0; 4], |[x, y, xx, xy], (at, skew)| [x + at, y + skew, xx + at * at, xy + at * skew]);
        let [x, y, xx, xy] = sums.map(|sum| sum / count);
        let spread = xx - x * x;
        if self.skews.len() < ENOUGH || spread <= 0.0 {
            return None;
        }
        let slope = (xy - x * y) / spread;
        let rest = points().map(|(at, skew)| (skew - y - slope * (at - x)).powi(2)).sum::<f64>() / count;
        Some(Line { slope, rest: rest.sqrt(), seconds: last.since(since).as_secs_f64(), since })
    }
}

/// A straight line through all skews.
struct Line {
    /// ms per second.
    slope: f64,
    /// What is left, as a standard deviation, ms.
    rest: f64,
    seconds: f64,
    since: MediaTime,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Arrival, TransportFeatures};
    use crate::frame::FieldOrder;
    use crate::time::Stamp;

    /// What is said after `minutes` of a source whose sound waits for `wait` ms more, by the time in seconds.
    fn watched(minutes: i64, wait: impl Fn(f64) -> f64) -> ClockWatch {
        let mut watch = ClockWatch::default();
        for n in 0..minutes * 60 * 10 {
            let at = MediaTime(n * 100_000_000);
            // Packets wait for up to 80 ms.
            let jitter = (n * 7919 % 80) * 1_000_000;
            let picture = Arrival {
                at,
                step: None,
                damaged: false,
                size: (320, 192),
                field_order: FieldOrder::Progressive,
                missing: 0,
            };
            let arrived = |wait_ms: f64| Mono((9_000_000_000 + at.0 + jitter + (wait_ms * 1e6) as i64) as u64);
            let stamp = |wait: f64| Stamp { at, arrived: arrived(wait) };
            watch.take(&TransportFeatures { stamp: stamp(0.0), picture: Some(picture), ..Default::default() });
            let stamp = stamp(wait(at.as_secs_f64()));
            watch.take(&TransportFeatures { stamp, sound: Some((at, 48_000, 2)), ..Default::default() });
        }
        watch
    }

    #[test]
    fn a_drift_is_told_with_its_sign() {
        // Sound is stamped ever too early: it waits longer, and is shown early.
        let watch = watched(20, |at| 0.1 * at);
        let ppm = watch.clocks().and_then(|clocks| clocks.drift_ppm).expect("known");
        assert!((ppm + 100.0).abs() < 2.0, "{ppm}");
        let (drifted, _) = watch.drifted().expect("stands out");
        assert!((-121.0..-115.0).contains(&drifted), "{drifted}");
    }

    #[test]
    fn waiting_and_steps_are_no_drift() {
        let watch = watched(20, |_| 300.0);
        assert_eq!(watch.clocks().map(|clocks| clocks.skew_ms.round()), Some(300.0));
        assert!(watch.drifted().is_none_or(|(ms, _)| ms.abs() < 1.0));
        assert_eq!(watched(20, |at| if at < 600.0 { 0.0 } else { 200.0 }).drifted(), None);
        assert_eq!(watched(0, |_| 0.0).clocks(), None);
    }
}
