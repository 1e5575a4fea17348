//! Steps of incidents as JSON (contract, events). The same bytes go to MQTT and to `analyze --format ndjson`.

use super::{MINOR_VERSION, Made, Topics, rfc3339, rounded};
use crate::alert::{Alert, ClearedBy, Transition};
use crate::detect::Defect;
use crate::ids::{BootId, DeviceId};
use crate::time::{Mono, Wall};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// One step of an incident.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "event")]
pub(super) struct EventBody<'a> {
    /// Minor version of the contract.
    v: u32,
    /// Always `incident`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^incident$"))]
    kind: &'a str,
    /// `raised`, `updated` or `cleared`.
    #[schemars(regex(pattern = "^(raised|updated|cleared)$"))]
    state: &'a str,
    /// The same for all steps; unique over the fleet and over restarts.
    id: &'a str,
    /// Which device.
    #[schemars(regex(pattern = "^pk-[0-9a-f]{12}$"))]
    device: &'a str,
    /// Which source.
    #[schemars(regex(pattern = "^[a-z0-9-]{1,32}$"))]
    source: &'a str,
    /// Name from the catalogue of defects.
    defect: &'a str,
    /// `critical`, `major`, `minor` or `warning` (ITU-T X.733).
    #[schemars(regex(pattern = "^(critical|major|minor|warning)$"))]
    severity: &'a str,
    /// Media time of this decision, seconds since the source's first picture.
    at_s: f64,
    /// When the defect began, as `at_s`.
    onset_s: f64,
    /// First good unit, as `at_s`; only in `cleared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_s: Option<f64>,
    /// `end_s` - `onset_s`; only in `cleared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<f64>,
    /// RFC 3339 UTC of `at_s`; live sources only.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<String>,
    /// RFC 3339 UTC of `onset_s`; live sources only.
    #[serde(skip_serializing_if = "Option::is_none")]
    onset_ts: Option<String>,
    /// RFC 3339 UTC of `end_s`; live sources only.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ts: Option<String>,
    /// Whether the wall clock was trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    synced: Option<bool>,
    /// CLOCK_BOOTTIME of this decision, ms (media time for files).
    mono_ms: u64,
    /// First 8 hexadecimal digits of the boot id.
    boot: &'a str,
    /// +1 for each event of the device: a gap proves loss.
    seq: u64,
    /// The deciding measure.
    value: f64,
    /// Its limit.
    threshold: f64,
    /// Unit of both.
    unit: &'a str,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// `av_sync` only; positive: sound late.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ms: Option<f64>,
    /// x, y, w, h in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<[u32; 4]>,
    /// One line of English.
    text: &'a str,
    /// Why it ended; only in `cleared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared_by: Option<&'a str>,
    /// Defects that were present too and are explained by this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    masks: Vec<&'a str>,
    /// The picture that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceBody>,
    /// Delivered late from the outbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
struct EvidenceBody {
    /// MQTT topic of the picture; absent in `analyze`.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    /// Of the JPEG file, hexadecimal.
    sha256: String,
    /// Size of the JPEG file.
    bytes: usize,
}

/// Who tells an event, and when.
#[derive(Clone, Debug)]
pub struct Teller<'a> {
    /// Which device.
    pub device: &'a DeviceId,
    /// Sequence number of this event.
    pub seq: u64,
    /// Which boot `Stamp::arrived` belongs to.
    pub boot: &'a BootId,
    /// Both clocks at the same moment; `None` for files, which have no wall-clock times.
    pub clocks: Option<(Wall, Mono)>,
    /// Topics, where the picture is published.
    pub topics: Option<&'a Topics>,
}

