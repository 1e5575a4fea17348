//! Text for a terminal: what others wrote made harmless, and made to fit.

use std::time::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without anything that a terminal would take for a command, and at most `most` characters of it. What would be
/// invisible or would turn the direction of writing goes too (Unicode's bidirectional controls, joiners, tags).
pub(super) fn clean(text: &str, most: usize) -> String {
    let shown = |c: char| match c {
        '\t' | '\n' | '\r' => ' ',
        c if c.is_control() || is_hidden(c) => '\u{fffd}',
        c => c,
    };
    text.chars().take(most).map(shown).collect()
}

/// Format characters (Unicode category Cf), line and paragraph separators, variation selectors, private use.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// `text` in exactly `width` columns: filled with spaces, or cut with an ellipsis.
pub(super) fn fit(text: &str, width: usize) -> String {
    let full = text.width();
    if full <= width {
        return format!("{text}{}", " ".repeat(width - full));
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        // One column is for the ellipsis.
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if used < width {
        out.push('…');
        used += 1;
    }
    out.push_str(&" ".repeat(width.saturating_sub(used)));
    out
}

/// `text` in `width` columns, at their right end.
pub(super) fn right(text: &str, width: usize) -> String {
    let full = text.width();
    if full >= width { fit(text, width) } else { format!("{}{text}", " ".repeat(width - full)) }
}

/// "45 s", "12 min", "3 h 05", "9 d".
pub(super) fn lasting(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86_400 => format!("{} h {:02}", s / 3600, s / 60 % 60),
        s => format!("{} d", s / 86_400),
    }
}

/// From a wall-clock time until now.
pub(super) fn since(then_ms: i64, now_ms: i64) -> String {
    lasting(Duration::from_millis(u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0)))
}

/// "12,345".
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "HH:MM:SS" of a time of day, UTC.
pub(super) fn clock(unix_ms: i64) -> String {
    let s = unix_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// "block corruption".
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_the_terminal() {
        let hostile = "a\x1b[2J\x1b]0;title\x07b\u{9b}31m\u{202e}c\u{200d}\r\nd\u{e0041}\0";
        let said = clean(hostile, 200);
        assert!(said.chars().all(|c| !c.is_control() && !is_hidden(c)), "{said:?}");
        assert!(said.starts_with('a') && said.contains('b') && said.contains('d'));
        assert_eq!(clean("Cardiff – Süd 東京", 200), "Cardiff – Süd 東京");
        assert_eq!(clean(&"x".repeat(500), 20).len(), 20);
    }

    #[test]
    fn text_fits_whatever_its_width() {
        for (text, width, fitted) in [
            ("abc", 5, "abc  "),
            ("abcdef", 4, "abc…"),
            ("東京東京", 5, "東京…"),
            ("東京東京", 4, "東… "),
            ("abc", 0, ""),
            ("abc", 1, "…"),
        ] {
            assert_eq!(fit(text, width), fitted, "{text} in {width}");
            assert_eq!(fit(text, width).width(), width);
        }
        assert_eq!(right("12", 4), "  12");
        assert_eq!(right("12345", 4), "123…");
    }

    #[test]
    fn times_and_numbers_are_short() {
        let of = |s| lasting(Duration::from_secs(s));
        assert_eq!([of(59), of(61), of(3_900), of(90_000)], ["59 s", "1 min", "1 h 05", "1 d"]);
        assert_eq!([count(7), count(1234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!(clock(1_700_000_001_234), "22:13:21");
        assert_eq!(since(10, 5), "0 s");
    }
}
