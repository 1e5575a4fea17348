//! A buffer that plays over and over: sound that had no period has one all at once, and loses it as suddenly.
//!
//! The mean of all channels is brought down to some 6 kHz and compared with itself at distances of 2 to 60 ms. Notes
//! and vowels have periods, too; but a note begins with a change of level or comes after another period, and the
//! periods of a voice differ by more than a codec makes those of a repeated buffer differ.

use super::edges::{Found, Kind};

/// Samples a second that are compared, about.
const RATE: u32 = 6000;
/// Samples that are compared: 40 ms.
const WINDOW: usize = 240;
/// Distances, in samples: 2 to 60 ms. What repeats from 8 ms on may be a buffer, below it is most often a tone.
const SHIFTS: std::ops::RangeInclusive<usize> = 12..=360;
const SHIFT_BUFFER: usize = 48;
/// Samples between two looks: 20 ms.
const HOP: usize = 120;
const HISTORY: usize = 600;
/// Difference from the shifted sound, as a share of the power of both: 1 for strangers, 0 for the same. A repeated
/// buffer behind a codec has 0.002 to 0.01, voices have 0.02 and more.
const SAME: f32 = 0.016;
/// While it is below this, it goes on: some windows hold a click of the seam.
const STILL: f32 = 0.04;
/// Above this there is no period. The second look before a repeated buffer still has half of its window in what was
/// before; a note takes three and more to settle.
const NO_PERIOD: f32 = 0.15;
/// What is repeated without fault may follow on sound that has some period, ten times worse than it, from here on.
const SOME_PERIOD: f32 = 0.08;
const WORSE: f32 = 10.0;
/// Power of the difference from sample to sample below which nothing is heard.
const POWER_MIN: f32 = 1e-9;
/// Level before over level within, at most 6 dB either way: it is the same sound.
const LEVEL: f32 = 4.0;
/// Looks that belong together: 100 to 500 ms with the window; electronic music repeats itself for 80.
const LOOKS: std::ops::RangeInclusive<usize> = 4..=25;

/// Looks before a run that tell what was before; the newest holds some of both.
const BEFORE: usize = 5;

/// One look.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Least difference and where.
    least: f32,
    shift: usize,
    power: f32,
}

const NOTHING: Look = Look { least: 0.0, shift: 0, power: 0.0 };

#[derive(Clone, Copy, Debug)]
struct Run {
    shift: usize,
    since: u64,
    looks: usize,
    power: f32,
    /// Looks since it ended.
    over: usize,
}

/// Follows the mean of all channels.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// The last samples, then those of the block.
    samples: Vec<f32>,
    /// The looks before this one, newest first.
    looks: [Look; BEFORE],
    run: Option<Run>,
    last: f32,
    /// Milliseconds of all blocks so far.
    now_ms: u64,
}

impl Default for Stuck {
    fn default() -> Self {
        let mut samples = Vec::with_capacity(HISTORY + 2 * WINDOW + RATE as usize / 10);
        samples.resize(HISTORY, 0.0);
        Self { samples, looks: [NOTHING; BEFORE], run: None, last: 0.0, now_ms: 0 }
    }
}

impl Stuck {
    /// Takes 100 ms of the mean of all channels at `rate` Hz.
    pub fn take(&mut self, mono: &[f32], rate: u32) -> Option<Found> {
        let by = (rate / RATE).max(1) as usize;
        for group in mono.chunks_exact(by) {
            let mean = group.iter().sum::<f32>() / by as f32;
            self.samples.push(mean - self.last);
            self.last = mean;
        }
        let new = self.samples.len() - HISTORY;
        let mut found = None;
        for n in 1..=new / HOP {
            // Looks end at even distances up to the end of the block.
            let end = HISTORY + n * new / (new / HOP);
            let look = self.look(&self.samples[end - WINDOW - *SHIFTS.end()..end]);
            let end_ms = self.now_ms + (n * 100 / (new / HOP)) as u64;
            found = found.or(self.follow(look, end_ms));
        }
        self.now_ms += 100;
        let from = self.samples.len() - HISTORY;
        self.samples.copy_within(from.., 0);
        self.samples.truncate(HISTORY);
        found
    }

