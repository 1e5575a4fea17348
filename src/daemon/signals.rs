//! Signals that ask the program to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals with which people and systemd end a program.
pub(super) struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Takes them from their default action. Inside a runtime only.
    pub(super) fn take() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Sets `stop` on the first signal; the second ends the process at once. For commands without a runtime of their own.
pub fn set_on_signal(stop: &Arc<AtomicBool>) {
    let stop = stop.clone();
    // Without a thread or a runtime signals keep their default action, which ends the program too.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            let Ok(mut signals) = EndSignals::take() else { return };
            signals.recv().await;
            stop.store(true, Ordering::Relaxed);
            signals.recv().await;
            std::process::exit(130);
        });
    });
}
