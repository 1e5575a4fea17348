//! A look at the bytes of a transport stream in a file, around a place where its clock jumps: FFmpeg reads the
//! discontinuity indicator and keeps it to itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Looked at before the packet that jumps and behind it: the streams of a programme lie less than a second apart.
const BEFORE: u64 = 128 * 1024;
const BEHIND: u64 = 256 * 1024;
/// Sizes of packets: plain, with a time code in front (BDAV), with parity behind.
const SIZES: [usize; 3] = [188, 192, 204];
/// Packets in a row that begin with the sync byte where packets lie.
const IN_SYNC: usize = 5;
const SYNC: u8 = 0x47;
const NULL_PID: u16 = 0x1fff;

/// What the bytes tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Witness {
    /// A discontinuity indicator is set.
    pub signalled: bool,
    /// Continuity counters leave gaps: packets are absent.
    pub lost: bool,
}

/// Looks around byte `at` of `file`. `None` where there is no transport stream.
pub(super) fn look(file: &mut File, at: u64) -> Option<Witness> {
    let from = at.saturating_sub(BEFORE);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(at - from + BEHIND).read_to_end(&mut bytes).ok()?;
    witness(&bytes)
}

fn witness(bytes: &[u8]) -> Option<Witness> {
    let (start, size) = SIZES.into_iter().find_map(|size| {
        let synced = |start: &usize| (0..IN_SYNC).all(|n| bytes.get(start + n * size) == Some(&SYNC));
        Some(((0..size).find(synced)?, size))
    })?;
    let mut seen = Witness::default();
    let mut counters = BTreeMap::new();
    for packet in bytes[start..].chunks_exact(size).map(|packet| &packet[..188.min(packet.len())]) {
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        // ISO/IEC 13818-1, 2.4.3.2 and 2.4.3.4.
        let (adaptation, payload, counter) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0, packet[3] & 0x0f);
        let signalled = adaptation && packet[4] > 0 && packet[5] & 0x80 != 0;
        seen.signalled |= signalled;
        if packet[0] != SYNC || pid == NULL_PID || !payload {
            continue;
        }
        let before = counters.insert(pid, counter);
        // A packet may be sent twice.
        let follows = before.is_none_or(|before| counter == (before + 1) & 0x0f || counter == before);
        seen.lost |= !follows && !signalled;
    }
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(size: usize, indicator: bool, left_out: Option<usize>) -> Vec<u8> {
        let mut bytes = vec![0; size - 188];
        for n in (0..40).filter(|&n| Some(n) != left_out) {
            let mut packet = vec![0xff; size];
            packet[..6].copy_from_slice(&[
                SYNC,
                1,
                0,
                0x30 | (n & 0x0f) as u8,
                1,
                if indicator && n == 20 { 0x80 } else { 0 },
            ]);
            bytes.extend(packet);
        }
        bytes
    }

    #[test]
    fn what_is_signalled_and_what_is_lost() {
        for size in SIZES {
            let seen = |indicator, left_out| witness(&stream(size, indicator, left_out));
            assert_eq!(seen(false, None), Some(Witness { signalled: false, lost: false }));
            assert_eq!(seen(true, None), Some(Witness { signalled: true, lost: false }));
            assert_eq!(seen(false, Some(15)), Some(Witness { signalled: false, lost: true }));
        }
        assert_eq!(witness(&[1; 4096]), None);
    }
}
