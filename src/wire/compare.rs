//! What `picket compare` measured.

use super::{MINOR_VERSION, encoded};
use schemars::JsonSchema;
use serde::Serialize;

/// One window. What could not be measured is absent, and `no_picture` or `no_sound` say why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "reading")]
pub struct ReadingBody {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `reading`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^reading$"))]
    pub kind: &'static str,
    /// End of the window, seconds since the begin of B.
    pub at_s: f64,
    /// How far B lies behind A, ms: of live inputs from arrival to arrival, else on their own axes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What lies between A and B adds this, ms; positive: sound late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<f64>,
    /// That may be off by this much, ms; where it is over 20 the offset is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<f64>,
    /// Loudness that it adds, dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_db: Option<f64>,
    /// Likeness of the pictures, 0 to 1, from means and detail of eight cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// Pictures left out since the reading before.
    pub missing: u32,
    /// Pictures shown again since then; absent where it is not known which picture of A each shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u32>,
    /// Why the picture is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(waiting|too_little_change|not_alike|ambiguous)$"))]
    pub no_picture: Option<&'static str>,
    /// Why the sound is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(waiting|too_little_change|not_alike|ambiguous)$"))]
    pub no_sound: Option<&'static str>,
}

/// All windows together: medians of what was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "comparison")]
pub struct Comparison {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `comparison`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^comparison$"))]
    pub kind: &'static str,
    /// What came first.
    pub a: String,
    /// What was held against it.
    pub b: String,
    /// Windows in all.
    pub windows: u32,
    /// Of these, with a latency.
    pub with_latency: u32,
    /// Of these, with an offset.
    pub with_offset: u32,
    /// As in a reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// As in a reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<f64>,
    /// As in a reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<f64>,
    /// As in a reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_db: Option<f64>,
    /// As in a reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// Pictures of B that were compared.
    pub pictures: u32,
    /// Pictures left out.
    pub missing: u32,
    /// Of these, known which picture of A they show.
    pub followed: u32,
    /// Of these, shown again; absent where none is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u32>,
    /// All windows, where one document is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<ReadingBody>,
}

/// A reading as a JSON object.
pub fn reading(body: &ReadingBody) -> Vec<u8> {
    encoded(&ReadingBody { v: MINOR_VERSION, kind: "reading", ..body.clone() })
}

/// All of it as a JSON object.
pub fn comparison(body: &Comparison) -> Vec<u8> {
    encoded(&Comparison { v: MINOR_VERSION, kind: "comparison", ..body.clone() })
}
