//! The courier against a scripted broker.

use super::broker::{Broker, Publish, Script, random};
use super::*;
use crate::ids::{BootId, DeviceId};
use crate::outbox::{self, Entry, Now, Outbox, Step, Storage};
use crate::time::{Clock, Mono, Wall};
use crate::wire::{Made, Message, Qos, Topics};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// Moves with the runtime's time, which most tests pause.
struct TestClock(Instant);

impl TestClock {
    /// Paused time jumps to the next timer whenever all tasks wait, also when bytes are still on their way through the
    /// kernel. Small jumps give them time, or a keep-alive would seem to pass between two packets.
    fn start() -> Arc<dyn Clock> {
        tokio::spawn(async {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                std::thread::yield_now();
            }
        });
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for TestClock {
    fn mono(&self) -> Mono {
        Mono::default().plus(Duration::from_secs(1000) + self.0.elapsed())
    }
    fn wall(&self) -> Wall {
        Wall { unix_ms: 1_700_000_000_000 + self.mono().as_ms() as i64, synced: true }
    }
}

pub(super) fn settings(port: u16, folder: &Path) -> Settings {
    Settings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        user: None,
        password_file: None,
        keep_alive: Duration::from_secs(20),
        reconnect_spread: Duration::from_secs(120),
        version: Default::default(),
        runtime_folder: folder.join("run"),
    }
}

fn open_outbox(storage: Box<dyn Storage>, clock: &dyn Clock) -> Outbox {
    let settings =
        outbox::Settings { folder: "outbox".into(), bytes_max: 16 << 20, age_max: Duration::from_secs(7 * 86_400) };
    let now = Now { mono: clock.mono(), wall: clock.wall() };
    Outbox::open(&settings, storage, BootId::from_kernel("0badcafe"), now).unwrap()
}

pub(super) fn start(settings: Option<Settings>, storage: Box<dyn Storage>, clock: Arc<dyn Clock>) -> Courier {
    let device = DeviceId::offline();
    let topics = Topics::new("", &device);
    let identity = Identity { device, boot: BootId::from_kernel("0badcafe"), topics, listen: Vec::new(), seed: 7 };
    let outbox = open_outbox(storage, &*clock);
    Courier::start(settings, identity, outbox, clock, |state, conn| {
        format!("{{\"state\":\"{state}\",\"conn\":{conn}}}").into_bytes()
    })
}

pub(super) fn spool(courier: &mut Courier, clock: &dyn Clock) -> u64 {
    let seq = courier.next_seq();
    let made = Made { wall: clock.wall(), mono: clock.mono(), boot: BootId::from_kernel("0badcafe") };
    let step = if seq % 2 == 1 { Step::Raised } else { Step::Cleared };
    let body = format!("{{\"seq\":{seq}}}").into_bytes();
    let topic = "picket/1/pk-000000000000/src/a/event".to_owned();
    courier.spool(Entry { seq, incident: format!("i{}", seq.div_ceil(2)), step, topic, made, body });
    seq
}

pub(super) fn retained(topic: &str, body: &str, qos: Qos) -> Message {
    Message { topic: topic.into(), payload: body.into(), qos, retain: true, expires_after: None }
}

/// Runs the courier until `done`; panics after `within`.
pub(super) async fn drive(
    courier: &mut Courier,
    within: Duration,
    mut done: impl FnMut(&mut Courier) -> bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    let end = Instant::now() + within;
    while !done(courier) {
        assert!(
            Instant::now() < end,
            "not done: {:?} {:?}",
            courier.counters(),
            events.iter().rev().take(5).collect::<Vec<_>>()
        );
        if let Ok(event) = timeout(Duration::from_millis(100), courier.next()).await {
            events.push(event);
        }
    }
    events
}

pub(super) fn emptied(courier: &mut Courier) -> bool {
    courier.counters().outbox.waiting == 0
}

fn seq_of(publish: &Publish) -> Option<u64> {
    let rest = publish.payload.strip_prefix("{\"seq\":")?;
    rest.split(['}', ',']).next()?.parse().ok()
}

