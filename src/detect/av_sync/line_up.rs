//! Flashes and lone sounds that belong together, and what they say of the offset.
//!
//! A flash counts when one lone sound is nearest to it and no other comes near, and the other way round. An offset is
//! known when three such pairs in a row agree, or two that are the same signal twice, to a few milliseconds and with
//! nothing else between them; four where they come at any time and not at whole half seconds. Flashes and sounds without a partner speak against it: programme has both.

use super::beep::Beep;
use super::flash::Flash;
use crate::time::MediaTime;
use std::time::Duration;

/// How far a sound may lie from its flash, either way.
pub(super) const APART_MAX: Duration = Duration::from_millis(800);
/// The next nearest must be this much further away, as a factor and in ms.
const CLEARER: (f64, f64) = (1.5, 200.0);
/// Flashes and sounds that are remembered: of a signal of one each second, a few times what is needed.
const REMEMBERED: usize = 16;
/// Older pairs say nothing of now.
const FORGET: Duration = Duration::from_secs(60);
/// Pairs that must agree, and that the median is taken of at the most.
const AGREE: usize = 3;
const MEDIAN_OF: usize = 5;
/// Pairs agree within the time of a picture, up to 40 ms, and this, ms; ...
const STEP_MAX_MS: f64 = 40.0;
const AGREE_MS: f64 = 5.0;
/// ... two alone within this: one in eighty that have nothing to do with each other does.
const TWO_AGREE_MS: f64 = 10.0;
/// Signals recur at a multiple of this, ms; of what comes at any time more pairs must agree.
const REGULAR_MS: f64 = 500.0;
const AGREE_ANYHOW: usize = 4;
/// The same signal: peaks within, dB; lengths of the sound within, ms; shares of the picture within, as a factor.
const SAME_DB: f32 = 4.0;
const SAME_MS: u32 = 40;
const SAME_SHARE: f32 = 1.25;

/// A flash and its sound.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    flash: Flash,
    beep: Beep,
    /// Positive: sound late.
    offset_ms: f64,
}

/// What pairs say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Positive: sound late.
    pub offset_ms: f64,
    /// It may be off by this much.
    pub within_ms: f64,
    /// Pairs that agree.
    pub pairs: usize,
    /// When the first of them was.
    pub since: MediaTime,
    /// When the last of them was.
    pub at: MediaTime,
}

/// Finds pairs.
#[derive(Clone, Debug, Default)]
pub struct LineUp {
    flashes: heapless::Deque<Flash, REMEMBERED>,
    /// With whether it found its flash.
    beeps: heapless::Deque<(Beep, bool), REMEMBERED>,
    /// Flashes that were decided: with a sound or without.
    decided: heapless::Deque<(MediaTime, Option<Pair>), REMEMBERED>,
}

fn push<T>(list: &mut heapless::Deque<T, REMEMBERED>, item: T) {
    if list.is_full() {
        list.pop_front();
    }
    // Room was just made.
    let _ = list.push_back(item);
}

fn between_ms(from: MediaTime, to: MediaTime) -> f64 {
    (to.0 - from.0) as f64 / 1e6
}

impl LineUp {
    /// A flash was found.
    pub fn flash(&mut self, flash: Flash) {
        push(&mut self.flashes, flash);
    }

    /// A lone sound was found.
    pub fn beep(&mut self, beep: Beep) {
        push(&mut self.beeps, (beep, false));
    }

    /// Forgets all, as what comes next does not follow.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Decides what can be decided now that all flashes and sounds before `known` are found; what is said of the
    /// offset, when there is news.
    pub fn decide(&mut self, known: MediaTime) -> Option<Measured> {
        let mut news = false;
        while let Some(&flash) = self.flashes.iter().find(|flash| self.is_new(flash)) {
            if flash.at.plus(APART_MAX) > known {
                break;
            }
            let pair = self.partner(flash);
            push(&mut self.decided, (flash.at, pair));
            news = true;
        }
        if news { self.say(known) } else { None }
    }

