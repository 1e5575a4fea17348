//! The defects of the catalogue: one file each, one question each - is it present in this unit?

mod audio_dropout;
mod av_sync;
mod black;
mod block_corruption;
mod blur;
mod channel_loss;
mod clipping;
mod colour_bars;
mod flashing;
mod format_change;
mod frame_drop;
mod freeze;
mod interlace;
mod letterbox;
mod loudness;
mod monochrome;
mod noise;
mod past;
mod phase;
mod silence;
mod solid_colour;
mod stream_loss;
mod tearing;
#[cfg(test)]
mod testing;
mod timestamp;
mod video_levels;
mod words;

pub use audio_dropout::AudioDropout;
pub use av_sync::{AvSync, By as SyncBy, Clocks, Offset as SyncOffset, Settings as SyncSettings};
pub use black::Black;
pub use block_corruption::BlockCorruption;
pub use blur::Blur;
pub use channel_loss::ChannelLoss;
pub use clipping::Clipping;
pub use colour_bars::ColourBars;
pub use flashing::Flashing;
pub use format_change::{Change, FormatChange};
pub use frame_drop::FrameDrop;
pub use freeze::Freeze;
pub use interlace::Interlace;
pub use letterbox::Letterbox;
pub use loudness::{Loudness, Settings as LoudnessSettings};
pub use monochrome::Monochrome;
pub use noise::Noise;
pub use phase::Phase;
pub use silence::Silence;
pub use solid_colour::SolidColour;
pub use stream_loss::StreamLoss;
pub use tearing::Tearing;
pub use timestamp::Timestamp;
pub use video_levels::VideoLevels;
pub use words::{Presence, Region, Scope, Severity};

use crate::features::{AudioFeatures, TransportFeatures, VideoFeatures};
use crate::time::MediaTime;
use past::Past;

/// A kind of defect. The names are stable: file names here, configuration keys, topic values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// Nothing arrives.
    StreamLoss,
    /// Resolution, rate, scan or channel layout changed.
    FormatChange,
    /// The picture is black.
    Black,
    /// The picture is one flat colour.
    SolidColour,
    /// Test bars are on air.
    ColourBars,
    /// The picture stands still although it should move.
    Freeze,
    /// Macroblock damage.
    BlockCorruption,
    /// Snow.
    Noise,
    /// Sharpness is lost against the source's own past.
    Blur,
    /// Colour is lost.
    Monochrome,
    /// Too dark or too bright to be meant, or outside the legal range.
    VideoLevels,
    /// The active picture changed.
    Letterbox,
    /// Luminance or red flashes (ITU-R BT.1702).
    Flashing,
    /// Combing, or the wrong field order.
    Interlace,
    /// Parts of two pictures in one.
    Tearing,
    /// Missing or repeated pictures.
    FrameDrop,
    /// Presentation times jump or go back.
    Timestamp,
    /// No sound.
    Silence,
    /// One channel of several is silent.
    ChannelLoss,
    /// Samples at full scale in runs.
    Clipping,
    /// Channels out of phase.
    Phase,
    /// A loudness target is missed, or loudness jumps.
    Loudness,
    /// Gaps of 5 to 500 ms, clicks.
    AudioDropout,
    /// Sound against picture beyond the limits.
    AvSync,
}

impl Defect {
    /// All, causes before effects.
    pub const ALL: [Defect; 24] = [
        Defect::StreamLoss,
        Defect::FormatChange,
        Defect::Black,
        Defect::SolidColour,
        Defect::ColourBars,
        Defect::Freeze,
        Defect::BlockCorruption,
        Defect::Noise,
        Defect::Blur,
        Defect::Monochrome,
        Defect::VideoLevels,
        Defect::Letterbox,
        Defect::Flashing,
        Defect::Interlace,
        Defect::Tearing,
        Defect::FrameDrop,
        Defect::Timestamp,
        Defect::Silence,
        Defect::ChannelLoss,
        Defect::Clipping,
        Defect::Phase,
        Defect::Loudness,
        Defect::AudioDropout,
        Defect::AvSync,
    ];

    /// What it touches.
    pub fn scope(self) -> Scope {
        match self {
            Defect::StreamLoss | Defect::FormatChange | Defect::Timestamp | Defect::AvSync => Scope::Programme,
            Defect::Black
            | Defect::SolidColour
            | Defect::ColourBars
            | Defect::Freeze
            | Defect::BlockCorruption
            | Defect::Noise
            | Defect::Blur
            | Defect::Monochrome
            | Defect::VideoLevels
            | Defect::Letterbox
            | Defect::Flashing
            | Defect::Interlace
            | Defect::Tearing
            | Defect::FrameDrop => Scope::Picture,
            Defect::Silence
            | Defect::ChannelLoss
            | Defect::Clipping
            | Defect::Phase
            | Defect::Loudness
            | Defect::AudioDropout => Scope::Sound,
        }
    }

