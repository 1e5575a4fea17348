//! What to send when: a state machine without socket or clock, so that every rule can be tried in any order.
//!
//! Order of a connection: subscribe and wait for the answer, then the retained set, newest only, then the spooled
//! messages by number. At most `window` messages are under way between the oldest unacknowledged and the newest, so
//! that the client library, which gives out packet ids in a ring of 64, can never use one twice.

use super::denied::Denied;
pub use super::limits::Limits;
use super::retained::Retained;
use crate::time::Mono;
use crate::wire::{Message, Qos};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Most messages under way.
const WINDOW_MAX: u16 = 32;
/// A message that the broker refused is tried once more after this, or on the next connection.
const REFUSED_RETRY: Duration = Duration::from_secs(10);
/// So many refusals and it is given up.
const REFUSALS_MAX: u8 = 2;
/// Pause after the broker said "quota exceeded", which no message can cure.
const HOLD: Duration = Duration::from_secs(30);
/// Commands are not listened to for so long after one that was too large, which the broker may keep; doubled each time, up to 64 times.
const DEAF: Duration = Duration::from_secs(60);
/// A broker that does not answer a subscription is served all the same.
const SUBSCRIBE_MAX: Duration = Duration::from_secs(10);
/// A line that breaks so often in a row, each time with the same message as the first unanswered one although others
/// were answered before, does not break by chance: messages go one by one from then on.
const BREAKS_SUSPECT: u8 = 3;
/// And so often with that message alone under way: it is given up.
const BREAKS_MAX: u8 = 10;
/// So many takeovers within [`CONFLICT_WITHIN`] mean that another device uses our client id.
const CONFLICT_TAKEOVERS: usize = 3;
const CONFLICT_WITHIN: Duration = Duration::from_secs(60);

/// The broker's answer to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Taken,
    /// It does not want this message.
    Refused,
    /// It does not want any now: quota exceeded.
    NotNow(&'static str),
    /// It does not let us publish to this topic.
    Denied,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// No connection: name, TCP or TLS.
    #[error("cannot reach the broker: {0}")]
    Unreachable(String),
    /// The broker is there but overloaded, shutting down or the like: all devices hear that at the same time.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// The broker does not want us.
    #[error("broker refused the connection: {0}")]
    Refused(String),
    /// Somebody else connected with our client id.
    #[error("another client with our id took over")]
    TakenOver,
    /// Something that we sent was not to the broker's liking, or its answer to it is not to be understood.
    #[error("broker rejected a packet: {0}")]
    Rejected(String),
    /// The broker sent more than we take.
    #[error("broker sent a packet above our limit")]
    Oversized,
    /// Nothing came for 1.5 times the keep-alive.
    #[error("broker is silent")]
    Silent,
    /// Cut.
    #[error("connection lost: {0}")]
    Lost(String),
    /// We disconnected.
    #[error("disconnected")]
    Ended,
}

/// What became of a spooled message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it.
    Delivered(u64),
    /// Refused for good.
    Parked(u64),
}

/// What the link is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Subscribe to the commands.
    Subscribe,
    /// Send this.
    Publish(Message),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    /// Connected, subscription not yet asked for.
    Connected,
    Subscribing {
        since: Mono,
    },
    Up,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tag {
    Spooled(u64),
    Retained(String, u64),
}

#[derive(Clone, Debug)]
struct Flight {
    tag: Tag,
    topic: String,
    /// Given by the client library when it sends.
    id: Option<u16>,
    since: Mono,
    answered: bool,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    count: u8,
    retry_at: Mono,
}

/// The session with the broker, over all connections of a process.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    limits: Limits,
    flights: VecDeque<Flight>,
    retained: Retained,
    /// Newest number handed to the link on this connection.
    newest: u64,
    refusals: BTreeMap<u64, Refusal>,
    denied: Denied,
    hold_until: Option<Mono>,
    complaint: Option<&'static str>,
    /// So many messages are sent one by one, to find the one that the broker rejects.
    probing: usize,
    /// The message at which the line broke last, and how often in a row.
    breaks: (u64, u8),
    /// Something was answered on this connection.
    heard_answer: bool,
    /// The broker sends more than we take to the subscription: do without until then.
    deaf_until: Option<Mono>,
    deafened: u8,
    /// No spooled message any more.
    closing: bool,
    takeovers: Vec<Mono>,
    refused: u64,
    rtt: Option<Duration>,
}

