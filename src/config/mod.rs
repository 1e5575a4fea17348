//! The configuration: files, environment and flags in layers, checked once. A [`Config`] that exists is right.
//!
//! Layers, weakest first: `/usr/lib/picket/picket.toml`, `/etc/picket/picket.toml` (or `--config FILE`),
//! `/etc/picket/conf.d/*.toml` (or the `conf.d` beside FILE), `/var/lib/picket/remote.toml`, what was set over MQTT
//! (`remote.rs`), the environment, flags.
//! Keys are merged one by one, sources by their id. An environment variable is named after its table and key in
//! capitals: `PICKET_BROKER_URL` is `url` of `[broker]`, `PICKET_EVIDENCE_PICTURES=false` a switch; keys of sources
//! have none. `PICKET_KERNELS` chooses the instruction set and is no configuration.
//!
//! The keys stand in `raw.rs`. Every mistake is found in one go and told with file, line and column.

mod boards;
mod certificates;
mod effective;
mod environment;
mod forms;
mod layers;
mod mistake;
mod nearest;
mod raw;
mod read;
mod remote;
mod rules;
mod schema;
mod validate;
#[cfg(test)]
mod tests;

pub use boards::{BoardCapture, BoardProfile, board_profile, board_schema};
pub use certificates::check_certificates;
pub use environment::{Finding, check_environment};
pub use layers::{Flag, Places, process_environment};
pub use mistake::{Mistake, Mistakes, Place};
pub use remote::{Pending, Remote, RemoteStatus};
pub use schema::schema;

use crate::ids::SourceId;
use crate::source::Input;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The device.
    pub device: Device,
    /// The broker; `None`: nobody is told, events wait in the outbox.
    pub broker: Option<crate::mqtt::Settings>,
    /// Topic levels before `picket/1`, "" for none.
    pub prefix: String,
    /// What Picket may take of the box.
    pub budget: Budget,
    /// How often health is told.
    pub health_period: Duration,
    /// Events on disk.
    pub outbox: crate::outbox::Settings,
    /// Whether alerts carry pictures.
    pub pictures: bool,
    /// Most bytes of the tapes of all sources; `None`: there are none.
    pub tape: Option<u64>,
    /// Whether Home Assistant is told.
    pub discovery: bool,
    /// What is watched; ids differ.
    pub sources: Vec<Source>,
    files: Vec<PathBuf>,
    notes: Vec<String>,
}

/// The device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub site: Option<String>,
    /// In place of /etc/machine-id: 32 hexadecimal digits.
    pub machine_id: Option<String>,
    /// What must outlive a restart.
    pub state_dir: PathBuf,
    /// Sockets.
    pub runtime_dir: PathBuf,
    /// The light that `identify` flashes, of /sys/class/leds.
    pub led: Option<String>,
    /// Whether the command `reboot` may start the machine anew.
    pub allow_reboot: bool,
}

/// What Picket may take of the box.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Processor time and memory.
    pub limits: crate::budget::Settings,
    /// Folder of the encoder's control group.
    pub encoder_cgroup: Option<PathBuf>,
}

/// One thing to watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// In topics.
    pub id: SourceId,
    /// Where it comes from.
    pub input: Input,
    /// A live source that sends nothing for this long is closed and opened again.
    pub reopen_after: Duration,
    /// The decoder that is tried first.
    pub decoder: Option<String>,
    /// Which defects are watched, and their hold times.
    pub incidents: crate::alert::Settings,
    /// What can be set of detectors.
    pub detect: crate::detect::Settings,
    /// The source that shows the same programme before the encoder, which this one is held against.
    pub pair_with: Option<SourceId>,
}

/// Reads all layers. Fails with every mistake that there is.
pub fn load(places: &Places, env: &BTreeMap<String, String>, flags: &[Flag]) -> Result<Config, Mistakes> {
    load_over(places, "", env, flags)
}

/// As [`load`], with `layer` (TOML, set from afar) over all files.
pub fn load_over(
    places: &Places,
    layer: &str,
    env: &BTreeMap<String, String>,
    flags: &[Flag],
) -> Result<Config, Mistakes> {
    let mut found = Vec::new();
    let merged = layers::merge(places, layer, env, flags, &mut found);
    let (config, wrong) = validate::config(merged, env);
    found.extend(wrong);
    match Mistakes::of(found) {
        None => Ok(config),
        Some(mistakes) => Err(mistakes),
    }
}

impl Config {
    /// Files that were read, weakest first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is right but may surprise, one line each: for `picket check`.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
