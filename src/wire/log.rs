//! One line of the log, for whoever asked for it: the passing message `log`.

use super::head::Head;
use super::{Made, cut, encoded};
use schemars::JsonSchema;
use serde::Serialize;

/// Longest text, less than a body has room for when every byte of it must be escaped.
const TEXT_BYTES_MAX: usize = 1 << 10;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "log")]
pub(super) struct LogBody<'a> {
    /// Its times are those of the line.
    #[serde(flatten)]
    head: Head<'a>,
    #[schemars(regex(pattern = "^(error|warn|info|debug|trace)$"))]
    level: String,
    /// Message and fields.
    text: &'a str,
    /// Lines before this one that were left out: 20 go out in a second at most.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The body of `log`.
pub fn log(made: &Made, level: &str, text: &str, left_out: u64) -> Vec<u8> {
    let text = cut(text, TEXT_BYTES_MAX);
    encoded(&LogBody { head: Head::new(made), level: level.to_lowercase(), text, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;

    #[test]
    fn a_line_fits_whatever_it_holds() {
        let made = Made { wall: Default::default(), mono: Default::default(), boot: BootId::from_kernel("0") };
        let body = log(&made, "WARN", &"\u{1}".repeat(9000), 5);
        let text = String::from_utf8_lossy(&body);
        assert!(
            body.len() <= 8 << 10 && text.contains("\"level\":\"warn\"") && text.contains("\"left_out\":5"),
            "{text}"
        );
        assert!(!String::from_utf8_lossy(&log(&made, "INFO", "x", 0)).contains("left_out"));
    }
}
