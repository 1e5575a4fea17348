//! What happens to a fleet and when. The same seed and scenario give the same course.

use crate::trouble::{FEED_FROZEN, FEED_LOST, Trouble};
use std::time::Duration;

/// Courses (research: ecosystem, section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Incidents here and there.
    Steady,
    /// A feed freezes at one site after the other: hundreds of incidents in two seconds.
    Storm,
    /// Every connection breaks at once, and all come back within the spread.
    Reconnect,
    /// The link is away for longer than outboxes last: events are lost, and counted.
    Gaps,
    /// One site loses its power or its line, and comes back.
    Outage,
    /// Somebody who wants all, pictures too, reads next to nothing, while incidents storm.
    SlowReader,
    /// The broker is ended and started again from outside, and has forgotten all (persistence off).
    BrokerRestart,
    /// Five boxes have the ids of five others: copied cards. Needs a connection for each device.
    Clones,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// At one site, for this share of its sources.
    Storm { site: usize, share: f64, what: Trouble, seconds: f64 },
    /// All, or one site, lose the broker for a time, and come back within a spread.
    Cut { site: Option<usize>, away: Duration, spread: Duration },
}

impl Action {
    /// Until all have the broker again, with some margin.
    fn lasts(&self) -> Duration {
        match self {
            Action::Storm { .. } => Duration::ZERO,
            Action::Cut { away, spread, .. } => *away + *spread + Duration::from_secs(5),
        }
    }
}

impl Scenario {
    /// From the start of the run, in order.
    pub fn actions(self, sites: usize, seconds: u64) -> Vec<(Duration, Action)> {
        let cut = |site, away, spread| Action::Cut {
            site,
            away: Duration::from_secs(away),
            spread: Duration::from_secs(spread),
        };
        let storm = |n: usize| Action::Storm {
            site: n % sites,
            share: 0.8,
            what: if n % 3 == 2 { FEED_LOST } else { FEED_FROZEN },
            seconds: 25.0,
        };
        let (first, period, action): (u64, u64, &dyn Fn(usize) -> Action) = match self {
            Scenario::Steady | Scenario::BrokerRestart | Scenario::Clones => return vec![],
            Scenario::Storm | Scenario::SlowReader => (15, 40, &storm),
            Scenario::Reconnect => (20, 60, &|_| cut(None, 3, 10)),
            Scenario::Gaps => (15, 60, &|_| cut(None, 25, 5)),
            Scenario::Outage => (15, 90, &|n| cut(Some((1 + n) % sites), 50, 10)),
        };
        let moments = (first..seconds).step_by(period as usize).enumerate();
        let course = moments.map(|(n, at)| (Duration::from_secs(at), action(n)));
        // What is away at the end could not be asked for its counters.
        course.filter(|(at, action)| *at + action.lasts() < Duration::from_secs(seconds)).collect()
    }
    /// Boxes with the id of another one.
    pub fn clones(self) -> usize {
        if self == Scenario::Clones { 5 } else { 0 }
    }
    /// Events that an outbox holds: few, where the point is that it overflows.
    pub fn spool_max(self) -> usize {
        if self == Scenario::Gaps { 1 } else { 1000 }
    }
}
