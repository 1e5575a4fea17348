//! What the programme did before a rest: how much moved, cuts, dissolves.

use super::rest::Seen;
use crate::features::{Correlation, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// A mean change of cell means by this much, in code values ...
const CUT_CHANGE: f64 = 8.0;
/// ... into a picture whose cell means correlate less than this with those of the one before is a cut: 0.66 is the
/// least that was seen in the fastest motion, 0.47 the most at a cut.
const CUT_ALIKE: f64 = 0.5;
/// A rest within so many pictures of a cut comes from it.
const CUT_PICTURES: usize = 3;
/// The time over which motion before a rest is judged.
const PAST: Duration = Duration::from_millis(1_500);
/// Share of cells from which a picture counts as moving: less is noise that passed the limit.
const MOVING: f64 = 0.002;
/// Pictures that must have moved: fewer tell nothing about how they came to rest.
const MOVING_PICTURES: usize = 4;
/// Steady motion has been seen for this long, in so many pictures: a source may be looked at less often than it shows.
const STEADY: Duration = Duration::from_millis(360);
/// As above.
const STEADY_PICTURES: usize = 6;
/// Motion stopped abruptly when one of its last two pictures still changed this much of the usual. A pan that slows
/// down over four pictures reaches 0.4.
const ABRUPT: f64 = 0.6;
/// Of what a source shows this soon after its first picture nothing is known: it may be a page that is scrolled once.
const KNOWN: Duration = Duration::from_millis(900);
/// Up to two last pictures that changed less than this of the usual are the coder's, which mends the frozen picture.
const MENDED: f64 = 0.2;
/// Time between the pictures that tell a dissolve.
const APART: Duration = Duration::from_millis(200);

/// Pictures remembered: more than `PAST` at 60 per second.
const REMEMBERED: usize = 128;

/// What moved before a rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Motion {
    /// Median share of cells that moved, over the pictures that moved.
    pub usual: f64,
    /// It stopped within two pictures.
    pub abrupt: bool,
    /// Every picture or almost every one moved, and there were enough to tell.
    pub steady: bool,
    /// There were pictures that moved.
    pub any: bool,
    /// The rest came with a cut.
    pub cut: bool,
}

#[derive(Clone, Copy, Debug)]
struct Past {
    seen: Seen,
    cut: bool,
}

/// Cell means at one moment.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    at: MediaTime,
    means: Vec<f32>,
    taken: bool,
}

/// Remembers the last seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    past: heapless::Deque<Past, REMEMBERED>,
    cut_at: Option<MediaTime>,
    began: MediaTime,
    /// Oldest first, `APART` or more apart, taken while the picture moves.
    snapshots: [Snapshot; 3],
}

impl Scene {
    pub fn restart(&mut self, features: &VideoFeatures) {
        self.past.clear();
        self.began = features.stamp.at;
        self.cut_at = None;
        for snapshot in &mut self.snapshots {
            snapshot.taken = false;
            snapshot.means.resize(features.grid.len(), 0.0);
        }
        self.snapshot(features);
    }

    /// Takes in the latest picture.
    pub fn note(&mut self, seen: &Seen) {
        let cut = seen.change > CUT_CHANGE && seen.alike < CUT_ALIKE;
        if cut {
            self.cut_at = Some(seen.at);
        }
        if self.past.is_full() {
            self.past.pop_front();
        }
        // Room was just made.
        let _ = self.past.push_back(Past { seen: *seen, cut });
    }

    /// Whether the latest picture is a cut.
    pub fn is_cut(&self) -> bool {
        self.past.back().is_some_and(|past| past.cut)
    }

    /// Remembers the picture, if the last one remembered is old enough.
    pub fn snapshot(&mut self, features: &VideoFeatures) {
        if self.snapshots[2].taken && features.stamp.at.since(self.snapshots[2].at) < APART {
            return;
        }
        self.snapshots.rotate_left(1);
        let last = &mut self.snapshots[2];
        last.at = features.stamp.at;
        last.taken = true;
        for (index, mean) in last.means.iter_mut().enumerate() {
            *mean = features.cell_mean(index) as f32;
        }
    }

    /// What moved up to the latest picture. Key pictures do not count: coders pulse there.
    pub fn motion(&self, at: MediaTime) -> Motion {
        let recent = || {
            let after_cut = move |past: &&Past| self.cut_at.is_none_or(|cut| past.seen.at > cut);
            self.past.iter().filter(after_cut).filter(move |past| at.since(past.seen.at) <= PAST && !past.seen.intra)
        };
        let moving = || recent().filter(|past| past.seen.moved > MOVING);
        let pictures = moving().count();
        let change = median(moving().map(|past| past.seen.change));
        let mut last: heapless::Vec<f64, 4> = heapless::Vec::new();
        for past in moving().skip(pictures.saturating_sub(last.capacity())) {
            // Only the last four were left.
            let _ = last.push(past.seen.change);
        }
        for _ in 0..2 {
            if last.len() > 1 && last.last().is_some_and(|&change_last| change_last < MENDED * change) {
                last.pop();
            }
        }
        let enough = pictures >= MOVING_PICTURES;
        let ends = moving().next().zip(moving().next_back());
        let lasted = ends.map_or(Duration::ZERO, |(first, last)| last.seen.at.since(first.seen.at));
        Motion {
            usual: median(moving().map(|past| past.seen.moved)),
            abrupt: enough
                && at.since(self.began) >= KNOWN
                && last.iter().rev().take(2).any(|&change_last| change_last >= ABRUPT * change),
            steady: lasted >= STEADY && pictures >= STEADY_PICTURES && pictures as f64 >= 0.9 * recent().count() as f64,
            any: enough,
            cut: self.past.iter().rev().take(CUT_PICTURES).any(|past| past.cut),
        }
    }

    /// How much the way to `reference`, the first picture of the rest at `start`, went on as it had before: 1 is a
    /// dissolve, in which every cell goes straight from one picture to the next; motion comes to far less.
    pub fn dissolve(&self, reference: &[f32], start: MediaTime) -> f64 {
        let [oldest, older, last] = &self.snapshots;
        if !(oldest.taken && older.taken) {
            return 0.0;
        }
        let mut alike = Correlation::default();
        let late = start.since(last.at) > APART / 2;
        let before = oldest.means.iter().zip(&older.means).zip(&last.means);
        for (&reference, ((&oldest, &older), &last)) in reference.iter().zip(before) {
            let (now, before) = if late { (reference - last, last - older) } else { (last - older, older - oldest) };
            alike.add(f64::from(now), f64::from(before));
        }
        alike.value()
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: heapless::Vec<f64, REMEMBERED> = values.take(REMEMBERED).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
