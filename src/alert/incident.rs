//! The life of incidents: hold times, masking, updates. The only place where a defect's seconds are counted.

use super::mask::hides;
use super::settings::{Hold, Settings};
use super::{Alert, ClearedBy, Transition};
use crate::detect::{Defect, Observation, Presence, Severity};
use crate::ids::IncidentId;
use crate::ids::{IncidentIds, SourceId};
use crate::time::{MediaTime, Stamp};
use std::time::Duration;

/// An open incident tells of a change at most this often (contract, events).
const UPDATE_EVERY: Duration = Duration::from_secs(10);
/// A measure that grew by this factor is a change of reach worth telling.
const REACH_FACTOR: f64 = 2.0;

#[derive(Clone, Debug)]
enum Phase {
    /// Nothing wrong.
    Clear,
    /// Seen, not yet for long enough.
    Pending { onset: MediaTime },
    /// Raised.
    Open(Open),
    /// Raised, and good since.
    Closing(Open, MediaTime),
}

#[derive(Clone, Debug)]
struct Open {
    id: IncidentId,
    onset: MediaTime,
    told: MediaTime,
    severity: Severity,
    value: f64,
}

#[derive(Clone, Debug)]
struct Line {
    defect: Defect,
    hold: Hold,
    phase: Phase,
    seen: Option<Observation>,
}

/// All incidents of one source.
#[derive(Clone, Debug)]
pub struct Incidents {
    source: SourceId,
    ids: IncidentIds,
    lines: Vec<Line>,
}

