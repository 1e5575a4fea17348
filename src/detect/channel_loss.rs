//! One channel of several silent while the others go on, against what the source usually has.
//!
//! Programme that never used a channel (mono in one channel, an empty surround) has not lost it, and neither has one
//! whose channels take turns, as an interview with a microphone on each side.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{AudioFeatures, CHANNELS_MAX, FLOOR_DBFS};
use crate::time::MediaTime;

/// A channel is silent below this, as in `silence`.
const SILENT_DBFS: f64 = -60.0;
/// It sounds again above this.
const SOUND_DBFS: f64 = -50.0;
/// Others carry sound above this: below, all of it may be a pause.
const OTHERS_DBFS: f64 = -45.0;
/// The silent one lies below the loudest by this much more than usual, dB: stereo mixes lean to a side by less.
const FALLEN_DB: f64 = 30.0;
/// A channel belongs to the programme once it has sounded in this share of the blocks in which others did ...
const USED: f64 = 0.9;
/// ... of the two front channels within 2 s: mono and stereo use both at any time ...
const KNOWN_FRONT: f64 = 20.0;
/// ... and of others within 60 s: centre, surround and LFE have rests in many programmes.
const KNOWN_OTHERS: f64 = 600.0;
/// Past blocks are forgotten over a minute, so that a source may change its layout.
const FORGET: f64 = 1.0 / 600.0;

#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    /// Blocks in which the programme sounded, and in which this channel did.
    blocks: f64,
    sounding: f64,
    /// Level under the loudest channel, dB.
    under: f64,
    /// Since when it has been silent with sound in others, whether it is lost or not.
    silent_since: Option<MediaTime>,
    since: Option<MediaTime>,
}

/// Follows each channel.
#[derive(Clone, Debug, Default)]
pub struct ChannelLoss {
    usual: [Usual; CHANNELS_MAX],
    channels: usize,
    good_since: Option<MediaTime>,
    lost: bool,
}

impl ChannelLoss {
    /// Looks at one block.
    pub fn observe(&mut self, features: &AudioFeatures) -> Observation {
        let loudest = features.loudest_dbfs();
        if features.channels.len() != self.channels {
            *self = Self { channels: features.channels.len(), ..Self::default() };
        }
        let sounds = loudest > OTHERS_DBFS;
        let mut worst: Option<(f64, MediaTime)> = None;
        for (index, (channel, usual)) in features.channels.iter().zip(&mut self.usual).enumerate() {
            let under = loudest - channel.rms_dbfs;
            // A loss is known where others sound well, and began where this one fell silent under them.
            if channel.rms_dbfs >= SILENT_DBFS || loudest < SILENT_DBFS {
                usual.silent_since = None;
            } else {
                usual.silent_since.get_or_insert(features.stamp.at);
            }
            if sounds {
                usual.look(index, channel.rms_dbfs, under, features.stamp.at);
            }
            if let Some(since) = usual.since {
                worst = worst.filter(|worst| worst.0 <= channel.rms_dbfs).or(Some((channel.rms_dbfs, since)));
            }
        }
        let was_lost = std::mem::replace(&mut self.lost, worst.is_some());
        if was_lost && !self.lost {
            self.good_since = Some(features.stamp.at);
        }
        Observation {
            defect: Defect::ChannelLoss,
            scope: Scope::Sound,
            presence: match worst {
                Some(_) if sounds => Presence::Present,
                Some(_) => Presence::Unclear,
                None => Presence::Absent,
            },
            since: worst.map(|(_, since)| since).or(self.good_since),
            severity: Severity::Major,
            value: worst.map_or(loudest, |(level, _)| level).max(FLOOR_DBFS),
            threshold: SILENT_DBFS,
            unit: "dBFS",
            confidence: None,
            region: None,
            levels: None,
            change: None,
            phrase: match self.usual[..self.channels].iter().position(|usual| usual.since.is_some()) {
                Some(0) if self.channels == 2 => "left channel is silent",
                Some(1) if self.channels == 2 => "right channel is silent",
                _ => "a channel is silent",
            },
        }
    }
}

impl Usual {
    /// Looks at a block in which the programme sounds.
    fn look(&mut self, index: usize, level: f64, under: f64, at: MediaTime) {
        let known = if index < 2 { KNOWN_FRONT } else { KNOWN_OTHERS };
        let used = self.blocks >= known && self.sounding >= USED * self.blocks;
        let limit = if self.since.is_some() { SOUND_DBFS } else { SILENT_DBFS };
        if level < limit && (self.since.is_some() || (used && under >= self.under + FALLEN_DB)) {
            self.since.get_or_insert(self.silent_since.unwrap_or(at));
        } else {
            self.since = None;
        }
        // What is lost is not learned at once: only over a minute does it become what the source has.
        let sounding = level > SILENT_DBFS;
        self.blocks += 1.0 - self.blocks * FORGET;
        self.sounding += f64::from(u8::from(sounding)) - self.sounding * FORGET;
        if sounding {
            self.under += (under - self.under) / self.sounding.clamp(1.0, 100.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sound;
    use super::*;

    /// Presence after each part: blocks, levels.
    fn seen(parts: &[(usize, &[f64])]) -> Vec<(Presence, Option<MediaTime>)> {
        let mut detector = ChannelLoss::default();
        let mut n = 0;
        let mut after = Vec::new();
        for (blocks, levels) in parts {
            let mut last = None;
            for _ in 0..*blocks {
                last = Some(detector.observe(&sound(n, levels)));
                n += 1;
            }
            after.extend(last.map(|last| (last.presence, last.since)));
        }
        after
    }

    #[test]
    fn a_channel_that_goes_away_is_lost_since_then() {
        let seen = seen(&[(30, &[-20.0, -24.0]), (10, &[-20.0, -70.0]), (5, &[-20.0, -24.0])]);
        assert_eq!(seen[1], (Presence::Present, Some(MediaTime(3_000_000_000))));
        assert_eq!(seen[2], (Presence::Absent, Some(MediaTime(4_000_000_000))));
    }

    #[test]
    fn a_loss_under_soft_sound_is_dated_back_to_where_it_began() {
        let seen = seen(&[(30, &[-20.0, -24.0]), (10, &[-50.0, -70.0]), (5, &[-20.0, -70.0])]);
        assert_eq!(seen[1].0, Presence::Absent, "soft sound is no proof");
        assert_eq!(seen[2], (Presence::Present, Some(MediaTime(3_000_000_000))));
    }

    #[test]
    fn a_channel_that_never_was_is_not_lost() {
        assert_eq!(seen(&[(100, &[-20.0, -144.0])])[0].0, Presence::Absent);
        let surround = [-20.0, -20.0, -20.0, -90.0, -30.0, -30.0];
        let rest = [-20.0, -20.0, -70.0, -90.0, -70.0, -70.0];
        assert_eq!(seen(&[(100, &surround), (100, &rest)])[1].0, Presence::Absent);
    }

    #[test]
    fn channels_that_take_turns_and_pauses_are_no_loss() {
        let turns: Vec<(usize, &[f64])> =
            (0..10).flat_map(|_| [(10, &[-20.0, -62.0][..]), (10, &[-62.0, -20.0])]).collect();
        assert!(seen(&turns).iter().all(|(presence, _)| *presence == Presence::Absent));
        assert_eq!(seen(&[(30, &[-20.0, -24.0]), (30, &[-62.0, -66.0])])[1].0, Presence::Absent);
    }
}
