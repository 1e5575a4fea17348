//! Against storms: how many raises all defects of a source may make together, and what is made of the others.

use crate::detect::Observation;
use crate::time::MediaTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Raises in `WINDOW`: a person reads no more, and what happens more often is one thing gone wrong.
const RAISES: usize = 20;
const WINDOW: Duration = Duration::from_secs(600);
/// With no more raises in the window than this it is calm again.
const CALM: usize = 10;

/// Counts raises.
#[derive(Clone, Debug, Default)]
pub(super) struct Storm {
    raised: VecDeque<MediaTime>,
}

impl Storm {
    /// Time goes on.
    pub fn pass(&mut self, at: MediaTime) {
        while self.raised.front().is_some_and(|when| at.since(*when) >= WINDOW) {
            self.raised.pop_front();
        }
    }

    /// An incident is raised.
    pub fn note(&mut self, at: MediaTime) {
        self.raised.push_back(at);
    }

    /// Whether no more is to be raised that can wait.
    pub fn is_on(&self) -> bool {
        self.raised.len() >= RAISES
    }

    /// Whether what was held back may be told.
    pub fn is_over(&self) -> bool {
        self.raised.len() <= CALM
    }
}

/// Times at which a defect was present for long enough, and was not told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// How many.
    pub count: u32,
    /// When the first began.
    pub onset: MediaTime,
    /// When the last ended.
    pub end: MediaTime,
    /// What was said when it was last present.
    pub last: Observation,
}

impl Held {
    /// One more, of which `last` was said.
    pub fn add(held: &mut Option<Self>, onset: MediaTime, end: MediaTime, last: Observation) {
        let before = held.get_or_insert(Self { count: 0, onset, end, last });
        *before = Self { count: before.count + 1, onset: before.onset, end: end.max(before.onset), last };
    }
}
