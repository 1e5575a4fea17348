//! Macroblock damage: what the decoder tells, and what can be seen.
//!
//! Seen are sharp steps that meet on the macroblock grid and that were not there a picture ago. Motion, noise and
//! texture make such steps on any lattice, so only what the grid has in excess counts; coders at low rates make them
//! on the grid all the time, so it must be more than the source's own usual. Damage is judged over several pictures,
//! because a cut, a flash or a window that opens makes edges once, and it ends when the edges are gone: a decoder
//! mends all of it at the next key picture. The decoder's own word lowers the limits, and where it says that it
//! conceals, the defect is there even when nothing can be seen, as a minor one.

mod lattice;
mod marks;
#[cfg(test)]
mod tests;

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{Depth, Grid, VideoFeatures};
use crate::frame::DecodeEvidence;
use crate::time::MediaTime;
use lattice::Corners;
use marks::Marks;
use std::time::Duration;

/// Corners are averaged over about this many pictures, and over no less than this time: one picture proves nothing.
const PICTURES: f64 = 4.0;
/// As above.
const AVERAGE: Duration = Duration::from_millis(160);
/// What a source usually shows is averaged over this time.
const USUAL: Duration = Duration::from_secs(2);
/// An edge level is unusual above the mean by this many mean deviations.
const DEVIATIONS: f64 = 2.0;
/// While damage is believed, "usual" follows so much more slowly: a new scene with many edges is accepted in the end.
const RELUCTANCE: f64 = 6.0;
/// A picture's corners count up to here, %: a single one must not decide by size.
const CLIP: f64 = 4.0;

/// Mean share of new corners that shows damage, % of cells, and in cells: fewer may be chance.
const NEW: Limit = Limit { share: 0.2, cells: 2.0, per_edges: 0.1, per_new: 1.5 };
/// Mean share of sharp new corners that shows damage without regard to what is visible after a cut.
const SHARP: Limit = Limit { share: 0.3, cells: 2.5, per_edges: 0.1, per_new: 1.0 };
/// Visible corners above the usual, % and cells, and per % of the usual.
const RISE: Limit = Limit { share: 0.3, cells: 3.0, per_edges: 0.3, per_new: 0.0 };
/// Sharp corners need so much of a rise only, %.
const RISE_SHARP: f64 = 0.3;
/// Limits are this much lower while the stream is known to be damaged.
const SUSPECTED: f64 = 0.35;
/// Damage that is believed needs only so much of the limits to go on.
const GO_ON: f64 = 0.6;
/// Pictures after a cut in which edges of the new scene are no evidence.
const AFTER_CUT: u32 = 3;
/// Pictures that tell what is usual.
const WARM_UP: f64 = 8.0;

/// Damage began when its first edges were seen, but they belong to the programme when they are older than this.
const ONSET_MAX: Duration = Duration::from_millis(600);
/// Share of the limit that first edges have.
const ONSET: f64 = 0.3;
/// Edges gone for this long: mended.
const MENDED: Duration = Duration::from_millis(300);
/// Evidence belongs to a picture that comes out of the decoder up to this much later: a key picture before that does
/// not mend it.
const REORDER: Duration = Duration::from_millis(200);
/// Not all decoders mark pictures (HEVC): where video packets are damaged and pictures go on for this long, some of
/// them show it. A stream that ends instead is lost, not damaged.
const GOES_ON: Duration = Duration::from_millis(250);
/// What pixels alone tell is minor until it has lasted this long, ...
const ALONE: Duration = Duration::from_secs(2);
/// ... and where it covers this much of the picture, %: damage leaves parts whole, while edges all over are how the
/// programme is drawn, or how a starving coder draws it.
const ALL_OVER: f64 = 66.0;
/// Pictures further apart than this are no stream that goes on.
const GAP: Duration = Duration::from_millis(500);
/// What the decoder tells is said after this time, when it is known whether and where it shows.
const SHOWS: Duration = Duration::from_millis(400);
/// Decoders also complain where streams are joined; a stream is damaged that they complain of in so many pictures.
const COMPLAINTS: u32 = 3;
/// Without a key picture (intra refresh), damage is mended after the longest refresh in use.
const REFRESH: Duration = Duration::from_secs(10);

