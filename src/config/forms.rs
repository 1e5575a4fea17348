//! Forms of values: how a duration, a size, a share, a broker's URL are written, read and explained.

use std::time::Duration;

/// Units of durations, longest first, in nanoseconds.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Units of sizes in bytes.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// "2s", "500ms", "1m30s". The error says what is wrong with `text`, to stand behind it: "is no duration".
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut finest = u64::MAX;
    while !rest.is_empty() || finest == u64::MAX {
        let (number, unit, after) = number_and_unit(rest).ok_or("is no duration")?;
        let Some((_, nanos)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(if unit.is_empty() {
                "has no unit".to_owned()
            } else {
                format!("has the unknown unit {unit:?}")
            });
        };
        // "30s1m" and "1s1s" are slips, not durations.
        if *nanos >= finest {
            return Err("is no duration".to_owned());
        }
        finest = *nanos;
        total = scaled(number, *nanos).and_then(|part| total.checked_add(part)).ok_or("is far too long")?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// "160MiB". The error as for [`duration`].
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit, rest) = number_and_unit(text).ok_or("is no size")?;
    match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, bytes)) if rest.is_empty() => Ok(scaled(number, *bytes).ok_or("is far too much")?),
        None if unit.is_empty() && rest.is_empty() => Err("has no unit".to_owned()),
        None if rest.is_empty() => Err(format!("has the unknown unit {unit:?}")),
        _ => Err("is no size".to_owned()),
    }
}

/// "25%", as the number before the sign. The error as for [`duration`].
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or("has no % sign")?;
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    number.parse().ok().filter(|value: &f64| plain && value.is_finite()).ok_or_else(|| "is no share".to_owned())
}

/// "-23LUFS", as the number before the unit. The error as for [`duration`].
pub(super) fn level(text: &str, unit: &str) -> Result<f64, String> {
    let number = text.strip_suffix(unit).ok_or_else(|| format!("does not end in {unit}"))?.trim_end();
    let digits = number.strip_prefix('-').unwrap_or(number);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    number.parse().ok().filter(|value: &f64| plain && value.is_finite()).ok_or_else(|| "is no level".to_owned())
}

/// "1.5", "MiB", and what follows the unit.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let (unit, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
    (!number.is_empty()).then_some((number, unit, rest))
}

/// `number` units; `None` for what is no number or too large.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let value = number.parse::<f64>().ok()? * unit as f64;
    (value < u64::MAX as f64).then_some(value.round() as u64)
}

/// `duration` as it is written: "1m30s", "1200ms".
pub(super) fn duration_text(duration: Duration) -> String {
    if duration < Duration::from_secs(60) && duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, nanos) in DURATION_UNITS {
        if rest >= nanos {
            text.push_str(&format!("{}{unit}", rest / nanos));
            rest %= nanos;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `bytes` as it is written: "160MiB", in the unit that makes the smallest whole number.
pub(super) fn size_text(bytes: u64) -> String {
    let whole = SIZE_UNITS.iter().filter(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    let best = whole.min_by_key(|(_, unit)| bytes / unit);
    best.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// The parts of a broker's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BrokerUrl {
    /// `mqtts`.
    pub tls: bool,
    /// Before the `@`.
    pub user: Option<String>,
    /// Without brackets.
    pub host: String,
    /// As given, or 1883 and 8883.
    pub port: u16,
}

/// Why a text is no broker's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UrlFault {
    /// It carries a password, so it must not be shown.
    Password,
    /// Anything else; to stand behind the URL.
    Other(String),
}

/// `mqtt://` or `mqtts://`, a user if wanted, host, port if wanted.
pub(super) fn broker_url(text: &str) -> Result<BrokerUrl, UrlFault> {
    let other = |why: String| UrlFault::Other(why);
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (user, address) = match rest.rsplit_once('@') {
        // Whatever stands before an '@' may be a secret: told before anything else.
        Some((user, _)) if user.contains(':') => return Err(UrlFault::Password),
        Some(_) => authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host)),
        None => (None, authority),
    };
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(other("begins neither with mqtt:// nor with mqtts://".to_owned())),
    };
    if !matches!(rest.strip_prefix(authority), Some("" | "/")) {
        return Err(other("has something behind the host and port".to_owned()));
    }
    let user_fits =
        |user: &str| !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b));
    if user.is_some_and(|user| !user_fits(user)) {
        return Err(other("has a user that a URL cannot carry as it is".to_owned()));
    }
    let (host, port) = host_and_port(address).map_err(other)?;
    let port = port.unwrap_or(if tls { 8883 } else { 1883 });
    Ok(BrokerUrl { tls, user: user.map(str::to_owned), host: host.to_owned(), port })
}

