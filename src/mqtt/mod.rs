//! The link to the broker: who talks to it ([`Courier`]), what is said when (`session`), and the socket (`link`, `tunnel`).

mod backoff;
mod courier;
mod denied;
mod limits;
mod link;
mod mend;
mod news;
mod retained;
mod session;
mod tls;
mod tunnel;
pub mod visit;

#[cfg(test)]
mod broker;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use courier::{Courier, Identity};
pub use link::chain;
pub use news::{Counters, Event};

use std::path::PathBuf;
use std::time::Duration;

/// How to reach the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    /// User name, where the broker wants one.
    pub user: Option<String>,
    /// File that holds the password, without a line's end.
    pub password_file: Option<PathBuf>,
    /// Version of the protocol.
    pub version: Version,
    /// Keep-alive, at least 5 s.
    pub keep_alive: Duration,
    /// The longest random wait before reconnecting after the broker said that it is unavailable.
    pub reconnect_spread: Duration,
    /// Private folder (mode 0700, made when missing) for the socket between the client library and the tunnel. Short:
    /// the path of a socket has 107 bytes at most.
    pub runtime_folder: PathBuf,
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// MQTT 5.
    #[default]
    Five,
    /// MQTT 3.1.1, for brokers that know no other.
    ThreeOneOne,
}

/// Certificates, PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that may have signed the broker's certificate. `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Without `identity`: the folder of the pair that this box made itself, where it holds one.
    pub pair: Option<PathBuf>,
    /// File with the last good time, see [`crate::identity::now_s`].
    pub kept_time: Option<PathBuf>,
}
