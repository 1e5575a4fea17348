//! How long a defect must last before it is told, and how long it must be gone.

use crate::detect::Defect;
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
            Defect::Noise => (1_000, 1_000),
            Defect::Blur => (2_000, 1_000),
            Defect::Monochrome => (3_000, 1_000),
            Defect::VideoLevels => (2_000, 1_000),
            Defect::Letterbox => (2_000, 1_000),
            Defect::Flashing => (0, 1_000),
            Defect::Interlace => (1_000, 1_000),
            // Longer than wipes, whose seam is one too.
            Defect::Tearing => (1_200, 1_000),
            Defect::FrameDrop => (0, 1_000),
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
        };
        Self { raise_after: Duration::from_millis(raise_ms), clear_after: Duration::from_millis(clear_ms) }
    }
}

/// Which defects are watched on a source, and their hold times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    holds: [Option<Hold>; Defect::ALL.len()],
}

impl Default for Settings {
    fn default() -> Self {
        Self { holds: Defect::ALL.map(|defect| Some(Hold::default_for(defect))) }
    }
}

impl Settings {
    /// Hold times; `None` when the defect is not watched.
    pub fn hold(&self, defect: Defect) -> Option<Hold> {
        self.holds[defect as usize]
    }
    /// Sets or stops watching.
    pub fn set(&mut self, defect: Defect, hold: Option<Hold>) {
        self.holds[defect as usize] = hold;
    }
}
