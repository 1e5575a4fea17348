//! `picket broker-check`: whether a broker is fit for a fleet of Picket devices.

use super::broker::{self, Way};
use super::{BUG, CONFIGURATION, ENVIRONMENT, FINDINGS, Failure, GOOD, output, run};
use crate::config::Config;
use crate::fitness::{End, Level, Plan, Point, check};
use crate::ids::DeviceId;
use crate::time::{Clock, SystemClock};
use crate::wire::{self, FitnessPoint, FitnessReport};
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

/// Messages to keep at once: above the 1,000 that Mosquitto queues for a reader where nobody said otherwise.
const CROWD: u16 = 2000;

#[derive(Args)]
#[command(
    after_help = "Takes about 15 seconds. Everything is tried below one device's own topics and emptied again at the end, on Ctrl-C too.\n\
Where the broker makes client ids of certificates, stop the device's daemon first: one would throw the other out."
)]
pub(super) struct Options {
    /// mqtt://HOST or mqtts://HOST, as a device comes
    #[arg(value_name = "BROKER_URL", required_unless_present = "config", conflicts_with = "config")]
    url: Option<String>,
    /// Take the broker, the prefix and the device of this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    way: Way,
    /// Whose topics to use, pk-...; else those of this machine
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Somebody who may read what devices say, where devices may not: mqtt://USER@HOST
    #[arg(long, value_name = "URL")]
    reader: Option<String>,
    /// File that holds the reader's password alone
    #[arg(long, value_name = "FILE", requires = "reader")]
    reader_password_file: Option<PathBuf>,
    /// Messages to keep at once, to fill the queues of readers
    #[arg(long, value_name = "NUMBER", default_value_t = CROWD, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    kept: u16,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    format: ReportFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people, line by line as it is found
    Text,
    /// One JSON document (picket schema broker_check)
    Json,
}

pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let plan = plan(options)?;
    let (host, port) = (plan.device.host.clone(), plan.device.port);
    let broker = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let prefix = plan.prefix.clone();
    let mut points: Vec<Point> = Vec::new();
    let began = SystemClock.mono();
    let progress = options.format == ReportFormat::Json && std::io::stderr().is_terminal();
    if options.format == ReportFormat::Text {
        output::print(&format!(
            "{broker}, as {} below {}picket/1",
            plan.id,
            if prefix.is_empty() { prefix } else { format!("{prefix}/") }
        ));
    }
    let checked = check(plan, Arc::new(SystemClock), |point| {
        match options.format {
            ReportFormat::Text => output::print(&line(point)),
            ReportFormat::Json if progress => output::complain(point.name),
            ReportFormat::Json => {}
        }
        points.push(point.clone());
    });
    let (end, left) = checked.map_err(|error| Failure { code: BUG, text: format!("no runtime: {error}") })?;
    if !left.is_empty() {
        output::complain(&format!(
            "the broker may still keep {} messages of this check, because it could not be reached any more: run it again ({})",
            left.len(),
            left.first().map_or("", String::as_str)
        ));
    }
    match end {
        End::Unreachable(why) => {
            // Some errors begin with where.
            let text = if why.starts_with(&broker) { why } else { format!("{broker}: {why}") };
            return Err(Failure { code: ENVIRONMENT, text });
        }
        End::Interrupted => return Err(Failure { code: ENVIRONMENT, text: "interrupted".to_owned() }),
        End::Done => {}
    }
    let count = |level| points.iter().filter(|point| point.level == level).count();
    let (findings, warnings, untold) = (count(Level::Finding), count(Level::Warning), count(Level::Untold));
    match options.format {
        ReportFormat::Text => {
            let verdict =
                if findings == 0 { "fit".to_owned() } else { format!("not fit: {}", several(findings, "finding")) };
            let unseen =
                if untold == 0 { String::new() } else { format!(", {} could not be seen", several(untold, "point")) };
            output::print(&format!("{verdict}, {}{unseen}", several(warnings, "warning")));
        }
        ReportFormat::Json => output::print_json(&wire::fitness(FitnessReport {
            broker,
            fit: findings == 0,
            wall_s: SystemClock.mono().since(began).as_secs_f64(),
            points: points.into_iter().map(told).collect(),
            ..FitnessReport::default()
        })),
    }
    Ok(if findings == 0 { GOOD } else { FINDINGS })
}

fn plan(options: &Options) -> Result<Plan, Failure> {
    let usage = |text: &str| Failure { code: CONFIGURATION, text: text.to_owned() };
    let config: Config = match (&options.url, &options.config) {
        (Some(url), _) => broker::named(url, &options.way)?,
        (None, Some(_)) if !options.way.is_empty() => {
            return Err(usage(
                "--config brings its own way to the broker: leave --ca, --cert, --key, --user, --password-file, --prefix and --mqtt out",
            ));
        }
        (None, file) => run::load(file.as_deref())?,
    };
    let id = match &options.device {
        Some(id) => DeviceId::new(id).map_err(|error| usage(&format!("--device {id}: {error}")))?,
        None => crate::daemon::device_id(&config).map_err(|error| Failure::environment(&error))?,
    };
    let device = config.broker.clone().ok_or_else(|| usage("the configuration names no broker: set [broker] url"))?;
    let reader = match &options.reader {
        Some(url) => broker::reader(url, options.reader_password_file.as_ref(), &options.way)?.broker,
        None => None,
    };
    Ok(Plan { device, reader, prefix: config.prefix.clone(), id, crowd: options.kept.into() })
}

fn line(point: &Point) -> String {
    let kind = match point.level {
        Level::Ok => "cleared",
        Level::Warning => "minor",
        Level::Finding => "critical",
        Level::Untold => "",
    };
    let level = output::paint(&format!("{:8}", point.level.name()), kind);
    let cure = point.cure.as_ref().map_or(String::new(), |cure| format!("\n{:26}{}: {cure}", "", word(point.level)));
    format!("{level} {:16} {}{cure}", point.name, point.text)
}

fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn word(level: Level) -> &'static str {
    if level == Level::Untold { "to see it" } else { "cure" }
}

fn told(point: Point) -> FitnessPoint {
    let Point { name, level, text, cure, measured } = point;
    FitnessPoint { name, level: level.name(), text, cure, measured }
}
