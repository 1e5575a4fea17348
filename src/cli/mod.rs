//! The command line (contract, cli): arguments in, exit code out.

mod analyze;
mod bench;
mod broker;
mod broker_check;
mod bundle;
mod check;
mod compare;
mod log;
mod output;
mod probe;
mod probe_text;
mod provision;
mod replay;
mod run;
mod suggest;
mod tap;
mod telling;
#[cfg(feature = "watch")]
mod watch;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// All good.
const GOOD: u8 = 0;
/// Defects or mistakes were found.
const FINDINGS: u8 = 1;
/// Wrong usage or configuration. Also what clap ends with.
const CONFIGURATION: u8 = 2;
/// A device, file or broker is not as it should be.
const ENVIRONMENT: u8 = 3;
/// A mistake of ours.
const BUG: u8 = 70;

/// Watches picture and sound on the encoder box and tells defects over MQTT.
#[derive(Parser)]
#[command(name = "picket", version, about, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The daemon: taps all sources, detects, publishes
    Run(Configured),
    /// Looks at one file or stream, as fast as it decodes, and tells what is wrong with it
    Analyze(analyze::Options),
    /// Holds one input against another that shows the same programme: latency, sound against picture, lost pictures
    Compare(compare::Options),
    /// Validates the configuration and what it names: every mistake at once
    Check(check::Options),
    /// Shows what this box has: capture devices, decoders that work, sensors
    Probe(probe::Options),
    /// Shows a fleet in this terminal: trouble first, each device with its sources, health, incidents and pictures
    #[cfg(feature = "watch")]
    Watch(watch::Options),
    /// A fleet in a terminal: not in this build
    #[cfg(not(feature = "watch"))]
    #[command(hide = true, disable_help_flag = true)]
    Watch {
        /// Whatever it is
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _given: Vec<std::ffi::OsString>,
    },
    /// Measures what this box can carry
    Bench(bench::Options),
    /// Prints the JSON Schema of a message or of the configuration; without a name, the names
    Schema {
        /// event, summary, bench, broker_check, probe, probe_change, status, info, health, state, config_state, firmware, metrics,
        /// log, reply, provision, reading, comparison;
        /// config is that of the configuration's files, board that of board/NAME/board.toml
        name: Option<String>,
    },
    /// Collects what support needs in one archive: versions, settings without secrets, the last lines of the log, health
    /// of the last hour, devices
    Bundle(bundle::Options),
    /// Tells whether a broker is fit for a fleet: what is tried, what came of it, and what to do about it
    BrokerCheck(broker_check::Options),
    /// Has the broker forget this device: empties all that it keeps of it. The daemon must not run
    Decommission(Configured),
    /// Makes this box's key, its signing requests, and takes the certificates for them
    Provision(provision::Options),
    /// Prints the version and what it was built with
    Version,
}

/// Where the configuration is.
#[derive(Args, Clone)]
struct Configured {
    /// Read this file instead of /etc/picket/picket.toml, and conf.d/*.toml beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// One JSON object a line, as it happens
    Ndjson,
}

/// What a command ends with, when it does not end well.
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn environment(error: &dyn std::error::Error) -> Self {
        Self { code: ENVIRONMENT, text: crate::mqtt::chain(error) }
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    crate::health::keep_freed_memory();
    let arguments = Arguments::parse();
    let ran = std::panic::catch_unwind(|| {
        match arguments.command {
        Command::Run(configured) => run::run(&configured),
        Command::Analyze(options) => analyze::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Probe(options) => probe::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Schema { name } => schema(name.as_deref()),
        Command::Bundle(options) => bundle::run(&options),
        #[cfg(feature = "watch")]
        Command::Watch(options) => watch::run(&options),
        #[cfg(not(feature = "watch"))]
        Command::Watch { .. } => Err(Failure {
            code: CONFIGURATION,
            text: "watch is not in this build, as it is not in those for boxes: 'make watch' or 'cargo build --features watch' has it".to_owned(),
        }),
        Command::BrokerCheck(options) => broker_check::run(&options),
        Command::Decommission(configured) => run::decommission(&configured),
        Command::Provision(options) => provision::run(&options),
        Command::Version => version(),
    }
    });
    let code = match ran {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            output::fail(&failure.text);
            failure.code
        }
        // The panic's own message is out already.
        Err(_) => {
            output::complain("this is a bug of Picket: please report the lines above");
            BUG
        }
    };
    ExitCode::from(code)
}

fn schema(name: Option<&str>) -> Result<u8, Failure> {
    let names = || crate::wire::SCHEMA_NAMES.iter().copied().chain(["config", "board"]).collect::<Vec<_>>().join(", ");
    let Some(name) = name else {
        output::print(&names().replace(", ", "\n"));
        return Ok(GOOD);
    };
    let schema = match name {
        "config" => Some(crate::config::schema()),
        "board" => Some(crate::config::board_schema()),
        message => crate::wire::schema(message),
    };
    let schema = schema.ok_or_else(|| Failure {
        code: CONFIGURATION,
        text: format!("schema: there is no message '{name}'; there are: {}", names()),
    })?;
    output::print(&format!("{schema:#}"));
    Ok(GOOD)
}

fn version() -> Result<u8, Failure> {
    output::print(&version_text());
    Ok(GOOD)
}

/// The version, and what it was built with.
fn version_text() -> String {
    format!(
        "picket {}\nkernels {}\nFFmpeg {}",
        env!("CARGO_PKG_VERSION"),
        crate::kernels::Kernels::available().iter().map(|set| set.level().name()).collect::<Vec<_>>().join(", "),
        crate::source::library_versions(),
    )
}
