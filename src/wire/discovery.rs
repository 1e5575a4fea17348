//! What Home Assistant is told of a device, so that its entities appear by themselves: device-based discovery, one
//! retained message (contract, mqtt). Its own format, so without the fields that our bodies begin with.

use super::command::BODY_BYTES_MAX;
use super::info::Device;
use super::{Message, Qos, Topics, encoded};
use crate::ids::SourceId;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Where Home Assistant tells that it has started.
pub const HOME_ASSISTANT_BIRTH: &str = "homeassistant/status";

/// The messages for Home Assistant: one, or where that would be too long, one for the box and one for each source.
/// `period`: of `health`; `pictures`: whether there are any.
pub fn discovery(
    device: &Device,
    sources: &[SourceId],
    topics: &Topics,
    period: Duration,
    pictures: bool,
) -> Vec<Message> {
    let of_box = || of_box(device, topics, period);
    let name = device.name.as_deref().unwrap_or(device.id.as_str());
    let mut all = of_box();
    sources.iter().for_each(|source| all.extend(of_source(device, source, topics, pictures)));
    let id = device.id.as_str();
    let whole = message(topics.discovery(None), device, topics, json!({"ids": [id], "name": name}), all);
    if whole.payload.len() <= BODY_BYTES_MAX {
        return vec![whole];
    }
    let mut messages =
        vec![message(topics.discovery(None), device, topics, json!({"ids": [id], "name": name}), of_box())];
    messages.extend(sources.iter().map(|source| {
        let about = json!({"ids": [format!("{id}_{source}")], "name": format!("{name} {source}"), "via_device": id});
        let components = of_source(device, source, topics, pictures);
        message(topics.discovery(Some(source)), device, topics, about, components)
    }));
    messages
}

fn message(
    topic: String,
    device: &Device,
    topics: &Topics,
    mut about: Value,
    components: Map<String, Value>,
) -> Message {
    let version = env!("CARGO_PKG_VERSION");
    about["mf"] = "Picket".into();
    about["mdl"] = "picture and sound monitor".into();
    about["sw"] = version.into();
    if let Some(site) = &device.site {
        about["sa"] = site.as_str().into();
    }
    let availability = "{{ 'online' if value_json.state == 'online' else 'offline' }}";
    let body = json!({
        "dev": about,
        "o": {"name": "picket", "sw": version},
        "avty": [{"t": topics.status(), "val_tpl": availability}],
        "qos": 0,
        "cmps": components,
    });
    Message { topic, payload: encoded(&body), qos: Qos::AtLeastOnce, retain: true, expires_after: None }
}

fn of_box(device: &Device, topics: &Topics, period: Duration) -> Map<String, Value> {
    let (id, health) = (device.id.as_str(), topics.health());
    let stale = period.as_secs() * 3;
    let diagnostic = |key: &str, name: &str, template: &str, more: Value| {
        let mut sensor = json!({
            "p": "sensor", "uniq_id": format!("{id}_{key}"), "name": name, "stat_t": health, "ent_cat": "diagnostic",
            "exp_aft": stale, "val_tpl": template,
        });
        merge(&mut sensor, more);
        (key.to_owned(), sensor)
    };
    let restart = json!({
        "p": "button", "uniq_id": format!("{id}_restart"), "name": "Restart", "dev_cla": "restart", "ent_cat": "config",
        "cmd_t": topics.command("restart"), "qos": 1,
        "cmd_tpl": "{\"id\":\"ha-{{ (now().timestamp() * 1000) | int }}\"}",
    });
    let enumerated = json!({"dev_cla": "enum", "ops": VERDICTS});
    let heat = json!({"dev_cla": "temperature", "unit_of_meas": "°C", "stat_cla": "measurement"});
    let share = json!({"unit_of_meas": "%", "stat_cla": "measurement"});
    let count = json!({"stat_cla": "measurement"});
    Map::from_iter([
        diagnostic("class", "Health", "{{ value_json.class }}", enumerated),
        diagnostic("temp", "Temperature", "{{ value_json.temp_c | default(none) }}", heat),
        diagnostic("cpu", "Processor time", "{{ value_json.budget.cpu_pct }}", share),
        diagnostic("spool", "Waiting events", "{{ value_json.spool.n }}", count),
        ("restart".to_owned(), restart),
    ])
}

