//! What gives way when there is no room.

use super::tests::{EROFS, Fake, all, at, open, push, seqs};
use super::*;
use std::collections::BTreeSet;

#[test]
fn the_memory_ring_is_bounded() {
    let fake = Fake::default();
    fake.fail(2, true, EROFS);
    let mut outbox = open(&fake, 16 << 20, at(0));
    for n in 0..12_000 {
        let step = [Step::Raised, Step::Updated, Step::Cleared][n as usize % 3];
        push(&mut outbox, &format!("i{}", n / 3), step, at(1));
    }
    let counters = outbox.counters(at(1));
    assert!(counters.bytes <= 1 << 20, "{counters:?}");
    assert_eq!(counters.waiting + counters.dropped, 12_000);
    no_raised_without_cleared(&mut outbox, 4000);
}

fn no_raised_without_cleared(outbox: &mut Outbox, incidents: u64) {
    let steps = all(outbox, at(2));
    let of = |step| -> BTreeSet<String> {
        steps.iter().filter(|o| o.entry.step == step).map(|o| o.entry.incident.clone()).collect()
    };
    let (raised, cleared) = (of(Step::Raised), of(Step::Cleared));
    let last = format!("i{}", incidents - 1);
    let alone: Vec<_> = raised.difference(&cleared).filter(|incident| **incident != last).collect();
    assert!(alone.is_empty(), "{alone:?}");
    assert!(!raised.is_empty());
}

#[test]
fn when_full_updates_go_first_then_whole_incidents() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    push(&mut outbox, "never ends", Step::Raised, at(0));
    for n in 0..600 {
        for step in [Step::Raised, Step::Updated, Step::Updated, Step::Cleared] {
            push(&mut outbox, &format!("i{n}"), step, at(1 + n));
        }
        outbox.tick(at(1 + n));
        assert!(fake.bytes() <= (64 << 10) + 8192, "{n}: {}", fake.bytes());
        assert_eq!(outbox.trouble(), None);
    }
    outbox.tick(at(700));
    let counters = outbox.counters(at(1));
    assert_eq!(counters.waiting + counters.dropped, 2401);
    drop(outbox);
    let mut outbox = open(&fake, 64 << 10, at(701));
    assert_eq!(outbox.counters(at(1)).waiting, counters.waiting, "what was dropped stays dropped");
    let first = all(&mut outbox, at(701)).remove(0).entry;
    assert_eq!((first.incident.as_str(), first.step), ("never ends", Step::Raised));
    outbox.acknowledge(first.seq);
    no_raised_without_cleared(&mut outbox, 600);
    assert_eq!(outbox.open_incidents().len(), 1);
}

#[test]
fn an_end_is_kept_when_its_beginning_may_be_known() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    push(&mut outbox, "sent", Step::Raised, at(0));
    assert_eq!(seqs(&mut outbox, at(0)), [1], "on its way, not acknowledged");
    push(&mut outbox, "sent", Step::Cleared, at(0));
    for n in 0..400 {
        push(&mut outbox, &format!("i{n}"), Step::Raised, at(1 + n));
        push(&mut outbox, &format!("i{n}"), Step::Cleared, at(1 + n));
        outbox.tick(at(1 + n));
    }
    let first = all(&mut outbox, at(500)).remove(0).entry;
    assert_eq!((first.incident.as_str(), first.step), ("sent", Step::Cleared));
}

#[test]
fn what_moves_back_to_the_disk_stays_there() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    fake.set_room(Room { bytes: 1 << 20, inodes: 1000 });
    outbox.tick(at(20));
    assert!(outbox.trouble().is_some());
    for n in 0..1000 {
        push(&mut outbox, &format!("i{n}"), Step::Raised, at(21));
        push(&mut outbox, &format!("i{n}"), Step::Cleared, at(21));
    }
    fake.set_room(Room { bytes: 1 << 40, inodes: 1 << 20 });
    outbox.tick(at(60));
    assert_eq!(outbox.trouble(), None);
    let counters = outbox.counters(at(60));
    assert!(counters.waiting > 100, "{counters:?}");
    assert_eq!(counters.waiting + counters.dropped, 2000);
    assert_eq!(all(&mut outbox, at(60)).len() as u64, counters.waiting, "each can be read");
    drop(outbox);
    let mut outbox = open(&fake, 64 << 10, at(70));
    assert_eq!(all(&mut outbox, at(70)).len() as u64, counters.waiting, "and by the next run");
}

#[test]
fn a_move_that_fails_half_way_loses_nothing() {
    for failing in 1..60 {
        let fake = Fake::default();
        let mut outbox = open(&fake, 64 << 10, at(0));
        fake.set_room(Room { bytes: 1 << 20, inodes: 1000 });
        outbox.tick(at(20));
        for n in 0..40 {
            push(&mut outbox, &format!("i{n}"), Step::Raised, at(21));
        }
        fake.set_room(Room { bytes: 1 << 40, inodes: 1 << 20 });
        fake.fail(failing, true, EROFS);
        outbox.tick(at(60));
        assert_eq!(all(&mut outbox, at(60)).len(), 40, "call {failing}");
        fake.heal();
        outbox.tick(at(100));
        assert_eq!(outbox.trouble(), None);
        drop(outbox);
        assert_eq!(all(&mut open(&fake, 64 << 10, at(110)), at(110)).len(), 40, "call {failing}");
    }
}

#[test]
fn room_is_made_of_what_is_settled_before_the_disk_counts_as_full() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    for n in 0..200 {
        push(&mut outbox, &format!("i{n}"), Step::Raised, at(1));
        push(&mut outbox, &format!("i{n}"), Step::Cleared, at(1));
    }
    outbox.tick(at(3));
    for seq in seqs(&mut outbox, at(3)) {
        outbox.acknowledge(seq);
    }
    let before = fake.bytes();
    fake.set_room(Room { bytes: 1 << 20, inodes: 1000 });
    outbox.tick(at(20));
    assert!(outbox.trouble().is_some());
    outbox.tick(at(60));
    assert!(fake.bytes() < before / 4, "{} of {before}", fake.bytes());
    drop(outbox);
    assert_eq!(open(&fake, 64 << 10, at(70)).counters(at(70)).waiting, 0, "acknowledged is not sent again");
}

#[test]
fn room_that_is_made_for_a_message_does_not_settle_it() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    for n in 0..2000 {
        push(&mut outbox, &format!("i{n}"), Step::Raised, at(2 * n));
        push(&mut outbox, &format!("i{n}"), Step::Cleared, at(2 * n));
        outbox.sync(at(2 * n + 1));
        let mut again = open(&fake, 64 << 10, at(2 * n + 1));
        let waiting = all(&mut again, at(2 * n + 1));
        assert_eq!(waiting.last().map(|o| o.entry.seq), Some(outbox.next_seq() - 1), "message {n}");
        drop(again);
        outbox = open(&fake, 64 << 10, at(2 * n + 1));
        for seq in seqs(&mut outbox, at(2 * n + 1)) {
            outbox.acknowledge(seq);
        }
    }
}
