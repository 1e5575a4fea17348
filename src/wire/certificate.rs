//! The device's certificate: what `health` tells of it, and what `picket provision status` prints.

use super::verdict::Verdict;
use super::{MINOR_VERSION, encoded, rfc3339, rounded};
use schemars::JsonSchema;
use serde::Serialize;

/// The device's certificate, for `health`. Empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct CertHealth {
    /// Days until the certificate of this device, or one of its issuers', ends; negative afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_days: Option<f64>,
    /// Two thirds of its life are over: it should be renewed (command `rotate-cert`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cert_renew: bool,
    /// What is wrong with it: it ends in 30, 7 or 1 days (in proportion where it lives for less than 90), the broker did not
    /// take its successor, it cannot be read. Then `class` is not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// A day is left, or less.
    #[serde(skip)]
    pub urgent: bool,
}

impl CertHealth {
    /// One word.
    pub fn verdict(&self) -> Verdict {
        match (self.urgent, &self.certificate) {
            (true, _) => Verdict::Alert,
            (false, Some(_)) => Verdict::Warning,
            (false, None) => Verdict::Ok,
        }
    }

    /// As it is told.
    pub(super) fn rounded(&self) -> Self {
        Self { cert_days: self.cert_days.map(rounded), ..self.clone() }
    }
}

/// By how much the wall clock was set while the daemon ran, for `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClockStep {
    /// To be added to times that this boot told before, ms.
    pub offset_ms: i64,
    /// When, CLOCK_BOOTTIME, ms.
    pub mono_ms: u64,
}

/// What this box has to show the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "provision")]
pub struct Provision {
    /// Minor version of the contract.
    pub v: u32,
    /// Always `provision`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^provision$"))]
    pub kind: &'static str,
    /// Whom the certificate must name.
    pub device: String,
    /// Where the keys that are made here lie.
    pub folder: String,
    /// The certificate that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateTold>,
    /// A key waits for its certificate.
    pub request: bool,
    /// Its certificate is here, and the broker has yet to accept it.
    pub on_trial: bool,
    /// Why the last certificate did not stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What is wrong, one text each.
    pub wrong: Vec<String>,
}

/// One certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct CertificateTold {
    /// The file.
    pub path: String,
    /// Whom it names.
    pub subject: String,
    /// When its life begins, RFC 3339 UTC.
    pub from: String,
    /// When it ends.
    pub until: String,
    /// When it should be renewed.
    pub renew: String,
    /// Days until it, or one of its issuers', ends; negative afterwards.
    pub days: f64,
}

impl CertificateTold {
    /// Times are Unix seconds.
    pub fn new(path: &std::path::Path, subject: &str, life: [i64; 3], days: f64) -> Self {
        let [from, until, renew] = life.map(|seconds| rfc3339(seconds.saturating_mul(1000)));
        Self { path: path.display().to_string(), subject: subject.to_owned(), from, until, renew, days: rounded(days) }
    }
}

/// As JSON.
pub fn provision(mut told: Provision) -> Vec<u8> {
    told.v = MINOR_VERSION;
    told.kind = "provision";
    encoded(&told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_without_a_certificate_tells_nothing_of_one() {
        assert_eq!(encoded(&CertHealth::default()), b"{}");
        let soon =
            CertHealth { cert_days: Some(6.123_456), certificate: Some("ends".to_owned()), ..CertHealth::default() };
        assert_eq!(encoded(&soon.rounded()), br#"{"cert_days":6.123,"certificate":"ends"}"#);
        assert_eq!((CertHealth::default().verdict(), soon.verdict()), (Verdict::Ok, Verdict::Warning));
        assert_eq!(CertHealth { urgent: true, ..soon }.verdict(), Verdict::Alert);
    }

    #[test]
    fn times_are_utc() {
        let told = CertificateTold::new(std::path::Path::new("/x"), "box", [0, 86_400, 57_600], -0.5);
        let expected = ["1970-01-01T00:00:00.000Z", "1970-01-02T00:00:00.000Z", "1970-01-01T16:00:00.000Z"];
        assert_eq!([&told.from, &told.until, &told.renew], expected.each_ref());
    }
}
