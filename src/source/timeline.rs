//! From time stamps of a stream to the source's own continuous axis.
//!
//! Zero is the first picture (first sample where there is no picture). Wraps and jumps are taken out: detectors hold
//! durations against this axis, and a stream that jumps an hour has not stood still for an hour.

use crate::time::{MediaTime, Mono};

/// Which of the two streams of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// Pictures.
    Video = 0,
    /// Sound.
    Audio = 1,
}

/// A step back further than this is a jump: decoders put pictures in order, so time runs forward but for rounding.
const BACK_MAX: i64 = 100_000_000;
/// A step forward further than this is a jump of the clock; below it, pictures are missing. Receivers' own limit for
/// a lost programme is about that long, and stamps carry no other hint.
const FORWARD_MAX: i64 = 10_000_000_000;
/// Two streams of one programme are never further apart than this, so jumps that agree so far are one jump.
const APART_MAX: i64 = 2_000_000_000;
/// Pictures that may change places between coding and display (H.264, ITU-T H.264, max_num_reorder_frames): when more
/// than that go on as before a jump, it was none, but a stray stamp.
const REORDERED_MAX: u32 = 16;
/// A live stream whose stamps run behind the clock by more than this was held up, and its stamps with it.
const BEHIND_MAX: i64 = 500_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    offset: i64,
    before_jump: Option<i64>,
    /// Units since the jump that went on as before it.
    unmoved: u32,
    last: Option<i64>,
    step: i64,
    /// The stamps to come jump by so much.
    expected: Option<i64>,
}

/// Maps stamps of both streams onto one axis.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    lines: [Line; 2],
    anchored: bool,
    live: bool,
    newest: Option<(i64, Mono)>,
}

impl Timeline {
    /// `live`: the axis also goes on while nothing arrives.
    pub fn new(live: bool) -> Self {
        Self { live, ..Self::default() }
    }

    /// Whether zero is known.
    pub fn anchored(&self) -> bool {
        self.anchored
    }

    /// Makes `raw_ns` zero; after a reconnect, the place where the axis stands now.
    pub fn anchor(&mut self, raw_ns: i64, now: Mono) {
        let at = self.now(now).0;
        for line in &mut self.lines {
            *line = Line { offset: at - raw_ns, ..Line::default() };
        }
        self.anchored = true;
        self.newest = Some((at, now));
    }

    /// New connection: stamps start anew, the axis goes on.
    pub fn reopen(&mut self) {
        self.anchored = false;
    }

    /// Where the axis stands while nothing arrives.
    pub fn now(&self, now: Mono) -> MediaTime {
        match self.newest {
            Some((at, when)) if self.live => MediaTime(at).plus(now.since(when)),
            Some((at, _)) => MediaTime(at),
            None => MediaTime(0),
        }
    }

    /// The clock of a stream was set `by_ns` further: a step of about that size leaves no gap.
    pub fn expect(&mut self, track: Track, by_ns: i64) {
        self.lines[track as usize].expected = Some(by_ns);
    }

    /// Where a stream has come to.
    pub fn end(&self, track: Track) -> MediaTime {
        let line = self.lines[track as usize];
        MediaTime(line.last.map_or(0, |last| last + line.step))
    }

    /// The place of a unit whose stamp is `raw_ns` and which lasts `duration_ns` (0: unknown).
    pub fn place(&mut self, track: Track, raw_ns: i64, duration_ns: i64, arrived: Mono) -> MediaTime {
        let line = self.lines[track as usize];
        if let Some(last_at) = line.last {
            let gap = if line.step > 0 { line.step } else { duration_ns };
            let follows = |offset: i64| (raw_ns + offset - last_at - gap).abs() <= BEHIND_MAX;
            // Pictures change places between coding and display, so some from before a jump come after it.
            if let Some(before) = line.before_jump.filter(|&before| !follows(line.offset) && follows(before)) {
                return self.go_on_as_before(track, raw_ns + before, before);
            }
            let step = raw_ns + line.offset - last_at;
            if let Some(by) = line.expected.filter(|by| (step - by).abs() <= BEHIND_MAX) {
                self.set(track, line.offset - by);
            } else if !(-BACK_MAX..=FORWARD_MAX).contains(&step) {
                self.jump(track, last_at + gap - raw_ns);
            }
        }
        let mut at = raw_ns + self.lines[track as usize].offset;
        if self.live {
            let behind = self.now(arrived).0 - at;
            if behind > BEHIND_MAX {
                // The sender was held up: both streams move on together.
                self.lines.iter_mut().for_each(|line| line.offset += behind);
                at += behind;
            }
        }
        self.lines[track as usize].last = Some(at);
        self.lines[track as usize].step = duration_ns;
        if self.newest.is_none_or(|(newest, _)| at >= newest) {
            self.newest = Some((at, arrived));
        }
        MediaTime(at)
    }

    fn go_on_as_before(&mut self, track: Track, at: i64, before: i64) -> MediaTime {
        let line = &mut self.lines[track as usize];
        line.last = line.last.max(Some(at));
        line.unmoved += 1;
        if line.unmoved > REORDERED_MAX {
            line.offset = before;
            line.before_jump = None;
        }
        MediaTime(at)
    }

