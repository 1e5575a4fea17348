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
