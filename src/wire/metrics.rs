//! What is measured of a source, once per second, when somebody asked for it.

use super::head::Head;
use super::status::SourceState;
use super::sync::{PairBody, SyncBody};
use super::{Made, encoded, rounded};
use crate::detect::{Observation, Presence};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize, JsonSchema)]
struct MeasureBody {
    /// The deciding measure.
    value: f64,
    /// Its limit.
    threshold: f64,
    /// Unit of both.
    unit: &'static str,
    /// Whether the defect is there; absent where the detector cannot say.
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "metrics")]
pub(super) struct MetricsBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Pictures per second over the last second.
    fps: f64,
    /// Mean luma, 0 black to 1 white.
    #[serde(skip_serializing_if = "Option::is_none")]
    luma: Option<f64>,
    /// Loudest channel over the last 100 ms, dBFS RMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    rms_dbfs: Option<f64>,
    /// Loudness of the last 400 ms, LUFS.
    #[serde(skip_serializing_if = "Option::is_none")]
    momentary_lufs: Option<f64>,
    /// True peak of the last 100 ms, dBTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_peak_dbtp: Option<f64>,
    /// Sound against picture, where something is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<SyncBody>,
    /// Against the source before the encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<PairBody<'a>>,
    /// What each detector said last, by defect.
    measures: BTreeMap<&'static str, MeasureBody>,
}

/// The body of `metrics`.
pub fn metrics(made: &Made, source: &SourceState, said: &[Observation]) -> Vec<u8> {
    let status = &source.status;
    let measure = |said: &Observation| MeasureBody {
        value: rounded(said.value),
        threshold: rounded(said.threshold),
        unit: said.unit,
        present: match said.presence {
            Presence::Present => Some(true),
            Presence::Absent => Some(false),
            Presence::Unclear => None,
        },
    };
    encoded(&MetricsBody {
        head: Head::new(made),
        fps: rounded(status.fps),
        luma: status.luma_mean.map(rounded),
        rms_dbfs: status.rms_dbfs.map(rounded),
        momentary_lufs: status.loudness.map(|loudness| rounded(loudness[0])),
        true_peak_dbtp: status.true_peak_dbtp.map(rounded),
        sync: SyncBody::of(status),
        pair: status.pair.as_ref().map(PairBody::of),
        // What could not be measured has no unit, and is not 0.
        measures: said
            .iter()
            .filter(|said| !said.unit.is_empty())
            .map(|said| (said.defect.name(), measure(said)))
            .collect(),
    })
}
