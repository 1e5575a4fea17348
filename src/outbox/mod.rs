//! Messages that must not be lost: an append log on disk, in order, until the broker has acknowledged them.
//!
//! A message is handed out only after it is on disk. Where the disk is read-only, full or failing, a small ring in
//! memory takes over, and [`Outbox::trouble`] says so. Disk calls are made where they are asked for, on the control
//! loop: one fdatasync per second at most (a few milliseconds on flash) keeps "on disk before sent" plain to see,
//! frames are judged on other threads, and a disk that hangs for longer is a case for the watchdog.

mod cursor;
mod durable;
mod log;
mod pressure;
mod queue;
mod record;
mod storage;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod pressure_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use storage::{Disk, Room, Storage};

use crate::ids::BootId;
use crate::time::{Mono, Wall};
use crate::wire::Made;
use cursor::Cursor;
use log::Log;
use queue::{Home, Open, Queued};
use record::{Kind, Record};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Segments are removed whole: large enough to be few, small enough to give room back early.
const SEGMENT_BYTES: u64 = 256 * 1024;
/// A burst shares one fdatasync within this time (research: 4.8 kB written per record alone, 0.9 kB in twenties).
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// The cursor is written at most this often: a crash sends again what was acknowledged since, and writing more often
/// would wear the flash.
const CURSOR_EVERY: Duration = Duration::from_secs(5);
/// A few acknowledgements are not worth a write of their own: the next record carries them.
const CURSOR_LAZILY: Duration = Duration::from_secs(600);
/// So many are.
const CURSOR_ACKS: u64 = 64;
/// How often a disk that failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(30);
/// How often age and free space are looked at.
const SURVEY_EVERY: Duration = Duration::from_secs(10);
/// Left to the rest of the machine.
const HEADROOM: Room = Room { bytes: 64 << 20, inodes: 100 };
/// What is sent later than this after it was made says so.
const REPLAYED_AFTER: Duration = Duration::from_secs(60);
/// Numbers set aside when the log cannot tell any more which ones were used; more than a segment has room for.
const RESERVE: u64 = 4096;
/// The same when no segment could be seen: more than all that the largest outbox has room for.
const RESERVE_ALL: u64 = 1 << 17;

/// Where the outbox lives and how much it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its folder; made when it is missing.
    pub folder: PathBuf,
    /// Most bytes on disk.
    pub bytes_max: u64,
    /// Oldest message that is still sent.
    pub age_max: Duration,
}

/// Which step of an incident a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It began.
    Raised,
    /// It changed.
    Updated,
    /// It ended.
    Cleared,
}

/// One message for the outbox. Its body carries the sequence number that [`Outbox`] gave out for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number, +1 for each entry of the device.
    pub seq: u64,
    /// Which incident.
    pub incident: String,
    /// Which step.
    pub step: Step,
    /// Where to.
    pub topic: String,
    /// When and in which boot it was made.
    pub made: Made,
    /// JSON object.
    pub body: Vec<u8>,
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Time since the machine started.
    pub mono: Mono,
    /// Wall clock.
    pub wall: Wall,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message; its body already says `replayed` where that is due.
    pub entry: Entry,
    /// How long the message may still be of use.
    pub fresh_for: Duration,
}

/// Why there can be no outbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made, read, locked or written.
    #[error("outbox folder {}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the outbox holds and what it had to give up since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that wait.
    pub waiting: u64,
    /// Bytes of the messages that wait.
    pub bytes: u64,
    /// Age of the oldest.
    pub oldest: Option<Duration>,
    /// Dropped to make room, or unreadable.
    pub dropped: u64,
    /// Older than the greatest age.
    pub expired: u64,
    /// Refused by the broker for good.
    pub refused: u64,
}

#[derive(Clone, Debug)]
struct Trouble {
    reason: String,
    retry_at: Mono,
}

