//! Counts what a decoder complains about. HEVC marks no picture as damaged: its messages are the only sign.

use ffmpeg_next::ffi;
use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Decoders that can be watched at the same time; more go uncounted, which only costs evidence.
const SLOTS: usize = 64;

struct Slot {
    /// Address of the watched `AVCodecContext`, 0 when free. Compared, never followed.
    context: AtomicUsize,
    count: AtomicUsize,
}

static TABLE: [Slot; SLOTS] = [const { Slot { context: AtomicUsize::new(0), count: AtomicUsize::new(0) } }; SLOTS];
static INSTALLED: OnceLock<()> = OnceLock::new();

/// Takes FFmpeg's messages off standard error: they are counted per decoder instead.
pub fn silence_library_log() {
    INSTALLED.get_or_init(install);
}

#[allow(unsafe_code)]
fn install() {
    // SAFETY: the callback matches the signature that the headers declare, has static lifetime, may be called from any
    // thread (it touches atomics only) and never reads the variadic arguments.
    unsafe { ffi::av_log_set_callback(Some(on_message)) };
}

// The list of arguments has another type on each architecture; the bindings name it, so let them infer it.
macro_rules! callback {
    ($($list:ty)?) => {
        /// Called by FFmpeg for each message.
        #[allow(unsafe_code)]
        unsafe extern "C" fn on_message(context: *mut c_void, level: i32, _: *const std::ffi::c_char, _: $($list)?) {
            if level <= ffi::AV_LOG_ERROR && !context.is_null() {
                if let Some(slot) = TABLE.iter().find(|slot| slot.context.load(Ordering::Relaxed) == context as usize) {
                    slot.count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
callback!(*mut ffi::__va_list_tag);
#[cfg(not(target_arch = "x86_64"))]
callback!(ffi::va_list);

/// Watches one decoder until dropped.
pub(super) struct Complaints {
    slot: Option<&'static Slot>,
    seen: usize,
}

impl Complaints {
    /// Of the decoder whose context lies at `context`.
    pub(super) fn watch(context: usize) -> Self {
        silence_library_log();
        let slot = TABLE
            .iter()
            .find(|slot| slot.context.compare_exchange(0, context, Ordering::Relaxed, Ordering::Relaxed).is_ok());
        let seen = slot.map_or(0, |slot| slot.count.load(Ordering::Relaxed));
        Self { slot, seen }
    }

    /// How many since the last call.
    pub(super) fn take(&mut self) -> usize {
        let now = self.slot.map_or(0, |slot| slot.count.load(Ordering::Relaxed));
        let new = now - self.seen;
        self.seen = now;
        new
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            slot.context.store(0, Ordering::Relaxed);
        }
    }
}
