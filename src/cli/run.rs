//! `picket run`: the daemon.

use super::{CONFIGURATION, Configured, Failure, GOOD};
use crate::config::{self, Config, Places};
use crate::daemon::{Daemon, End};
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Runs until it is asked to end.
pub(super) fn run(configured: &Configured) -> Result<u8, Failure> {
    let (log, lines) = super::log::start();
    let places = places(configured.config.as_deref());
    let config = load_over(&places, "")?;
    let kernels = crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    for note in config.notes() {
        tracing::warn!("{note}");
    }
    let file = configured.config.clone();
    let bundler = Box::new(move |out: &Path| super::bundle::program(file.as_deref(), out));
    match crate::daemon::run(&config, Daemon { places, kernels, log, lines, bundler })
        .map_err(|error| Failure::environment(&error))?
    {
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

/// What is wrong with the configuration of this box.
pub(super) fn mistakes(file: Option<&Path>) -> Vec<config::Mistake> {
    let loaded = config::load_over(&places(file), "", &config::process_environment(), &[]);
    loaded.err().map(|mistakes| mistakes.iter().cloned().collect()).unwrap_or_default()
}

fn load_over(places: &Places, layer: &str) -> Result<Config, Failure> {
    config::load_over(places, layer, &config::process_environment(), &[])
        .map_err(|mistakes| Failure { code: mistakes.exit_code(), text: mistakes.to_string() })
}
