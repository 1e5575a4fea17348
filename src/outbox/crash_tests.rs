//! Power cuts at every boundary of every write, in the states in which a disk may be left, over runs that were killed;
//! and disks whose n-th call fails, for every n.
//!
//! The model of the disk: a sector of 512 bytes is written or not, and one perhaps in part; of what no sync covered any
//! sector may be there or not; names appear and vanish in order, as journals of file systems have it, and are there for
//! sure once the folder was synced.

use super::fake::{Act, Fake};
use super::tests::{EIO, ENOSPC, EROFS, all, at, boot, entry, open, seqs, settings};
use super::*;
use std::collections::BTreeSet;

const SECTOR: usize = 512;

/// xorshift64 (Marsaglia 2003), below `most`.
fn random(state: &mut u64, most: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize % most.max(1)
}

/// What becomes of what no sync covered.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Written,
    Lost,
    /// Any sector and any name for itself.
    Mixed,
}

/// A folder as programs see it, and what of it is sure. No name is ever used for a second file.
#[derive(Clone, Default)]
struct Platter {
    contents: BTreeMap<String, Vec<u8>>,
    safe: BTreeMap<String, Vec<u8>>,
    named: BTreeSet<String>,
    /// Names made (`true`) and removed since the folder was synced.
    renamed: Vec<(String, bool)>,
}

impl Platter {
    fn exists(&self, name: &str) -> bool {
        let last = self.renamed.iter().rev().find(|(other, _)| other == name);
        last.map_or(self.named.contains(name), |(_, made)| *made)
    }

    fn write(&mut self, name: &str, at: Option<usize>, bytes: &[u8]) {
        if !self.exists(name) {
            self.renamed.push((name.to_owned(), true));
        }
        let content = self.contents.entry(name.to_owned()).or_default();
        let at = at.unwrap_or(content.len());
        content.resize(content.len().max(at + bytes.len()), 0);
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn apply(&mut self, act: &Act) {
        match act {
            Act::Append(name, bytes) => self.write(name, None, bytes),
            Act::Overwrite(name, at, bytes) => self.write(name, Some(*at), bytes),
            Act::Remove(name) => self.renamed.push((name.clone(), false)),
            Act::Sync(name) => {
                self.safe.insert(name.clone(), self.contents.get(name).cloned().unwrap_or_default());
                if self.renamed.iter().any(|(new, made)| *made && new == name) {
                    let all = self.renamed.len();
                    self.named = self.names(all);
                    self.renamed.clear();
                }
            }
        }
    }

    /// The names when so many changes of them came to the disk.
    fn names(&self, changes: usize) -> BTreeSet<String> {
        let mut names = self.named.clone();
        for (name, made) in &self.renamed[..changes] {
            if *made {
                names.insert(name.clone())
            } else {
                names.remove(name)
            };
        }
        names
    }

    /// What the next start finds.
    fn cut(&self, fate: Fate, chance: &mut u64) -> BTreeMap<String, Vec<u8>> {
        let changes = match fate {
            Fate::Written => self.renamed.len(),
            Fate::Lost => 0,
            Fate::Mixed => random(chance, self.renamed.len() + 1),
        };
        let content = |name: String| {
            let new = self.contents.get(&name).map(Vec::as_slice).unwrap_or_default();
            let old = self.safe.get(&name).map(Vec::as_slice).unwrap_or_default();
            let found = match fate {
                Fate::Written => new.to_vec(),
                Fate::Lost => old.to_vec(),
                Fate::Mixed => mix(old, new, chance),
            };
            (name, found)
        };
        self.names(changes).into_iter().map(content).collect()
    }
}

/// Some sectors new, the others as they were (zeros where there were none), one perhaps torn.
fn mix(old: &[u8], new: &[u8], chance: &mut u64) -> Vec<u8> {
    let length = old.len() + random(chance, new.len() - old.len() + 1);
    let mut mixed = old.to_vec();
    mixed.resize(length, 0);
    for from in (0..length).step_by(SECTOR) {
        let whole = SECTOR.min(length - from);
        let written = [0, whole, whole, random(chance, whole)][random(chance, 4)];
        mixed[from..from + written].copy_from_slice(&new[from..from + written]);
    }
    mixed
}

/// What must hold from a certain act on.
struct Promise {
    acts: usize,
    /// Handed out and not settled.
    owed: BTreeSet<u64>,
    /// Handed out and since acknowledged, refused or given up.
    settled: BTreeSet<u64>,
    next: u64,
    open: BTreeSet<String>,
}

/// A life of an outbox.
struct Life {
    fake: Fake,
    pushed: BTreeMap<u64, Entry>,
    handed: BTreeSet<u64>,
    promises: Vec<Promise>,
}

impl Life {
    fn promise(&mut self, outbox: &mut Outbox, now: Now) {
        let owed: BTreeSet<u64> = seqs(outbox, now).into_iter().collect();
        self.handed.extend(&owed);
        let next = self.handed.last().map_or(1, |last| last + 1);
        let open = outbox.open_incidents().into_iter().filter(|entry| entry.seq < next).map(|e| e.incident).collect();
        let settled = self.handed.iter().copied().filter(|seq| !outbox.queue.contains_key(seq)).collect();
        self.promises.push(Promise { acts: self.fake.act_count(), owed, settled, next, open });
    }

