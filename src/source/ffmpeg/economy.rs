//! Decoding less than all of a stream, and finding back to all of it without showing what lacks its references.

use crate::budget::Decode;
use ffmpeg_next::Discard;

/// Streams refreshed without key pictures exist: after so many packets without one (24 s of 25 pictures per second)
/// there are none to wait for.
const NO_KEYS: u32 = 600;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes to the decoder.
    Decode,
    /// It goes to the decoder alone, and its picture is taken out at once: nothing that follows would push it out.
    Alone,
    /// It is not decoded.
    Pass,
}

/// Which packets of one stream are decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Economy {
    wanted: Decode,
    mode: Decode,
    since_key: u32,
    /// Packets were lost by our own fault, and no key picture came since.
    lost: bool,
    /// Pictures before this one, in units of the stream, refer to some that were not decoded.
    from: Option<i64>,
}

impl Economy {
    /// What to decode from the next packet on that allows it.
    pub(super) fn want(&mut self, decode: Decode) {
        self.wanted = decode;
    }

    /// Packets were lost by our own fault: nothing can be decoded rightly until a key picture comes.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.mode = Decode::Key;
    }

    /// Whether damage of packets is our own doing.
    pub(super) fn is_our_loss(&self) -> bool {
        self.lost
    }

    /// Whether not all pictures are decoded.
    pub(super) fn is_partial(&self) -> bool {
        self.mode != Decode::Full
    }

    /// Whether nothing but key pictures is decoded.
    pub(super) fn is_key_only(&self) -> bool {
        self.mode == Decode::Key
    }

    /// What FFmpeg's decoder may leave out of what it is given.
    pub(super) fn discard(&self) -> Discard {
        if self.mode == Decode::Reference { Discard::NonReference } else { Discard::Default }
    }

    /// Takes in the next packet of the stream.
    pub(super) fn admit(&mut self, is_key: bool, pts: Option<i64>) -> Fate {
        self.since_key = if is_key { 0 } else { self.since_key.saturating_add(1) };
        let target = match self.wanted {
            Decode::Key if self.since_key > NO_KEYS => Decode::Reference,
            wanted => wanted,
        };
        if self.mode == Decode::Key && target != Decode::Key {
            // What comes before the next key picture, and what comes out before it, lacks its references.
            if !is_key && self.since_key <= NO_KEYS {
                return Fate::Pass;
            }
            self.from = pts;
        }
        self.mode = target;
        self.lost &= !is_key;
        match (target, is_key) {
            (Decode::Key, true) => Fate::Alone,
            (Decode::Key, false) => Fate::Pass,
            _ => Fate::Decode,
        }
    }

    /// Whether a picture that comes out of the decoder can be shown.
    pub(super) fn shows(&mut self, pts: Option<i64>) -> bool {
        match (self.from, pts) {
            (Some(from), Some(pts)) if pts < from => false,
            _ => {
                self.from = None;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(economy: &mut Economy, packets: &[bool]) -> Vec<Fate> {
        packets.iter().zip(0..).map(|(&key, pts)| economy.admit(key, Some(pts))).collect()
    }

    #[test]
    fn back_to_all_pictures_waits_for_a_key_picture() {
        use Fate::{Alone, Decode as Whole, Pass};
        let mut economy = Economy::default();
        assert_eq!(fates(&mut economy, &[true, false]), [Whole, Whole]);
        economy.want(Decode::Key);
        assert_eq!(fates(&mut economy, &[false, true, false]), [Pass, Alone, Pass]);
        assert!(economy.is_key_only());
        economy.want(Decode::Full);
        assert_eq!(fates(&mut economy, &[false, false, true, false]), [Pass, Pass, Whole, Whole]);
        // Packet 2 was the key picture: those shown before it refer to what was not decoded.
        assert_eq!([Some(1), Some(2), Some(1)].map(|pts| economy.shows(pts)), [false, true, true]);
    }

    #[test]
    fn references_come_and_go_at_any_packet() {
        let mut economy = Economy::default();
        economy.want(Decode::Reference);
        assert_eq!(
            (economy.admit(false, None), economy.discard(), economy.is_partial()),
            (Fate::Decode, Discard::NonReference, true)
        );
        economy.want(Decode::Full);
        assert_eq!(
            (economy.admit(false, None), economy.discard(), economy.is_partial()),
            (Fate::Decode, Discard::Default, false)
        );
    }

    #[test]
    fn a_stream_without_key_pictures_is_not_left_blind() {
        let mut economy = Economy::default();
        economy.want(Decode::Key);
        let mut passed = (0..2000).take_while(|_| economy.admit(false, None) == Fate::Pass).count() as u32;
        assert_eq!((passed, economy.discard()), (NO_KEYS, Discard::NonReference));
        economy.want(Decode::Full);
        passed = (0..2000).take_while(|_| economy.admit(false, None) == Fate::Pass).count() as u32;
        assert_eq!(passed, 0);
    }

    #[test]
    fn a_loss_of_ours_ends_with_a_key_picture() {
        use Fate::{Decode as Whole, Pass};
        let mut economy = Economy::default();
        economy.admit(true, Some(0));
        economy.lose();
        assert_eq!((economy.admit(false, Some(5)), economy.is_our_loss()), (Pass, true));
        assert_eq!((economy.admit(true, Some(6)), economy.is_our_loss()), (Whole, false));
        assert_eq!(
            (economy.admit(false, Some(4)), economy.shows(Some(4)), economy.shows(Some(6))),
            (Whole, false, true)
        );
    }
}
