//! The box's light (command `identify`): it flashes for a time, so that whoever stands before a rack finds the box.

use crate::time::Mono;
use std::io;
use std::path::{Path, PathBuf};

/// Short flashes, twice per second: unlike those of disks and networks.
const PATTERN_MS: (u32, u32) = (80, 420);

/// What is told of the kernel's driver (Documentation/leds/leds-class).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Former {
    trigger: Option<String>,
    brightness: String,
}

/// A light of sysfs.
#[derive(Debug)]
pub(super) struct Led {
    folder: PathBuf,
    flashing: Option<(Mono, Former)>,
    /// The kernel has no timer for it: it is switched each second.
    by_hand: bool,
}

impl Led {
    /// `name`: as in /sys/class/leds below `root`.
    pub(super) fn new(root: &Path, name: &str) -> Self {
        Self { folder: root.join("sys/class/leds").join(name), flashing: None, by_hand: false }
    }

    /// Flashes until then. Again: until the later time.
    pub(super) fn flash(&mut self, until: Mono) -> Result<(), String> {
        if let Some((when, _)) = &mut self.flashing {
            *when = until.max(*when);
            return Ok(());
        }
        let told = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => format!("{}: there is no such light", self.folder.display()),
            _ => format!("{}: {error} (the light must be writable for Picket: see the README)", self.folder.display()),
        };
        let brightness = self.read("brightness").map_err(told)?;
        let triggers = self.read("trigger").unwrap_or_default();
        let trigger =
            triggers.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(name, _)| name.to_owned());
        let former = Former { trigger, brightness };
        self.by_hand = self.write("trigger", "timer").is_err();
        for (file, time_ms) in [("delay_on", PATTERN_MS.0), ("delay_off", PATTERN_MS.1)] {
            // Files of the timer, which may be root's alone; its own pattern is seen too.
            let _ = self.write(file, &time_ms.to_string());
        }
        if self.by_hand {
            self.switch(true).map_err(told)?;
        }
        self.flashing = Some((until, former));
        Ok(())
    }

    /// Called each second.
    pub(super) fn tick(&mut self, now: Mono) {
        let Some((until, _)) = &self.flashing else { return };
        if now >= *until {
            self.restore();
        } else if self.by_hand {
            // A light that does not obey any more is nobody's loss.
            let _ = self.switch((now.as_ms() / 1000).is_multiple_of(2));
        }
    }

    /// As it was before.
    fn restore(&mut self) {
        let Some((_, former)) = self.flashing.take() else { return };
        let restored = match former.trigger.as_deref() {
            Some(trigger) if trigger != "none" => self.write("trigger", trigger),
            Some(_) => self.write("trigger", "none").and_then(|()| self.write("brightness", &former.brightness)),
            None => self.write("brightness", &former.brightness),
        };
        if let Err(error) = restored {
            tracing::warn!(%error, light = %self.folder.display(), "it does not go back to what it showed");
        }
    }

    fn switch(&self, on: bool) -> io::Result<()> {
        let most = self.read("max_brightness").unwrap_or_else(|_| "1".to_owned());
        self.write("brightness", if on { &most } else { "0" })
    }

    fn read(&self, file: &str) -> io::Result<String> {
        std::fs::read_to_string(self.folder.join(file)).map(|text| text.trim().to_owned())
    }

    /// Attributes of sysfs are there or not: none is made.
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        use std::io::Write;
        std::fs::OpenOptions::new().write(true).open(self.folder.join(file))?.write_all(text.as_bytes())
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        self.restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    /// A folder is no sysfs: what is written over something longer leaves its end.
    fn light(files: &[(&str, &str)]) -> (tempfile::TempDir, impl Fn(&str) -> String + use<>) {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("sys/class/leds/user");
        std::fs::create_dir_all(&folder).expect("made");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("written");
        }
        let read = move |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        (root, read)
    }

    #[test]
    fn the_kernel_flashes_where_it_can_and_all_is_as_before() {
        let files = [("brightness", "0"), ("trigger", "[none] timer"), ("delay_on", "5"), ("delay_off", "5")];
        let (root, read) = light(&files);
        let mut led = Led::new(root.path(), "user");
        led.flash(at(10)).expect("it flashes");
        assert!(read("trigger").starts_with("timer") && read("delay_off") == "420", "{}", read("trigger"));
        led.flash(at(5)).expect("it goes on");
        led.tick(at(9));
        assert!(read("trigger").starts_with("timer"));
        led.tick(at(10));
        assert!(read("trigger").starts_with("none") && read("brightness") == "0", "{}", read("trigger"));
    }

    #[test]
    fn without_a_timer_it_is_switched_by_hand_and_restored_at_the_end() {
        let (root, read) = light(&[("brightness", "000"), ("max_brightness", "255\n")]);
        let mut led = Led::new(root.path(), "user");
        led.flash(at(10)).expect("it flashes");
        assert_eq!(read("brightness"), "255");
        led.tick(at(3));
        assert!(read("brightness").starts_with('0'));
        led.tick(at(4));
        assert_eq!(read("brightness"), "255");
        drop(led);
        assert_eq!(read("brightness"), "000");
    }

    #[test]
    fn a_light_that_is_not_there_is_told() {
        let (root, _) = light(&[]);
        let wrong = Led::new(root.path(), "other").flash(at(1)).expect_err("none");
        assert!(wrong.ends_with("sys/class/leds/other: there is no such light"), "{wrong}");
    }
}
