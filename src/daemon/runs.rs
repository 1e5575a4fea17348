//! How Picket itself has been running: starts, crashes, and safe mode, in which nothing is watched because Picket
//! crashed again and again.
//!
//! A run that did not end in order, within the same boot of the machine, is a crash: a panic of the control loop, a signal,
//! the watchdog, the kernel out of memory. A power cut is none.

use super::state_folder::write_whole;
use crate::health::RunHealth;
use crate::ids::BootId;
use crate::time::Mono;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many crashes ...
const CRASHES_MAX: usize = 5;
/// ... within this time, and nothing is watched ...
const WITHIN: Duration = Duration::from_secs(600);
/// ... for this long.
const QUIET: Duration = Duration::from_secs(600);
/// A crash is told for so long.
const TOLD_FOR: Duration = Duration::from_secs(24 * 3600);
/// A power cut costs as much of the time without a crash.
const STORE_EVERY: Duration = Duration::from_secs(3600);
/// Longest text about a crash.
const TEXT_CHARS_MAX: usize = 500;

/// Written by the panic hook.
const WORDS: &str = "crash";
/// Written by systemd (ExecStopPost= of the unit): result of the service, code and status of the exit.
const ENDED: &str = "end";

/// What is remembered over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    boot: String,
    /// Starts in that boot.
    starts: u32,
    running: bool,
    crash_free: Duration,
    /// Crashes of late, in that boot.
    crashes: Vec<Mono>,
    /// The last words of the last one, and when it was found.
    last: Option<(Mono, String)>,
}

/// This run and those before it.
#[derive(Debug)]
pub(super) struct Runs {
    path: PathBuf,
    record: Record,
    /// Time without a crash before this run.
    before: Duration,
    began: Mono,
    stored: Mono,
    safe: Option<String>,
}

impl Runs {
    /// Counts this start, and finds out how the run before it ended.
    pub(super) fn open(folder: &Path, boot: &BootId, now: Mono) -> Self {
        let path = folder.join("runs");
        let mut record = Record::parse(&std::fs::read_to_string(&path).unwrap_or_default());
        let same_boot = record.boot == boot.as_str();
        let words = last_words(folder);
        if !same_boot {
            (record.boot, record.starts, record.last) = (boot.as_str().to_owned(), 0, None);
            record.crashes.clear();
        } else if record.running {
            let text = words.unwrap_or_else(|| "it ended without a word, as a process that is killed does".to_owned());
            tracing::error!(text, "the run before this one crashed");
            record.crashes.push(now);
            record.last = Some((now, text));
            record.crash_free = Duration::ZERO;
        }
        record.crashes.retain(|when| now.since(*when) <= WITHIN);
        record.starts += 1;
        record.running = true;
        let safe = (record.crashes.len() >= CRASHES_MAX).then(|| {
            let last = record.last.as_ref().map_or("", |(_, text)| text.as_str());
            format!("{} crashes in {} min, the last one: {last}", record.crashes.len(), WITHIN.as_secs() / 60)
        });
        if let Some(why) = &safe {
            tracing::error!(why, "safe mode: nothing is watched for {} min", QUIET.as_secs() / 60);
        }
        let before = record.crash_free;
        let runs = Self { path, record, before, began: now, stored: now, safe };
        runs.store();
        runs
    }

    /// Why nothing is watched.
    pub(super) fn safe_mode(&self) -> Option<&str> {
        self.safe.as_deref()
    }

    /// The machine has started since the run before this one.
    pub(super) fn is_first_of_boot(&self) -> bool {
        self.record.starts == 1
    }

    /// Safe mode has lasted for long enough.
    pub(super) fn is_quiet(&self, now: Mono) -> bool {
        self.safe.is_some() && now.since(self.began) >= QUIET
    }

    /// For `health`.
    pub(super) fn health(&self, now: Mono) -> RunHealth {
        let last = self.record.last.as_ref().filter(|(when, _)| now.since(*when) <= TOLD_FOR);
        RunHealth {
            restarts: self.record.starts.saturating_sub(1),
            crash_free: self.before + now.since(self.began),
            last_crash: last.map(|(_, text)| text.clone()),
            safe_mode: self.safe.clone(),
        }
    }

    /// Called each second.
    pub(super) fn tick(&mut self, now: Mono) {
        if now.since(self.stored) >= STORE_EVERY {
            self.stored = now;
            self.record.crash_free = self.before + now.since(self.began);
            self.store();
        }
    }

    /// This run ends in order: whoever starts the next one has seen to what was wrong.
    pub(super) fn ended(&mut self, now: Mono) {
        self.record.running = false;
        self.record.crash_free = self.before + now.since(self.began);
        self.record.crashes.clear();
        self.store();
    }

    /// The run of this folder ends because the machine refuses something.
    pub(super) fn gave_up(folder: &Path) {
        let path = folder.join("runs");
        let mut record = Record::parse(&std::fs::read_to_string(&path).unwrap_or_default());
        record.running = false;
        // The next start says what is wrong.
        let _ = write_whole(&path, record.text().as_bytes());
    }

    fn store(&self) {
        if let Err(error) = write_whole(&self.path, self.record.text().as_bytes()) {
            tracing::warn!(%error, path = %self.path.display(), "crashes cannot be counted");
        }
    }
}

