//! No sound: every channel below -60 dBFS RMS in 100 ms blocks, after a 20 Hz high-pass.
//!
//! Block RMS instead of single samples, so that a click or a DC offset does not hide silence. Mains hum and its first
//! harmonics are no sound either, up to -40 dBFS: a low tone that stays level to half a decibel, as no programme does.

use super::{Defect, Levels, Observation, Presence, Scope, Severity};
use crate::features::AudioFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// Silence begins below this. The level in use at FFmpeg and Evertz; programme noise floors lie above it.
const SILENT_DBFS: f64 = -60.0;
/// A block up to here may lie within silence that has only begun: the measure of noise varies by some dB.
const EARLY_DBFS: f64 = -57.0;
/// Established silence ends above this, so that a rising noise floor does not make it flap.
const SOUND_DBFS: f64 = -50.0;
/// Hum lies below this, ...
const HUM_DBFS: f64 = -40.0;
/// ... its mean frequency at 50 to 200 Hz with some noise above it, ...
const HUM_HZ: f64 = 250.0;
/// ... and its level stays from block to block, dB.
const HUM_STEADY_DB: f64 = 0.5;
/// What other levels can be asked for in place of.
pub(super) const LEVELS: Levels = Levels { raise: SILENT_DBFS, clear: SOUND_DBFS };
/// Silence this long is established.
const ESTABLISHED: Duration = Duration::from_secs(2);
/// Silence this long is no pause of any programme.
const LONG: Duration = Duration::from_secs(10);

/// Follows the loudest channel.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    since: Option<MediaTime>,
    sound_since: Option<MediaTime>,
    level: Option<f64>,
}

impl Silence {
    /// Looks at one block.
    pub fn observe(&mut self, features: &AudioFeatures) -> Observation {
        let level = features.loudest_dbfs();
        let lasted = self.since.map_or(Duration::ZERO, |since| features.end.since(since));
        let limit = match self.since {
            None => SILENT_DBFS,
            Some(_) if lasted < ESTABLISHED => EARLY_DBFS,
            Some(_) => SOUND_DBFS,
        };
        let hum = self.is_hum(features, level);
        if level < limit || hum {
            self.since.get_or_insert(features.stamp.at);
            self.sound_since = None;
        } else {
            self.since = None;
            self.sound_since.get_or_insert(features.stamp.at);
        }
        let constant = features.channels.iter().all(|channel| channel.constant);
        Observation {
            defect: Defect::Silence,
            scope: Scope::Sound,
            presence: if self.since.is_some() { Presence::Present } else { Presence::Absent },
            since: self.since.or(self.sound_since),
            severity: if lasted >= LONG { Severity::Critical } else { Severity::Major },
            value: level,
            threshold: SILENT_DBFS,
            unit: "dBFS",
            confidence: None,
            region: None,
            change: None,
            // Hum is silence at any level.
            levels: (!hum || level < SILENT_DBFS).then_some(LEVELS),
            phrase: match (constant, hum && level >= SILENT_DBFS) {
                (true, _) => "sound is digital silence",
                (false, true) => "sound is silent but for hum",
                (false, false) => "sound is silent",
            },
        }
    }

    /// Whether nothing but hum is heard.
    fn is_hum(&mut self, features: &AudioFeatures, level: f64) -> bool {
        let steady = self.level.replace(level).is_some_and(|before| (before - level).abs() < HUM_STEADY_DB);
        let heard = features.channels.iter().filter(|channel| channel.rms_dbfs >= SILENT_DBFS);
        steady && level < HUM_DBFS && heard.fold(0.0, |hz: f64, channel| hz.max(channel.mean_hz)) < HUM_HZ
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sound;
    use super::*;

    /// Sound with a mean frequency of 1 kHz.
    fn block(n: i64, levels: &[f64]) -> AudioFeatures {
        tone(n, levels, 1000.0)
    }

    fn tone(n: i64, levels: &[f64], mean_hz: f64) -> AudioFeatures {
        let mut features = sound(n, levels);
        for channel in &mut features.channels {
            channel.mean_hz = mean_hz;
        }
        features
    }

    #[test]
    fn hum_is_silence_and_a_bass_that_moves_is_not() {
        let mut silence = Silence::default();
        silence.observe(&tone(0, &[-45.0], 60.0));
        assert_eq!(silence.observe(&tone(1, &[-45.1], 60.0)).presence, Presence::Present);
        assert_eq!(silence.observe(&tone(2, &[-46.1], 60.0)).presence, Presence::Absent);
        assert_eq!(silence.observe(&tone(3, &[-46.1], 400.0)).presence, Presence::Absent);
        assert_eq!(silence.observe(&tone(4, &[-35.0], 60.0)).presence, Presence::Absent);
        assert_eq!(silence.observe(&tone(5, &[-35.0], 60.0)).presence, Presence::Absent);
    }

    #[test]
    fn one_sounding_channel_is_no_silence() {
        let mut silence = Silence::default();
        assert_eq!(silence.observe(&block(0, &[-90.0, -20.0])).presence, Presence::Absent);
        assert_eq!(silence.observe(&block(1, &[-90.0, -61.0])).presence, Presence::Present);
    }

    #[test]
    fn established_silence_outlasts_a_rising_noise_floor() {
        let mut silence = Silence::default();
        for n in 0..25 {
            silence.observe(&block(n, &[-70.0]));
        }
        let seen = silence.observe(&block(25, &[-52.0]));
        assert_eq!((seen.presence, seen.since), (Presence::Present, Some(MediaTime(0))));
        let seen = silence.observe(&block(26, &[-40.0]));
        assert_eq!((seen.presence, seen.since), (Presence::Absent, Some(MediaTime(2_600_000_000))));
        assert_eq!(silence.observe(&block(27, &[-52.0])).presence, Presence::Absent);
    }
}