impl Incidents {
    /// For the enabled defects of `settings`.
    pub fn new(source: SourceId, ids: IncidentIds, settings: &Settings) -> Self {
        let lines = Defect::ALL
            .into_iter()
            .filter_map(|defect| {
                settings.hold(defect).map(|hold| Line { defect, hold, phase: Phase::Clear, seen: None })
            })
            .collect();
        Self { source, ids, lines }
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
            let touched = observations.iter().any(|seen| seen.defect == self.lines[index].defect);
            if touched || self.hidden(index) {
                self.advance(index, at, alerts);
            }
        }
    }

    /// Ends all that is open, because the source ended.
    pub fn finish(&mut self, at: Stamp, by: ClearedBy, alerts: &mut Vec<Alert>) {
        for index in 0..self.lines.len() {
            self.close(index, at, at.at, by, alerts);
        }
    }

    /// Open incidents: id, defect, severity.
    pub fn open(&self) -> impl Iterator<Item = (&IncidentId, Defect, Severity)> {
        self.lines.iter().filter_map(|line| match &line.phase {
            Phase::Open(open) | Phase::Closing(open, _) => Some((&open.id, line.defect, open.severity)),
            Phase::Clear | Phase::Pending { .. } => None,
        })
    }

    /// Whether a cause that is present now explains this line's defect.
    fn hidden(&self, index: usize) -> bool {
        let effect = self.lines[index].defect;
        self.lines.iter().any(|line| line.explains(effect) && line.is_present())
    }

    /// Whether a cause of it has been raised.
    fn hidden_by_raised(&self, index: usize) -> bool {
        let effect = self.lines[index].defect;
        self.lines.iter().any(|line| line.explains(effect) && matches!(line.phase, Phase::Open(_)))
    }

    fn advance(&mut self, index: usize, at: Stamp, alerts: &mut Vec<Alert>) {
        if self.hidden(index) {
            return self.hide(index, at, alerts);
        }
        let Some(seen) = self.lines[index].seen else { return };
        let hold = self.lines[index].hold;
        match (self.lines[index].phase.clone(), seen.presence) {
            (Phase::Clear, Presence::Present) => {
                let onset = seen.since.unwrap_or(at.at).min(at.at);
                self.lines[index].phase = Phase::Pending { onset };
                self.raise_when_due(index, at, onset, hold, alerts);
            }
            (Phase::Pending { onset }, Presence::Present) => self.raise_when_due(index, at, onset, hold, alerts),
            (Phase::Pending { .. }, Presence::Absent) => self.lines[index].phase = Phase::Clear,
            (Phase::Open(open), Presence::Present) => self.tell_change(index, at, open, alerts),
            (Phase::Open(open), Presence::Absent) => {
                let good = seen.since.unwrap_or(at.at).max(open.onset).min(at.at);
                self.lines[index].phase = Phase::Closing(open, good);
                self.clear_when_due(index, at, good, hold, alerts);
            }
            (Phase::Closing(open, _), Presence::Present) => self.lines[index].phase = Phase::Open(open),
            (Phase::Closing(_, good), Presence::Absent) => self.clear_when_due(index, at, good, hold, alerts),
            (Phase::Clear, Presence::Absent) | (_, Presence::Unclear) => {}
        }
    }

    fn raise_when_due(&mut self, index: usize, at: Stamp, onset: MediaTime, hold: Hold, alerts: &mut Vec<Alert>) {
        let Some(seen) = self.lines[index].seen else { return };
        if at.at.since(onset) < hold.raise_after {
            return;
        }
        let open = Open { id: self.ids.next_id(), onset, told: at.at, severity: seen.severity, value: seen.value };
        let mut alert = self.alert(index, at, &open, &seen, Transition::Raised);
        alert.masks = self
            .lines
            .iter()
            .filter(|line| self.lines[index].explains(line.defect) && line.is_present())
            .map(|line| line.defect)
            .collect();
        self.lines[index].phase = Phase::Open(open);
        alerts.push(alert);
    }

    fn tell_change(&mut self, index: usize, at: Stamp, mut open: Open, alerts: &mut Vec<Alert>) {
        let Some(seen) = self.lines[index].seen else { return };
        let worse = seen.severity > open.severity;
        let wider = open.value > 0.0 && seen.value > open.value * REACH_FACTOR;
        if (worse || wider) && at.at.since(open.told) >= UPDATE_EVERY {
            open.told = at.at;
            open.severity = open.severity.max(seen.severity);
            open.value = seen.value;
            alerts.push(self.alert(index, at, &open, &seen, Transition::Updated));
            self.lines[index].phase = Phase::Open(open);
        }
    }

    fn clear_when_due(&mut self, index: usize, at: Stamp, good: MediaTime, hold: Hold, alerts: &mut Vec<Alert>) {
        if at.at.since(good) >= hold.clear_after {
            self.close(index, at, good, ClearedBy::Recovered, alerts);
        }
    }

    /// A cause explains this defect: it is not raised, and ends when the cause is.
    fn hide(&mut self, index: usize, at: Stamp, alerts: &mut Vec<Alert>) {
        match self.lines[index].phase {
            // When the cause goes, the effect counts from then.
            Phase::Pending { .. } => self.lines[index].phase = Phase::Pending { onset: at.at },
            Phase::Open(_) | Phase::Closing(..) if self.hidden_by_raised(index) => {
                let lost = self.lines.iter().any(|line| line.defect == Defect::StreamLoss && line.is_present());
                let by = if lost { ClearedBy::SourceLost } else { ClearedBy::Masked };
                self.close(index, at, at.at, by, alerts);
            }
            Phase::Open(_) | Phase::Closing(..) | Phase::Clear => {}
        }
    }

    fn close(&mut self, index: usize, at: Stamp, end: MediaTime, by: ClearedBy, alerts: &mut Vec<Alert>) {
        let phase = std::mem::replace(&mut self.lines[index].phase, Phase::Clear);
        let open = match phase {
            Phase::Open(open) => open,
            Phase::Closing(open, good) => {
                if let Some(seen) = self.lines[index].seen {
                    let transition = Transition::Cleared { end: good, by: ClearedBy::Recovered };
                    alerts.push(self.alert(index, at, &open, &seen, transition));
                }
                return;
            }
            Phase::Clear | Phase::Pending { .. } => return,
        };
        if let Some(seen) = self.lines[index].seen {
            alerts.push(self.alert(index, at, &open, &seen, Transition::Cleared { end: end.max(open.onset), by }));
        }
    }

    fn alert(&self, index: usize, at: Stamp, open: &Open, seen: &Observation, transition: Transition) -> Alert {
        Alert {
            id: open.id.clone(),
            source: self.source.clone(),
            defect: self.lines[index].defect,
            transition,
            severity: open.severity,
            at,
            onset: open.onset,
            value: seen.value,
            threshold: seen.threshold,
            unit: seen.unit,
            confidence: seen.confidence,
            region: seen.region,
            text: text(&open.onset, seen, &transition),
            masks: Vec::new(),
            evidence: None,
        }
    }
}

impl Line {
    /// Whether `effect` needs no alert of its own while this is there.
    fn explains(&self, effect: Defect) -> bool {
        hides(self.defect, effect) && self.seen.is_some_and(|seen| seen.scope.covers(effect.scope()))
    }

    fn is_present(&self) -> bool {
        match self.phase {
            Phase::Open(_) => true,
            Phase::Pending { .. } => self.seen.is_some_and(|seen| seen.presence == Presence::Present),
            Phase::Clear | Phase::Closing(..) => false,
        }
    }
}

fn text(onset: &MediaTime, seen: &Observation, transition: &Transition) -> String {
    match transition {
        Transition::Raised | Transition::Updated => {
            let (value, limit, unit) = (seen.value, seen.threshold, seen.unit);
            format!("{} ({value:.2} {unit}, limit {limit:.2} {unit})", seen.phrase)
        }
        Transition::Cleared { end, by } => {
            let lasted = end.since(*onset).as_secs_f64();
            format!("{} no longer, after {lasted:.1} s ({})", seen.phrase, by.name().replace('_', " "))
        }
    }
}
