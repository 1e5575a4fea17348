//! What has been sent and numbered, in two slots written in turn: a torn write leaves the other one.

use super::record::SEQ_MAX;
use super::storage::Storage;
use crate::time::Wall;
use std::io;

const NAME: &str = "cursor";
/// Slots lie in different pages, so that no write touches both.
const SLOT_BYTES: u64 = 4096;
const MAGIC: [u8; 4] = *b"pkc1";
const LENGTH: usize = 4 + 6 * 8 + 4;

/// The state beside the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Counts writes; the higher valid slot is the newer one.
    generation: u64,
    /// All messages below are settled.
    pub acked: u64,
    /// No message has used this number or a higher one.
    pub next: u64,
    /// Messages below may have been sent.
    pub sent: u64,
    /// Connections to the broker so far.
    pub connections: u64,
}

impl Cursor {
    /// The newer valid slot; the default when there is none.
    pub fn load(storage: &mut dyn Storage) -> io::Result<Self> {
        let bytes = match storage.read(NAME) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let second = bytes.get(SLOT_BYTES as usize..).unwrap_or_default();
        let slots = [Self::decode(&bytes), Self::decode(second)];
        Ok(slots.into_iter().flatten().max_by_key(|slot| slot.generation).unwrap_or_default())
    }

    /// In place of one that cannot be read: newer than any that was written, and above all numbers that were given out, as
    /// long as there was less than one message per second since 1970.
    pub fn after_loss(wall: Wall) -> Self {
        let seconds = u64::try_from(wall.unix_ms / 1000).unwrap_or(0);
        Self { generation: (1 << 48) + seconds, next: seconds, ..Self::default() }
    }

    /// Writes the other slot; returns when it is on disk.
    pub fn store(&mut self, storage: &mut dyn Storage) -> io::Result<()> {
        let newer = Self { generation: self.generation + 1, ..*self };
        storage.overwrite(NAME, (newer.generation % 2) * SLOT_BYTES, &newer.encode())?;
        storage.sync(NAME)?;
        // Counted only now: after a failed write the same slot is tried again, and the other stays whole.
        *self = newer;
        Ok(())
    }

    fn encode(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        // The last number is room for one more field.
        for number in [self.generation, self.acked, self.next, self.sent, self.connections, 0] {
            out.extend(number.to_le_bytes());
        }
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, crc) = bytes.get(..LENGTH)?.split_last_chunk::<4>()?;
        if crc32fast::hash(fields) != u32::from_le_bytes(*crc) || fields[..4] != MAGIC {
            return None;
        }
        let mut numbers = fields[4..].chunks_exact(8).filter_map(|b| b.try_into().ok().map(u64::from_le_bytes));
        let slot = Self {
            generation: numbers.next()?,
            acked: numbers.next()?,
            next: numbers.next()?,
            sent: numbers.next()?,
            connections: numbers.next()?,
        };
        (slot.acked <= slot.next && slot.next <= SEQ_MAX).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn a_torn_write_leaves_the_former_state() -> io::Result<()> {
        let fake = Fake::default();
        let mut storage = fake.storage();
        assert_eq!(Cursor::load(&mut storage)?, Cursor::default());
        let mut cursor = Cursor::default();
        for n in 1..=3 {
            (cursor.acked, cursor.next) = (n, n + 5);
            cursor.store(&mut storage)?;
            assert_eq!(Cursor::load(&mut storage)?, cursor);
        }
        let former = cursor;
        cursor.acked = 4;
        cursor.store(&mut storage)?;
        let whole = storage.read(NAME)?;
        for torn in 0..LENGTH {
            let mut bytes = whole.clone();
            bytes[torn] ^= 0xff;
            let other = Fake::default();
            let mut storage = other.storage();
            storage.overwrite(NAME, 0, &bytes)?;
            assert_eq!(Cursor::load(&mut storage)?, former, "byte {torn}");
        }
        Ok(())
    }
}
