//! Jumps of the clock of a stream, told from what only looks like one: absent packets, signalled splices, the wrap.

use super::ts_bytes::Witness;
use crate::frame::ClockJump;
use crate::time::Mono;

/// A step forward of more than this is a jump: presentation times of a stream come at least so often (ETSI TR 101 290,
/// indicator 2.5, PTS error).
const FORWARD_MIN: i64 = 700_000_000;
/// A step back of more than this is one. Times of decoding never go back; muxers round them.
const BACK_MIN: i64 = 200_000_000;
/// A step forward must be longer than the longest before by this factor: pictures of slides come when they change.
const LONGER: i64 = 3;
/// Steps after which a stream is known.
const KNOWN: u32 = 10;
/// 2^33 ticks of 90 kHz, after which stamps of MPEG systems start anew (ISO/IEC 13818-1, 2.4.3.7).
const WRAP: i64 = (1 << 33) * 100_000 / 9;
/// Steps that agree so far are one jump of both streams.
const AGREE: i64 = 1_000_000_000;

/// A packet's times, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    /// When it is due to be decoded.
    pub due: i64,
    /// How long it lasts, 0 where that is not known.
    pub lasts: i64,
    /// When it was read.
    pub arrived: Mono,
    /// Transport complained of it.
    pub corrupt: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Track {
    last: Option<(i64, Mono)>,
    usual: i64,
    longest: i64,
    steps: u32,
    corrupt: bool,
    /// How far it came, jumps left out.
    run: i64,
    /// How far the other stream had come at the last packet of this one.
    beside: i64,
}

/// Follows the clocks of both streams of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    tracks: [Track; 2],
    /// The jump of one of them that the other will follow, or has.
    last_jump: Option<(usize, i64)>,
    /// Whether packets arrive in real time, so that arrival tells absence.
    live: bool,
}

impl Clocks {
    /// `live`: packets arrive when they are sent.
    pub(super) fn new(live: bool) -> Self {
        Self { live, ..Self::default() }
    }

    /// Takes in the next packet of stream 0 (pictures) or 1 (sound). `witness` looks at the bytes around it.
    pub(super) fn observe(
        &mut self,
        which: usize,
        ticks: Ticks,
        witness: impl FnOnce() -> Option<Witness>,
    ) -> Option<ClockJump> {
        let other = self.tracks[1 - which].run;
        let track = &mut self.tracks[which];
        let went_on = other - std::mem::replace(&mut track.beside, other);
        let corrupt = std::mem::replace(&mut track.corrupt, ticks.corrupt) || ticks.corrupt;
        let (last, arrived) = track.last.replace((ticks.due, ticks.arrived))?;
        let step = without_wrap(ticks.due - last);
        let by = step - track.usual;
        let forward = by > FORWARD_MIN.max(LONGER * track.longest);
        if !(forward || by < -BACK_MIN) || track.steps < KNOWN {
            track.steps += 1;
            track.run += step;
            track.longest = track.longest.max(step);
            track.usual = if ticks.lasts > 0 { ticks.lasts } else { step.max(0) };
            return None;
        }
        if let Some((_, before)) =
            self.last_jump.take_if(|(other, before)| *other != which && (*before - by).abs() <= AGREE)
        {
            return Some(ClockJump { by_ns: before, told: false });
        }
        let waited = ticks.arrived.since(arrived).as_nanos() as i64;
        let seen = witness().unwrap_or_default();
        // What is absent leaves a gap; only a clock that was set anew leaves none.
        let absent = (self.live && waited > by / 2) || went_on > by / 2 || corrupt || (seen.lost && !seen.signalled);
        if forward && absent {
            return None;
        }
        self.last_jump = Some((which, by));
        Some(ClockJump { by_ns: by, told: !seen.signalled && !corrupt })
    }
}