impl Default for Session {
    fn default() -> Self {
        let limits = Limits { receive_max: 0, packet_max: None, qos1: true, retain: true, session_present: false };
        Self {
            phase: Phase::Down,
            limits,
            flights: VecDeque::new(),
            retained: Retained::default(),
            newest: 0,
            refusals: BTreeMap::new(),
            denied: Denied::default(),
            hold_until: None,
            complaint: None,
            probing: 0,
            breaks: (0, 0),
            heard_answer: false,
            deaf_until: None,
            deafened: 0,
            closing: false,
            takeovers: Vec::new(),
            refused: 0,
            rtt: None,
        }
    }
}

impl Session {
    /// The broker accepted a connection; `birth` is the first thing to tell.
    pub fn connected(&mut self, limits: Limits, birth: Message) {
        self.limits = limits;
        self.flights.clear();
        self.newest = 0;
        self.heard_answer = false;
        self.hold_until = None;
        self.denied.clear();
        self.complaint = if limits.qos1 { None } else { Some("broker takes no QoS 1: events wait") };
        self.retained.set(birth, true);
        self.retained.connected(limits.session_present);
        self.phase = if self.deaf_until.is_some() { Phase::Up } else { Phase::Connected };
    }

    /// The broker answered the subscription.
    pub fn subscribed(&mut self) {
        if matches!(self.phase, Phase::Subscribing { .. }) {
            self.phase = Phase::Up;
        }
    }

    /// The connection ended. Returns the message that is to blame, if one was refused for good by that.
    pub fn disconnected(&mut self, why: &Down, now: Mono) -> Option<Outcome> {
        self.phase = Phase::Down;
        let unanswered: Vec<Tag> = self.flights.drain(..).filter(|f| !f.answered).map(|f| f.tag).collect();
        match why {
            Down::TakenOver => self.note_takeover(now),
            Down::Oversized => {
                self.deaf_until = Some(now.plus(DEAF * (1 << self.deafened)));
                self.deafened = (self.deafened + 1).min(6);
            }
            Down::Rejected(_) => {
                // The retained set comes first on the next connection.
                self.probing = unanswered.len() + self.retained.len();
                if let [tag] = unanswered.as_slice() {
                    return self.note_refusal(tag, now);
                }
            }
            Down::Lost(_) | Down::Silent => return self.note_break(&unanswered),
            _ => {}
        }
        None
    }

    /// Brokers that hang up on a message without a word would else be asked for ever.
    fn note_break(&mut self, unanswered: &[Tag]) -> Option<Outcome> {
        let Some(Tag::Spooled(seq)) = unanswered.first().filter(|_| self.heard_answer) else { return None };
        let again = if self.breaks.0 == *seq { self.breaks.1.saturating_add(1) } else { 1 };
        self.breaks = (*seq, again);
        if again >= BREAKS_MAX && unanswered.len() == 1 {
            self.refusals.remove(seq);
            return Some(Outcome::Parked(*seq));
        }
        if again >= BREAKS_SUSPECT {
            self.probing = unanswered.len() + self.retained.len();
        }
        None
    }

    /// Somebody else connected with our client id, or spoke in our name.
    pub fn note_takeover(&mut self, now: Mono) {
        self.takeovers.push(now);
    }

    /// Whether another device seems to use our client id. Told once per conflict.
    pub fn conflict(&mut self, now: Mono) -> bool {
        self.takeovers.retain(|at| now.since(*at) <= CONFLICT_WITHIN);
        let conflict = self.takeovers.len() >= CONFLICT_TAKEOVERS;
        if conflict {
            self.takeovers.clear();
        }
        conflict
    }

