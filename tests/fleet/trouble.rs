//! Names and defects that a simulated fleet has.

use crate::chance::Chance;
use picket::detect::{Defect, Severity};

/// Sites.
pub const SITES: [&str; 12] = [
    "Aberdeen",
    "Bristol",
    "Cardiff",
    "Dundee",
    "Exeter",
    "Falmouth",
    "Glasgow",
    "Hull",
    "Inverness",
    "Jersey",
    "Leeds",
    "Manchester",
];
/// Where a box stands.
pub const RACKS: [&str; 8] =
    ["Gallery A", "Gallery B", "Playout", "Master control", "Uplink", "Truck", "Stadium", "Newsroom"];
/// Ids of sources.
pub const SOURCES: [&str; 4] = ["program-out", "sdi-1", "backup", "clean-feed"];
/// Format and pictures per second.
pub const FORMATS: [(&str, f64); 4] = [
    ("1920x1080 h264, 48000 Hz 2 ch aac", 25.0),
    ("1920x1080 hevc, 48000 Hz 6 ch ac3", 50.0),
    ("1280x720 h264, 48000 Hz 2 ch mp2", 50.0),
    ("720x576 mpeg2video, 48000 Hz 2 ch mp2", 25.0),
];

/// A defect with what it says.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub defect: Defect,
    pub severity: Severity,
    pub text: &'static str,
    pub value: f64,
    pub threshold: f64,
    pub unit: &'static str,
    pub hold_s: f64,
    /// How often, against the others.
    weight: u64,
}

const fn row(
    weight: u64,
    (defect, severity): (Defect, Severity),
    text: &'static str,
    (value, threshold, unit): (f64, f64, &'static str),
    hold_s: f64,
) -> Trouble {
    Trouble { defect, severity, text, value, threshold, unit, hold_s, weight }
}

/// A feed that many take has stopped.
pub const FEED_LOST: Trouble =
    row(8, (Defect::StreamLoss, Severity::Critical), "no packets for 5.0 s from the uplink", (5.0, 2.0, "s"), 5.0);
/// A feed that many take stands still.
pub const FEED_FROZEN: Trouble =
    row(20, (Defect::Freeze, Severity::Major), "picture is frozen for 2.4 s", (99.8, 98.0, "%"), 2.0);

const ALL: [Trouble; 14] = [
    FEED_LOST,
    FEED_FROZEN,
    row(14, (Defect::Black, Severity::Critical), "picture is black", (100.0, 98.0, "%"), 1.2),
    row(4, (Defect::SolidColour, Severity::Major), "one flat green", (99.0, 95.0, "%"), 1.2),
    row(5, (Defect::ColourBars, Severity::Major), "test bars are on air", (97.0, 90.0, "%"), 2.0),
    row(12, (Defect::BlockCorruption, Severity::Major), "damaged blocks in the lower half", (4.2, 0.5, "%"), 0.4),
    row(3, (Defect::Noise, Severity::Major), "snow", (88.0, 60.0, "%"), 1.0),
    row(5, (Defect::Blur, Severity::Minor), "half as sharp as usual", (48.0, 60.0, "%"), 3.0),
    row(4, (Defect::Monochrome, Severity::Minor), "colour is lost", (0.4, 1.5, "%"), 3.0),
    row(5, (Defect::VideoLevels, Severity::Warning), "darker than usual programme", (6.0, 12.0, "%"), 4.0),
    row(4, (Defect::Letterbox, Severity::Warning), "bars above and below", (14.0, 4.0, "%"), 4.0),
    row(14, (Defect::Silence, Severity::Major), "no sound on both channels", (-84.0, -55.0, "dBFS"), 4.0),
    row(7, (Defect::ChannelLoss, Severity::Minor), "right channel is silent", (-90.0, -55.0, "dBFS"), 6.0),
    row(5, (Defect::Phase, Severity::Minor), "channels out of phase", (-0.9, -0.5, "correlation"), 5.0),
];

/// One of them.
pub fn any(chance: &mut Chance) -> Trouble {
    let mut at = chance.below(ALL.iter().map(|trouble| trouble.weight).sum());
    for trouble in ALL {
        if at < trouble.weight {
            return trouble;
        }
        at -= trouble.weight;
    }
    FEED_FROZEN
}

/// Whether a picture shows it.
pub fn is_seen(defect: Defect) -> bool {
    !matches!(defect, Defect::StreamLoss | Defect::Silence | Defect::ChannelLoss | Defect::Phase)
}
