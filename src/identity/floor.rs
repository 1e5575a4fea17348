//! The time by which certificates are judged. A box without a battery-backed clock starts in 1970, when no certificate
//! is valid yet: it is never before the build, nor before the last good time of an earlier run. Certificates are checked
//! all the same.

use super::files::write_whole;
use crate::time::Wall;
use std::path::{Path, PathBuf};

/// 2026-11-01, when this was written: a build that tells no time is not older.
const EARLIEST_BUILD_S: i64 = 1_793_491_200;
/// An hour matters to no certificate, and the flash is spared.
const KEEP_EVERY_S: i64 = 3600;

/// When this program was built, seconds since the Unix epoch: reproducible builds say so in SOURCE_DATE_EPOCH.
fn built_s() -> i64 {
    option_env!("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok()).unwrap_or(0).max(EARLIEST_BUILD_S)
}

/// The file in the state folder that holds the last good time.
pub fn kept_time(state_dir: &Path) -> PathBuf {
    state_dir.join("time")
}

fn kept_s(file: &Path) -> Option<i64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Seconds since the Unix epoch. A clock that the kernel calls synchronised counts also against the last good time, so
/// that one wrong synchronisation does not end all certificates for good.
pub fn now_s(wall: Wall, kept: Option<&Path>) -> i64 {
    let own = (wall.unix_ms / 1000).max(built_s());
    match kept.and_then(kept_s) {
        Some(kept) if !wall.synced => own.max(kept),
        _ => own,
    }
}

/// Keeps the last good time.
#[derive(Debug)]
pub struct KeptTime {
    path: PathBuf,
    kept_s: Option<i64>,
}

impl KeptTime {
    /// Of the box with this state folder.
    pub fn open(state_dir: &Path) -> Self {
        let path = kept_time(state_dir);
        Self { kept_s: kept_s(&path), path }
    }

    /// The clock says so. Stored only when it is synchronised and an hour away from what is stored.
    pub fn note(&mut self, wall: Wall) -> std::io::Result<()> {
        let now_s = wall.unix_ms / 1000;
        let near = self.kept_s.is_some_and(|kept| (now_s - kept).abs() < KEEP_EVERY_S);
        if !wall.synced || near {
            return Ok(());
        }
        // Also when it fails: a disk that takes nothing is not tried each second.
        self.kept_s = Some(now_s);
        write_whole(&self.path, format!("{now_s}\n").as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_s: i64, synced: bool) -> Wall {
        Wall { unix_ms: unix_s * 1000, synced }
    }

    #[test]
    fn time_is_never_before_the_build_nor_before_the_last_good_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = kept_time(folder.path());
        assert_eq!((now_s(at(0, false), None), now_s(at(-5, false), Some(&path))), (built_s(), built_s()));
        assert_eq!(now_s(at(4_000_000_000, false), None), 4_000_000_000);
        std::fs::write(&path, "3000000000\n").expect("written");
        assert_eq!(now_s(at(0, false), Some(&path)), 3_000_000_000);
        assert_eq!(now_s(at(3_500_000_000, false), Some(&path)), 3_500_000_000);
        // It was wrong, and now we know better.
        assert_eq!(now_s(at(2_900_000_000, true), Some(&path)), 2_900_000_000);
        std::fs::write(&path, "rubbish").expect("written");
        assert_eq!(now_s(at(0, false), Some(&path)), built_s());
    }

    #[test]
    fn the_time_is_kept_hourly_and_only_when_it_is_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = || kept_s(&kept_time(folder.path()));
        let mut kept = KeptTime::open(folder.path());
        kept.note(at(2_000_000_000, false)).expect("nothing to do");
        assert_eq!(read(), None);
        kept.note(at(2_000_000_000, true)).expect("stored");
        kept.note(at(2_000_003_599, true)).expect("nothing to do");
        assert_eq!(read(), Some(2_000_000_000));
        // Another run, within the hour.
        let mut kept = KeptTime::open(folder.path());
        kept.note(at(2_000_003_599, true)).expect("nothing to do");
        assert_eq!(read(), Some(2_000_000_000));
        kept.note(at(2_000_003_600, true)).expect("stored");
        assert_eq!(read(), Some(2_000_003_600));
        kept.note(at(1_900_000_000, true)).expect("stored");
        assert_eq!(read(), Some(1_900_000_000));
    }
}
