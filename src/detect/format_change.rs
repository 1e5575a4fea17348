//! What arrives is of another kind than before: size, rate, scan, sampling, channels.

use super::{Defect, Observation, Presence, Severity};
use crate::features::TransportFeatures;
use crate::frame::FieldOrder;
use crate::time::MediaTime;
use std::time::Duration;

/// A picture of another size may be one damaged header; a stream that changed goes on.
const SIZE_HOLD: Duration = Duration::from_millis(100);
/// Decoders find out about a second channel and a doubled rate (AAC) within some packets.
const SOUND_HOLD: Duration = Duration::from_millis(400);
/// Coders choose between frames and fields from picture to picture.
const SCAN_HOLD: Duration = Duration::from_secs(3);
/// A source whose scan changes more often than this mixes film and video, and may.
const SCAN_STEADY: Duration = Duration::from_secs(600);
/// A rate is what the steps of two such stretches in a row agree on.
const RATE_OVER: Duration = Duration::from_secs(1);
/// Rates further apart than this are different ones: 24 and 25 are 4 % apart, 29.97 and 30 0.1 %.
const RATE_APART: f64 = 0.03;
/// Steps that differ by more than this from their mean are not even: they come of gaps or of a variable rate.
const RATE_UNEVEN: f64 = 0.25;
/// Changes that wait to be told: each of them is a point in time of its own.
const WAITING: usize = 4;

/// What became of a format, or of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Nothing did: the mark of the picture that stands (of `freeze`).
    Standing(u64),
    /// Width and height of the picture.
    Size {
        /// Before.
        from: (u32, u32),
        /// Now.
        to: (u32, u32),
    },
    /// Pictures per second.
    Rate {
        /// Before.
        from: f64,
        /// Now.
        to: f64,
    },
    /// Whether pictures are interlaced.
    Scan {
        /// Before.
        from: bool,
        /// Now.
        to: bool,
    },
    /// Samples of sound per second.
    Sampling {
        /// Before.
        from: u32,
        /// Now.
        to: u32,
    },
    /// Channels of sound.
    Channels {
        /// Before.
        from: u16,
        /// Now.
        to: u16,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scan = |interlaced: bool| if interlaced { "interlaced" } else { "progressive" };
        match *self {
            Change::Standing(mark) => write!(f, "(mark {mark:016x})"),
            Change::Size { from, to } => write!(f, "from {}x{} to {}x{}", from.0, from.1, to.0, to.1),
            Change::Rate { from, to } => write!(f, "from {from:.2} to {to:.2} per second"),
            Change::Scan { from, to } => write!(f, "from {} to {}", scan(from), scan(to)),
            Change::Sampling { from, to } => write!(f, "from {from} to {to} Hz"),
            Change::Channels { from, to } => write!(f, "from {from} to {to}"),
        }
    }
}

/// A value that must stay for a while to count.
#[derive(Clone, Copy, Debug)]
struct Steady<T> {
    known: Option<T>,
    seen: Option<(T, MediaTime)>,
}

impl<T> Default for Steady<T> {
    fn default() -> Self {
        Self { known: None, seen: None }
    }
}

impl<T: Copy + PartialEq> Steady<T> {
    /// Old and new value, and since when, at the moment at which the new one has stayed for `hold`.
    fn observe(&mut self, value: T, at: MediaTime, hold: Duration) -> Option<(T, T, MediaTime)> {
        let since = self.seen.filter(|(seen, _)| *seen == value).map_or(at, |(_, since)| since);
        self.seen = Some((value, since));
        if self.known == Some(value) || at.since(since) < hold {
            return None;
        }
        self.known.replace(value).map(|old| (old, value, since))
    }
}

/// The rate of pictures.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    from: MediaTime,
    steps: u32,
    shortest: Duration,
    longest: Duration,
    total: Duration,
    /// Of the last even stretch, and when it began.
    before: Option<(f64, MediaTime)>,
    known: Option<f64>,
}

