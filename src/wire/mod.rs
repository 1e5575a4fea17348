//! What is told to the world: topics and JSON bodies, one encoder for MQTT and for `analyze` (contract, events and mqtt).

mod topic;
pub use topic::Topics;

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
