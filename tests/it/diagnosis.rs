//! What support needs: archives without secrets, the log from afar, self-tests, safe mode after a crash loop.

use crate::commands::{Bench, MOST};
use crate::schemas::validate;
use crate::support::{picket, text, waited};
use sha2::Digest;
use std::collections::BTreeMap;
use std::io::Read;

const SOURCES: &str = "[health]\nperiod = \"10s\"\n[[source]]\nid = \"one\"\ninput = \"pattern:clean\"\n[[source]]\nid = \"cam\"\ninput = \"rtsp://spy:s3cr3t-in-url@127.0.0.1:1/live?token=s3cr3t-token\"\n";

/// Names and contents of an archive.
fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut parts = BTreeMap::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(archive)).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").file_name().expect("a name").to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("whole");
        parts.insert(name, content);
    }
    parts
}

fn check_archive(archive: &[u8]) {
    let parts = unpacked(archive);
    for name in [
        "versions.txt",
        "config.toml",
        "check.txt",
        "probe.json",
        "log.txt",
        "health.ndjson",
        "outbox.txt",
        "commands.txt",
        "runs.txt",
        "files.txt",
    ] {
        assert!(parts.get(name).is_some_and(|content| !content.is_empty()), "{name} of {:?}", parts.keys());
    }
    assert!(parts.values().map(Vec::len).sum::<usize>() < 5 << 20);
    for (name, content) in &parts {
        let content = String::from_utf8_lossy(content);
        assert!(!content.contains("s3cr3t"), "{name} holds a secret: {content:.2000}");
    }
    let of = |name: &str| String::from_utf8_lossy(&parts[name]).into_owned();
    assert!(of("log.txt").contains("watching"), "{}", of("log.txt"));
    assert!(of("config.toml").contains("rtsp://127.0.0.1:1/live"), "{}", of("config.toml"));
    assert!(of("health.ndjson").lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn archives_hold_all_but_secrets() {
    let password = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(password.path(), "s3cr3t-password").expect("written");
    let bench = Bench::start_changed(SOURCES, |config| {
        let file = password.path().display();
        config.replace("[broker]\n", &format!("[broker]\nuser = \"box\"\npassword_file = \"{file}\"\n"))
    });
    bench.subscriber.wait_for("/src/cam/state", MOST, |state| state["verdict"] == "lost");
    assert_eq!(bench.command("unmute", "u1", "{}")["status"], "done");
    // On the box.
    let out = bench.daemon.folder.path().join("b.tar.gz");
    let ran = picket()
        .arg("bundle")
        .arg("--config")
        .arg(&bench.daemon.config)
        .arg("--out")
        .arg(&out)
        .output()
        .expect("it starts");
    assert!(ran.status.success() && text(&ran.stdout).contains("KiB"), "{}", text(&ran.stderr));
    check_archive(&std::fs::read(&out).expect("there"));
    // From afar, with another one in its way.
    bench.send("bundle", "{\"id\":\"b1\"}");
    assert_eq!(bench.command("bundle", "b2", "{}")["code"], "busy");
    let last = bench.last_reply("b1");
    assert_eq!(last["status"], "done", "{last:#}");
    let replies = bench.replies("b1");
    let told = replies.iter().find(|reply| reply["result"]["sha256"].is_string()).expect("told");
    let below = format!("{}/", told["result"]["topic"].as_str().expect("a topic"));
    let mut pieces = BTreeMap::new();
    for (topic, body) in bench.subscriber.all() {
        if let Some(number) = topic.strip_prefix(&below) {
            assert!(body.len() <= 32 << 10);
            pieces.insert(number.parse::<u64>().expect("a number"), body);
        }
    }
    assert_eq!(Some(pieces.len() as u64), told["result"]["pieces"].as_u64());
    let archive: Vec<u8> = pieces.into_values().flatten().collect();
    let hash: String = sha2::Sha256::digest(&archive).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(Some(hash.as_str()), told["result"]["sha256"].as_str());
    check_archive(&archive);
    assert!(!bench.daemon.folder.path().join("run/bundle.tar.gz").exists());
}

#[test]
fn the_log_comes_while_it_is_asked_for_and_parts_are_tested() {
    let config = |text: &str| text.replace("[device]\n", "[device]\nallow_reboot = true\n");
    let mut bench = Bench::start_changed("[[source]]\nid = \"one\"\ninput = \"pattern:clean\"\n", config);
    assert_eq!(bench.command("log-level", "l1", "{\"level\":\"info\",\"for_s\":30}")["status"], "done");
    bench.send("health", "{\"id\":\"l2\"}");
    let line = bench
        .subscriber
        .wait_for("/log", MOST, |line| line["text"].as_str().is_some_and(|text| text.contains("id=\"l2\"")));
    validate("log", &line);
    assert_eq!(line["level"], "info");

    assert_eq!(bench.command("identify", "i1", "{\"for_s\":5}")["code"], "unsupported");
    bench.send("selftest", "{\"id\":\"s1\"}");
    // It yields to all other tests.
    let last = |reply: &serde_json::Value| reply["result"]["detectors"].is_string();
    let tested = bench.subscriber.wait_for("/reply/s1", 8 * MOST, last);
    for part in ["detectors", "disk", "outbox", "broker", "sources"] {
        let told = tested["result"][part].as_str().unwrap_or_default();
        assert!(told.starts_with("good: "), "{part}: {tested:#}");
    }
    // Nobody acts on the wish here.
    bench.send("reboot", "{\"id\":\"r1\"}");
    bench.subscriber.wait_for("/reply/r1", MOST, |reply| reply["status"] == "running");
    let wish = bench.daemon.folder.path().join("run/reboot");
    assert_eq!(std::fs::read_to_string(&wish).ok().as_deref(), Some("r1\n"));
    bench.running.kill();
    bench.running = bench.daemon.start_after_crash();
    let reply = bench.last_reply("r1");
    assert_eq!((reply["status"].as_str(), reply["code"].as_str()), (Some("failed"), Some("interrupted")));
    assert!(waited(MOST, || (!wish.exists()).then_some(())).is_some(), "the wish is over");
    let health = bench.subscriber.wait_for("/health", MOST, |health| health["restarts"] == 1);
    assert!(health["last_crash"].as_str().is_some_and(|text| text.contains("without a word")), "{health:#}");
    validate("health", &health);
    assert!(health["mqtt"]["broker"].as_str().is_some_and(|broker| broker.starts_with("127.0.0.1:")), "{health:#}");
}

#[test]
fn a_crash_loop_ends_in_safe_mode_which_a_command_ends() {
    let mut bench = Bench::start("[[source]]\nid = \"one\"\ninput = \"pattern:clean\"\n");
    for _ in 0..5 {
        bench.running.kill();
        bench.running = bench.daemon.start_after_crash();
        let socket = bench.daemon.folder.path().join("run/live.sock");
        assert!(waited(MOST, || std::os::unix::net::UnixStream::connect(&socket).ok()).is_some(), "it runs");
    }
    let health = bench.subscriber.wait_for("/health", MOST, |health| health["safe_mode"].is_string());
    validate("health", &health);
    assert_eq!((&health["class"], &health["src"]["one"]["verdict"]), (&"alert".into(), &"off".into()));
    assert_eq!(health["restarts"], 5);
    let state = bench.subscriber.wait_for("/src/one/state", MOST, |state| {
        state["reason"].as_str().is_some_and(|why| why.starts_with("safe mode"))
    });
    assert_eq!(state["verdict"], "off");
    assert_eq!(bench.command("restart", "x", "{}")["status"], "done");
    let health = bench
        .subscriber
        .wait_for("/health", MOST, |health| health["src"]["one"]["verdict"] == "ok" && health["restarts"] == 6);
    assert!(health["safe_mode"].is_null(), "{health:#}");
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
}
