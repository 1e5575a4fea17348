//! Spoils bytes, by a seed: the same seed spoils the same way.

/// xorshift64 (Marsaglia 2003).
pub struct Chance(u64);

impl Chance {
    /// Different for each pair.
    pub fn new(seed: u64, nth: u64) -> Self {
        // Seeds that differ in one bit must not start alike, and none may be zero.
        Self((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ nth.wrapping_mul(0xbf58_476d_1ce4_e5b9)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// Below `most`; 0 for 0.
    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A part of `length` bytes, short more often than long.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = [4, 16, 300, length][self.below(4)];
        from..(from + self.below(most + 1)).min(length)
    }
}

/// Numbers at which code goes wrong.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX - 1, u64::MAX];

/// Some changes of `good`, each at random: bits, bytes, numbers, pieces of itself, and `words` that mean something.
pub fn mutate(good: &[u8], words: &[&[u8]], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..1 + chance.below(1 + chance.0 as usize % 8) {
        change(&mut bytes, words, chance);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, words: &[&[u8]], chance: &mut Chance) {
    let at = chance.below(bytes.len());
    match chance.below(9) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
        1 if !bytes.is_empty() => bytes[at] = chance.next() as u8,
        2 => {
            let edge = EDGES[chance.below(EDGES.len())];
            let number = if chance.below(2) == 0 { edge.to_le_bytes() } else { edge.to_be_bytes() };
            let length = [1, 2, 4, 8][chance.below(4)].min(bytes.len() - at.min(bytes.len()));
            let from = if chance.below(2) == 0 { 0 } else { 8 - length };
            bytes[at..at + length].copy_from_slice(&number[from..from + length]);
        }
        3 => drop(bytes.drain(chance.range(bytes.len()))),
        4 => {
            let piece = bytes[chance.range(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => bytes.truncate(at),
        6 => {
            let noise: Vec<u8> = (0..chance.below(20)).map(|_| chance.next() as u8).collect();
            bytes.splice(at..at, noise);
        }
        _ if !words.is_empty() => {
            let end = (at + chance.below(12)).min(bytes.len());
            bytes.splice(at..end, chance.pick(words).to_vec());
        }
        _ => {}
    }
}

/// Frames of length (4 bytes), CRC-32 of length and content, content: makes the sums right again from `start` on, so
/// that what is behind them is reached.
pub fn repair(bytes: &mut [u8], start: usize) {
    let mut at = start;
    while let Some(head) = bytes.get(at..at + 8) {
        let length: [u8; 4] = [head[0], head[1], head[2], head[3]];
        let end = (at + 8).saturating_add(u32::from_le_bytes(length) as usize);
        let Some(content) = bytes.get(at + 8..end) else { return };
        let mut sum = crc32fast::Hasher::new();
        sum.update(&length);
        sum.update(content);
        bytes[at + 4..at + 8].copy_from_slice(&sum.finalize().to_le_bytes());
        at = end;
    }
}
