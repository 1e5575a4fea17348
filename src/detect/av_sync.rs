//! Sound against picture: beyond the limits of EBU R 37 and ITU-R BT.1359, whichever way it is known.
//!
//! Three ways lead to an offset: line-up signals in the programme (`line_up`), the source before the encoder
//! (`pair_with`), and time stamps. Each keeps its own state, so that one that knows nothing any more clears nothing.

mod beep;
mod clocks;
mod flash;
mod line_up;

use super::{Defect, Observation, Presence, Severity};
use crate::features::{AudioFeatures, TransportFeatures, VideoFeatures};
use crate::time::MediaTime;
pub use clocks::Clocks;

use beep::Beeps;
use clocks::ClockWatch;
use flash::Flashes;
use line_up::LineUp;
use std::time::Duration;

/// Half of the hysteresis around a limit, ms: more where the offset is not known as well as that.
const HYSTERESIS_MS: f64 = 5.0;
/// What was measured longer ago says nothing of now: a channel may go from the line-up to the programme.
const STALE: Duration = Duration::from_secs(120);

/// Limits, ms, as sizes: from the first on it is told, from the second on it is major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Of sound before its picture.
    pub early_ms: [f64; 2],
    /// Of sound after its picture.
    pub late_ms: [f64; 2],
}

impl Default for Settings {
    /// EBU R 37 (distribution) and ITU-R BT.1359-1 (acceptability).
    fn default() -> Self {
        Self { early_ms: [40.0, 90.0], late_ms: [60.0, 185.0] }
    }
}

/// How an offset is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Flashes and beeps in the programme.
    LineUp,
    /// The source before the encoder: what the encoder adds.
    Pair,
    /// Time stamps.
    Stamps,
}

/// A measured offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offset {
    /// Positive: sound late.
    pub ms: f64,
    /// It may be off by this much.
    pub within_ms: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Since when it is so.
    pub since: MediaTime,
    /// When it was last measured.
    pub at: MediaTime,
}

/// What one way says.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    offset: Option<Offset>,
    /// Beyond the limits, since then.
    bad: Option<MediaTime>,
}

/// Follows one source.
#[derive(Clone, Debug)]
pub struct AvSync {
    settings: Settings,
    flashes: Flashes,
    beeps: Beeps,
    line_up: LineUp,
    clocks: ClockWatch,
    known: [Known; 3],
}

impl AvSync {
    /// With `settings`.
    pub fn new(settings: Settings) -> Self {
        let (flashes, beeps, line_up, clocks) = Default::default();
        Self { settings, flashes, beeps, line_up, clocks, known: Default::default() }
    }

    /// Takes 100 ms of sound.
    pub fn hear(&mut self, features: &AudioFeatures) {
        let line_up = &mut self.line_up;
        self.beeps.take(features, |beep| line_up.beep(beep));
    }

    /// Takes what arrives: what does not follow has an offset of its own.
    pub fn arrived(&mut self, features: &TransportFeatures) {
        if features.jump.is_some() || features.unreachable_since.is_some() {
            self.line_up.restart();
            self.known[By::LineUp as usize].offset = None;
            self.known[By::Stamps as usize].offset = None;
        }
        if self.clocks.take(features) {
            let drifted = self.clocks.drifted();
            let offset = |(ms, since)| Offset { ms, within_ms: 0.0, confidence: 0.9, since, at: features.stamp.at };
            self.known[By::Stamps as usize].offset = drifted.map(offset);
        }
    }

    /// How the clocks of picture and sound go.
    pub fn clocks(&self) -> Option<Clocks> {
        self.clocks.clocks()
    }

    /// Takes an offset that is known `by` another way; `None`: it is not known any more.
    pub fn take(&mut self, by: By, offset: Option<Offset>) {
        self.known[by as usize].offset = offset;
    }

    /// The offset of the programme, by its line-up signal.
    pub fn lined_up(&self) -> Option<Offset> {
        self.known[By::LineUp as usize].offset
    }

    /// Looks at a picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        if let Some(flash) = self.flashes.take(features) {
            self.line_up.flash(flash);
        }
        let known = self.flashes.known_until().zip(self.beeps.known_until());
        if let Some(measured) = known.and_then(|(flashes, beeps)| self.line_up.decide(flashes.min(beeps))) {
            let confidence = 1.0 - 0.5_f64.powi(measured.pairs as i32);
            let Known { offset, .. } = &mut self.known[By::LineUp as usize];
            let (ms, since) = (measured.offset_ms, measured.since);
            *offset = Some(Offset { ms, within_ms: 0.0, confidence, since, at: measured.at });
        }
        self.say(features.stamp.at)
    }

    fn say(&mut self, now: MediaTime) -> Observation {
        let settings = self.settings;
        for known in &mut self.known {
            known.judge(&settings, now);
        }
        let offsets = || self.known.iter().zip([By::LineUp, By::Pair, By::Stamps]);
        let bad = offsets().filter(|(known, _)| known.bad.is_some());
        let worst = bad.max_by(|(a, _), (b, _)| settings.excess(a.ms()).total_cmp(&settings.excess(b.ms())));
        let any = || offsets().find(|(known, _)| known.offset.is_some());
        let Some((known, by)) = worst.or_else(any) else { return Observation::of(Defect::AvSync) };
        let (ms, [minor, major]) = (known.ms(), settings.limits(known.ms()));
        Observation {
            presence: if known.bad.is_some() { Presence::Present } else { Presence::Absent },
            since: known.bad,
            severity: if ms.abs() >= major { Severity::Major } else { Severity::Minor },
            value: ms,
            threshold: minor.copysign(ms),
            unit: "ms",
            confidence: known.offset.map(|offset| offset.confidence),
            phrase: phrase(by, ms > 0.0),
            ..Observation::of(Defect::AvSync)
        }
    }
}