    fn is_new(&self, flash: &Flash) -> bool {
        self.decided.back().is_none_or(|(last, _)| flash.at > *last)
    }

    fn partner(&mut self, flash: Flash) -> Option<Pair> {
        let index = nearest(self.beeps.iter().map(|(beep, _)| beep.at), flash.at)?;
        let (beep, _) = self.beeps.iter().nth(index).copied()?;
        // Seen from the sound, this flash must be the nearest, too.
        let back = nearest(self.flashes.iter().map(|flash| flash.at), beep.at)?;
        self.flashes.iter().nth(back).filter(|other| other.at == flash.at)?;
        self.beeps.iter_mut().nth(index)?.1 = true;
        Some(Pair { flash, beep, offset_ms: between_ms(flash.at, beep.at) })
    }

    fn say(&self, now: MediaTime) -> Option<Measured> {
        let recent = || self.decided.iter().rev().take_while(|(at, _)| now.since(*at) < FORGET);
        let newest = recent().find_map(|(_, pair)| *pair)?;
        let tolerance = (newest.flash.step.as_secs_f64() * 1000.0).min(STEP_MAX_MS) + AGREE_MS;
        let mut run: heapless::Vec<Pair, MEDIAN_OF> = heapless::Vec::new();
        let (mut alone, mut first) = (0, newest.flash.at);
        for (at, pair) in recent() {
            match pair {
                Some(pair) if (pair.offset_ms - newest.offset_ms).abs() <= tolerance => {
                    if run.push(*pair).is_err() {
                        break;
                    }
                    first = *at;
                }
                Some(_) => break,
                None => alone += 1,
            }
        }
        let strays = self.beeps.iter().filter(|(beep, paired)| !paired && beep.at >= first && beep.at <= now).count();
        let exact = |pair: &Pair| (pair.offset_ms - newest.offset_ms).abs() <= TWO_AGREE_MS;
        let two = run.iter().all(|pair| is_same(pair, &newest) && exact(pair)) && alone + strays == 0;
        let needed = match run.iter().all(|pair| is_regular(pair, &newest)) {
            true if two => 2,
            true => AGREE,
            false => AGREE_ANYHOW,
        };
        if run.len() < needed || alone + strays > run.len() / 2 {
            return None;
        }
        let mut offsets: heapless::Vec<f64, MEDIAN_OF> = run.iter().map(|pair| pair.offset_ms).collect();
        offsets.sort_unstable_by(f64::total_cmp);
        let earliest = run.iter().map(|pair| pair.flash.at.min(pair.beep.at)).min()?;
        Some(Measured {
            offset_ms: offsets[offsets.len() / 2],
            within_ms: (newest.flash.step.as_secs_f64() * 500.0).max(1.0),
            pairs: run.len(),
            since: earliest,
            at: newest.flash.at,
        })
    }
}

/// Whether the flashes are whole half seconds apart, as those of a generator are.
fn is_regular(a: &Pair, b: &Pair) -> bool {
    let apart = between_ms(a.flash.at, b.flash.at);
    let from_whole = apart - (apart / REGULAR_MS).round() * REGULAR_MS;
    from_whole.abs() <= (b.flash.step.as_secs_f64() * 1000.0).min(STEP_MAX_MS)
}

fn is_same(a: &Pair, b: &Pair) -> bool {
    (a.beep.peak_db - b.beep.peak_db).abs() <= SAME_DB
        && a.beep.lasted_ms.abs_diff(b.beep.lasted_ms) <= SAME_MS
        && a.flash.share <= SAME_SHARE * b.flash.share
        && b.flash.share <= SAME_SHARE * a.flash.share
        && a.flash.lasted.abs_diff(b.flash.lasted) <= a.flash.step + Duration::from_millis(5)
}

