//! Topics that the broker does not let us publish to. Their spooled messages wait, in order; those of other topics go on.

use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a topic is tried again, with its oldest message: somebody may mend the broker's list.
const RETRY: Duration = Duration::from_secs(30);

/// A topic that was denied.
#[derive(Debug)]
struct Topic {
    retry_at: Mono,
    /// The broker took a message again: the others follow.
    is_open: bool,
    waiting: BTreeSet<u64>,
}

/// The denied topics of a connection.
#[derive(Debug, Default)]
pub struct Denied {
    topics: BTreeMap<String, Topic>,
}

impl Denied {
    /// A new connection: everything is tried again.
    pub fn clear(&mut self) {
        self.topics.clear();
    }

    /// Whether any topic is denied.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The broker does not take message `seq`: nor will it the others of its topic.
    pub fn deny(&mut self, topic: &str, seq: u64, now: Mono) {
        let retry_at = now.plus(RETRY);
        let topic = self.topics.entry(topic.to_owned()).or_insert_with(|| Topic {
            retry_at,
            is_open: false,
            waiting: BTreeSet::new(),
        });
        (topic.retry_at, topic.is_open) = (retry_at, false);
        topic.waiting.insert(seq);
    }

    /// Whether message `seq` may be sent now. Else it waits.
    pub fn lets_pass(&mut self, topic: &str, seq: u64, now: Mono) -> bool {
        let Some(denied) = self.topics.get_mut(topic) else { return true };
        if denied.is_open {
            denied.waiting.remove(&seq);
            if denied.waiting.is_empty() {
                self.topics.remove(topic);
            }
            return true;
        }
        denied.waiting.insert(seq);
        let tried = now >= denied.retry_at && denied.waiting.first() == Some(&seq);
        if tried {
            denied.retry_at = now.plus(RETRY);
        }
        tried
    }

    /// The broker took message `seq`.
    pub fn taken(&mut self, topic: &str, seq: u64) {
        let Some(denied) = self.topics.get_mut(topic) else { return };
        denied.waiting.remove(&seq);
        denied.is_open = true;
        if denied.waiting.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// The oldest message that may be tried now.
    pub fn due(&self, now: Mono) -> Option<u64> {
        let may = |topic: &&Topic| topic.is_open || now >= topic.retry_at;
        self.topics.values().filter(may).filter_map(|topic| topic.waiting.first()).min().copied()
    }

    /// The spool has none of these any more.
    pub fn forget(&mut self, gone: impl Fn(u64) -> bool) {
        self.topics.values_mut().for_each(|topic| topic.waiting.retain(|seq| !gone(*seq)));
        self.topics.retain(|_, topic| !topic.waiting.is_empty());
    }
}
