//! A fleet: the queue of a reader who gets everything at once, and devices that must not speak for each other.

use super::talk::{count, deliver, heard, message, subscribe};
use super::{Check, Point};
use crate::ids::{DeviceId, SourceId};
use crate::mqtt::visit::{Error, Filter, Hello};
use crate::wire::{Message, Qos, Topics};
use std::time::Duration;

/// A reader that is busy with something else.
const SLOW: Duration = Duration::from_millis(500);
const QUIET: Duration = Duration::from_millis(1500);
const SOON: Duration = Duration::from_millis(1500);

impl Check {
    /// How much of what the broker keeps comes to a reader who asks for all of it.
    pub(super) async fn crowd(&mut self) -> Result<Vec<Point>, Error> {
        if !self.reads {
            return Ok(vec![Point::untold(
                "queue",
                "queues cannot be seen without a reader",
                "name one with --reader",
            )]);
        }
        let size = self.plan.crowd;
        let messages: Vec<Message> =
            (0..size).map(|n| message(&self.state_topic(&format!("{n}")), Qos::AtLeastOnce, true)).collect();
        messages.iter().for_each(|message| self.note(message));
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let (refused, why) = self.send_all(&mut device, &messages).await?;
        device.leave().await;
        let mut points = Vec::new();
        if refused > 0 {
            let why = why.unwrap_or_default();
            points.push(Point::warning(
                "kept_at_most",
                format!("of {size} messages to keep the broker refused {refused}: {why}"),
                "a higher limit of retained messages: one for each source and three for each device",
            ));
        }
        for (name, qos, word) in [("queue_qos_0", Qos::AtMostOnce, "QoS 0"), ("queue_qos_1", Qos::AtLeastOnce, "QoS 1")]
        {
            let came = self.crowd_to(qos).await?;
            let kept = size - refused;
            let point = match came >= kept {
                true => {
                    Point::ok(name, format!("a reader of {word} that asks for {kept} kept messages at once gets all"))
                }
                false => Point::finding(
                    name,
                    format!(
                        "a reader of {word} that asks for {kept} kept messages at once gets {came}, and no word of the rest"
                    ),
                    "max_queued_messages 100000 (Mosquitto; not 0, which 2.0.16 takes for none)",
                ),
            };
            points.push(point.with("asked", kept as f64).with("came", came as f64));
        }
        Ok(points)
    }

    async fn crowd_to(&self, qos: Qos) -> Result<usize, Error> {
        let (mut reader, _) = self.reader(&Hello::passing(&self.client_id("reader"))).await?;
        let all = self.state_topic("0").replace("check-0", "+");
        reader.subscribe(&[Filter::all(&all, qos)]).await?;
        tokio::time::sleep(SLOW).await;
        let came = count(&mut reader, QUIET).await?;
        reader.leave().await;
        Ok(came)
    }

    /// Whether a device may speak for another.
    pub(super) async fn others(&mut self) -> Result<Point, Error> {
        let name = "other_devices";
        let Some(topic) = other_topic(&self.plan.prefix, &self.plan.id) else {
            return Ok(Point::untold(name, "there is no other device's topic to try", "try it by hand"));
        };
        let may = "a device may speak for another one, which is then no proof of anything";
        let cure = "access rules as in mosquitto.acl: pattern write picket/1/%u/...";
        let mut reader = None;
        if self.reads {
            let (mut visit, _) = self.reader(&Hello::passing(&self.client_id("reader"))).await?;
            subscribe(&mut visit, &[Filter::all(&topic, Qos::AtLeastOnce)]).await?;
            reader = Some(visit);
        }
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let taken = match deliver(&mut device, &message(&topic, Qos::AtLeastOnce, false)).await {
            // Some brokers end the connection instead.
            Err(Error::Dismissed(_) | Error::Lost(_)) => Err(()),
            answer => answer?.map_err(drop),
        };
        device.leave().await;
        let came = match &mut reader {
            Some(reader) => heard(reader, &topic, SOON).await?.is_some(),
            None => false,
        };
        if let Some(reader) = reader {
            reader.leave().await;
        }
        Ok(match (taken, came) {
            (_, true) => Point::warning(name, may, cure),
            (Err(()), _) => Point::ok(name, "a device may not speak for another one"),
            (Ok(()), _) if self.reads => Point::ok(name, "what a device says for another one goes nowhere"),
            (Ok(()), _) => {
                Point::untold(name, "taken; whether it would come cannot be seen", "name a reader with --reader")
            }
        })
    }
}

/// A topic of a device that is not `id`.
fn other_topic(prefix: &str, id: &DeviceId) -> Option<String> {
    let digits = if id.digits() == "fffffffffffe" { "fffffffffffd" } else { "fffffffffffe" };
    let other = DeviceId::new(&format!("pk-{digits}")).ok()?;
    Some(Topics::new(prefix, &other).event(&SourceId::new("check-0").ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_device_is_another() {
        for digits in ["000000000000", "fffffffffffe", "fffffffffffd"] {
            let id = DeviceId::new(&format!("pk-{digits}")).expect("a device");
            let topic = other_topic("", &id).expect("a topic");
            assert!(!topic.contains(id.as_str()) && topic.ends_with("/src/check-0/event"), "{topic}");
        }
    }
}
