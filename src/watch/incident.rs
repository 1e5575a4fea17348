//! Incidents and the log of what happened.

use super::verdict::{Severity, Verdict};
use crate::ids::{DeviceId, SourceId};
use std::collections::HashMap;

/// Incidents that are remembered, open ones among them.
const INCIDENTS_MAX: usize = 3000;
/// Of one device: above its share its own go, so that none can push out all others'.
const SHARE_MAX: usize = 300;

/// An incident, as far as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Incident {
    /// As in events; harmless.
    pub id: String,
    pub device: DeviceId,
    pub source: SourceId,
    /// "block_corruption"; harmless.
    pub defect: String,
    pub severity: Severity,
    /// Cleared.
    pub over: bool,
    /// Known from `state` alone: when it began is not.
    pub vague: bool,
    /// When it began, ms since the Unix epoch.
    pub began_ms: i64,
    /// One line for a person; harmless.
    pub text: String,
    /// Of its last step.
    pub seq: u64,
}

/// Incidents of all devices. Each is its device's: ids are unique only as far as devices keep to them.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    /// With the number of their arrival.
    of: HashMap<DeviceId, HashMap<String, (u64, Incident)>>,
    count: usize,
    arrivals: u64,
}

impl Incidents {
    pub(super) fn get(&self, device: &DeviceId, id: &str) -> Option<&Incident> {
        self.of.get(device)?.get(id).map(|(_, incident)| incident)
    }

    /// Remembers it, or what has become of it. Above the limits the oldest goes: of those that are over, else of those
    /// that are open.
    pub(super) fn keep(&mut self, incident: Incident) {
        let device = incident.device.clone();
        let own = self.of.entry(device.clone()).or_default();
        if let Some((_, known)) = own.get_mut(&incident.id) {
            *known = incident;
            return;
        }
        own.insert(incident.id.clone(), (self.arrivals, incident));
        self.arrivals += 1;
        self.count += 1;
        if own.len() > SHARE_MAX {
            let oldest = own.values().min_by_key(|(arrival, one)| (!one.over, *arrival)).map(|(_, one)| one.id.clone());
            self.lose(&device, oldest);
        }
        if self.count > INCIDENTS_MAX {
            let all = self.of.values().flat_map(HashMap::values);
            let oldest = all.min_by_key(|(arrival, one)| (!one.over, *arrival));
            if let Some((device, id)) = oldest.map(|(_, one)| (one.device.clone(), one.id.clone())) {
                self.lose(&device, Some(id));
            }
        }
    }

    /// A device is no more.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.count -= self.of.remove(device).map_or(0, |own| own.len());
    }

    fn lose(&mut self, device: &DeviceId, id: Option<String>) {
        let Some(own) = self.of.get_mut(device) else { return };
        self.count -= usize::from(id.is_some_and(|id| own.remove(&id).is_some()));
        if own.is_empty() {
            self.of.remove(device);
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// When we heard of it, ms since the Unix epoch.
    pub at_ms: i64,
    pub device: DeviceId,
    /// `None`: the device itself.
    pub source: Option<SourceId>,
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Another verdict; `was` is `None` when it is the first.
    Verdict {
        was: Option<Verdict>,
        is: Verdict,
        /// Whether the device itself went or came back, whatever its sources do.
        moved: Moved,
    },
    /// A step of an incident: "raised", "updated", "cleared".
    Step(Step),
    /// Who it is.
    Named { name: String, site: String, version: String },
    /// The broker forgot it.
    Gone,
}

/// What a device did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is where it was.
    Not,
    /// It is gone, stopped or silent.
    Away,
    /// It is here again.
    Back,
}

/// A step of an incident.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// "raised", "updated", "cleared".
    pub step: &'static str,
    pub id: String,
    pub defect: String,
    pub severity: Severity,
    pub text: String,
    pub seq: u64,
    /// How long it lasted, seconds; when cleared.
    pub lasted_s: Option<f64>,
    /// Delivered late.
    pub replayed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: usize) -> DeviceId {
        DeviceId::new(&format!("pk-{number:012x}")).expect("an id")
    }

    fn incident(of: usize, number: usize, over: bool) -> Incident {
        Incident {
            id: format!("i-{number}"),
            device: device(of),
            source: SourceId::new("a").expect("an id"),
            defect: "freeze".to_owned(),
            severity: Severity::Major,
            over,
            vague: false,
            began_ms: 0,
            text: String::new(),
            seq: 1,
        }
    }

    #[test]
    fn one_device_pushes_out_only_its_own() {
        let mut all = Incidents::default();
        all.keep(incident(1, 1, false));
        (1..=5000).for_each(|number| all.keep(incident(2, number, false)));
        assert_eq!(all.count, 1 + SHARE_MAX);
        assert!(all.get(&device(1), "i-1").is_some());
        assert!(all.get(&device(2), "i-4700").is_none() && all.get(&device(2), "i-4701").is_some());
        all.forget(&device(2));
        assert_eq!(all.count, 1);
    }

    #[test]
    fn what_is_over_goes_first_and_what_is_open_is_bounded_too() {
        let mut all = Incidents::default();
        all.keep(incident(1, 1, false));
        all.keep(incident(1, 2, true));
        (2..32).for_each(|of| (0..100).for_each(|number| all.keep(incident(of, number, false))));
        assert_eq!(all.count, INCIDENTS_MAX);
        assert!(all.get(&device(1), "i-2").is_none(), "the one that was over");
        assert!(all.get(&device(1), "i-1").is_none(), "then the oldest");
        all.keep(incident(9, 5, true));
        assert!(all.get(&device(9), "i-5").is_some_and(|one| one.over), "a step of one that is known");
        assert_eq!(all.count, INCIDENTS_MAX);
    }
}
