//! Files spoilt at random never panic: they give settings, or mistakes that lie inside the file.

use super::*;
use proptest::prelude::*;

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
[evidence]
pictures = false
[[source]]
id = "sdi-1"
input = "udp://239.1.1.1:5000"
detect = { black = { enabled = false }, silence = { raise_after = "1m30s" } }
[[source]]
id = "program-out"
input = "pattern:clean"
pair_with = "sdi-1"
[source.detect.freeze]
raise_after = "2s"
"#;

/// Pieces that mean something to the parser or to a value.
const PIECES: [&str; 24] = [
    "\"",
    "'",
    "\"\"\"",
    "\n",
    "\r",
    "=",
    "[",
    "]",
    "[[",
    "{",
    "}",
    ".",
    ",",
    "#",
    "\\u",
    "\0",
    "\t",
    "é",
    "\u{feff}",
    "@:",
    "1e999",
    "[source]",
    "99999999999999999999",
    "detect",
];

/// Replaces `length` characters at `at` (both as shares of the text) by a piece.
fn mutate(text: &str, at: f64, length: usize, piece: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = (at * chars.len() as f64) as usize;
    let end = (at + length).min(chars.len());
    chars[..at].iter().copied().chain(piece.chars()).chain(chars[end..].iter().copied()).collect()
}

/// Whether the mistake lies in `text`, or at its end.
fn inside(mistake: &Mistake, text: &str) -> bool {
    let Place::File { line, column, .. } = &mistake.place else { return false };
    let lines: Vec<&str> = text.split('\n').collect();
    *line >= 1 && *column >= 1 && lines.get(line - 1).is_some_and(|line| *column <= line.chars().count() + 1)
}

#[test]
fn the_text_is_good_before_it_is_spoilt() {
    let config = only(GOOD).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.sources.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spoilt_files_give_settings_or_mistakes_in_the_file(
        changes in prop::collection::vec((0.0..1.0_f64, 0_usize..12, prop::sample::select(&PIECES[..])), 1..5)
    ) {
        let text = changes.iter().fold(GOOD.to_owned(), |text, (at, length, piece)| mutate(&text, *at, *length, piece));
        match only(&text) {
            Ok(config) => prop_assert!(only(&config.effective()).is_ok(), "{}", config.effective()),
            Err(mistakes) => {
                prop_assert!(mistakes.iter().all(|mistake| inside(mistake, &text)), "{mistakes}\n{text}");
                prop_assert_eq!(mistakes.exit_code(), 2);
            }
        }
    }

    #[test]
    fn values_of_any_kind_never_panic(value in ".{0,40}", key in 0_usize..7) {
        let key = ["broker.url", "broker.keep_alive", "budget.cpu", "budget.memory", "outbox.age_max", "broker.prefix", "device.name"][key];
        let text = format!("{key} = {}\n", toml::Value::from(value));
        if let Err(mistakes) = only(&text) {
            prop_assert!(mistakes.iter().all(|mistake| inside(mistake, &text)), "{mistakes}");
        }
    }
}