    /// The newest message for its topic, to be kept by the broker.
    pub fn retain(&mut self, message: Message) {
        self.retained.set(message, false);
    }

    /// The next thing to do besides spooled messages.
    pub fn control(&mut self, now: Mono) -> Option<Act> {
        let hears_again = self.phase == Phase::Up && self.deaf_until.is_some_and(|until| now >= until);
        match self.phase {
            Phase::Down => return None,
            Phase::Up if !hears_again => {}
            Phase::Connected | Phase::Up => {
                self.deaf_until = None;
                self.phase = Phase::Subscribing { since: now };
                return Some(Act::Subscribe);
            }
            // Alerts matter more than commands.
            Phase::Subscribing { since } if now.since(since) < SUBSCRIBE_MAX => return None,
            Phase::Subscribing { .. } => self.phase = Phase::Up,
        }
        while let Some((message, version)) = self.retained.pending() {
            let mut message = message.clone();
            message.retain &= self.limits.retain;
            if !self.limits.qos1 {
                message.qos = Qos::AtMostOnce;
            }
            if !self.limits.fit(&message) {
                self.refused += 1;
                self.retained.refused(&message.topic, version);
                continue;
            }
            if message.qos == Qos::AtLeastOnce {
                if !self.room(now) {
                    return None;
                }
                self.flights.push_back(Flight::new(Tag::Retained(message.topic.clone(), version), &message, now));
            }
            self.retained.sent(&message.topic, version);
            return Some(Act::Publish(message));
        }
        None
    }

    /// The link had no room for the last retained QoS 0 message that it was given.
    pub fn unsent(&mut self, topic: &str) {
        self.retained.unsent(topic);
    }

    /// Above which number the next spooled message is wanted, if one is.
    pub fn wanted(&self, now: Mono) -> Option<u64> {
        if self.phase != Phase::Up
            || self.closing
            || !self.limits.qos1
            || self.retained.pending().is_some()
            || !self.room(now)
        {
            return None;
        }
        let again = |(seq, refusal): (&u64, &Refusal)| (now >= refusal.retry_at && *seq <= self.newest).then_some(*seq);
        let again = self.refusals.iter().find_map(again);
        // One that is being tried has its answer to come.
        let open = self.denied.due(now).filter(|seq| *seq <= self.newest && !self.is_under_way(*seq));
        Some(again.into_iter().chain(open).min().map_or(self.newest, |seq| seq - 1))
    }

    /// The spooled message `seq`, which came next above `from`. What is to be sent, if it is, and whether it is given
    /// up for good.
    pub fn spooled(&mut self, from: u64, seq: u64, message: Message, now: Mono) -> (Option<Act>, Option<Outcome>) {
        // Refused messages that the spool no longer has.
        let gone: Vec<u64> = self.refusals.range(from + 1..seq).map(|(gone, _)| *gone).collect();
        for gone in gone {
            self.refusals.remove(&gone);
        }
        self.denied.forget(|gone| gone > from && gone < seq);
        // Not again before this try was answered.
        if let Some(refusal) = self.refusals.get_mut(&seq) {
            refusal.retry_at = now.plus(REFUSED_RETRY);
        }
        self.newest = self.newest.max(seq);
        if self.is_under_way(seq) {
            return (None, None);
        }
        let tag = Tag::Spooled(seq);
        if !self.limits.fit(&message) {
            return (None, self.note_refusal(&tag, now));
        }
        if !self.denied.lets_pass(&message.topic, seq, now) {
            return (None, None);
        }
        self.flights.push_back(Flight::new(tag, &message, now));
        (Some(Act::Publish(message)), None)
    }

    /// The spool has nothing above `from`.
    pub fn nothing(&mut self, from: u64) {
        self.refusals.retain(|seq, _| *seq <= from);
        self.denied.forget(|seq| seq > from);
    }

    /// The spool has older messages again than those it gave out last.
    pub fn rewind(&mut self) {
        self.newest = 0;
    }

