//! What the name of an ALSA device says, as far as it names hardware.

use std::path::{Path, PathBuf};

/// Card and device that a name such as "plughw:CARD=Loopback,DEV=1" means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Name {
    /// Number or identity of the card.
    pub card: String,
    /// Number of the device on it.
    pub device: u32,
}

impl Name {
    /// `None` for names that mean no hardware by themselves, as "default".
    pub(in super::super) fn parse(text: &str) -> Option<Self> {
        let (kind, arguments) = text.split_once(':')?;
        if !matches!(kind, "hw" | "plughw" | "sysdefault" | "dsnoop" | "front") {
            return None;
        }
        let mut name = Self { card: String::new(), device: 0 };
        for (place, argument) in arguments.split(',').enumerate() {
            let (key, value) =
                argument.split_once('=').unwrap_or((["CARD", "DEV"].get(place).unwrap_or(&""), argument));
            match key {
                "CARD" => value.clone_into(&mut name.card),
                "DEV" => name.device = value.parse().ok()?,
                _ => {}
            }
        }
        // It becomes part of a path.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        (!name.card.is_empty() && name.card.chars().all(plain)).then_some(name)
    }

    /// The card's folder below `root`/proc/asound.
    fn folder(&self, root: &Path) -> PathBuf {
        let number = self.card.parse::<u32>().map(|number| format!("card{number}"));
        root.join("proc/asound").join(number.unwrap_or_else(|_| self.card.clone()))
    }

    /// Thread that has the capture side open, as the kernel tells (proc/asound/cardN/pcmMc/subK/status).
    pub(in super::super) fn owner(&self, root: &Path) -> Option<u32> {
        let device = self.folder(root).join(format!("pcm{}c", self.device));
        let mut parts: Vec<PathBuf> = std::fs::read_dir(device).ok()?.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        parts.iter().find_map(|part| {
            let status = std::fs::read_to_string(part.join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("owner_pid")?.split_once(':')?.1.trim().parse().ok())
        })
    }

    /// "48000 Hz 2 ch S16_LE" of whoever has the capture side open (proc/asound/cardN/pcmMc/subK/hw_params).
    pub(in super::super) fn running(&self, root: &Path) -> Option<String> {
        let path = self.folder(root).join(format!("pcm{}c/sub0/hw_params", self.device));
        let text = std::fs::read_to_string(path).ok()?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let rate = value("rate")?.split(' ').next()?;
        Some(format!("{rate} Hz {} ch {}", value("channels")?, value("format")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u32)> {
        Name::parse(text).map(|name| (name.card, name.device))
    }

    #[test]
    fn names_of_hardware_are_understood() {
        assert_eq!(parsed("hw:1,0"), Some(("1".into(), 0)));
        assert_eq!(parsed("hw:2"), Some(("2".into(), 0)));
        assert_eq!(parsed("hw:0,1,3"), Some(("0".into(), 1)));
        assert_eq!(parsed("plughw:CARD=Loopback,DEV=1"), Some(("Loopback".into(), 1)));
        assert_eq!(parsed("hw:DEV=1,CARD=C"), Some(("C".into(), 1)));
        for other in ["default", "hw:", "hw:1,x", "pulse:a", "hw:../..", "null"] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }

    #[test]
    fn the_kernel_says_who_has_it_and_how() {
        let root = tempfile::tempdir().expect("a folder");
        let sub = root.path().join("proc/asound/card1/pcm0c/sub0");
        std::fs::create_dir_all(&sub).expect("made");
        std::fs::write(sub.join("status"), "state: RUNNING\nowner_pid   : 4711\ntrigger_time: 1.0\n").expect("written");
        let shape = "access: MMAP_INTERLEAVED\nformat: S16_LE\nsubformat: STD\nchannels: 2\nrate: 48000 (48000/1)\n";
        std::fs::write(sub.join("hw_params"), shape).expect("written");
        let name = Name::parse("hw:1,0").expect("hardware");
        assert_eq!(
            (name.owner(root.path()), name.running(root.path())),
            (Some(4711), Some("48000 Hz 2 ch S16_LE".into()))
        );
        std::fs::write(sub.join("status"), "closed\n").expect("written");
        std::fs::write(sub.join("hw_params"), "closed\n").expect("written");
        assert_eq!((name.owner(root.path()), name.running(root.path())), (None, None));
        assert_eq!(Name::parse("hw:7,0").expect("hardware").owner(root.path()), None);
    }
}
