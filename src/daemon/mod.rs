//! Start and stop order of the daemon. The data plane is one thread for each source; the control plane is one task.

mod bundles;
mod certificates;
mod clock;
mod commands;
mod control;
mod exchange;
mod guest;
mod history;
mod journal;
mod kept;
mod led;
mod lines;
mod live;
mod mutes;
mod reboot;
mod remote;
mod reporting;
mod runs;
mod selftest;
mod signals;
mod source_thread;
mod state_folder;
mod tapes;
mod updater;
mod wishes;

pub use bundles::Bundler;
pub use commands::LogLevel;
pub use lines::{Line, Lines};
pub use live::{Part, ask as ask_live};
pub use remote::remote_layer;
pub use signals::set_on_signal;
pub use state_folder::{Error as StateError, StateFolder};

use crate::budget::Share;
use crate::config::{Config, Places};
use crate::health::{Deadman, Heartbeat, Machine};
use crate::ids::{BootId, DeviceId, IncidentIds};
use crate::kernels::{Kernels, UnknownLevel};
use crate::mqtt::{Courier, Identity};
use crate::outbox::{self, Disk, Outbox};
use crate::pipeline;
use crate::source::Context;
use crate::time::{Clock, SystemClock};
use crate::wire::{self, Made, Message, Qos, Topics};
use bundles::Bundles;
use certificates::Certificates;
use clock::ClockWatch;
use commands::{Desk, Supplies};
use control::Control;
use exchange::Exchange;
use guest::Guest;
use history::History;
use journal::Journal;
use kept::Kept;
use led::Led;
use live::LiveSocket;
use mutes::Mutes;
use reboot::Reboot;
use remote::Afar;
use reporting::Reporting;
use runs::Runs;
use signals::EndSignals;
use source_thread::{Report, Watch};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};
use updater::Updater;
use wishes::Wishes;

/// Reports that wait for the control loop.
const REPORTS: usize = 256;
/// How long source threads get to end.
const END_MAX: Duration = Duration::from_secs(5);
/// How long the broker gets to take the last messages. With `END_MAX` below TimeoutStopSec= of the unit.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// How long the broker gets to forget a device.
const FORGET_MAX: Duration = Duration::from_secs(20);

/// Why the daemon cannot run. Exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] outbox::Error),
    /// No machine id and none configured.
    #[error("/etc/machine-id cannot be read: give [device] machine_id 32 hexadecimal digits")]
    MachineId(#[source] std::io::Error),
    /// No broker is configured.
    #[error("no broker is configured, so none keeps anything of this device")]
    NoBroker,
    /// The broker did not forget in time.
    #[error("the broker did not take it within {} s{}", FORGET_MAX.as_secs(), .0.as_ref().map_or(String::new(), |why| format!(": {why}")))]
    NotForgotten(Option<String>),
    /// The operating system refused a thread, a runtime or a signal.
    #[error("the operating system refused {what}")]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn refused(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Refused { what, source }
}

/// The kernels of this processor, or those that `PICKET_KERNELS` names.
pub fn kernels() -> Result<Kernels, UnknownLevel> {
    match std::env::var("PICKET_KERNELS") {
        Ok(wanted) => wanted.parse(),
        Err(_) => Ok(Kernels::detect()),
    }
}

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As a signal asked for.
    Stop,
    /// To be started anew, as a command asked for.
    Restart,
}

/// What the daemon needs besides the box's configuration.
pub struct Daemon {
    /// Where that was read, to be read again with a layer from afar over it.
    pub places: Places,
    /// The kernels to use.
    pub kernels: Kernels,
    /// Sets the level of the log.
    pub log: LogLevel,
    /// Its last lines.
    pub lines: Lines,
    /// Makes support archives.
    pub bundler: Bundler,
}

/// Runs until SIGTERM, SIGINT or a command. `local`: the configuration of the box itself.
pub fn run(local: &Config, daemon: Daemon) -> Result<End, Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let folder = StateFolder::open(&local.device.state_dir, seconds(clock.as_ref()))?;
    runs::keep_last_words(&local.device.state_dir);
    let runs = Runs::open(&local.device.state_dir, &boot_id(), clock.mono());
    let ran = watch(local, daemon, &clock, &folder, runs);
    if ran.is_err() {
        // What the machine refuses is no crash.
        Runs::gave_up(&local.device.state_dir);
    }
    ran
}