    /// Its own levels and their unit, where presence follows from them alone, so that others can be asked for.
    pub fn levels(self) -> Option<(Levels, &'static str)> {
        match self {
            Defect::SolidColour => Some((solid_colour::LEVELS, "%")),
            Defect::ColourBars => Some((colour_bars::LEVELS, "%")),
            Defect::Silence => Some((silence::LEVELS, "dBFS")),
            Defect::Phase => Some((phase::LEVELS, "correlation")),
            _ => None,
        }
    }

    /// As it stands in messages and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Defect::StreamLoss => "stream_loss",
            Defect::FormatChange => "format_change",
            Defect::Black => "black",
            Defect::SolidColour => "solid_colour",
            Defect::ColourBars => "colour_bars",
            Defect::Freeze => "freeze",
            Defect::BlockCorruption => "block_corruption",
            Defect::Noise => "noise",
            Defect::Blur => "blur",
            Defect::Monochrome => "monochrome",
            Defect::VideoLevels => "video_levels",
            Defect::Letterbox => "letterbox",
            Defect::Flashing => "flashing",
            Defect::Interlace => "interlace",
            Defect::Tearing => "tearing",
            Defect::FrameDrop => "frame_drop",
            Defect::Timestamp => "timestamp",
            Defect::Silence => "silence",
            Defect::ChannelLoss => "channel_loss",
            Defect::Clipping => "clipping",
            Defect::Phase => "phase",
            Defect::Loudness => "loudness",
            Defect::AudioDropout => "audio_dropout",
            Defect::AvSync => "av_sync",
        }
    }
}

/// One detector's word on one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Which defect.
    pub defect: Defect,
    /// What it touches; a cause explains only what lies in it.
    pub scope: Scope,
    /// Whether it is there.
    pub presence: Presence,
    /// Where the detector knows better than "at this unit" when the present state of affairs began.
    pub since: Option<MediaTime>,
    /// How bad, if present.
    pub severity: Severity,
    /// The deciding measure, in `unit`.
    pub value: f64,
    /// The limit it was held against, in `unit`.
    pub threshold: f64,
    /// Unit of both: "%", "dBFS", "LUFS", "ms", "s".
    pub unit: &'static str,
    /// 0 to 1, where the detector has one.
    pub confidence: Option<f64>,
    /// Where in the picture, if it has a place.
    pub region: Option<Region>,
    /// Set where `presence` follows from `value` alone in this unit, so that other levels can be asked for.
    pub levels: Option<Levels>,
    /// What is wrong, in English, without a full stop: "picture is black".
    pub phrase: &'static str,
    /// Of `format_change`: what became what; of `freeze`: the mark of a picture that stands.
    pub change: Option<Change>,
}

impl Observation {
    /// `defect` is absent; nothing was measured.
    pub fn of(defect: Defect) -> Self {
        Self {
            defect,
            scope: defect.scope(),
            presence: Presence::Absent,
            since: None,
            severity: Severity::Minor,
            value: 0.0,
            threshold: 0.0,
            unit: "",
            confidence: None,
            region: None,
            levels: None,
            phrase: "",
            change: None,
        }
    }
}

impl Observation {
    /// Numbers in whole thousandths, as messages have them: whoever judges what was told judges the same.
    fn round(&mut self) {
        let levels = self.levels.iter_mut().flat_map(|levels| [&mut levels.raise, &mut levels.clear]);
        for number in [&mut self.value, &mut self.threshold].into_iter().chain(&mut self.confidence).chain(levels) {
            let rounded = (number.clamp(-1e9, 1e9) * 1000.0).round() / 1000.0;
            // Adding zero turns -0.0 into 0.0.
            *number = if rounded.is_nan() { 0.0 } else { rounded + 0.0 };
        }
    }
}

/// Where a measure raises, and where it clears: less where more is worse, more where less is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// From here on the defect is there.
    pub raise: f64,
    /// Up to here it is not.
    pub clear: f64,
}

impl Levels {
    /// What `value` means.
    pub fn judge(self, value: f64) -> Presence {
        let (worse, better) = if self.raise >= self.clear {
            (value >= self.raise, value < self.clear)
        } else {
            (value <= self.raise, value > self.clear)
        };
        match (worse, better) {
            (true, _) => Presence::Present,
            (false, true) => Presence::Absent,
            (false, false) => Presence::Unclear,
        }
    }
}

/// Marks of pictures, as [`crate::features::Coarse::mark`] gives them.
pub type Slates = [Option<u64>; 8];