    /// The link sent the next QoS 1 message, under this packet id. `false`: it has no such message, so ids and messages
    /// no longer match and the connection must go.
    pub fn sent(&mut self, id: u16) -> bool {
        let reused = self.flights.iter().any(|flight| flight.id == Some(id) && !flight.answered);
        match self.flights.iter_mut().find(|flight| flight.id.is_none()) {
            Some(flight) if !reused => {
                flight.id = Some(id);
                true
            }
            _ => false,
        }
    }

    /// The broker answered the message with this packet id.
    pub fn answered(&mut self, id: u16, answer: Answer, now: Mono) -> Option<Outcome> {
        let flight = self.flights.iter_mut().find(|flight| flight.id == Some(id) && !flight.answered)?;
        flight.answered = true;
        self.heard_answer = true;
        let (tag, topic, took) = (flight.tag.clone(), std::mem::take(&mut flight.topic), now.since(flight.since));
        while self.flights.front().is_some_and(|flight| flight.answered) {
            self.flights.pop_front();
        }
        self.probing = self.probing.saturating_sub(1);
        match answer {
            Answer::Taken => {
                (self.rtt, self.complaint) = (Some(took), None);
                match tag {
                    Tag::Spooled(seq) => {
                        self.refusals.remove(&seq);
                        self.denied.taken(&topic, seq);
                        Some(Outcome::Delivered(seq))
                    }
                    Tag::Retained(topic, version) => {
                        self.retained.taken(&topic, version);
                        None
                    }
                }
            }
            Answer::Refused => self.note_refusal(&tag, now),
            Answer::Denied => {
                let Tag::Spooled(seq) = tag else { return self.note_refusal(&tag, now) };
                self.denied.deny(&topic, seq, now);
                None
            }
            Answer::NotNow(reason) => {
                self.complaint = Some(reason);
                let Tag::Spooled(seq) = tag else { return self.note_refusal(&tag, now) };
                self.hold_until = Some(now.plus(HOLD));
                self.newest = self.newest.min(seq - 1);
                None
            }
        }
    }

    /// The end is near: spooled messages wait for the next run.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Whether the connection is ready for messages.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether everything that was to be sent besides spooled messages was answered.
    pub fn is_settled(&self) -> bool {
        self.retained.pending().is_none() && self.flights.is_empty()
    }

    /// What the broker has against us, if anything.
    pub fn complaint(&self) -> Option<&'static str> {
        let denied = (!self.denied.is_empty()).then_some("not authorised to publish events of a source: they wait");
        let deaf = self.deaf_until.map(|_| "a command was too large: none is heard for a while");
        self.complaint.or(denied).or(deaf)
    }

    /// Retained messages that were refused, since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// From sending the last answered message to its answer.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    fn room(&self, now: Mono) -> bool {
        let window = if self.probing > 0 { 1 } else { self.limits.receive_max.min(WINDOW_MAX) };
        self.hold_until.is_none_or(|until| now >= until) && self.flights.len() < usize::from(window)
    }

    /// Whether the broker takes packets as large as this message's.
    pub fn fits(&self, message: &Message) -> bool {
        self.limits.fit(message)
    }

    fn is_under_way(&self, seq: u64) -> bool {
        self.flights.iter().any(|flight| flight.tag == Tag::Spooled(seq) && !flight.answered)
    }

    fn note_refusal(&mut self, tag: &Tag, now: Mono) -> Option<Outcome> {
        match tag {
            Tag::Spooled(seq) => {
                let refusal = self.refusals.entry(*seq).or_insert(Refusal { count: 0, retry_at: now });
                refusal.count += 1;
                refusal.retry_at = now.plus(REFUSED_RETRY);
                if refusal.count < REFUSALS_MAX {
                    return None;
                }
                self.refusals.remove(seq);
                Some(Outcome::Parked(*seq))
            }
            Tag::Retained(topic, version) => {
                self.refused += 1;
                self.retained.refused(topic, *version);
                None
            }
        }
    }
}

impl Flight {
    fn new(tag: Tag, message: &Message, now: Mono) -> Self {
        Self { tag, topic: message.topic.clone(), id: None, since: now, answered: false }
    }
}
