//! Topics of one device (contract, mqtt). No other place puts a topic together.

use crate::ids::{DeviceId, SourceId};

/// Topics of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: String,
    images: String,
    bundles: String,
    device: DeviceId,
}

impl Topics {
    /// Below `prefix` (at most two levels, "" for none).
    pub fn new(prefix: &str, device: &DeviceId) -> Self {
        let before = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self {
            root: format!("{before}picket/1/{device}"),
            images: format!("{before}picket-img/1/{device}"),
            bundles: format!("{before}picket-bundle/1/{device}"),
            device: device.clone(),
        }
    }
    /// Online, stopping, lost.
    pub fn status(&self) -> String {
        format!("{}/status", self.root)
    }
    /// Identity and versions.
    pub fn info(&self) -> String {
        format!("{}/info", self.root)
    }
    /// How the box is doing.
    pub fn health(&self) -> String {
        format!("{}/health", self.root)
    }
    /// Filter for the commands to this device.
    pub fn commands(&self) -> String {
        format!("{}/cmd/#", self.root)
    }
    /// The name of the command that came on `topic`; `None` when it is no command to this device.
    pub fn command_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&self.root)?.strip_prefix("/cmd/")
    }
    /// Where a command to this device is sent.
    pub fn command(&self, name: &str) -> String {
        format!("{}/cmd/{name}", self.root)
    }
    /// What Home Assistant is told of the device, or of one of its sources.
    pub fn discovery(&self, source: Option<&SourceId>) -> String {
        let of = source.map_or(String::new(), |source| format!("-{source}"));
        format!("homeassistant/device/{}{of}/config", self.device)
    }
    /// The reply to a command.
    pub fn reply(&self, id: &str) -> String {
        format!("{}/reply/{id}", self.root)
    }
    /// The settings that stand.
    pub fn config(&self) -> String {
        format!("{}/config", self.root)
    }
    /// What runs, and what updates it.
    pub fn firmware(&self) -> String {
        format!("{}/firmware", self.root)
    }
    /// Lines of the log, when asked for.
    pub fn log(&self) -> String {
        format!("{}/log", self.root)
    }
    /// Below this the pieces of the support archive that the command `id` asked for, numbered from 0. Their root is one of
    /// its own: who may see pictures need not read logs.
    pub fn bundle(&self, id: &str) -> String {
        format!("{}/{id}", self.bundles)
    }
    /// What is measured of a source, when asked for.
    pub fn metrics(&self, source: &SourceId) -> String {
        format!("{}/src/{source}/metrics", self.root)
    }
    /// A source as fingerprints, when asked for.
    pub fn fingerprint(&self, source: &SourceId) -> String {
        format!("{}/src/{source}/fingerprint", self.root)
    }
    /// How a source is doing.
    pub fn state(&self, source: &SourceId) -> String {
        format!("{}/src/{source}/state", self.root)
    }
    /// Steps of incidents.
    pub fn event(&self, source: &SourceId) -> String {
        format!("{}/src/{source}/event", self.root)
    }
    /// The last picture of an incident.
    pub fn image(&self, source: &SourceId) -> String {
        format!("{}/{source}/last", self.images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_those_of_the_contract() -> Result<(), crate::ids::IdError> {
        let source = SourceId::new("sdi-1")?;
        let topics = Topics::new("", &DeviceId::offline());
        assert_eq!(topics.event(&source), "picket/1/pk-000000000000/src/sdi-1/event");
        assert_eq!(topics.image(&source), "picket-img/1/pk-000000000000/sdi-1/last");
        let topics = Topics::new("acme/tv", &DeviceId::offline());
        assert_eq!(topics.status(), "acme/tv/picket/1/pk-000000000000/status");
        assert_eq!(topics.bundle("a"), "acme/tv/picket-bundle/1/pk-000000000000/a");
        Ok(())
    }
}