/// The messages of one device.
pub struct Outbox {
    log: Log,
    cursor: Cursor,
    /// What would be lost with the cursor as it is on disk: acknowledgements count 1, what cannot wait [`CURSOR_ACKS`].
    cursor_due: u64,
    cursor_at: Option<Mono>,
    boot: BootId,
    bytes_max: u64,
    segment_bytes: u64,
    age_max: Duration,
    next: u64,
    /// Numbers below may have been used although the log does not show it.
    reserved: u64,
    /// Nothing from here on may count as settled on disk: it may lie in a segment that could not be read.
    settled_max: u64,
    queue: BTreeMap<u64, Queued>,
    open: BTreeMap<String, Open>,
    /// Appended but perhaps not on disk yet, with a copy in case the disk fails.
    unsynced: Vec<(u64, Vec<u8>)>,
    synced_at: Option<Mono>,
    surveyed_at: Option<Mono>,
    trouble: Option<Trouble>,
    /// When messages that could not be read are tried again.
    reread_at: Option<Mono>,
    dropped: u64,
    expired: u64,
    refused: u64,
}

impl Outbox {
    /// Opens the outbox and finds what a former run left. A disk that is full, read-only or failing is no error: what it
    /// gives out counts, what it does not waits for the next start; see [`Outbox::trouble`].
    pub fn open(settings: &Settings, storage: Box<dyn Storage>, boot: BootId, now: Now) -> Result<Self, Error> {
        // Small limits are for tests: enough segments to have something to remove.
        let segment_bytes = SEGMENT_BYTES.min(settings.bytes_max / 16);
        let mut outbox = Self {
            log: Log::new(storage, segment_bytes),
            cursor: Cursor::default(),
            cursor_due: 0,
            cursor_at: None,
            boot,
            bytes_max: settings.bytes_max,
            segment_bytes,
            age_max: settings.age_max,
            next: 1,
            reserved: 0,
            settled_max: u64::MAX,
            queue: BTreeMap::new(),
            open: BTreeMap::new(),
            unsynced: Vec::new(),
            synced_at: None,
            surveyed_at: None,
            trouble: None,
            reread_at: None,
            dropped: 0,
            expired: 0,
            refused: 0,
        };
        let unusable = |source| Error::Folder { folder: settings.folder.clone(), source };
        match outbox.load(now) {
            Ok(None) => {}
            Ok(Some(trouble)) => {
                outbox.degrade(&trouble.to_string(), now);
                return Ok(outbox);
            }
            Err(error) => return Err(unusable(error)),
        }
        // A run that was killed may have left messages that the kernel has and the disk has not: they must not be
        // handed out before they are there.
        match outbox.log.sync().and_then(|()| outbox.write_cursor(now)) {
            Ok(()) => Ok(outbox),
            Err(error) if is_of_the_medium(&error) => {
                outbox.degrade(&error.to_string(), now);
                Ok(outbox)
            }
            Err(error) => Err(unusable(error)),
        }
    }

    /// The number for the next message.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Takes a message that carries [`Outbox::next_seq`]. It is handed out when it is on disk: at once when the disk
    /// has been quiet for a second, else with the next [`Outbox::tick`] that is due.
    pub fn push(&mut self, entry: Entry, now: Now) {
        debug_assert_eq!(entry.seq, self.next, "the body carries the number that was given out");
        let seq = entry.seq;
        let acked = self.queue.keys().next().copied().unwrap_or(seq).min(self.settled_max);
        let record = Record { kind: Kind::Message, acked, entry };
        let Some(encoded) = record.encode() else {
            self.next = self.next.max(seq + 1);
            self.dropped += 1;
            return;
        };
        let home = match self.trouble {
            None => self.append(seq, &encoded, now),
            Some(_) => Home::Memory(encoded),
        };
        // Not sooner: a cursor that is written to make room must not settle what is just being appended.
        self.next = self.next.max(seq + 1);
        self.note_open(&record.entry, home.place());
        self.queue.insert(seq, Queued::new(&record.entry, home, true));
        self.trim_memory();
        if self.synced_at.is_none_or(|at| now.mono.since(at) >= SYNC_EVERY) {
            self.sync(now);
        }
    }

