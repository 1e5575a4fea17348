//! Topics of one device (contract, mqtt). No other place puts a topic together.

use crate::ids::{DeviceId, SourceId};

/// Topics of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: String,
    images: String,
}

impl Topics {
    /// Below `prefix` (at most two levels, "" for none).
    pub fn new(prefix: &str, device: &DeviceId) -> Self {
        let before = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { root: format!("{before}picket/1/{device}"), images: format!("{before}picket-img/1/{device}") }
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
        Ok(())
    }
}