/// What can be set of detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// Of `loudness`.
    pub loudness: LoudnessSettings,
    /// Of `freeze`: pictures that stand by intent.
    pub slates: Slates,
    /// Of `av_sync`.
    pub sync: SyncSettings,
}

/// All detectors of one source.
#[derive(Debug)]
pub struct Detectors {
    black: Black,
    solid_colour: SolidColour,
    colour_bars: ColourBars,
    freeze: Freeze,
    block_corruption: BlockCorruption,
    noise: Noise,
    blur: Blur,
    past: Past,
    monochrome: Monochrome,
    video_levels: VideoLevels,
    letterbox: Letterbox,
    flashing: Flashing,
    frame_drop: FrameDrop,
    interlace: Interlace,
    tearing: Tearing,
    silence: Silence,
    channel_loss: ChannelLoss,
    clipping: Clipping,
    phase: Phase,
    loudness: Loudness,
    audio_dropout: AudioDropout,
    av_sync: AvSync,
    stream_loss: StreamLoss,
    format_change: FormatChange,
    timestamp: Timestamp,
}

impl Default for Detectors {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

/// What the detectors say of one unit.
pub type Observations = heapless::Vec<Observation, { Defect::ALL.len() }>;

impl Detectors {
    /// With `settings`.
    pub fn new(settings: Settings) -> Self {
        Self {
            black: Black,
            solid_colour: SolidColour::default(),
            colour_bars: ColourBars,
            freeze: Freeze::new(settings.slates),
            block_corruption: BlockCorruption::default(),
            noise: Noise::default(),
            blur: Blur::default(),
            past: Past::default(),
            monochrome: Monochrome::default(),
            video_levels: VideoLevels::default(),
            letterbox: Letterbox::default(),
            flashing: Flashing::default(),
            frame_drop: FrameDrop::default(),
            interlace: Interlace::default(),
            tearing: Tearing::default(),
            silence: Silence::default(),
            channel_loss: ChannelLoss::default(),
            clipping: Clipping::default(),
            phase: Phase::default(),
            loudness: Loudness::new(settings.loudness),
            audio_dropout: AudioDropout::default(),
            av_sync: AvSync::new(settings.sync),
            stream_loss: StreamLoss::default(),
            format_change: FormatChange::default(),
            timestamp: Timestamp,
        }
    }

    /// Looks at a picture.
    pub fn video(&mut self, features: &VideoFeatures, said: &mut Observations) {
        say(self.black.observe(features), said);
        say(self.solid_colour.observe(features), said);
        say(self.colour_bars.observe(features), said);
        say(self.freeze.observe(features), said);
        let blocks = self.block_corruption.observe(features);
        let damaged = blocks.presence == Presence::Present;
        say(blocks, said);
        say(self.noise.observe(features, &self.past), said);
        say(self.blur.observe(features, &self.past, damaged), said);
        say(self.monochrome.observe(features, &self.past), said);
        say(self.video_levels.observe(features, &self.past), said);
        say(self.letterbox.observe(features, &self.past), said);
        say(self.flashing.observe(features), said);
        say(self.frame_drop.observe(features), said);
        say(self.interlace.observe(features), said);
        say(self.tearing.observe(features), said);
        say(self.av_sync.observe(features), said);
        self.past.note(features);
    }

    /// Whether a detector has something to decide that only pictures seen in full can decide.
    pub fn want_full(&self) -> bool {
        self.block_corruption.wants_full() || self.interlace.wants_full() || self.tearing.wants_full()
    }

    /// What is known of sound against picture.
    pub fn sync(&mut self) -> &mut AvSync {
        &mut self.av_sync
    }

    /// The damaged cells of the last picture, row by row: one entry per cell.
    pub fn flagged_cells(&self) -> &[bool] {
        self.block_corruption.flagged()
    }

    /// Looks at 100 ms of sound.
    pub fn audio(&mut self, features: &AudioFeatures, said: &mut Observations) {
        say(self.silence.observe(features), said);
        say(self.channel_loss.observe(features), said);
        say(self.clipping.observe(features), said);
        say(self.phase.observe(features), said);
        say(self.loudness.observe(features), said);
        say(self.audio_dropout.observe(features), said);
        self.av_sync.hear(features);
    }

    /// Looks at what arrives.
    pub fn transport(&mut self, features: &TransportFeatures, said: &mut Observations) {
        self.frame_drop.arrived(features);
        self.av_sync.arrived(features);
        say(self.stream_loss.observe(features), said);
        say(self.format_change.observe(features), said);
        say(self.timestamp.observe(features), said);
    }
}

fn say(mut observation: Observation, said: &mut Observations) {
    observation.round();
    // One place for each defect, and no detector speaks twice of one unit.
    let _ = said.push(observation);
}
