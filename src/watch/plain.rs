//! Changes as lines for pipes: `TIME WHO KIND ...`, or one JSON object a line.

use super::incident::{Change, Moved, What};
use crate::wire;
use serde_json::{Map, Value, json};

/// Who it is about: "pk-0123456789ab" or "pk-0123456789ab/sdi-1".
fn who(change: &Change) -> String {
    match &change.source {
        Some(source) => format!("{}/{source}", change.device.as_str()),
        None => change.device.as_str().to_owned(),
    }
}

/// For people and grep. Nothing in it commands a terminal: all texts were made harmless when they came.
pub(super) fn line(change: &Change) -> String {
    let what = match &change.what {
        What::Verdict { was, is, moved } => {
            let moved = match moved {
                Moved::Not => "",
                Moved::Away => " away",
                Moved::Back => " back",
            };
            format!("verdict {} was={}{moved}", is.name(), was.map_or("-", |was| was.name()))
        }
        What::Step(step) => {
            let late = if step.replayed { " late" } else { "" };
            let lasted = step.lasted_s.map_or(String::new(), |lasted| format!(" {lasted:.1}s"));
            format!("{} {} {}{lasted}{late} {:?}", step.step, step.defect, step.severity.name(), step.text)
        }
        What::Named { name, site, version } => format!("named {name:?} site={site:?} version={version:?}"),
        What::Gone => "gone".to_owned(),
    };
    format!("{} {} {what}", wire::rfc3339(change.at_ms), who(change))
}

/// For programs.
pub(super) fn json(change: &Change) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("type", json!("change"));
    put("ts", json!(wire::rfc3339(change.at_ms)));
    put("device", json!(change.device.as_str()));
    if let Some(source) = &change.source {
        put("source", json!(source.as_str()));
    }
    match &change.what {
        What::Verdict { was, is, moved } => {
            put("kind", json!("verdict"));
            if *moved != Moved::Not {
                put("away", json!(*moved == Moved::Away));
            }
            put("verdict", json!(is.name()));
            if let Some(was) = was {
                put("was", json!(was.name()));
            }
        }
        What::Step(step) => {
            put("kind", json!(step.step));
            put("id", json!(step.id));
            put("defect", json!(step.defect));
            put("severity", json!(step.severity.name()));
            put("seq", json!(step.seq));
            if let Some(lasted) = step.lasted_s {
                put("duration_s", json!(lasted));
            }
            put("text", json!(step.text));
            if step.replayed {
                put("replayed", json!(true));
            }
        }
        What::Named { name, site, version } => {
            put("kind", json!("named"));
            put("name", json!(name));
            put("site", json!(site));
            put("version", json!(version));
        }
        What::Gone => {
            put("kind", json!("gone"));
        }
    }
    Value::Object(object).to_string()
}

/// The line to the broker came up or went down.
pub(super) fn link_line(at_ms: i64, up: bool, text: &str) -> String {
    format!("{} broker {} {text}", wire::rfc3339(at_ms), if up { "up" } else { "down" })
}

/// The same for programs.
pub(super) fn link_json(at_ms: i64, up: bool, text: &str) -> String {
    json!({ "type": "link", "ts": wire::rfc3339(at_ms), "up": up, "text": text }).to_string()
}
