//! `picket run`: the daemon.

use super::{CONFIGURATION, Configured, Failure, GOOD};
use crate::config::{self, Config, Places};
use crate::daemon::{Daemon, End, LogLevel};
use std::os::unix::process::CommandExt;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Runs until it is asked to end.
pub(super) fn run(configured: &Configured) -> Result<u8, Failure> {
    let log = log();
    let places = places(configured.config.as_deref());
    let config = load_over(&places, "")?;
    let kernels = crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    for note in config.notes() {
        tracing::warn!("{note}");
    }
    match crate::daemon::run(&config, Daemon { places, kernels, log }).map_err(|error| Failure::environment(&error))? {
        End::Stop => Ok(GOOD),
        End::Restart => Err(Failure::environment(&again())),
    }
}

/// Empties the topics of this device and lists them.
pub(super) fn decommission(configured: &Configured) -> Result<u8, Failure> {
    let config = load(configured.config.as_deref())?;
    let topics = crate::daemon::decommission(&config).map_err(|error| Failure::environment(&error))?;
    super::output::print(&topics.join("\n"));
    Ok(GOOD)
}

/// Becomes a new process with the same number and arguments, so that whoever started this one does not notice. Returns
/// only when that fails.
fn again() -> std::io::Error {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "picket".into());
    // The link leads to the program that runs, also when its file was replaced.
    std::process::Command::new("/proc/self/exe").arg0(name).args(arguments).exec()
}

/// All layers, with `--config` in place of the administrator's file, and with what was set from afar.
pub(super) fn load(file: Option<&Path>) -> Result<Config, Failure> {
    let places = places(file);
    let local = load_over(&places, "")?;
    match crate::daemon::remote_layer(&local.device.state_dir).as_str() {
        "" => Ok(local),
        layer => load_over(&places, layer),
    }
}

fn places(file: Option<&Path>) -> Places {
    let places = Places::below(Path::new("/"));
    match file {
        Some(file) => places.with_file(file),
        None => places,
    }
}

fn load_over(places: &Places, layer: &str) -> Result<Config, Failure> {
    config::load_over(places, layer, &config::process_environment(), &[])
        .map_err(|mistakes| Failure { code: mistakes.exit_code(), text: mistakes.to_string() })
}

/// To standard error, which is the journal under systemd: that adds the time itself. Returns what changes its level.
fn log() -> LogLevel {
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr).with_target(false);
    let level = move |level: Option<&str>| level.map_or_else(filter, EnvFilter::new);
    // A second subscriber cannot be there: this is called once, first.
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => {
            let builder = builder.without_time().with_ansi(false).with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |to| handle.reload(level(to)).map_err(|error| error.to_string()))
        }
        None => {
            let builder = builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |to| handle.reload(level(to)).map_err(|error| error.to_string()))
        }
    }
}