    fn jump(&mut self, track: Track, offset: i64) {
        let other = self.lines[1 - track as usize].offset;
        // The other stream has jumped already, or will: keep sound and picture together.
        self.set(track, if (other - offset).abs() <= APART_MAX { other } else { offset });
    }

    fn set(&mut self, track: Track, offset: i64) {
        let line = &mut self.lines[track as usize];
        line.before_jump = Some(line.offset);
        line.unmoved = 0;
        line.expected = None;
        line.offset = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;
    const FRAME: i64 = 40_000_000;

    #[test]
    fn time_starts_at_the_first_picture() {
        let mut timeline = Timeline::new(false);
        timeline.anchor(90 * S, Mono(0));
        assert_eq!(timeline.place(Track::Audio, 90 * S - FRAME, FRAME, Mono(0)), MediaTime(-FRAME));
        assert_eq!(timeline.place(Track::Video, 90 * S, FRAME, Mono(0)), MediaTime(0));
    }

    #[test]
    fn jumps_are_taken_out_and_keep_both_streams_together() {
        let mut timeline = Timeline::new(false);
        timeline.anchor(0, Mono(0));
        timeline.place(Track::Video, 5 * S, FRAME, Mono(0));
        timeline.place(Track::Audio, 5 * S, FRAME / 2, Mono(0));
        for jump in [3600 * S, -7200 * S] {
            let video = timeline.place(Track::Video, 5 * S + FRAME + jump, FRAME, Mono(0));
            let audio = timeline.place(Track::Audio, 5 * S + FRAME / 2 + jump, FRAME / 2, Mono(0));
            assert_eq!(video.0 - audio.0, FRAME / 2);
            assert!(video.0 < 6 * S, "{video:?}");
        }
    }

    #[test]
    fn pictures_out_of_order_around_a_jump_stay_in_place() {
        let mut timeline = Timeline::new(false);
        timeline.anchor(0, Mono(0));
        let mut placed = Vec::new();
        for (n, jump) in [(0, 0), (1, 0), (2, -3 * S), (3, 0), (4, -3 * S), (5, -3 * S)] {
            placed.push(timeline.place(Track::Video, 10 * S + n * FRAME + jump, FRAME, Mono(0)).0 - 10 * S);
        }
        assert_eq!(placed, [0, FRAME, 2 * FRAME, 3 * FRAME, 4 * FRAME, 5 * FRAME]);
    }

    #[test]
    fn a_stray_stamp_is_no_jump() {
        let mut timeline = Timeline::new(false);
        timeline.anchor(0, Mono(0));
        timeline.place(Track::Video, 0, FRAME, Mono(0));
        for n in 0..100 {
            // A picture from before a gap comes late.
            let raw = if n == 5 { FRAME } else { 3 * S + n * FRAME };
            let at = timeline.place(Track::Video, raw, FRAME, Mono(0)).0;
            assert!((at - 3 * S - n * FRAME).abs() <= FRAME, "{n}: {at}");
        }
    }

    #[test]
    fn a_jump_that_is_known_leaves_no_gap() {
        for by in [1_200_000_000, -700_000_000] {
            let mut timeline = Timeline::new(false);
            timeline.anchor(0, Mono(0));
            for track in [Track::Video, Track::Audio] {
                timeline.place(track, 10 * S, FRAME, Mono(0));
            }
            for track in [Track::Video, Track::Audio] {
                timeline.expect(track, by);
                assert_eq!(timeline.end(track), MediaTime(10 * S + FRAME));
                assert_eq!(timeline.place(track, 10 * S + FRAME, FRAME, Mono(0)), MediaTime(10 * S + FRAME));
                let at = timeline.place(track, 10 * S + 2 * FRAME + by, FRAME, Mono(0));
                assert_eq!(at, MediaTime(10 * S + 2 * FRAME), "{by}");
            }
        }
    }

    #[test]
    fn gaps_stay() {
        let mut timeline = Timeline::new(false);
        timeline.anchor(0, Mono(0));
        timeline.place(Track::Video, 0, FRAME, Mono(0));
        assert_eq!(timeline.place(Track::Video, 3 * S, FRAME, Mono(0)), MediaTime(3 * S));
    }

    #[test]
    fn a_live_axis_goes_on_without_units_and_never_back() {
        let mut timeline = Timeline::new(true);
        timeline.anchor(0, Mono(0));
        timeline.place(Track::Video, 0, FRAME, Mono(0));
        assert_eq!(timeline.now(Mono(4 * S as u64)), MediaTime(4 * S));
        // The sender was paused: its stamps go on where they stood.
        assert_eq!(timeline.place(Track::Video, FRAME, FRAME, Mono(4 * S as u64)), MediaTime(4 * S));
        assert_eq!(timeline.place(Track::Video, 2 * FRAME, FRAME, Mono(4 * S as u64)), MediaTime(4 * S + FRAME));
        // A reconnect starts other stamps at the place reached.
        timeline.reopen();
        timeline.anchor(77 * S, Mono(9 * S as u64));
        assert_eq!(timeline.place(Track::Video, 77 * S, FRAME, Mono(9 * S as u64)).0 / S, 9);
    }
}
