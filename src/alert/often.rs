//! How often a defect was present of late: what comes and goes is a defect too.

use super::settings::Often;
use crate::detect::Presence;
use crate::time::MediaTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Stretches kept: more changes than these within a window are told by the newest of them.
const KEPT: usize = 4096;

/// Presence over a window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    often: Often,
    /// When it came, and when it went: the newest last, which may go on.
    present: VecDeque<(MediaTime, MediaTime)>,
    /// Whether the last one goes on.
    goes_on: bool,
}

impl Window {
    /// Nothing seen yet.
    pub fn new(often: Often) -> Self {
        Self { often, present: VecDeque::new(), goes_on: false }
    }

    /// What was seen at `at`; unclear is as before.
    pub fn note(&mut self, at: MediaTime, presence: Presence) {
        if let Some(last) = self.present.back_mut().filter(|_| self.goes_on) {
            last.1 = at;
        }
        match presence {
            Presence::Present if !self.goes_on => {
                self.present.push_back((at, at));
                self.goes_on = true;
            }
            Presence::Absent => self.goes_on = false,
            Presence::Present | Presence::Unclear => {}
        }
        let from = at.minus(self.often.window);
        while self.present.front().is_some_and(|(_, to)| *to <= from) || self.present.len() > KEPT {
            self.present.pop_front();
            self.goes_on &= !self.present.is_empty();
        }
    }

    /// Since when it comes and goes, where it was present often enough of the window up to `at`.
    pub fn reached(&self, at: MediaTime) -> Option<MediaTime> {
        let from = at.minus(self.often.window);
        let time: Duration = self.present.iter().map(|(came, went)| went.since((*came).max(from))).sum();
        let enough = !time.is_zero() && time >= self.often.window.mul_f64(self.often.share);
        self.present.front().filter(|_| enough).map(|(came, _)| *came)
    }

    /// Counts anew.
    pub fn forget(&mut self) {
        self.present.clear();
        self.goes_on = false;
    }
}
