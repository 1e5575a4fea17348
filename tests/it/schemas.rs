//! Every message is what `picket schema` says it is.

use crate::support::{Daemon, Mosquitto, Subscriber, lines, ran, text};
use std::time::Duration;

fn schema(name: &str) -> serde_json::Value {
    let output = ran(&["schema", name]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Fails where `value` is not what the schema says.
pub fn validate(name: &str, value: &serde_json::Value) {
    let validator = jsonschema::validator_for(&schema(name)).expect("a schema");
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}\n{value:#}");
    check_contract(value);
}

/// Rules of the contract that a schema does not say.
fn check_contract(value: &serde_json::Value) {
    assert!(value.to_string().len() <= 8 << 10, "too long");
    match value {
        serde_json::Value::Null => panic!("null"),
        serde_json::Value::Object(fields) => fields.values().for_each(check_contract),
        serde_json::Value::Array(items) => items.iter().for_each(check_contract),
        _ => {}
    }
}

#[test]
fn names_are_listed() {
    let names = text(&ran(&["schema"]).stdout);
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        [
            "event",
            "summary",
            "bench",
            "broker_check",
            "probe",
            "probe_change",
            "status",
            "info",
            "health",
            "state",
            "config_state",
            "firmware",
            "metrics",
            "log",
            "reply",
            "provision",
            "reading",
            "comparison",
            "config",
            "board"
        ]
    );
}

/// Whatever this machine has, which may be nothing: it is said, and that is good.
#[test]
fn what_probe_prints() {
    let output = ran(&["probe", "--format", "json"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    let [report] = &lines(&output.stdout)[..] else { panic!("one document") };
    let validator = jsonschema::validator_for(&schema("probe")).expect("a schema");
    assert!(validator.is_valid(report), "{report:#}");
    let decoders = report["decoders"].as_array().expect("a list");
    for codec in ["h264", "hevc", "mpeg2", "vp9"] {
        let works = decoders.iter().any(|decoder| decoder["name"] == codec && decoder["works"] == true);
        assert!(works, "FFmpeg of 'make setup' decodes {codec}: {report:#}");
    }
    assert!(report["board"]["cores"].as_u64().is_some_and(|cores| cores > 0));
    let said = text(&ran(&["probe"]).stdout);
    for (list, none) in [("video", "no V4L2 devices"), ("sound", "no ALSA capture devices")] {
        let found = report[list].as_array().expect("a list");
        assert_eq!(found.is_empty(), said.contains(none), "{said}");
    }
    // A change is told with the same bodies.
    let change = jsonschema::validator_for(&schema("probe_change")).expect("a schema");
    let told = serde_json::json!({"v": 0, "type": "probe_change", "ts": "2026-01-01T00:00:00.000Z", "change": "went",
        "sound": {"name": "hw:1,0", "stable": "hw:CARD=a,DEV=0", "card": "a", "device": "b", "formats": ["s16le"],
        "rates": [48000], "channels_min": 2, "channels_max": 2, "holders": [{"pid": 1, "name": "x"}]}});
    assert!(change.is_valid(&told), "{told:#}");
}

#[test]
fn what_bench_prints() {
    let output = ran(&["bench", "--format", "json", "--tenths", "1", "--input", "pattern:clean"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let [report] = &lines(&output.stdout)[..] else { panic!("one document") };
    validate("bench", report);
    let looks = report["looks"].as_array().expect("a list");
    assert!(
        looks.len() >= 6 && looks.iter().all(|look| look["full_ms"].as_f64() > look["light_ms"].as_f64()),
        "{report}"
    );
    assert_eq!(report["fits"].as_array().map(Vec::len), Some(12), "three sizes at four rates");
    assert_eq!(report["decode"]["input"], "pattern:clean");
    let page = text(&ran(&["bench", "--tenths", "1"]).stdout);
    assert!(page.contains("1920x1080") && page.contains("every 4th in full"), "{page}");
}

#[test]
fn what_analyze_prints() {
    let output = ran(&["analyze", "--format", "ndjson", "pattern:defects"]);
    let all = lines(&output.stdout);
    let (summary, events) = all.split_last().expect("lines");
    validate("summary", summary);
    assert_eq!(events.len(), 6);
    events.iter().for_each(|event| validate("event", event));
    assert!(summary["peak_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{summary}");
}

#[test]
fn what_the_daemon_publishes() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path());
    let subscriber = Subscriber::start(broker.port);
    let sources = "[health]\nperiod = \"10s\"\n[[source]]\nid = \"one\"\ninput = \"pattern:busy\"\n[source.detect.black]\nraise_after = \"200ms\"\nclear_after = \"100ms\"\n[[source]]\nid = \"two\"\ninput = \"udp://127.0.0.1:1\"\n";
    let daemon = Daemon::new(Some(broker.port), sources);
    let mut running = daemon.start();
    let most = Duration::from_secs(20);
    subscriber.wait_for("/src/one/event", most, |event| event["state"] == "cleared");
    subscriber.wait_for("/src/two/event", most, |event| event["defect"] == "stream_loss");
    subscriber.wait_for("/src/two/state", most, |state| state["verdict"] == "lost");
    subscriber.wait_for("/health", most, |health| health["class"] == "lost" && health["mqtt"]["up_s"].is_f64());
    assert!(running.stop().success(), "{}", daemon.log());
    subscriber.wait_for("/status", most, |status| status["state"] == "stopping");
    let mut seen = std::collections::BTreeMap::new();
    let all = subscriber.all();
    for (topic, body) in all.iter().filter(|(topic, _)| topic.starts_with("picket/1/pk-")) {
        let kind = topic.rsplit('/').next().expect("a level");
        *seen.entry(kind).or_insert(0) += 1;
        // The schema called config is that of the configuration's files.
        let name = if kind == "config" { "config_state" } else { kind };
        validate(name, &serde_json::from_slice(body).expect("JSON"));
    }
    assert!(
        ["status", "info", "health", "state", "event", "config", "firmware"].iter().all(|kind| seen.contains_key(kind)),
        "{seen:?}"
    );
    check_picture(&all);
}

/// A picture goes out under the image root, and the event that names it has its hash.
fn check_picture(all: &[(String, Vec<u8>)]) {
    let (topic, jpeg) = all.iter().find(|(topic, _)| topic.starts_with("picket-img/")).expect("a picture");
    assert!(topic.ends_with("/one/last") && jpeg.starts_with(&[0xff, 0xd8]) && jpeg.len() <= 32 << 10);
    let events = all.iter().filter(|(topic, _)| topic.ends_with("/event"));
    let named = events.filter_map(|(_, body)| serde_json::from_slice::<serde_json::Value>(body).ok()).any(|event| {
        event["evidence"]["topic"] == *topic
            && event["evidence"]["bytes"] == jpeg.len()
            && event["evidence"]["sha256"].as_str().is_some_and(|hash| hash.len() == 64)
    });
    assert!(named, "an event names {topic}");
}
