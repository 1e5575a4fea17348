//! A programme of noise and its way through made-up encoders.

use super::*;
use crate::time::MediaTime;

/// Noise that lasts: a value between 0 and 1 for each number.
fn dice(seed: u64, n: i64) -> f64 {
    let mut state =
        (n as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    for _ in 0..3 {
        state ^= state >> 29;
        state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// Luma of a cell: moves on from 0.4 s to 0.4 s.
fn luma(cell: usize, seconds: f64) -> f64 {
    let (n, share) = ((seconds / 0.4).floor(), (seconds / 0.4).fract());
    let at = |n: f64| 40.0 + 160.0 * dice(cell as u64, n as i64);
    at(n) + share * (at(n + 1.0) - at(n))
}

/// Level of the sound, dB above -100: words of 160 ms.
fn level(seconds: f64) -> f64 {
    let n = (seconds / 0.16).floor();
    (35.0 + 45.0 * dice(99, n as i64)) - 40.0 * (seconds / 0.16).fract()
}

/// What a programme looks like at one tap.
struct Tap {
    /// Pictures per second.
    fps: f64,
    /// Seconds by which picture and sound lie behind.
    picture_s: f64,
    sound_s: f64,
    /// Arrival less place, ns.
    epoch: i64,
    /// Which moment picture `n` shows, where it is not its own; `None`: it is left out.
    shows: fn(i64) -> Option<i64>,
    /// It shows pictures of so many a second, each from the nearest place on.
    made_of: Option<f64>,
    /// After so many seconds the programme begins again.
    repeats_s: f64,
    dark: fn(f64) -> bool,
    gain_db: f64,
}

impl Tap {
    fn behind(picture_s: f64, sound_s: f64) -> Self {
        Self {
            fps: 25.0,
            picture_s,
            sound_s,
            epoch: 0,
            shows: Some,
            made_of: None,
            repeats_s: 1e9,
            dark: |_| false,
            gain_db: 0.0,
        }
    }

    fn block(&self, second: i64) -> Block {
        let time = |seconds: f64| MediaTime((seconds * 1e9).round() as i64);
        let numbers = (second as f64 * self.fps).ceil() as i64..((second + 1) as f64 * self.fps).ceil() as i64;
        let picture = |n: i64| {
            let moment = (self.shows)(n)? as f64 / self.fps - self.picture_s;
            let held = |of: f64| ((moment + 0.5 / self.fps) * of + 1e-6).floor() / of;
            let moment = self.made_of.map_or(moment, held).rem_euclid(self.repeats_s);
            let dark = (self.dark)(n as f64 / self.fps);
            let cell = |cell| if dark { 16 * 64 } else { (luma(cell, moment) * 64.0) as u16 };
            Some(PicturePrint { at: time(n as f64 / self.fps), cells: std::array::from_fn(cell) })
        };
        let sound = |n: i64| {
            let from = second as f64 + n as f64 * 0.1;
            let level = |slice: usize| {
                (level((from + slice as f64 * 0.004 - self.sound_s).rem_euclid(self.repeats_s)) + self.gain_db) / 0.4
            };
            SoundPrint { at: time(from), levels: std::array::from_fn(|slice| level(slice).clamp(0.0, 255.0) as u8) }
        };
        Block {
            at: time(second as f64),
            epoch: self.epoch,
            width: 640,
            texture: [40; CELLS],
            pictures: numbers.filter_map(picture).collect(),
            sounds: (0..10).map(sound).collect(),
        }
    }
}

/// All readings of 30 s.
fn readings(pair: &mut Pair, input: &Tap, output: &Tap) -> Vec<Reading> {
    readings_of(30, pair, input, output)
}

fn readings_of(seconds: i64, pair: &mut Pair, input: &Tap, output: &Tap) -> Vec<Reading> {
    (0..seconds)
        .filter_map(|second| {
            pair.input(&input.block(second));
            pair.output(&output.block(second))
        })
        .collect()
}

fn measured(readings: &[Reading]) -> Vec<&Reading> {
    readings.iter().filter(|reading| reading.offset_ms.is_some()).collect()
}

#[test]
fn latency_and_offset_are_found_with_their_sign() {
    for (picture_s, sound_s) in [(0.0, 0.0), (1.2, 1.2), (0.4, 0.525), (3.0, 2.75), (0.04, 0.0), (2.0, 2.02)] {
        let mut pair = Pair::live();
        let all = readings_of(50, &mut pair, &Tap::behind(0.0, 0.0), &Tap::behind(picture_s, sound_s));
        let found = measured(&all);
        assert!(found.len() >= 25, "{picture_s} {sound_s}: {}", found.len());
        for reading in found {
            // Not before all is remembered that is searched.
            let latency = reading.latency_ms.unwrap_or(1000.0 * picture_s);
            assert!((latency - 1000.0 * picture_s).abs() < 10.0, "{picture_s} {latency}");
            let offset = reading.offset_ms.expect("measured");
            assert!((offset - 1000.0 * (sound_s - picture_s)).abs() < 5.0, "{picture_s} {sound_s} {offset}");
            assert_eq!(reading.pictures.missing + reading.pictures.repeated, 0);
        }
        assert!(all.iter().filter(|reading| reading.latency_ms.is_some()).count() > 10);
        let steady = pair.steady().expect("steady");
        assert!((steady.offset_ms - 1000.0 * (sound_s - picture_s)).abs() < 5.0 && steady.confidence > 0.9);
    }
}

#[test]
fn axes_that_began_at_other_times_are_told_by_arrival() {
    // The output was opened 100 s after the input.
    let input = Tap { epoch: 5_000_000_000, ..Tap::behind(0.0, 0.0) };
    let output = Tap { epoch: 5_800_000_000, ..Tap::behind(0.0, 0.0) };
    let all = readings_of(50, &mut Pair::live(), &input, &output);
    let latency = measured(&all).last().and_then(|reading| reading.latency_ms).expect("measured");
    assert!((latency - 800.0).abs() < 10.0, "{latency}");
}

#[test]
fn other_rates_of_pictures_change_little() {
    for fps in [24.0, 29.97, 50.0, 59.94] {
        let output = Tap { fps, ..Tap::behind(0.5, 0.625) };
        let all = readings(&mut Pair::live(), &Tap::behind(0.0, 0.0), &output);
        let found = measured(&all);
        assert!(found.len() >= 15, "{fps}");
        for reading in found {
            let offset = reading.offset_ms.expect("measured");
            assert!((offset - 125.0).abs() < 10.0, "{fps} {offset}");
        }
    }
}

#[test]
fn converters_of_rates_are_followed_to_a_few_milliseconds() {
    // That repeat, mix, and leave out: those take the one of their own moment.
    let repeat = [(25.0, 50.0), (25.0, 29.97), (24.0, 25.0), (29.97, 59.94)].map(|(from, to)| (from, to, Some(from)));
    let others = [(25.0, 50.0, None), (50.0, 25.0, None), (59.94, 29.97, None)];
    for (from, fps, made_of) in repeat.into_iter().chain(others) {
        let input = Tap { fps: from, ..Tap::behind(0.0, 0.0) };
        let all = readings(&mut Pair::live(), &input, &Tap { fps, made_of, ..Tap::behind(0.48, 0.605) });
        let found = measured(&all);
        assert!(found.len() >= 15, "{from} {fps}");
        for reading in found {
            let (offset, within) = reading.offset_ms.zip(reading.within_ms).expect("measured");
            assert!((offset - 125.0).abs() < within.min(10.0), "{from} {fps} {made_of:?}: {offset} {within}");
        }
    }
}

#[test]
fn what_is_shown_again_is_counted_across_rates_where_it_can_be_followed() {
    let sum = |output: &Tap| {
        let all = readings(&mut Pair::live(), &Tap::behind(0.0, 0.0), output);
        let mut sum = Pictures::default();
        all.iter().for_each(|reading| sum += reading.pictures);
        sum
    };
    let twice = Tap { fps: 50.0, made_of: Some(25.0), ..Tap::behind(0.4, 0.4) };
    let good = sum(&twice);
    assert!(good.followed > 1000 && good.repeated == 0, "{good:?}");
    // Each second one picture of the input stands for two.
    let stands = sum(&Tap { shows: |n| Some(if n % 50 < 4 { n / 50 * 50 } else { n }), ..twice });
    assert!((20..=27).contains(&stands.repeated), "{stands:?}");
    // Interpolated pictures are none of the input's.
    let mixed = sum(&Tap { fps: 50.0, ..Tap::behind(0.4, 0.4) });
    assert_eq!((mixed.followed, mixed.repeated), (0, 0));
}

#[test]
fn a_programme_that_repeats_is_ambiguous() {
    // 7 s late, which looks like 1 s as long as 7 s are not remembered.
    let (input, output) = (Tap::behind(0.0, 0.0), Tap::behind(7.0, 7.1));
    let [input, output] = [input, output].map(|tap| Tap { repeats_s: 6.0, ..tap });
    let mut pair = Pair::live();
    let all = readings_of(60, &mut pair, &input, &output);
    assert!(all.iter().all(|reading| reading.latency_ms.is_none()));
    assert!(all.iter().skip(45).all(|reading| reading.picture == Err(Silence::Ambiguous)));
    // The same of one that does not.
    let all = readings_of(60, &mut Pair::live(), &Tap::behind(0.0, 0.0), &Tap::behind(7.0, 7.1));
    let last = all.last().and_then(|reading| reading.latency_ms).expect("measured");
    assert!((last - 7000.0).abs() < 10.0, "{last}");
}

#[test]
fn what_does_not_change_or_is_another_programme_is_not_measured() {
    let still = Tap { shows: |_| Some(100), ..Tap::behind(0.0, 0.0) };
    let all = readings(&mut Pair::live(), &Tap::behind(0.0, 0.0), &still);
    assert!(measured(&all).is_empty());
    assert!(all.iter().any(|reading| reading.picture == Err(Silence::Quiet)));
    let other = Tap::behind(1000.0, 1000.0);
    let all = readings(&mut Pair::live(), &Tap::behind(0.0, 0.0), &other);
    assert!(measured(&all).is_empty());
    assert!(all.iter().any(|reading| reading.picture == Err(Silence::Unlike)));
}

#[test]
fn lost_and_repeated_pictures_are_counted() {
    let sum = |output: Tap| {
        let all = readings(&mut Pair::live(), &Tap::behind(0.0, 0.0), &output);
        let mut sum = Pictures::default();
        all.iter().for_each(|reading| sum += reading.pictures);
        sum
    };
    let missing = sum(Tap { shows: |n| (n % 20 != 7).then_some(n), ..Tap::behind(0.4, 0.4) });
    assert!((24..=36).contains(&missing.missing) && missing.repeated == 0, "{missing:?}");
    let repeated = sum(Tap { shows: |n| Some(if n % 20 == 7 { n - 1 } else { n }), ..Tap::behind(0.4, 0.4) });
    assert!((22..=36).contains(&repeated.repeated) && repeated.missing == 0, "{repeated:?}");
    // A rate of pictures that is twice as high shows each picture twice, which is no fault.
    let twice = sum(Tap { fps: 50.0, made_of: Some(25.0), ..Tap::behind(0.4, 0.4) });
    assert_eq!((twice.missing, twice.repeated), (0, 0), "{twice:?}");
}

#[test]
fn whoever_fails_is_named() {
    let time = |seconds: i64| MediaTime(seconds * 1_000_000_000);
    let blame = |input: Tap, output: Tap, fault| {
        let mut pair = Pair::live();
        readings(&mut pair, &input, &output);
        pair.blame(fault, time(22), time(27))
    };
    // At 22 s, where it is looked for.
    let stands: fn(i64) -> Option<i64> = |n| Some(n.min(550));
    let good = || Tap::behind(0.0, 0.0);
    assert_eq!(blame(good(), Tap { shows: stands, ..good() }, Fault::Still), Some(Blame::Encoder));
    assert_eq!(
        blame(Tap { shows: stands, ..good() }, Tap { shows: stands, ..good() }, Fault::Still),
        Some(Blame::Input)
    );
    let dark: fn(f64) -> bool = |at| at >= 22.0;
    assert_eq!(blame(good(), Tap { dark, ..good() }, Fault::Dark), Some(Blame::Encoder));
    assert_eq!(blame(Tap { dark, ..good() }, Tap { dark, ..good() }, Fault::Dark), Some(Blame::Input));
    assert_eq!(blame(good(), good(), Fault::Silent), Some(Blame::Encoder));
    let quiet = || Tap { gain_db: -60.0, ..good() };
    assert_eq!(blame(quiet(), quiet(), Fault::Silent), Some(Blame::Input));
    let skips: fn(i64) -> Option<i64> = |n| (n % 20 != 7).then_some(n);
    assert_eq!(blame(good(), Tap { shows: skips, ..good() }, Fault::Stumbles), Some(Blame::Encoder));
    // Nothing was ever measured.
    assert_eq!(Pair::live().blame(Fault::Still, time(22), time(27)), None);
}

#[test]
fn gain_is_told() {
    let all = readings(&mut Pair::live(), &Tap::behind(0.0, 0.0), &Tap { gain_db: -6.0, ..Tap::behind(0.4, 0.4) });
    let level = measured(&all).last().and_then(|reading| reading.level_db).expect("measured");
    assert!((level + 6.0).abs() < 0.5, "{level}");
    let quality = measured(&all).last().and_then(|reading| reading.quality).expect("measured");
    assert!(quality > 0.99, "{quality}");
}
