//! Observations become incidents, incidents become alerts: raised once, updated on change, cleared once.

mod expected;
mod incident;
mod line;
mod mask;
mod often;
mod profile;
#[cfg(test)]
mod rules_tests;
mod settings;
mod storm;
#[cfg(test)]
mod tests;

pub use expected::Expected;
pub use incident::{Candidate, Incidents};
pub use mask::hides;
pub use profile::Profile;
pub use settings::{Asked, Hold, Often, Rule, Settings};

use crate::detect::{Defect, Region, Severity};
use crate::ids::{IncidentId, SourceId};
use crate::time::{MediaTime, Stamp};

/// Why an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearedBy {
    /// The defect went away.
    Recovered,
    /// The source did.
    SourceLost,
    /// A cause appeared that explains it.
    Masked,
    /// The daemon stopped while it was open; told at the next start.
    Restart,
    /// A person did.
    Operator,
    /// The file or stream ended, as it should.
    EndOfInput,
}

impl ClearedBy {
    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            ClearedBy::Recovered => "recovered",
            ClearedBy::SourceLost => "source_lost",
            ClearedBy::Masked => "masked",
            ClearedBy::Restart => "restart",
            ClearedBy::Operator => "operator",
            ClearedBy::EndOfInput => "end_of_input",
        }
    }
}

/// A step in an incident's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It began; `onset` is before `at` by the hold time.
    Raised,
    /// Its severity or reach changed.
    Updated,
    /// It ended at `end`.
    Cleared {
        /// First good unit.
        end: MediaTime,
        /// Why.
        by: ClearedBy,
    },
}

/// A picture that shows the defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A whole JPEG file, at most 32 KiB.
    pub jpeg: Vec<u8>,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
}

/// News of one incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Same for all steps.
    pub id: IncidentId,
    /// Where.
    pub source: SourceId,
    /// What.
    pub defect: Defect,
    /// Which step.
    pub transition: Transition,
    /// How bad.
    pub severity: Severity,
    /// When this was decided.
    pub at: Stamp,
    /// When the defect began.
    pub onset: MediaTime,
    /// The deciding measure.
    pub value: f64,
    /// Its limit.
    pub threshold: f64,
    /// Unit of both.
    pub unit: &'static str,
    /// 0 to 1, where the detector has one.
    pub confidence: Option<f64>,
    /// Where in the picture.
    pub region: Option<Region>,
    /// One line of English for a person.
    pub text: String,
    /// Defects that were present too and are explained by this one.
    pub masks: Vec<Defect>,
    /// The picture, where there is one.
    pub evidence: Option<Evidence>,
}
