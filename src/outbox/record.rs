//! One record of the append log: length, CRC-32, then the fields. All numbers little-endian.

use super::{Entry, Step};
use crate::ids::BootId;
use crate::time::{Mono, Wall};
use crate::wire::Made;

/// Length and CRC.
pub const HEAD: usize = 8;
/// Longest record. Bodies have 8 KiB at most (contract, mqtt); a length beyond this is damage, not a long record.
pub const RECORD_MAX: usize = 64 * 1024;

/// No number is higher: JSON's readers tell numbers exactly up to here, and no device lives long enough to come near.
/// One that is would leave no room for those that follow.
pub const SEQ_MAX: u64 = 1 << 53;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message to be sent.
    Message,
    /// A message to be sent that was written again after its incident had ended.
    Moved,
    /// The newest step, already delivered, of an incident that is still open.
    Kept,
    /// These messages are not sent any more; the body holds their numbers.
    Dropped,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What for.
    pub kind: Kind,
    /// All messages below this number were settled when it was written: saves writing the cursor for each of them.
    pub acked: u64,
    /// The message.
    pub entry: Entry,
}

impl Record {
    /// A note that the messages `numbers` were dropped.
    pub fn dropped(numbers: &[u64], made: Made) -> Self {
        let body = numbers.iter().flat_map(|seq| seq.to_le_bytes()).collect();
        let entry = Entry { seq: 0, incident: String::new(), step: Step::Updated, topic: String::new(), made, body };
        Self { kind: Kind::Dropped, acked: 0, entry }
    }

    /// The numbers in such a note.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.entry.body.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok().map(u64::from_le_bytes))
    }

    /// As bytes; `None` when a field is too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let entry = &self.entry;
        let mut out = vec![0; HEAD];
        out.extend([self.kind.code(), entry.step.code(), u8::from(entry.made.wall.synced)]);
        out.extend(self.acked.to_le_bytes());
        out.extend(entry.seq.to_le_bytes());
        out.extend(entry.made.mono.as_ms().to_le_bytes());
        out.extend(entry.made.wall.unix_ms.to_le_bytes());
        for text in [entry.made.boot.as_str(), &entry.incident, &entry.topic] {
            out.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
            out.extend(text.as_bytes());
        }
        out.extend(&entry.body);
        if out.len() > RECORD_MAX {
            return None;
        }
        let length = u32::try_from(out.len() - HEAD).ok()?.to_le_bytes();
        out[..4].copy_from_slice(&length);
        let crc = crc(&length, &out[HEAD..]);
        out[4..HEAD].copy_from_slice(&crc.to_le_bytes());
        Some(out)
    }

    /// The record at the start of `bytes` and its length; `None` where they are damaged or cut off.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let length: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
        let total = usize::try_from(u32::from_le_bytes(length)).ok()?.checked_add(HEAD)?;
        if total > RECORD_MAX {
            return None;
        }
        let stored = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
        let fields = bytes.get(HEAD..total)?;
        if crc(&length, fields) != stored {
            return None;
        }
        Some((Self::fields(fields)?, total))
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [kind, step, synced] = *take(&mut rest)?;
        let acked = u64::from_le_bytes(*take(&mut rest)?);
        let seq = u64::from_le_bytes(*take(&mut rest)?);
        // Nothing settles what comes after it: that would take all messages to come.
        if seq > SEQ_MAX || acked > seq {
            return None;
        }
        let mono = Mono(u64::from_le_bytes(*take(&mut rest)?).checked_mul(1_000_000)?);
        let wall = Wall { unix_ms: i64::from_le_bytes(*take(&mut rest)?), synced: synced != 0 };
        let boot = BootId::from_kernel(&text(&mut rest)?);
        let incident = text(&mut rest)?;
        let topic = text(&mut rest)?;
        let made = Made { wall, mono, boot };
        let entry = Entry { seq, incident, step: Step::from_code(step)?, topic, made, body: rest.to_vec() };
        Some(Self { kind: Kind::from_code(kind)?, acked, entry })
    }
}

/// The length is under the checksum too: a damaged one must not lead into the middle of another record.
fn crc(length: &[u8], fields: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(fields);
    hasher.finalize()
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes(*take(rest)?));
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    String::from_utf8(taken.to_vec()).ok()
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Message => 1,
            Self::Moved => 2,
            Self::Kept => 3,
            Self::Dropped => 4,
        }
    }
    fn from_code(code: u8) -> Option<Self> {
        [Self::Message, Self::Moved, Self::Kept, Self::Dropped].into_iter().find(|kind| kind.code() == code)
    }
}

impl Step {
    fn code(self) -> u8 {
        match self {
            Self::Raised => 1,
            Self::Updated => 2,
            Self::Cleared => 3,
        }
    }
    fn from_code(code: u8) -> Option<Self> {
        [Self::Raised, Self::Updated, Self::Cleared].into_iter().find(|step| step.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let made = Made {
            wall: Wall { unix_ms: -5, synced: true },
            mono: Mono(7_000_000),
            boot: BootId::from_kernel("0123abcd-0000"),
        };
        let entry = Entry {
            seq: SEQ_MAX,
            incident: "000000000000-1-cam-1".to_owned(),
            step: Step::Cleared,
            topic: "picket/1/x/ä".to_owned(),
            made,
            body: b"{}".to_vec(),
        };
        Record { kind: Kind::Moved, acked: 12, entry }
    }

    #[test]
    fn reads_what_it_wrote() {
        let bytes = record().encode().unwrap();
        assert_eq!(Record::decode(&bytes), Some((record(), bytes.len())));
        let note = Record::dropped(&[3, 9], record().entry.made);
        let (read, _) = Record::decode(&note.encode().unwrap()).unwrap();
        assert_eq!(read.numbers().collect::<Vec<_>>(), [3, 9]);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let bytes = record().encode().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None, "cut at {length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&damaged), None, "bit {bit}");
        }
        // Zeros, as after a cut on a file system that had grown the file but not filled it.
        assert_eq!(Record::decode(&[0; 512]), None);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let mut impossible = record();
        impossible.entry.seq = SEQ_MAX + 1;
        assert_eq!(Record::decode(&impossible.encode().unwrap()), None);
        impossible = record();
        impossible.acked = SEQ_MAX + 1;
        assert_eq!(Record::decode(&impossible.encode().unwrap()), None);
        let mut long = record();
        long.entry.body = vec![b'x'; RECORD_MAX];
        assert_eq!(long.encode(), None);
    }
}
