//! The outbox against power cuts, broken disks, lack of room, and a model.

pub(crate) use super::fake::Fake;
use super::fake::Loss;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SECOND: Duration = Duration::from_secs(1);
pub(super) const ENOSPC: i32 = 28;
pub(super) const EROFS: i32 = 30;
pub(super) const EIO: i32 = 5;

pub(super) fn boot() -> BootId {
    BootId::from_kernel("0badcafe")
}

/// `seconds` after the machine started.
pub(super) fn at(seconds: u64) -> Now {
    let wall = Wall { unix_ms: 1_700_000_000_000 + seconds as i64 * 1000, synced: true };
    Now { mono: Mono::default().plus(SECOND * seconds as u32), wall }
}

pub(super) fn entry(seq: u64, incident: &str, step: Step, now: Now) -> Entry {
    let body = format!("{{\"seq\":{seq},\"pad\":\"{}\"}}", "x".repeat(seq as usize % 40)).into_bytes();
    let made = Made { wall: now.wall, mono: now.mono, boot: boot() };
    Entry { seq, incident: incident.to_owned(), step, topic: "picket/1/pk/src/a/event".to_owned(), made, body }
}

/// Some message.
pub(crate) fn message(seq: u64, step: Step) -> Entry {
    entry(seq, &format!("incident-{seq}"), step, at(1))
}

pub(super) fn settings(bytes_max: u64) -> Settings {
    Settings { folder: "outbox".into(), bytes_max, age_max: Duration::from_secs(7 * 86_400) }
}

pub(super) fn open(fake: &Fake, bytes_max: u64, now: Now) -> Outbox {
    Outbox::open(&settings(bytes_max), Box::new(fake.storage()), boot(), now).unwrap()
}

pub(super) fn push(outbox: &mut Outbox, incident: &str, step: Step, now: Now) -> u64 {
    let seq = outbox.next_seq();
    outbox.push(entry(seq, incident, step, now), now);
    seq
}

/// All that would be sent, in order.
pub(super) fn all(outbox: &mut Outbox, now: Now) -> Vec<Outgoing> {
    let mut found = Vec::new();
    let mut last = 0;
    while let Some(outgoing) = outbox.after(last, now) {
        last = outgoing.entry.seq;
        found.push(outgoing);
    }
    found
}

pub(super) fn seqs(outbox: &mut Outbox, now: Now) -> Vec<u64> {
    all(outbox, now).iter().map(|outgoing| outgoing.entry.seq).collect()
}

#[test]
fn a_message_is_handed_out_once_it_is_on_disk() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 1 << 20, at(10));
    let opened = fake.syncs();
    push(&mut outbox, "a", Step::Raised, at(10));
    assert_eq!(fake.syncs(), opened + 1, "at once when idle");
    assert_eq!(seqs(&mut outbox, at(10)), [1]);
    push(&mut outbox, "a", Step::Cleared, at(10));
    push(&mut outbox, "b", Step::Raised, at(10));
    assert_eq!(seqs(&mut outbox, at(10)), [1], "a burst waits");
    assert_eq!(outbox.due(), Some(at(11).mono));
    outbox.tick(at(11));
    assert_eq!(fake.syncs(), opened + 2, "and shares one sync");
    assert_eq!(seqs(&mut outbox, at(11)), [1, 2, 3]);
    outbox.acknowledge(2);
    assert_eq!(seqs(&mut outbox, at(11)), [1, 3]);
    assert_eq!(outbox.counters(at(14)).oldest, Some(4 * SECOND));
}

#[test]
fn numbers_go_on_when_everything_was_sent_and_removed() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    for n in 0..200 {
        let seq = push(&mut outbox, "a", Step::Updated, at(n));
        outbox.tick(at(n));
        outbox.acknowledge(seq);
    }
    outbox.tick(at(300));
    assert!(fake.bytes() < 32 << 10, "what was sent is removed: {}", fake.bytes());
    drop(outbox);
    assert_eq!(open(&fake, 64 << 10, at(301)).next_seq(), 201);
}

#[test]
fn an_open_incident_outlives_its_segments() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    push(&mut outbox, "open", Step::Raised, at(0));
    push(&mut outbox, "open", Step::Updated, at(0));
    for n in 1..400 {
        push(&mut outbox, "other", if n % 2 == 1 { Step::Raised } else { Step::Cleared }, at(n));
        outbox.tick(at(n));
        for seq in seqs(&mut outbox, at(n)) {
            outbox.acknowledge(seq);
        }
    }
    outbox.stop(at(500));
    assert!(fake.bytes() < 20 << 10, "{}", fake.bytes());
    drop(outbox);
    let mut outbox = open(&fake, 64 << 10, at(501));
    let open_steps = outbox.open_incidents();
    assert_eq!(
        open_steps.iter().map(|e| (e.incident.as_str(), e.seq)).collect::<Vec<_>>(),
        [("open", 2), ("other", 401)]
    );
    assert_eq!(seqs(&mut outbox, at(501)), [] as [u64; 0]);
    let seq = push(&mut outbox, "open", Step::Cleared, at(502));
    outbox.acknowledge(seq);
    drop(outbox);
    assert_eq!(open(&fake, 64 << 10, at(503)).open_incidents().len(), 1);
}

