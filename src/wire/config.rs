//! The retained document about the settings that stand.

use super::command::BODY_BYTES_MAX;
use super::head::Head;
use super::{Made, cut, encoded};
use schemars::JsonSchema;
use serde::Serialize;

/// Left for everything but the settings themselves.
const VALUES_BYTES_MAX: usize = BODY_BYTES_MAX - 2048;
/// And for the reason of a roll-back, which may name every source.
const REASON_BYTES_MAX: usize = 1024;

/// The settings that stand, and how they came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigTold {
    /// Counts layers that were set from afar; 0: none ever was.
    pub revision: u64,
    /// SHA-256 of all settings, hexadecimal.
    pub hash: String,
    /// `applied`, `pending`, `confirmed` or `rolled_back`.
    pub status: &'static str,
    /// Why it was rolled back.
    pub reason: Option<String>,
    /// Until it is rolled back unless confirmed, whole seconds.
    pub confirm_left_s: Option<u64>,
    /// What differs from the defaults, TOML without secrets.
    pub values: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "config_state")]
pub(super) struct ConfigBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Counts layers that were set from afar; 0: none ever was.
    revision: u64,
    /// SHA-256 of all settings, hexadecimal: the same for the same settings.
    hash: &'a str,
    /// `applied`: those of the box alone. `pending`: a layer from afar is tried, and falls back unless it is confirmed.
    /// `confirmed`: a layer from afar stands. `rolled_back`: the last one did not stay.
    #[schemars(regex(pattern = "^(applied|pending|confirmed|rolled_back)$"))]
    status: &'a str,
    /// Why it was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// When this was made, so long was left to confirm it, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm_left_s: Option<u64>,
    /// What stands, TOML; defaults of detectors and secrets are left out.
    values: &'a str,
    /// The rest of `values` did not fit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    values_cut: bool,
}

/// The body of `config`.
pub fn config(made: &Made, told: &ConfigTold) -> Vec<u8> {
    // Of many mistakes the first ones; of one that is long its beginning.
    let reason = told.reason.as_deref().map(|reason| match fitting(reason, REASON_BYTES_MAX) {
        "" => cut(reason, REASON_BYTES_MAX / 4),
        some => some,
    });
    let values = fitting(&told.values, VALUES_BYTES_MAX);
    encoded(&ConfigBody {
        head: Head::new(made),
        revision: told.revision,
        hash: &told.hash,
        status: told.status,
        reason,
        confirm_left_s: told.confirm_left_s,
        values,
        values_cut: values.len() < told.values.len(),
    })
}

/// Whole lines of `text`, as many as fit into `most` bytes when they are escaped.
fn fitting(text: &str, most: usize) -> &str {
    let mut bytes = 0;
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        bytes += encoded(&line).len();
        if bytes > most {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;

    #[test]
    fn bodies_fit_and_say_what_was_cut() {
        let made = Made { wall: Default::default(), mono: Default::default(), boot: BootId::from_kernel("0") };
        let reason = |text: &str, times| Some(text.repeat(times));
        for reason in [None, reason("source 3: \"x\" is wrong\n", 2000), reason("\"\u{1}", 5000)] {
            let told =
                ConfigTold { reason, status: "applied", values: "a = \"b\"\n".repeat(2000), ..ConfigTold::default() };
            assert!(config(&made, &told).len() <= BODY_BYTES_MAX);
        }
        let told = ConfigTold { status: "applied", values: "a = \"b\"\n".repeat(2000), ..ConfigTold::default() };
        let body = config(&made, &told);
        let text = String::from_utf8_lossy(&body);
        assert!(body.len() <= BODY_BYTES_MAX && text.contains("\"values_cut\":true"), "{}", body.len());
    }
}
