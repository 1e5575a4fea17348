//! The append log: numbered segments. Written only at the newest, removed only from the oldest, never written over.

use super::record::{RECORD_MAX, Record};
use super::storage::{Room, Storage};
use std::collections::VecDeque;
use std::io;

const PREFIX: &str = "log-";
/// First bytes of a segment; the digit is the version of its form.
const MAGIC: &[u8] = b"picket1\n";

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the segment.
    pub segment: u64,
    offset: u64,
    length: u32,
}

impl Place {
    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        u64::from(self.length)
    }
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// Messages in it that are still to be sent.
    live: u32,
    /// The disk did not give it out. It may at the next start, so it stays as long as there is room.
    unread: bool,
}

/// The segments of one folder.
pub struct Log {
    storage: Box<dyn Storage>,
    segments: VecDeque<Segment>,
    /// Whether the newest segment is ours to append to. A segment of a former run, or one in which a write failed, may
    /// end in half a record.
    writing: bool,
    next_number: u64,
    segment_bytes: u64,
    bytes: u64,
}

impl Log {
    /// A log over `storage` with no segments; [`Log::scan`] finds them.
    pub fn new(storage: Box<dyn Storage>, segment_bytes: u64) -> Self {
        Self { storage, segments: VecDeque::new(), writing: false, next_number: 1, segment_bytes, bytes: 0 }
    }

    /// The storage, for what lies beside the log.
    pub fn storage(&mut self) -> &mut dyn Storage {
        self.storage.as_mut()
    }

    /// Bytes in all segments.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the file system has left.
    pub fn room(&mut self) -> io::Result<Room> {
        self.storage.room()
    }

    /// Reads the segments among `names`, oldest first, and hands over each record up to the first damaged one of its
    /// segment. A segment that cannot be read is kept for the next start. Returns how many bytes were cut.
    pub fn scan(&mut self, names: &[String], mut found: impl FnMut(&mut Self, Place, Record)) -> u64 {
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        let mut cut = 0;
        for number in numbers {
            let read = self.storage.read(&name_of(number));
            let unread = read.is_err();
            let content = read.unwrap_or_default();
            let bytes = content.len() as u64;
            self.segments.push_back(Segment { number, bytes, live: 0, unread });
            self.bytes += bytes;
            self.next_number = number + 1;
            let mut offset = if content.starts_with(MAGIC) { MAGIC.len() } else { content.len() };
            while let Some((record, length)) = Record::decode(&content[offset..]) {
                // Lengths are bounded by RECORD_MAX.
                let place = Place { segment: number, offset: offset as u64, length: length as u32 };
                found(self, place, record);
                offset += length;
            }
            cut += bytes - offset as u64;
        }
        cut
    }

    /// Whether a record of `length` bytes would begin a new segment.
    pub fn begins_segment(&self, length: usize) -> bool {
        let fits = |segment: &Segment| segment.bytes + length as u64 <= self.segment_bytes;
        !(self.writing && self.segments.back().is_some_and(fits))
    }

    /// Appends an encoded record. After an error the next append begins a new segment.
    pub fn append(&mut self, encoded: &[u8]) -> io::Result<Place> {
        debug_assert!(encoded.len() <= RECORD_MAX, "records are bounded where they are encoded");
        let begins = self.begins_segment(encoded.len());
        if begins {
            // What is in the former segment must be on disk before anything in the next one counts on it.
            if self.writing {
                self.sync()?;
            }
            self.segments.push_back(Segment { number: self.next_number, bytes: 0, live: 0, unread: false });
            self.next_number += 1;
        }
        let Some(segment) = self.segments.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        let bytes = if begins { [MAGIC, encoded].concat() } else { encoded.to_vec() };
        let length = bytes.len() as u64;
        // Until the write has succeeded nobody knows what is there.
        self.writing = false;
        let result = self.storage.append(&name_of(segment.number), &bytes);
        // Counted either way: part of it may be on disk.
        segment.bytes += length;
        self.bytes += length;
        result?;
        self.writing = true;
        let offset = segment.bytes - encoded.len() as u64;
        Ok(Place { segment: segment.number, offset, length: encoded.len() as u32 })
    }

