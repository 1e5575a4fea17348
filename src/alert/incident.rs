//! The life of incidents: causes hide effects, what is news becomes an alert.

use super::line::{Cover, Line, Open, Step};
use super::mask::hides;
use super::settings::Settings;
use super::storm::{Held, Storm};
use super::{Alert, ClearedBy, Expected, Transition};
use crate::detect::{Defect, Observation, Severity};
use crate::ids::{IncidentId, IncidentIds, SourceId};
use crate::time::{MediaTime, Stamp};

/// All incidents of one source.
///
/// Each defect has at most one open incident: raised once its hold time is over, updated at most every 10 s, cleared
/// once. A defect that a cause explains is not raised while the cause is there. Once the cause is raised it is forgotten, or
/// cleared if it was open, and counts anew when the cause has gone. A line that flaps makes six raises one after the other,
/// then one every two minutes: in between, the open incident stays open and holds all of them. All lines together make
/// 20 raises in ten minutes and no more: what is not critical is then held back, and told summed up when it is calm.
/// What is expected at this hour is hidden as by a cause.
#[derive(Clone, Debug)]
pub struct Incidents {
    source: SourceId,
    ids: IncidentIds,
    lines: Vec<Line>,
    /// Wall clock less arrival, ms, where the clock is trusted.
    clock: Option<i64>,
    expected: Vec<Expected>,
    /// What is expected now, one bit a defect.
    expected_now: u32,
    storm: Storm,
}

/// What is seen and not raised yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What.
    pub defect: Defect,
    /// Since when.
    pub since: MediaTime,
}

impl Incidents {
    /// For the enabled defects of `settings`.
    pub fn new(source: SourceId, ids: IncidentIds, settings: &Settings) -> Self {
        let lines = Defect::ALL
            .into_iter()
            .filter_map(|defect| {
                let rule = *settings.rule(defect);
                rule.hold.map(|hold| Line::new(defect, hold, rule))
            })
            .collect();
        let (expected, storm) = (settings.expected.clone(), Storm::default());
        Self { source, ids, lines, clock: None, expected, expected_now: 0, storm }
    }

    /// Wall clock less [`crate::time::Mono`], ms, where the clock is trusted: for hours of the day.
    pub fn set_clock(&mut self, clock: Option<i64>) {
        self.clock = clock;
    }

    /// Takes what the detectors said of one unit, so that a cause can hide its effects, and appends what is news.
    pub fn update(&mut self, at: Stamp, observations: &[Observation], alerts: &mut Vec<Alert>) {
        for observation in observations {
            if let Some(line) = self.lines.iter_mut().find(|line| line.defect == observation.defect) {
                line.hear(*observation);
            }
        }
        self.storm.pass(at.at);
        self.look_at_the_clock(at);
        // Lines stand causes first, so that a cause decides before what it hides.
        for index in 0..self.lines.len() {
            let cover = match self.is_expected(self.lines[index].defect) {
                true => Cover::Raised(ClearedBy::Masked),
                false => self.cover(index),
            };
            let touched = observations.iter().any(|seen| seen.defect == self.lines[index].defect);
            if touched || matches!(cover, Cover::Raised(_)) {
                let step = self.lines[index].step(at.at, cover);
                self.tell(index, at, step, alerts);
            }
        }
        if self.storm.is_over() {
            self.tell_held(at, alerts);
        }
    }

    /// Ends all that is open, because the source ended. What was good already has recovered.
    pub fn finish(&mut self, at: Stamp, by: ClearedBy, alerts: &mut Vec<Alert>) {
        for index in 0..self.lines.len() {
            let step = self.lines[index].end(at.at, by);
            self.tell(index, at, step, alerts);
            self.lines[index].end_held(at.at);
        }
        self.tell_held(at, alerts);
    }

    /// What is seen and not raised yet.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.lines.iter().filter_map(|line| line.candidate().map(|since| Candidate { defect: line.defect, since }))
    }

    /// Open incidents: id, defect, severity.
    pub fn open(&self) -> impl Iterator<Item = (&IncidentId, Defect, Severity)> {
        self.lines.iter().filter_map(|line| line.open().map(|open| (&open.id, line.defect, open.severity)))
    }

    /// What each detector said last.
    pub fn said(&self) -> impl Iterator<Item = &Observation> {
        self.lines.iter().filter_map(|line| line.seen.as_ref())
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
        let expected_now = self.expected_now;
        for cause in self.lines[..index].iter_mut() {
            // What is meant to be has its effects too.
            let expected = expected_now >> cause.defect as u32 & 1 == 1 && cause.is_seen();
            if !(cause.is_present() || expected) || !explains(cause, effect) {
                continue;
            }
            cause.masked[effect as usize] |= seen && !expected;
            cover = match (cause.is_raised() || expected, cause.defect) {
                (true, Defect::StreamLoss) => return Cover::Raised(ClearedBy::SourceLost),
                (true, _) => Cover::Raised(ClearedBy::Masked),
                (false, _) if cover == Cover::None => Cover::Candidate,
                (false, _) => cover,
            };
        }
        cover
    }

    fn look_at_the_clock(&mut self, at: Stamp) {
        let Some(clock) = self.clock.filter(|_| !self.expected.is_empty()) else {
            self.expected_now = 0;
            return;
        };
        let now = clock + at.arrived.as_ms() as i64;
        let states = self.expected.iter().filter(|expected| expected.is_now(now)).flat_map(|expected| &expected.states);
        self.expected_now = states.fold(0, |all, state| all | 1 << *state as u32);
    }

    fn is_expected(&self, defect: Defect) -> bool {
        self.expected_now >> defect as u32 & 1 == 1
    }

    /// Tells what was held back: raised and cleared at once, for it is over.
    fn tell_held(&mut self, at: Stamp, alerts: &mut Vec<Alert>) {
        for line in &mut self.lines {
            let Some(Held { count, onset, end, last }) = line.take_held() else { continue };
            let lasted = end.since(onset).as_secs_f64();
            let often = if count == 1 { "once".to_owned() } else { format!("{count} times") };
            let raised = Alert {
                id: self.ids.next_id(),
                source: self.source.clone(),
                defect: line.defect,
                transition: Transition::Raised,
                severity: last.severity,
                at,
                onset,
                value: last.value,
                threshold: last.threshold,
                unit: last.unit,
                confidence: last.confidence,
                region: last.region,
                text: format!("{}: {often} in {lasted:.1} s, held back among too many alerts", last.phrase),
                masks: Vec::new(),
                evidence: None,
            };
            let cleared = Transition::Cleared { end, by: ClearedBy::Recovered };
            alerts.extend([raised.clone(), Alert { transition: cleared, ..raised }]);
        }
    }

    fn tell(&mut self, index: usize, at: Stamp, step: Step, alerts: &mut Vec<Alert>) {
        let line = &mut self.lines[index];
        let (open, transition) = match step {
            Step::Rest => return,
            Step::Raise { .. }
                if self.storm.is_on() && line.seen.is_some_and(|seen| seen.severity < Severity::Critical) =>
            {
                return line.hold_back();
            }
            Step::Raise { onset } => {
                self.storm.note(at.at);
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
        _ if open.last.change.is_some() => {
            let change = open.last.change.map(|change| change.to_string());
            format!("{} {}", open.last.phrase, change.unwrap_or_default())
        }
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