impl Rate {
    fn observe(&mut self, at: MediaTime, step: Duration) -> Option<(f64, f64, MediaTime)> {
        if self.steps == 0 {
            (self.from, self.shortest, self.longest, self.total) = (at.minus(step), step, step, Duration::ZERO);
        }
        self.steps += 1;
        self.total += step;
        (self.shortest, self.longest) = (self.shortest.min(step), self.longest.max(step));
        if self.total < RATE_OVER {
            return None;
        }
        let mean = self.total.as_secs_f64() / f64::from(std::mem::take(&mut self.steps));
        let off = |step: Duration| (step.as_secs_f64() / mean - 1.0).abs() > RATE_UNEVEN;
        let now = (!off(self.shortest) && !off(self.longest)).then_some((1.0 / mean, self.from));
        let (before, since) = std::mem::replace(&mut self.before, now)?;
        let rate = now?.0;
        if apart(rate, before) || self.known.is_some_and(|known| !apart(rate, known)) {
            return None;
        }
        self.known.replace(rate).map(|old| (old, rate, since))
    }

    fn interrupt(&mut self) {
        (self.steps, self.before) = (0, None);
    }
}

fn apart(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() > RATE_APART
}

/// Follows one source, over reconnects too: what comes back as it was has not changed.
#[derive(Clone, Debug, Default)]
pub struct FormatChange {
    size: Steady<(u32, u32)>,
    interlaced: Steady<bool>,
    scan_changed: Option<MediaTime>,
    rate: Rate,
    sampling: Steady<u32>,
    channels: Steady<u16>,
    waiting: heapless::Deque<(MediaTime, Change), WAITING>,
    telling: bool,
}

impl FormatChange {
    /// Looks at what has arrived.
    pub fn observe(&mut self, features: &TransportFeatures) -> Observation {
        if features.interrupted {
            self.rate.interrupt();
        }
        self.picture(features);
        if let Some((at, sampling, channels)) = features.sound {
            let rate = self.sampling.observe(sampling, at, SOUND_HOLD);
            self.note(rate.map(|(from, to, since)| (since, Change::Sampling { from, to })));
            let count = self.channels.observe(channels, at, SOUND_HOLD);
            self.note(count.map(|(from, to, since)| (since, Change::Channels { from, to })));
        }
        // Each is raised and cleared before the next.
        self.telling = !self.telling && !self.waiting.is_empty();
        let told = if self.telling { self.waiting.pop_front() } else { None };
        told.map_or(Observation::of(Defect::FormatChange), |(since, change)| present(since, change))
    }

    fn picture(&mut self, features: &TransportFeatures) {
        let Some(picture) = &features.picture else { return };
        let at = picture.at;
        let size = self.size.observe(picture.size, at, SIZE_HOLD);
        self.note(size.map(|(from, to, since)| (since, Change::Size { from, to })));
        let is_interlaced = picture.field_order != FieldOrder::Progressive;
        if let Some((from, to, since)) = self.interlaced.observe(is_interlaced, at, SCAN_HOLD) {
            let often = self.scan_changed.replace(at).is_some_and(|last| at.since(last) < SCAN_STEADY);
            self.note(Some((since, Change::Scan { from, to })).filter(|_| !often));
        }
        if let Some(step) = picture.step {
            let rate = self.rate.observe(at, step);
            self.note(rate.map(|(from, to, since)| (since, Change::Rate { from, to })));
        }
    }

    fn note(&mut self, change: Option<(MediaTime, Change)>) {
        // When more wait than ever change at once, the rest says nothing new.
        let _ = change.map(|change| self.waiting.push_back(change));
    }
}