    /// Puts all that was appended on disk. After an error the next append begins a new segment.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.back() else { return Ok(()) };
        let result = self.storage.sync(&name_of(segment.number));
        // After a failed sync the kernel may have thrown the pages away and would report success the next time.
        self.writing &= result.is_ok();
        result
    }

    /// The record at `place`.
    pub fn read(&mut self, place: Place) -> io::Result<Record> {
        let bytes = self.storage.read_at(&name_of(place.segment), place.offset, place.length as usize)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged record");
        Record::decode(&bytes).map(|(record, _)| record).ok_or_else(damaged)
    }

    /// Counts a message that is to be sent.
    pub fn hold(&mut self, place: Place) {
        if let Some(segment) = self.segment(place.segment) {
            segment.live += 1;
        }
    }

    /// A message there is no longer to be sent.
    pub fn release(&mut self, place: Place) {
        if let Some(segment) = self.segment(place.segment) {
            segment.live = segment.live.saturating_sub(1);
        }
    }

    /// Number of the oldest segment, unless it is the one being written.
    pub fn oldest(&self) -> Option<u64> {
        let closed = self.segments.len() > 1 || !self.writing;
        self.segments.front().filter(|_| closed).map(|segment| segment.number)
    }

    /// Whether the oldest segment holds messages that are still to be sent, or may hold such.
    pub fn oldest_is_live(&self) -> bool {
        self.segments.front().is_some_and(|segment| segment.live > 0 || segment.unread)
    }

    /// How many segments the disk did not give out.
    pub fn unread(&self) -> u64 {
        self.segments.iter().filter(|segment| segment.unread).count() as u64
    }

    /// Removes the oldest segment.
    pub fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.front().copied() else { return Ok(()) };
        match self.storage.remove(&name_of(segment.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.segments.pop_front();
                self.bytes -= segment.bytes;
                Ok(())
            }
        }
    }

    /// Takes no number of a segment among `names`, which may not have been seen when the log was opened.
    pub fn stay_above(&mut self, names: &[String]) {
        let highest = names.iter().filter_map(|name| number_of(name)).max().unwrap_or(0);
        self.next_number = self.next_number.max(highest + 1);
    }

    /// From now on nothing is appended to what exists.
    pub fn begin_anew(&mut self) {
        self.writing = false;
    }

    fn segment(&mut self, number: u64) -> Option<&mut Segment> {
        let index = self.segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.segments.get_mut(index)
    }
}

fn name_of(number: u64) -> String {
    format!("{PREFIX}{number:016x}")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX).filter(|hex| hex.len() == 16).and_then(|hex| u64::from_str_radix(hex, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::record::Kind;
    use super::super::tests::message;
    use super::*;

    fn encoded(seq: u64) -> Vec<u8> {
        Record { kind: Kind::Message, acked: 0, entry: message(seq, super::super::Step::Raised) }.encode().unwrap()
    }

    fn scanned(fake: &Fake) -> (Vec<u64>, u64) {
        let mut storage = fake.storage();
        let names = storage.open().unwrap();
        let mut seqs = Vec::new();
        let cut = Log::new(Box::new(storage), 1000).scan(&names, |_, _, record| seqs.push(record.entry.seq));
        (seqs, cut)
    }

    #[test]
    fn segments_fill_and_are_scanned_in_order() -> io::Result<()> {
        let fake = Fake::default();
        let mut log = Log::new(Box::new(fake.storage()), 1000);
        let places: Vec<Place> = (1..=30).map(|seq| log.append(&encoded(seq)).unwrap()).collect();
        assert!(places[29].segment > 2, "several segments");
        log.sync()?;
        assert_eq!(scanned(&fake), ((1..=30).collect(), 0));
        assert_eq!(log.read(places[7])?.entry.seq, 8);
        log.remove_oldest()?;
        assert_ne!(scanned(&fake).0.first(), Some(&1));
        Ok(())
    }

    #[test]
    fn a_failed_append_closes_the_segment() -> io::Result<()> {
        let fake = Fake::default();
        let mut log = Log::new(Box::new(fake.storage()), 100_000);
        let first = log.append(&encoded(1))?;
        fake.tear_next_append(10);
        assert!(log.append(&encoded(2)).is_err());
        let third = log.append(&encoded(3))?;
        assert_ne!(first.segment, third.segment);
        assert_eq!(scanned(&fake), (vec![1, 3], 10));
        Ok(())
    }

    #[test]
    fn damage_in_one_segment_leaves_the_others() -> io::Result<()> {
        let fake = Fake::default();
        let mut log = Log::new(Box::new(fake.storage()), 1000);
        let places: Vec<Place> = (1..=20).map(|seq| log.append(&encoded(seq)).unwrap()).collect();
        let hit = places.iter().rposition(|place| place.segment == places[0].segment).unwrap();
        fake.storage().overwrite(&name_of(places[hit].segment), places[hit].offset + 20, b"\xff\xff")?;
        let expected: Vec<u64> = (1..=20).filter(|seq| *seq != hit as u64 + 1).collect();
        assert_eq!(scanned(&fake).0, expected);
        Ok(())
    }
}
