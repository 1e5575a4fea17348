//! The daemon against a broker that misbehaves in every way: it goes on, and nothing is lost.

use crate::broker::{SOURCES, check_events};
use crate::scripted_broker::{End, Script, ScriptedBroker};
use crate::support::{Daemon, Mosquitto, Subscriber, waited};
use std::time::{Duration, Instant};

/// Half as much again is 7.5 s.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A daemon that notices quickly and does not wait long for a broker that says that it is busy.
pub fn quick_daemon(port: u16, sources: &str) -> Daemon {
    let daemon = Daemon::new(Some(port), sources);
    let layer = daemon.folder.path().join("conf.d");
    std::fs::create_dir(&layer).expect("made");
    let text = format!(
        "[broker]\nkeep_alive = \"{}s\"\nreconnect_spread = \"1s\"\n[outbox]\nbytes_max = \"64MiB\"\n",
        KEEP_ALIVE.as_secs()
    );
    std::fs::write(layer.join("quick.toml"), text).expect("written");
    daemon
}

/// All that was ever numbered came, in order.
pub fn check_all(events: &[serde_json::Value], log: &str) {
    assert_eq!(events.first().map(|event| &event["seq"]), Some(&serde_json::json!(1)), "the first one");
    check_events(events, log);
}

#[test]
fn a_broker_that_stalls_is_noticed_in_time() {
    let broker = ScriptedBroker::start(|conn| match conn {
        1 => Script { cut_after: 8, end: End::Stall, ..Script::default() },
        // Takes no event for as long as it lasts, which is no reason to give one up.
        2 => Script { packet_max: Some(300), cut_after: 1, end: End::Stall, ..Script::default() },
        _ => Script::default(),
    });
    let daemon = quick_daemon(broker.port, SOURCES);
    let mut running = daemon.start();
    for (nth, backoff) in [(0, 1), (1, 2)] {
        let again = waited(Duration::from_secs(40), || broker.seen().connects.get(nth + 1).copied());
        let again = again.unwrap_or_else(|| panic!("it comes back:\n{}", daemon.log()));
        let took = again - broker.seen().stalls[nth].1;
        println!("stall {nth}: a new connection after {took:?}");
        let most = KEEP_ALIVE.mul_f64(1.5) + Duration::from_secs(backoff);
        // And some time for a busy machine.
        assert!(took >= KEEP_ALIVE, "nothing else may end it: {took:?}:\n{}", daemon.log());
        assert!(took <= most + Duration::from_secs(1), "{took:?}:\n{}", daemon.log());
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(running.stop().success(), "{}", daemon.log());
    assert!(broker.seen().longest[&2] <= 300, "a packet above the broker's limit");
    check_all(&broker.events(), &daemon.log());
}

/// What no broker should send.
fn monsters() -> Vec<Vec<u8>> {
    // A command of 100 kB, above what we say that we take.
    let mut huge = vec![0x30, 0xa4, 0x8d, 0x06, 0, 1, b'c', 0];
    huge.resize(4 + 100_004, b'x');
    vec![
        huge,
        // Lengths: without an end, of 256 MB, beyond the packet, of properties that are not there.
        vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'c', 0],
        vec![0x30, 3, 0xff, 0xff, 0],
        vec![0x30, 6, 0, 1, b'c', 0xff, 0xff, 0x7f],
        // No such packet; authentication that nobody asked for; QoS 3; a topic that is no UTF-8.
        vec![0x00, 0],
        vec![0xf0, 2, 0, 0],
        vec![0x36, 6, 0, 1, b'c', 0, 1, 0],
        vec![0x30, 4, 0, 1, 0xff, 0],
        // Answers to nothing.
        vec![0x40, 2, 0x7f, 0xff],
        vec![0x40, 2, 0, 0],
        vec![0x40, 1, 0],
        vec![0x20, 3, 0, 0, 0],
        vec![0x90, 4, 0x12, 0x34, 0, 1, 0x50, 2, 0, 1, 0x62, 2, 0, 1, 0x70, 2, 0, 1],
        (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
    ]
}

#[test]
fn a_broker_without_manners_loses_nothing() {
    let mut misdeeds = vec![
        Script { cut_after: 3, ..Script::default() },
        Script { code: 0x88, ..Script::default() },
        Script { code: 0x87, ..Script::default() },
        Script { receive_max: Some(1), reorder: Some(7), cut_after: 9, ..Script::default() },
        Script { session_present: true, reorder: Some(9), cut_after: 12, ..Script::default() },
        Script { cut_after: 5, end: End::Dismiss(0x8b), ..Script::default() },
        Script { cut_after: 5, end: End::Dismiss(0x81), ..Script::default() },
    ];
    let said = monsters().into_iter().map(|bytes| Script { cut_after: 4, end: End::Say(bytes), ..Script::default() });
    misdeeds.extend(said);
    let count = misdeeds.len();
    let broker = ScriptedBroker::start(move |conn| misdeeds.get(conn - 1).cloned().unwrap_or_default());
    let daemon = quick_daemon(broker.port, SOURCES);
    // Waits grow with each broken line, and start anew with the daemon.
    while broker.seen().connects.len() < count {
        let before = broker.seen().connects.len();
        let mut running = daemon.start();
        waited(Duration::from_secs(3), || (broker.seen().connects.len() >= before + 3).then_some(()));
        assert!(running.runs(), "after connection {}:\n{}", broker.seen().connects.len(), daemon.log());
        running.kill();
    }
    let mut running = daemon.start();
    std::thread::sleep(Duration::from_secs(3));
    assert!(running.stop().success(), "{}", daemon.log());
    let seen = broker.seen();
    assert!(seen.waiting[&4] <= 1, "more under way than the broker takes");
    println!("{count} misdeeds, {} connections, {} messages", seen.connects.len(), seen.arrived.len());
    drop(seen);
    check_all(&broker.events(), &daemon.log());
}

#[test]
fn what_the_broker_kept_is_back_soon_after_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Mosquitto::start(folder.path());
    let daemon = quick_daemon(broker.port, SOURCES);
    let mut running = daemon.start();
    // A line that held so long was a good one.
    std::thread::sleep(Duration::from_secs(11));
    broker.kill();
    std::thread::sleep(Duration::from_millis(300));
    broker.again();
    let began = Instant::now();
    let subscriber = Subscriber::start(broker.port);
    let most = Duration::from_secs(5);
    subscriber.wait_for("/status", most, |status| status["state"] == "online");
    for topic in ["/info", "/src/a/state", "/src/b/state"] {
        subscriber.wait_for(topic, most, |_| true);
    }
    let took = began.elapsed();
    println!("retained documents are back {took:?} after the broker");
    assert!(took <= most, "{took:?}:\n{}", daemon.log());
    assert!(running.stop().success(), "{}", daemon.log());
}
