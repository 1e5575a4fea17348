//! Nothing arrives: the source cannot be reached, or its picture or its sound has stopped coming.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::TransportFeatures;
use crate::frame::Part;
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
        let ended = features.gap_ended.filter(|(_, from, to)| to.since(*from) > GAP_MAX);
        let (video, audio) = (stopped(features.video_until), stopped(features.audio_until));
        let (no_picture, no_sound) = (video.or(features.picture_lost), audio.or(features.sound_lost));
        let both = (features.video_until.is_none() || no_picture.is_some())
            && (features.audio_until.is_none() || no_sound.is_some());
        // The streams of one programme stop within a moment of each other: which have stopped is known a little later.
        let quiet = |until: Option<MediaTime>| until.is_some_and(|until| now.since(until) > GAP_MAX / 2);
        let telling = (video.is_some() && audio.is_none() && quiet(features.audio_until))
            || (audio.is_some() && video.is_none() && quiet(features.video_until));
        // Of separate devices each is known to be away as soon as it is.
        let known = features.unreachable_since.or(features.picture_lost).or(features.sound_lost);
        let ended_of = |part: Part| ended.filter(|ended| ended.0 == part).map(|ended| ended.1);
        let since = features.unreachable_since.or(ended.map(|ended| ended.1)).or(no_picture).or(no_sound);
        let whole = both || ended_of(Part::Programme).is_some();
        let (no_picture, no_sound) = (no_picture.or(ended_of(Part::Picture)), no_sound.or(ended_of(Part::Sound)));
        let (scope, phrase) = match (features.unreachable_since, no_picture, no_sound) {
            (Some(_), _, _) => (Scope::Programme, features.loss.phrase()),
            _ if both && known.is_some() => (Scope::Programme, features.loss.phrase()),
            _ if whole => (Scope::Programme, "nothing arrives"),
            (_, Some(_), _) if features.picture_lost.is_some() => (Scope::Picture, features.loss.phrase()),
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
                Some(_) if telling && known.is_none() => Presence::Unclear,
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
            levels: None,
            phrase,
            change: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;

    fn features(now: f64, video: f64, audio: f64) -> TransportFeatures {
        let until = |seconds: f64| (seconds >= 0.0).then(|| MediaTime::from_secs_f64(seconds));
        TransportFeatures {
            stamp: Stamp { at: MediaTime::from_secs_f64(now), ..Stamp::default() },
            video_until: until(video),
            audio_until: until(audio),
            ..TransportFeatures::default()
        }
    }

    fn said(features: TransportFeatures) -> (Presence, Scope, f64) {
        let said = StreamLoss::default().observe(&features);
        (said.presence, said.scope, said.since.map_or(-1.0, MediaTime::as_secs_f64))
    }

    #[test]
    fn what_comes_in_time_is_no_loss() {
        assert_eq!(said(features(10.0, 9.9, 9.2)).0, Presence::Absent);
        assert_eq!(said(features(10.0, -1.0, 9.2)).0, Presence::Absent, "no picture is expected");
        assert_eq!(said(features(10.0, -1.0, -1.0)).0, Presence::Absent, "nothing is");
    }

    #[test]
    fn a_stream_that_stops_is_a_loss_since_its_last_unit() {
        assert_eq!(said(features(10.0, 8.9, 9.9)), (Presence::Present, Scope::Picture, 8.9));
        assert_eq!(said(features(10.0, 9.9, 8.9)), (Presence::Present, Scope::Sound, 8.9));
        assert_eq!(said(features(10.0, 8.5, 8.7)), (Presence::Present, Scope::Programme, 8.5));
        assert_eq!(
            said(features(10.0, -1.0, 8.7)),
            (Presence::Present, Scope::Programme, 8.7),
            "sound is all there is"
        );
    }

    #[test]
    fn which_streams_have_stopped_is_told_when_it_is_known() {
        assert_eq!(said(features(10.0, 9.3, 8.9)).0, Presence::Unclear, "the picture may be missed in a moment too");
        assert_eq!(said(features(10.5, 9.3, 8.9)), (Presence::Present, Scope::Programme, 9.3));
    }

    #[test]
    fn a_source_out_of_reach_is_a_loss_at_once() {
        let mut lost = features(10.0, 9.9, 9.9);
        lost.unreachable_since = Some(MediaTime::from_secs_f64(9.9));
        assert_eq!(said(lost), (Presence::Present, Scope::Programme, 9.9));
    }

    #[test]
    fn a_part_that_is_known_to_be_away_is_a_loss_at_once_and_for_its_reason() {
        let at = |seconds| Some(MediaTime::from_secs_f64(seconds));
        let mut lost = features(10.0, 9.9, 9.95);
        (lost.picture_lost, lost.loss) = (at(9.9), crate::frame::Loss::NoSignal);
        assert_eq!(said(lost), (Presence::Present, Scope::Picture, 9.9));
        assert_eq!(StreamLoss::default().observe(&lost).phrase, "no signal at the input");
        lost.sound_lost = at(9.95);
        assert_eq!(said(lost), (Presence::Present, Scope::Programme, 9.9));
        lost.picture_lost = None;
        assert_eq!(said(lost), (Presence::Present, Scope::Sound, 9.95));
    }

    #[test]
    fn a_gap_is_told_by_the_unit_that_ends_it() {
        let mut ended = features(8.0, 8.0, 8.0);
        let gap = |part: Part, from: f64| Some((part, MediaTime::from_secs_f64(from), MediaTime::from_secs_f64(8.0)));
        ended.gap_ended = gap(Part::Programme, 5.0);
        assert_eq!(said(ended), (Presence::Present, Scope::Programme, 5.0));
        ended.gap_ended = gap(Part::Sound, 5.0);
        assert_eq!(said(ended), (Presence::Present, Scope::Sound, 5.0));
        ended.gap_ended = gap(Part::Programme, 7.5);
        assert_eq!(said(ended).0, Presence::Absent);
    }

    #[test]
    fn recovery_is_dated_to_the_first_unit() {
        let mut loss = StreamLoss::default();
        loss.observe(&features(10.0, 8.0, 9.9));
        loss.observe(&features(10.2, 10.2, 10.1));
        let said = loss.observe(&features(10.4, 10.4, 10.3));
        assert_eq!((said.presence, said.since), (Presence::Absent, Some(MediaTime::from_secs_f64(10.2))));
    }
}
