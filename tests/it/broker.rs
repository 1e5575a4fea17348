//! No alert is lost: a real Mosquitto that stops, forgets and is killed, and a daemon that is killed too.

use crate::support::{Daemon, Mosquitto, Running, Subscriber, text};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Between daemon and broker: lets connections through while it is open. So the subscriber can be there first
/// after the broker has forgotten everybody.
pub struct Gate {
    pub port: u16,
    open: Arc<AtomicBool>,
    passing: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    pub fn new(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("an address").port();
        let open = Arc::new(AtomicBool::new(false));
        let passing: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (may_pass, streams) = (open.clone(), passing.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if !may_pass.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
                    std::thread::spawn(move || pass(from, to));
                }
                streams.lock().expect("not poisoned").extend([near, far]);
            }
        });
        Self { port, open, passing }
    }
    pub fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
    pub fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
        for stream in self.passing.lock().expect("not poisoned").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Much to tell in little time.
pub const SOURCES: &str = r#"
[[source]]
id = "a"
input = "pattern:busy"
[source.detect.black]
raise_after = "80ms"
clear_after = "80ms"
[source.detect.silence]
raise_after = "100ms"
clear_after = "0ms"
[[source]]
id = "b"
input = "pattern:busy"
[source.detect.black]
raise_after = "120ms"
clear_after = "40ms"
"#;

/// What must be true of everything that was heard, in the order in which it was heard.
pub fn check_events(events: &[serde_json::Value], log: &str) {
    let mut first_seen = Vec::new();
    let mut bodies: BTreeMap<u64, serde_json::Value> = BTreeMap::new();
    for event in events {
        let seq = event["seq"].as_u64().expect("a number");
        let mut body = event.clone();
        body.as_object_mut().expect("an object").remove("replayed");
        match bodies.get(&seq) {
            Some(before) => assert_eq!(*before, body, "a duplicate is the same event"),
            None => {
                first_seen.push(seq);
                bodies.insert(seq, body);
            }
        }
    }
    assert!(first_seen.is_sorted(), "out of order: {first_seen:?}");
    let (first, last) = (first_seen[0], first_seen[first_seen.len() - 1]);
    let lost: Vec<u64> = (first..=last).filter(|seq| !bodies.contains_key(seq)).collect();
    assert!(lost.is_empty(), "never arrived: {lost:?} of {first}..={last}");
    check_lives(bodies.values());
    check_against_log(bodies.values(), log);
}

/// Each incident is raised once, first, and cleared once, last.
fn check_lives<'a>(events: impl Iterator<Item = &'a serde_json::Value>) {
    let mut lives: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in events {
        lives.entry(event["id"].as_str().expect("text")).or_default().push(event["state"].as_str().expect("text"));
    }
    for (id, states) in lives {
        assert_eq!(states.first(), Some(&"raised"), "{id}: {states:?}");
        assert_eq!(states.last(), Some(&"cleared"), "{id}: {states:?}");
        assert!(states[1..states.len() - 1].iter().all(|state| *state == "updated"), "{id}: {states:?}");
    }
}

/// Each incident that the log says was raised was heard.
fn check_against_log<'a>(events: impl Iterator<Item = &'a serde_json::Value>, log: &str) {
    let heard: BTreeSet<&str> = events.map(|event| event["id"].as_str().expect("text")).collect();
    let logged = log
        .lines()
        .filter(|line| line.contains("step=Raised"))
        .filter_map(|line| line.split("id=").nth(1)?.split(' ').next());
    let logged: BTreeSet<&str> = logged.collect();
    assert!(!logged.is_empty(), "the log tells raised incidents");
    let missing: Vec<&&str> = logged.difference(&heard).collect();
    assert!(missing.is_empty(), "raised and never heard: {missing:?}");
}

/// xorshift64 (Marsaglia 2003), seeded: the same moments each time.
struct Chance(u64);

impl Chance {
    fn millis(&mut self, least: u64, most: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(least + self.0 % (most - least))
    }
}

/// The last incidents are told and the daemon ends; then all has arrived.
fn finish(daemon: &Daemon, running: &mut Running, subscriber: &Subscriber) -> Vec<serde_json::Value> {
    assert!(running.stop().success(), "{}", daemon.log());
    subscriber.wait_for("/status", Duration::from_secs(10), |status| status["state"] == "stopping");
    subscriber.events()
}

