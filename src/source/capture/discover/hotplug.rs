//! Devices that come and go.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// A device comes as several files, and its permissions are set after that: looked at when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(300);
/// A folder below /dev may come after us; without news it is looked for again.
const AGAIN: Duration = Duration::from_secs(5);
/// So many changes in a row without a quiet moment are looked at all the same.
const CHANGES_MAX: u32 = 20;

/// Watches the folders in which device files appear.
pub struct Hotplug {
    inotify: Inotify,
}

impl Hotplug {
    /// Begins to watch. Fails when the kernel has no inotify left to give.
    pub fn watch() -> std::io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let hotplug = Self { inotify };
        hotplug.add(Path::new("/dev"))?;
        hotplug.add_folders();
        Ok(hotplug)
    }

    /// Waits until devices may have changed.
    pub fn wait(&self) -> std::io::Result<()> {
        while !self.news(AGAIN)? {
            self.add_folders();
        }
        self.add_folders();
        for _ in 0..CHANGES_MAX {
            if !self.news(QUIET)? {
                break;
            }
        }
        Ok(())
    }

    fn add(&self, folder: &Path) -> nix::Result<()> {
        let wanted =
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVE;
        // The same folder twice is one watch.
        self.inotify.add_watch(folder, wanted).map(|_| ())
    }

    fn add_folders(&self) {
        for folder in ["/dev/snd", "/dev/v4l/by-path"] {
            // It comes with the first device of its kind.
            let _ = self.add(Path::new(folder));
        }
    }

    /// Whether a device file came, went, or changed within `time`. Other files of /dev do so all the time.
    fn news(&self, time: Duration) -> std::io::Result<bool> {
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match self.inotify.read_events() {
            Ok(events) => Ok(events.iter().any(is_device)),
            Err(nix::errno::Errno::EAGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// An event without a name is of the folder itself, or tells that events were lost.
fn is_device(event: &InotifyEvent) -> bool {
    let Some(name) = &event.name else { return true };
    let name = name.to_string_lossy();
    ["video", "v4l", "snd", "pcm", "control", "pci", "platform", "usb"].iter().any(|start| name.starts_with(start))
}