/// One step as a JSON object, without a line's end.
pub fn event(alert: &Alert, teller: &Teller<'_>) -> Vec<u8> {
    let (state, end, by) = match alert.transition {
        Transition::Raised => ("raised", None, None),
        Transition::Updated => ("updated", None, None),
        Transition::Cleared { end, by } => ("cleared", Some(end), Some(by)),
    };
    // Media time maps to the wall clock through the unit that decided: its place and its arrival.
    let arrived =
        teller.clocks.map(|(wall, now)| (wall.unix_ms - now.since(alert.at.arrived).as_millis() as i64, wall));
    let wall_of = |at: crate::time::MediaTime| {
        arrived.map(|(unix_ms, _)| rfc3339(unix_ms - (alert.at.at.0 - at.0).div_euclid(1_000_000)))
    };
    let body = EventBody {
        v: MINOR_VERSION,
        kind: "incident",
        state,
        id: alert.id.as_str(),
        device: teller.device.as_str(),
        source: alert.source.as_str(),
        defect: alert.defect.name(),
        severity: alert.severity.name(),
        at_s: rounded(alert.at.at.as_secs_f64()),
        onset_s: rounded(alert.onset.as_secs_f64()),
        end_s: end.map(|end| rounded(end.as_secs_f64())),
        duration_s: end.map(|end| rounded(end.since(alert.onset).as_secs_f64())),
        ts: wall_of(alert.at.at),
        onset_ts: wall_of(alert.onset),
        end_ts: end.and_then(wall_of),
        synced: arrived.map(|(_, wall)| wall.synced),
        mono_ms: alert.at.arrived.as_ms(),
        boot: teller.boot.as_str(),
        seq: teller.seq,
        value: rounded(alert.value),
        threshold: rounded(alert.threshold),
        unit: alert.unit,
        confidence: alert.confidence.map(rounded),
        offset_ms: (alert.defect == Defect::AvSync).then(|| rounded(alert.value)),
        region: alert.region.map(|r| [r.x, r.y, r.w, r.h]),
        text: &alert.text,
        cleared_by: by.map(ClearedBy::name),
        masks: alert.masks.iter().map(|defect| defect.name()).collect(),
        evidence: alert.evidence.as_ref().map(|evidence| EvidenceBody {
            topic: teller.topics.map(|topics| topics.image(&alert.source)),
            sha256: evidence.sha256.clone(),
            bytes: evidence.jpeg.len(),
        }),
        replayed: None,
    };
    super::encoded(&body)
}

