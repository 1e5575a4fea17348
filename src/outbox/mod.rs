//! Messages that must not be lost: an append log on disk, in order, until the broker has acknowledged them.

use std::path::PathBuf;
use std::time::Duration;

/// Where the outbox lives and how much it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its folder; made when it is missing.
    pub folder: PathBuf,
    /// Most bytes on disk.
    pub bytes_max: u64,
    /// Oldest message that is still sent.
    pub age_max: Duration,
}

/// Which step of an incident a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It began.
    Raised,
    /// It changed.
    Updated,
    /// It ended.
    Cleared,
}

/// One message for the outbox. Its body carries the sequence number that [`Outbox`] gave out for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number, +1 for each entry of the device.
    pub seq: u64,
    /// Which incident.
    pub incident: String,
    /// Which step.
    pub step: Step,
    /// Where to.
    pub topic: String,
    /// JSON object.
    pub body: Vec<u8>,
}
