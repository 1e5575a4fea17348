//! What the picture was like before: small copies of the last seconds, and how often cells were flagged.

use super::small::{Care, Small};
use super::{Before, WIDTH_MAX};
use crate::frame::Frame;
use crate::time::MediaTime;
use std::time::Duration;

/// A copy is taken this often ...
const EVERY: Duration = Duration::from_secs(1);
/// ... and so many are kept: with those to come held back while a defect is waited for, one lies far enough back.
const KEPT: usize = 4;
/// How far before the onset the picture is to lie: nearer ones may show the defect begin.
const BEFORE: Duration = Duration::from_secs(1);

/// Small copies of the last seconds, in memory that is kept.
#[derive(Debug, Default)]
pub struct Past {
    kept: [(MediaTime, Small); KEPT],
    /// Copies taken so far.
    taken: usize,
}

impl Past {
    /// Takes a copy of `frame` when one is due.
    pub fn take(&mut self, frame: &Frame) {
        let at = frame.stamp.at;
        if self.taken > 0 && at.since(self.kept[(self.taken - 1) % KEPT].0) < EVERY {
            return;
        }
        let (when, small) = &mut self.kept[self.taken % KEPT];
        *when = at;
        small.take(frame, WIDTH_MAX / 2, Care::Quick);
        self.taken += 1;
    }

    /// Forgets all: what comes next does not follow it.
    pub fn restart(&mut self) {
        self.taken = 0;
    }

    /// The newest copy from well before `onset`, else the newest from before it.
    pub fn before(&self, onset: MediaTime) -> Option<Before<'_>> {
        let newest_up_to = |limit: MediaTime| {
            let there = self.kept.iter().take(self.taken).filter(move |(at, _)| *at < limit);
            there.max_by_key(|(at, _)| *at).map(|(_, small)| Before(small))
        };
        newest_up_to(onset.minus(BEFORE)).or_else(|| newest_up_to(onset))
    }
}

/// How often each cell was flagged since the defect began.
#[derive(Debug, Default)]
pub struct Heat(Vec<u8>);

impl Heat {
    /// Counts what is flagged now: one entry a cell. Another number of cells begins anew.
    pub fn note(&mut self, flagged: &[bool]) {
        if self.0.len() != flagged.len() {
            self.0.clear();
            self.0.resize(flagged.len(), 0);
        }
        for (times, &flag) in self.0.iter_mut().zip(flagged) {
            *times = times.saturating_add(u8::from(flag));
        }
    }

    /// Forgets all.
    pub fn forget(&mut self) {
        self.0.fill(0);
    }

    /// One entry a cell; none when nothing is flagged.
    pub fn cells(&self) -> &[u8] {
        if self.0.iter().any(|&times| times > 0) { &self.0 } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::frame_at;
    use super::*;

    #[test]
    fn a_copy_from_well_before_the_onset_is_at_hand() {
        let mut past = Past::default();
        assert!(past.before(MediaTime::from_secs_f64(5.0)).is_none());
        for n in 0..150_u8 {
            past.take(&frame_at(f64::from(n) / 25.0, 640, 360, |_| n));
        }
        let level = |onset: f64| past.before(MediaTime::from_secs_f64(onset)).map(|before| before.0.samples[0]);
        // Taken at 2, 3, 4 and 5 s: pictures 50, 75, 100 and 125, shown at full range.
        let shown = |n: f64| Some(((n - 16.0) * 255.0 / 219.0).round() as u8);
        assert_eq!(level(5.9), shown(100.0));
        assert_eq!(level(4.5), shown(75.0));
        assert_eq!(level(2.5), shown(50.0), "nearer than wanted, but before");
        assert_eq!(level(1.5), None);
        past.restart();
        assert_eq!(past.before(MediaTime::from_secs_f64(9.0)).map(|_| ()), None);
    }

    #[test]
    fn cells_are_counted_until_it_is_over() {
        let mut heat = Heat::default();
        heat.note(&[true, false]);
        heat.note(&[true, true]);
        assert_eq!(heat.cells(), [2, 1]);
        heat.forget();
        assert!(heat.cells().is_empty());
        heat.note(&[false, true, false]);
        assert_eq!(heat.cells(), [0, 1, 0]);
    }
}