fn watch(
    local: &Config,
    daemon: Daemon,
    clock: &Arc<dyn Clock>,
    folder: &StateFolder,
    runs: Runs,
) -> Result<End, Error> {
    let afar = Afar::open(&daemon, local, &boot_id(), clock.mono());
    let config = &afar.running().clone();
    let kernels = daemon.kernels;
    let device = device(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused("a runtime"))?;
    runtime.block_on(async {
        let mut signals = EndSignals::take().map_err(refused("signals"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, mut reports) = mpsc::channel(REPORTS);
        // In safe mode nothing is watched.
        let watched = if runs.safe_mode().is_some() { &[] } else { &config.sources[..] };
        let hearts: Vec<Heartbeat> =
            watched.iter().map(|source| Heartbeat::new(source.id.clone(), clock.mono())).collect();
        let about = About { start: folder.start().0, kernels: kernels.level().name() };
        let mut control = control(config, clock, device, &hearts, daemon, afar, (runs, about))?;
        control.close_orphans(None);
        control.finish_former();
        let info = control.about.info(&control);
        control.courier.retain(info);
        control.tell_firmware();
        control.tell_config();
        control.introduce();
        let (tapes, writer) = tapes(config)?.unzip();
        let mut watches = watches(config, &control, folder, kernels, &hearts, &stop, &sender);
        for (watch, tape) in watches.iter_mut().zip(tapes.into_iter().flatten()) {
            watch.tape = Some(tape);
        }
        drop(sender);
        let threads: Vec<JoinHandle<()>> =
            watches.into_iter().map(Watch::start).collect::<Result<_, _>>().map_err(refused("a thread"))?;
        tracing::info!(device = %control.device.id, start = folder.start().0, sources = threads.len(), "watching");
        let end = control.run(&mut reports, &mut signals).await;
        control.reporting.stopping();
        stop.store(true, Ordering::Relaxed);
        // The channel closes when the last thread has ended; what they still tell is taken.
        let last_words = async {
            while let Some(report) = reports.recv().await {
                control.take(report);
            }
        };
        if tokio::time::timeout(END_MAX, last_words).await.is_err() {
            tracing::error!("a source's thread does not end; going without it");
        } else if let Some(writer) = writer {
            // Nobody gives it more to write.
            let _ = writer.join();
        }
        control.runs.ended(clock.mono());
        control.courier.stop(GOODBYE_MAX).await;
        Ok(end)
    })
}

/// Since 1970.
fn seconds(clock: &dyn Clock) -> u32 {
    u32::try_from(clock.wall().unix_ms / 1000).unwrap_or(0)
}

/// Empties every topic on which the broker keeps something of this device, for one that is taken out of service.
/// Returns those topics. The daemon must not run.
pub fn decommission(config: &Config) -> Result<Vec<String>, Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let _folder = StateFolder::open(&config.device.state_dir, seconds(clock.as_ref()))?;
    config.broker.as_ref().ok_or(Error::NoBroker)?;
    let device = device(config)?;
    let topics = Topics::new(&config.prefix, &device.id);
    let kept = Kept::open(config, &device, &topics);
    let all: Vec<String> = kept.all().cloned().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused("a runtime"))?;
    let done = runtime.block_on(async { Ok(courier(config, &clock, &device, &topics)?.empty(&all, FORGET_MAX).await) });
    match done {
        Ok(Ok(())) => {
            kept.emptied();
            Ok(all)
        }
        Ok(Err(why)) => Err(Error::NotForgotten(why)),
        Err(error) => Err(error),
    }
}

/// The tapes of all sources, where they are wanted, and the thread that writes them.
fn tapes(config: &Config) -> Result<Option<tapes::Started>, Error> {
    let Some(bytes_max) = config.tape else { return Ok(None) };
    let ids: Vec<_> = config.sources.iter().map(|source| source.id.clone()).collect();
    let folder = config.device.state_dir.join("tape");
    tapes::start(&folder, &ids, bytes_max).map(Some).map_err(refused("a thread"))
}

/// The id of this box.
pub fn device_id(config: &Config) -> Result<DeviceId, Error> {
    let identity = match &config.device.machine_id {
        Some(id) => id.clone(),
        None => std::fs::read_to_string("/etc/machine-id").map_err(Error::MachineId)?,
    };
    Ok(DeviceId::from_machine_identity(&identity))
}

fn device(config: &Config) -> Result<wire::Device, Error> {
    let id = device_id(config)?;
    Ok(wire::Device { id, name: config.device.name.clone(), site: config.device.site.clone() })
}

fn boot_id() -> BootId {
    // Absent only without /proc; the start counter still tells runs apart.
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_else(|_| "00000000".to_owned());
    BootId::from_kernel(&text)
}

/// The way out, not yet connected.
fn courier(config: &Config, clock: &Arc<dyn Clock>, device: &wire::Device, topics: &Topics) -> Result<Courier, Error> {
    let boot = boot_id();
    let storage = Box::new(Disk::new(config.outbox.folder.clone()));
    let now = outbox::Now { wall: clock.wall(), mono: clock.mono() };
    let outbox = Outbox::open(&config.outbox, storage, boot.clone(), now)?;
    let identity = Identity {
        device: device.id.clone(),
        boot: boot.clone(),
        topics: topics.clone(),
        listen: if config.discovery { vec![wire::HOME_ASSISTANT_BIRTH.to_owned()] } else { Vec::new() },
        seed: seed(&device.id, "broker"),
    };
    let (at, in_boot) = (clock.clone(), boot.clone());
    let status_body = move |state: &str, conn: u64| {
        wire::status(&Made { wall: at.wall(), mono: at.mono(), boot: in_boot.clone() }, state, conn)
    };
    Ok(Courier::start(config.broker.clone(), identity, outbox, clock.clone(), status_body))
}