const VERDICTS: [&str; 5] = ["ok", "warning", "alert", "lost", "off"];

fn of_source(device: &Device, source: &SourceId, topics: &Topics, pictures: bool) -> Map<String, Value> {
    let (id, state) = (device.id.as_str(), topics.state(source));
    let component = |key: &str, name: &str, platform: &str, more: Value| {
        let mut component =
            json!({"p": platform, "uniq_id": format!("{id}_{source}_{key}"), "name": format!("{source} {name}")});
        merge(&mut component, more);
        (format!("{source}_{key}"), component)
    };
    let problem = "{{ 'ON' if value_json.verdict in ['warning', 'alert', 'lost'] else 'OFF' }}";
    let loudness = "{{ value_json.short_term_lufs | default(none) }}";
    let step = "{{ {'event_type': value_json.state, 'defect': value_json.defect, 'severity': value_json.severity, 'text': value_json.text} | tojson }}";
    let mut components = Map::from_iter([
        component(
            "problem",
            "problem",
            "binary_sensor",
            json!({"dev_cla": "problem", "stat_t": state, "val_tpl": problem}),
        ),
        component(
            "verdict",
            "verdict",
            "sensor",
            // Attributes are the small document alone: the recorder drops those above 16 KiB.
            json!({"dev_cla": "enum", "ops": VERDICTS, "stat_t": state, "val_tpl": "{{ value_json.verdict }}", "json_attr_t": state}),
        ),
        component(
            "loudness",
            "loudness",
            "sensor",
            json!({"unit_of_meas": "LUFS", "stat_cla": "measurement", "stat_t": state, "val_tpl": loudness}),
        ),
        component(
            "incident",
            "incident",
            "event",
            json!({"evt_typ": ["raised", "updated", "cleared"], "stat_t": topics.event(source), "val_tpl": step}),
        ),
    ]);
    if pictures {
        let about = json!({"img_t": topics.image(source), "cont_type": "image/jpeg"});
        components.extend([component("picture", "picture", "image", about)]);
    }
    components
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DeviceId;

    fn told(sources: usize) -> Vec<(String, Value)> {
        let device = Device { id: DeviceId::offline(), name: Some("Rack 2".to_owned()), site: None };
        let sources: Vec<SourceId> =
            (0..sources).map(|n| SourceId::new(&format!("input-{n}")).expect("well formed")).collect();
        let messages = discovery(&device, &sources, &Topics::new("", &device.id), Duration::from_secs(30), true);
        let read = |message: Message| {
            assert!(message.payload.len() <= BODY_BYTES_MAX && message.retain, "{}", message.payload.len());
            (message.topic, serde_json::from_slice(&message.payload).expect("JSON"))
        };
        messages.into_iter().map(read).collect()
    }

    #[test]
    fn one_message_tells_a_box_and_its_sources() {
        let all = told(3);
        let [(topic, body)] = all.as_slice() else { panic!("one message") };
        assert_eq!(topic, "homeassistant/device/pk-000000000000/config");
        let components = body["cmps"].as_object().expect("components");
        assert_eq!(components.len(), 5 + 3 * 5);
        let mut ids: Vec<&str> = components.values().filter_map(|one| one["uniq_id"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), components.len(), "each has an id of its own");
        assert!(components.values().all(|one| one["p"].is_string()));
        // The base topic works inside of components only, and not at the root: all topics are whole.
        assert!(!body.to_string().contains('~'));
    }

    #[test]
    fn many_sources_are_devices_of_their_own() {
        let all = told(12);
        assert_eq!(all.len(), 13);
        assert_eq!(all[1].0, "homeassistant/device/pk-000000000000-input-0/config");
        assert_eq!(all[1].1["dev"]["via_device"], "pk-000000000000");
    }
}