#[test]
fn late_messages_say_so() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 1 << 20, at(0));
    push(&mut outbox, "a", Step::Raised, at(0));
    assert_eq!(all(&mut outbox, at(60))[0].entry.body, b"{\"seq\":1,\"pad\":\"x\"}");
    assert_eq!(all(&mut outbox, at(61))[0].entry.body, b"{\"seq\":1,\"pad\":\"x\",\"replayed\":true}");
    drop(outbox);
    let mut outbox = open(&fake, 1 << 20, at(2));
    let former = all(&mut outbox, at(2)).remove(0);
    assert_eq!(former.entry.body, b"{\"seq\":1,\"pad\":\"x\",\"replayed\":true}");
    assert_eq!(former.fresh_for, Duration::from_secs(7 * 86_400 - 2));
    let mut empty = b"{ }".to_vec();
    splice_replayed(&mut empty);
    assert_eq!(empty, b"{ \"replayed\":true}");
}

#[test]
fn old_messages_expire_unless_their_age_is_unknown() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 1 << 20, at(0));
    push(&mut outbox, "a", Step::Raised, at(0));
    push(&mut outbox, "b", Step::Raised, at(86_400));
    outbox.tick(at(7 * 86_400 + 5));
    assert_eq!(seqs(&mut outbox, at(7 * 86_400 + 5)), [2]);
    assert_eq!(outbox.counters(at(0)).expired, 1);
    drop(outbox);
    // Another boot, whose wall clock is not trusted: it cannot be told that the message is old.
    let unknown = Now { mono: Mono(5), wall: Wall { unix_ms: i64::MAX, synced: false } };
    let mut outbox =
        Outbox::open(&settings(1 << 20), Box::new(fake.storage()), BootId::from_kernel("00000001"), unknown).unwrap();
    outbox.tick(unknown);
    assert_eq!(seqs(&mut outbox, unknown), [2]);
    let known = Now { wall: at(9 * 86_400).wall, ..unknown };
    outbox.tick(Now { mono: Mono::default().plus(20 * SECOND), ..known });
    assert_eq!(seqs(&mut outbox, known), [] as [u64; 0]);
}

#[test]
fn an_alert_costs_the_flash_little() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 16 << 20, at(0));
    let before = fake.flash_bytes();
    // An incident every 20 s, each step acknowledged at once, then bursts of 20.
    for n in 0..200 {
        let step = if n % 2 == 0 { Step::Raised } else { Step::Cleared };
        let seq = outbox.next_seq();
        outbox.push(Entry { body: vec![b'x'; 630], ..entry(seq, "a", step, at(n * 10)) }, at(n * 10));
        outbox.acknowledge(seq);
        (n * 10..n * 10 + 10).for_each(|second| outbox.tick(at(second)));
    }
    let alone = (fake.flash_bytes() - before) / 200;
    let before = fake.flash_bytes();
    for n in 0..2000 {
        let now = at(2000 + n / 20 * 10);
        let seq = outbox.next_seq();
        outbox.push(Entry { body: vec![b'x'; 630], ..entry(seq, "a", Step::Raised, now) }, now);
        outbox.tick(at(2000 + n / 20 * 10 + n % 20 / 2));
        outbox.acknowledge(seq);
    }
    let burst = (fake.flash_bytes() - before) / 2000;
    println!("{alone} bytes per alert alone, {burst} in bursts");
    assert!(alone <= 5000 && burst <= 3000, "{alone} alone, {burst} in bursts");
}

/// What was promised after each step of a script.
struct Promise {
    acts: usize,
    visible: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    next: u64,
    open: BTreeSet<String>,
}

