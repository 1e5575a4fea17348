//! No sound: every channel below -60 dBFS RMS in 100 ms blocks, after a 20 Hz high-pass.
//!
//! Block RMS instead of single samples, so that a click or a DC offset does not hide silence.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::AudioFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// Silence begins below this. The level in use at FFmpeg and Evertz; programme noise floors lie above it.
const SILENT_DBFS: f64 = -60.0;
/// A block up to here may lie within silence that has only begun: the measure of noise varies by some dB.
const EARLY_DBFS: f64 = -57.0;
/// Established silence ends above this, so that a rising noise floor does not make it flap.
const SOUND_DBFS: f64 = -50.0;
/// Silence this long is established.
const ESTABLISHED: Duration = Duration::from_secs(2);
/// Silence this long is no pause of any programme.
const LONG: Duration = Duration::from_secs(10);

/// Follows the loudest channel.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    since: Option<MediaTime>,
    sound_since: Option<MediaTime>,
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
        if level < limit {
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
            phrase: if constant { "sound is digital silence" } else { "sound is silent" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::ChannelLevel;
    use crate::time::Stamp;

    fn block(n: i64, levels: &[f64]) -> AudioFeatures {
        let at = MediaTime(n * 100_000_000);
        let channels = levels.iter().map(|&rms_dbfs| ChannelLevel { rms_dbfs, ..ChannelLevel::default() }).collect();
        AudioFeatures { stamp: Stamp { at, ..Stamp::default() }, end: MediaTime(at.0 + 100_000_000), channels, ..AudioFeatures::default() }
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
