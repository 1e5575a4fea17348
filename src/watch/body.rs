//! Reads fields of a body that anybody may have written.

use super::text::clean;
use crate::wire;
use serde_json::Value;

/// Twice what the contract allows.
const BYTES_MAX: usize = 16 * 1024;

/// A body, where it is one: an object of bearable length.
pub(super) fn read(bytes: &[u8]) -> Option<Body> {
    let value: Value = (bytes.len() <= BYTES_MAX).then(|| serde_json::from_slice(bytes).ok())??;
    value.is_object().then_some(Body(value))
}

/// A JSON object. What is missing or of another type is absent.
#[derive(Clone, Debug)]
pub(super) struct Body(Value);

impl Body {
    /// A text, harmless and no longer than `most` characters.
    pub(super) fn text(&self, field: &str, most: usize) -> Option<String> {
        self.0.get(field)?.as_str().map(|text| clean(text, most))
    }

    /// A finite number.
    pub(super) fn number(&self, field: &str) -> Option<f64> {
        self.0.get(field)?.as_f64().filter(|number| number.is_finite())
    }

    /// A whole number that is not negative.
    pub(super) fn whole(&self, field: &str) -> Option<u64> {
        self.0.get(field)?.as_u64()
    }

    /// A switch; false where it is absent.
    pub(super) fn flag(&self, field: &str) -> bool {
        self.0.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An object within.
    pub(super) fn within(&self, field: &str) -> Option<Body> {
        self.0.get(field).filter(|value| value.is_object()).cloned().map(Body)
    }

    /// The first `most` objects of a list.
    pub(super) fn list(&self, field: &str, most: usize) -> Option<Vec<Body>> {
        let list = self.0.get(field)?.as_array()?;
        Some(list.iter().filter(|value| value.is_object()).take(most).cloned().map(Body).collect())
    }

    /// The first `most` objects within, with their names.
    pub(super) fn named(&self, field: &str, most: usize) -> Vec<(String, Body)> {
        let Some(object) = self.0.get(field).and_then(Value::as_object) else { return Vec::new() };
        let objects = object.iter().filter(|(_, value)| value.is_object()).take(most);
        objects.map(|(name, value)| (name.clone(), Body(value.clone()))).collect()
    }

    /// A time by the device's clock, ms since the Unix epoch, where that clock was trusted.
    pub(super) fn time(&self, field: &str) -> Option<i64> {
        let trusted = self.0.get("synced").and_then(Value::as_bool) != Some(false);
        self.0.get(field).filter(|_| trusted)?.as_str().and_then(wire::unix_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_the_right_kind_is_read() {
        let body =
            read(br#"{"a":"x\u001b[31m","b":"7","c":1e3,"d":[1,{"e":2}],"f":{"g":{"h":true}},"i":-1}"#).expect("read");
        assert_eq!(body.text("a", 9).as_deref(), Some("x\u{fffd}[31m"));
        assert_eq!((body.number("b"), body.number("c"), body.whole("i")), (None, Some(1000.0), None));
        assert_eq!(body.list("d", 5).map(|list| list.len()), Some(1));
        assert_eq!(body.named("f", 5).len(), 1);
        assert!(body.within("f").and_then(|f| f.within("g")).is_some_and(|g| g.flag("h")));
    }

    #[test]
    fn what_is_no_body_is_none() {
        let deep = "[".repeat(10_000);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(BYTES_MAX));
        for bytes in [&b""[..], b"null", b"[1]", b"\xff\xfe", b"{\"a\":", deep.as_bytes(), long.as_bytes()] {
            assert!(read(bytes).is_none());
        }
    }

    #[test]
    fn the_time_of_an_untrusted_clock_is_none() {
        let at = |synced| {
            read(format!("{{\"ts\":\"2000-01-01T00:00:00Z\",\"synced\":{synced}}}").as_bytes())
                .expect("read")
                .time("ts")
        };
        assert_eq!((at(true), at(false)), (Some(946_684_800_000), None));
    }
}