/// A change by this much per sample, three times that of the pictures before, with cell means that correlate less
/// than this, is a cut.
const CUT: (f64, f64, f64) = (12.0, 3.0, 0.6);
/// Pictures that "before" covers.
const BEFORE: usize = 8;

/// Damage that few would see, and from where the programme is spoilt or gone, % of the picture.
const AREA: (f64, f64, f64) = (0.4, 2.0, 15.0);

/// A limit that grows with what the source usually shows.
#[derive(Clone, Copy)]
struct Limit {
    share: f64,
    cells: f64,
    per_edges: f64,
    per_new: f64,
}

/// Usual corners of a source, %.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    visible: f64,
    deviation: f64,
    new: f64,
    pictures: f64,
}

/// What transport and decoder told, until a key picture mends it.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    since: MediaTime,
    last: MediaTime,
    /// Pictures with damaged packets, and with complaints of the decoder.
    packets: u32,
    complaints: u32,
    /// It is damage for certain.
    certain: bool,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct BlockCorruption {
    grid: Grid,
    marks: Marks,
    usual: Usual,
    /// Averages over the last pictures.
    recent: Corners,
    /// Since when `recent` has been unusual.
    rising: Option<MediaTime>,
    /// When damage began and was last seen, while it is believed.
    began: MediaTime,
    seen: Option<MediaTime>,
    sharp: bool,
    suspicion: Option<Suspicion>,
    /// The decoder told of damage that has not been said yet.
    owed: Option<MediaTime>,
    changes: heapless::Deque<f64, BEFORE>,
    since_cut: u32,
    last: MediaTime,
    last_in_full: MediaTime,
}

