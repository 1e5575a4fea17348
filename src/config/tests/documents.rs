//! The shipped file, the contract's example, the schema and the effective settings agree with the loader.

use super::*;
use crate::detect::Defect;
use crate::source::Input;
use serde_json::Value;

const SHIPPED: &str = include_str!("../../../systemd/picket.toml");

/// The example of the contract.
const CONTRACT: &str = r#"
[device]
site = "studio-4"                  # name and site are shown to people; the id comes from the machine identity

[broker]
url = "mqtts://broker.example:8883"
ca = "/etc/picket/tls/ca.pem"
cert = "/etc/picket/tls/device.pem"
key = "/etc/picket/tls/device.key"

[budget]
cpu = "25%"                        # of one core; Picket sheds load before it passes this
memory = "160MiB"

[[source]]
id = "sdi-1"
input = "v4l2:/dev/video0"
audio = "alsa:hw:1,0"

[source.detect.freeze]
raise_after = "2s"

[[source]]
id = "program-out"
input = "udp://239.1.1.1:5000"
pair_with = "sdi-1"                # measures latency, A/V offset and losses that the encoder adds
"#;

/// `text` with its commented-out settings switched on.
fn uncommented(text: &str) -> String {
    let setting = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        let key = !key.is_empty() && key.len() < line.len() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        key || line.starts_with('[')
    };
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(|rest| setting(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the schema says against `text`.
fn schema_faults(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().expect("TOML");
    let value: Value = serde_json::to_value(table).expect("JSON");
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_shipped_file_is_right_with_and_without_its_comment_marks() {
    let effective = |text: &str| only(text).unwrap_or_else(|mistakes| panic!("{mistakes}")).effective();
    assert_eq!(effective(SHIPPED), effective(""), "all of it is commented out");
    assert_eq!(schema_faults(SHIPPED), [""; 0]);
    let all = uncommented(SHIPPED);
    let config = only(&all).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.sources.len(), 1);
    assert!(config.broker.is_some_and(|broker| broker.tls.is_some_and(|tls| tls.identity.is_some())));
    assert_eq!(schema_faults(&all), [""; 0]);
}

#[test]
fn the_contracts_example_is_understood() {
    assert_eq!(schema_faults(CONTRACT), [""; 0]);
    let config = only(CONTRACT).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.sources[0].input.display(), "v4l2:/dev/video0 + alsa:hw:1,0");
    let relayed = CONTRACT.replace("audio =", "relay = \"/dev/video10\"\naudio =");
    assert_eq!(schema_faults(&relayed), [""; 0]);
    let config = only(&relayed).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let Input::Capture(taps) = &config.sources[0].input else { panic!("taps") };
    assert_eq!(taps.relay, Some("/dev/video10".into()));
}

#[test]
fn the_schema_refuses_what_the_loader_refuses() {
    let wrong = [
        "[device]\nsit = \"x\"",
        "[broker]\nurl = \"amqp://x\"",
        "[broker]\nurl = \"mqtt://me:hush@x\"",
        "[health]\nperiod = 30",
        "[health]\nperiod = \"30\"",
        "[outbox]\nbytes_max = \"16\"",
        "[budget]\ncpu = \"25\"",
        "[evidence]\npictures = \"no\"",
        "[[source]]\nid = \"A\"\ninput = \"-\"",
        "[[source]]\ninput = \"-\"",
        "[[source]]\nid = \"a\"\ninput = \"-\"\ndetect.freez.enabled = true",
        "[source]\nid = \"a\"\ninput = \"-\"",
    ];
    for text in wrong {
        assert!(only(text).is_err(), "{text}");
        assert_ne!(schema_faults(text), [""; 0], "{text}");
    }
}

#[test]
fn every_key_is_described_and_every_default_is_right() {
    let schema = schema();
    let tables = schema["properties"].as_object().expect("tables");
    let mut text = String::new();
    for (name, table) in tables.iter().filter(|(name, _)| *name != "source") {
        text.push_str(&format!("[{name}]\n"));
        for (key, property) in table["properties"].as_object().expect("keys") {
            assert!(property["description"].as_str().is_some_and(|about| about.len() > 10), "{name}.{key}");
            if let Some(default) = property.get("default") {
                text.push_str(&format!("{key} = {default}\n"));
            }
        }
    }
    let broker = "[broker]\nurl = \"mqtt://x\"\n";
    let spelt = only(&text.replace("[broker]\n", broker)).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(spelt.effective(), only(broker).expect("no mistake").effective());
}

#[test]
fn defects_have_one_name_everywhere() {
    let schema = schema();
    let keys = schema["properties"]["source"]["items"]["properties"]["detect"]["properties"].as_object().expect("keys");
    assert!(keys.keys().map(String::as_str).eq(Defect::ALL.map(Defect::name)));
    for defect in Defect::ALL {
        let config =
            only(&format!("{SOURCE}[source.detect.{}]\nenabled = false\n", defect.name())).expect("no mistake");
        for other in Defect::ALL {
            assert_eq!(config.sources[0].incidents.hold(other).is_none(), other == defect);
        }
    }
}

#[test]
fn the_effective_settings_say_it_all_and_can_be_read_again() {
    let text = format!(
        "[device]\nname = \"a \\\"b\\\"\"\nmachine_id = \"0123456789abcdef0123456789ABCDEF\"\nled = \"status:green\"\nallow_reboot = true\n\
         [broker]\nurl = \"mqtts://box@[::1]\"\nca = \"/ca\"\ncert = \"/c\"\nkey = \"/k\"\npassword_file = \"/p\"\nprefix = \"a/b\"\n\
         [budget]\ncpu = \"33.3%\"\n[health]\nperiod = \"1m30s\"\n[outbox]\nbytes_max = \"1.5MiB\"\n[evidence]\npictures = false\n\
         {SOURCE}detect.black.enabled = false\n[[source]]\nid = \"out\"\ninput = \"pattern:loop\"\npair_with = \"sdi-1\"\n"
    );
    let config = only(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let again = only(&config.effective()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(again.effective(), config.effective());
    assert_eq!((again.broker, again.sources, again.device), (config.broker, config.sources, config.device));
    let default = only(&format!("{SOURCE}[broker]\nurl = \"mqtt://x\"\n")).expect("no mistake").effective();
    let expected = "\
[device]
state_dir = \"/var/lib/picket\"
runtime_dir = \"/run/picket\"
allow_reboot = false

[broker]
url = \"mqtt://x:1883\"
version = \"5\"
keep_alive = \"20s\"
reconnect_spread = \"2m\"
prefix = \"\"

[budget]
cpu = \"25%\"
memory = \"160MiB\"
yield_when_busy = true

[health]
period = \"30s\"

[outbox]
bytes_max = \"16MiB\"
age_max = \"7d\"

[evidence]
pictures = true

[tape]
enabled = false

[homeassistant]
discovery = false

[[source]]
id = \"sdi-1\"
input = \"udp://239.1.1.1:5000\"
reopen_after = \"10s\"
detect.stream_loss = { raise_after = ";
    assert!(default.starts_with(expected), "{default}");
}

#[test]
fn the_effective_settings_hold_no_secret() {
    let text = "[[source]]\nid = \"a\"\ninput = \"rtsp://me:hush@cam/live?key=hush\"\n";
    let shown = only(text).expect("no mistake").effective();
    assert!(shown.contains("input = \"rtsp://cam/live?...\"") && !shown.contains("hush"), "{shown}");
}

#[test]
fn a_loudness_target_is_set_checked_and_read_again() {
    let text =
        format!("{SOURCE}[source.detect.loudness]\ntarget = \"-23 LUFS\"\ntolerance = \"1LU\"\nraise_after = \"5s\"\n");
    let config = only(&text).expect("no mistake");
    let loudness = config.sources[0].detect.loudness;
    assert_eq!((loudness.target, loudness.tolerance), (Some(-23.0), 1.0));
    assert_eq!(only(&config.effective()).expect("no mistake").sources, config.sources);
    assert_eq!(schema_faults(&text), [""; 0]);
    for wrong in ["target = \"-23\"", "target = \"-90LUFS\"", "tolerance = \"1LU\"", "targt = \"-23LUFS\""] {
        assert!(only(&format!("{SOURCE}[source.detect.loudness]\n{wrong}\n")).is_err(), "{wrong}");
    }
    assert!(only(&format!("{SOURCE}[source.detect.silence]\ntarget = \"-23LUFS\"\n")).is_err());
}