/// A step over the wrap is a step of what remains.
fn without_wrap(step: i64) -> i64 {
    let rest = (step + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
    if step.abs() > WRAP / 2 { rest } else { step }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Jumps told of a stream that steps by 40 ms and then by `step`.
    fn jump(step: i64, live: bool, waited: i64, corrupt: bool, witness: Option<Witness>) -> Option<ClockJump> {
        let mut clocks = Clocks::new(live);
        let (mut due, mut now) = (0, 0);
        for n in 0..=50 {
            let last = n == 50;
            due += if last { step } else { 40 * MS };
            now += if last { waited } else { 40 * MS };
            let ticks = Ticks { due, lasts: 40 * MS, arrived: Mono(now as u64), corrupt: corrupt && last };
            let told = clocks.observe(0, ticks, || witness);
            if last {
                return told;
            }
            assert_eq!(told, None);
        }
        None
    }

    const CLEAN: Option<Witness> = Some(Witness { signalled: false, lost: false });

    #[test]
    fn a_clock_that_jumps_is_told() {
        for step in [20_040, -2_960, -300, 1_040] {
            let told = jump(step * MS, false, 0, false, CLEAN);
            assert_eq!(told, Some(ClockJump { by_ns: (step - 40) * MS, told: true }), "{step}");
        }
        assert_eq!(jump(500 * MS, false, 0, false, CLEAN), None, "some pictures are missing");
    }

    #[test]
    fn signals_losses_and_wraps_are_no_jumps() {
        let signalled = Some(Witness { signalled: true, lost: true });
        assert_eq!(jump(-3_000 * MS, false, 0, false, signalled).map(|jump| jump.told), Some(false));
        assert_eq!(jump(3_000 * MS, false, 0, false, Some(Witness { signalled: false, lost: true })), None);
        assert_eq!(jump(3_000 * MS, false, 0, true, None), None);
        assert_eq!(jump(40 * MS - WRAP, false, 0, false, CLEAN), None);
    }

    #[test]
    fn a_live_stream_that_paused_did_not_jump() {
        assert_eq!(jump(3_000 * MS, true, 3_000 * MS, false, None), None);
        assert!(jump(3_000 * MS, true, 40 * MS, false, None).is_some_and(|jump| jump.told));
    }

    #[test]
    fn both_streams_make_one_jump() {
        let mut clocks = Clocks::new(false);
        let mut told = Vec::new();
        for n in 0..100 {
            let due = n * 40 * MS + if n < 50 { 0 } else { 5_000 * MS };
            for which in 0..2 {
                let ticks = Ticks { due, lasts: 40 * MS, arrived: Mono(0), corrupt: false };
                told.extend(clocks.observe(which, ticks, || CLEAN).map(|jump| (which, jump.told)));
            }
        }
        assert_eq!(told, [(0, true), (1, false)]);
    }

    #[test]
    fn a_stream_that_was_absent_beside_another_did_not_jump() {
        let mut clocks = Clocks::new(false);
        for n in (0..100).filter(|n| !(50..90).contains(n)) {
            let ticks = |due| Ticks { due, lasts: 40 * MS, arrived: Mono(0), corrupt: false };
            assert_eq!(clocks.observe(1, ticks(n * 40 * MS), || CLEAN), None);
            for n in if n == 49 { n..90 } else { n..n + 1 } {
                assert_eq!(clocks.observe(0, ticks(n * 40 * MS), || CLEAN), None);
            }
        }
    }

    #[test]
    fn slides_come_when_they_change() {
        let mut clocks = Clocks::new(false);
        let steps = [40, 1_500, 40, 900, 40, 40, 2_500, 600, 40, 40, 1_000, 40, 40, 3_000, 40, 2_000];
        let mut due = 0;
        for step in steps {
            due += step * MS;
            let ticks = Ticks { due, lasts: 0, arrived: Mono(0), corrupt: false };
            assert_eq!(clocks.observe(0, ticks, || CLEAN), None);
        }
    }
}