fn phrase(by: By, late: bool) -> &'static str {
    match (by, late) {
        (By::LineUp, true) => "sound is late against the picture, by flash and beep",
        (By::LineUp, false) => "sound is early against the picture, by flash and beep",
        (By::Pair, true) => "the encoder makes the sound late against the picture",
        (By::Pair, false) => "the encoder makes the sound early against the picture",
        (By::Stamps, true) => "the clock of the sound falls behind that of the picture",
        (By::Stamps, false) => "the clock of the sound runs ahead of that of the picture",
    }
}

impl Settings {
    /// The limits on the side of `ms`.
    fn limits(&self, ms: f64) -> [f64; 2] {
        if ms > 0.0 { self.late_ms } else { self.early_ms }
    }

    /// How far `ms` lies beyond its limit; negative within it.
    fn excess(&self, ms: f64) -> f64 {
        ms.abs() - self.limits(ms)[0]
    }
}

impl Known {
    fn ms(&self) -> f64 {
        self.offset.map_or(0.0, |offset| offset.ms)
    }

    fn judge(&mut self, settings: &Settings, now: MediaTime) {
        self.offset = self.offset.filter(|offset| now.since(offset.at) <= STALE);
        let Some(offset) = self.offset else {
            self.bad = None;
            return;
        };
        let (excess, margin) = (settings.excess(offset.ms), offset.within_ms.max(HYSTERESIS_MS));
        if excess >= margin {
            self.bad.get_or_insert(offset.since);
        } else if excess < -margin {
            self.bad = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Picture, analyzer, at};
    use super::*;
    use crate::time::Stamp;

    fn offset(ms: f64, at: MediaTime) -> Option<Offset> {
        Some(Offset { ms, within_ms: 3.0, confidence: 1.0, since: at, at })
    }

    #[test]
    fn limits_differ_by_side_and_have_a_hysteresis() {
        let mut detector = AvSync::new(Settings::default());
        let mut say = |ms: f64| {
            detector.take(By::Pair, offset(ms, at(0)));
            let said = detector.say(at(1));
            (said.presence == Presence::Present, said.severity, said.threshold)
        };
        for (ms, bad) in [(0.0, false), (40.0, false), (64.0, false), (65.0, true), (56.0, true), (54.0, false)] {
            assert_eq!(say(ms), (bad, Severity::Minor, if ms > 0.0 { 60.0 } else { 40.0 }), "{ms}");
        }
        assert_eq!(say(-40.0), (false, Severity::Minor, -40.0));
        assert_eq!(say(-46.0), (true, Severity::Minor, -40.0));
        assert_eq!(say(-250.0), (true, Severity::Major, -40.0));
        assert_eq!(say(190.0), (true, Severity::Major, 60.0));
    }

    #[test]
    fn what_is_known_less_well_must_be_further_beyond() {
        let mut detector = AvSync::new(Settings::default());
        let mut is_bad = |ms: f64| {
            let offset = offset(ms, at(0)).map(|offset| Offset { within_ms: 20.0, ..offset });
            detector.take(By::Pair, offset);
            detector.say(at(1)).presence == Presence::Present
        };
        let told = [79.0, 80.0, 41.0, 39.0, -59.0, -60.0].map(&mut is_bad);
        assert_eq!(told, [false, true, true, false, false, true]);
    }

    #[test]
    fn what_is_not_known_is_no_offset_of_zero() {
        let mut detector = AvSync::new(Settings::default());
        assert_eq!(detector.say(at(1)), Observation::of(Defect::AvSync));
        detector.take(By::Pair, offset(200.0, at(1)));
        assert_eq!(detector.say(at(2)).presence, Presence::Present);
        // Two minutes later nothing supports it any more.
        assert_eq!(detector.say(at(3200)), Observation::of(Defect::AvSync));
    }

    #[test]
    fn the_worst_of_all_ways_is_told() {
        let mut detector = AvSync::new(Settings::default());
        detector.take(By::LineUp, offset(10.0, at(1)));
        assert_eq!(detector.say(at(1)).presence, Presence::Absent);
        detector.take(By::Pair, offset(100.0, at(1)));
        detector.take(By::Stamps, offset(-95.0, at(1)));
        assert_eq!(detector.say(at(1)).value, -95.0);
        detector.take(By::Stamps, None);
        assert_eq!(detector.say(at(1)).value, 100.0);
    }

    #[test]
    fn flash_and_beep_are_measured_with_their_sign() {
        for late_ms in [-120_i64, 130] {
            let (mut pictures, mut detector) = (analyzer(), AvSync::new(Settings::default()));
            let mut last = Observation::of(Defect::AvSync);
            for n in 0..200_usize {
                let lit = n % 50 == 25 || n % 50 == 26;
                let picture = Picture::hills(n as f64).over(|x, y| (lit && x < 120 && y < 90).then_some(235.0));
                last = detector.observe(pictures.analyze(picture.frame(n)));
                if n % 5 == 4 {
                    let start = (n / 5) as i64 * 200;
                    for block in [start, start + 100] {
                        let level = |ms: i64| if (ms - 1000 - late_ms).rem_euclid(2000) < 60 { 0.1 } else { 1e-7 };
                        let envelope = (block..block + 100).map(level).collect();
                        let time = |ms: i64| MediaTime(ms * 1_000_000);
                        let stamp = Stamp { at: time(block), ..Stamp::default() };
                        detector.hear(&AudioFeatures {
                            stamp,
                            end: time(block + 100),
                            envelope,
                            ..AudioFeatures::default()
                        });
                    }
                }
            }
            assert_eq!((last.presence, last.value), (Presence::Present, late_ms as f64));
        }
    }
}
