//! Hours in which a state is meant to be: off air, a slate, a nightly test card.

use crate::detect::Defect;

const DAY: i64 = 24 * 60 * 60;

/// States that are no defects at some time of some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Seconds of the day, local: from here on ...
    pub from: u32,
    /// ... up to here; of the next day where it is no later than `from`.
    pub to: u32,
    /// Days on which it begins, Monday first.
    pub days: [bool; 7],
    /// Local time less UTC, seconds. Without summer time: a box has no say in when that begins.
    pub zone: i32,
    /// What is expected then.
    pub states: Vec<Defect>,
}

impl Expected {
    /// Whether it is the time for it, `unix_ms` after the Unix epoch.
    pub fn is_now(&self, unix_ms: i64) -> bool {
        let local = unix_ms.div_euclid(1000) + i64::from(self.zone);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        // The first day of the epoch was a Thursday.
        let is_on = |day: i64| self.days[(day + 3).rem_euclid(7) as usize];
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            is_on(day) && (from..to).contains(&second)
        } else {
            (is_on(day) && second >= from) || (is_on(day - 1) && second < to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wednesday, 25 November 2026, 00:00 UTC.
    const WEDNESDAY: i64 = 1_795_564_800;

    fn expected(from: u32, to: u32, days: [bool; 7], zone: i32) -> Expected {
        Expected { from: from * 3600, to: to * 3600, days, zone, states: vec![Defect::Black] }
    }

    #[test]
    fn hours_of_a_day_and_over_midnight() {
        let at = |day: i64, hour: i64| (WEDNESDAY + day * DAY + hour * 3600) * 1000;
        let weekdays = [true, true, true, true, true, false, false];
        let early = expected(1, 5, weekdays, 0);
        let hours = |expected: &Expected, day| (0..24).filter(|&h| expected.is_now(at(day, h))).collect::<Vec<_>>();
        assert_eq!(hours(&early, 0), [1, 2, 3, 4]);
        assert_eq!(hours(&early, 3), [0_i64; 0], "Saturday");
        let night = expected(22, 5, weekdays, 0);
        assert_eq!(hours(&night, 0), [0, 1, 2, 3, 4, 22, 23]);
        assert_eq!(hours(&night, 3), [0, 1, 2, 3, 4], "what began on Friday");
        assert_eq!(hours(&night, 5), [22, 23], "Monday: Sunday has none");
        let east = expected(1, 5, weekdays, 2 * 3600);
        assert_eq!(hours(&east, 0), [0, 1, 2, 23], "local time is ahead");
        assert_eq!(hours(&expected(0, 0, [true; 7], 0), 0).len(), 24, "all day");
    }
}
