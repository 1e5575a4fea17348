//! Commands over a real Mosquitto: done once, answered, ended by themselves, refused where they must be.

use crate::schemas::validate;
use crate::support::{Daemon, Mosquitto, Running, Subscriber, publish, publish_retained, waited};
use std::collections::BTreeMap;
use std::time::Duration;

pub const MOST: Duration = Duration::from_secs(40);

const SOURCES: &str = "[health]\nperiod = \"10s\"\n[[source]]\nid = \"one\"\ninput = \"pattern:busy\"\n[source.detect.black]\nraise_after = \"200ms\"\nclear_after = \"100ms\"\n[[source]]\nid = \"two\"\ninput = \"/nowhere.ts\"\n";

/// A daemon, its broker and somebody who listens.
pub struct Bench {
    pub broker: Mosquitto,
    pub subscriber: Subscriber,
    pub daemon: Daemon,
    pub running: Running,
    pub root: String,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub fn start(sources: &str) -> Self {
        Self::start_changed(sources, str::to_owned)
    }

    /// With its configuration changed.
    pub fn start_changed(sources: &str, change: impl FnOnce(&str) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = Mosquitto::start(folder.path());
        let daemon = Daemon::new(Some(broker.port), sources);
        let text = std::fs::read_to_string(&daemon.config).expect("there");
        std::fs::write(&daemon.config, change(&text)).expect("written");
        Self::of(folder, broker, daemon)
    }

    /// Starts this daemon.
    pub fn of(folder: tempfile::TempDir, broker: Mosquitto, daemon: Daemon) -> Self {
        let subscriber = Subscriber::start(broker.port);
        let running = daemon.start();
        subscriber.wait_for("/status", MOST, |status| status["state"] == "online");
        let all = subscriber.all();
        let topic = all.iter().find_map(|(topic, _)| topic.strip_suffix("/status")).expect("heard");
        Self { root: topic.to_owned(), broker, subscriber, daemon, running, _folder: folder }
    }

    pub fn send(&self, name: &str, body: &str) {
        publish(self.broker.port, &format!("{}/cmd/{name}", self.root), body);
    }

    /// Replies to the command `id` so far.
    pub fn replies(&self, id: &str) -> Vec<serde_json::Value> {
        let topic = format!("{}/reply/{id}", self.root);
        let all = self.subscriber.all();
        let bodies = all.iter().filter(|(heard, _)| *heard == topic);
        bodies.map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect()
    }

    /// Sends a command and waits for the last reply.
    pub fn command(&self, name: &str, id: &str, args: &str) -> serde_json::Value {
        self.send(name, &format!("{{\"id\":\"{id}\",\"args\":{args}}}"));
        self.last_reply(id)
    }

    pub fn last_reply(&self, id: &str) -> serde_json::Value {
        let last = self.subscriber.wait_for(&format!("/reply/{id}"), MOST, |reply| {
            ["done", "failed", "expired"].iter().any(|last| reply["status"] == *last)
        });
        validate("reply", &last);
        last
    }
}

