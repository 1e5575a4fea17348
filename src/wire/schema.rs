//! JSON Schemas of all messages, made from the types that are encoded: they cannot drift apart.

use super::certificate::Provision;
use super::command::ReplyBody;
use super::compare::{Comparison, ReadingBody};
use super::config::ConfigBody;
use super::event::EventBody;
use super::firmware::FirmwareBody;
use super::fitness::FitnessReport;
use super::health::HealthBody;
use super::info::InfoBody;
use super::log::LogBody;
use super::metrics::MetricsBody;
use super::probe::{ProbeChange, ProbeReport};
use super::report::{BenchReport, Summary};
use super::status::{StateBody, StatusBody};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// Names that [`schema`] knows.
pub const NAMES: [&str; 18] = [
    "event",
    "summary",
    "bench",
    "broker_check",
    "probe",
    "probe_change",
    "status",
    "info",
    "health",
    "state",
    "config_state",
    "firmware",
    "metrics",
    "log",
    "reply",
    "provision",
    "reading",
    "comparison",
];

/// The JSON Schema (2020-12) of the message called `name`.
pub fn schema(name: &str) -> Option<Value> {
    Some(match name {
        "event" => of::<EventBody<'_>>(),
        "summary" => of::<Summary>(),
        "bench" => of::<BenchReport>(),
        "broker_check" => of::<FitnessReport>(),
        "probe" => of::<ProbeReport>(),
        "probe_change" => of::<ProbeChange>(),
        "status" => of::<StatusBody<'_>>(),
        "info" => of::<InfoBody<'_>>(),
        "health" => of::<HealthBody<'_>>(),
        "state" => of::<StateBody<'_>>(),
        "config_state" => of::<ConfigBody<'_>>(),
        "firmware" => of::<FirmwareBody<'_>>(),
        "metrics" => of::<MetricsBody<'_>>(),
        "log" => of::<LogBody<'_>>(),
        "reply" => of::<ReplyBody<'_>>(),
        "provision" => of::<Provision>(),
        "reading" => of::<ReadingBody>(),
        "comparison" => of::<Comparison>(),
        _ => return None,
    })
}

fn of<T: JsonSchema>() -> Value {
    // The shape of what is written: fields that are always written are required.
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_schema_and_no_other() {
        for name in NAMES {
            let schema = schema(name).expect("listed");
            assert_eq!(schema["type"], "object", "{name}");
            assert!(schema["required"].as_array().is_some_and(|r| r.iter().any(|f| f == "v")), "{name}");
        }
        assert_eq!(schema("nothing"), None);
    }

    #[test]
    fn every_reason_to_shed_is_in_the_schema() {
        let state = schema("state").expect("listed").to_string();
        for reason in crate::budget::Reason::ALL {
            assert!(state.contains(reason.name()), "{reason:?}");
        }
    }
}