#[test]
fn every_incident_arrives_though_the_daemon_is_killed_fifty_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path());
    let subscriber = Subscriber::start(broker.port);
    let daemon = Daemon::new(Some(broker.port), SOURCES);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..50 {
        let mut running = daemon.start();
        std::thread::sleep(chance.millis(50, 1500));
        assert!(running.runs(), "{}", daemon.log());
        running.kill();
    }
    let mut running = daemon.start();
    std::thread::sleep(Duration::from_secs(4));
    let events = finish(&daemon, &mut running, &subscriber);
    check_events(&events, &daemon.log());
    assert!(events.iter().any(|event| event["cleared_by"] == "restart"), "an incident was open at some kill");
    assert!(events.len() > 50, "{} events", events.len());
}

#[test]
fn every_incident_arrives_though_the_broker_stops_forgets_and_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Mosquitto::start(folder.path());
    let mut heard = Vec::new();
    let mut subscriber = Subscriber::start(broker.port);
    let gate = Gate::new(broker.port);
    gate.open();
    let daemon = Daemon::new(Some(gate.port), SOURCES);
    let mut running = daemon.start();
    subscriber.wait_for("/event", Duration::from_secs(15), |_| true);
    for round in 0..3 {
        std::thread::sleep(Duration::from_millis(2100));
        // A broker that is killed may have acknowledged what no subscriber has got: that is the broker's loss, so
        // nothing is on its way when it dies.
        if round % 2 == 0 {
            broker.stop()
        } else {
            broker.kill()
        }
        gate.close();
        // A line that flaps is told ever more rarely; a daemon that starts anew tells again.
        if round > 0 {
            assert!(running.stop().success(), "{}", daemon.log());
            running = daemon.start();
        }
        std::thread::sleep(Duration::from_millis(1500));
        heard.extend(subscriber.events());
        broker.again();
        subscriber = Subscriber::start(broker.port);
        gate.open();
        // A connection that did not last counts as a failed attempt, so waits grow.
        let most = Duration::from_secs(60);
        subscriber.wait_for("/status", most, |status| status["state"] == "online");
        // Retained documents come back by themselves.
        for topic in ["/info", "/src/a/state", "/src/b/state"] {
            subscriber.wait_for(topic, most, |_| true);
        }
        subscriber.wait_for("/event", most, |event| event["replayed"].is_boolean() || event["seq"].is_u64());
    }
    std::thread::sleep(Duration::from_secs(2));
    heard.extend(finish(&daemon, &mut running, &subscriber));
    check_events(&heard, &daemon.log());
}

#[test]
fn a_failing_source_restarts_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path());
    let subscriber = Subscriber::start(broker.port);
    let sources =
        "[[source]]\nid = \"bad\"\ninput = \"pattern:crash\"\n[[source]]\nid = \"good\"\ninput = \"pattern:loop\"\n";
    let daemon = Daemon::new(Some(broker.port), sources);
    let mut running = daemon.start();
    let most = Duration::from_secs(30);
    let lost = subscriber.wait_for("/src/bad/event", most, |event| event["defect"] == "stream_loss");
    assert_eq!(lost["state"], "raised");
    subscriber
        .wait_for("/src/bad/event", most, |event| event["defect"] == "stream_loss" && event["state"] == "cleared");
    subscriber.wait_for("/src/good/event", most, |event| event["defect"] == "black" && event["state"] == "cleared");
    assert!(running.stop().success(), "{}", daemon.log());
    assert!(daemon.log().contains("pattern:crash fails on purpose"), "{}", daemon.log());
    assert!(subscriber.events().iter().all(|event| event["source"] != "good" || event["defect"] != "stream_loss"));
}

#[test]
fn without_a_broker_the_outbox_keeps_what_a_later_broker_gets() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Mosquitto::start(folder.path());
    broker.stop();
    let daemon = Daemon::new(Some(broker.port), SOURCES);
    let mut running = daemon.start();
    std::thread::sleep(Duration::from_secs(4));
    assert!(running.runs(), "{}", daemon.log());
    assert!(running.stop().success(), "{}", daemon.log());
    broker.again();
    let subscriber = Subscriber::start(broker.port);
    let mut running = daemon.start();
    subscriber.wait_for("/event", Duration::from_secs(15), |event| event["seq"] == 1 && event["replayed"] == true);
    let events = finish(&daemon, &mut running, &subscriber);
    check_events(&events, &daemon.log());
}

#[test]
fn two_daemons_do_not_share_a_state_folder() {
    let daemon = Daemon::new(None, "[[source]]\nid = \"a\"\ninput = \"pattern:loop\"\n");
    let mut first = daemon.start();
    std::thread::sleep(Duration::from_secs(1));
    let output = crate::support::ran(&["run", "--config", daemon.config.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("another Picket runs"), "{}", text(&output.stderr));
    assert!(first.stop().success());
}
