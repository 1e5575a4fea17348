//! The command `selftest`: the detectors on a signal with known defects, in a thread that yields to all others, and the
//! parts that alerts need on their way out.

use super::control::Control;
use super::state_folder::write_whole;
use crate::alert::Transition;
use crate::budget::Share;
use crate::detect::Defect;
use crate::health::yield_to_others;
use crate::ids::{DeviceId, IncidentIds, SourceId, StartCount};
use crate::kernels::Kernels;
use crate::pipeline::{self, Pipeline};
use crate::source::{Context, Input, Source, Unit};
use crate::time::{Clock, Mono};
use crate::wire::{Command, Progress, Reply};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// The signal, and what is wrong with it.
const SIGNAL: &str = "pattern:defects";
const PLANTED: [Defect; 3] = [Defect::Black, Defect::Freeze, Defect::Silence];
/// On a busy box it gets little time.
const MOST: Duration = Duration::from_secs(600);
/// A disk that needs longer for 4 kB is about to fail.
const WRITE_MAX: Duration = Duration::from_secs(2);

/// One thing that was looked at: what, whether it is good, and in words.
type Check = (&'static str, bool, String);

/// A test under way.
#[derive(Debug)]
pub(super) struct SelfTest {
    command: Command,
    checks: Receiver<Vec<Check>>,
    until: Mono,
}

impl Control {
    /// Begins it.
    pub(super) fn selftest(&mut self, command: &Command) -> Reply {
        if self.desk.selftest.is_some() {
            return Reply::failed(&command.id, &command.name, "busy", "another test is under way");
        }
        let (sender, checks) = sync_channel(1);
        let (clock, state) = (self.clock.clone(), self.afar.running().device.state_dir.clone());
        let kernels = self.desk.kernels;
        let spawned = std::thread::Builder::new().name("selftest".to_owned()).spawn(move || {
            yield_to_others();
            // Nobody may wait for it any more.
            let _ = sender.send(vec![detectors(&clock, kernels), disk(&state, &*clock)]);
        });
        match spawned {
            Err(error) => Reply::failed(&command.id, &command.name, "refused", format!("no thread: {error}")),
            Ok(_) => {
                let until = self.clock.mono().plus(MOST);
                self.desk.selftest = Some(SelfTest { command: command.clone(), checks, until });
                Reply::good(&command.id, &command.name, Progress::Running, "the detectors look at a known signal")
            }
        }
    }

    /// Tells what came of it. Called each second.
    pub(super) fn watch_selftest(&mut self) {
        let Some(test) = &self.desk.selftest else { return };
        let checks = match test.checks.try_recv() {
            Ok(checks) => checks,
            Err(TryRecvError::Empty) if self.clock.mono() < test.until => return,
            Err(TryRecvError::Empty) => vec![("detectors", false, "they were not done in time".to_owned())],
            Err(TryRecvError::Disconnected) => vec![("detectors", false, "the test itself failed".to_owned())],
        };
        let all = [checks, self.way_out()].concat();
        if let Some(SelfTest { command, .. }) = self.desk.selftest.take() {
            self.finish(&reply(&command, &all));
        }
    }

    /// What alerts need besides.
    fn way_out(&self) -> Vec<Check> {
        let (counters, wall) = (self.courier.counters(), self.clock.wall());
        let clock = match self.clock.error() {
            Some(error) => format!("synchronised, at most {:.1} ms off", error.as_secs_f64() * 1e3),
            None if wall.synced => "synchronised".to_owned(),
            None => "not synchronised: times of alerts cannot be trusted".to_owned(),
        };
        let outbox =
            counters.trouble.clone().unwrap_or_else(|| format!("on disk, {} waiting", counters.outbox.waiting));
        let broker = match (counters.complaint, counters.rtt) {
            (Some(complaint), _) => complaint.to_owned(),
            (None, Some(rtt)) => format!("acknowledges within {:.1} ms", rtt.as_secs_f64() * 1e3),
            (None, None) => "has acknowledged nothing yet".to_owned(),
        };
        let watched = self.runs.safe_mode().map(|why| format!("safe mode: {why}"));
        vec![
            ("clock", wall.synced, clock),
            ("outbox", counters.trouble.is_none(), outbox),
            ("broker", counters.connected && counters.complaint.is_none(), broker),
            ("sources", watched.is_none(), watched.unwrap_or_else(|| format!("{} are watched", self.sources.len()))),
        ]
    }
}

fn reply(command: &Command, checks: &[Check]) -> Reply {
    let bad: Vec<&str> = checks.iter().filter(|check| !check.1).map(|check| check.0).collect();
    let reply = match bad.is_empty() {
        true => Reply::good(&command.id, &command.name, Progress::Done, "all is well"),
        false => Reply::failed(&command.id, &command.name, "selftest", format!("not well: {}", bad.join(", "))),
    };
    checks.iter().fold(reply, |reply, (name, good, text)| {
        reply.with(name, format!("{}: {text}", if *good { "good" } else { "bad" }))
    })
}

/// Whether the detectors find what is planted, and nothing else.
fn detectors(clock: &Arc<dyn Clock>, kernels: Kernels) -> Check {
    match found(clock, kernels) {
        Err(why) => ("detectors", false, why),
        Ok(found) => {
            let names = |defects: &BTreeSet<Defect>| defects.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
            let good = found == BTreeSet::from(PLANTED);
            let wanted = if good { String::new() } else { format!(" instead of {}", names(&PLANTED.into())) };
            ("detectors", good, format!("found {}{wanted} in {SIGNAL}", names(&found)))
        }
    }
}

fn found(clock: &Arc<dyn Clock>, kernels: Kernels) -> Result<BTreeSet<Defect>, String> {
    let input: Input = SIGNAL.parse().map_err(|error| format!("{SIGNAL}: {error}"))?;
    let source = SourceId::new("selftest").map_err(|error| error.to_string())?;
    let context = Context {
        clock: clock.clone(),
        stop: Arc::new(AtomicBool::new(false)),
        seed: 0,
        reopen_after: MOST,
        share: Share::default(),
        decoder: None,
        kernels,
    };
    let settings = pipeline::Settings {
        source: source.clone(),
        incidents: crate::alert::Settings::default(),
        detect: crate::detect::Settings::default(),
        kernels,
        evidence: false,
    };
    let mut pipeline = Pipeline::new(settings, IncidentIds::new(&DeviceId::offline(), StartCount(0), &source));
    let mut signal = Source::open_offline(&input, &context).map_err(|error| error.to_string())?;
    let mut alerts = Vec::new();
    loop {
        match signal.next_unit() {
            Unit::End => break,
            unit => pipeline.step(unit, &mut alerts),
        }
    }
    let raised = alerts.iter().filter(|alert| alert.transition == Transition::Raised);
    Ok(raised.map(|alert| alert.defect).collect())
}

/// Whether the disk takes something, and how fast.
fn disk(state: &Path, clock: &dyn Clock) -> Check {
    let path: PathBuf = state.join("selftest");
    let began = clock.mono();
    let written = write_whole(&path, &[0x5a; 4096]).and_then(|()| std::fs::read(&path));
    let took = clock.mono().since(began);
    // What could not be written need not be removed.
    let _ = std::fs::remove_file(&path);
    match written {
        Err(error) => ("disk", false, format!("{}: {error}", state.display())),
        Ok(read) if read != [0x5a; 4096] => ("disk", false, "gives back other bytes than it was given".to_owned()),
        Ok(_) => ("disk", took <= WRITE_MAX, format!("4 kB on disk in {:.1} ms", took.as_secs_f64() * 1e3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    #[test]
    fn the_detectors_find_what_is_planted() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (name, good, text) = detectors(&clock, Kernels::detect());
        assert!(good && name == "detectors" && text == "found black, freeze, silence in pattern:defects", "{text}");
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(disk(folder.path(), &SystemClock).1);
        assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing stays");
        let (_, good, text) = disk(&folder.path().join("gone"), &SystemClock);
        assert!(!good && text.contains("gone"), "{text}");
    }
}
