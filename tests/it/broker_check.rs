//! `picket broker-check` on a real Mosquitto: what it finds, and that it leaves nothing behind.

use crate::support::{Mosquitto, Running, Subscriber, lines, picket, ran, text, waited};
use std::process::Stdio;
use std::time::Duration;

/// Topics on which the broker keeps something.
fn kept(broker: &Mosquitto) -> Vec<String> {
    let all = Subscriber::start(broker.port).all();
    all.into_iter().map(|(topic, _)| topic).filter(|topic| topic != "probe").collect()
}

fn levels(report: &serde_json::Value) -> Vec<(String, String)> {
    let points = report["points"].as_array().expect("points");
    points
        .iter()
        .map(|point| {
            (point["name"].as_str().expect("a name").to_owned(), point["level"].as_str().expect("a level").to_owned())
        })
        .collect()
}

#[test]
fn a_broker_is_fit_or_its_faults_are_named_and_nothing_stays_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Mosquitto::start_with(folder.path(), "max_queued_messages 100000\nset_tcp_nodelay true\n");
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let check = || ran(&["broker-check", &url, "--kept", "1500", "--format", "json"]);
    let output = check();
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let report = lines(&output.stdout).remove(0);
    let schema = serde_json::from_slice(&ran(&["schema", "broker_check"]).stdout).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema").validate(&report).expect("as its schema says");
    assert_eq!(report["fit"], true);
    for (name, level) in levels(&report) {
        // How fast it is depends on the machine.
        if name == "round_trip" || name == "delivery" {
            continue;
        }
        // Everybody is let in, and may say everything.
        let wanted = if name == "strangers" || name == "other_devices" { "warning" } else { "ok" };
        assert_eq!(level, wanted, "{name}: {report:#}");
    }
    for name in [
        "mqtt_5",
        "mqtt_3_1_1",
        "round_trip",
        "retained",
        "picture",
        "session",
        "message_expiry",
        "will",
        "queue_qos_1",
    ] {
        assert!(levels(&report).iter().any(|(other, _)| other == name), "{name}: {report:#}");
    }
    assert_eq!(kept(&broker), [""; 0]);
    // As Mosquitto comes: it drops what does not fit into a reader's queue.
    broker.stop();
    let broker = Mosquitto::start_with(folder.path(), "");
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let output = ran(&["broker-check", &url, "--kept", "1500"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("finding  queue_qos_1") && said.contains("cure: max_queued_messages 100000"), "{said}");
    assert_eq!(kept(&broker), [""; 0]);
}

#[test]
fn who_is_interrupted_tidies_up_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start_with(folder.path(), "");
    let reader = Subscriber::start(broker.port);
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let mut command = picket();
    command.args(["broker-check", &url, "--kept", "20000"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut check = Running::start(&mut command);
    // In the middle of what is kept.
    let under_way = |reader: &Subscriber| reader.all().iter().any(|(topic, _)| topic.contains("/src/check-500/"));
    waited(Duration::from_secs(60), || under_way(&reader).then_some(())).expect("messages to keep");
    check.signal(nix::sys::signal::Signal::SIGINT);
    let ended = waited(Duration::from_secs(30), || check.child.try_wait().expect("a child")).expect("it ends");
    assert_eq!(ended.code(), Some(3));
    assert_eq!(kept(&broker), [""; 0]);
}

#[test]
fn who_cannot_get_in_is_told_why() {
    let output = ran(&["broker-check", "mqtt://127.0.0.1:1"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("127.0.0.1:1") && error.contains("refused") && error.lines().count() == 1, "{error}");
    for (arguments, part) in [
        (&["broker-check", "http://x"][..], "mqtts://HOST"),
        (&["broker-check", "mqtt://me:secret@x"][..], "password"),
        (&["broker-check", "mqtts://x", "--ca", "/nowhere/ca.pem"][..], "/nowhere/ca.pem"),
        (&["broker-check"][..], "BROKER_URL"),
        (&["broker-check", "mqtt://x", "--device", "box"][..], "pk-"),
    ] {
        let output = ran(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(part) && !error.contains("secret"), "{arguments:?}: {error}");
    }
}