    /// The oldest message above `seq` that may be sent, if any. Reading it counts as sending it. A message that the
    /// disk does not give out now is passed over, so that it does not stop the others; see [`Outbox::rewound`].
    pub fn after(&mut self, seq: u64, now: Now) -> Option<Outgoing> {
        let mut last = seq;
        let (seq, mut entry) = loop {
            let end = self.unsynced.first().map_or(u64::MAX, |(first, _)| *first);
            let from = last.saturating_add(1);
            let (&seq, queued) = self.queue.range(from..end.max(from)).find(|(_, queued)| !queued.unreadable)?;
            last = seq;
            let home = queued.home.clone();
            if let Some(entry) = self.read(seq, &home, now) {
                break (seq, entry);
            }
        };
        let queued = self.queue.get_mut(&seq)?;
        queued.offered = true;
        let age = queued.age(now);
        if queued.former || age > REPLAYED_AFTER {
            splice_replayed(&mut entry.body);
        }
        if self.cursor.sent <= seq {
            self.cursor.sent = seq + 1;
            self.cursor_due += 1;
        }
        Some(Outgoing { entry, fresh_for: self.age_max.saturating_sub(age) })
    }

    /// Whether messages that were passed over may be read again now: then sending should begin anew with the oldest.
    pub fn rewound(&mut self, now: Now) -> bool {
        let due = self.reread_at.is_some_and(|at| now.mono >= at);
        if due {
            self.reread_at = None;
            self.queue.values_mut().for_each(|queued| queued.unreadable = false);
        }
        due
    }

    /// Number and age of the oldest message that waits.
    pub fn oldest(&self, now: Now) -> Option<(u64, Duration)> {
        self.queue.first_key_value().map(|(seq, queued)| (*seq, queued.age(now)))
    }

    /// The broker has the message. Unknown numbers are nothing new: their message was dropped while under way.
    pub fn acknowledge(&mut self, seq: u64) {
        self.cursor_due += u64::from(self.forget(seq));
    }

    /// The broker does not take the message, however often it is sent.
    pub fn refuse(&mut self, seq: u64) {
        if self.forget(seq) {
            self.cursor_due += CURSOR_ACKS;
            self.refused += 1;
        }
    }

    /// The number of a new connection to the broker, counted over restarts.
    pub fn next_connection(&mut self) -> u64 {
        self.cursor.connections += 1;
        self.cursor_due += CURSOR_ACKS;
        self.cursor.connections
    }

    /// The newest step of each incident that was raised and not cleared.
    pub fn open_incidents(&self) -> Vec<Entry> {
        self.open.values().map(|open| open.entry.clone()).collect()
    }

