//! Delivery: acknowledgements, readers, what is kept, pictures.

use super::talk::{self, deliver, heard, message, subscribe};
use super::{Check, Point};
use crate::mqtt::visit::{Error, Filter, Hello, Told, Visit};
use crate::wire::{Message, Qos};
use std::time::Duration;

/// Pairs of messages that are timed.
const PAIRS: usize = 40;
/// An acknowledgement that takes so much longer than ten pings has waited for something.
const HELD_BACK_MS: f64 = 5.0;
/// Most of the 40 ms for which Linux may keep an acknowledgement.
const NAGLE_MS: f64 = 25.0;
/// For something that should come at once.
const SOON: Duration = Duration::from_secs(3);
/// For something that should not come.
const CALM: Duration = Duration::from_millis(700);
/// The longest picture.
const PICTURE_BYTES: usize = 32 * 1024;
const MAY_NOT_READ: &str = "name somebody who may read: --reader mqtt://USER@HOST --reader-password-file FILE";

/// The middle and the 99th of a hundred.
fn spread(mut times_ms: Vec<f64>) -> (f64, f64) {
    times_ms.sort_by(f64::total_cmp);
    let at = |share: f64| times_ms.get(((times_ms.len() as f64 - 1.0) * share).round() as usize).copied();
    (at(0.5).unwrap_or(0.0), at(0.99).unwrap_or(0.0))
}

impl Check {
    /// How long an acknowledgement takes, beside a ping.
    pub(super) async fn round_trip(&mut self) -> Result<Point, Error> {
        let name = "round_trip";
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let (mut acks, mut pings) = (Vec::new(), Vec::new());
        let event = message(&self.event_topic(), Qos::AtLeastOnce, false);
        for _ in 0..2 * PAIRS {
            let began = self.now();
            if let Err(why) = deliver(&mut device, &event).await? {
                let text = format!("the broker refuses {}: {why}", event.topic);
                let cure = "an access rule as in mosquitto.acl: pattern write picket/1/%u/src/+/event";
                return Ok(Point::finding(name, text, cure));
            }
            acks.push(self.now().since(began).as_secs_f64() * 1000.0);
            let began = self.now();
            device.ping().await?;
            while talk::next(&mut device, SOON).await?.is_some_and(|told| told != Told::Pong) {}
            pings.push(self.now().since(began).as_secs_f64() * 1000.0);
        }
        device.leave().await;
        let ((ack, worst), (ping, _)) = (spread(acks), spread(pings));
        let text =
            format!("acknowledged after {ack:.1} ms (half), {worst:.1} ms (99 of 100); a ping takes {ping:.1} ms");
        let point = match ack > 10.0 * ping + HELD_BACK_MS {
            true => {
                Point::warning(name, format!("{text}: slow"), "a faster disk, or no synchronous writes, at the broker")
            }
            false => Point::ok(name, text),
        };
        Ok(point.with("p50_ms", ack).with("p99_ms", worst).with("ping_ms", ping))
    }

    /// How long two messages take to a reader who has just said something, as one does who acknowledges: TCP then waits for
    /// 40 ms before it acknowledges the first, and a broker with Nagle's algorithm holds the second back until then.
    async fn delivery(&self, device: &mut Visit, reader: &mut Visit) -> Result<Point, Error> {
        let name = "delivery";
        let event = message(&self.event_topic(), Qos::AtMostOnce, false);
        let (mut times, mut pings) = (Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let began = self.now();
            reader.ping().await?;
            while talk::next(reader, SOON).await?.is_some_and(|told| told != Told::Pong) {}
            pings.push(self.now().since(began).as_secs_f64() * 1000.0);
            let began = self.now();
            device.publish(&event).await?;
            device.publish(&event).await?;
            for _ in 0..2 {
                if heard(reader, &event.topic, SOON).await?.is_none() {
                    return Ok(Point::warning(name, "messages of QoS 0 get lost on an idle line", "another broker"));
                }
            }
            times.push(self.now().since(began).as_secs_f64() * 1000.0);
        }
        let ((half, worst), (ping, _)) = (spread(times), spread(pings));
        let text = format!("two messages are with a reader after {half:.1} ms (half), {worst:.1} ms (99 of 100)");
        let cure = "set_tcp_nodelay true (Mosquitto), or the like";
        let point = match half > ping + NAGLE_MS {
            true => Point::warning(name, format!("{text}: the second is held back"), cure),
            false => Point::ok(name, text),
        };
        Ok(point.with("p50_ms", half).with("p99_ms", worst).with("ping_ms", ping))
    }

