//! A broker that is named on the command line: the same keys as [broker], read by the same code.

use super::{CONFIGURATION, Failure};
use crate::config::{self, Config, Flag, Places};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How to get in: as `[broker]` of the configuration.
#[derive(Args)]
pub(super) struct Way {
    /// Authorities that may have signed the broker's certificate, PEM; without it those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// User, if it is not in the URL
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File that holds the user's password alone
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Topic levels before picket/1
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Version of MQTT: 5 or 3.1.1
    #[arg(long, value_name = "VERSION")]
    mqtt: Option<String>,
}

impl Way {
    /// Whether nothing of it was given.
    pub(super) fn is_empty(&self) -> bool {
        self.flags().is_empty()
    }

    fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let file = |path: &Option<PathBuf>| {
            // Relative to where we are, as people write them; the configuration wants them whole.
            path.as_ref().map(|path| std::path::absolute(path).unwrap_or(path.clone()).display().to_string())
        };
        let all = [
            ("--ca", "broker.ca", file(&self.ca)),
            ("--cert", "broker.cert", file(&self.cert)),
            ("--key", "broker.key", file(&self.key)),
            ("--user", "broker.user", self.user.clone()),
            ("--password-file", "broker.password_file", file(&self.password_file)),
            ("--prefix", "broker.prefix", self.prefix.clone()),
            ("--mqtt", "broker.version", self.mqtt.clone()),
        ];
        all.into_iter().filter_map(|(flag, key, value)| value.map(|value| (flag, key, value))).collect()
    }
}

/// What a configuration with nothing but this broker would be; its `broker` is set. Every file is there and readable.
pub(super) fn named(url: &str, way: &Way) -> Result<Config, Failure> {
    let mut flags = vec![("BROKER_URL", "broker.url", url.to_owned())];
    flags.extend(way.flags());
    of_flags(flags)
}

/// Another user of the same broker: its own URL, with TLS as `way` has it where that URL wants it.
pub(super) fn reader(url: &str, password_file: Option<&PathBuf>, way: &Way) -> Result<Config, Failure> {
    let mut flags = vec![("--reader", "broker.url", url.to_owned())];
    if let Some(file) = password_file {
        let file = std::path::absolute(file).unwrap_or(file.clone());
        flags.push(("--reader-password-file", "broker.password_file", file.display().to_string()));
    }
    let shared = way.flags().into_iter().filter(|(_, key, _)| {
        (*key == "broker.ca" && url.starts_with("mqtts")) || matches!(*key, "broker.version" | "broker.prefix")
    });
    flags.extend(shared);
    of_flags(flags)
}

fn of_flags(flags: Vec<(&'static str, &'static str, String)>) -> Result<Config, Failure> {
    let flags: Vec<Flag> =
        flags.into_iter().map(|(flag, key, value)| Flag { flag: flag.to_owned(), key, value }).collect();
    // Neither the machine's configuration nor the environment counts for a broker that is named by hand. The folder is
    // Debian's name for one that is never there.
    let nowhere = Places::below(Path::new("/nonexistent"));
    let config = config::load(&nowhere, &BTreeMap::new(), &flags)
        .map_err(|mistakes| Failure { code: mistakes.exit_code(), text: mistakes.to_string() })?;
    let findings = config::check_environment(&config);
    let of_broker = findings.iter().filter(|finding| finding.key.starts_with("broker.")).map(ToString::to_string);
    match of_broker.collect::<Vec<_>>() {
        wrong if wrong.is_empty() => Ok(config),
        wrong => Err(Failure { code: CONFIGURATION, text: wrong.join("\n") }),
    }
}
