//! Incidents and the log of what happened.

use super::verdict::{Severity, Verdict};
use crate::ids::{DeviceId, SourceId};

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
