//! What the broker keeps of a device: told to Home Assistant, emptied when it is no longer true, gone with the device.

use crate::commands::{Bench, MOST};
use crate::support::{Daemon, Mosquitto, Subscriber, publish, ran, text, waited};
use std::time::Duration;

const SOURCE: &str = "[[source]]\nid = \"one\"\ninput = \"pattern:busy\"\n";
const SECOND: &str = "[[source]]\nid = \"second\"\ninput = \"pattern:busy\"\n";
const TOLD: &str = "[homeassistant]\ndiscovery = true\n";

/// How often something was heard on topics that end so; `empty`: without content.
fn heard(bench: &Bench, ends: &str, empty: bool) -> usize {
    let all = bench.subscriber.all();
    all.iter().filter(|(topic, body)| topic.ends_with(ends) && body.is_empty() == empty).count()
}

#[test]
fn home_assistant_is_told_and_told_again_and_topics_that_are_over_are_emptied() {
    let mut bench = Bench::start(&format!("{TOLD}{SOURCE}{SECOND}"));
    let device = bench.root.strip_prefix("picket/1/").expect("the root").to_owned();
    let topic = format!("homeassistant/device/{device}/config");
    let told = bench.subscriber.wait_for(&topic, MOST, |told| told["cmps"]["second_problem"].is_object());
    assert_eq!(told["avty"][0]["t"], format!("{}/status", bench.root));
    bench.subscriber.wait_for("/src/second/state", MOST, |_| true);
    publish(bench.broker.port, "homeassistant/status", "online");
    waited(MOST, || (heard(&bench, &topic, false) >= 2).then_some(())).expect("told again");
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
    // Without the second source, and without Home Assistant.
    let file = std::fs::read_to_string(&bench.daemon.config).expect("read");
    std::fs::write(&bench.daemon.config, file.replace(SECOND, "").replace(TOLD, "")).expect("written");
    bench.running = bench.daemon.start();
    for ends in ["/src/second/state", "/second/last", &topic] {
        waited(MOST, || (heard(&bench, ends, true) >= 1).then_some(())).unwrap_or_else(|| panic!("{ends} is emptied"));
    }
    let list = bench.daemon.folder.path().join("state/topics");
    let list = || std::fs::read_to_string(&list).expect("a list");
    waited(MOST, || (!list().contains("second")).then_some(())).expect("the list is up to date");
    assert_eq!(heard(&bench, "/src/one/state", true), 0);
}

#[test]
fn a_device_out_of_service_leaves_nothing_behind() {
    let mut bench = Bench::start(&format!("{TOLD}{SOURCE}"));
    bench.subscriber.wait_for("/src/one/event", MOST, |_| true);
    waited(MOST, || (heard(&bench, "/one/last", false) >= 1).then_some(())).expect("a picture");
    let config = bench.daemon.config.to_str().expect("UTF-8").to_owned();
    let running = ran(&["decommission", "--config", &config]);
    assert_eq!(running.status.code(), Some(3), "it runs: {}", text(&running.stderr));
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
    let output = ran(&["decommission", "--config", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("/src/one/state"), "{}", text(&output.stdout));
    let later = Subscriber::start(bench.broker.port);
    std::thread::sleep(Duration::from_secs(1));
    let left: Vec<String> = later.all().into_iter().map(|(topic, _)| topic).filter(|topic| topic != "probe").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn one_of_two_devices_with_one_identity_gives_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path());
    let daemons = [Daemon::new(Some(broker.port), SOURCE), Daemon::new(Some(broker.port), SOURCE)];
    let mut running = daemons.each_ref().map(Daemon::start);
    let told = || daemons.iter().find(|daemon| daemon.log().contains("another device uses this id"));
    waited(Duration::from_secs(120), told).unwrap_or_else(|| panic!("{}", daemons[0].log()));
    // The other one is left alone.
    let subscriber = Subscriber::start(broker.port);
    subscriber.wait_for("/health", Duration::from_secs(60), |health| health["mqtt"]["up_s"].as_f64() > Some(5.0));
    running.iter_mut().for_each(|running| assert!(running.stop().success()));
}
