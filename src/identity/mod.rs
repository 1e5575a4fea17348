//! Who this box is towards the broker: its key, its certificate, and the time by which certificates are judged.
//!
//! A pair is a folder below `tls` of the state folder: `current` is used, `next` is a key that waits for its certificate
//! or a pair that the broker has yet to accept. Keys are made here and never leave.

mod certificate;
mod files;
mod floor;
mod store;
mod trial;

pub use certificate::{Certificate, Chain, Standing, Wrong, certificates, standing};
pub use files::as_owner_of;
pub use floor::{KeptTime, kept_time, now_s};
pub use store::{Authority, Error, Install, Installed, Pair, Store};
pub use trial::{Outcome, Trial, Use};

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Days from `now_s` to `until_s`, negative when that is over.
pub fn days(until_s: i64, now_s: i64) -> f64 {
    until_s.saturating_sub(now_s) as f64 / DAY_S as f64
}
