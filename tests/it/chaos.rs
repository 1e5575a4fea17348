//! Thousands of alerts through brokers that misbehave, forget and die, and a daemon that is killed all the time.
//!
//! No source makes thousands of alerts in a minute, and if one did they would rightly be told as a storm. So most are
//! written into the daemon's outbox while it is dead, by the code that it uses itself, as a former run would have left
//! them; between them come those of busy sources while it lives. Outbox, link and everything behind are the real ones.

#![allow(clippy::print_stdout, reason = "what was measured is worth telling")]

use crate::broker::{Gate, SOURCES};
use crate::hostile_broker::{check_all, quick_daemon};
use crate::scripted_broker::{End, Script, ScriptedBroker, random};
use crate::support::{Daemon, Mosquitto, Running, Subscriber, picket, publish, waited};
use picket::ids::{BootId, DeviceId, SourceId};
use picket::outbox::{Disk, Entry, Now, Outbox, Settings, Step};
use picket::time::{Clock, SystemClock};
use picket::wire::{Made, Topics};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Alerts that are put into the outbox each time that the daemon is dead.
const FED: u64 = 500;

/// Puts alerts into the outbox of a dead daemon; returns the highest number.
fn feed(daemon: &Daemon, count: u64) -> u64 {
    let clock = SystemClock;
    let now = || Now { mono: clock.mono(), wall: clock.wall() };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
    let boot = BootId::from_kernel(&kernel);
    let folder = daemon.folder.path().join("state/outbox");
    let settings = Settings { folder: folder.clone(), bytes_max: 64 << 20, age_max: Duration::from_secs(7 * 86_400) };
    let mut outbox =
        Outbox::open(&settings, Box::new(Disk::new(folder)), boot.clone(), now()).expect("nobody else has it");
    let device = DeviceId::from_machine_identity(&format!("{:032x}", 0x1234_5678));
    let topic = Topics::new("", &device).event(&SourceId::new("fed").expect("a name"));
    for n in 0..count {
        let seq = outbox.next_seq();
        let begun = n % 2 == 0;
        let incident = format!("fed-{}", seq - u64::from(!begun));
        let state = if begun { "raised" } else { "cleared" };
        let pad = "x".repeat((seq % 300) as usize);
        let body = format!("{{\"v\":1,\"id\":\"{incident}\",\"state\":\"{state}\",\"seq\":{seq},\"text\":\"{pad}\"}}");
        let made = Made { wall: clock.wall(), mono: clock.mono(), boot: boot.clone() };
        let step = if begun { Step::Raised } else { Step::Cleared };
        outbox.push(Entry { seq, incident, step, topic: topic.clone(), made, body: body.into_bytes() }, now());
    }
    // On disk, and not ended in order. In pairs: an incident that is open would be ended by the daemon.
    outbox.tick(Now { mono: clock.mono().plus(Duration::from_secs(2)), ..now() });
    assert_eq!(outbox.trouble(), None);
    outbox.next_seq() - 1
}

/// A script for one connection.
fn misbehave(chance: &mut u64) -> Script {
    let mut r = |most| random(chance, most);
    Script {
        code: if r(12) == 0 { 0x88 } else { 0 },
        session_present: r(2) == 0,
        receive_max: [None, Some(20), Some(5), Some(1), Some(64)][r(5) as usize],
        packet_max: None,
        cut_after: 1 + r(600) as usize,
        end: match r(8) {
            0 => End::Stall,
            1 => End::Dismiss(0x89),
            2 => End::Say(vec![0x40, 2, 0x7f, 0xff]),
            _ => End::Cut,
        },
        reorder: (r(2) == 0).then(|| r(1 << 40) + 1),
    }
}

/// Waits until some more messages have come, about as many as are fed; not for ever, since the line may be cut or dead.
fn some_come(chance: &mut u64, count: impl Fn() -> usize) {
    let enough = count() + random(chance, 2 * FED) as usize;
    waited(Duration::from_secs(5), || (count() >= enough).then_some(()));
}

/// Lets a daemon live for a while, kills it, feeds its outbox, and so on.
fn lives(daemon: &Daemon, alerts: u64, chance: &mut u64, mut meanwhile: impl FnMut(&mut u64)) -> u64 {
    let mut kills = 0;
    let mut last = 0;
    while last < alerts {
        last = feed(daemon, FED);
        let mut running = daemon.start();
        meanwhile(chance);
        std::thread::sleep(Duration::from_millis(random(chance, 300)));
        assert!(running.runs(), "{}", daemon.log());
        running.kill();
        kills += 1;
    }
    kills
}

