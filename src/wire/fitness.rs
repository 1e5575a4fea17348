//! What `broker-check` found.

use super::{MINOR_VERSION, rounded};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// How fit a broker is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "broker_check")]
pub struct FitnessReport {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `broker_check`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^broker_check$"))]
    pub kind: &'static str,
    /// Host and port.
    pub broker: String,
    /// No point is a finding.
    pub fit: bool,
    /// How long it took, seconds.
    pub wall_s: f64,
    /// What was looked at.
    pub points: Vec<FitnessPoint>,
}

/// One point that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct FitnessPoint {
    /// Which: stable, for programs.
    pub name: &'static str,
    /// `ok`, `untold` (it could not be seen), `warning` or `finding`.
    #[schemars(regex(pattern = "^(ok|untold|warning|finding)$"))]
    pub level: &'static str,
    /// What was seen, one line of English.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// What was measured; the unit is in the name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<&'static str, f64>,
}

/// As JSON.
pub fn fitness(mut report: FitnessReport) -> Vec<u8> {
    report.v = MINOR_VERSION;
    report.kind = "broker_check";
    report.wall_s = rounded(report.wall_s);
    for value in report.points.iter_mut().flat_map(|point| point.measured.values_mut()) {
        *value = rounded(*value);
    }
    super::encoded(&report)
}
