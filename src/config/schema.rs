//! JSON Schema of the configuration, made from the tables of keys.

use super::raw::{Detect, Expect, Form, Leaf, LoudnessKeys, Raw, SourceKeys, Table};
use crate::alert::{Hold, Profile};
use crate::detect::Defect;
use serde_json::{Map, Value, json};

/// JSON Schema (2020-12) of the configuration's TOML: for editors, and `picket schema config`.
pub fn schema() -> Value {
    let mut properties = Map::new();
    for mut table in Raw::default().tables() {
        properties.insert(table.name.to_owned(), object(table.about, &mut table.leaves, Map::new(), &[]));
    }
    properties.insert("source".to_owned(), json!({ "type": "array", "items": source() }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Picket",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn source() -> Value {
    let mut defects = Map::new();
    for defect in Defect::ALL {
        let mut detect = Detect::default();
        let mut more = LoudnessKeys::default();
        let Hold { raise_after, clear_after } = Hold::default_for(defect);
        let mut leaves = detect.leaves();
        if defect == Defect::Loudness {
            leaves.extend(more.leaves());
        }
        let mut table = object(Detect::ABOUT, &mut leaves, Map::new(), &[]);
        for (key, default) in [("raise_after", raise_after), ("clear_after", clear_after)] {
            table["properties"][key]["default"] = json!(super::forms::duration_text(default));
        }
        for key in ["raise_level", "clear_level"] {
            match (defect.levels(), &mut table["properties"]) {
                (Some((own, unit)), properties) => {
                    let default = if key == "raise_level" { own.raise } else { own.clear };
                    properties[key]["pattern"] = json!(format!(r"^-?[0-9]+(\.[0-9]+)? *({unit})$"));
                    properties[key]["default"] = json!(format!("{default}{unit}"));
                }
                // It has none that could be set.
                (None, Value::Object(properties)) => drop(properties.remove(key)),
                (None, _) => {}
            }
        }
        defects.insert(defect.name().to_owned(), table);
    }
    let detect = json!({
        "description": "What is watched, defect by defect.",
        "type": "object",
        "additionalProperties": false,
        "properties": defects,
    });
    let mut expect = Expect::default();
    let expect = object(Expect::ABOUT, &mut expect.leaves(), Map::new(), &["from", "to", "states"]);
    let expect = json!({ "type": "array", "items": expect });
    let more = Map::from_iter([("detect".to_owned(), detect), ("expect".to_owned(), expect)]);
    object(SourceKeys::ABOUT, &mut SourceKeys::default().leaves(), more, &["id"])
}

fn object(about: &str, leaves: &mut [&mut Leaf], more: Map<String, Value>, required: &[&str]) -> Value {
    let keys = leaves.iter().map(|leaf| (leaf.key.name.to_owned(), property(leaf)));
    let properties: Map<String, Value> = keys.chain(more).collect();
    json!({
        "description": about.trim(),
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn property(leaf: &Leaf) -> Value {
    let mut property = form(leaf.key.form);
    property.insert("description".to_owned(), json!(about(leaf)));
    if let Some(default) = leaf.key.default {
        let switch = leaf.key.form == Form::Switch;
        property.insert("default".to_owned(), if switch { json!(default == "true") } else { json!(default) });
    }
    Value::Object(property)
}

/// The description, and for values with bounds what a pattern cannot say.
fn about(leaf: &Leaf) -> String {
    let about = leaf.key.about.trim();
    match leaf.key.form {
        form @ (Form::Duration(..) | Form::Size(..) | Form::Percent(..) | Form::Share(..) | Form::Level(..)) => {
            format!("{about} Form: {}.", form.right())
        }
        _ => about.to_owned(),
    }
}

fn form(form: Form) -> Map<String, Value> {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let property = match form {
        Form::Switch => json!({ "type": "boolean" }),
        Form::Title => json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
        Form::User => json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
        Form::Led => pattern("^[^/.][^/]{0,63}$"),
        Form::MachineId => pattern("^[0-9a-fA-F]{32}$"),
        Form::Folder => pattern("^/"),
        Form::File => pattern("^(/|credential:[^/]+$)"),
        Form::BrokerUrl => pattern(r"^mqtts?://([A-Za-z0-9._~-]+@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?/?$"),
        Form::Prefix => pattern("^([a-z0-9-]+(/[a-z0-9-]+)?)?$"),
        Form::Duration(..) => pattern(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"),
        Form::Size(..) => pattern(r"^[0-9]+(\.[0-9]+)?(B|kB|MB|GB|KiB|MiB|GiB)$"),
        Form::Measure => json!({ "type": "string" }),
        Form::Version => pattern("^(5|3\\.1\\.1)$"),
        Form::Severity => pattern("^(critical|major|minor|warning)$"),
        Form::Profile => pattern(&format!("^({})$", Profile::ALL.map(Profile::name).join("|"))),
        Form::Hour => pattern("^([01][0-9]|2[0-4]):[0-5][0-9]$"),
        Form::Days => pattern("^(mon|tue|wed|thu|fri|sat|sun)([-,](mon|tue|wed|thu|fri|sat|sun))*$"),
        Form::Zone => pattern("^(UTC|[+-][01][0-9]:[0-5][0-9])$"),
        Form::Marks => json!({ "type": "array", "items": pattern("^[0-9a-f]{16}$"), "minItems": 1, "maxItems": 8 }),
        Form::States => json!({ "type": "array", "items": { "enum": Defect::ALL.map(Defect::name) }, "minItems": 1 }),
        Form::Share(..) | Form::Percent(..) => pattern(r"^[0-9]+(\.[0-9]+)?%$"),
        Form::Level(_, _, unit) => pattern(&format!(r"^-?[0-9]+(\.[0-9]+)? *{unit}$")),
        Form::SourceId => pattern("^[a-z0-9-]{1,32}$"),
        Form::Input => json!({ "type": "string", "minLength": 1 }),
        Form::Decoder => pattern("^[a-z0-9_-]+$"),
        Form::Audio => pattern("^alsa:."),
        Form::Node => pattern("^/"),
    };
    match property {
        Value::Object(property) => property,
        _ => Map::new(),
    }
}