/// Which of `times` is nearest to `at`, within reach and beyond doubt.
fn nearest(times: impl Iterator<Item = MediaTime>, at: MediaTime) -> Option<usize> {
    let (mut best, mut next) = ((f64::INFINITY, 0), f64::INFINITY);
    for (index, time) in times.enumerate() {
        let apart = between_ms(at, time).abs();
        if apart < best.0 {
            (best, next) = ((apart, index), best.0);
        } else {
            next = next.min(apart);
        }
    }
    let clear = next >= (CLEARER.0 * best.0).max(best.0 + CLEARER.1);
    (best.0 <= APART_MAX.as_secs_f64() * 1000.0 && clear).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(ms: f64) -> MediaTime {
        MediaTime((ms * 1e6) as i64)
    }

    fn flash(ms: f64) -> Flash {
        let frames = |n: u64| Duration::from_millis(40 * n);
        Flash { at: time(ms), step: frames(1), share: 0.1, lasted: frames(2) }
    }

    fn beep(ms: f64) -> Beep {
        Beep { at: time(ms), peak_db: -10.0, lasted_ms: 60 }
    }

    /// What is said last of flashes and sounds at these times, ms.
    fn measured(flashes: &[f64], beeps: &[f64], change: impl Fn(usize, &mut Beep)) -> Option<Measured> {
        let (mut line_up, mut last) = (LineUp::default(), None);
        for second in 0..40 {
            let now = 500.0 * f64::from(second);
            let new = |at: f64| at > now - 500.0 && at <= now;
            flashes.iter().filter(|at| new(**at)).for_each(|&at| line_up.flash(flash(at)));
            for (n, &at) in beeps.iter().enumerate().filter(|(_, at)| new(**at)) {
                let mut beep = beep(at);
                change(n, &mut beep);
                line_up.beep(beep);
            }
            last = line_up.decide(time(now)).or(last);
        }
        last
    }

    #[test]
    fn a_recurring_signal_is_measured_after_two() {
        for offset in [-500.0, -125.0, -20.0, 0.0, 40.0, 250.0, 500.0] {
            let flashes = [1000.0, 3000.0];
            let beeps = flashes.map(|at| at + offset);
            let said = measured(&flashes, &beeps, |_, _| {}).expect("measured");
            assert!((said.offset_ms - offset).abs() < 0.001, "{said:?}");
            assert_eq!((said.pairs, said.within_ms), (2, 20.0));
        }
    }

    #[test]
    fn signals_that_differ_need_three() {
        let louder = |n: usize, beep: &mut Beep| beep.peak_db += 8.0 * n as f32;
        assert_eq!(measured(&[1000.0, 3000.0], &[1100.0, 3100.0], louder), None);
        let three = measured(&[1000.0, 3000.0, 6000.0], &[1100.0, 3100.0, 6090.0], louder).expect("measured");
        assert_eq!((three.pairs, three.offset_ms), (3, 100.0));
    }

    #[test]
    fn what_is_ambiguous_says_nothing() {
        // Each second, with the sound half way between; another sound near; sounds all over; one pair alone.
        assert_eq!(measured(&[1000.0, 2000.0, 3000.0, 4000.0], &[1500.0, 2500.0, 3500.0], |_, _| {}), None);
        assert_eq!(measured(&[1000.0, 3000.0], &[1100.0, 800.0, 3100.0, 3250.0], |_, _| {}), None);
        assert_eq!(measured(&[1000.0, 4000.0], &[1100.0, 2500.0, 2900.0, 4100.0], |_, _| {}), None);
        assert_eq!(measured(&[1000.0], &[1100.0], |_, _| {}), None);
        assert_eq!(measured(&[1000.0, 3000.0, 5000.0], &[1100.0, 3400.0, 4800.0], |_, _| {}), None);
    }

    #[test]
    fn a_change_is_measured_anew() {
        let flashes = [1000.0, 3000.0, 5000.0, 7000.0, 9000.0];
        let said = measured(&flashes, &[1000.0, 3000.0, 5000.0, 6750.0, 8750.0], |_, _| {}).expect("measured");
        assert_eq!((said.offset_ms, said.pairs, said.since), (-250.0, 2, time(6750.0)));
    }
}
