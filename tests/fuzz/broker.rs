//! What a broker sends: packets to the link, and commands to the daemon.

use crate::fuzz;
use crate::mutate::{Chance, mutate};
use crate::outbox::{Memory, at, open, push};
use crate::scripted_broker::{End, Script, ScriptedBroker};
use crate::support::{Daemon, waited};
use picket::ids::{BootId, DeviceId};
use picket::mqtt::{Courier, Event, Identity, Settings};
use picket::outbox::Step;
use picket::time::SystemClock;
use picket::wire::Topics;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Accepts, with limits.
const CONNACK: &[u8] = &[0x20, 11, 0, 0, 8, 0x21, 0, 20, 0x27, 0, 1, 0, 0];
/// Answers a subscription and some messages, sends one, and says farewell.
const TALK: &[u8] = &[
    0x90, 4, 0, 1, 0, 1, 0x40, 2, 0, 1, 0x40, 3, 0, 2, 0x97, 0x40, 4, 0, 3, 0x10, 0, 0x32, 14, 0, 1, b'c', 0, 9, 5, 2,
    0, 0, 0, 60, b'{', b'}', b'!', 0xd0, 0, 0xe0, 1, 0x8b,
];

/// Sends the first part of an input when a client has spoken, and the rest when it has spoken again.
fn serve(mut tcp: TcpStream, input: &[u8]) -> std::io::Result<()> {
    let Some((&first, rest)) = input.split_first() else { return Ok(()) };
    tcp.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut heard = [0; 4096];
    let (greeting, talk) = rest.split_at(usize::from(first).min(rest.len()));
    if tcp.read(&mut heard)? == 0 {
        return Ok(());
    }
    tcp.write_all(greeting)?;
    // It may have nothing more to say.
    let _ = tcp.read(&mut heard).unwrap_or(0);
    tcp.write_all(talk)?;
    tcp.shutdown(Shutdown::Write)?;
    while let Ok(1..) = tcp.read(&mut heard) {}
    Ok(())
}

/// A link over one connection; returns why it ended.
async fn linked(port: u16, folder: &Path) -> String {
    let device = DeviceId::offline();
    let mut outbox = open(&Memory::default(), at(10));
    (0..3).for_each(|_| push(&mut outbox, Step::Raised, at(10)));
    outbox.tick(at(20));
    let settings = Settings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        user: None,
        password_file: None,
        keep_alive: Duration::from_secs(5),
        reconnect_spread: Duration::from_secs(1),
        version: picket::mqtt::Version::Five,
        runtime_folder: folder.to_owned(),
    };
    let topics = Topics::new("", &device);
    let identity = Identity { device, boot: BootId::from_kernel("0badcafe"), topics, listen: Vec::new(), seed: 7 };
    let mut courier = Courier::start(Some(settings), identity, outbox, Arc::new(SystemClock), |state, conn| {
        format!("{{\"state\":\"{state}\",\"conn\":{conn}}}").into_bytes()
    });
    loop {
        if let Event::Disconnected { reason } = courier.next().await {
            assert!(courier.counters().outbox.waiting <= 3);
            return reason;
        }
    }
}

#[test]
fn packets() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    let current: Arc<Mutex<Vec<u8>>> = Arc::default();
    let sent = current.clone();
    std::thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let input = sent.lock().expect("not poisoned").clone();
            // A client that is gone is none of ours.
            let _ = serve(tcp, &input);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let make = |chance: &mut Chance| {
        let greeting = if chance.below(4) == 0 { mutate(CONNACK, &[], chance) } else { CONNACK.to_vec() };
        let talk = mutate(TALK, &[&[0x40, 2, 0, 2], &[0x30, 4, 0, 1, b'c', 0], &[0x50, 2, 0, 1]], chance);
        [&[greeting.len().min(255) as u8], greeting.as_slice(), &talk].concat()
    };
    fuzz("packets", 300, make, |input| {
        *current.lock().expect("not poisoned") = input.to_vec();
        let most = Duration::from_secs(20);
        let reason = runtime.block_on(async { tokio::time::timeout(most, linked(port, folder.path())).await });
        let reason = reason.expect("it ends when the broker hangs up");
        assert!(!reason.contains("client library failed"), "{reason}");
    });
}

const COMMANDS: [&str; 12] = [
    "health",
    "snapshot",
    "ack",
    "mute",
    "unmute",
    "metrics",
    "log_level",
    "log-level",
    "config_set",
    "config-set",
    "config-confirm",
    "x",
];
const BODIES: [&[u8]; 4] = [
    br#"{"id":"a-1","args":{"source":"a","for_s":5},"not_after":"2099-01-01T00:00:00Z"}"#,
    br#"{"id":"a-2","args":{"level":"debug","for_s":5}}"#,
    br#"{"id":"a-3","args":{"layer":"[health]\nperiod = \"10s\"\n","confirm_within_s":60}}"#,
    br#"{"id":"a-4","args":{"incident":"000000000000-1-a-1","revision":1}}"#,
];
const WORDS: [&[u8]; 13] = [
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"{",
    b"}",
    b"[[[[[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"\xff",
    b"{\"a\":",
    b"\"id\"",
    b"\"a\"",
];

/// A command as a PUBLISH of QoS 0.
fn command(topics: &str, chance: &mut Chance) -> Vec<u8> {
    let mut name = chance.pick(&COMMANDS).as_bytes().to_vec();
    if chance.below(6) == 0 {
        name = mutate(&name, &[b"/", b"+", b"\0"], chance);
    }
    let topic = [topics.as_bytes(), &name].concat();
    let body = if chance.below(40) == 0 { vec![b'['; 20_000] } else { mutate(chance.pick(&BODIES), &WORDS, chance) };
    let length = 2 + topic.len() + 1 + body.len();
    let retained = u8::from(chance.below(8) == 0);
    let head = [0x30 | retained, (length & 0x7f) as u8 | 0x80, (length >> 7 & 0x7f) as u8 | 0x80, (length >> 14) as u8];
    [head.as_slice(), &(topic.len() as u16).to_be_bytes(), &topic, &[0], &body].concat()
}

#[test]
fn commands() {
    let device = DeviceId::from_machine_identity(&format!("{:032x}", 0x1234_5678));
    let topics = Topics::new("", &device).commands();
    let topics = topics.trim_end_matches(['#', '+']).to_owned();
    let make = |chance: &mut Chance| (0..60).flat_map(|_| command(&topics, chance)).collect();
    fuzz("commands", 5, make, |input| {
        let script = Script { cut_after: 1, end: End::Say(input.to_vec()), ..Script::default() };
        let broker = ScriptedBroker::start(move |_| script.clone());
        let daemon = Daemon::new(Some(broker.port), "[[source]]\nid = \"a\"\ninput = \"pattern:loop\"\n");
        let mut running = daemon.start();
        let spoke = waited(Duration::from_secs(20), || (!broker.seen().arrived.is_empty()).then_some(()));
        assert!(spoke.is_some(), "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(300));
        assert!(running.runs(), "{}", daemon.log());
        assert!(running.stop().success(), "{}", daemon.log());
        assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    });
}
