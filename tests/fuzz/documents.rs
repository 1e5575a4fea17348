//! Texts: the configuration, its environment, and events that a former run left.

use crate::fuzz;
use crate::mutate::{Chance, mutate};
use picket::config::{Places, load};
use picket::ids::BootId;
use picket::time::{Mono, Wall};
use picket::wire::{Made, cleared_by_restart};
use std::collections::BTreeMap;

const GOOD: &str = r#"# everything once
[device]
name = "Prüfplatz 7"
machine_id = "0123456789abcdef0123456789abcdef"
[broker]
url = "mqtts://box@broker.example:8883"
ca = "/etc/picket/tls/ca.pem"
password_file = "credential:broker"
prefix = "acme/tv"
keep_alive = "20s"
[budget]
cpu = "25%"
memory = "160MiB"
[outbox]
bytes_max = "16MiB"
age_max = "7d"
[evidence]
pictures = false
[[source]]
id = "sdi-1"
input = "udp://239.1.1.1:5000"
profile = "news"
detect = { black = { enabled = false }, silence = { raise_after = "1m30s", raise_level = "-55dBFS" } }
[[source]]
id = "program-out"
input = "pattern:clean"
pair_with = "sdi-1"
[source.detect.freeze]
raise_after = "2s"
present_share = "60%"
window = "5s"
"#;

const WORDS: [&[u8]; 24] = [
    b"\"",
    b"'",
    b"\"\"\"",
    b"\n",
    b"\r\n",
    b"=",
    b"[[source]]\n",
    b"]",
    b"{",
    b"}",
    b".",
    b",",
    b"#",
    b"\\u0000",
    b"\0",
    "é".as_bytes(),
    b"\xff\xfe",
    b"1e999",
    b"-0",
    b"nan",
    b"99999999999999999999",
    b"18446744073709551615s",
    b"1979-05-27",
    b"detect",
];

#[test]
fn configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("picket.toml");
    let names = ["PICKET_BROKER_URL", "PICKET_BUDGET_MEMORY", "PICKET_BROKER_KEEP_ALIVE", "PICKET_X"];
    let make = |chance: &mut Chance| mutate(GOOD.as_bytes(), &WORDS, chance);
    fuzz("configuration", 3000, make, |input| {
        std::fs::write(&file, input).expect("written");
        // Whatever the file ends in is a variable too.
        let value = String::from_utf8_lossy(&input[input.len() - input.len().min(12)..]).into_owned();
        let env: BTreeMap<String, String> = [(names[input.len() % names.len()].to_owned(), value)].into();
        let places = Places::below(folder.path()).with_file(&file);
        for env in [BTreeMap::new(), env] {
            match load(&places, &env, &[]) {
                Err(mistakes) => {
                    assert!([2, 3].contains(&mistakes.exit_code()));
                    assert!(!mistakes.to_string().is_empty());
                }
                Ok(config) if env.is_empty() => {
                    std::fs::write(&file, config.effective()).expect("written");
                    let again = load(&places, &env, &[]).expect("its own words");
                    assert_eq!(again.effective(), config.effective());
                    std::fs::write(&file, input).expect("written");
                }
                Ok(_) => {}
            }
        }
    });
}

const EVENT: &[u8] =
    br#"{"v":1,"type":"incident","state":"raised","id":"000000000000-1-a-1","device":"pk-000000000000",
"source":"a","defect":"black","severity":"critical","at_s":12.5,"onset_s":11.25,"ts":"2026-01-01T00:00:00.000Z",
"onset_ts":"2026-01-01T00:00:00.000Z","synced":true,"mono_ms":12500,"boot":"0badcafe","seq":7,"value":100.0,
"threshold":98.0,"unit":"%","region":[0,0,640,360],"text":"picture is black","masks":["freeze"],
"evidence":{"topic":"x","sha256":"00","bytes":9},"replayed":true}"#;

const JSON: [&[u8]; 14] = [
    b"null",
    b"1e400",
    b"-1",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"at_s\"",
    b"\"\\ud800\"",
    b"\xc0\x80",
    b"true",
    b"\"",
];

#[test]
fn events_of_a_former_run() {
    let made = Made { wall: Wall::default(), mono: Mono(5), boot: BootId::from_kernel("0badcafe") };
    fuzz(
        "events",
        30_000,
        |chance| mutate(EVENT, &JSON, chance),
        |input| {
            if let Some(body) = cleared_by_restart(input, 9, &made) {
                let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                assert!(value.is_object());
            }
        },
    );
}