impl BlockCorruption {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first || features.grid != self.grid {
            self.restart(features);
            return self.say(None);
        }
        self.suspect(features, at.since(self.last));
        self.last = at;
        if features.depth == Depth::Light {
            // Nothing of this one was measured that could show damage: what was, goes on.
            return self.say(None);
        }
        let was = self.seen;
        let passed = at.since(self.last_in_full);
        self.last_in_full = at;
        self.see(features, passed);
        self.marks_of(features);
        let ended = was.filter(|_| self.seen.is_none());
        self.say(ended)
    }

    /// Whether there is something to be decided that only pictures seen in full can decide.
    pub fn wants_full(&self) -> bool {
        self.rising.is_some() || self.seen.is_some() || self.suspicion.is_some()
    }

    /// The damaged cells of the last picture, row by row: one entry per cell.
    pub fn flagged(&self) -> &[bool] {
        self.marks.flagged()
    }

    fn restart(&mut self, features: &VideoFeatures) {
        let mut marks = std::mem::take(&mut self.marks);
        if features.grid == self.grid {
            marks.clear();
        } else {
            marks.resize(features.grid);
        }
        let at = features.stamp.at;
        *self = Self { grid: features.grid, marks, last: at, last_in_full: at, ..Self::default() };
        self.recent.visible = Corners::count(features.grid, &features.lines).visible;
        self.usual.visible = self.recent.visible;
    }

    /// Keeps what transport and decoder told until a key picture.
    fn suspect(&mut self, features: &VideoFeatures, passed: Duration) {
        let (at, told) = (features.stamp.at, features.decode);
        let over = |doubt: &Suspicion| {
            let mended = features.intra && !told.any() && at.since(doubt.last) > REORDER;
            mended || at.since(doubt.last) > REFRESH || (passed > GAP && !doubt.certain)
        };
        if self.suspicion.as_ref().is_some_and(over) {
            self.suspicion = None;
        }
        if told.any() {
            let new = Suspicion { since: at, last: at, packets: 0, complaints: 0, certain: false };
            let doubt = self.suspicion.get_or_insert(new);
            doubt.last = at;
            doubt.packets += u32::from(told.packets > 0);
            doubt.complaints += u32::from(told.messages > 0);
            if is_visible(told) {
                self.owed.get_or_insert(at);
                if !doubt.certain {
                    (doubt.since, doubt.certain) = (at, true);
                }
            }
        }
        if let Some(doubt) = self.suspicion.as_mut().filter(|doubt| !doubt.certain) {
            let damaged = doubt.packets > 0 || doubt.complaints >= COMPLAINTS;
            if damaged && at.since(doubt.since) >= GOES_ON {
                doubt.certain = true;
                self.owed.get_or_insert(at);
            }
        }
    }

    /// `passed`: since the last picture in full.
    fn see(&mut self, features: &VideoFeatures, passed: Duration) {
        let at = features.stamp.at;
        // What begins between pictures that are far apart is seen late.
        let onset_max = ONSET_MAX.max(passed.mul_f64(PICTURES));
        let passed = passed.as_secs_f64();
        let corners = Corners::count(self.grid, &features.lines);
        let cut = self.is_cut(features);
        self.since_cut = if cut { 0 } else { self.since_cut.saturating_add(1) };
        if cut {
            // Another scene has other edges: what it shows first is its usual.
            self.usual.visible = corners.visible;
            self.recent.visible = corners.visible;
        }
        let part = (passed / AVERAGE.as_secs_f64()).clamp(0.01, 1.0 / PICTURES);
        let new = |share: f64| if cut { 0.0 } else { share.min(CLIP) };
        let (recent, shifted) = (&mut self.recent, corners.shifted);
        for (recent, now) in [
            (&mut recent.new, new(corners.new)),
            (&mut recent.sharp, new(corners.sharp)),
            (&mut recent.visible, corners.visible),
            (&mut recent.shifted.new, new(shifted.new)),
            (&mut recent.shifted.sharp, new(shifted.sharp)),
            (&mut recent.shifted.visible, shifted.visible),
        ] {
            *recent += (now - *recent) * part;
        }
        self.judge(at, corners, onset_max);
        self.learn(corners, cut, passed);
    }

    /// Whether the averages show damage, or go on doing so.
    fn judge(&mut self, at: MediaTime, corners: Corners, onset_max: Duration) {
        let rise = self.recent.visible - self.usual_level();
        let doubt = if self.suspicion.is_some() { SUSPECTED } else { 1.0 };
        // There must be twice as many corners on the grid as on any other lattice: texture has them by chance.
        let shifted = self.recent.shifted;
        let over = |value: f64, limit: Limit, chance: f64, factor: f64| {
            value > (self.limit(limit) + chance) * factor
        };
        let known = self.usual.pictures >= WARM_UP;
        let sharp = over(self.recent.sharp, SHARP, shifted.sharp, doubt) && rise > RISE_SHARP * doubt && known;
        let settled = self.since_cut > AFTER_CUT && known;
        let soft = over(self.recent.new, NEW, shifted.new, doubt) && over(rise, RISE, shifted.visible, doubt) && settled;
        let onset = over(self.recent.new, NEW, shifted.new, ONSET * doubt);
        // Averages outlive what they are of.
        let left = rise.min(corners.visible - self.usual_level());
        let goes_on = over(left, RISE, shifted.visible, GO_ON) || over(self.recent.new, NEW, shifted.new, doubt);
        if !onset {
            self.rising = None;
        } else if self.rising.is_none() {
            self.rising = Some(at);
        }
        match self.seen {
            None if sharp || soft => {
                self.seen = Some(at);
                self.began = self.rising.unwrap_or(at).max(at.minus(onset_max));
                self.sharp = sharp;
            }
            None => {}
            Some(_) if goes_on => {
                self.seen = Some(at);
                self.sharp |= sharp;
            }
            Some(seen) if at.since(seen) > MENDED => {
                self.seen = None;
                self.recent = Corners { visible: self.usual.visible, ..Corners::default() };
            }
            Some(_) => {}
        }
    }

    /// What belongs to the programme.
    fn learn(&mut self, corners: Corners, cut: bool, passed: f64) {
        let part = passed / USUAL.as_secs_f64();
        let usual = &mut self.usual;
        if self.seen.is_some() {
            usual.visible += (corners.visible - usual.visible) * (part / RELUCTANCE).min(1.0);
            return;
        }
        usual.pictures += 1.0;
        let part = part.max(1.0 / usual.pictures).min(1.0);
        usual.deviation += ((corners.visible - usual.visible).abs() - usual.deviation) * part;
        usual.visible += (corners.visible - usual.visible) * part;
        if !cut {
            usual.new += (corners.new.min(CLIP) - usual.new) * part;
        }
    }

    fn usual_level(&self) -> f64 {
        self.usual.visible + DEVIATIONS * self.usual.deviation
    }

    fn limit(&self, limit: Limit) -> f64 {
        let least = limit.share.max(limit.cells * 100.0 / self.grid.len().max(1) as f64);
        least + limit.per_edges * self.usual_level() + limit.per_new * self.usual.new
    }

    fn is_cut(&mut self, features: &VideoFeatures) -> bool {
        let mut before: heapless::Vec<f64, BEFORE> = self.changes.iter().copied().collect();
        before.sort_unstable_by(f64::total_cmp);
        let usual = before.get(before.len() / 2).copied().unwrap_or(0.0);
        if self.changes.is_full() {
            self.changes.pop_front();
        }
        let _ = self.changes.push_back(features.sad_mean);
        features.sad_mean > CUT.0 && features.sad_mean > CUT.1 * usual && features.alike_in_full < CUT.2
    }

    fn marks_of(&mut self, features: &VideoFeatures) {
        if self.seen.is_some() || self.suspicion.is_some() || self.rising.is_some() {
            self.marks.look(features);
        } else {
            self.marks.clear();
        }
    }

    fn say(&mut self, ended: Option<MediaTime>) -> Observation {
        let certain = self.suspicion.filter(|doubt| doubt.certain);
        let due = |owed: &MediaTime| self.last.since(*owed) >= SHOWS || self.suspicion.is_none();
        let owed = self.owed.filter(due);
        let present = self.seen.is_some() || owed.is_some();
        if present {
            self.owed = None;
        }
        let since = [self.seen.map(|_| self.began), certain.map(|doubt| doubt.since), owed];
        let presence = if present {
            Presence::Present
        } else if certain.is_some() {
            Presence::Unclear
        } else {
            Presence::Absent
        };
        let area = if self.seen.is_some() { self.marks.area() } else { 0.0 };
        let (confidence, phrase) = match (self.seen.is_some(), certain.is_some(), self.suspicion.is_some()) {
            (true, true, _) => (0.98, "damaged stream shows as broken blocks"),
            (true, false, true) => (0.9, "damaged stream shows as broken blocks"),
            (true, false, false) if self.sharp => (0.85, "picture has damaged blocks"),
            (true, false, false) => (0.65, "picture has damaged blocks"),
            (false, ..) => (0.6, "decoder conceals damage"),
        };
        // Lines and lattices of some programmes look like damage for a moment, and there is no other witness.
        let brief = self.last.since(self.began) < ALONE;
        let doubtful = self.suspicion.is_none() && (brief || area >= ALL_OVER);
        Observation {
            defect: Defect::BlockCorruption,
            scope: Scope::Picture,
            presence,
            since: if present { since.into_iter().flatten().min() } else { ended },
            severity: if doubtful { Severity::Minor } else { severity(area) },
            value: area,
            threshold: AREA.0,
            unit: "%",
            confidence: Some(confidence),
            region: if present { self.marks.region() } else { None },
            levels: None,
            phrase,
            change: None,
        }
    }
}

fn severity(area: f64) -> Severity {
    if area >= AREA.2 {
        Severity::Critical
    } else if area >= AREA.1 {
        Severity::Major
    } else {
        Severity::Minor
    }
}

/// Whether the decoder says of this very picture that it shows damage. Messages and packets alone do not.
fn is_visible(told: DecodeEvidence) -> bool {
    told.corrupt || told.concealed
}
