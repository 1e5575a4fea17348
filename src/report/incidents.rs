//! The incidents that the page tells of: all while they are few, the worst when they are many.

use crate::alert::{Alert, ClearedBy, Transition};
use crate::detect::{Defect, Region, Severity};
use crate::ids::IncidentId;
use crate::time::MediaTime;
use std::cmp::Reverse;
use std::time::Duration;

/// Incidents shown with their pictures: at 32 KiB a picture they make the page 10 MB at most.
pub(super) const PICTURED_MAX: usize = 100;
/// Incidents listed: a table that nobody reads to its end.
pub(super) const LISTED_MAX: usize = 1_000;
/// Steps kept of one incident; they come when it gets worse, so that there are few.
const STEPS_MAX: usize = 8;

/// A picture with what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// "when it was raised".
    pub caption: &'static str,
    /// When.
    pub at: MediaTime,
    /// A whole JPEG file.
    pub jpeg: Vec<u8>,
}

/// A step in an incident's life.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// `raised`, `updated`, `cleared`.
    pub state: &'static str,
    /// When it was decided.
    pub at: MediaTime,
    /// Its line for people.
    pub text: String,
}

/// One incident, with the numbers of the step that told the worst.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Incident {
    /// 1 for the first that was raised.
    pub number: u64,
    pub id: IncidentId,
    pub defect: Defect,
    pub severity: Severity,
    pub onset: MediaTime,
    pub raised: MediaTime,
    /// `None` while it is open.
    pub end: Option<(MediaTime, ClearedBy)>,
    pub value: f64,
    pub threshold: f64,
    pub unit: &'static str,
    pub confidence: Option<f64>,
    pub region: Option<Region>,
    pub masks: Vec<Defect>,
    pub steps: Vec<Step>,
    pub pictures: Vec<Picture>,
    last: MediaTime,
}

impl Incident {
    /// From onset to end, or to the last step while it is open.
    pub fn duration(&self) -> Duration {
        self.end.map_or(self.last, |(end, _)| end).since(self.onset)
    }

    /// Worst first: by severity, then longest, then first.
    fn rank(&self) -> (Reverse<Severity>, Reverse<Duration>, u64) {
        (Reverse(self.severity), Reverse(self.duration()), self.number)
    }

    fn take(&mut self, alert: &Alert) {
        let state = state(&alert.transition);
        self.last = alert.at.at;
        self.severity = self.severity.max(alert.severity);
        self.masks = alert.masks.clone();
        if let Transition::Cleared { end, by } = alert.transition {
            self.end = Some((end, by));
        } else {
            // When it is over, the measure is that of a good unit: what decided stays.
            (self.value, self.threshold, self.unit) = (alert.value, alert.threshold, alert.unit);
            self.region = alert.region.or(self.region);
            self.confidence = alert.confidence;
        }
        if self.steps.len() < STEPS_MAX || self.end.is_some() {
            self.steps.push(Step { state, at: alert.at.at, text: alert.text.clone() });
        }
        self.pictures.extend(pictures(alert));
    }
}

/// The pictures that an alert carries.
fn pictures(alert: &Alert) -> impl Iterator<Item = Picture> {
    let caption = match alert.transition {
        Transition::Raised => "when it was raised",
        Transition::Updated => "when it got worse",
        Transition::Cleared { .. } => "when it was over",
    };
    alert.evidence.iter().map(move |evidence| Picture { caption, at: alert.at.at, jpeg: evidence.jpeg.clone() })
}

fn state(transition: &Transition) -> &'static str {
    match transition {
        Transition::Raised => "raised",
        Transition::Updated => "updated",
        Transition::Cleared { .. } => "cleared",
    }
}

/// All that were raised, in this order; the mildest are let go when they are many.
#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    kept: Vec<Incident>,
    /// Raised so far.
    pub count: u64,
    /// The worst of all.
    pub worst: Option<Severity>,
}

impl Incidents {
    /// Takes a step.
    pub fn take(&mut self, alert: &Alert) {
        self.worst = self.worst.max(Some(alert.severity));
        if alert.transition == Transition::Raised {
            self.begin(alert);
        }
        if let Some(incident) = self.kept.iter_mut().rev().find(|incident| incident.id == alert.id) {
            incident.take(alert);
        }
        // Not each time: finding the mildest of a thousand is dear.
        if self.kept.len() >= 2 * LISTED_MAX {
            self.limit(LISTED_MAX);
        }
        if self.kept.iter().filter(|incident| !incident.pictures.is_empty()).count() >= 2 * PICTURED_MAX {
            self.limit_pictures();
        }
    }

