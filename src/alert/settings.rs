//! How long a defect must last before it is told, and how long it must be gone.

use super::expected::Expected;
use crate::detect::{Defect, Levels, Severity};
use std::time::Duration;

/// Hold times of one defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Present for this long, without a good unit: raised. Its onset is then this far back.
    pub raise_after: Duration,
    /// Gone for this long: cleared. Shorter gaps are part of the incident.
    pub clear_after: Duration,
}

impl Hold {
    /// The hold times that a source gets without configuration; see each detector for what they mean there.
    pub fn default_for(defect: Defect) -> Self {
        let (raise_ms, clear_ms) = match defect {
            // The detector itself waits until nothing came for longer than any regular gap.
            Defect::StreamLoss => (0, 500),
            // Longer than fades through black (under 1 s); half a second of picture ends it.
            Defect::Black => (1_200, 500),
            Defect::FormatChange => (0, 0),
            Defect::SolidColour => (1_000, 500),
            Defect::ColourBars => (1_000, 500),
            Defect::Freeze => (1_000, 500),
            Defect::BlockCorruption => (0, 500),
            // Coders leave it in key pictures alone: one is enough, and the next is waited for.
            Defect::Noise => (0, 2_500),
            Defect::Blur => (2_000, 1_000),
            Defect::Monochrome => (3_000, 1_000),
            Defect::VideoLevels => (2_000, 1_000),
            Defect::Letterbox => (2_000, 1_000),
            // Seven transitions of three flashes or more take half a second at the least.
            Defect::Flashing => (500, 1_000),
            Defect::Interlace => (1_000, 1_000),
            // Longer than wipes, whose seam is one too.
            Defect::Tearing => (1_200, 1_000),
            // The detector itself waits for more than one loss, and as long for the next.
            Defect::FrameDrop => (0, 1_500),
            Defect::Timestamp => (0, 0),
            Defect::Silence => (2_000, 300),
            // Longer than rests of one side of a stereo mix.
            Defect::ChannelLoss => (3_000, 500),
            // A loud moment may touch full scale; what is driven too hard does so for seconds.
            Defect::Clipping => (1_000, 1_000),
            // Longer than effects of matrix surround.
            Defect::Phase => (3_000, 1_000),
            // A chord or a shout may begin with a step; the level must stay.
            Defect::Loudness => (3_000, 1_000),
            // Told at once; what breaks again within half a second is one dropout.
            Defect::AudioDropout => (0, 500),
            // The detector itself waits until several measurements agree.
            Defect::AvSync => (0, 10_000),
        };
        Self { raise_after: Duration::from_millis(raise_ms), clear_after: Duration::from_millis(clear_ms) }
    }
}

/// A defect that comes and goes is told when it was present for this share of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Often {
    /// 0 to 1.
    pub share: f64,
    /// Of this time, up to now.
    pub window: Duration,
}

/// Levels that are asked for in place of a detector's own, in the unit of its measure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// Where it raises.
    pub raise: Option<f64>,
    /// Where it clears; without it as far from `raise` as the detector's own.
    pub clear: Option<f64>,
}

impl Asked {
    /// The levels that stand, where the detector itself has `own`.
    pub fn over(self, own: Levels) -> Levels {
        let raise = self.raise.unwrap_or(own.raise);
        // A share stays one: what is asked twice as low ends twice as low. Decibels keep their distance.
        let apart = match own.raise > 0.0 && own.clear > 0.0 {
            true => raise * own.clear / own.raise,
            false => raise + own.clear - own.raise,
        };
        Levels { raise, clear: self.clear.unwrap_or(if self.raise.is_some() { apart } else { own.clear }) }
    }
}

/// How one defect is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Hold times; `None` when the defect is not watched.
    pub hold: Option<Hold>,
    /// Levels in place of the detector's own.
    pub levels: Asked,
    /// Told also when present this often.
    pub often: Option<Often>,
    /// Told with this severity, whatever the detector says.
    pub severity: Option<Severity>,
}

/// What is watched on a source, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    rules: [Rule; Defect::ALL.len()],
    /// When what is no defect.
    pub expected: Vec<Expected>,
}

impl Default for Settings {
    fn default() -> Self {
        let rule = |defect| Rule {
            hold: Some(Hold::default_for(defect)),
            levels: Asked::default(),
            often: None,
            severity: None,
        };
        Self { rules: Defect::ALL.map(rule), expected: Vec::new() }
    }
}

impl Settings {
    /// How `defect` is judged.
    pub fn rule(&self, defect: Defect) -> &Rule {
        &self.rules[defect as usize]
    }
    /// As [`Settings::rule`], to be changed.
    pub fn rule_mut(&mut self, defect: Defect) -> &mut Rule {
        &mut self.rules[defect as usize]
    }
    /// Hold times; `None` when the defect is not watched.
    pub fn hold(&self, defect: Defect) -> Option<Hold> {
        self.rule(defect).hold
    }
    /// Sets or stops watching.
    pub fn set(&mut self, defect: Defect, hold: Option<Hold>) {
        self.rule_mut(defect).hold = hold;
    }
}
