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

/// A row stands out when its step is so many times the next best, and so many code values per sample more. One in some
/// hundred pictures of clean programme has one.
const OUTSTANDING: (f64, f64) = (2.0, 0.5);
/// Strips of ten across which the rows break, and the share of those that move: a tear goes all across, the edge of a
/// window that moves does not.
const BROKEN: (usize, f64) = (4, 0.25);
/// A step that is brighter or darker all along is the edge of a caption, a panel or a flash: share of the mean step
/// with its sign in that without. Broken texture has both signs.
const ONE_SIDED: f64 = 0.8;
/// Strips that must move there.
const MOVING: usize = 4;
/// A row within so many of one that was torn just before may be the same.
const SAME: usize = 2;
/// Share of the step that is gone when one row is taken from where it belongs.
const CONTINUED: f64 = 0.5;
/// Torn pictures that a decision needs, ...
const PICTURES: u32 = 3;
/// ... their share of those that move at least, ...
const SHARE: f64 = 0.12;
/// ... and the longest gap between two: content without texture at the row hides it for some time.
const GAP: Duration = Duration::from_millis(900);
/// A seam is held against the picture seen in full before, which must be the one just before: over more time, or with
/// pictures between that were seen lightly, edges of the programme move so far that they look new.
const NEAR: Duration = Duration::from_millis(100);
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
    /// The last picture that was seen in full, and whether none came behind it.
    last: Option<(MediaTime, bool)>,
    /// It had a seam that could not be held against the one just before.
    suspect: bool,
    /// It moved.
    moves: bool,
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
            self.last = self.last.map(|(last, _)| (last, false));
            self.count();
            return self.say(false);
        }
        let near = self.last.is_some_and(|(last, newest)| newest && at.since(last) <= NEAR);
        self.last = Some((at, true));
        let seam = self.torn(features);
        self.suspect = !near && seam.is_some();
        self.moves = features.weave.moving >= LIVELY;
        self.count();
        if let Some(seam) = seam.filter(|_| near) {
            let new = Run { since: at, last: at, torn: 0, lively: 1, row: seam.row, strongest: 0.0 };
            let run = self.run.get_or_insert(new);
            (run.last, run.torn, run.row) = (at, run.torn + 1, seam.row);
            run.strongest = run.strongest.max(seam.excess);
        } else if let Some(run) = self.run.filter(|run| !self.suspect && at.since(run.last) > GAP) {
            (self.run, self.ended) = (None, Some(run.last));
        }
        self.say(seam.is_some() && near)
    }

    /// Pictures seen lightly count as the last one in full: those behind a suspicion alone would make a share of their own.
    fn count(&mut self) {
        if let Some(run) = &mut self.run {
            run.lively += u32::from(self.moves);
        }
    }

    /// Whether only pictures seen in full can decide.
    pub fn wants_full(&self) -> bool {
        self.suspect || self.run.is_some_and(|run| run.torn < PICTURES)
    }

    fn torn(&self, features: &VideoFeatures) -> Option<Seam> {
        let weave = &features.weave;
        // Woven fields break all rows.
        if features.decode.any() || weave.combed * 20 > weave.moving || weave.moving < LIVELY {
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
    outstanding && broken && seam.moving >= MOVING && seam.one_sided < ONE_SIDED && !seam.carried
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer, at};

    /// Numbers of the pictures of which tearing was said, and since when.
    fn watch(pictures: usize, picture: impl Fn(usize) -> Picture) -> (Vec<usize>, Option<MediaTime>) {
        let (mut analyzer, mut tearing) = (analyzer(), Tearing::default());
        let (mut torn, mut since) = (Vec::new(), None);
        for n in 0..pictures {
            let said = tearing.observe(analyzer.analyze(picture(n).frame(n)));
            if said.presence == Presence::Present {
                torn.push(n);
                since = said.since;
            }
        }
        (torn, since)
    }

    fn pan(n: usize) -> Picture {
        Picture::hills(6.0 * n as f64)
    }

    #[test]
    fn an_earlier_moment_below_a_row_that_drifts_is_torn() {
        for drift in [7, 11] {
            let torn = watch(40, |n| if n < 10 { pan(n) } else { pan(n).below(10 + drift * n % 160, &pan(n - 3)) });
            assert!(torn.0.len() > 10 && torn.1 == Some(at(10)), "{drift}: {torn:?}");
        }
    }

    #[test]
    fn a_row_that_stays_is_torn_where_the_rows_go_on_in_an_earlier_picture() {
        let (torn, since) = watch(40, |n| if n < 10 { pan(n) } else { pan(n).below(101, &pan(n - 2)) });
        assert!(torn.len() > 10 && since == Some(at(10)), "{torn:?}");
    }

    #[test]
    fn pictures_that_were_not_seen_one_after_the_other_only_raise_a_suspicion() {
        let torn = |n: usize| if n < 10 { pan(n) } else { pan(n).below(10 + 7 * n % 160, &pan(n - 3)) };
        // Every second picture in full; then whatever the detector wants.
        for heard in [false, true] {
            let (mut analyzer, mut tearing) = (analyzer(), Tearing::default());
            let mut told = 0;
            for n in 0..60 {
                let full = n % 2 == 0 || (heard && tearing.wants_full());
                let depth = if full { Depth::Full } else { Depth::Light };
                told +=
                    usize::from(tearing.observe(analyzer.look(torn(n).frame(n), depth)).presence == Presence::Present);
            }
            assert_eq!(told > 10, heard, "{told}");
        }
    }

    #[test]
    fn captions_and_tilts_are_not_torn() {
        let caption = |x: usize, y: usize| (y >= 150).then_some(if (x / 9).is_multiple_of(3) { 220.0 } else { 60.0 });
        assert!(watch(60, |n| if n < 10 { pan(n) } else { pan(n).over(caption) }).0.is_empty());
        let tilt = |n: usize| {
            Picture::new(move |x, y| {
                let y = y + 3 * n;
                let ground = if (y / 70).is_multiple_of(2) { 60.0 } else { 190.0 };
                ground + 30.0 * (x as f64 / 5.0 + (y / 70) as f64).sin()
            })
        };
        assert!(watch(60, tilt).0.is_empty());
    }

    #[test]
    fn a_still_picture_cannot_be_told_to_be_torn() {
        assert!(watch(40, |n| pan(5).below(10 + 7 * n % 160, &pan(5))).0.is_empty());
    }
}
