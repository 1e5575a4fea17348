//! At the door: versions of MQTT, TLS, who is let in, and the limits that the broker tells.

use super::{Check, Point, talk};
use crate::identity::Pair;
use crate::mqtt::chain;
use crate::mqtt::visit::{Error, Filter, Hello, Secured, Visit};
use crate::mqtt::{Settings, Tls, Version};
use crate::wire::Qos;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Below these, renewing is due, or late (contract: alerts at 30 and 7 days).
const RENEW_DAYS: i64 = 30;
const LATE_DAYS: i64 = 7;
/// What a device has under way at most (mqtt/session).
const WINDOW: u16 = 32;
/// 32 KiB of picture, its topic and a header.
const PICTURE_PACKET: u32 = 32 * 1024 + 512;
/// The least that must go through: 8 KiB of JSON.
const BODY_PACKET: u32 = 8 * 1024 + 512;
/// Of a device's session (mqtt/link).
const SESSION_S: u32 = 120;

impl Check {
    /// Both versions of MQTT. What follows is done with the one that is configured, if the broker knows it.
    pub(super) async fn versions(&mut self) -> Result<Vec<Point>, Error> {
        let hello = Hello::passing(&self.client_id("device"));
        let wanted = self.version;
        let began = self.now();
        let first = self.device(&hello).await;
        let took_ms = self.now().since(began).as_secs_f64() * 1000.0;
        self.version = match wanted {
            Version::Five => Version::ThreeOneOne,
            Version::ThreeOneOne => Version::Five,
        };
        // Only one that knows the other version: everything else is told as it is.
        let unknown = |error: &Error| match error {
            Error::Refused(why) => why.contains("ProtocolVersion"),
            Error::Nonsense(_) | Error::Lost(_) => true,
            _ => false,
        };
        if let Err(error) = &first
            && !unknown(error)
        {
            return first.map(|_| Vec::new());
        }
        let second = self.device(&hello).await;
        let (first, second) = match (first, second) {
            (Err(error), Err(_)) => return Err(error),
            both => both,
        };
        if first.is_ok() {
            self.version = wanted;
        }
        let (five, three) = if wanted == Version::Five { (&first, &second) } else { (&second, &first) };
        let word = |outcome: &Result<_, Error>| outcome.as_ref().err().map_or(String::new(), |error| chain(error));
        let points = vec![
            match five {
                Ok(_) => Point::ok("mqtt_5", "MQTT 5 is spoken").with("connect_ms", took_ms),
                Err(_) => Point::warning(
                    "mqtt_5",
                    format!("MQTT 5 is not spoken ({})", word(five)),
                    "set [broker] version = \"3.1.1\": alerts do not expire, and each short cut of a line is told as a loss",
                ),
            },
            match three {
                Ok(_) => Point::ok("mqtt_3_1_1", "MQTT 3.1.1 is spoken too"),
                Err(_) => Point::warning(
                    "mqtt_3_1_1",
                    format!("MQTT 3.1.1 is not spoken ({})", word(three)),
                    "readers that know no other, as Telegraf, will not get in",
                ),
            },
        ];
        for (visit, welcome) in [second, first].into_iter().flatten() {
            visit.leave().await;
            // The last one is that of the version that we go on with.
            self.welcome = welcome;
        }
        Ok(points)
    }

    /// TLS and the broker's certificate.
    pub(super) fn security(&self) -> Vec<Point> {
        let host = &self.plan.device.host;
        let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        match &self.welcome.tls {
            None if here => vec![Point::ok("tls", "no TLS, on this machine's own loopback")],
            None => vec![Point::warning(
                "tls",
                "no TLS: passwords, pictures and commands can be read and changed on the way",
                "a listener with TLS, and mqtts:// in [broker] url",
            )],
            Some(secured) => vec![tls_version(secured), certificate(secured, self.clock.wall().unix_ms)],
        }
    }

    /// Whether those get in who show no credentials.
    pub(super) async fn strangers(&self) -> Point {
        let name = "strangers";
        let device = &self.plan.device;
        if device.user.is_none() && !device.tls.as_ref().is_some_and(shows_certificate) {
            return Point::warning(
                name,
                "anybody is let in: no user, password or certificate was asked for",
                "allow_anonymous false, with certificates for devices and passwords for people (mosquitto.conf in examples)",
            );
        }
        let tls = device.tls.as_ref().map(|tls| Tls { identity: None, pair: None, ..tls.clone() });
        let bare = Settings { tls, user: None, version: self.version, ..device.clone() };
        let hello = Hello { anonymous: true, ..Hello::passing(&self.client_id("stranger")) };
        match Visit::begin(&bare, &hello, Arc::clone(&self.clock)).await {
            Err(_) => Point::ok(name, "who shows no credentials is turned away"),
            Ok((visit, _)) => {
                visit.leave().await;
                Point::warning(
                    name,
                    "who shows no credentials is let in all the same",
                    "allow_anonymous false, and require_certificate true where devices have certificates",
                )
            }
        }
    }

