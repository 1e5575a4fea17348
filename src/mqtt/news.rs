//! What the courier tells of the link and the outbox.

use std::path::PathBuf;
use std::time::Duration;

/// News of the link and the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The broker accepted connection number `conn`.
    Connected {
        /// As in `status`.
        conn: u64,
        /// The pair of certificate and key that this box offered, see [`super::Courier::offer`].
        pair: Option<PathBuf>,
    },
    /// The connection ended or could not be made.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// A message came.
    Incoming {
        /// Its topic.
        topic: String,
        /// Its content.
        payload: Vec<u8>,
        /// Whether the broker had kept it from earlier.
        retained: bool,
        /// How long it is still wanted, where its sender said so.
        fresh_for: Option<Duration>,
    },
    /// Messages are kept in memory only, and why; `None`: on disk again.
    Storage {
        /// Why.
        trouble: Option<String>,
    },
    /// The broker refused this spooled message for good.
    Refused {
        /// Its number.
        seq: u64,
    },
    /// Another device uses our client id. We wait, and come back with a suffix to it.
    IdentityConflict,
}

/// How it goes, for `health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whether the broker can be reached now.
    pub connected: bool,
    /// How long the connection has lasted.
    pub connected_for: Option<Duration>,
    /// Connections after the first, since the start.
    pub reconnects: u64,
    /// From sending the last acknowledged message to its acknowledgement.
    pub rtt: Option<Duration>,
    /// What the broker has against us, if anything: "not authorised to publish".
    pub complaint: Option<&'static str>,
    /// What waits in the outbox, and what it gave up.
    pub outbox: crate::outbox::Counters,
    /// Why messages are kept in memory only, if they are.
    pub trouble: Option<String>,
    /// Passing messages (QoS 0) dropped without a connection.
    pub passing_dropped: u64,
    /// Retained messages that the broker does not take.
    pub retained_refused: u64,
}
