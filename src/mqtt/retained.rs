//! The messages that the broker keeps for later subscribers, as they should be there now: the newest per topic.

use crate::wire::{Message, Qos};

#[derive(Clone, Debug)]
struct Kept {
    message: Message,
    /// Counts changes of this topic.
    version: u64,
    /// The version that the broker has, as far as we know.
    sent: u64,
    /// The version that the broker refused: sending it again would be refused again.
    refused: u64,
}

/// Messages that wait for the broker although it is not to keep them: replies to commands.
const ONCE_MAX: usize = 64;

/// The retained set, and what is to arrive once (without `retain`). JSON documents (QoS 1) are sent again after each connect. Pictures (QoS 0) are sent again only
/// when the broker lost the session, since it may have lost what it kept too: a picture that was under way when the
/// line was cut may be missing until the next one.
#[derive(Clone, Debug, Default)]
pub struct Retained {
    kept: Vec<Kept>,
}

impl Retained {
    /// The newest message of its topic. `first` puts it before all others.
    pub fn set(&mut self, message: Message, first: bool) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.message.topic == message.topic) {
            kept.message = message;
            kept.version += 1;
        } else {
            if !message.retain {
                self.make_room();
            }
            let at = if first { 0 } else { self.kept.len() };
            self.kept.insert(at, Kept { message, version: 1, sent: 0, refused: 0 });
        }
    }

    /// For one more message that the broker does not keep: the oldest gives way.
    fn make_room(&mut self) {
        if self.kept.iter().filter(|kept| !kept.message.retain).count() >= ONCE_MAX
            && let Some(oldest) = self.kept.iter().position(|kept| !kept.message.retain)
        {
            self.kept.remove(oldest);
        }
    }

    /// Topics.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// A connection begins.
    pub fn connected(&mut self, session_present: bool) {
        for kept in &mut self.kept {
            if kept.message.qos == Qos::AtLeastOnce || !session_present {
                kept.sent = 0;
            }
        }
    }

    /// The next one that the broker has not got in its newest form, and its version.
    pub fn pending(&self) -> Option<(&Message, u64)> {
        self.kept
            .iter()
            .find(|kept| kept.sent.max(kept.refused) != kept.version)
            .map(|kept| (&kept.message, kept.version))
    }

    /// That version of `topic` was sent, or is given up.
    pub fn sent(&mut self, topic: &str, version: u64) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.message.topic == topic) {
            kept.sent = kept.sent.max(version);
        }
    }

    /// The broker refused that version of `topic`: it waits for a newer one.
    pub fn refused(&mut self, topic: &str, version: u64) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.message.topic == topic) {
            kept.refused = version;
        }
    }

    /// The broker has that version of `topic`. What it does not keep, or keeps no more, need not come again.
    pub fn taken(&mut self, topic: &str, version: u64) {
        let done = |kept: &Kept| !kept.message.retain || kept.message.payload.is_empty();
        self.kept.retain(|kept| kept.message.topic != topic || kept.version != version || !done(kept));
    }

    /// `topic` was not sent after all.
    pub fn unsent(&mut self, topic: &str) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.message.topic == topic) {
            kept.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, body: &str, qos: Qos) -> Message {
        Message { topic: topic.into(), payload: body.into(), qos, retain: true, expires_after: None }
    }

    fn drain(retained: &mut Retained) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some((message, version)) = retained.pending() {
            let (topic, body) = (message.topic.clone(), String::from_utf8_lossy(&message.payload).into_owned());
            retained.sent(&topic, version);
            sent.push(body);
        }
        sent
    }

    #[test]
    fn only_the_newest_is_sent_and_documents_come_again() {
        let mut retained = Retained::default();
        retained.set(message("info", "i1", Qos::AtLeastOnce), false);
        retained.set(message("image", "p1", Qos::AtMostOnce), false);
        retained.set(message("info", "i2", Qos::AtLeastOnce), false);
        retained.set(message("status", "s", Qos::AtLeastOnce), true);
        assert_eq!(drain(&mut retained), ["s", "i2", "p1"]);
        retained.connected(true);
        assert_eq!(drain(&mut retained), ["s", "i2"]);
        retained.set(message("image", "p2", Qos::AtMostOnce), false);
        retained.connected(true);
        assert_eq!(drain(&mut retained), ["s", "i2", "p2"]);
        retained.connected(false);
        assert_eq!(drain(&mut retained), ["s", "i2", "p2"]);
    }

    #[test]
    fn what_was_refused_waits_for_news() {
        let mut retained = Retained::default();
        retained.set(message("info", "bad", Qos::AtLeastOnce), false);
        retained.refused("info", 1);
        retained.connected(false);
        assert_eq!(drain(&mut retained), [] as [&str; 0]);
        retained.set(message("info", "good", Qos::AtLeastOnce), false);
        assert_eq!(drain(&mut retained), ["good"]);
    }

    #[test]
    fn replies_and_emptied_topics_go_once_and_do_not_pile_up() {
        let mut retained = Retained::default();
        let reply = |n: usize| Message { retain: false, ..message(&format!("reply/{n}"), "r", Qos::AtLeastOnce) };
        retained.set(reply(0), false);
        retained.set(message("old", "", Qos::AtLeastOnce), false);
        assert_eq!(drain(&mut retained).len(), 2);
        retained.connected(true);
        assert_eq!(drain(&mut retained).len(), 2, "until they are acknowledged");
        retained.taken("reply/0", 1);
        retained.taken("old", 1);
        assert_eq!(retained.len(), 0);
        (0..ONCE_MAX + 9).for_each(|n| retained.set(reply(n), false));
        assert_eq!(retained.len(), ONCE_MAX);
        assert_eq!(retained.pending().map(|(message, _)| message.topic.as_str()), Some("reply/9"));
    }

    #[test]
    fn what_changed_on_its_way_is_sent_again() {
        let mut retained = Retained::default();
        retained.set(message("state", "1", Qos::AtLeastOnce), false);
        let version = retained.pending().unwrap().1;
        retained.set(message("state", "2", Qos::AtLeastOnce), false);
        retained.sent("state", version);
        assert_eq!(drain(&mut retained), ["2"]);
    }
}
