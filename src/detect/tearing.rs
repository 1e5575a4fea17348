//! Torn pictures: above a row one moment, below it another.
//!
//! A torn row breaks everything that crosses it, and only while the picture moves. One row that stands out from all
//! others by its step, and by more than any row did in the picture before at the same place, is a candidate; an edge
//! of the programme that was carried there by a tilt is none. A row that stays is torn when the rows go on smoothly
//! with one of them taken from an earlier picture, which the edge of a caption does not. One such picture may be a
//! graphic that comes in or a wipe: it takes several, over longer than a wipe lasts (the hold time).

use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, Seam, VideoFeatures};
use crate::time::MediaTime;
use std::time::Duration;

/// A row stands out when its step is so many times the next best, and so many code values per sample more. In clean
/// programme one picture in some thousands has one.
const OUTSTANDING: (f64, f64) = (3.0, 1.0);
/// Strips of ten across which the rows break, and the share of those that move.
const BROKEN: (usize, f64) = (2, 0.25);
/// Strips that must move there.
const MOVING: usize = 3;
/// A row within so many of one that was torn just before may be the same.
const SAME: usize = 2;
/// Share of the step that is gone when one row is taken from where it belongs.
const CONTINUED: f64 = 0.5;
/// Torn pictures that a decision needs, ...
const PICTURES: u32 = 3;
/// ... their share of those that move at least, ...
const SHARE: f64 = 0.2;
/// ... and the longest gap between two: content without texture at the row hides it for some time.
const GAP: Duration = Duration::from_millis(900);
/// Bits of 16 x 16 samples that move in a picture that could show it.
const LIVELY: u32 = 10;
/// Step over the row, in code values, that spoils the programme.
const STRONG: f64 = 8.0;
/// Edges of coding blocks: a row that stays there is damage of a coder.
const BLOCK: usize = 16;

/// Torn pictures in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    since: MediaTime,
    last: MediaTime,
    torn: u32,
    lively: u32,
    row: usize,
    strongest: f64,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct Tearing {
    run: Option<Run>,
    ended: Option<MediaTime>,
}

impl Tearing {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first {
            *self = Self::default();
            return Observation::of(Defect::Tearing);
        }
        if features.depth == Depth::Light {
            return self.say(false);
        }
        let seam = self.torn(features);
        if let Some(run) = &mut self.run {
            run.lively += u32::from(features.weave.moving >= LIVELY);
        }
        if let Some(seam) = seam {
            let new = Run { since: at, last: at, torn: 0, lively: 1, row: seam.row, strongest: 0.0 };
            let run = self.run.get_or_insert(new);
            (run.last, run.torn, run.row) = (at, run.torn + 1, seam.row);
            run.strongest = run.strongest.max(seam.excess);
        } else if let Some(run) = self.run.filter(|run| at.since(run.last) > GAP) {
            (self.run, self.ended) = (None, Some(run.last));
        }
        self.say(seam.is_some())
    }

    /// Whether only pictures seen in full can decide.
    pub fn wants_full(&self) -> bool {
        self.run.is_some_and(|run| run.torn < PICTURES)
    }

    fn torn(&self, features: &VideoFeatures) -> Option<Seam> {
        let weave = &features.weave;
        // Woven fields break all rows.
        if features.decode.any() || weave.combed * 20 > weave.moving {
            return None;
        }
        let [greatest, newest] = &weave.seams;
        let stays = |seam: &&Seam| {
            let same = self.run.is_some_and(|run| run.row.abs_diff(seam.row) <= SAME);
            same && seam.continued > CONTINUED && !seam.row.is_multiple_of(BLOCK)
        };
        let comes = newest.as_ref().filter(|seam| stands_out(seam));
        comes.or(greatest.as_ref().filter(|seam| stands_out(seam)).filter(stays)).copied()
    }

    fn say(&self, torn: bool) -> Observation {
        let Some(run) = self.run else {
            return Observation { since: self.ended, ..Observation::of(Defect::Tearing) };
        };
        let often = f64::from(run.torn) >= SHARE * f64::from(run.lively);
        let present = torn && run.torn >= PICTURES && often;
        Observation {
            presence: if present { Presence::Present } else { Presence::Unclear },
            since: Some(run.since),
            severity: if run.strongest > STRONG { Severity::Major } else { Severity::Minor },
            value: run.strongest,
            threshold: OUTSTANDING.1,
            unit: "code values",
            phrase: "picture is torn",
            ..Observation::of(Defect::Tearing)
        }
    }
}

fn stands_out(seam: &Seam) -> bool {
    let outstanding = seam.excess > OUTSTANDING.0 * seam.second + OUTSTANDING.1;
    let broken = seam.broken >= BROKEN.0 && seam.broken as f64 >= BROKEN.1 * seam.moving as f64;
    outstanding && broken && seam.moving >= MOVING && !seam.carried
}
