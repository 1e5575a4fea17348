//! Sound against picture, and a source against the one before its encoder, as `state` and `metrics` tell them.

use super::rounded;
use crate::health::{PairStatus, SourceStatus};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct SyncBody {
    /// By a line-up signal in the programme, ms; positive: sound late.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ms: Option<f64>,
    /// How much longer sound waits than the picture of the same time stamp, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    skew_ms: Option<f64>,
    /// How fast the stamps of sound drift against those of the picture, ppm; positive: sound late.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_ppm: Option<f64>,
}

impl SyncBody {
    /// `None` where nothing is known.
    pub fn of(status: &SourceStatus) -> Option<Self> {
        let [offset_ms, skew_ms, drift_ppm] =
            [status.offset_ms, status.skew_ms, status.drift_ppm].map(|value| value.map(rounded));
        let known = offset_ms.is_some() || skew_ms.is_some() || drift_ppm.is_some();
        known.then_some(Self { offset_ms, skew_ms, drift_ppm })
    }
}

/// What could not be measured is absent, and `no_picture` or `no_sound` say why.
#[derive(Serialize, JsonSchema)]
pub(super) struct PairBody<'a> {
    /// The source before the encoder.
    with: &'a str,
    /// From its arrival to this one's, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// What the encoder adds, ms; positive: sound late.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ms: Option<f64>,
    /// That may be off by this much, ms; where it is over 20 the offset is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    within_ms: Option<f64>,
    /// Loudness that it adds, dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    level_db: Option<f64>,
    /// Likeness of the pictures, 0 to 1, from means and detail of eight cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<f64>,
    /// Pictures that were left out, since the start.
    missing: u64,
    /// Pictures that were shown again, since the start; not told while it never was known which pictures they show.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<u64>,
    /// Why the picture is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(waiting|too_little_change|not_alike|ambiguous)$"))]
    no_picture: Option<&'a str>,
    /// Why the sound is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(waiting|too_little_change|not_alike|ambiguous)$"))]
    no_sound: Option<&'a str>,
}

impl<'a> PairBody<'a> {
    pub fn of(pair: &'a PairStatus) -> Self {
        Self {
            with: pair.with.as_str(),
            latency_ms: pair.latency_ms.map(rounded),
            offset_ms: pair.offset_ms.map(rounded),
            within_ms: pair.within_ms.map(rounded),
            level_db: pair.level_db.map(rounded),
            quality: pair.quality.map(rounded),
            missing: pair.missing,
            repeated: pair.repeated,
            no_picture: pair.no_picture,
            no_sound: pair.no_sound,
        }
    }
}
