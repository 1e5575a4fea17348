//! Absence: what the broker does for a session whose client is away, and what it tells of a client that is gone.

use super::door::session_expiry;
use super::talk::{deliver, heard, message, next, subscribe};
use super::{Check, Point};
use crate::mqtt::Version;
use crate::mqtt::visit::{Error, Filter, Hello, Told};
use crate::wire::{Message, Qos};
use std::time::Duration;

const KEPT_FOR: Duration = Duration::from_secs(60);
/// Of the message that must expire, and how long is waited for that.
const EXPIRY: Duration = Duration::from_secs(1);
const EXPIRED: Duration = Duration::from_millis(2500);
/// Of the will here; a device's is 20 s.
const WILL_DELAY: Duration = Duration::from_secs(2);
/// A cut of the line that should be no news.
const SHORT_CUT: Duration = Duration::from_millis(500);
/// Without a delay a will is there by then.
const AT_ONCE: Duration = Duration::from_millis(1000);
const QUIET: Duration = Duration::from_millis(1000);

impl Check {
    /// A session that is kept, what waits in it, and what expires while it waits.
    pub(super) async fn session(&mut self) -> Result<Vec<Point>, Error> {
        let name = "session";
        if !self.reads {
            return Ok(vec![Point::untold(
                name,
                "sessions cannot be tried without a reader",
                "name one with --reader",
            )]);
        }
        let staying = Hello { session_expiry: KEPT_FOR, ..Hello::passing(&self.client_id("session")) };
        let staying = Hello { clean_start: self.version == Version::Five, ..staying };
        let topic = self.event_topic();
        let (mut reader, welcome) = self.reader(&staying).await?;
        subscribe(&mut reader, &[Filter::all(&topic, Qos::AtLeastOnce)]).await?;
        reader.leave().await;
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let (brief, lasting) = (
            Message {
                payload: b"brief".to_vec(),
                expires_after: Some(EXPIRY),
                ..message(&topic, Qos::AtLeastOnce, false)
            },
            Message {
                payload: b"lasting".to_vec(),
                expires_after: Some(KEPT_FOR),
                ..message(&topic, Qos::AtLeastOnce, false)
            },
        );
        for message in [&brief, &lasting] {
            let _ = deliver(&mut device, message).await?;
        }
        device.leave().await;
        tokio::time::sleep(EXPIRED).await;
        let (mut reader, again) = self.reader(&Hello { clean_start: false, ..staying.clone() }).await?;
        let (mut came_brief, mut came_lasting) = (false, None);
        while let Some(told) = next(&mut reader, QUIET).await? {
            let Told::Message(received) = told else { continue };
            if let Some(id) = received.id {
                reader.acknowledge(id).await?;
            }
            came_brief |= received.payload == brief.payload;
            if received.payload == lasting.payload {
                came_lasting = Some(received.fresh_for);
            }
        }
        reader.leave().await;
        // Nothing of it is to stay.
        self.reader(&Hello::passing(&self.client_id("session"))).await?.0.leave().await;
        let mut points: Vec<Point> = session_expiry(welcome.session_expiry_s).into_iter().collect();
        points.push(match (again.session_present, came_lasting) {
            (true, Some(_)) => Point::ok(name, "kept while its client is away, with what came meanwhile"),
            (true, None) => Point::warning(
                name,
                "kept, but what came meanwhile did not wait in it",
                "room in the queue of a client that is away: max_queued_messages 100000",
            ),
            (false, _) => Point::warning(
                name,
                "not kept while its client is away",
                "sessions of 120 s and more: readers lose what comes while they reconnect (devices lose nothing)",
            ),
        });
        if self.version == Version::Five && again.session_present {
            points.push(expiry(came_brief, came_lasting.flatten()));
        }
        Ok(points)
    }

    /// The will: not for a short cut, and late by its delay.
    pub(super) async fn will(&mut self) -> Result<Point, Error> {
        let name = "will";
        if !self.reads {
            return Ok(Point::untold(name, "the will cannot be heard without a reader", "name one with --reader"));
        }
        let topic = self.state_topic("will");
        let will = message(&topic, Qos::AtLeastOnce, false);
        let hello = Hello {
            session_expiry: KEPT_FOR,
            will: Some((will, WILL_DELAY)),
            ..Hello::passing(&self.client_id("will"))
        };
        let (mut reader, _) = self.reader(&Hello::passing(&self.client_id("reader"))).await?;
        subscribe(&mut reader, &[Filter::all(&topic, Qos::AtLeastOnce)]).await?;
        let (first, _) = self.device(&hello).await?;
        drop(first);
        let mut of_short_cut = heard(&mut reader, &topic, SHORT_CUT).await?;
        let (second, _) = self.device(&Hello { clean_start: false, ..hello.clone() }).await?;
        if of_short_cut.is_none() {
            of_short_cut = heard(&mut reader, &topic, WILL_DELAY).await?;
        }
        let gone = self.now();
        drop(second);
        let of_loss = heard(&mut reader, &topic, WILL_DELAY * 3).await?;
        let after = self.now().since(gone);
        reader.leave().await;
        self.device(&Hello::passing(&self.client_id("will"))).await?.0.leave().await;
        let secs = after.as_secs_f64();
        let told = format!("told {secs:.1} s after the client was gone, with a delay of {} s", WILL_DELAY.as_secs());
        Ok(match (of_loss, of_short_cut) {
            (None, _) => Point::finding(
                name,
                "nobody is told when a client is gone",
                "wills allowed, and an access rule that lets the device write its status",
            ),
            // 3.1.1 has no delay.
            (Some(_), _) if self.version == Version::ThreeOneOne => {
                Point::ok(name, format!("told {secs:.1} s after the client was gone (MQTT 3.1.1 has no delay)"))
            }
            (Some(_), None) if after >= AT_ONCE => Point::ok(name, format!("{told}; not for a short cut of the line")),
            (Some(_), _) => Point::warning(
                name,
                format!("told {secs:.1} s after the client was gone, whatever delay was asked for"),
                "a broker that knows will delays: each short cut of a device's line is told as its loss",
            ),
        }
        .with("delay_s", WILL_DELAY.as_secs_f64())
        .with("told_after_s", secs))
    }
}

/// What became of expiries.
fn expiry(came_brief: bool, left: Option<Duration>) -> Point {
    let name = "message_expiry";
    if came_brief {
        return Point::warning(
            name,
            "what has expired still comes: old alerts may come as if they were new",
            "another broker; readers should look at ts",
        );
    }
    match left {
        Some(left) if left < KEPT_FOR => Point::ok(
            name,
            format!("what has expired does not come; the rest says how long it is wanted ({} s)", left.as_secs()),
        ),
        Some(_) => Point::ok(name, "what has expired does not come; the time spent waiting is not subtracted"),
        None => Point::ok(name, "what has expired does not come"),
    }
}
