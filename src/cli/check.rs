//! `picket check`: the configuration and what it names, every mistake at once.

use super::{CONFIGURATION, Configured, ENVIRONMENT, Failure, GOOD, output};
use crate::config;
use crate::time::{Clock, SystemClock};
use clap::Args;

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// Print the effective settings too, secrets left out
    #[arg(long)]
    effective: bool,
}

/// Exit code 2 for mistakes in the configuration, 3 when what it names is not there.
pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let config = super::run::load(options.configured.config.as_deref())?;
    crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    if options.effective {
        output::print(&config.effective());
    }
    for note in config.notes() {
        output::complain(&format!("note: {note}"));
    }
    let mut findings = config::check_environment(&config);
    if let Ok(device) = crate::daemon::device_id(&config) {
        let (wrong, soon) = config::check_certificates(&config, &device, SystemClock.wall());
        findings.extend(wrong);
        soon.iter().for_each(|note| output::complain(&format!("note: {note}")));
    }
    for finding in &findings {
        output::complain(&finding.to_string());
    }
    if !findings.is_empty() {
        return Ok(ENVIRONMENT);
    }
    let files: Vec<String> = config.files().iter().map(|file| file.display().to_string()).collect();
    let read = if files.is_empty() { "no file, defaults only".to_owned() } else { files.join(", ") };
    output::print(&format!("good: {} sources ({read})", config.sources.len()));
    Ok(GOOD)
}