    fn begin(&mut self, alert: &Alert) {
        self.count += 1;
        self.kept.push(Incident {
            number: self.count,
            id: alert.id.clone(),
            defect: alert.defect,
            severity: alert.severity,
            onset: alert.onset,
            raised: alert.at.at,
            end: None,
            value: alert.value,
            threshold: alert.threshold,
            unit: alert.unit,
            confidence: None,
            region: None,
            masks: Vec::new(),
            steps: Vec::new(),
            pictures: Vec::new(),
            last: alert.at.at,
        });
    }

    /// Lets the mildest go; what is open stays, since nobody knows how long it will last.
    fn limit(&mut self, most: usize) {
        self.kept.sort_by_key(|incident| (incident.end.is_some(), incident.rank()));
        self.kept.truncate(most);
        self.kept.sort_by_key(|incident| incident.number);
    }

    fn limit_pictures(&mut self) {
        for number in self.milder() {
            if let Some(incident) = self.kept.iter_mut().find(|kept| kept.number == number && kept.end.is_some()) {
                incident.pictures = Vec::new();
            }
        }
    }

    /// Numbers of those that are not among the worst.
    fn milder(&self) -> Vec<u64> {
        let mut ranked: Vec<&Incident> = self.kept.iter().collect();
        ranked.sort_by_key(|incident| incident.rank());
        ranked.iter().skip(PICTURED_MAX).map(|incident| incident.number).collect()
    }

    /// What the table lists, in the order in which they were raised.
    pub fn listed(&self) -> Vec<&Incident> {
        let mut listed: Vec<&Incident> = self.kept.iter().collect();
        listed.sort_by_key(|incident| incident.rank());
        listed.truncate(LISTED_MAX);
        listed.sort_by_key(|incident| incident.number);
        listed
    }

    /// The worst of them, which get a card, in the same order.
    pub fn pictured(&self) -> Vec<&Incident> {
        let milder = self.milder();
        let mut listed = self.listed();
        listed.retain(|incident| !milder.contains(&incident.number));
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::alert;
    use super::*;

    #[test]
    fn an_incident_keeps_the_numbers_that_decided() {
        let mut incidents = Incidents::default();
        let raised = alert(1, Severity::Minor, Transition::Raised, 2);
        let mut worse = Alert { severity: Severity::Major, value: 7.0, ..raised.clone() };
        worse.transition = Transition::Updated;
        let end = MediaTime::from_secs_f64(5.0);
        let good = alert(1, Severity::Major, Transition::Cleared { end, by: ClearedBy::Recovered }, 6);
        for step in [&raised, &worse, &Alert { value: 0.0, ..good }] {
            incidents.take(step);
        }
        let listed = incidents.listed();
        let [incident] = listed.as_slice() else { panic!("one incident") };
        assert_eq!((incident.value, incident.severity, incident.steps.len()), (7.0, Severity::Major, 3));
        assert_eq!((incident.duration(), incident.pictures.len()), (Duration::from_secs(4), 3));
        assert_eq!((incidents.count, incidents.worst), (1, Some(Severity::Major)));
    }

    #[test]
    fn of_many_the_worst_are_kept() {
        let mut incidents = Incidents::default();
        let many = 5 * LISTED_MAX as u64;
        for number in 1..=many {
            let severity = if number % 100 == 0 { Severity::Critical } else { Severity::Warning };
            incidents.take(&alert(number, severity, Transition::Raised, number));
            let end = MediaTime::from_secs_f64(number as f64 + 0.5);
            incidents.take(&alert(number, severity, Transition::Cleared { end, by: ClearedBy::Recovered }, number + 1));
        }
        let (listed, pictured) = (incidents.listed(), incidents.pictured());
        assert_eq!((incidents.count, listed.len(), pictured.len()), (many, LISTED_MAX, PICTURED_MAX));
        let critical = listed.iter().filter(|incident| incident.severity == Severity::Critical).count();
        assert_eq!(critical as u64, many / 100, "none of the worst was let go");
        assert!(listed.is_sorted_by_key(|incident| incident.number));
        let with = incidents.kept.iter().filter(|incident| !incident.pictures.is_empty()).count();
        assert!(with < 2 * PICTURED_MAX, "{with}");
    }
}