/// Pushes, ticks, acknowledges; tells after each step what must survive a cut from then on.
fn script(fake: &Fake, steps: u64) -> Vec<Promise> {
    let mut outbox = open(fake, 64 << 10, at(0));
    let mut promises = Vec::new();
    let mut settled = BTreeSet::new();
    for n in 1..=steps {
        let incident = format!("i{}", n / 5);
        let step = [Step::Raised, Step::Updated, Step::Updated, Step::Updated, Step::Cleared][n as usize % 5];
        push(&mut outbox, &incident, step, at(n / 2));
        outbox.tick(at(n / 2));
        let visible: BTreeSet<u64> = seqs(&mut outbox, at(n / 2)).into_iter().collect();
        if n % 3 == 0 {
            let seq = *visible.iter().nth(n as usize % visible.len()).unwrap();
            outbox.acknowledge(seq);
            settled.insert(seq);
        }
        let next = visible.last().map_or(1, |last| last + 1);
        // What is known to be on disk of them.
        let open = outbox.open_incidents().into_iter().filter(|entry| entry.seq < next).map(|e| e.incident).collect();
        promises.push(Promise { acts: fake.act_count(), visible, settled: settled.clone(), next, open });
    }
    promises
}

fn check_cut(fake: &Fake, promises: &[Promise], count: usize) -> Result<(), String> {
    let mut outbox = open(fake, 64 << 10, at(1000));
    let found: BTreeSet<u64> = seqs(&mut outbox, at(1000)).into_iter().collect();
    let kept = promises.iter().rev().find(|promise| promise.acts <= count);
    let going_on = promises.iter().find(|promise| promise.acts > count).or(promises.last());
    let Some((kept, going_on)) = kept.zip(going_on) else { return Ok(()) };
    let missing: Vec<_> = kept.visible.iter().filter(|s| !going_on.settled.contains(s) && !found.contains(s)).collect();
    if !missing.is_empty() {
        return Err(format!("lost {missing:?}"));
    }
    if outbox.next_seq() < kept.next {
        return Err(format!("numbers go back from {} to {}", kept.next, outbox.next_seq()));
    }
    let open: BTreeSet<String> = outbox.open_incidents().into_iter().map(|entry| entry.incident).collect();
    if !kept.open.intersection(&going_on.open).all(|incident| open.contains(incident)) {
        return Err(format!("open are {open:?} instead of {:?}", kept.open));
    }
    Ok(())
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_handed_out() {
    let fake = Fake::default();
    let promises = script(&fake, 160);
    let acts = fake.acts();
    let mut cuts = 0;
    for count in 0..=acts.len() {
        for part in [0, 1, 7, 60, usize::MAX] {
            for loss in [Loss::Nothing, Loss::Unsynced, Loss::TornSector] {
                cuts += 1;
                if let Err(what) = check_cut(&Fake::after_cut(&acts, count, part, loss), &promises, count) {
                    panic!("cut in act {count} of {} after {part} bytes, {loss:?}: {what}", acts.len());
                }
            }
        }
    }
    println!("{cuts} power cuts");
}

#[test]
fn every_prefix_of_the_last_write_is_survived() {
    let fake = Fake::default();
    let promises = script(&fake, 11);
    let acts = fake.acts();
    for count in acts.len().saturating_sub(4)..acts.len() {
        for part in 0..300 {
            let cut = Fake::after_cut(&acts, count, part, Loss::Nothing);
            assert_eq!(check_cut(&cut, &promises, count), Ok(()), "act {count}, {part} bytes");
        }
    }
}

#[test]
fn a_disk_that_fails_at_any_call_loses_nothing() {
    let calls = {
        let fake = Fake::default();
        failing_run(&fake, None);
        fake.calls()
    };
    for errno in [ENOSPC, EROFS, EIO] {
        for on in [false, true] {
            for call in 0..calls {
                let fake = Fake::default();
                failing_run(&fake, Some((call, on, errno)));
            }
        }
    }
}

/// 12 messages, the first ones acknowledged as they come. Whatever fails, each must be handed out, in memory or from
/// disk, and what was not acknowledged must be on the disk once it has healed.
fn failing_run(fake: &Fake, fail: Option<(u64, bool, i32)>) {
    if let Some((call, on, errno)) = fail {
        fake.fail(call, on, errno);
    }
    let Ok(mut outbox) = Outbox::open(&settings(64 << 10), Box::new(fake.storage()), boot(), at(0)) else {
        return;
    };
    // A disk that does not even say what there is has numbers begin above all that there may be.
    let first = outbox.next_seq();
    let mut acknowledged = BTreeSet::new();
    for n in 1..=12 {
        push(&mut outbox, "a", if n % 2 == 1 { Step::Raised } else { Step::Cleared }, at(n));
        outbox.tick(at(n));
        if n <= 8 {
            for seq in seqs(&mut outbox, at(n)) {
                outbox.acknowledge(seq);
                acknowledged.insert(seq);
            }
        }
    }
    assert!(acknowledged.len() >= 7, "{fail:?}: what the disk does not take is sent from memory");
    assert_eq!(outbox.counters(at(12)).dropped, 0, "{fail:?}");
    fake.heal();
    outbox.tick(at(60));
    outbox.rewound(at(60));
    outbox.tick(at(120));
    assert_eq!(outbox.trouble(), None, "{fail:?}");
    let rest: Vec<u64> = (first..first + 12).filter(|seq| !acknowledged.contains(seq)).collect();
    assert_eq!(seqs(&mut outbox, at(120)), rest, "{fail:?}");
    drop(outbox);
    let mut outbox = open(fake, 64 << 10, at(121));
    let found: BTreeSet<u64> = seqs(&mut outbox, at(121)).into_iter().collect();
    assert!(rest.iter().all(|seq| found.contains(seq)), "{fail:?}: {found:?}");
    assert_eq!(outbox.next_seq(), first + 12, "{fail:?}");
}

#[test]
fn a_full_disk_is_told_and_numbers_stay_unique() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 1 << 20, at(0));
    fake.set_room(Room { bytes: 10 << 20, inodes: 1 << 20 });
    outbox.tick(at(20));
    assert_eq!(outbox.trouble(), Some("only 10 MiB and 1048576 files left on the disk"));
    let seq = push(&mut outbox, "a", Step::Raised, at(21));
    assert_eq!(seqs(&mut outbox, at(21)), [seq], "sent from memory");
    outbox.acknowledge(seq);
    drop(outbox);
    // The machine went down without a trace of the message on disk.
    assert!(open(&fake, 1 << 20, at(22)).next_seq() > seq);
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    const EACCES: i32 = 13;
    let fake = Fake::default();
    fake.fail(0, true, EACCES);
    let result = Outbox::open(&settings(1 << 20), Box::new(fake.storage()), boot(), at(0));
    assert_eq!(result.err().map(|error| error.to_string()), Some("outbox folder outbox".to_owned()));
    fake.fail(2, true, EROFS);
    let outbox = open(&fake, 1 << 20, at(0));
    assert!(outbox.trouble().is_some(), "read-only: goes on in memory");
}

