//! What the control loop wants of a source's thread besides its reports. Neither waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by both.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    picture: AtomicBool,
    metrics: AtomicBool,
    fingerprint: AtomicBool,
}

impl Wishes {
    /// A picture of the next moment.
    pub(super) fn want_picture(&self) {
        self.0.picture.store(true, Ordering::Relaxed);
    }
    /// Whether a picture is wanted; once for each wish.
    pub(super) fn take_picture(&self) -> bool {
        self.0.picture.swap(false, Ordering::Relaxed)
    }
    /// What is measured, with each state, until this is taken back.
    pub(super) fn want_metrics(&self, wanted: bool) {
        self.0.metrics.store(wanted, Ordering::Relaxed);
    }
    /// Whether what is measured is wanted.
    pub(super) fn metrics(&self) -> bool {
        self.0.metrics.load(Ordering::Relaxed)
    }
    /// Fingerprints, one each second, until this is taken back.
    pub(super) fn want_fingerprint(&self, wanted: bool) {
        self.0.fingerprint.store(wanted, Ordering::Relaxed);
    }
    /// Whether fingerprints are wanted.
    pub(super) fn fingerprint(&self) -> bool {
        self.0.fingerprint.load(Ordering::Relaxed)
    }
}