/// Has the last words of a panic on this thread, which runs the control loop, written down. Panics of sources' threads
/// are caught there and end no run.
pub(super) fn keep_last_words(folder: &Path) {
    let (path, thread) = (folder.join(WORDS), std::thread::current().id());
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        former(panic);
        if std::thread::current().id() == thread {
            // If the disk does not take it, the journal has it.
            let _ = write_whole(&path, panic.to_string().as_bytes());
        }
    }));
}

/// What a panic or systemd wrote down since the last start, on one line.
fn last_words(folder: &Path) -> Option<String> {
    let take = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        let _ = std::fs::remove_file(folder.join(name));
        let line: Vec<&str> = text.split_whitespace().collect();
        Some(line.join(" ").chars().take(TEXT_CHARS_MAX).collect()).filter(|line: &String| !line.is_empty())
    };
    let (words, ended) = (take(WORDS), take(ENDED));
    words.or(ended.map(|ended| format!("systemd says: {ended}")))
}

impl Record {
    fn text(&self) -> String {
        let mut text = format!(
            "boot {}\nstarts {}\nrunning {}\ncrash_free_ms {}\n",
            self.boot,
            self.starts,
            self.running,
            self.crash_free.as_millis()
        );
        text.extend(self.crashes.iter().map(|when| format!("crash {}\n", when.0)));
        if let Some((when, words)) = &self.last {
            text.push_str(&format!("last {} {words}\n", when.0));
        }
        text
    }

    /// What cannot be read counts as not there.
    fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match key {
                "boot" => record.boot = value.to_owned(),
                "starts" => record.starts = value.parse().unwrap_or(0),
                "running" => record.running = value == "true",
                "crash_free_ms" => record.crash_free = Duration::from_millis(value.parse().unwrap_or(0)),
                "crash" => record.crashes.extend(value.parse().map(Mono)),
                "last" => {
                    let parts = value.split_once(' ');
                    record.last = parts.and_then(|(when, words)| Some((Mono(when.parse().ok()?), words.to_owned())));
                }
                _ => {}
            }
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn boot(name: &str) -> BootId {
        BootId::from_kernel(name)
    }

    #[test]
    fn five_crashes_in_ten_minutes_are_safe_mode_until_it_is_quiet() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |seconds| Runs::open(folder.path(), &boot("11111111"), at(seconds));
        for n in 0..5 {
            let runs = open(100 + 30 * n);
            assert_eq!((runs.safe_mode(), runs.health(at(400)).restarts), (None, n as u32), "{n}");
        }
        std::fs::write(folder.path().join("crash"), "panicked at src/x.rs:1:2:\nindex out of bounds\n")
            .expect("written");
        let mut runs = open(250);
        let why = runs.safe_mode().expect("safe mode").to_owned();
        assert!(why.starts_with("5 crashes in 10 min") && why.ends_with("src/x.rs:1:2: index out of bounds"), "{why}");
        assert!(!runs.is_quiet(at(849)) && runs.is_quiet(at(850)));
        let health = runs.health(at(260));
        assert_eq!((health.restarts, health.crash_free), (5, Duration::from_secs(10)));
        runs.ended(at(850));
        let runs = open(851);
        assert_eq!((runs.safe_mode(), runs.health(at(851)).crash_free), (None, Duration::from_secs(600)));
        assert!(runs.health(at(900)).last_crash.is_some() && runs.health(at(90_000)).last_crash.is_none());
    }

    #[test]
    fn crashes_far_apart_and_power_cuts_are_no_loop() {
        let folder = tempfile::tempdir().expect("a folder");
        for n in 0..9 {
            assert_eq!(Runs::open(folder.path(), &boot("11111111"), at(1000 + 160 * n)).safe_mode(), None);
        }
        for n in 0..9_u32 {
            let runs = Runs::open(folder.path(), &boot(&format!("{n:08}")), at(20));
            assert_eq!(
                (runs.safe_mode(), runs.health(at(20)).restarts, runs.health(at(20)).last_crash),
                (None, 0, None)
            );
        }
    }

    #[test]
    fn what_systemd_says_counts_where_there_are_no_last_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |seconds| Runs::open(folder.path(), &boot("11111111"), at(seconds));
        let _ = open(1);
        std::fs::write(folder.path().join("end"), "watchdog killed ABRT\n").expect("written");
        assert_eq!(open(2).health(at(2)).last_crash.as_deref(), Some("systemd says: watchdog killed ABRT"));
        assert!(!folder.path().join("end").exists());
        std::fs::write(folder.path().join("runs"), "\u{0}rubbish\nstarts x\ncrash y\nlast 5\n").expect("written");
        assert_eq!(open(3).health(at(3)).restarts, 0);
    }

    #[test]
    fn time_without_a_crash_outlives_restarts_and_most_of_it_a_power_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut runs = Runs::open(folder.path(), &boot("11111111"), at(0));
        runs.ended(at(7200));
        let mut runs = Runs::open(folder.path(), &boot("11111111"), at(7300));
        (7300..11_000).for_each(|second| runs.tick(at(second)));
        let runs = Runs::open(folder.path(), &boot("22222222"), at(5));
        assert_eq!(runs.health(at(5)).crash_free, Duration::from_secs(7200 + 3600));
    }
}
