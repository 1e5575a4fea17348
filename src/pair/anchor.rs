//! The lag of the picture that was known best of late.
//!
//! What lies between two taps takes the same time from one second to the next, as long as it neither drops nor repeats
//! pictures. So a window in which little moves need not be told from itself alone.

use super::compare::SECOND;
use super::phase::Lag;
use crate::time::MediaTime;
use std::time::Duration;

/// A lag serves this long: few shots last longer, and the next one tells it anew.
const SERVES: Duration = Duration::from_secs(10);
/// A lag is known less well by this much each second, ms: clocks 100 ppm apart drift by a fifth of that.
const AGES_MS: f64 = 0.5;
/// A window does not speak against a lag at which both are alike to this share of the best: a hill that is over
/// [`SECOND`] of its top 120 ms away is that some 50 ms away.
const NEAR_TOP: f64 = 0.98;

/// Remembers it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Anchor(Option<(Lag, MediaTime)>);

impl Anchor {
    /// The lag as it is known now, if it still serves.
    pub fn now(&self, at: MediaTime) -> Option<Lag> {
        let (lag, known) = self.0?;
        let age = Duration::from_nanos(u64::try_from(at.0 - known.0).ok()?);
        (age <= SERVES).then_some(Lag { within_ms: lag.within_ms + AGES_MS * age.as_secs_f64(), ..lag })
    }

    /// Takes the lag that a window gave; what is known better of both, unless they contradict each other: then it has
    /// changed.
    pub fn better(&mut self, lag: Lag, at: MediaTime) -> Lag {
        let agrees = |known: &Lag| (known.ns - lag.ns).abs() as f64 / 1e6 <= known.within_ms + lag.within_ms;
        match self.now(at).filter(|known| known.within_ms < lag.within_ms).filter(agrees) {
            Some(known) => known,
            None => {
                self.0 = Some((lag, at));
                lag
            }
        }
    }

    /// Pictures were lost or repeated, or time began anew: it may be another now.
    pub fn lose(&mut self) {
        self.0 = None;
    }
}

/// Whether everything that comes near the highest of `heights` is one hill with `place` near its top: then what is seen
/// moves too evenly to tell where it lies, does not come again elsewhere, and may well lie there.
pub(super) fn near_the_only_top(heights: &[f32], place: usize) -> bool {
    let top = f64::from(heights.iter().copied().fold(0.0, f32::max));
    let over = |share: f64| move |height: &f32| f64::from(*height) >= share * top;
    let near = over(SECOND);
    let (Some(first), Some(last)) = (heights.iter().position(&near), heights.iter().rposition(&near)) else {
        return false;
    };
    heights[first..=last].iter().all(near) && heights.get(place).is_some_and(over(NEAR_TOP))
}

#[cfg(test)]
mod tests {
    use super::super::phase::Follows;
    use super::*;

    fn lag(ms: i64, within_ms: f64) -> Lag {
        Lag { ns: ms * 1_000_000, within_ms, follows: Follows::Unknown }
    }

    fn at(s: i64) -> MediaTime {
        MediaTime(s * 1_000_000_000)
    }

    #[test]
    fn the_better_known_lag_serves_and_ages() {
        let mut anchor = Anchor::default();
        assert_eq!(anchor.better(lag(100, 5.0), at(0)), lag(100, 5.0));
        assert_eq!(anchor.better(lag(112, 16.0), at(4)), lag(100, 7.0));
        assert_eq!(anchor.better(lag(104, 6.0), at(5)), lag(104, 6.0), "known better by itself");
        assert_eq!(anchor.now(at(15)), Some(lag(104, 11.0)));
        assert_eq!((anchor.now(at(16)), anchor.now(at(4))), (None, None));
    }

    #[test]
    fn a_lag_that_contradicts_it_is_another_one() {
        let mut anchor = Anchor::default();
        anchor.better(lag(100, 5.0), at(0));
        assert_eq!(anchor.better(lag(160, 16.0), at(1)), lag(160, 16.0));
        anchor.lose();
        assert_eq!(anchor.now(at(1)), None);
    }

    #[test]
    fn two_hills_are_two_places() {
        let hill = |centre: i32| move |at: i32| 1.0 - 0.01 * ((at - centre) as f32).abs();
        let one: Vec<f32> = (0..100).map(hill(40)).collect();
        for (place, is) in [(40, true), (42, true), (44, false), (200, false)] {
            assert_eq!(near_the_only_top(&one, place), is, "{place}");
        }
        let two: Vec<f32> = (0..100).map(|at| hill(20)(at).max(hill(80)(at) - 0.02)).collect();
        assert!(!near_the_only_top(&two, 20) && !near_the_only_top(&[], 0));
    }
}
