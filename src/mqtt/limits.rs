//! What a broker takes.

use crate::wire::{Message, Qos};

/// What the broker said about itself in its answer to our connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages it wants under way at most.
    pub receive_max: u16,
    /// Bytes of a packet that it takes at most.
    pub packet_max: Option<u32>,
    /// Whether it takes QoS 1.
    pub qos1: bool,
    /// Whether it keeps retained messages.
    pub retain: bool,
    /// Whether it still knew our session.
    pub session_present: bool,
}

impl Limits {
    /// Whether the broker takes packets as large as this message's.
    pub fn fit(&self, message: &Message) -> bool {
        self.packet_max.is_none_or(|most| packet_bytes(message) <= u64::from(most))
    }
}

/// Bytes of the PUBLISH packet (MQTT 5, section 3.3).
fn packet_bytes(message: &Message) -> u64 {
    let id = if message.qos == Qos::AtLeastOnce { 2 } else { 0 };
    let properties = 1 + if message.expires_after.is_some() { 5 } else { 0 };
    let rest = (2 + message.topic.len() + id + properties + message.payload.len()) as u64;
    let length = match rest {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    };
    1 + length + rest
}