/// The `cleared` step for an incident that was open when the daemon died, made from the last step that was told.
/// When it really ended nobody knows: `end_s` is the last moment at which it was seen. `None` when `last` is no event.
pub fn cleared_by_restart(last: &[u8], seq: u64, made: &Made) -> Option<Vec<u8>> {
    // simd-json parses in place.
    let mut bytes = last.to_vec();
    let old: Map<String, Value> = simd_json::serde::from_slice(&mut bytes).ok()?;
    let (onset, at) = (old.get("onset_s")?.as_f64()?, old.get("at_s")?.as_f64()?);
    let defect = old.get("defect")?.as_str()?;
    let text = format!("{defect} was open when Picket stopped; if it is still there, a new incident says so");
    let mut changes: Map<String, Value> = Map::new();
    changes.insert("state".to_owned(), "cleared".into());
    changes.insert("ts".to_owned(), rfc3339(made.wall.unix_ms).into());
    changes.insert("synced".to_owned(), made.wall.synced.into());
    changes.insert("mono_ms".to_owned(), made.mono.as_ms().into());
    changes.insert("boot".to_owned(), made.boot.as_str().into());
    changes.insert("seq".to_owned(), seq.into());
    changes.insert("text".to_owned(), text.into());
    // In the order of the contract, like every other event.
    let mut new = Map::new();
    for (key, value) in old.iter().filter(|(key, _)| !["masks", "evidence", "replayed"].contains(&key.as_str())) {
        new.insert(key.clone(), changes.get(key).unwrap_or(value).clone());
        if key == "onset_s" {
            new.insert("end_s".to_owned(), at.into());
            new.insert("duration_s".to_owned(), rounded(at - onset).into());
        }
        if let ("onset_ts", Some(seen)) = (key.as_str(), old.get("ts")) {
            new.insert("end_ts".to_owned(), seen.clone());
        }
        if key == "text" {
            new.insert("cleared_by".to_owned(), ClearedBy::Restart.name().into());
        }
    }
    Some(super::encoded(&new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Evidence;
    use crate::detect::{Region, Severity};
    use crate::ids::{IncidentIds, SourceId, StartCount};
    use crate::time::{MediaTime, Stamp};

    fn alert(transition: Transition) -> Alert {
        let source = SourceId::new("sdi-1").expect("well formed");
        Alert {
            id: IncidentIds::new(&DeviceId::offline(), StartCount(3), &source).next_id(),
            source,
            defect: Defect::Freeze,
            transition,
            severity: Severity::Major,
            at: Stamp { at: MediaTime(12_000_000_000), arrived: Mono(50_000_000_000) },
            onset: MediaTime(10_400_000_000),
            value: 2.0,
            threshold: f64::NAN,
            unit: "%",
            confidence: Some(0.9),
            region: Some(Region { x: 1, y: 2, w: 3, h: 4 }),
            text: "picture is frozen".to_owned(),
            masks: vec![Defect::BlockCorruption],
            evidence: Some(Evidence { jpeg: vec![0; 9], sha256: "ab".to_owned() }),
        }
    }

    fn told(transition: Transition, live: bool) -> String {
        let clocks = live.then_some((Wall { unix_ms: 1_700_000_001_000, synced: true }, Mono(51_000_000_000)));
        let (device, boot) = (DeviceId::offline(), BootId::from_kernel("12345678-9abc"));
        let topics = Topics::new("", &device);
        let teller = Teller { device: &device, seq: 7, boot: &boot, clocks, topics: Some(&topics) };
        String::from_utf8(event(&alert(transition), &teller)).expect("JSON is UTF-8")
    }

    #[test]
    fn an_event_is_written_as_the_contract_says() {
        assert_eq!(
            told(Transition::Raised, true),
            r#"{"v":0,"type":"incident","state":"raised","id":"000000000000-3-sdi-1-1","device":"pk-000000000000","source":"sdi-1","defect":"freeze","severity":"major","at_s":12.0,"onset_s":10.4,"ts":"2023-11-14T22:13:20.000Z","onset_ts":"2023-11-14T22:13:18.400Z","synced":true,"mono_ms":50000,"boot":"12345678","seq":7,"value":2.0,"threshold":0.0,"unit":"%","confidence":0.9,"region":[1,2,3,4],"text":"picture is frozen","masks":["block_corruption"],"evidence":{"topic":"picket-img/1/pk-000000000000/sdi-1/last","sha256":"ab","bytes":9}}"#
        );
        let cleared = told(Transition::Cleared { end: MediaTime(11_500_000_000), by: ClearedBy::Recovered }, false);
        assert!(cleared.contains(r#""end_s":11.5,"duration_s":1.1,"mono_ms""#), "{cleared}");
        assert!(cleared.contains(r#""cleared_by":"recovered""#) && !cleared.contains("_ts"), "{cleared}");
    }

    #[test]
    fn what_was_open_at_a_crash_is_cleared_with_its_own_fields() {
        let made = Made {
            wall: Wall { unix_ms: 1_700_000_100_000, synced: false },
            mono: Mono(3_000_000),
            boot: BootId::from_kernel("87654321"),
        };
        let cleared = cleared_by_restart(told(Transition::Raised, true).as_bytes(), 8, &made).expect("an event");
        let cleared = String::from_utf8(cleared).expect("JSON is UTF-8");
        assert!(cleared.starts_with(r#"{"v":0,"type":"incident","state":"cleared","id":"000000000000-3-sdi-1-1""#));
        for part in [
            r#""onset_s":10.4,"end_s":12.0,"duration_s":1.6,"ts":"2023-11-14T22:15:00.000Z""#,
            r#""end_ts":"2023-11-14T22:13:20.000Z","synced":false,"mono_ms":3,"boot":"87654321","seq":8"#,
            r#""cleared_by":"restart""#,
        ] {
            assert!(cleared.contains(part), "{part} in {cleared}");
        }
        assert!(!cleared.contains("evidence") && !cleared.contains("masks"));
        assert_eq!(cleared_by_restart(b"{}", 8, &made), None);
        assert_eq!(cleared_by_restart(b"not JSON", 8, &made), None);
    }
}