fn present(since: MediaTime, change: Change) -> Observation {
    let (phrase, unit, was, is) = match change {
        Change::Size { from, to } => ("picture size changed", "lines", f64::from(from.1), f64::from(to.1)),
        Change::Rate { from, to } => ("picture rate changed", "1/s", from, to),
        Change::Scan { from, to } => ("scan changed", "", f64::from(u8::from(from)), f64::from(u8::from(to))),
        Change::Sampling { from, to } => ("sampling rate of the sound changed", "Hz", f64::from(from), f64::from(to)),
        Change::Channels { from, to } => ("number of channels changed", "ch", f64::from(from), f64::from(to)),
        // Said by `freeze` alone.
        Change::Standing(_) => ("picture stands still", "", 0.0, 0.0),
    };
    let mild = matches!(change, Change::Scan { .. });
    Observation {
        presence: Presence::Present,
        since: Some(since),
        severity: if mild { Severity::Warning } else { Severity::Minor },
        value: is,
        threshold: was,
        unit,
        phrase,
        change: Some(change),
        ..Observation::of(Defect::FormatChange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Arrival;

    /// Changes told of pictures, by time of telling; each picture as (step in ms, size, interlaced).
    fn told(pictures: impl IntoIterator<Item = (i64, (u32, u32), bool)>) -> Vec<(f64, Change)> {
        let (mut detector, mut at, mut told) = (FormatChange::default(), MediaTime(0), Vec::new());
        for (ms, size, interlaced) in pictures {
            at = MediaTime(at.0 + ms * 1_000_000);
            let field_order = if interlaced { FieldOrder::TopFirst } else { FieldOrder::Progressive };
            let step = Some(Duration::from_millis(ms as u64));
            let picture = Some(Arrival { at, step, damaged: false, size, field_order, missing: 0 });
            let said = detector.observe(&TransportFeatures { picture, ..TransportFeatures::default() });
            told.extend(said.change.map(|change| (said.since.map_or(-1.0, MediaTime::as_secs_f64), change)));
        }
        told
    }

    const HD: (u32, u32) = (1280, 720);
    const SD: (u32, u32) = (720, 576);

    #[test]
    fn another_size_is_told_once_and_a_single_picture_is_not() {
        let change = Change::Size { from: HD, to: SD };
        let sizes =
            |at: std::ops::Range<i64>| told((1..100).map(|n| (40, if at.contains(&n) { SD } else { HD }, false)));
        assert_eq!(sizes(50..100), [(2.0, change)]);
        assert_eq!(change.to_string(), "from 1280x720 to 720x576");
        assert_eq!(sizes(50..52), []);
        assert_eq!(sizes(0..100), [], "the first is none");
    }

    #[test]
    fn another_rate_is_told_and_gaps_are_not() {
        let rates = told((0..300).map(|n| (if n < 100 { 40 } else { 20 }, HD, false)));
        let [(since, Change::Rate { from, to })] = rates[..] else { panic!("{rates:?}") };
        assert!((from - 25.0).abs() < 0.1 && (to - 50.0).abs() < 0.1 && (since - 4.0).abs() <= 1.0, "{rates:?}");
        assert_eq!(told((0..300).map(|n| (if n % 9 == 0 { 120 } else { 40 }, HD, false))), []);
        assert_eq!(told((0..600).map(|n| (if n < 300 { 33 + n % 2 } else { 33 }, HD, false))), [], "1 % apart");
    }

    #[test]
    fn scan_must_stay_and_be_new() {
        let scans = |interlaced: fn(i64) -> bool| told((0..2000).map(|n| (40, HD, interlaced(n))));
        assert_eq!(scans(|n| n >= 500), [(20.04, Change::Scan { from: false, to: true })]);
        assert_eq!(scans(|n| n % 50 < 20), [], "a coder chooses");
        assert_eq!(scans(|n| n / 250 % 2 == 1).len(), 1, "film and video in turn");
    }

    #[test]
    fn sound_is_followed_and_both_changes_are_told() {
        let (mut detector, mut told) = (FormatChange::default(), Vec::new());
        for n in 0..100 {
            let at = MediaTime(n * 100_000_000);
            let sound = Some(if n < 50 { (at, 48_000, 2) } else { (at, 44_100, 6) });
            let said = detector.observe(&TransportFeatures { sound, ..TransportFeatures::default() });
            told.extend(said.change);
        }
        let changes = [Change::Sampling { from: 48_000, to: 44_100 }, Change::Channels { from: 2, to: 6 }];
        assert_eq!(told, changes);
        assert_eq!(changes[1].to_string(), "from 2 to 6");
    }
}
