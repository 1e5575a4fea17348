//! The topics on which the broker keeps something of this device: what a former configuration left there is emptied,
//! and all of it when the device is taken out of service.

use super::state_folder::write_whole;
use crate::config::Config;
use crate::ids::SourceId;
use crate::wire::{Device, Message, Topics};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The list of those topics.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    now: BTreeSet<String>,
    /// Of former configurations, not known to be empty.
    gone: BTreeSet<String>,
}

impl Kept {
    /// Of this configuration, and what the list of a former run has besides.
    pub(super) fn open(config: &Config, device: &Device, topics: &Topics) -> Self {
        let path = config.device.state_dir.join("topics");
        let now: BTreeSet<String> = topics_of(config, device, topics).collect();
        let former: BTreeSet<String> =
            std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
        let gone = former.difference(&now).cloned().collect();
        let kept = Self { path, now, gone };
        if kept.all().collect::<BTreeSet<_>>() != former.iter().collect() {
            store(&kept.path, kept.all());
        }
        kept
    }

    /// Topics that are to be emptied.
    pub(super) fn gone(&self) -> impl Iterator<Item = &String> {
        self.gone.iter()
    }

    /// Topics that hold something, or may.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.now.union(&self.gone)
    }

    /// The broker has taken everything.
    pub(super) fn settled(&mut self) {
        if !self.gone.is_empty() {
            self.gone.clear();
            store(&self.path, self.now.iter());
        }
    }

    /// Nothing is kept any more.
    pub(super) fn emptied(self) {
        // What is not there need not go.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn topics_of(config: &Config, device: &Device, topics: &Topics) -> impl Iterator<Item = String> {
    let sources = config.sources.iter().map(|source| &source.id);
    let states = sources.clone().map(|source| topics.state(source));
    let images = sources.filter(|_| config.pictures).map(|source| topics.image(source));
    let discovery = discovery(config, device, topics).into_iter().map(|message| message.topic);
    [topics.status(), topics.info(), topics.config(), topics.firmware()]
        .into_iter()
        .chain(states)
        .chain(images)
        .chain(discovery)
}

/// What Home Assistant is told, where it is to be told.
pub(super) fn discovery(config: &Config, device: &Device, topics: &Topics) -> Vec<Message> {
    if !config.discovery {
        return Vec::new();
    }
    let ids: Vec<SourceId> = config.sources.iter().map(|source| source.id.clone()).collect();
    crate::wire::discovery(device, &ids, topics, config.health_period, config.pictures)
}

fn store<'a>(path: &Path, topics: impl Iterator<Item = &'a String>) {
    let text: String = topics.flat_map(|topic| [topic.as_str(), "\n"]).collect();
    if let Err(error) = write_whole(path, text.as_bytes()) {
        tracing::warn!(%error, path = %path.display(), "topics that the broker keeps cannot be noted");
    }
}