    /// What the broker says of itself.
    pub(super) fn limits(&self) -> Vec<Point> {
        let said = &self.welcome;
        let mut points = Vec::new();
        let mut missing = |is_missing: bool, name, what: &str, cure: &str| {
            if is_missing {
                points.push(Point::finding(name, what, cure));
            }
        };
        missing(said.qos_max == Some(0), "qos_1", "no QoS 1: alerts can be lost", "another broker, or allow QoS 1");
        missing(
            said.retain == Some(false),
            "retain",
            "keeps no messages: who comes later sees nothing",
            "retain_available true, or another broker",
        );
        missing(
            said.wildcards == Some(false),
            "wildcards",
            "no wildcards in subscriptions: nobody can watch a fleet",
            "another broker",
        );
        if points.is_empty() {
            points.push(Point::ok("features", "QoS 1, retained messages and wildcards are not ruled out"));
        }
        points.push(match said.packet_max {
            Some(bytes) if bytes < BODY_PACKET => {
                Point::finding("packet_size", format!("packets of at most {bytes} bytes"), "message_size_limit 65536")
            }
            Some(bytes) if bytes < PICTURE_PACKET => Point::warning(
                "packet_size",
                format!("packets of at most {bytes} bytes: most pictures will not go through"),
                "message_size_limit 65536, or [evidence] pictures = false",
            ),
            Some(bytes) => Point::ok("packet_size", format!("packets of up to {bytes} bytes")),
            None => Point::ok("packet_size", "no limit to packets is told"),
        });
        points.push(match said.receive_max {
            Some(most) if most < WINDOW => Point::ok(
                "receive_maximum",
                format!("{most} unacknowledged messages; Picket would use {WINDOW}, and keeps to what it is told"),
            ),
            _ => {
                Point::ok("receive_maximum", format!("at least the {WINDOW} unacknowledged messages that Picket uses"))
            }
        });
        points
    }

    /// Whether the device may listen to its commands.
    pub(super) async fn commands(&mut self) -> Result<Point, Error> {
        let name = "commands";
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let granted = talk::subscribe(&mut device, &[Filter::news(&self.topics.commands(), Qos::AtLeastOnce)]).await?;
        device.leave().await;
        Ok(match granted {
            true => Point::ok(name, "the device may listen to its commands"),
            false => Point::finding(
                name,
                format!("the device may not listen to {}", self.topics.commands()),
                "an access rule as in mosquitto.acl: pattern read picket/1/%u/cmd/#",
            ),
        })
    }
}

/// Whether a certificate is shown: a configured one, or the one that this box made a key for itself.
fn shows_certificate(tls: &Tls) -> bool {
    tls.identity.is_some() || tls.pair.as_deref().map(Pair::at).is_some_and(|pair| pair.is_whole())
}

/// What the broker says of how long it keeps sessions.
pub(super) fn session_expiry(granted: Option<u32>) -> Option<Point> {
    granted.filter(|seconds| *seconds < SESSION_S).map(|seconds| {
        Point::warning(
            "session_expiry",
            format!("sessions are kept for {seconds} s, not for the {SESSION_S} s that a device asks for"),
            "a longer limit for sessions; above 20 s at least, else a will that is to wait never comes",
        )
    })
}

fn tls_version(secured: &Secured) -> Point {
    match secured.version {
        "1.3" => Point::ok("tls", "TLS 1.3"),
        version => Point::ok("tls", format!("TLS {version}; 1.3 would need one round trip less")),
    }
}

fn certificate(secured: &Secured, now_ms: i64) -> Point {
    let name = "certificate";
    let Some(end) = secured.not_after else {
        return Point::untold(name, "the broker's certificate cannot be read", "look at it with openssl s_client");
    };
    let days = (end - now_ms).div_euclid(DAY_MS);
    let text = format!("the broker's certificate is valid for {days} more days");
    let cure = "renew it; Mosquitto reads it again on SIGHUP only";
    match days {
        ..LATE_DAYS => Point::finding(name, text, cure),
        LATE_DAYS..RENEW_DAYS => Point::warning(name, text, cure),
        _ => Point::ok(name, text),
    }
    .with("days_left", days as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Level;

    #[test]
    fn a_certificate_is_judged_by_its_days() {
        let level = |days: i64| certificate(&Secured { version: "1.3", not_after: Some(days * DAY_MS + 5) }, 0).level;
        assert_eq!(level(-1), Level::Finding);
        assert_eq!(level(6), Level::Finding);
        assert_eq!(level(7), Level::Warning);
        assert_eq!(level(29), Level::Warning);
        assert_eq!(level(30), Level::Ok);
        assert_eq!(certificate(&Secured { version: "1.3", not_after: None }, 0).level, Level::Untold);
    }

    #[test]
    fn short_sessions_are_told() {
        assert_eq!(session_expiry(None), None);
        assert_eq!(session_expiry(Some(120)), None);
        assert!(session_expiry(Some(10)).is_some_and(|point| point.text.contains("10 s")));
    }
}
