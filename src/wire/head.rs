//! What every body begins with.

use super::{MINOR_VERSION, Made, rfc3339};
use schemars::JsonSchema;
use serde::Serialize;

/// The fields that every body has.
#[derive(Serialize, JsonSchema)]
pub(super) struct Head<'a> {
    /// Minor version of the contract.
    v: u32,
    /// When this was made, RFC 3339 UTC. A will is made when the device connects.
    ts: String,
    /// CLOCK_BOOTTIME, ms.
    mono_ms: u64,
    /// First 8 hexadecimal digits of the boot id.
    boot: &'a str,
    /// Whether the wall clock was trusted.
    synced: bool,
}

impl<'a> Head<'a> {
    pub(super) fn new(made: &'a Made) -> Self {
        Self {
            v: MINOR_VERSION,
            ts: rfc3339(made.wall.unix_ms),
            mono_ms: made.mono.as_ms(),
            boot: made.boot.as_str(),
            synced: made.wall.synced,
        }
    }
}