    fn look(&self, samples: &[f32]) -> Look {
        let (_, now) = samples.split_at(*SHIFTS.end());
        let power = dot(now, now);
        if power < POWER_MIN * WINDOW as f32 {
            return NOTHING;
        }
        let mut best = Look { least: f32::MAX, shift: 0, power: power / WINDOW as f32 };
        let mut shifted = dot(
            &samples[*SHIFTS.end() - *SHIFTS.start() + 1..][..WINDOW],
            &samples[*SHIFTS.end() - *SHIFTS.start() + 1..][..WINDOW],
        );
        for shift in SHIFTS {
            let from = *SHIFTS.end() - shift;
            let then = &samples[from..from + WINDOW];
            shifted += then[0] * then[0] - samples[from + WINDOW] * samples[from + WINDOW];
            let least = 1.0 - 2.0 * dot(now, then) / (power + shifted).max(f32::MIN_POSITIVE);
            // A longer distance must be clearly better than the one that it is a multiple of.
            if least < 0.8 * best.least {
                best = Look { least, shift, ..best };
            }
        }
        best
    }

    fn follow(&mut self, look: Look, end_ms: u64) -> Option<Found> {
        let found = match &mut self.run {
            Some(run) if run.over == 0 && look.least < STILL && is_multiple(look.shift, run.shift) => {
                run.looks += 1;
                if run.looks > *LOOKS.end() {
                    self.run = None;
                }
                None
            }
            Some(run) => {
                run.over += 1;
                let run = *run;
                // The window that holds the end says nothing; the one after it must be without period.
                if run.over < 3 {
                    None
                } else {
                    self.run = None;
                    let ended = look.least > SOME_PERIOD && fits(look.power, run.power);
                    let end = end_ms - 20 * run.over as u64;
                    (ended && LOOKS.contains(&run.looks)).then_some(Found { kind: Kind::Stuck, start: run.since, end })
                }
            }
            None => {
                let period = (look.least * WORSE).clamp(SOME_PERIOD, NO_PERIOD);
                let began = look.least < SAME
                    && look.shift >= SHIFT_BUFFER
                    && self.looks[1..].iter().all(|before| before.least > period && fits(before.power, look.power));
                if began {
                    let since = end_ms.saturating_sub((WINDOW * 1000 / RATE as usize) as u64);
                    self.run = Some(Run { shift: look.shift, since, looks: 1, power: look.power, over: 0 });
                }
                None
            }
        };
        self.looks.rotate_right(1);
        self.looks[0] = look;
        found
    }
}

fn fits(power: f32, other: f32) -> bool {
    power < LEVEL * other && other < LEVEL * power
}

fn is_multiple(shift: usize, of: usize) -> bool {
    let (long, short) = (shift.max(of), shift.min(of).max(1));
    let rest = long % short;
    rest.min(short - rest) <= 1 + long / short
}

/// In eight sums side by side, which the compiler makes SIMD of and which are the same on every machine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in `samples` at 48 kHz.
    fn found(samples: &[f32]) -> Vec<Found> {
        let mut stuck = Stuck::default();
        samples.chunks_exact(4800).filter_map(|block| stuck.take(block, 48_000)).collect()
    }

    /// Noise through a low-pass: programme without a period.
    fn noise(seconds: usize) -> Vec<f32> {
        let (mut state, mut held) = (1_u64, 0.0_f32);
        (0..48_000 * seconds)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                held += 0.1 * ((state >> 40) as f32 / (1 << 24) as f32 - 0.5 - held);
                held
            })
            .collect()
    }

    #[test]
    fn a_repeated_buffer_is_found_at_its_place() {
        for (start, length, period) in [(48_000, 7200, 480), (51_000, 9600, 1024), (60_007, 14_400, 1920)] {
            let mut samples = noise(3);
            for n in start..start + length {
                samples[n] = samples[n - period];
            }
            let found = found(&samples);
            assert_eq!(found.len(), 1, "{period}: {found:?}");
            assert!(found[0].start.abs_diff(start as u64 / 48) <= 50, "{found:?} {start}");
            assert!(found[0].end.abs_diff((start + length) as u64 / 48) <= 50, "{found:?}");
        }
    }

    #[test]
    fn notes_and_noise_are_not_stuck() {
        assert_eq!(found(&noise(5)), []);
        let melody: Vec<f32> = (0..48_000 * 4)
            .map(|n| {
                let hz = [110.0, 164.8, 130.8, 220.0][n / 9600 % 4];
                let phase = n as f32 / 48_000.0 * hz * std::f32::consts::TAU;
                0.3 * (phase.sin() + 0.5 * (2.0 * phase).sin()) * (1.0 - (n % 9600) as f32 / 12_000.0)
            })
            .collect();
        assert_eq!(found(&melody), []);
    }
}
