//! What waits to be sent and which incidents are open: the outbox's view of its records.

use super::log::{Log, Place};
use super::record::{Kind, Record};
use super::{Entry, Now, Outbox, Step};
use crate::ids::BootId;
use crate::time::{Mono, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a message is.
#[derive(Clone, Debug)]
pub enum Home {
    /// In the log.
    Disk(Place),
    /// Encoded, in memory.
    Memory(Vec<u8>),
}

impl Home {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Disk(place) => place.bytes(),
            Self::Memory(encoded) => encoded.len() as u64,
        }
    }
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Disk(place) => Some(*place),
            Self::Memory(_) => None,
        }
    }
}

/// A message that waits.
#[derive(Clone, Debug)]
pub struct Queued {
    pub home: Home,
    pub step: Step,
    pub incident: Arc<str>,
    /// From a former run.
    pub former: bool,
    /// Read to be sent in this run.
    pub offered: bool,
    /// The disk did not give it out.
    pub unreadable: bool,
    mono: Mono,
    wall: Wall,
    same_boot: bool,
}

impl Queued {
    /// A message of this run.
    pub fn new(entry: &Entry, home: Home, same_boot: bool) -> Self {
        Self {
            home,
            step: entry.step,
            incident: entry.incident.as_str().into(),
            former: false,
            offered: false,
            unreadable: false,
            mono: entry.made.mono,
            wall: entry.made.wall,
            same_boot,
        }
    }

    /// Time since it was made, as far as it can be known: within one boot from its clock; over boots from the wall
    /// clock where both times can be trusted; else at least as long as the machine runs.
    pub fn age(&self, now: Now) -> Duration {
        if self.same_boot {
            now.mono.since(self.mono)
        } else if self.wall.synced && now.wall.synced {
            Duration::from_millis(u64::try_from(now.wall.unix_ms.saturating_sub(self.wall.unix_ms)).unwrap_or(0))
        } else {
            now.mono.since(Mono::default())
        }
    }
}

/// An incident that was raised and not cleared.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its newest step.
    pub entry: Entry,
    /// Where that lies, if on disk.
    pub place: Option<Place>,
}

/// Takes in one record of a former run.
pub fn replay(
    queue: &mut BTreeMap<u64, Queued>,
    open: &mut BTreeMap<String, Open>,
    log: &mut Log,
    place: Place,
    record: &Record,
    boot: &BootId,
) {
    let entry = &record.entry;
    match record.kind {
        Kind::Dropped => {
            for seq in record.numbers() {
                remove(queue, log, seq);
            }
            return;
        }
        Kind::Kept => return note_open(open, entry, Some(place)),
        Kind::Moved if entry.step != Step::Cleared => {}
        Kind::Moved | Kind::Message => note_open(open, entry, Some(place)),
    }
    // A message that was written again counts where it lies now.
    remove(queue, log, entry.seq);
    log.hold(place);
    let queued = Queued::new(entry, Home::Disk(place), entry.made.boot == *boot);
    queue.insert(entry.seq, Queued { former: true, ..queued });
}

fn remove(queue: &mut BTreeMap<u64, Queued>, log: &mut Log, seq: u64) -> bool {
    let Some(queued) = queue.remove(&seq) else { return false };
    if let Home::Disk(place) = queued.home {
        log.release(place);
    }
    true
}

fn note_open(open: &mut BTreeMap<String, Open>, entry: &Entry, place: Option<Place>) {
    if entry.step == Step::Cleared {
        open.remove(&entry.incident);
    } else if open.get(&entry.incident).is_none_or(|known| known.entry.seq <= entry.seq) {
        open.insert(entry.incident.clone(), Open { entry: entry.clone(), place });
    }
}

impl Outbox {
    pub(super) fn note_open(&mut self, entry: &Entry, place: Option<Place>) {
        note_open(&mut self.open, entry, place);
    }

    /// Takes a message out of the queue; whether it was there.
    pub(super) fn forget(&mut self, seq: u64) -> bool {
        remove(&mut self.queue, &mut self.log, seq)
    }

    /// Takes out what is too old to be of use.
    pub(super) fn expire(&mut self, now: Now) {
        let old: Vec<u64> =
            self.queue.iter().filter(|(_, queued)| queued.age(now) > self.age_max).map(|(seq, _)| *seq).collect();
        for seq in old {
            self.forget(seq);
            self.expired += 1;
            self.cursor_due += 1;
        }
    }
}
