//! Whose doing is it? What the input showed when the output failed.

use super::block::CELLS;
use super::compare::Pair;
use super::phase::Lag;
use super::pictures;
use super::track::{PICTURE_STEP, SOUND_STEP};
use crate::time::MediaTime;

/// The longest stretch that is looked at, and the shortest that says something, ns.
const STRETCH_MAX: i64 = 10_000_000_000;
const STRETCH_MIN: i64 = 300_000_000;
/// Change of the cells over 80 ms, code values: more moves, less than half of it stands.
const MOVES: f32 = 0.1;
/// Mean luma, code values.
const LIT: f32 = 40.0;
const DARK: f32 = 28.0;
/// dB above -100 dBFS.
const SOUNDS: f32 = 50.0;
const SILENT: f32 = 40.0;

/// What failed in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The picture stands.
    Still,
    /// The picture is dark or one colour.
    Dark,
    /// Pictures are lost or repeated.
    Stumbles,
    /// There is no sound.
    Silent,
}

/// Whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The input was good.
    Encoder,
    /// The input had it, too.
    Input,
}

impl Pair {
    /// Whose doing `fault` is, that the output had from `from` to `to`. `None`: the lag was never known, or the input
    /// does not say.
    pub fn blame(&self, fault: Fault, from: MediaTime, to: MediaTime) -> Option<Blame> {
        let lag = self.lag?;
        let there = |at: MediaTime| MediaTime(at.0.saturating_sub(lag.ns));
        let (from, to) = (there(from.max(MediaTime(to.0.saturating_sub(STRETCH_MAX)))), there(to));
        let judge = |value: Option<f32>, good: f32, bad: f32| match value? {
            value if value >= good => Some(Blame::Encoder),
            value if value <= bad => Some(Blame::Input),
            _ => None,
        };
        match fault {
            Fault::Still => judge(self.input_moves(from, to), MOVES, MOVES / 2.0),
            Fault::Dark => judge(self.input_luma(from, to), LIT, DARK),
            Fault::Silent => judge(self.input_level(from, to), SOUNDS, SILENT),
            Fault::Stumbles => self.stumbles(lag, from, to),
        }
    }

    /// Change of the input's cells over 80 ms, in the median: it may have moved until the very moment.
    fn input_moves(&self, from: MediaTime, to: MediaTime) -> Option<f32> {
        let cells = &self.input.cells;
        let places = clipped(from, to, PICTURE_STEP, cells.range())?;
        let change = |at: i64| {
            let (now, before) = (cells.get(at)?, cells.get(at - 8)?);
            Some(now.iter().zip(before).map(|(now, before)| (now - before).abs()).sum::<f32>() / CELLS as f32)
        };
        let mut changes: Vec<f32> = places.filter_map(change).collect();
        changes.sort_unstable_by(f32::total_cmp);
        changes.get(changes.len() / 2).copied()
    }

    fn input_luma(&self, from: MediaTime, to: MediaTime) -> Option<f32> {
        let cells = &self.input.cells;
        let places = clipped(from, to, PICTURE_STEP, cells.range())?;
        let luma = |cells: &[f32; CELLS]| cells.iter().sum::<f32>() / CELLS as f32;
        let mut all: Vec<f32> = places.filter_map(|at| cells.get(at)).map(luma).collect();
        all.sort_unstable_by(f32::total_cmp);
        all.get(all.len() / 2).copied()
    }

    fn input_level(&self, from: MediaTime, to: MediaTime) -> Option<f32> {
        let sound = &self.input.sound;
        let places = clipped(from, to, SOUND_STEP, sound.range())?;
        // The loudest tenth: pauses are part of speech.
        let mut levels: Vec<f32> = places.filter_map(|at| sound.get(at)).copied().collect();
        levels.sort_unstable_by(f32::total_cmp);
        levels.get(levels.len() * 9 / 10).copied()
    }

    fn stumbles(&self, lag: Lag, from: MediaTime, to: MediaTime) -> Option<Blame> {
        let (start, end) = (MediaTime(from.0.saturating_add(lag.ns)), MediaTime(to.0.saturating_add(lag.ns)));
        let found = pictures::compare((&self.input, &self.output), lag, (start, end), pictures::MOVES_KNOWN);
        match found.missing + found.repeated {
            0 if pictures::stumbles(&self.input, from, to) > 0 => Some(Blame::Input),
            0 => None,
            _ => Some(Blame::Encoder),
        }
    }
}

/// Places from `from` to `to` that are kept, where they are enough.
fn clipped(from: MediaTime, to: MediaTime, step: i64, kept: std::ops::Range<i64>) -> Option<std::ops::Range<i64>> {
    let places = from.0.div_euclid(step).max(kept.start)..to.0.div_euclid(step).min(kept.end);
    ((places.end - places.start) * step >= STRETCH_MIN).then_some(places)
}