    /// Whether somebody gets what the device says, and whether both can be there at once.
    pub(super) async fn reading(&mut self) -> Result<Vec<Point>, Error> {
        let name = "readers";
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let (mut reader, _) = self.reader(&Hello::passing(&self.client_id("reader"))).await?;
        let topic = self.event_topic();
        let granted = subscribe(&mut reader, &[Filter::all(&topic, Qos::AtLeastOnce)]).await?;
        device.ping().await?;
        let there = match talk::next(&mut device, SOON).await {
            Ok(Some(Told::Pong)) => true,
            Ok(_) | Err(Error::Dismissed(_) | Error::Lost(_)) => false,
            Err(error) => return Err(error),
        };
        if !there {
            self.alone = true;
            return Ok(vec![Point::untold(
                name,
                "these credentials allow one connection at a time: what readers get cannot be seen",
                MAY_NOT_READ,
            )]);
        }
        let taken = deliver(&mut device, &message(&topic, Qos::AtLeastOnce, false)).await?;
        self.reads = granted && taken.is_ok() && heard(&mut reader, &topic, SOON).await?.is_some();
        if !self.reads {
            return Ok(vec![Point::untold(name, "these credentials may not read what the device says", MAY_NOT_READ)]);
        }
        let delivery = self.delivery(&mut device, &mut reader).await?;
        device.leave().await;
        reader.leave().await;
        Ok(vec![Point::ok(name, "a reader gets what the device says"), delivery])
    }

    /// Whether the broker keeps, gives to who comes later, and forgets.
    pub(super) async fn retained(&mut self) -> Result<Point, Error> {
        let name = "retained";
        let topic = self.state_topic("0");
        let kept = message(&topic, Qos::AtLeastOnce, true);
        self.note(&kept);
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        if let Err(why) = deliver(&mut device, &kept).await? {
            let text = format!("the broker refuses to keep {topic}: {why}");
            return Ok(Point::finding(
                name,
                text,
                "an access rule as in mosquitto.acl: pattern write picket/1/%u/src/+/state",
            ));
        }
        let first = if self.reads { self.who_comes_later(&topic).await? } else { None };
        let emptied = deliver(&mut device, &Message::emptying(&topic)).await?;
        let second = if self.reads { self.who_comes_later(&topic).await? } else { None };
        device.leave().await;
        if emptied.is_ok() && (!self.reads || second.is_none()) {
            self.litter.remove(&topic);
        }
        Ok(match (self.reads, first, second) {
            (false, ..) => Point::untold(name, "taken; whether it is kept cannot be seen", MAY_NOT_READ),
            (_, None, _) => {
                Point::finding(name, "nothing is kept for who comes later", "retained messages switched on")
            }
            (_, Some(false), _) => Point::warning(
                name,
                "what was kept comes as if it were new",
                "another broker, or its bridge's settings",
            ),
            (.., Some(_)) => Point::finding(name, "what was emptied still comes", "another broker"),
            _ => Point::ok(name, "kept, given to who comes later, forgotten when emptied"),
        })
    }

    /// What a new reader gets of `topic`; whether it said that it was kept.
    async fn who_comes_later(&self, topic: &str) -> Result<Option<bool>, Error> {
        let (mut reader, _) = self.reader(&Hello::passing(&self.client_id("later"))).await?;
        subscribe(&mut reader, &[Filter::all(topic, Qos::AtMostOnce)]).await?;
        let came = heard(&mut reader, topic, CALM).await?;
        reader.leave().await;
        Ok(came.filter(|came| !came.payload.is_empty()).map(|came| came.retained))
    }

    /// The longest picture, kept.
    pub(super) async fn picture(&mut self) -> Result<Point, Error> {
        let name = "picture";
        let topic = self.image_topic();
        let mut picture = message(&topic, Qos::AtLeastOnce, true);
        picture.payload.resize(PICTURE_BYTES, b'.');
        self.note(&picture);
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let cure = "message_size_limit 65536, and an access rule: pattern write picket-img/1/%u/+/+";
        // A broker may end the connection over a packet that is too long.
        match deliver(&mut device, &picture).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Ok(Point::warning(name, format!("a picture of 32 KiB is refused: {why}"), cure)),
            Err(Error::Dismissed(why)) => {
                return Ok(Point::warning(name, format!("a picture of 32 KiB ends the connection: {why}"), cure));
            }
            Err(Error::Lost(_)) => {
                return Ok(Point::warning(name, "a picture of 32 KiB ends the connection", cure));
            }
            Err(error) => return Err(error),
        }
        let mut came = None;
        if self.reads {
            let (mut reader, _) = self.reader(&Hello::passing(&self.client_id("later"))).await?;
            subscribe(&mut reader, &[Filter::all(&topic, Qos::AtMostOnce)]).await?;
            came = heard(&mut reader, &topic, SOON).await?;
            reader.leave().await;
        }
        if deliver(&mut device, &Message::emptying(&topic)).await?.is_ok() {
            self.litter.remove(&topic);
        }
        device.leave().await;
        Ok(match came {
            _ if !self.reads => {
                Point::untold(name, "a picture of 32 KiB is taken; whether it comes cannot be seen", MAY_NOT_READ)
            }
            Some(came) if came.payload == picture.payload => {
                Point::ok(name, "a picture of 32 KiB is kept and comes whole")
            }
            _ => Point::warning(name, "a picture of 32 KiB is taken and does not come", "message_size_limit 65536"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up() {
        assert_eq!(spread((1..=101).rev().map(f64::from).collect()), (51.0, 100.0));
        assert_eq!(spread(vec![]), (0.0, 0.0));
    }
}
