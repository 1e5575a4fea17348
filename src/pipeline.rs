//! One unit through all stages of one source.

use crate::alert::Alert;
use crate::health::SourceStatus;
use crate::ids::SourceId;

/// What leaves a source's thread: small, and never a frame.
#[derive(Clone, Debug)]
pub enum Report {
    /// News of an incident.
    Alert(Box<Alert>),
    /// How the source is doing.
    Status(SourceId, Box<SourceStatus>),
}