    /// Bursts, acknowledgements out of order, refusals, lack of room, and kills in between.
    fn new(seed: u64, steps: u64, bytes_max: u64) -> Self {
        let mut chance = seed;
        let fake = Fake::default();
        let mut outbox = open(&fake, bytes_max, at(0));
        let (pushed, handed) = (BTreeMap::new(), BTreeSet::new());
        let mut life = Self { fake, pushed, handed, promises: Vec::new() };
        for n in 0..steps {
            let now = at(n / 3);
            let step = [Step::Raised, Step::Updated, Step::Updated, Step::Updated, Step::Cleared][n as usize % 5];
            let seq = outbox.next_seq();
            let pad = "x".repeat(random(&mut chance, 900));
            let body = format!("{{\"seq\":{seq},\"pad\":\"{pad}\"}}").into_bytes();
            let message = Entry { body, ..entry(seq, &format!("i{}", n / 5), step, now) };
            life.pushed.insert(seq, message.clone());
            outbox.push(message, now);
            outbox.tick(now);
            life.promise(&mut outbox, now);
            for _ in 0..random(&mut chance, 3) {
                let waiting: Vec<u64> = seqs(&mut outbox, now);
                let Some(seq) = waiting.get(random(&mut chance, waiting.len())) else { break };
                if random(&mut chance, 20) == 0 { outbox.refuse(*seq) } else { outbox.acknowledge(*seq) }
            }
            life.promise(&mut outbox, now);
            if random(&mut chance, 25) == 0 {
                drop(outbox);
                outbox = open(&life.fake, bytes_max, now);
                life.promise(&mut outbox, now);
            }
        }
        life
    }