    /// Why messages are only in memory, if they are.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.reason.as_str())
    }

    /// What it holds and what it gave up.
    pub fn counters(&self, now: Now) -> Counters {
        Counters {
            waiting: self.queue.len() as u64,
            bytes: self.queue.values().map(|queued| queued.home.bytes()).sum(),
            oldest: self.oldest(now).map(|(_, age)| age),
            dropped: self.dropped,
            expired: self.expired,
            refused: self.refused,
        }
    }

    /// Does what is due: sync, cursor, expiry, free space, another try of a failed disk. Call once per second, or when
    /// [`Outbox::due`] says.
    pub fn tick(&mut self, now: Now) {
        if self.synced_at.is_none_or(|at| now.mono.since(at) >= SYNC_EVERY) {
            self.sync(now);
        }
        if self.surveyed_at.is_none_or(|at| now.mono.since(at) >= SURVEY_EVERY) {
            self.surveyed_at = Some(now.mono);
            self.expire(now);
            self.check_room(now);
        }
        match &self.trouble {
            Some(trouble) if now.mono >= trouble.retry_at => self.recover(now),
            None if self.cursor_is_due(now) => self.settle(now),
            _ => {}
        }
    }

    /// When the next [`Outbox::tick`] makes waiting messages ready, if there are any.
    pub fn due(&self) -> Option<Mono> {
        let at = self.synced_at.unwrap_or_default();
        (!self.unsynced.is_empty()).then(|| at.plus(SYNC_EVERY))
    }

    /// Leaves nothing to be done again by the next run. The outbox stays usable.
    pub fn stop(&mut self, now: Now) {
        self.sync(now);
        if self.trouble.is_some() {
            self.recover(now);
        }
        self.settle(now);
    }

    fn read(&mut self, seq: u64, home: &Home, now: Now) -> Option<Entry> {
        let read = match home {
            Home::Memory(encoded) => {
                Record::decode(encoded).ok_or(io::ErrorKind::InvalidData.into()).map(|(record, _)| record)
            }
            Home::Disk(place) => self.log.read(*place),
        };
        match read {
            Ok(record) => return Some(record.entry),
            // Damaged for good; an error of the disk may pass.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => self.dropped += u64::from(self.forget(seq)),
            Err(_) => {
                self.reread_at = self.reread_at.or(Some(now.mono.plus(RETRY_EVERY)));
                if let Some(queued) = self.queue.get_mut(&seq) {
                    queued.unreadable = true;
                }
            }
        }
        None
    }

    /// Reads what there is. `Some`: the disk does not even say what there is, so nothing may be written yet.
    fn load(&mut self, now: Now) -> io::Result<Option<io::Error>> {
        let (names, trouble) = match self.log.storage().open() {
            Ok(names) => (names, None),
            Err(error) if is_of_the_medium(&error) => (Vec::new(), Some(error)),
            Err(error) => return Err(error),
        };
        let (cursor, lost) = match Cursor::load(self.log.storage()) {
            Ok(cursor) => (cursor, None),
            Err(error) if is_of_the_medium(&error) => (Cursor::after_loss(now.wall), Some(error)),
            Err(error) => return Err(error),
        };
        self.cursor = cursor;
        let (mut acked, mut highest) = (self.cursor.acked, 0);
        let (queue, open, boot) = (&mut self.queue, &mut self.open, &self.boot);
        let cut = self.log.scan(&names, |log, place, record| {
            highest = highest.max(record.entry.seq);
            acked = acked.max(record.acked);
            queue::replay(queue, open, log, place, &record, boot);
        });
        while let Some(seq) = self.queue.keys().next().copied().filter(|seq| *seq < acked) {
            self.forget(seq);
        }
        if cut > 0 {
            tracing::warn!(bytes = cut, "outbox: cut damaged records, as a power cut leaves them");
        }
        self.next = self.cursor.next.max(highest + 1);
        let unread = self.log.unread();
        if unread > 0 {
            tracing::warn!(
                segments = unread,
                "outbox: the disk does not give out all; what is missing waits for the next start"
            );
            self.settled_max = acked;
            self.next += RESERVE * unread;
        }
        if trouble.is_some() {
            self.settled_max = acked;
            self.next += RESERVE_ALL;
        }
        if let Some(error) = lost {
            tracing::warn!(%error, "outbox: the disk does not give out the cursor; some messages may come twice");
            self.next = self.cursor.next.max(highest + RESERVE);
            if trouble.is_none() {
                // Both halves are written anew (the second with what follows a start), which mends a bad sector.
                self.cursor.next = self.next;
                self.cursor.acked = self.queue.keys().next().copied().unwrap_or(self.next).min(self.settled_max);
                if let Err(error) = self.cursor.store(self.log.storage()) {
                    return Ok(Some(error));
                }
            }
        }
        Ok(trouble)
    }
}

/// Whether the medium is to blame, which may heal, rather than how the machine is set up, which will not by itself.
pub fn is_of_the_medium(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    // EIO has no kind of its own.
    matches!(error.kind(), QuotaExceeded | ReadOnlyFilesystem | StorageFull) || error.raw_os_error() == Some(5)
}

/// Adds `"replayed":true` before the last brace of a JSON object.
fn splice_replayed(body: &mut Vec<u8>) {
    let Some(end) = body.iter().rposition(|byte| *byte == b'}') else { return };
    let empty = body[..end].iter().rev().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let member: &[u8] = if empty { b"\"replayed\":true" } else { b",\"replayed\":true" };
    body.splice(end..end, member.iter().copied());
}
