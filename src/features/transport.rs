//! What arrives and what does not: gaps in picture and sound, on the source's own axis.

use crate::frame::{AudioBlock, ClockJump, FieldOrder, Frame, Loss, Part};
use crate::time::{MediaTime, Stamp};
use std::time::Duration;

/// Whether picture and sound keep coming.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TransportFeatures {
    /// When this was seen.
    pub stamp: Stamp,
    /// Set while the source cannot be reached: since when.
    pub unreachable_since: Option<MediaTime>,
    /// Set while picture and sound come separate ways and it is known that the picture does not: since when.
    pub picture_lost: Option<MediaTime>,
    /// As `picture_lost`, of the sound.
    pub sound_lost: Option<MediaTime>,
    /// Why, of what was lost last.
    pub loss: Loss,
    /// End of the last picture, where pictures are expected.
    pub video_until: Option<MediaTime>,
    /// End of the last sound, where sound is expected.
    pub audio_until: Option<MediaTime>,
    /// The gap that this very unit ended: of what, from and until when.
    pub gap_ended: Option<(Part, MediaTime, MediaTime)>,
    /// The picture that this very unit is.
    pub picture: Option<Arrival>,
    /// The sound that this very unit is: its place, samples per second, channels.
    pub sound: Option<(MediaTime, u32, u16)>,
    /// The clock of a stream jumps here.
    pub jump: Option<(MediaTime, ClockJump)>,
    /// What comes from here on does not follow what came before: opened anew, or pictures were left out here.
    pub interrupted: bool,
}

/// How a picture came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Its place.
    pub at: MediaTime,
    /// Time since the picture before it; `None` where that is not known.
    pub step: Option<Duration>,
    /// Transport or decoder complained.
    pub damaged: bool,
    /// Width and height, in luma samples.
    pub size: (u32, u32),
    /// Field order, as flagged.
    pub field_order: FieldOrder,
    /// Pictures that the source counted before this one, and that did not come.
    pub missing: u16,
}

/// A stream is joined at its next key picture, which may be as far away as the longest GOP in use.
const JOIN_MAX: Duration = Duration::from_secs(10);

/// A stream that went on for this long while the other had a gap was not part of it.
const WENT_ON: Duration = Duration::from_secs(1);

/// A picture lasts no longer than this: 5 per second are few.
const LASTS_MAX: Duration = Duration::from_millis(200);

/// Follows units as they come.
#[derive(Clone, Debug, Default)]
pub struct TransportTracker {
    now: TransportFeatures,
    last_picture: Option<MediaTime>,
    /// Nothing was left out since.
    follows: bool,
}

impl TransportTracker {
    /// The source was opened: which streams to expect. A source that was lost is found when something comes of it.
    pub fn opened(&mut self, stamp: Stamp, video: bool, audio: bool) -> TransportFeatures {
        self.last_picture = None;
        let join = stamp.at.plus(JOIN_MAX);
        self.now.video_until = video.then_some(self.now.video_until.unwrap_or(join));
        self.now.audio_until = audio.then_some(self.now.audio_until.unwrap_or(join));
        self.interrupted(stamp)
    }

    /// The source, or a part of it, cannot be reached.
    pub fn lost(&mut self, stamp: Stamp, part: Part, loss: Loss) -> TransportFeatures {
        let TransportFeatures { video_until, audio_until, .. } = self.now;
        let (since, until) = match part {
            Part::Programme => (&mut self.now.unreachable_since, video_until.or(audio_until)),
            Part::Picture => (&mut self.now.picture_lost, video_until),
            Part::Sound => (&mut self.now.sound_lost, audio_until),
        };
        // What was to come at first may have been expected for later than now.
        since.get_or_insert(until.map_or(stamp.at, |until| until.min(stamp.at)));
        if part != Part::Sound || self.now.picture_lost.is_none() {
            self.now.loss = loss;
        }
        self.seen(stamp)
    }

    /// Nothing came, but time went on.
    pub fn idle(&mut self, stamp: Stamp) -> TransportFeatures {
        self.seen(stamp)
    }

    /// The clock of a stream jumped.
    pub fn jumped(&mut self, stamp: Stamp, jump: ClockJump) -> TransportFeatures {
        TransportFeatures { jump: Some((stamp.at, jump)), ..self.interrupted(stamp) }
    }

    /// A picture came.
    pub fn picture(&mut self, frame: &Frame) -> TransportFeatures {
        let at = frame.stamp.at;
        let step = self.last_picture.replace(at).map(|last| at.since(last));
        let follows = std::mem::replace(&mut self.follows, true);
        let known = step.filter(|_| follows);
        let step = step.unwrap_or(Duration::ZERO);
        let gap = gap(Part::Picture, self.now.video_until, self.now.audio_until, at);
        // A picture lasts until the next; how long this one will, the step before it tells.
        self.now.video_until = Some(at.plus(step.min(LASTS_MAX)));
        (self.now.unreachable_since, self.now.picture_lost) = (None, None);
        let mut features = self.seen(frame.stamp);
        features.gap_ended = gap;
        features.picture = Some(Arrival {
            at,
            step: known,
            damaged: frame.info.decode.any(),
            size: (frame.info.width as u32, frame.info.height as u32),
            field_order: frame.info.field_order,
            missing: frame.info.missing,
        });
        features
    }