#[test]
fn commands_are_answered_and_done_once() {
    let mut bench = Bench::start(SOURCES);
    let state = bench.subscriber.wait_for("/src/two/state", MOST, |state| state["open"][0]["id"].is_string());
    let health = bench.command("health", "h1", "{}");
    assert_eq!((health["status"].as_str(), health["result"]["class"].as_str()), (Some("done"), Some("lost")));

    let incident = state["open"][0]["id"].as_str().expect("text");
    assert_eq!(bench.command("ack", "a1", &format!("{{\"incident\":\"{incident}\"}}"))["status"], "done");
    bench.subscriber.wait_for("/src/two/state", MOST, |state| state["open"][0]["acked"] == true);
    assert_eq!(bench.command("ack", "a2", "{\"incident\":\"x\"}")["code"], "not_found");

    let muted = bench.command("mute", "m1", "{\"source\":\"two\",\"for_s\":3600}");
    assert_eq!((muted["code"].as_str(), muted["result"]["ends_in_s"].as_f64()), (Some("ok"), Some(3600.0)));
    let until = bench.subscriber.wait_for("/src/two/state", MOST, |state| state["muted_until"].is_string());
    // The same id again, later, also over a kill: answered again, not done again.
    bench.running.kill();
    bench.running = bench.daemon.start();
    bench.subscriber.wait_for("/info", MOST, |info| info["start"] == 2);
    let before = bench.replies("m1").len();
    bench.send("mute", "{\"id\":\"m1\",\"args\":{\"source\":\"two\",\"for_s\":3600}}");
    let again = waited(MOST, || bench.replies("m1").get(before).cloned()).expect("answered again");
    assert_eq!((&again["status"], &again["text"]), (&muted["status"], &muted["text"]));
    let state = bench.subscriber.wait_for("/src/two/state", MOST, |state| {
        state["mono_ms"].as_u64() > until["mono_ms"].as_u64() && state["muted_until"].is_string()
    });
    assert_eq!(state["muted_until"], until["muted_until"], "neither longer nor forgotten");
    bench.send("unmute", "{\"id\":\"m1\"}");
    bench.subscriber.wait_for("/reply/m1", MOST, |reply| reply["code"] == "id_used");
    assert_eq!(bench.command("unmute", "m2", "{}")["text"], "2 sources");
    bench.subscriber.wait_for("/src/two/state", MOST, |state| {
        state["muted_until"].is_null() && state["mono_ms"].as_u64() > again["mono_ms"].as_u64()
    });
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
}

#[test]
fn what_is_measured_and_shown_comes_when_asked_for() {
    let bench = Bench::start(SOURCES);
    bench.subscriber.wait_for("/src/one/state", MOST, |state| state["fps"].as_f64() > Some(1.0));
    let shown = bench.command("snapshot", "s1", "{\"source\":\"one\"}");
    assert_eq!(shown["status"], "done", "{shown}");
    let topic = shown["result"]["topic"].as_str().expect("text");
    let all = bench.subscriber.all();
    let picture = all.iter().rev().find(|(heard, body)| heard == topic && shown["result"]["bytes"] == body.len());
    assert!(picture.is_some_and(|(_, jpeg)| jpeg.starts_with(&[0xff, 0xd8])), "{shown}");
    assert_eq!(bench.command("snapshot", "s2", "{\"source\":\"none\"}")["code"], "not_found");
    assert_eq!(bench.command("snapshot", "s3", "{\"source\":\"two\"}")["code"], "no_picture");

    assert_eq!(bench.command("metrics", "x1", "{\"source\":\"one\",\"for_s\":3}")["status"], "done");
    let metrics =
        bench.subscriber.wait_for("/src/one/metrics", MOST, |metrics| metrics["measures"]["black"].is_object());
    validate("metrics", &metrics);
    std::thread::sleep(Duration::from_secs(5));
    let count = || bench.subscriber.all().iter().filter(|(topic, _)| topic.ends_with("/metrics")).count();
    let told = count();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(count(), told, "it ends by itself");
    assert!((2..=12).contains(&told), "{told}");

    assert_eq!(bench.command("log-level", "l1", "{\"level\":\"trace\",\"for_s\":1}")["status"], "done");
    assert_eq!(bench.command("log-level", "l2", "{\"level\":\"loud\",\"for_s\":1}")["code"], "bad_argument");
}

#[test]
fn what_is_no_command_is_refused_with_a_reason() {
    let bench = Bench::start(SOURCES);
    for body in ["", "rubbish", "[1]", "{\"id\":\"a/b\"}"] {
        bench.send("health", body);
        let reply = bench.last_reply("malformed");
        assert_eq!(reply["code"], "malformed", "{body}: {reply}");
    }
    let long = "x".repeat(20_000);
    assert_eq!(bench.command("config-set", "long", &format!("{{\"toml\":\"{long}\"}}"))["code"], "too_large");
    assert_eq!(bench.command("explode", "e1", "{}")["code"], "unknown_command");
    assert_eq!(bench.command("update", "e2", "{\"bundle\":\"a.raucb\"}")["code"], "unsupported");
    assert_eq!(bench.command("mute", "e3", "{}")["text"], "`args` must have `for_s`");
    bench.send("health", "{\"id\":\"old\",\"not_after\":\"2020-01-01T00:00:00Z\"}");
    let reply = bench.last_reply("old");
    // Without a clock to trust nobody can say that it is late.
    let expected = if reply["synced"] == true { "expired" } else { "done" };
    assert_eq!(reply["status"], expected, "{reply}");
    // Retained: refused although it is new, and while we listen.
    publish_retained(bench.broker.port, &format!("{}/cmd/restart", bench.root), "{\"id\":\"kept\"}");
    assert_eq!(bench.last_reply("kept")["code"], "retained");
    publish_retained(bench.broker.port, &format!("{}/cmd/restart", bench.root), "");
    bench.subscriber.wait_for("/info", MOST, |info| info["start"] == 1);
    assert!(bench.subscriber.all().iter().all(|(topic, body)| !topic.ends_with("/info") || {
        let info: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        info["start"] == 1
    }));
}

