//! What is told to the world: topics and JSON bodies, one encoder for MQTT and for `analyze` (contract, events and mqtt).

mod box_health;
mod capture;
mod certificate;
mod command;
mod compare;
mod config;
mod discovery;
mod event;
mod firmware;
mod fitness;
mod head;
mod health;
mod info;
mod log;
mod metrics;
mod probe;
mod report;
mod schema;
mod status;
mod sync;
mod topic;
mod verdict;

pub use certificate::{CertHealth, CertificateTold, ClockStep, Provision, provision};
pub use command::{
    COMMAND_BYTES_MAX, COMMANDS, Command, NO_ID, Progress, Refusal, Reply, Verb, command, reply, reply_of_record,
    reply_record,
};
pub use compare::{Comparison, ReadingBody, comparison, reading};
pub use config::{ConfigTold, config};
pub use discovery::{HOME_ASSISTANT_BIRTH, discovery};
pub use event::{Teller, cleared_by_restart, event};
pub use firmware::{Firmware, LastUpdate, firmware};
pub use fitness::{FitnessPoint, FitnessReport, fitness};
pub use health::{BrokerHealth, BudgetHealth, HealthParts, SpoolHealth, class, health};
pub use info::{Device, Hold, Info, holds, info};
pub use log::log;
pub use metrics::metrics;
pub use probe::{
    ProbeBoard, ProbeChange, ProbeDecoder, ProbeFormat, ProbeHolder, ProbeReport, ProbeSize, ProbeSound, ProbeVideo,
    ProbeWatchdog, probe, probe_change,
};
pub use report::{BenchDecode, BenchFit, BenchLook, BenchReport, Summary, bench, document, summary};
pub use schema::{NAMES as SCHEMA_NAMES, schema};
pub use status::{OpenIncident, SourceState, state, status};
pub use topic::Topics;
pub use verdict::Verdict;

use crate::ids::BootId;
use crate::time::{Mono, Wall};
use std::time::Duration;

/// Minor version of the contract; the major one is in the topic root.
pub const MINOR_VERSION: u32 = 0;

/// What a message costs to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// At most once.
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
}

/// One MQTT message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// JSON, or a JPEG under the image root.
    pub payload: Vec<u8>,
    /// How surely.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// After this time the broker need not deliver it any more.
    pub expires_after: Option<Duration>,
}

impl Message {
    /// Has the broker forget what it keeps on `topic`.
    pub fn emptying(topic: &str) -> Self {
        let topic = topic.to_owned();
        Self { topic, payload: Vec::new(), qos: Qos::AtLeastOnce, retain: true, expires_after: None }
    }
}

/// When and in which boot a message was made: the fields that every body has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Wall clock.
    pub wall: Wall,
    /// CLOCK_BOOTTIME.
    pub mono: Mono,
    /// Which boot that clock belongs to.
    pub boot: BootId,
}

/// `body` as JSON. Our bodies have string keys only and hold no NaN ([`rounded`]), so this cannot fail.
fn encoded(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// To three decimals, which every unit in use has to spare; never NaN or infinite, which JSON cannot say.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1000.0).round() / 1000.0;
    // Adding zero turns -0.0 into 0.0.
    if rounded.is_finite() { rounded + 0.0 } else { 0.0 }
}

/// As much of `text` as fits.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts `text` to as much as fits.
pub fn shorten(text: &mut String, bytes_max: usize) {
    let end = cut(text, bytes_max).len();
    text.truncate(end);
}

/// A wall-clock time for people, RFC 3339, UTC, milliseconds.
pub fn time_text(unix_ms: i64) -> String {
    rfc3339(unix_ms)
}

/// When a time of ours was, ms since the Unix epoch; `None`: it is no time.
pub fn unix_ms(rfc3339: &str) -> Option<i64> {
    rfc3339.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// RFC 3339, UTC, milliseconds.
pub fn rfc3339(unix_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_always_numbers() {
        let values: Vec<f64> = [f64::NAN, f64::INFINITY, -0.0001, 1.23456, 2.0].map(rounded).to_vec();
        assert_eq!(encoded(&values), b"[0.0,0.0,0.0,1.235,2.0]");
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_700_000_001_234), "2023-11-14T22:13:21.234Z");
        assert_eq!(unix_ms("2023-11-14T22:13:21.234Z"), Some(1_700_000_001_234));
        assert_eq!(unix_ms("yesterday"), None);
    }
}
