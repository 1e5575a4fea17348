//! The life of incidents: causes hide effects, what is news becomes an alert.

use super::line::{Cover, Line, Open, Step};
use super::mask::hides;
use super::settings::Settings;
use super::{Alert, ClearedBy, Transition};
use crate::detect::{Defect, Observation, Severity};
use crate::ids::{IncidentId, IncidentIds, SourceId};
use crate::time::Stamp;

/// All incidents of one source.
///
/// Each defect has at most one open incident: raised once its hold time is over, updated at most every 10 s, cleared
/// once. A defect that a cause explains is not raised while the cause is there, and counts anew when it has gone; if
/// it was open it is cleared as soon as the cause is raised. A line that flaps makes six raises one after the other,
/// then one every two minutes: in between, the open incident stays open and holds all of them.
#[derive(Clone, Debug)]
pub struct Incidents {
    source: SourceId,
    ids: IncidentIds,
    lines: Vec<Line>,
    /// Wall clock less arrival, ms, where the clock is trusted.
    clock: Option<i64>,
}

impl Incidents {
    /// For the enabled defects of `settings`.
    pub fn new(source: SourceId, ids: IncidentIds, settings: &Settings) -> Self {
        let lines = Defect::ALL
            .into_iter()
            .filter_map(|defect| settings.hold(defect).map(|hold| Line::new(defect, hold)))
            .collect();
        Self { source, ids, lines, clock: None }
    }

    /// Wall clock less [`crate::time::Mono`], ms, where the clock is trusted: for hours of the day.
    pub fn set_clock(&mut self, clock: Option<i64>) {
        self.clock = clock;
    }

    /// Takes what the detectors said of one unit, so that a cause can hide its effects, and appends what is news.
    pub fn update(&mut self, at: Stamp, observations: &[Observation], alerts: &mut Vec<Alert>) {
        for observation in observations {
            if let Some(line) = self.lines.iter_mut().find(|line| line.defect == observation.defect) {
                line.seen = Some(*observation);
            }
        }
        // Lines stand causes first, so that a cause decides before what it hides.
        for index in 0..self.lines.len() {
            let cover = self.cover(index);
            let touched = observations.iter().any(|seen| seen.defect == self.lines[index].defect);
            if touched || cover != Cover::None {
                let step = self.lines[index].step(at.at, cover);
                self.tell(index, at, step, alerts);
            }
        }
    }

    /// Ends all that is open, because the source ended. What was good already has recovered.
    pub fn finish(&mut self, at: Stamp, by: ClearedBy, alerts: &mut Vec<Alert>) {
        for index in 0..self.lines.len() {
            let step = self.lines[index].end(at.at, by);
            self.tell(index, at, step, alerts);
        }
    }

    /// Open incidents: id, defect, severity.
    pub fn open(&self) -> impl Iterator<Item = (&IncidentId, Defect, Severity)> {
        self.lines.iter().filter_map(|line| line.open().map(|open| (&open.id, line.defect, open.severity)))
    }

    /// Whether a defect is seen that is not raised yet.
    pub fn is_pending(&self) -> bool {
        self.lines.iter().any(Line::is_pending)
    }

    /// Whether `defect` is seen now, or its incident is open.
    pub fn is_seen(&self, defect: Defect) -> bool {
        self.lines.iter().any(|line| line.defect == defect && line.is_seen())
    }

    /// Whether a cause explains this line's defect now; notes with the cause that it does.
    fn cover(&mut self, index: usize) -> Cover {
        let (effect, seen) = (self.lines[index].defect, self.lines[index].is_seen());
        let mut cover = Cover::None;
        for cause in self.lines[..index].iter_mut().filter(|cause| cause.is_present() && explains(cause, effect)) {
            cause.masked[effect as usize] |= seen;
            cover = match (cause.is_raised(), cause.defect) {
                (true, Defect::StreamLoss) => return Cover::Raised(ClearedBy::SourceLost),
                (true, _) => Cover::Raised(ClearedBy::Masked),
                (false, _) if cover == Cover::None => Cover::Candidate,
                (false, _) => cover,
            };
        }
        cover
    }

    fn tell(&mut self, index: usize, at: Stamp, step: Step, alerts: &mut Vec<Alert>) {
        let line = &mut self.lines[index];
        let (open, transition) = match step {
            Step::Rest => return,
            Step::Raise { onset } => {
                line.raise(self.ids.next_id(), at.at, onset);
                self.note_masked(index);
                (self.lines[index].open().cloned(), Transition::Raised)
            }
            Step::Update => (line.open().cloned(), Transition::Updated),
            Step::Clear { end, by } => (line.take(), Transition::Cleared { end, by }),
        };
        if let Some(open) = open {
            alerts.push(self.alert(index, at, open, transition));
        }
        if matches!(step, Step::Clear { .. }) {
            self.lines[index].forget();
        }
    }

    /// What is there at the raise and explained by it, although later lines have not moved on yet.
    fn note_masked(&mut self, index: usize) {
        let (upto, after) = self.lines.split_at_mut(index + 1);
        let Some(cause) = upto.last_mut() else { return };
        for effect in after.iter().filter(|line| line.is_seen()).map(|line| line.defect) {
            let explained = explains(cause, effect);
            cause.masked[effect as usize] |= explained;
        }
    }

    fn alert(&self, index: usize, at: Stamp, open: Open, transition: Transition) -> Alert {
        let line = &self.lines[index];
        // What was decided on: when it is over, the measure that says so; the words stay those of the defect.
        let seen = line.seen.unwrap_or(open.last);
        Alert {
            text: text(&open, &seen, &transition),
            id: open.id,
            source: self.source.clone(),
            defect: line.defect,
            transition,
            severity: open.severity,
            at,
            onset: open.onset,
            value: seen.value,
            threshold: seen.threshold,
            unit: seen.unit,
            confidence: open.last.confidence,
            region: open.last.region,
            masks: Defect::ALL.into_iter().filter(|&effect| line.masked[effect as usize]).collect(),
            evidence: None,
        }
    }
}

/// Whether `effect` needs no alert of its own while `cause` is there.
fn explains(cause: &Line, effect: Defect) -> bool {
    hides(cause.defect, effect) && cause.seen.is_some_and(|seen| seen.scope.covers(effect.scope()))
}

fn text(open: &Open, seen: &Observation, transition: &Transition) -> String {
    match transition {
        Transition::Raised | Transition::Updated => {
            let (value, limit, unit) = (seen.value, seen.threshold, seen.unit);
            format!("{} ({value:.2} {unit}, limit {limit:.2} {unit})", seen.phrase)
        }
        Transition::Cleared { end, by: ClearedBy::Recovered } => {
            format!("{} no longer, after {:.1} s", open.last.phrase, end.since(open.onset).as_secs_f64())
        }
        Transition::Cleared { end, by } => {
            let lasted = end.since(open.onset).as_secs_f64();
            format!(
                "{} for {lasted:.1} s, then not followed further ({})",
                open.last.phrase,
                by.name().replace('_', " ")
            )
        }
    }
}
