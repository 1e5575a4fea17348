//! Hold times as `info` tells them.

use super::rounded;
use crate::detect::Defect;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Hold times of one defect.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Hold {
    /// Present for this long: raised.
    pub raise_after_s: f64,
    /// Gone for this long: cleared.
    pub clear_after_s: f64,
}

/// Hold times of all defects that are watched, by name.
pub fn holds(settings: &crate::alert::Settings) -> BTreeMap<&'static str, Hold> {
    let of = |defect: Defect| {
        settings.hold(defect).map(|hold| {
            let (raise, clear) = (hold.raise_after.as_secs_f64(), hold.clear_after.as_secs_f64());
            (defect.name(), Hold { raise_after_s: rounded(raise), clear_after_s: rounded(clear) })
        })
    };
    Defect::ALL.into_iter().filter_map(of).collect()
}