/// Messages that arrived: how many, how many more than once. Fails when one is missing or first arrivals are not in
/// order.
pub(super) fn check_arrivals(arrived: &[Publish], last: u64) -> (usize, usize) {
    let mut first = BTreeSet::new();
    let mut duplicates = 0;
    for seq in arrived.iter().filter_map(seq_of) {
        if first.insert(seq) {
            assert_eq!(first.last(), Some(&seq), "first arrivals in order");
        } else {
            duplicates += 1;
        }
    }
    assert_eq!(first, (1..=last).collect(), "lost {:?}", (1..=last).filter(|s| !first.contains(s)).collect::<Vec<_>>());
    (first.len(), duplicates)
}

async fn chaos(seed: u64, messages: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = seed;
    let broker = Broker::start(move |_| {
        let chance = &mut chance;
        let mut r = |most| random(chance, most);
        Script {
            code: if r(12) == 0 { 0x88 } else { 0 },
            session_present: r(2) == 0,
            receive_max: [None, Some(20), Some(5), Some(1), Some(64)][r(5) as usize],
            cut_after: 1 + r(250) as usize,
            stalls: r(8) == 0,
            reorder: Some(r(1 << 40) + 1),
            ..Script::default()
        }
    })
    .await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let settings = Settings { reconnect_spread: Duration::from_secs(5), ..settings(broker.port, folder.path()) };
    let mut courier = start(Some(settings.clone()), Box::new(fake.storage()), Arc::clone(&clock));
    let (mut last, mut reconnects, mut kills) = (0, 0, 0);
    while last < messages {
        for _ in 0..37 {
            last = spool(&mut courier, &*clock);
        }
        courier.retain(retained("info", &last.to_string(), Qos::AtLeastOnce));
        drive(&mut courier, Duration::from_secs(86_400), |c| c.counters().outbox.waiting < 150).await;
        if last % 5 == 0 {
            // Killed: nothing is written at the end.
            reconnects += courier.counters().reconnects;
            kills += 1;
            drop(courier);
            courier = start(Some(settings.clone()), Box::new(fake.storage()), Arc::clone(&clock));
            // What was not on disk yet was never sent, and its numbers are given out again.
            last = courier.next_seq() - 1;
        }
    }
    drive(&mut courier, Duration::from_secs(86_400), emptied).await;
    let counters = courier.counters();
    reconnects += counters.reconnects;
    let seen = broker.seen();
    let (arrived, duplicates) = check_arrivals(&seen.arrived, last);
    assert_eq!((counters.outbox.dropped, counters.outbox.refused, counters.outbox.expired), (0, 0, 0));
    assert_eq!(seen.reused, 0, "packet ids");
    println!(
        "seed {seed}: {arrived} messages, 0 lost, {duplicates} duplicates, {} connects, {reconnects} reconnects, {} stalls, {kills} kills",
        seen.connects.len(),
        seen.stalls
    );
}