/// Seeds that differ in one bit must not start alike.
fn spread(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn tail(log: &str) -> &str {
    &log[log.len().saturating_sub(4000)..]
}

fn highest(events: &[serde_json::Value]) -> u64 {
    events.iter().filter_map(|event| event["seq"].as_u64()).max().unwrap_or(0)
}

fn through_the_scripted_broker(seed: u64, alerts: u64) {
    let began = Instant::now();
    let mut chance = spread(seed);
    let calm = Arc::new(AtomicBool::new(false));
    let (quiet, mut scripts) = (calm.clone(), spread(seed));
    let broker = ScriptedBroker::start(move |_| match quiet.load(Ordering::Relaxed) {
        true => Script::default(),
        false => misbehave(&mut scripts),
    });
    let daemon = quick_daemon(broker.port, SOURCES);
    let kills = lives(&daemon, alerts, &mut chance, |chance| {
        some_come(chance, || broker.seen().arrived.len());
    });
    calm.store(true, Ordering::Relaxed);
    let last = feed(&daemon, 2);
    let mut running = daemon.start();
    let arrived = waited(Duration::from_secs(120), || (highest(&broker.events()) >= last).then_some(()));
    assert!(arrived.is_some(), "{} of {last}:\n{}", highest(&broker.events()), tail(&daemon.log()));
    assert!(running.stop().success(), "{}", tail(&daemon.log()));
    let events = broker.events();
    check_all(&events, &daemon.log());
    let (last, seen) = (highest(&events), broker.seen());
    println!(
        "seed {seed}: {last} alerts, 0 lost, {} duplicates, {kills} kills, {} connections, {} stalls, {:.0?}",
        events.len() as u64 - last,
        seen.connects.len(),
        seen.stalls.len(),
        began.elapsed(),
    );
}

fn through_mosquitto(seed: u64, alerts: u64) {
    let began = Instant::now();
    let mut chance = spread(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Mosquitto::start(folder.path());
    let gate = Gate::new(broker.port);
    gate.open();
    let daemon = quick_daemon(gate.port, SOURCES);
    let mut subscriber = Some(Subscriber::start(broker.port));
    let mut events = Vec::new();
    let mut restarts = 0;
    let kills = lives(&daemon, alerts, &mut chance, |chance| {
        some_come(chance, || subscriber.as_ref().map_or(0, |heard| heard.all().len()));
        if random(chance, 2) == 0 {
            return;
        }
        // In the middle of everything for the daemon. What the broker acknowledged and no subscriber has got would be
        // the broker's loss, so it gets the time to pass that on: a message that comes later has arrived.
        gate.close();
        let heard = subscriber.take().expect("there is one");
        publish(broker.port, "last", "1");
        let came = || heard.all().iter().any(|(topic, _)| topic == "last").then_some(());
        waited(Duration::from_secs(20), came).expect("the broker passes it on");
        let mut before = usize::MAX;
        while before != heard.all().len() {
            before = heard.all().len();
            std::thread::sleep(Duration::from_millis(300));
        }
        if random(chance, 2) == 0 {
            broker.kill()
        } else {
            broker.stop()
        }
        events.extend(heard.events());
        broker.again();
        subscriber = Some(Subscriber::start(broker.port));
        gate.open();
        restarts += 1;
        std::thread::sleep(Duration::from_millis(random(chance, 1000)));
    });
    let last = feed(&daemon, 2);
    let mut running = daemon.start();
    let heard = subscriber.take().expect("there is one");
    let arrived = waited(Duration::from_secs(120), || (highest(&heard.events()) >= last).then_some(()));
    assert!(arrived.is_some(), "{} of {last}:\n{}", highest(&heard.events()), tail(&daemon.log()));
    assert!(running.stop().success(), "{}", tail(&daemon.log()));
    heard.wait_for("/status", Duration::from_secs(10), |status| status["state"] == "stopping");
    events.extend(heard.events());
    check_all(&events, &daemon.log());
    let last = highest(&events);
    println!(
        "seed {seed}: {last} alerts, 0 lost, {} duplicates, {kills} kills, {restarts} restarts of Mosquitto, {:.0?}",
        events.len() as u64 - last,
        began.elapsed(),
    );
}

/// A number from the environment, for `make chaos`.
fn wanted(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// All seeds, some side by side.
fn seeds(one: impl Fn(u64, u64) + Sync) {
    let (seeds, alerts) = (wanted("CHAOS_SEEDS", 10), wanted("CHAOS_ALERTS", 20_000));
    let next = std::sync::atomic::AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..wanted("CHAOS_JOBS", 3) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    one(seed, alerts);
                }
            });
        }
    });
}

#[test]
fn nothing_is_lost_in_a_little_chaos() {
    through_the_scripted_broker(1, 2500);
}

#[test]
fn nothing_is_lost_when_mosquitto_forgets_in_a_little_chaos() {
    through_mosquitto(1, 2500);
}

#[test]
#[ignore = "minutes: `make chaos`"]
fn full_through_the_scripted_broker() {
    seeds(through_the_scripted_broker);
}

#[test]
#[ignore = "minutes: `make chaos`"]
fn full_through_mosquitto() {
    seeds(through_mosquitto);
}

/// Bytes that a process caused to be written to block devices; the file system's journal is not among them.
fn written(running: &Running) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/io", running.child.id())).expect("our own child");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("Linux counts");
    line.parse().expect("a number")
}

/// Alerts one by one, the dearest case: each has a write of its own.
const ONE_BY_ONE: &str = r#"
[[source]]
id = "a"
input = "pattern:busy"
[source.detect.black]
raise_after = "80ms"
clear_after = "80ms"
[source.detect.silence]
enabled = false
"#;

#[test]
#[ignore = "measures half a minute: `make chaos`"]
fn an_alert_costs_five_thousand_bytes_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path());
    let subscriber = Subscriber::start(broker.port);
    for (case, sources) in [("one by one", ONE_BY_ONE), ("two sources", SOURCES)] {
        let daemon = quick_daemon(broker.port, sources);
        let mut command = picket();
        command.arg("run").arg("--config").arg(&daemon.config);
        // Its log would count too.
        let mut running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        std::thread::sleep(Duration::from_secs(3));
        let (before, bytes) = (subscriber.events().len(), written(&running));
        std::thread::sleep(Duration::from_secs(30));
        let alerts = (subscriber.events().len() - before) as u64;
        let bytes = written(&running) - bytes;
        assert!(running.stop().success());
        println!("{case}: {alerts} alerts, {} bytes written for each", bytes / alerts.max(1));
        // What comes and goes is told ever more rarely.
        assert!(alerts >= 10, "{alerts}");
        // A file system in memory writes nothing.
        assert!(bytes <= alerts * 5000, "{bytes} for {alerts}");
    }
}
