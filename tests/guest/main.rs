//! The polite guest: a budget that is too small, and a machine that is full. One test after the other, with nothing
//! else beside them.

#![allow(clippy::panic, clippy::disallowed_methods, reason = "tests fail by panicking, and wait by the clock")]

#[allow(dead_code, reason = "shared with tests that need more of it")]
#[path = "../it/support.rs"]
mod support;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::{Daemon, Mosquitto, Running, Subscriber, ffmpeg, free_udp_port, waited};

/// A moving picture with B pictures and a tone, three minutes; black for 3 s of each 12 s.
fn footage(folder: &Path) -> String {
    let path = folder.join("clip.ts").display().to_string();
    let black = "drawbox=c=black:t=fill:enable='between(mod(t,12),6,8.99)',format=yuv420p";
    let (picture, sound) = ("testsrc2=s=640x360:r=25,gblur=2", "sine=f=600:r=48000");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        picture,
        "-f",
        "lavfi",
        "-i",
        sound,
        "-t",
        "180",
        "-vf",
        black,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "12",
        "-bf",
        "2",
        "-c:a",
        "mp2",
        &path,
    ]);
    path
}

/// Sends it over UDP in real time.
fn send(file: &str, port: u16) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i", file, "-c", "copy", "-f", "mpegts"]);
    command.arg(format!("udp://127.0.0.1:{port}?pkt_size=1316"));
    Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// A broker, and two streams that are being sent.
struct Fed {
    broker: Mosquitto,
    ports: [u16; 2],
    _senders: [Running; 2],
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Fed {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        let broker = Mosquitto::start(folder.path());
        let ports = [free_udp_port(), free_udp_port()];
        let file = footage(folder.path());
        Self { broker, ports, _senders: ports.map(|port| send(&file, port)), _folder: folder, _alone: alone }
    }

    /// A daemon that watches both, and what the broker is told.
    fn daemon(&self, budget: &str) -> (Daemon, Subscriber, Running) {
        let source = |port: u16| format!("[[source]]\nid = \"s{port}\"\ninput = \"udp://127.0.0.1:{port}\"\n");
        let sources = self.ports.map(source).concat();
        let text = format!("[budget]\n{budget}\nmemory = \"4GiB\"\n{sources}");
        let daemon = Daemon::new(Some(self.broker.port), &text);
        let subscriber = Subscriber::start(self.broker.port);
        let running = daemon.start();
        (daemon, subscriber, running)
    }
}

/// Processor time of a process so far, seconds: /proc/PID/stat, fields 14 and 15 in ticks of 10 ms.
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

/// Share of a core that a process takes over some time.
fn use_of(pid: u32, over: Duration) -> f64 {
    let (before, began) = (cpu_s(pid), Instant::now());
    std::thread::sleep(over);
    (cpu_s(pid) - before) / began.elapsed().as_secs_f64()
}

/// Threads that do nothing with all their might, until dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let stop = stop.clone();
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {});
        }
        Self(stop)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// With key pictures alone times are as exact as these are near each other, half a second here.
fn black_with_right_times(events: &[Value]) -> bool {
    events.iter().filter(|event| event["defect"] == "black" && event["state"] == "cleared").any(|event| {
        let lasted = event["duration_s"].as_f64().unwrap_or(0.0);
        (2.4..3.7).contains(&lasted)
    })
}

fn only_black(events: &[Value]) {
    let strange: Vec<&Value> = events.iter().filter(|event| event["defect"] != "black").collect();
    assert!(strange.is_empty(), "what is shed became a defect: {strange:#?}");
}

#[test]
fn a_budget_that_is_too_small_is_kept_and_costs_nothing_but_coverage() {
    let fed = Fed::new();

    // What all of it takes on this machine, in this build.
    let (all, subscriber, mut running) = fed.daemon("cpu = \"1600%\"\nyield_when_busy = false");
    let most = Duration::from_secs(60);
    subscriber.wait_for("/state", most, |state| state["verdict"] == "ok" && state["coverage"].as_f64() == Some(1.0));
    std::thread::sleep(Duration::from_secs(2));
    let full = use_of(running.child.id(), Duration::from_secs(4));
    assert!(running.stop().success(), "{}", all.log());

    let budget = (full * 0.45).max(0.01);
    let keys = format!("cpu = \"{:.2}%\"\nyield_when_busy = false", budget * 100.0);
    let (small, subscriber, mut running) = fed.daemon(&keys);
    let state = subscriber.wait_for("/state", most, |state| state["shed_by"] == "cpu_budget");
    assert_ne!(state["effort"], "all pictures in full");
    std::thread::sleep(Duration::from_secs(6));
    let used = use_of(running.child.id(), Duration::from_secs(10));
    assert!(used <= budget * 1.15, "{used:.3} cores of {budget:.3}; all of it takes {full:.3}");
    let black = waited(most, || black_with_right_times(&subscriber.events()).then_some(()));
    assert!(black.is_some(), "{:#?}", subscriber.events());
    only_black(&subscriber.events());
    let health = subscriber.wait_for("/health", most, |health| health["budget"]["coverage"].as_f64() < Some(0.9));
    assert!(health["budget"]["cpu_pct_max"].as_f64().is_some_and(|most| (most - budget * 100.0).abs() < 0.1));
    assert!(running.stop().success(), "{}", small.log());
}

#[test]
fn a_full_machine_takes_coverage_and_gives_it_back() {
    let fed = Fed::new();
    let (daemon, subscriber, mut running) = fed.daemon("cpu = \"1600%\"");
    let most = Duration::from_secs(120);
    subscriber.wait_for("/state", most, |state| state["verdict"] == "ok");
    let load = Load::start(4 * std::thread::available_parallelism().map_or(2, usize::from));
    let state = subscriber.wait_for("/state", most, |state| state["coverage"].as_f64() < Some(0.9));
    assert!(state["shed_by"] == "machine_busy" || state["shed_by"] == "backlog", "{state}");
    let before = subscriber.events().len();
    let black = waited(most, || black_with_right_times(&subscriber.events()[before..]).then_some(()));
    assert!(black.is_some(), "{:#?}", subscriber.events());
    only_black(&subscriber.events());
    drop(load);
    let after = subscriber.all().len();
    let whole = waited(most, || {
        subscriber.all()[after..].iter().filter(|(topic, _)| topic.ends_with("/state")).find_map(|(_, body)| {
            let state: Value = serde_json::from_slice(body).ok()?;
            (state["coverage"].as_f64() == Some(1.0) && state["effort"] == "all pictures in full").then_some(state)
        })
    });
    assert!(whole.is_some_and(|state| state.get("shed_by").is_none()), "{}", daemon.log());
    assert!(running.stop().success(), "{}", daemon.log());
}
