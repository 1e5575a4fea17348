//! The folder of the outbox, as a failing disk or a stranger may have left it.

use crate::fuzz;
use crate::mutate::{Chance, mutate, repair};
use picket::ids::BootId;
use picket::outbox::{Entry, Now, Outbox, Room, Settings, Step, Storage};
use picket::time::{Mono, Wall};
use picket::wire::Made;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes in front of the first record of a segment.
const SEGMENT_HEAD: usize = 8;

/// A folder in memory.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Storage for Memory {
    fn open(&mut self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().expect("not poisoned").keys().cloned().collect())
    }
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.0.lock().expect("not poisoned").get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn read_at(&mut self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = self.read(name)?;
        let from = offset as usize;
        file.get(from..from + length).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().expect("not poisoned").entry(name.to_owned()).or_default().extend(bytes);
        Ok(())
    }
    fn overwrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.0.lock().expect("not poisoned");
        let file = files.entry(name.to_owned()).or_default();
        let from = offset as usize;
        file.resize(file.len().max(from + bytes.len()), 0);
        file[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self, _name: &str) -> io::Result<()> {
        Ok(())
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.lock().expect("not poisoned").remove(name);
        Ok(())
    }
    fn room(&mut self) -> io::Result<Room> {
        Ok(Room { bytes: 1 << 40, inodes: 1 << 20 })
    }
}

pub fn at(seconds: u64) -> Now {
    let wall = Wall { unix_ms: 1_700_000_000_000 + seconds as i64 * 1000, synced: true };
    Now { mono: Mono(seconds * 1_000_000_000), wall }
}

pub fn open(memory: &Memory, now: Now) -> Outbox {
    let settings = Settings { folder: "outbox".into(), bytes_max: 64 << 10, age_max: Duration::from_secs(7 * 86_400) };
    Outbox::open(&settings, Box::new(memory.clone()), BootId::from_kernel("0badcafe"), now).expect("a folder in memory")
}

pub fn push(outbox: &mut Outbox, step: Step, now: Now) {
    let seq = outbox.next_seq();
    let made = Made { wall: now.wall, mono: now.mono, boot: BootId::from_kernel("0badcafe") };
    let body = format!("{{\"seq\":{seq}}}").into_bytes();
    let incident = format!("i{}", seq / 3);
    outbox.push(Entry { seq, incident, step, topic: "picket/1/pk/src/a/event".to_owned(), made, body }, now);
}

fn drain(outbox: &mut Outbox, now: Now) -> Vec<u64> {
    let (mut last, mut found) = (0, Vec::new());
    while let Some(outgoing) = outbox.after(last, now) {
        assert!(outgoing.entry.seq > last, "in order");
        last = outgoing.entry.seq;
        found.push(last);
        assert!(found.len() < 100_000, "an end");
    }
    found
}

/// Three files: a segment with all kinds of records, another one, and the cursor.
fn good() -> [Vec<u8>; 3] {
    let memory = Memory::default();
    for run in 0..2 {
        let mut outbox = open(&memory, at(run * 100));
        for n in 0..24 {
            let now = at(run * 100 + n);
            push(&mut outbox, [Step::Raised, Step::Updated, Step::Cleared][n as usize % 3], now);
            outbox.tick(now);
            if n % 5 == 0 {
                let seq = drain(&mut outbox, now)[0];
                outbox.acknowledge(seq);
            }
        }
    }
    let files = memory.0.lock().expect("not poisoned");
    let mut logs = files.iter().filter(|(name, _)| name.starts_with("log-")).map(|(_, bytes)| bytes.clone());
    [logs.next().expect("a segment"), logs.next().expect("another"), files["cursor"].clone()]
}

#[test]
fn records() {
    let good = good();
    // The kind of file first, then its content.
    let make = |chance: &mut Chance| {
        let which = chance.below(3);
        let mut bytes = mutate(&good[which], &[b"picket1\n", b"pkc1", &[4, 2, 1]], chance);
        if which < 2 && chance.below(4) > 0 {
            repair(&mut bytes, SEGMENT_HEAD);
        }
        bytes.insert(0, which as u8);
        bytes
    };
    fuzz("outbox", 4000, make, |input| {
        let Some((which, bytes)) = input.split_first() else { return };
        let mut files = good.clone();
        files[usize::from(*which)] = bytes.to_vec();
        let [first, second, cursor] = files;
        let named = [("log-0000000000000001", first), ("log-0000000000000002", second), ("cursor", cursor)];
        let memory = Memory::default();
        *memory.0.lock().expect("not poisoned") =
            named.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        let mut outbox = open(&memory, at(300));
        outbox.open_incidents();
        let found = drain(&mut outbox, at(300));
        found.iter().step_by(2).for_each(|seq| outbox.acknowledge(*seq));
        let next = outbox.next_seq();
        for n in 0..20 {
            push(&mut outbox, Step::Raised, at(300 + n));
            outbox.tick(at(300 + n));
        }
        outbox.counters(at(330));
        drop(outbox);
        // What was pushed is there at the next start, and no number comes twice.
        let mut outbox = open(&memory, at(400));
        let found = drain(&mut outbox, at(400));
        assert!((next..next + 20).all(|seq| found.contains(&seq)), "{next}: {found:?}");
        assert!(outbox.next_seq() >= next + 20);
    });
}