    /// Opens what a cut in act `count` left and looks for what was promised.
    fn check(&self, fake: &Fake, count: usize, bytes_max: u64) -> Result<(), String> {
        let mut outbox = open(fake, bytes_max, at(5000));
        let found = all(&mut outbox, at(5000));
        for Outgoing { entry, .. } in &found {
            let pushed = &self.pushed[&entry.seq];
            let mut body = pushed.body.clone();
            splice_replayed(&mut body);
            if *entry != (Entry { body, ..pushed.clone() }) {
                return Err(format!("message {} is not what it was", entry.seq));
            }
        }
        let found: Vec<u64> = found.iter().map(|outgoing| outgoing.entry.seq).collect();
        if !found.is_sorted_by(|a, b| a < b) {
            return Err(format!("out of order: {found:?}"));
        }
        let kept = self.promises.iter().rev().find(|promise| promise.acts <= count);
        let going_on = self.promises.iter().find(|promise| promise.acts > count).or(self.promises.last());
        let Some((kept, going_on)) = kept.zip(going_on) else { return Ok(()) };
        let lost: Vec<_> = kept.owed.iter().filter(|s| !going_on.settled.contains(s) && !found.contains(s)).collect();
        if !lost.is_empty() {
            return Err(format!("lost {lost:?}"));
        }
        if outbox.next_seq() < kept.next {
            return Err(format!("number {} again after {}", outbox.next_seq(), kept.next - 1));
        }
        let open: BTreeSet<String> = outbox.open_incidents().into_iter().map(|entry| entry.incident).collect();
        let missing: Vec<_> = kept.open.intersection(&going_on.open).filter(|id| !open.contains(*id)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no longer open: {missing:?}")) }
    }
}

/// After a cut: another start, some new messages, and a cut in each of its acts. What was there once stays.
fn check_second_cut(fake: &Fake, bytes_max: u64, chance: &mut u64) {
    let before: Vec<u64> = seqs(&mut open(&Fake::holding(fake.files()), bytes_max, at(5000)), at(5000));
    let fake = Fake::holding(fake.files());
    let mut outbox = open(&fake, bytes_max, at(5000));
    let next = outbox.next_seq();
    for n in 0..3 {
        outbox.push(entry(next + n, "second", Step::Raised, at(5000 + n)), at(5000 + n));
        outbox.tick(at(5000 + n));
    }
    // Pressure may have thrown out some.
    let owed: Vec<u64> = before.iter().copied().filter(|seq| outbox.queue.contains_key(seq)).collect();
    let acts = fake.acts_since_start();
    let first = acts.len() - fake.act_count();
    let mut platter = Platter::default();
    acts[..first].iter().for_each(|act| platter.apply(act));
    for (count, act) in acts[first..].iter().enumerate() {
        for fate in [Fate::Written, Fate::Lost, Fate::Mixed] {
            let mut outbox = open(&Fake::holding(platter.cut(fate, chance)), bytes_max, at(6000));
            let found = seqs(&mut outbox, at(6000));
            assert!(owed.iter().all(|seq| found.contains(seq)), "second cut in act {count}, {fate:?}");
            assert!(before.last().is_none_or(|last| outbox.next_seq() > *last), "second cut in act {count}, {fate:?}");
        }
        platter.apply(act);
    }
}

/// Where a write may stop: before each sector that it touches, in the first byte, and at its end.
fn stops(platter: &Platter, act: &Act) -> Vec<Act> {
    let (from, bytes) = match act {
        Act::Append(name, bytes) => (platter.contents.get(name).map_or(0, Vec::len), bytes),
        Act::Overwrite(_, at, bytes) => (*at, bytes),
        Act::Sync(_) | Act::Remove(_) => return Vec::new(),
    };
    let sectors = (1..bytes.len()).filter(|n| (from + n).is_multiple_of(SECTOR));
    let parts = [0, 1].into_iter().chain(sectors).chain([bytes.len()]);
    let part = |n: usize| match act {
        Act::Overwrite(name, at, bytes) => Act::Overwrite(name.clone(), *at, bytes[..n].to_vec()),
        Act::Append(name, bytes) => Act::Append(name.clone(), bytes[..n].to_vec()),
        other => other.clone(),
    };
    parts.map(part).collect()
}

/// Cuts the power everywhere in one life; returns how often.
fn power_cuts(seed: u64, steps: u64, bytes_max: u64) -> u64 {
    let life = Life::new(seed, steps, bytes_max);
    let acts = life.fake.acts();
    let mut chance = seed;
    let mut platter = Platter::default();
    let mut cuts = 0;
    for (count, act) in acts.iter().enumerate() {
        let mut left = vec![platter.clone()];
        for part in stops(&platter, act) {
            let mut torn = platter.clone();
            torn.apply(&part);
            left.push(torn);
        }
        for (stop, platter) in left.iter().enumerate() {
            for fate in [Fate::Written, Fate::Lost, Fate::Mixed, Fate::Mixed] {
                let files = platter.cut(fate, &mut chance);
                if let Err(what) = life.check(&Fake::holding(files.clone()), count, bytes_max) {
                    panic!("seed {seed}, cut in act {count} of {} at stop {stop}, {fate:?}: {what}", acts.len());
                }
                cuts += 1;
                if cuts % 97 == 0 {
                    check_second_cut(&Fake::holding(files), bytes_max, &mut chance);
                }
            }
        }
        platter.apply(act);
    }
    cuts
}

#[test]
fn no_power_cut_loses_what_was_handed_out() {
    // With room for all, and with so little that messages are given up and moved.
    let cuts = power_cuts(1, 100, 1 << 20) + power_cuts(2, 130, 32 << 10);
    println!("{cuts} power cuts");
    assert!(cuts > 5000, "{cuts}");
}

#[test]
#[ignore = "minutes: `make chaos`"]
fn no_power_cut_loses_what_was_handed_out_for_many_seeds() {
    let cuts: u64 = (10..40).map(|seed| power_cuts(seed, 200, if seed % 2 == 0 { 1 << 20 } else { 32 << 10 })).sum();
    println!("{cuts} power cuts");
}

/// Opens what a former run left, with call `fail.0` failing (`fail.1`: and all later ones), sends, goes on, heals.
fn reopened(files: &BTreeMap<String, Vec<u8>>, waiting: &BTreeSet<u64>, fail: Option<(u64, bool, i32)>) -> u64 {
    let fake = Fake::holding(files.clone());
    if let Some((call, on, errno)) = fail {
        fake.fail(call, on, errno);
    }
    let mut used = waiting.clone();
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    {
        let opened = Outbox::open(&settings(64 << 10), Box::new(fake.storage()), boot(), at(100));
        let mut outbox = opened.unwrap_or_else(|error| panic!("{fail:?}: a disk that fails is no end: {error}"));
        let seq = outbox.next_seq();
        assert!(!used.contains(&seq), "{fail:?}: number {seq} again");
        outbox.push(entry(seq, "new", Step::Raised, at(100)), at(100));
        outbox.tick(at(101));
        let sent = seqs(&mut outbox, at(101));
        sent.iter().take(3).for_each(|seq| outbox.acknowledge(*seq));
        acknowledged.extend(&sent[..sent.len().min(3)]);
        used.insert(seq);
        outbox.tick(at(110));
        fake.heal();
        outbox.tick(at(160));
        outbox.rewound(at(160));
        outbox.tick(at(220));
        assert_eq!(outbox.trouble(), None, "{fail:?}");
        outbox.stop(at(221));
    }
    fake.heal();
    let calls = fake.calls();
    let mut outbox = open(&fake, 64 << 10, at(230));
    let found: BTreeSet<u64> = seqs(&mut outbox, at(230)).into_iter().collect();
    let lost: Vec<_> = used.iter().filter(|seq| !acknowledged.contains(seq) && !found.contains(seq)).collect();
    assert!(lost.is_empty(), "{fail:?}: lost {lost:?}");
    assert!(used.last().is_none_or(|last| outbox.next_seq() > *last), "{fail:?}");
    calls
}

#[test]
fn a_disk_that_fails_at_any_call_of_a_start_loses_nothing() {
    let fake = Fake::default();
    let mut outbox = open(&fake, 64 << 10, at(0));
    for n in 0..60 {
        let seq = outbox.next_seq();
        outbox.push(Entry { body: vec![b'x'; 500], ..entry(seq, &format!("i{n}"), Step::Raised, at(n)) }, at(n));
        outbox.tick(at(n));
        if n < 20 {
            outbox.acknowledge(seq);
        }
    }
    let waiting: BTreeSet<u64> = seqs(&mut outbox, at(60)).into_iter().collect();
    drop(outbox);
    let files = fake.files();
    assert!(files.len() > 5 && waiting.len() == 40, "several segments");
    let calls = reopened(&files, &waiting, None);
    for errno in [ENOSPC, EROFS, EIO] {
        for on in [false, true] {
            for call in 0..calls {
                reopened(&files, &waiting, Some((call, on, errno)));
            }
        }
    }
}
