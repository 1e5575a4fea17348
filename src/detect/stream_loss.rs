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
        // The streams of one programme stop within a moment of each other: which have stopped is known a little later.
        let quiet = |until: Option<MediaTime>| until.is_some_and(|until| now.since(until) > GAP_MAX / 2);
        let telling = (video.is_some() && audio.is_none() && quiet(features.audio_until))
            || (audio.is_some() && video.is_none() && quiet(features.video_until));
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
            presence: match since {
                Some(_) if telling && features.unreachable_since.is_none() => Presence::Unclear,
                Some(_) => Presence::Present,
                None => Presence::Absent,
            },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;

    fn at(seconds: f64) -> MediaTime {
        MediaTime::from_secs_f64(seconds)
    }

    fn seen(now: f64, video_until: Option<f64>, audio_until: Option<f64>) -> Observation {
        let features = TransportFeatures {
            stamp: Stamp { at: at(now), ..Stamp::default() },
            video_until: video_until.map(at),
            audio_until: audio_until.map(at),
            ..TransportFeatures::default()
        };
        StreamLoss::default().observe(&features)
    }

    #[test]
    fn what_has_stopped_is_told_when_it_is_known() {
        let all = seen(10.0, Some(9.9), Some(9.8));
        assert_eq!((all.presence, all.since), (Presence::Absent, Some(at(10.0))));
        let picture = seen(10.0, Some(8.5), Some(9.9));
        assert_eq!(
            (picture.presence, picture.scope, picture.since),
            (Presence::Present, Scope::Picture, Some(at(8.5)))
        );
        let sound = seen(10.0, Some(9.9), Some(8.5));
        assert_eq!((sound.presence, sound.scope, sound.severity), (Presence::Present, Scope::Sound, Severity::Major));
        // The picture may be about to be missed too.
        assert_eq!(seen(10.0, Some(9.3), Some(8.9)).presence, Presence::Unclear);
        let both = seen(10.0, Some(8.7), Some(8.9));
        assert_eq!(
            (both.presence, both.scope, both.severity),
            (Presence::Present, Scope::Programme, Severity::Critical)
        );
        assert_eq!(seen(10.0, Some(8.7), None).scope, Scope::Programme);
    }

    #[test]
    fn an_unreachable_source_is_lost_at_once_and_a_gap_is_told_late() {
        let unreachable = TransportFeatures { unreachable_since: Some(at(3.0)), ..TransportFeatures::default() };
        let said = StreamLoss::default().observe(&unreachable);
        assert_eq!((said.presence, said.since), (Presence::Present, Some(at(3.0))));
        let gap = TransportFeatures {
            stamp: Stamp { at: at(9.0), ..Stamp::default() },
            video_until: Some(at(9.0)),
            gap_ended: Some((at(4.0), at(9.0))),
            ..TransportFeatures::default()
        };
        let said = StreamLoss::default().observe(&gap);
        assert_eq!((said.presence, said.since), (Presence::Present, Some(at(4.0))));
    }
}
