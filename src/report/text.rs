//! Words and numbers as they stand in the page.

use crate::time::MediaTime;
use std::time::Duration;

/// `text` so that no character of it is mark-up, in content and in quoted attributes. Control characters, which a page
/// may not hold, become the replacement character.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(' '),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// A place on the source's axis, to 10 ms: "0:05.20", "1:02:05.20".
pub(super) fn place(at: MediaTime) -> String {
    let hundredths = at.0.max(0).saturating_add(5_000_000) / 10_000_000;
    let (seconds, rest) = (hundredths / 100, hundredths % 100);
    format!("{}.{rest:02}", whole(seconds))
}

/// A place to the second, as ticks have it: "0:05", "1:02:05".
pub(super) fn whole(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// How long something lasted: "80 ms", "4.02 s", "2 min 05 s", "1 h 02 min".
pub(super) fn length(of: Duration) -> String {
    let ms = of.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.2} s", of.as_secs_f64()),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A measure with its unit, as exact as its size asks for.
pub(super) fn measure(value: f64, unit: &str) -> String {
    let decimals = match value.abs() {
        0.0..10.0 => 2,
        10.0..1_000.0 => 1,
        _ => 0,
    };
    let number = format!("{value:.decimals$}");
    // What rounds to nothing has no sign, and what is whole no decimals.
    let number = number.trim_end_matches('0').trim_end_matches('.');
    let number = if decimals == 0 { format!("{value:.0}") } else { number.to_owned() };
    let number = if number == "-0" || number.is_empty() { "0" } else { &number };
    let number = number.replace('-', "\u{2212}");
    if unit.is_empty() { number } else { format!("{number}\u{a0}{}", escaped(unit)) }
}

/// A name of the catalogue for people: "block_corruption" is "Block corruption".
pub(super) fn title(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// "1 incident", "2 incidents".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// RFC 4648, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(if digit > group.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_mark_up() {
        assert_eq!(escaped("<a href=\"x\" b='&'>\u{0}é"), "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;\u{fffd}é");
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let told = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(told, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(base64(&[0xff, 0xd8, 0xfb]), "/9j7");
    }

    #[test]
    fn times_and_measures_read_well() {
        let places = [0, 5_204_000_000, 59_996_000_000, 3_725_000_000_000, -4].map(|ns| place(MediaTime(ns)));
        assert_eq!(places, ["0:00.00", "0:05.20", "1:00.00", "1:02:05.00", "0:00.00"]);
        let lengths = [80, 4_020, 125_000, 3_720_000].map(|ms| length(Duration::from_millis(ms)));
        assert_eq!(lengths, ["80 ms", "4.02 s", "2 min 05 s", "1 h 02 min"]);
        let measures = [(98.0, "%"), (0.4, "%"), (-144.0, "dBFS"), (1500.0, "ms"), (-0.001, "")];
        let measures = measures.map(|(value, unit)| measure(value, unit).replace('\u{a0}', " "));
        assert_eq!(measures, ["98 %", "0.4 %", "\u{2212}144 dBFS", "1500 ms", "0"]);
        assert_eq!(
            (title("block_corruption").as_str(), counted(1, "row"), counted(0, "row")),
            ("Block corruption", "1 row".to_owned(), "0 rows".to_owned())
        );
    }
}
