//! `picket run`: the daemon.

use super::{CONFIGURATION, Configured, Failure, GOOD};
use crate::config::{self, Config, Places};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Runs until it is asked to end.
pub(super) fn run(configured: &Configured) -> Result<u8, Failure> {
    log();
    let config = load(configured.config.as_deref())?;
    let kernels = crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    for note in config.notes() {
        tracing::warn!("{note}");
    }
    crate::daemon::run(&config, kernels).map_err(|error| Failure::environment(&error))?;
    Ok(GOOD)
}

/// All layers, with `--config` in place of the administrator's file.
pub(super) fn load(file: Option<&Path>) -> Result<Config, Failure> {
    let places = Places::below(Path::new("/"));
    let places = match file {
        Some(file) => places.with_file(file),
        None => places,
    };
    config::load(&places, &config::process_environment(), &[])
        .map_err(|mistakes| Failure { code: mistakes.exit_code(), text: mistakes.to_string() })
}

/// To standard error, which is the journal under systemd: that adds the time itself.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second subscriber cannot be there: this is called once, first.
    let _ = match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => builder.without_time().with_ansi(false).try_init(),
        None => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
}