#[derive(Clone, Debug)]
enum Op {
    Push(u8, u8),
    Acknowledge(usize),
    Refuse(usize),
    Tick(u64),
    Reopen,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..6_u8, 0..3_u8).prop_map(|(incident, step)| Op::Push(incident, step)),
        4 => (0..40_usize).prop_map(Op::Acknowledge),
        1 => (0..40_usize).prop_map(Op::Refuse),
        3 => (0..90_u64).prop_map(Op::Tick),
        1 => Just(Op::Reopen),
        1 => Just(Op::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn behaves_like_the_model(ops in prop::collection::vec(op(), 1..150)) {
        let mut fake = Fake::default();
        let mut seconds = 0;
        let mut outbox = open(&fake, 64 << 10, at(seconds));
        // What must be there, what may come again after a crash, and what is open.
        let mut waiting: BTreeSet<u64> = BTreeSet::new();
        let mut again: BTreeSet<u64> = BTreeSet::new();
        let mut next = 1;
        for op in ops {
            match op {
                Op::Push(incident, step) => {
                    let step = [Step::Raised, Step::Updated, Step::Cleared][usize::from(step)];
                    prop_assert_eq!(push(&mut outbox, &format!("i{incident}"), step, at(seconds)), next);
                    waiting.insert(next);
                    next += 1;
                }
                Op::Acknowledge(nth) | Op::Refuse(nth) => {
                    if let Some(seq) = waiting.iter().nth(nth).copied() {
                        if matches!(op, Op::Refuse(_)) { outbox.refuse(seq) } else { outbox.acknowledge(seq) }
                        waiting.remove(&seq);
                        again.insert(seq);
                    }
                }
                Op::Tick(by) => {
                    seconds += by;
                    outbox.tick(at(seconds));
                }
                Op::Reopen => {
                    outbox.stop(at(seconds));
                    drop(outbox);
                    outbox = open(&fake, 64 << 10, at(seconds));
                }
                Op::Crash => {
                    let unsynced: Vec<u64> = outbox.unsynced.iter().map(|(seq, _)| *seq).collect();
                    drop(outbox);
                    fake = Fake::after_cut(&fake.acts_since_start(), usize::MAX, 0, Loss::Unsynced);
                    outbox = open(&fake, 64 << 10, at(seconds));
                    for seq in unsynced {
                        waiting.remove(&seq);
                        again.insert(seq);
                    }
                    next = outbox.next_seq();
                    prop_assert!(waiting.last().is_none_or(|last| next > *last));
                }
            }
            let found: BTreeSet<u64> = outbox.queue.keys().copied().collect();
            prop_assert!(found.is_superset(&waiting), "lost {:?}", waiting.difference(&found));
            prop_assert!(found.difference(&waiting).all(|seq| again.contains(seq)));
            let listed = seqs(&mut outbox, at(seconds));
            prop_assert!(listed.is_sorted());
        }
    }
}