fn control(
    config: &Config,
    clock: &Arc<dyn Clock>,
    device: wire::Device,
    hearts: &[Heartbeat],
    daemon: Daemon,
    afar: Afar,
    (runs, about): (Runs, About),
) -> Result<Control, Error> {
    let boot = boot_id();
    let topics = Topics::new(&config.prefix, &device.id);
    let courier = courier(config, clock, &device, &topics)?;
    let now = outbox::Now { wall: clock.wall(), mono: clock.mono() };
    let state = &config.device.state_dir;
    let mutes = Mutes::open(&state.join("mutes"), &boot, now);
    let wishes = config.sources.iter().map(|source| (source.id.clone(), Wishes::default())).collect();
    let run_folder = &config.device.runtime_dir;
    let desk = Desk::new(Supplies {
        journal: Journal::open(&state.join("commands")),
        wishes,
        log: daemon.log,
        pictures: config.pictures,
        lines: daemon.lines,
        bundles: Bundles::new(daemon.bundler, run_folder),
        kernels: daemon.kernels,
        led: config.device.led.as_deref().map(|name| Led::new(Path::new("/"), name)),
        reboot: config.device.allow_reboot.then(|| Reboot::new(run_folder)),
    });
    let kept = Kept::open(config, &device, &topics);
    Ok(Control {
        clock: clock.clone(),
        boot,
        topics,
        device,
        courier,
        machine: Machine::new(Path::new("/"), &config.device.state_dir),
        guest: Guest::new(config, clock.mono()),
        deadman: Deadman::new(hearts.to_vec()),
        reporting: Reporting::new(config.health_period),
        started: clock.mono(),
        sources: config.sources.iter().map(|source| (source.id.clone(), control::unwatched(&runs))).collect(),
        health_told: None,
        ready: false,
        desk,
        mutes,
        afar,
        kept,
        runs,
        history: History::default(),
        live: LiveSocket::open(run_folder),
        certificates: Certificates::new(config.broker.as_ref().and_then(|broker| broker.tls.clone()), state),
        clock_watch: ClockWatch::new(state),
        about,
        introduce_at: None,
        updater: Updater::new(&config.device.runtime_dir, clock.mono()),
    })
}

/// What `info` tells besides the configuration.
#[derive(Clone, Copy, Debug)]
struct About {
    start: u32,
    kernels: &'static str,
}

impl About {
    fn info(self, control: &Control) -> Message {
        let info = |source: &crate::config::Source| wire::Info {
            id: source.id.as_str().to_owned(),
            input: source.input.display(),
            detectors: wire::holds(&source.incidents),
        };
        let sources: Vec<wire::Info> = control.afar.running().sources.iter().map(info).collect();
        let (made, step) = (control.made(), control.clock_watch.step);
        let payload = wire::info(&made, &control.device, self.start, self.kernels, &sources, step);
        Message { topic: control.topics.info(), payload, qos: Qos::AtLeastOnce, retain: true, expires_after: None }
    }
}

/// Different for each device and purpose, the same at each start.
fn seed(device: &DeviceId, purpose: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (device, purpose).hash(&mut hasher);
    hasher.finish()
}

fn watches(
    config: &Config,
    control: &Control,
    folder: &StateFolder,
    kernels: Kernels,
    hearts: &[Heartbeat],
    stop: &Arc<AtomicBool>,
    reports: &Sender<Report>,
) -> Vec<Watch> {
    let device = &control.device.id;
    let watch = |((source, heartbeat), share): ((&crate::config::Source, &Heartbeat), &Share)| Watch {
        input: source.input.clone(),
        settings: pipeline::Settings {
            source: source.id.clone(),
            incidents: source.incidents.clone(),
            detect: source.detect,
            kernels,
            evidence: config.pictures,
        },
        context: Context {
            clock: control.clock.clone(),
            stop: stop.clone(),
            seed: seed(device, source.id.as_str()),
            reopen_after: source.reopen_after,
            share: share.clone(),
            decoder: source.decoder.clone(),
            kernels,
        },
        ids: IncidentIds::new(device, folder.start(), &source.id),
        heartbeat: heartbeat.clone(),
        reports: reports.clone(),
        wishes: control.desk.wishes.get(&source.id).cloned().unwrap_or_default(),
        tape: None,
        exchange: Exchange::default(),
    };
    let mut watches: Vec<Watch> = config.sources.iter().zip(hearts).zip(control.guest.shares()).map(watch).collect();
    for (watch, exchange) in watches.iter_mut().zip(Exchange::between(config)) {
        watch.exchange = exchange;
    }
    watches
}