#[tokio::test(start_paused = true)]
async fn no_message_is_lost_in_chaos() {
    for seed in 1..=3 {
        chaos(seed, 1500).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_begins_with_birth_retained_set_and_events() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|conn| Script {
        cut_after: if conn == 1 { 8 } else { usize::MAX },
        session_present: conn == 2,
        ..Script::default()
    })
    .await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    courier.send(retained("health", "lost", Qos::AtMostOnce));
    courier.retain(retained("info", "1", Qos::AtLeastOnce));
    courier.retain(retained("info", "2", Qos::AtLeastOnce));
    courier.retain(retained("image", "jpeg", Qos::AtMostOnce));
    for _ in 0..6 {
        spool(&mut courier, &*clock);
    }
    let events = drive(&mut courier, Duration::from_secs(600), |c| emptied(c) && c.counters().reconnects == 1).await;
    courier.send(retained("health", "now", Qos::AtMostOnce));
    drive(&mut courier, Duration::from_secs(5), |_| {
        broker.seen().arrived.last().is_some_and(|publish| publish.payload == "now")
    })
    .await;
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Connected { .. })).count(), 2);
    let seen = broker.seen();
    let of = |conn| seen.arrived.iter().filter(move |p| p.conn == conn);
    let first: Vec<_> = of(1).map(|p| p.payload.as_str()).collect();
    assert_eq!(first[..4], [r#"{"state":"online","conn":1}"#, "2", "jpeg", r#"{"seq":1}"#]);
    assert!(of(2).next().is_some_and(|p| p.payload == r#"{"state":"online","conn":2}"# && p.retain && p.qos == 1));
    assert!(of(2).any(|p| p.payload == "2") && !of(2).any(|p| p.payload == "jpeg"), "the picture is there already");
    let event = of(1).find(|p| seq_of(p).is_some()).unwrap();
    assert!(!event.retain && event.expiry.is_some_and(|s| (604_700..=604_800).contains(&s)), "{event:?}");
    // Will: status, body "lost" with the same number, 20 s, and the session is kept for 120 s.
    for (connect, conn, clean) in [(&seen.connects[0], 1, true), (&seen.connects[1], 2, false)] {
        assert_eq!((connect.clean_start, connect.keep_alive), (clean, 20));
        let has = |bytes: &[u8]| connect.raw.windows(bytes.len()).any(|window| window == bytes);
        assert!(has(format!("{{\"state\":\"lost\",\"conn\":{conn}}}").as_bytes()), "will");
        assert!(
            has(&[0x11, 0, 0, 0, 120]) && has(&[0x18, 0, 0, 0, 20]) && has(&[0x21, 0, 16]),
            "expiry, delay, receive"
        );
        assert_eq!(connect.raw[8] & 0b0011_1100, 0b0010_1100, "retained will of QoS 1");
    }
    assert_eq!(courier.counters().passing_dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_broker_is_noticed_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|conn| Script {
        stalls: conn == 1,
        cut_after: if conn == 1 { 2 } else { usize::MAX },
        ..Script::default()
    })
    .await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    drive(&mut courier, Duration::from_secs(5), |c| c.counters().connected).await;
    let began = Instant::now();
    for _ in 0..3000 {
        spool(&mut courier, &*clock);
    }
    drive(&mut courier, Duration::from_secs(60), |c| !c.counters().connected).await;
    // The client library's own ping may notice a little earlier.
    assert!((20..=31).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    drive(&mut courier, Duration::from_secs(600), emptied).await;
    check_arrivals(&broker.seen().arrived, 3000);
}

#[tokio::test(start_paused = true)]
async fn poison_and_refusals_stop_nobody() {
    // What the broker does with message 3: says no; says it in a code that does not belong there, as Mosquitto does with
    // a message above its message_size_limit; in one that means nothing; hangs up.
    let answers: [fn(&Publish) -> Option<u8>; 4] = [
        |p| Some(if seq_of(p) == Some(3) { 0x99 } else { 0 }),
        |p| Some(if seq_of(p) == Some(3) { 0x95 } else { 0 }),
        |p| Some(if seq_of(p) == Some(3) { 0xf0 } else { 0 }),
        |p| if seq_of(p) == Some(3) { None } else { Some(0) },
    ];
    for answer in answers {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(move |_| Script { answer, ..Script::default() }).await;
        let clock = TestClock::start();
        let fake = outbox::tests::Fake::default();
        let mut courier =
            start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
        for _ in 0..100 {
            spool(&mut courier, &*clock);
        }
        let events = drive(&mut courier, Duration::from_secs(3600), emptied).await;
        assert_eq!(courier.counters().outbox.refused, 1);
        assert!(events.contains(&Event::Refused { seq: 3 }));
        check_arrivals(&broker.seen().arrived, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_above_the_brokers_limit_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|_| Script { packet_max: Some(200), ..Script::default() }).await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    courier.retain(retained("info", &"x".repeat(500), Qos::AtLeastOnce));
    spool(&mut courier, &*clock);
    let made = Made { wall: clock.wall(), mono: clock.mono(), boot: BootId::from_kernel("0badcafe") };
    let body = format!("{{\"seq\":2,\"x\":\"{}\"}}", "x".repeat(500)).into_bytes();
    courier.spool(Entry { seq: 2, incident: "big".into(), step: Step::Raised, topic: "event".into(), made, body });
    spool(&mut courier, &*clock);
    drive(&mut courier, Duration::from_secs(5), |c| c.counters().connected && c.counters().outbox.waiting < 3).await;
    courier.send(retained("health", &"x".repeat(500), Qos::AtMostOnce));
    let events = drive(&mut courier, Duration::from_secs(600), emptied).await;
    let counters = courier.counters();
    assert_eq!((counters.outbox.refused, counters.retained_refused, counters.reconnects), (1, 1, 0), "{events:?}");
    assert_eq!(counters.passing_dropped, 1);
    assert_eq!(broker.seen().arrived.iter().filter_map(seq_of).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_oversized_command_does_not_stop_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|_| Script { floods: true, ..Script::default() }).await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    for _ in 0..50 {
        spool(&mut courier, &*clock);
    }
    drive(&mut courier, Duration::from_secs(600), emptied).await;
    check_arrivals(&broker.seen().arrived, 50);
    assert!(courier.counters().reconnects <= 2);
}

#[tokio::test(start_paused = true)]
async fn takeovers_end_in_another_client_id() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|conn| Script {
        cut_after: if conn <= 3 { 1 } else { usize::MAX },
        farewell: Some(0x8e),
        ..Script::default()
    })
    .await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    spool(&mut courier, &*clock);
    let mut events = drive(&mut courier, Duration::from_secs(290), |c| c.counters().reconnects == 2).await;
    events.extend(drive(&mut courier, Duration::from_secs(400), emptied).await);
    assert!(events.contains(&Event::IdentityConflict), "{events:?}");
    let seen = broker.seen();
    let ids: Vec<&str> = seen.connects.iter().map(|connect| connect.client_id.as_str()).collect();
    assert_eq!(ids[..3], ["pk-000000000000"; 3]);
    assert!(ids[3].starts_with("pk-000000000000-") && ids[3].len() == 20, "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn after_unavailable_the_fleet_spreads() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|_| Script { code: 0x88, ..Script::default() }).await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    let event = courier.next().await;
    assert_eq!(event, Event::Disconnected { reason: "broker unavailable: ServerUnavailable".to_owned() });
    drive(&mut courier, Duration::from_secs(2000), |_| clock.mono().as_ms() > 1_000_000 + 1_200_000).await;
    let connects = broker.seen().connects.len();
    assert!((10..=60).contains(&connects), "{connects} in 20 min; full jitter alone would make about 45");
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|_| Script::default()).await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    drive(&mut courier, Duration::from_secs(5), |c| c.counters().connected).await;
    for _ in 0..70 {
        spool(&mut courier, &*clock);
    }
    courier.stop(Duration::from_secs(5)).await;
    {
        let seen = broker.seen();
        check_arrivals(&seen.arrived, 70);
        assert_eq!(seen.arrived.last().map(|p| p.payload.as_str()), Some(r#"{"state":"stopping","conn":1}"#));
        assert_eq!(seen.kinds.last(), Some(&(1, 14)), "DISCONNECT comes last");
    }
    assert_eq!(open_outbox(Box::new(fake.storage()), &*clock).counters(Now::default()).waiting, 0);
    assert_eq!(std::fs::read_dir(folder.path().join("run")).unwrap().count(), 0, "no socket is left");
}

#[tokio::test(start_paused = true)]
async fn without_a_broker_the_outbox_keeps() {
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(None, Box::new(fake.storage()), Arc::clone(&clock));
    courier.retain(retained("info", "1", Qos::AtLeastOnce));
    for _ in 0..20 {
        spool(&mut courier, &*clock);
        assert!(timeout(Duration::from_millis(300), courier.next()).await.is_err());
    }
    courier.stop(Duration::from_secs(1)).await;
    assert_eq!(open_outbox(Box::new(fake.storage()), &*clock).counters(Now::default()).waiting, 20);
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_is_told_and_alerts_go_out_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(|_| Script::default()).await;
    let clock = TestClock::start();
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(broker.port, folder.path())), Box::new(fake.storage()), Arc::clone(&clock));
    fake.fail(0, true, 5);
    for _ in 0..30 {
        spool(&mut courier, &*clock);
    }
    let mut events = drive(&mut courier, Duration::from_secs(60), emptied).await;
    check_arrivals(&broker.seen().arrived, 30);
    assert!(courier.counters().trouble.is_some());
    fake.heal();
    events.extend(drive(&mut courier, Duration::from_secs(120), |c| c.counters().trouble.is_none()).await);
    let told: Vec<bool> = events
        .iter()
        .filter_map(|e| if let Event::Storage { trouble } = e { Some(trouble.is_some()) } else { None })
        .collect();
    assert_eq!(told[..1], [true]);
    assert!(courier.next_seq() == 31);
}
