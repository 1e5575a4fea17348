//! Nothing arrives: the source cannot be reached, or its picture or its sound has stopped coming.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::TransportFeatures;
use crate::time::MediaTime;
use std::time::Duration;

/// Longest regular gap: streams of one programme are multiplexed up to 0.7 s apart (decoder buffer delay of ISO/IEC
/// 13818-1, 2.4.2, is 1 s at the most).
const GAP_MAX: Duration = Duration::from_millis(1_000);

/// Follows both streams of a source.
#[derive(Clone, Debug, Default)]
pub struct StreamLoss {
    good_since: Option<MediaTime>,
}

impl StreamLoss {
    /// Looks at what has arrived up to now.
    pub fn observe(&mut self, features: &TransportFeatures) -> Observation {
        let now = features.stamp.at;
        let stopped = |until: Option<MediaTime>| until.filter(|&until| now.since(until) > GAP_MAX);
        let ended = features.gap_ended.filter(|(from, to)| to.since(*from) > GAP_MAX);
        let (video, audio) = (stopped(features.video_until), stopped(features.audio_until));
        let both =
            (features.video_until.is_none() || video.is_some()) && (features.audio_until.is_none() || audio.is_some());
        let since = features.unreachable_since.or(ended.map(|(from, _)| from)).or(video).or(audio);
        let (scope, phrase) = match (features.unreachable_since, video, audio) {
            (Some(_), _, _) => (Scope::Programme, "source cannot be reached"),
            _ if ended.is_some() || both => (Scope::Programme, "nothing arrives"),
            (_, Some(_), _) => (Scope::Picture, "no picture arrives"),
            (_, None, Some(_)) => (Scope::Sound, "no sound arrives"),
            (_, None, None) => (Scope::Programme, "nothing arrives"),
        };
        if since.is_some() {
            self.good_since = None;
        } else {
            self.good_since.get_or_insert(now);
        }
        Observation {
            defect: Defect::StreamLoss,
            scope,
            presence: if since.is_some() { Presence::Present } else { Presence::Absent },
            since: since.or(self.good_since),
            severity: if scope == Scope::Sound { Severity::Major } else { Severity::Critical },
            value: since.map_or(0.0, |since| now.since(since).as_secs_f64()),
            threshold: GAP_MAX.as_secs_f64(),
            unit: "s",
            confidence: None,
            region: None,
            phrase,
        }
    }
}
