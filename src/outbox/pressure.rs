//! What gives way when there is no room: first steps that only tell of a change, then whole incidents, oldest first.
//! A `cleared` is given up only together with its `raised`, so nobody is left waiting for an end.

use super::queue::{Home, Queued};
use super::record::{Kind, Record};
use super::{HEADROOM, Now, Outbox, Step};
use crate::wire::Made;
use std::collections::HashMap;
use std::io;

/// Most bytes of messages in memory while the disk cannot be used.
const MEMORY_MAX: u64 = 1 << 20;
/// The cursor on disk may be this many messages old, and another window of 32 may have been sent.
const SENT_MARGIN: u64 = 512;

impl Outbox {
    /// Makes the log fit `need` more bytes.
    pub(super) fn make_room(&mut self, need: u64, now: Now) -> io::Result<()> {
        // One segment is set aside for moving messages out of the oldest one.
        let budget = self.bytes_max.saturating_sub(self.segment_bytes);
        if self.log.bytes() + need <= budget {
            return Ok(());
        }
        self.write_cursor(now)?;
        self.remove_settled()?;
        if self.log.bytes() + need <= budget {
            return Ok(());
        }
        // Two segments less, so that the same is not due again with the next message.
        let goal = budget.saturating_sub(2 * self.segment_bytes);
        let excess = (self.live_bytes() + need).saturating_sub(goal);
        let victims = self.victims(excess, |queued| matches!(queued.home, Home::Disk(_)));
        self.drop_on_disk(&victims, now)?;
        let mut rounds = self.log.bytes() / self.segment_bytes.max(1) + 1;
        while self.log.bytes() + need > budget && rounds > 0 {
            self.move_out_of_oldest()?;
            rounds -= 1;
        }
        if self.log.bytes() + need > budget {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "outbox full of messages that must not be dropped"));
        }
        Ok(())
    }

    /// Removes the oldest segments as long as nothing in them is to be sent.
    pub(super) fn remove_settled(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.log.oldest().filter(|_| !self.log.oldest_is_live()) {
            self.keep_open(oldest)?;
            self.log.remove_oldest()?;
        }
        Ok(())
    }

    /// Whether the file system has room; if not, the outbox goes on in memory.
    pub(super) fn check_room(&mut self, now: Now) {
        if self.trouble.is_none()
            && let Err(error) = self.headroom()
        {
            self.degrade(&error.to_string(), now);
        }
    }

    /// Moves what is in memory to the disk. After an error what was moved is among the unsynced ones still.
    pub(super) fn move_to_disk(&mut self, now: Now) -> io::Result<()> {
        let names = self.log.storage().open()?;
        self.log.stay_above(&names);
        // What we no longer need may be what is in the way.
        self.write_cursor(now)?;
        self.remove_settled()?;
        self.headroom()?;
        let in_memory: Vec<u64> =
            self.queue.iter().filter(|(_, queued)| queued.home.place().is_none()).map(|(seq, _)| *seq).collect();
        for seq in in_memory {
            // Making room for a former one may have dropped it.
            let Some(Home::Memory(encoded)) = self.queue.get(&seq).map(|queued| queued.home.clone()) else { continue };
            self.make_room(encoded.len() as u64, now)?;
            let Some(queued) = self.queue.get_mut(&seq) else { continue };
            let place = self.log.append(&encoded)?;
            // Held at once: making room for the next one must not take its segment away.
            self.log.hold(place);
            queued.home = Home::Disk(place);
            self.unsynced.push((seq, encoded));
        }
        for open in self.open.values_mut().filter(|open| open.place.is_none()) {
            // Its message may be among the moved ones, or delivered and nowhere on disk.
            let record = Record { kind: Kind::Kept, acked: 0, entry: open.entry.clone() };
            if let Some(encoded) = record.encode() {
                open.place = Some(self.log.append(&encoded)?);
            }
        }
        self.log.sync()?;
        self.unsynced.clear();
        Ok(())
    }

    /// Keeps the memory ring within its limit.
    pub(super) fn trim_memory(&mut self) {
        if self.trouble.is_none() {
            return;
        }
        let in_memory = |queued: &Queued| matches!(queued.home, Home::Memory(_));
        let used: u64 = self.queue.values().filter(|queued| in_memory(queued)).map(|queued| queued.home.bytes()).sum();
        if used <= MEMORY_MAX {
            return;
        }
        let mut victims = self.victims(used - MEMORY_MAX, in_memory);
        if victims.is_empty() {
            // Nothing but steps that must not be dropped: the newest is the one that nobody knows of yet.
            victims.extend(self.queue.iter().rev().find(|(_, queued)| in_memory(queued)).map(|(seq, _)| *seq));
        }
        for seq in victims {
            self.dropped += u64::from(self.forget(seq));
        }
    }

    fn headroom(&mut self) -> io::Result<()> {
        let room = self.log.room()?;
        if room.bytes < HEADROOM.bytes || room.inodes < HEADROOM.inodes {
            let text = format!("only {} MiB and {} files left on the disk", room.bytes >> 20, room.inodes);
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        Ok(())
    }

    fn live_bytes(&self) -> u64 {
        self.queue.values().filter_map(|queued| queued.home.place()).map(|place| place.bytes()).sum()
    }

    /// Messages to drop, in this order, until `excess` bytes of those that `counts` are freed.
    fn victims(&self, excess: u64, counts: impl Fn(&Queued) -> bool) -> Vec<u64> {
        let mut freed = 0;
        let mut victims = Vec::new();
        let mut take = |seq: u64, queued: &Queued| {
            freed += if counts(queued) { queued.home.bytes() } else { 0 };
            victims.push(seq);
            freed < excess
        };
        let updates = self.queue.iter().filter(|(_, queued)| queued.step == Step::Updated && counts(queued));
        if excess == 0 {
            return Vec::new();
        }
        for (&seq, queued) in updates {
            if !take(seq, queued) {
                return victims;
            }
        }
        let mut raised: HashMap<&str, (u64, &Queued)> = HashMap::new();
        for (&seq, queued) in &self.queue {
            match (queued.step, raised.get(&*queued.incident)) {
                (Step::Raised, _) => {
                    raised.insert(&queued.incident, (seq, queued));
                }
                (Step::Cleared, Some(&(first, beginning))) if counts(beginning) || counts(queued) => {
                    let mut more = take(first, beginning);
                    // Where the beginning may be known out there, the end must become known too.
                    if !self.may_be_sent(first, beginning) {
                        more = take(seq, queued);
                    }
                    if !more {
                        break;
                    }
                }
                _ => {}
            }
        }
        victims
    }

    fn may_be_sent(&self, seq: u64, queued: &Queued) -> bool {
        queued.offered || (queued.former && seq < self.cursor.sent + SENT_MARGIN)
    }

    /// Drops messages so that they stay dropped after a restart.
    fn drop_on_disk(&mut self, victims: &[u64], now: Now) -> io::Result<()> {
        let made = Made { wall: now.wall, mono: now.mono, boot: self.boot.clone() };
        // 4,096 numbers fit a record with room to spare.
        for numbers in victims.chunks(4096) {
            for seq in numbers {
                self.dropped += u64::from(self.forget(*seq));
                self.unsynced.retain(|(unsynced, _)| unsynced != seq);
            }
            if let Some(encoded) = Record::dropped(numbers, made.clone()).encode() {
                self.log.append(&encoded)?;
            }
        }
        Ok(())
    }

    /// Writes the living messages of the oldest segment again, at the end of the log, and removes it.
    fn move_out_of_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.log.oldest() else {
            self.log.sync()?;
            self.log.begin_anew();
            return Ok(());
        };
        let living: Vec<u64> = self
            .queue
            .iter()
            .filter(|(_, queued)| queued.home.place().is_some_and(|place| place.segment == oldest))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in living {
            self.move_one(seq)?;
        }
        self.keep_open(oldest)?;
        self.log.sync()?;
        self.log.remove_oldest()
    }

    fn move_one(&mut self, seq: u64) -> io::Result<()> {
        let Some(place) = self.queue.get(&seq).and_then(|queued| queued.home.place()) else { return Ok(()) };
        let mut record = match self.log.read(place) {
            Ok(record) => record,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.dropped += u64::from(self.forget(seq));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // A step that now comes after the end of its incident in the log must not open it again.
        let open = self.open.contains_key(&record.entry.incident);
        record.kind = if open { Kind::Message } else { Kind::Moved };
        let Some(encoded) = record.encode() else { return Ok(()) };
        let moved = self.log.append(&encoded)?;
        self.log.release(place);
        self.log.hold(moved);
        if let Some(queued) = self.queue.get_mut(&seq) {
            queued.home = Home::Disk(moved);
        }
        if let Some(open) = self.open.get_mut(&record.entry.incident).filter(|open| open.entry.seq == seq) {
            open.place = Some(moved);
        }
        Ok(())
    }

    /// Writes again what segment `oldest` alone knows of open incidents.
    fn keep_open(&mut self, oldest: u64) -> io::Result<()> {
        let mut kept = false;
        for open in self.open.values_mut().filter(|open| open.place.is_some_and(|place| place.segment == oldest)) {
            let record = Record { kind: Kind::Kept, acked: 0, entry: open.entry.clone() };
            if let Some(encoded) = record.encode() {
                open.place = Some(self.log.append(&encoded)?);
                kept = true;
            }
        }
        if kept { self.log.sync() } else { Ok(()) }
    }
}
