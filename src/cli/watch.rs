//! `picket watch`: a fleet in a terminal, or its changes as lines.

use super::broker::{self, Way};
use super::{CONFIGURATION, Failure, GOOD};
use crate::time::{Clock, SystemClock};
use crate::watch::{Output, Watch, watch};
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, Write};
use std::sync::Arc;

#[derive(Args)]
pub(super) struct Options {
    /// mqtt://HOST or mqtts://HOST, with a user if wanted: mqtts://fleet-page@broker.example
    #[arg(value_name = "BROKER_URL")]
    url: String,
    #[command(flatten)]
    way: Way,
    /// Begin with this filter: only devices that have all these words in name, site, id, source, defect or verdict
    #[arg(long, value_name = "WORDS", default_value = "")]
    filter: String,
    /// One line for each change, without taking over the terminal; also where standard output is none
    #[arg(long)]
    plain: bool,
    /// How lines are printed; ndjson: one JSON object each (then --plain is understood)
    #[arg(long, value_enum, default_value = "text")]
    format: LineFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LineFormat {
    /// For people and grep
    Text,
    /// One JSON object a line
    Ndjson,
}

pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let config = broker::named(&options.url, &options.way)?;
    // `named` has a broker, or fails.
    let Some(settings) = config.broker.clone() else { return Ok(CONFIGURATION) };
    let seed = SystemClock.mono().0 ^ u64::from(std::process::id()) << 40;
    let fleet = Watch { broker: settings, prefix: config.prefix.clone(), seed };
    let json = options.format == LineFormat::Ndjson;
    let mut print = |line: &str| {
        let mut out = std::io::stdout().lock();
        // Nobody reads any more, as after `| head`: no mistake.
        writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
    };
    let output = match options.plain || json || !std::io::stdout().is_terminal() {
        true => Output::Lines { json, print: &mut print },
        false => Output::Screen {
            colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            true_colour: std::env::var("COLORTERM").is_ok_and(|kind| kind == "truecolor" || kind == "24bit"),
            filter: options.filter.clone(),
        },
    };
    watch(fleet, Arc::new(SystemClock), output).map_err(|error| Failure::environment(&error))?;
    Ok(GOOD)
}
