//! Names of things. None needs a random number: a name can be made offline and is never made twice.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A configured source: 1 to 32 of `[a-z0-9-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(String);

/// This device in the fleet: `pk-` and 12 hexadecimal digits from the machine identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(String);

/// Counts starts of the daemon on this device; kept in the state folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartCount(pub u32);

/// This boot of the machine: the first 8 hexadecimal digits of the kernel's boot id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(String);

/// One stretch of one defect on one source. `<device>-<start>-<source>-<sequence>` in text: unique over the fleet and
/// over restarts, and the same whatever order the source threads run in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(String);

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A source id that topics could not carry.
    #[error("a source id is 1 to 32 characters of a-z, 0-9 and '-'")]
    Source,
    /// A device id of the wrong form.
    #[error("a device id is 'pk-' and 12 hexadecimal digits")]
    Device,
}

impl SourceId {
    /// Checks the form.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::Source) }
    }
    /// As it stands in topics.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeviceId {
    /// Checks the form.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let hex = text.strip_prefix("pk-").ok_or(IdError::Device)?;
        let fits = hex.len() == 12 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::Device) }
    }
    /// From the machine identity (the text of /etc/machine-id): hashed, because machine-id(5) asks not to publish it.
    pub fn from_machine_identity(identity: &str) -> Self {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(format!("picket device {}", identity.trim()));
        let hex: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
        Self(format!("pk-{hex}"))
    }
    /// The device that `analyze` writes: results of a file do not depend on who analysed it.
    pub fn offline() -> Self {
        Self("pk-000000000000".to_owned())
    }
    /// As it stands in topics.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The 12 digits alone.
    pub fn digits(&self) -> &str {
        &self.0[3..]
    }
}

impl BootId {
    /// From the kernel's boot id, a UUID (/proc/sys/kernel/random/boot_id).
    pub fn from_kernel(boot_id: &str) -> Self {
        Self(boot_id.chars().filter(char::is_ascii_hexdigit).take(8).collect())
    }
    /// As it stands in messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl IncidentId {
    /// As it stands in messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes the incident ids of one source. Clones share the sequence, so that a thread that takes over from one that
/// failed makes no id again.
#[derive(Clone, Debug)]
pub struct IncidentIds {
    prefix: String,
    sequence: Arc<AtomicU32>,
}

impl IncidentIds {
    /// Ids of `source` on `device` since its `start`-th start.
    pub fn new(device: &DeviceId, start: StartCount, source: &SourceId) -> Self {
        Self { prefix: format!("{}-{}-{}", device.digits(), start.0, source.as_str()), sequence: Arc::default() }
    }
    /// The next one.
    pub fn next_id(&mut self) -> IncidentId {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        IncidentId(format!("{}-{sequence}", self.prefix))
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_ids_fit_topics() {
        assert!(SourceId::new("sdi-1").is_ok());
        for bad in ["", "SDI", "a/b", "a b", "ä", &"x".repeat(33)] {
            assert_eq!(SourceId::new(bad), Err(IdError::Source), "{bad}");
        }
    }

    #[test]
    fn device_id_is_stable_and_well_formed() {
        let id = DeviceId::from_machine_identity("0123456789abcdef0123456789abcdef\n");
        assert_eq!(id, DeviceId::from_machine_identity("0123456789abcdef0123456789abcdef"));
        assert_eq!(DeviceId::new(id.as_str()), Ok(id));
        assert_eq!(DeviceId::new("pk-XYZ"), Err(IdError::Device));
    }

    #[test]
    fn incident_ids_count_up() -> Result<(), IdError> {
        let mut ids = IncidentIds::new(&DeviceId::offline(), StartCount(7), &SourceId::new("sdi-1")?);
        assert_eq!(ids.next_id().as_str(), "000000000000-7-sdi-1-1");
        assert_eq!(ids.clone().next_id().as_str(), "000000000000-7-sdi-1-2");
        assert_eq!(ids.next_id().as_str(), "000000000000-7-sdi-1-3");
        Ok(())
    }
}
