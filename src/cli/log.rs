//! The log: to standard error, and its last lines into memory.

use crate::daemon::{Line, Lines, LogLevel};
use crate::time::{Clock, SystemClock};
use std::fmt::Write;
use tracing::field::Visit;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

/// Starts to log to standard error, which is the journal under systemd: that adds the time itself. Returns what changes
/// the level, and the ring.
pub(super) fn start() -> (LogLevel, Lines) {
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (level, handle) = reload::Layer::new(filter());
    let lines = Lines::default();
    let to_ring = Ring(lines.clone());
    let plain = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let to_stderr: Box<dyn Layer<_> + Send + Sync> = match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => plain.without_time().with_ansi(false).boxed(),
        None => plain.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };
    // A second subscriber cannot be there: this is called once, first.
    let _ = Registry::default().with(level).with(to_stderr).with(to_ring).try_init();
    let set = move |level: Option<&str>| {
        handle.reload(level.map_or_else(filter, EnvFilter::new)).map_err(|error| error.to_string())
    };
    (Box::new(set), lines)
}

/// Puts lines into the ring.
struct Ring(Lines);

impl<S: tracing::Subscriber> Layer<S> for Ring {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let level = event.metadata().level().as_str();
        let text = format!("{}{}", words.message, words.fields);
        self.0.push(Line { wall: SystemClock.wall(), mono: SystemClock.mono(), level, text });
    }
}

/// The message and the fields of a line.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