fn host_and_port(address: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match address.strip_prefix('[') {
        Some(six) => {
            let (host, rest) = six.split_once(']').ok_or("has a '[' without a ']'")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| format!("has a host, [{host}], that is no IPv6 address"))?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or(rest)) })
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
    if !host.bytes().all(plain) {
        return Err(format!("has a host, {host:?}, of characters that no host name has"));
    }
    let wrong = |port: &str| format!("has a port, {port:?}, that is no number from 1 to 65535");
    match port {
        None => Ok((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().ok().filter(|number| *number > 0).map(|number| (host, Some(number))).ok_or_else(|| wrong(port))
        }
        Some(port) => Err(wrong(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in
            [("0s", 0), ("500ms", 500), ("2s", 2_000), ("1.5s", 1_500), ("1m30s", 90_000), ("7d", 604_800_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["0s", "500ms", "1200ms", "2s", "1m30s", "7d", "1h1ms"] {
            assert_eq!(duration(text).map(duration_text), Ok(text.to_owned()));
        }
        let wrong = [
            ("", "is no duration"),
            ("s", "is no duration"),
            ("-2s", "is no duration"),
            ("2 s", "has no unit"),
            ("2", "has no unit"),
            ("2sec", "has the unknown unit \"sec\""),
            ("30s1m", "is no duration"),
            ("1.2.3s", "is far too long"),
            ("99999999999d", "is far too long"),
        ];
        for (text, why) in wrong {
            assert_eq!(duration(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(size("160MiB"), Ok(160 << 20));
        assert_eq!(size("1.5GiB"), Ok(3 << 29));
        for text in ["160MiB", "16MB", "1GiB", "7B", "0B"] {
            assert_eq!(size(text).map(size_text), Ok(text.to_owned()));
        }
        for (text, why) in [
            ("160", "has no unit"),
            ("160mb", "has the unknown unit \"mb\""),
            ("MiB", "is no size"),
            ("1MiB2", "is no size"),
        ] {
            assert_eq!(size(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn shares_are_read() {
        assert_eq!(percent("25%"), Ok(25.0));
        assert_eq!(percent("12.5%"), Ok(12.5));
        assert_eq!(percent("25"), Err("has no % sign".to_owned()));
        assert_eq!(percent("inf%"), Err("is no share".to_owned()));
        assert_eq!(percent("-1%"), Err("is no share".to_owned()));
    }

    #[test]
    fn levels_are_read() {
        assert_eq!(level("-23LUFS", "LUFS"), Ok(-23.0));
        assert_eq!(level("1.5 LU", "LU"), Ok(1.5));
        assert_eq!(level("-23", "LUFS"), Err("does not end in LUFS".to_owned()));
        assert_eq!(level("--1LU", "LU"), Err("is no level".to_owned()));
        assert_eq!(level("nanLU", "LU"), Err("is no level".to_owned()));
    }

    #[test]
    fn broker_urls_are_taken_apart() {
        let url = |tls, user: Option<&str>, host: &str, port| {
            Ok(BrokerUrl { tls, user: user.map(str::to_owned), host: host.to_owned(), port })
        };
        assert_eq!(broker_url("mqtts://broker.example:8883"), url(true, None, "broker.example", 8883));
        assert_eq!(broker_url("mqtt://127.0.0.1"), url(false, None, "127.0.0.1", 1883));
        assert_eq!(broker_url("mqtts://box@[::1]/"), url(true, Some("box"), "::1", 8883));
        assert_eq!(broker_url("mqtt://[::1]:1884"), url(false, None, "::1", 1884));
        assert_eq!(broker_url("mqtt://me:secret@host"), Err(UrlFault::Password));
        assert_eq!(broker_url("me:secret@host"), Err(UrlFault::Password));
        let wrong = [
            ("broker.example", "begins neither with mqtt:// nor with mqtts://"),
            ("mqtt://", "has no host"),
            ("mqtt://host:0", "has a port, \"0\", that is no number from 1 to 65535"),
            ("mqtt://host:", "has a port, \"\", that is no number from 1 to 65535"),
            ("mqtt://host/path", "has something behind the host and port"),
            ("mqtt://[::1", "has a '[' without a ']'"),
            ("mqtt://[host]", "has a host, [host], that is no IPv6 address"),
            ("mqtt://ho st", "has a host, \"ho st\", of characters that no host name has"),
            ("mqtt://a%40b@host", "has a user that a URL cannot carry as it is"),
        ];
        for (text, why) in wrong {
            assert_eq!(broker_url(text), Err(UrlFault::Other(why.to_owned())), "{text}");
        }
    }
}
