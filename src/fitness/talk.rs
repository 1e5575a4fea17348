//! Ways of talking to the broker that all points need.

use super::Check;
use crate::mqtt::visit::{Error, Filter, Received, Told, Visit};
use crate::wire::{Message, Qos};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;

/// For an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Unacknowledged messages of ours at most, where the broker does not say less.
const WINDOW: usize = 100;

/// No JSON, so that nobody takes it for a message of a device.
pub(super) fn message(topic: &str, qos: Qos, retain: bool) -> Message {
    let payload = b"picket broker-check".to_vec();
    Message { topic: topic.to_owned(), payload, qos, retain, expires_after: None }
}

/// The next thing that is told, `within`; `None`: nothing was.
pub(super) async fn next(visit: &mut Visit, within: Duration) -> Result<Option<Told>, Error> {
    match timeout(within, visit.told()).await {
        Err(_) => Ok(None),
        Ok(Ok(Told::Goodbye(why))) => Err(Error::Dismissed(why)),
        Ok(told) => told.map(Some),
    }
}

/// Asks for messages; whether all filters were granted.
pub(super) async fn subscribe(visit: &mut Visit, filters: &[Filter]) -> Result<bool, Error> {
    let asked = visit.subscribe(filters).await?;
    loop {
        match next(visit, ANSWER_MAX).await? {
            None => return Err(Error::Silent),
            Some(Told::Subscribed(id, granted)) if id == asked => return Ok(granted.iter().all(|granted| *granted)),
            Some(_) => {}
        }
    }
}

/// Sends one message of QoS 1; why the broker refused it, if it did.
pub(super) async fn deliver(visit: &mut Visit, message: &Message) -> Result<Result<(), String>, Error> {
    let sent = visit.publish(message).await?;
    loop {
        match next(visit, ANSWER_MAX).await? {
            None => return Err(Error::Silent),
            Some(Told::Acknowledged(id, answer)) if id == sent => return Ok(answer),
            Some(_) => {}
        }
    }
}

/// The first message on `topic` that comes `within`.
pub(super) async fn heard(visit: &mut Visit, topic: &str, within: Duration) -> Result<Option<Received>, Error> {
    let wanted = async {
        loop {
            match visit.told().await? {
                Told::Message(received) => {
                    if let Some(id) = received.id {
                        visit.acknowledge(id).await?;
                    }
                    if received.topic == topic {
                        return Ok(received);
                    }
                }
                Told::Goodbye(why) => return Err(Error::Dismissed(why)),
                _ => {}
            }
        }
    };
    timeout(within, wanted).await.map_or(Ok(None), |heard: Result<_, Error>| heard.map(Some))
}

/// Messages that come until it is quiet.
pub(super) async fn count(visit: &mut Visit, quiet: Duration) -> Result<usize, Error> {
    let mut count = 0;
    while let Some(told) = next(visit, quiet).await? {
        if let Told::Message(received) = told {
            count += 1;
            if let Some(id) = received.id {
                visit.acknowledge(id).await?;
            }
        }
    }
    Ok(count)
}

impl Check {
    /// Sends messages of QoS 1 as fast as the broker lets us; how many it refused, and why the last one.
    pub(super) async fn send_all(
        &self,
        visit: &mut Visit,
        messages: &[Message],
    ) -> Result<(usize, Option<String>), Error> {
        let window = usize::from(self.welcome.receive_max.unwrap_or(u16::MAX)).clamp(1, WINDOW);
        let (mut under_way, mut refused, mut why) = (VecDeque::new(), 0, None);
        let mut left = messages.iter();
        loop {
            while under_way.len() < window
                && let Some(message) = left.next()
            {
                under_way.push_back(visit.publish(message).await?);
            }
            if under_way.is_empty() {
                return Ok((refused, why));
            }
            match next(visit, ANSWER_MAX).await? {
                None => return Err(Error::Silent),
                Some(Told::Acknowledged(id, answer)) => {
                    under_way.retain(|waiting| *waiting != id);
                    if let Err(reason) = answer {
                        refused += 1;
                        why = Some(reason);
                    }
                }
                Some(_) => {}
            }
        }
    }
}
