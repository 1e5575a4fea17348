//! Clipping: samples heap up at one level, or a decoder gives more than full scale for a good part of the time.
//!
//! Works on captures and behind lossy codecs, at full scale and where the level was turned down afterwards. Limiters
//! keep the round shape of their peaks, so that loud, limited music does not heap up.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{AudioFeatures, Clip};
use crate::time::MediaTime;
use std::time::Duration;

/// Pile from which a channel is clipped, and below which it is not. Music through a limiter driven by 12 dB reaches 1.4,
/// behind AC-3 2.9; programme driven by 9 dB into a ceiling has most often more than 4 (see DETECTION.md).
const PILE: (f32, f32) = (3.2, 1.4);
/// From here on, or from this share above full scale on, it spoils the programme; less may be a hard limiter.
const MAJOR: (f32, f32) = (6.0, 0.01);
/// Share of samples above full scale, %: a limiter at -0.1 dBFS behind a codec of 128 kb/s has 0.08 at most.
const OVER: (f32, f32) = (0.0015, 0.0005);
/// A pure tone heaps up, too, as its shape is: its kurtosis is 1.5, that of a square wave 1.
const TONE: std::ops::RangeInclusive<f32> = 1.44..=1.56;
const SQUARE: f32 = 1.1;
/// So it is in bursts of a tone (ticks, Morse code, time signals), filters of coders at their edges included, ...
const BURST: std::ops::RangeInclusive<f32> = 1.44..=1.62;
/// ... in which loud and loudest milliseconds have one shape to this much, as clipped programme has not, ...
const BURST_EVEN: f32 = 0.04;
/// ... with so much silence between them: a share of 1 / 1.6 is loud.
const BURST_APART: f32 = 1.6;
/// Length of a block.
const BLOCK: Duration = Duration::from_millis(100);
/// Blocks before the one in question that are judged with it: those of a good one may hold the beginning.
const WINDOW_BEFORE: u32 = 4;

/// Follows the worst channel.
#[derive(Clone, Debug, Default)]
pub struct Clipping {
    since: Option<MediaTime>,
    good_since: Option<MediaTime>,
    /// The last block that was good.
    good_at: Option<MediaTime>,
}

impl Clipping {
    /// Looks at one block.
    pub fn observe(&mut self, features: &AudioFeatures) -> Observation {
        let clips = || features.channels.iter().map(|channel| channel.clip);
        let over = clips().map(|clip| clip.over).fold(0.0, f32::max);
        let pile = clips().filter(is_programme).map(|clip| clip.pile).fold(0.0, f32::max);
        let presence = if pile >= PILE.0 || over >= OVER.0 {
            Presence::Present
        } else if pile < PILE.1 && over < OVER.1 {
            Presence::Absent
        } else {
            Presence::Unclear
        };
        match presence {
            Presence::Present => {
                // The half second that is judged began before, and may have been unclear for a while.
                let before = clips().filter(is_clipped).map(|clip| clip.blocks_before).max().unwrap_or(0);
                let began = features.stamp.at.minus(BLOCK * u32::from(before));
                let good = self.good_at.map(|good| good.minus(BLOCK * WINDOW_BEFORE));
                let began = good.map_or(began, |good| began.max(good));
                self.since.get_or_insert(began);
                self.good_since = None;
            }
            Presence::Absent => {
                self.since = None;
                self.good_since.get_or_insert(features.stamp.at);
                self.good_at = Some(features.stamp.at);
            }
            Presence::Unclear => {}
        }
        let by_pile = pile >= PILE.0;
        Observation {
            defect: Defect::Clipping,
            scope: Scope::Sound,
            presence,
            since: self.since.or(self.good_since),
            severity: if pile >= MAJOR.0 || over >= MAJOR.1 { Severity::Major } else { Severity::Minor },
            value: f64::from(if by_pile { pile } else { over * 100.0 }),
            threshold: f64::from(if by_pile { PILE.0 } else { OVER.0 * 100.0 }),
            unit: if by_pile { "x" } else { "%" },
            confidence: None,
            region: None,
            levels: None,
            phrase: if by_pile { "sound is clipped" } else { "sound is above full scale" },
            change: None,
        }
    }
}

fn is_clipped(clip: &Clip) -> bool {
    clip.over >= OVER.0 || (is_programme(clip) && clip.pile >= PILE.0)
}

fn is_programme(clip: &Clip) -> bool {
    let burst = BURST.contains(&clip.loud)
        && (clip.loud - clip.loudest).abs() <= BURST_EVEN
        && clip.kurtosis >= BURST_APART * clip.loud;
    clip.kurtosis > SQUARE && !TONE.contains(&clip.kurtosis) && !burst
}

#[cfg(test)]
mod tests {
    use super::super::testing::sound;
    use super::*;

    fn seen(clip: Clip) -> Presence {
        let mut features = sound(0, &[-12.0, -12.0]);
        features.channels[1].clip = clip;
        Clipping::default().observe(&features).presence
    }

    #[test]
    fn clipping_is_dated_back_but_not_into_what_was_good() {
        let bad = Clip { pile: 4.0, level: 0.99, kurtosis: 2.1, blocks_before: 12, ..Clip::default() };
        let mut detector = Clipping::default();
        let mut at = |n: i64, clip: Clip| {
            let mut features = sound(n, &[-12.0, -12.0]);
            features.channels[1].clip = clip;
            detector.observe(&features).since
        };
        assert_eq!(at(20, bad), Some(MediaTime(800_000_000)));
        at(30, Clip::default());
        at(31, Clip { pile: 2.0, ..bad });
        assert_eq!(at(32, bad), Some(MediaTime(2_600_000_000)));
    }

    #[test]
    fn piles_and_overs_are_clipping_and_tones_are_not() {
        let clip = Clip { pile: 4.0, level: 0.99, kurtosis: 2.1, blocks_before: 3, ..Clip::default() };
        assert_eq!(seen(clip), Presence::Present);
        assert_eq!(seen(Clip { kurtosis: 1.5, ..clip }), Presence::Absent);
        assert_eq!(seen(Clip { kurtosis: 1.0, ..clip }), Presence::Absent);
        assert_eq!(seen(Clip { kurtosis: 37.0, loud: 1.57, loudest: 1.57, ..clip }), Presence::Absent, "ticks");
        assert_eq!(seen(Clip { kurtosis: 3.0, loud: 1.6, loudest: 1.5, ..clip }), Presence::Present, "clipped speech");
        assert_eq!(seen(Clip { pile: 1.9, ..clip }), Presence::Unclear);
        assert_eq!(seen(Clip { pile: 0.3, over: 0.003, ..clip }), Presence::Present);
        assert_eq!(seen(Clip::default()), Presence::Absent);
    }
}