    /// A picture came that was not decoded.
    pub fn passed(&mut self, stamp: Stamp) -> TransportFeatures {
        let gap = gap(Part::Picture, self.now.video_until, self.now.audio_until, stamp.at);
        self.now.video_until = self.now.video_until.max(Some(stamp.at.plus(LASTS_MAX)));
        (self.now.unreachable_since, self.now.picture_lost) = (None, None);
        let mut features = self.interrupted(stamp);
        features.gap_ended = gap;
        features
    }

    /// Sound came.
    pub fn sound(&mut self, block: &AudioBlock) -> TransportFeatures {
        let at = block.stamp.at;
        let length = Duration::from_secs_f64(block.frames() as f64 / f64::from(block.rate.max(1)));
        let gap = gap(Part::Sound, self.now.audio_until, self.now.video_until, at);
        self.now.audio_until = Some(at.plus(length));
        (self.now.unreachable_since, self.now.sound_lost) = (None, None);
        let mut features = self.seen(block.stamp);
        features.gap_ended = gap;
        features.sound = Some((at, block.rate, block.channels));
        features
    }

    fn interrupted(&mut self, stamp: Stamp) -> TransportFeatures {
        self.follows = false;
        TransportFeatures { interrupted: true, ..self.seen(stamp) }
    }

    fn seen(&mut self, stamp: Stamp) -> TransportFeatures {
        // Streams of one programme do not lie in order of their stamps; time is the furthest seen.
        let at = self.now.stamp.at.max(stamp.at);
        self.now.stamp = Stamp { at, arrived: stamp.arrived };
        self.now
    }
}

/// The gap that a unit of `part` ends at `at`; `until` and `other`: the end of what came before of it and of the other.
fn gap(
    part: Part,
    until: Option<MediaTime>,
    other: Option<MediaTime>,
    at: MediaTime,
) -> Option<(Part, MediaTime, MediaTime)> {
    let until = until?;
    let alone = other.is_some_and(|other| other > until.plus(WENT_ON));
    Some((if alone { part } else { Part::Programme }, until, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ms: i64) -> Stamp {
        Stamp { at: MediaTime(ms * 1_000_000), ..Stamp::default() }
    }

    fn block(ms: i64) -> AudioBlock {
        AudioBlock { stamp: stamp(ms), rate: 48_000, channels: 1, samples: vec![0.0; 4800] }
    }

    #[test]
    fn a_stream_may_take_a_gop_to_join() {
        let mut tracker = TransportTracker::default();
        tracker.opened(stamp(0), true, true);
        let features = tracker.sound(&block(3_000));
        assert_eq!(features.audio_until, Some(MediaTime(3_100_000_000)));
        assert!(features.video_until > Some(features.stamp.at), "no picture is missed yet");
    }

    #[test]
    fn pictures_that_are_not_decoded_are_there() {
        let mut tracker = TransportTracker::default();
        tracker.opened(stamp(0), true, false);
        for ms in (0..20_000).step_by(40) {
            let features = tracker.passed(stamp(ms));
            assert!(ms == 0 || features.video_until > Some(features.stamp.at));
        }
        assert_eq!(tracker.idle(stamp(21_000)).video_until, Some(MediaTime(20_160_000_000)));
    }

    #[test]
    fn a_lost_source_is_found_when_something_comes_of_it() {
        let mut tracker = TransportTracker::default();
        tracker.opened(stamp(0), false, true);
        tracker.sound(&block(0));
        tracker.lost(stamp(5_000), Part::Programme, Loss::Unreachable);
        assert_eq!(tracker.opened(stamp(9_000), false, true).unreachable_since, Some(MediaTime(100_000_000)));
        let features = tracker.sound(&block(9_500));
        assert_eq!(features.unreachable_since, None);
        assert_eq!(features.gap_ended, Some((Part::Programme, MediaTime(100_000_000), MediaTime(9_500_000_000))));
    }

    #[test]
    fn a_gap_of_the_sound_alone_is_told_as_such() {
        let mut tracker = TransportTracker::default();
        tracker.opened(stamp(0), true, true);
        tracker.sound(&block(0));
        for ms in (0..5_000).step_by(40) {
            tracker.passed(stamp(ms));
        }
        let gap = tracker.sound(&block(5_000)).gap_ended;
        assert_eq!(gap, Some((Part::Sound, MediaTime(100_000_000), MediaTime(5_000_000_000))));
    }

    #[test]
    fn a_picture_that_is_lost_alone_is_found_by_pictures_alone() {
        let mut tracker = TransportTracker::default();
        tracker.opened(stamp(0), true, true);
        tracker.passed(stamp(0));
        tracker.lost(stamp(1_000), Part::Picture, Loss::NoSignal);
        let features = tracker.sound(&block(1_000));
        assert_eq!((features.picture_lost, features.loss), (Some(MediaTime(1_000_000_000)), Loss::NoSignal));
        assert_eq!(features.unreachable_since, None);
        assert_eq!(tracker.passed(stamp(2_000)).picture_lost, None);
    }

    #[test]
    fn time_is_the_furthest_seen() {
        let mut tracker = TransportTracker::default();
        tracker.opened(stamp(0), false, true);
        tracker.sound(&block(2_000));
        assert_eq!(tracker.idle(stamp(1_000)).stamp.at, MediaTime(2_000_000_000));
    }
}
