//! `picket watch` on a real Mosquitto and a real daemon.

use crate::support::{Daemon, Mosquitto, Running, Subscriber, picket, publish, ran, text, waited};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[cfg(not(feature = "watch"))]
#[test]
fn without_it_one_line_says_how_to_get_it() {
    for arguments in [&["watch"][..], &["watch", "mqtt://x", "--plain"]] {
        let output = ran(arguments);
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        assert!(error.contains("make watch") && error.lines().count() == 1, "{error}");
    }
    assert!(!text(&ran(&["--help"]).stdout).contains("watch"));
}

/// A watcher, and its lines so far.
#[cfg(feature = "watch")]
struct Watcher {
    running: Running,
    lines: Arc<Mutex<Vec<String>>>,
}

#[cfg(feature = "watch")]
impl Watcher {
    fn start(port: u16, more: &[&str]) -> Self {
        let mut command = picket();
        command.arg("watch").arg(format!("mqtt://127.0.0.1:{port}")).args(more);
        let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let out = running.child.stdout.take().expect("piped");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let into = lines.clone();
        std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| into.lock().expect("not poisoned").push(line));
        });
        Self { running, lines }
    }
    fn wait_for(&self, parts: &[&str]) -> String {
        let found = waited(Duration::from_secs(30), || {
            let lines = self.lines.lock().expect("not poisoned");
            lines.iter().find(|line| parts.iter().all(|part| line.contains(part))).cloned()
        });
        found.unwrap_or_else(|| panic!("no line with {parts:?} in {:#?}", self.lines.lock().expect("not poisoned")))
    }
}

#[cfg(feature = "watch")]
#[test]
fn lines_tell_what_a_real_daemon_does_and_outlive_the_broker() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Mosquitto::start(folder.path());
    let daemon = Daemon::new(Some(broker.port), crate::broker::SOURCES);
    let mut box_ = daemon.start();
    let mut watcher = Watcher::start(broker.port, &["--plain"]);
    let json = Watcher::start(broker.port, &["--format", "ndjson"]);
    watcher.wait_for(&["broker up"]);
    let line = watcher.wait_for(&["/a raised black critical"]);
    let device = line.split([' ', '/']).nth(1).expect("a device").to_owned();
    watcher.wait_for(&[&device, "/a cleared black"]);
    watcher.wait_for(&[&device, "named", "site=\"test\""]);
    let line = json.wait_for(&["\"kind\":\"raised\"", "\"defect\":\"black\""]);
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    // What is not ours, or no message at all, changes nothing.
    publish(broker.port, &format!("picket/1/{device}/info"), "\u{1b}[2J");
    publish(broker.port, &format!("picket/1/{device}/health"), r#"{"class":"\u001b]0;x"}"#);
    broker.kill();
    watcher.wait_for(&["broker down"]);
    broker.again();
    let up_again = |watcher: &Watcher| {
        watcher.lines.lock().expect("not poisoned").iter().filter(|line| line.contains("broker up")).count() == 2
    };
    waited(Duration::from_secs(40), || up_again(&watcher).then_some(())).expect("it comes back");
    // The daemon too: what it says at its end must reach the broker.
    Subscriber::start(broker.port).wait_for("/status", Duration::from_secs(40), |status| {
        status["state"] == "online" && status["conn"].as_u64() >= Some(2)
    });
    box_.stop();
    watcher.wait_for(&[&device, "verdict off"]);
    let all = watcher.lines.lock().expect("not poisoned").join("\n");
    assert!(!all.contains('\u{1b}'), "{all}");
    assert_eq!(watcher.running.stop().code(), Some(0));
}

#[cfg(feature = "watch")]
#[test]
fn wrong_usage_is_told_in_a_line() {
    for (arguments, part) in [(&["watch", "http://x"][..], "mqtts://HOST"), (&["watch"][..], "BROKER_URL")] {
        let output = ran(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(part), "{error}");
    }
}