#[test]
fn a_restart_is_one_restart() {
    let mut bench = Bench::start(SOURCES);
    bench.send("restart", "{\"id\":\"r1\"}");
    bench.subscriber.wait_for("/reply/r1", MOST, |reply| reply["status"] == "running");
    assert_eq!(bench.last_reply("r1")["text"], "started anew");
    bench.subscriber.wait_for("/info", MOST, |info| info["start"] == 2);
    assert!(bench.running.runs(), "the same process goes on");
    let before = bench.replies("r1").len();
    bench.send("restart", "{\"id\":\"r1\"}");
    waited(MOST, || bench.replies("r1").get(before).cloned()).expect("answered again");
    std::thread::sleep(Duration::from_secs(1));
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
    let starts = bench.daemon.log().lines().filter(|line| line.contains("watching")).count();
    assert_eq!(starts, 2, "{}", bench.daemon.log());
}

#[test]
fn incidents_of_a_muted_source_are_told_whole_or_not_at_all() {
    let mut bench = Bench::start(SOURCES);
    bench.subscriber.wait_for("/src/one/event", MOST, |event| event["state"] == "cleared");
    assert_eq!(bench.command("mute", "m1", "{\"source\":\"one\",\"for_s\":6}")["status"], "done");
    std::thread::sleep(Duration::from_secs(1));
    let raised = |bench: &Bench| {
        bench.subscriber.events().iter().filter(|event| event["source"] == "one" && event["state"] == "raised").count()
    };
    let before = raised(&bench);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(raised(&bench), before, "muted");
    waited(MOST, || (raised(&bench) > before).then_some(())).expect("it ends by itself");
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
    bench.subscriber.wait_for("/status", MOST, |status| status["state"] == "stopping");
    let mut lives: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in bench.subscriber.events() {
        let text = |key: &str| event[key].as_str().expect("text").to_owned();
        lives.entry(text("id")).or_default().push(text("state"));
    }
    for (id, states) in lives {
        assert_eq!(states.first().map(String::as_str), Some("raised"), "{id}: {states:?}");
        assert_eq!(states.iter().filter(|state| *state == "raised").count(), 1, "{id}: {states:?}");
        assert_eq!(states.last().map(String::as_str), Some("cleared"), "{id}: {states:?}");
    }
}

/// Keys behind this one's table stay where they are: it begins another one.
const ALL: &str = "[budget]\ncpu = \"1600%\"\nmemory = \"4GiB\"\nyield_when_busy = false\n";

#[test]
fn an_old_broker_gets_events_and_commands_too() {
    let mut bench = Bench::start(&format!("version = \"3.1.1\"\n{ALL}{SOURCES}"));
    bench.subscriber.wait_for("/src/one/event", MOST, |event| event["state"] == "cleared");
    let health = bench.command("health", "h1", "{}");
    assert_eq!(health["status"], "done");
    // The broker ends without notice, has forgotten everything, and is told again.
    bench.broker.kill();
    bench.broker.again();
    bench.subscriber = Subscriber::start(bench.broker.port);
    bench.subscriber.wait_for("/status", MOST, |status| status["state"] == "online");
    bench.subscriber.wait_for("/info", MOST, |info| info["start"] == 1);
    bench.subscriber.wait_for("/src/one/event", MOST, |_| true);
    publish_retained(bench.broker.port, &format!("{}/cmd/restart", bench.root), "");
    assert_eq!(bench.command("restart", "r1", "{}")["text"], "started anew");
    bench.running.kill();
    let lost = bench.subscriber.wait_for("/status", MOST, |status| status["state"] == "lost");
    assert!(lost["conn"].is_u64());
}
