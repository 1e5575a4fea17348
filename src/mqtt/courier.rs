//! All that leaves the device by MQTT goes through here: the outbox, the retained set and the passing messages, over
//! one connection after the other. One owner, on the control loop.

use super::Settings;
use super::backoff::Backoff;
use super::link::{Heard, Link, Options};
use super::news::{Counters, Event};
use super::session::{Act, Down, Limits, Outcome, Session};
use crate::ids::{BootId, DeviceId};
use crate::outbox::{Entry, Now, Outbox, Outgoing};
use crate::time::{Clock, Mono};
use crate::wire::{Message, Qos, Topics};
use std::collections::VecDeque;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The outbox is looked after at least this often.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Two devices with one client id throw each other out all the time: one of them gives way.
const CONFLICT_WAIT: Duration = Duration::from_secs(300);
/// Bodies of `status` that are known as ours: births and wills of more connections than fit in a minute.
const SAID_MAX: usize = 32;
/// A connection that lasted so long was a good one.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Who speaks.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The device; its name is the client id.
    pub device: DeviceId,
    /// This boot.
    pub boot: BootId,
    /// Where to.
    pub topics: Topics,
    /// What is listened to besides commands: topic filters.
    pub listen: Vec<String>,
    /// For jitter: should differ between devices.
    pub seed: u64,
}

type StatusBody = Box<dyn Fn(&str, u64) -> Vec<u8> + Send>;

enum State {
    /// No broker is configured.
    Off,
    Waiting {
        until: Mono,
    },
    Linked {
        link: Box<Link>,
        conn: u64,
        /// The folder of the pair that is offered.
        pair: Option<PathBuf>,
        /// When the broker accepted.
        since: Option<Mono>,
    },
}

/// The one way out.
pub struct Courier {
    settings: Option<Settings>,
    identity: Identity,
    client_id: String,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    status_body: StatusBody,
    session: Session,
    backoff: Backoff,
    state: State,
    ticked_at: Mono,
    news: VecDeque<Event>,
    told_trouble: Option<String>,
    connections: u64,
    passing_dropped: u64,
    /// The last bodies of `status` that were ours.
    said: VecDeque<Vec<u8>>,
    /// Another device uses our client id.
    conflict: bool,
    /// All that is kept is being emptied, and nothing else is said.
    emptying: bool,
}

impl Courier {
    /// Takes over `outbox`. The first connection begins with the first [`Courier::next`]; without `settings` there is
    /// none, and the outbox keeps. `status_body` makes the body of `status` for a state and a connection number.
    pub fn start(
        settings: Option<Settings>,
        identity: Identity,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
        status_body: impl Fn(&str, u64) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let now = clock.mono();
        Self {
            state: if settings.is_some() { State::Waiting { until: now } } else { State::Off },
            settings,
            client_id: identity.device.as_str().to_owned(),
            backoff: Backoff::new(identity.seed),
            identity,
            outbox,
            clock,
            status_body: Box::new(status_body),
            session: Session::default(),
            ticked_at: now,
            news: VecDeque::new(),
            told_trouble: None,
            connections: 0,
            passing_dropped: 0,
            said: VecDeque::new(),
            conflict: false,
            emptying: false,
        }
    }

    /// The number that the next spooled message must carry.
    pub fn next_seq(&self) -> u64 {
        self.outbox.next_seq()
    }

    /// Takes a message that must not be lost; its number is [`Courier::next_seq`].
    pub fn spool(&mut self, entry: Entry) {
        self.outbox.push(entry, self.now());
        self.pump();
    }

    /// Incidents that were open when the former run ended, or are now.
    pub fn open_incidents(&self) -> Vec<Entry> {
        self.outbox.open_incidents()
    }

    /// The newest message of its topic, which the broker is to keep: sent now, and again after each connect (JSON), or
    /// when the broker lost the session (pictures, QoS 0).
    pub fn retain(&mut self, message: Message) {
        self.session.retain(message);
        self.pump();
    }

    /// A passing message, QoS 0; dropped and counted without a connection, or when it is too large for the broker: the
    /// client library would give up the connection over it.
    pub fn send(&mut self, message: Message) {
        let message = Message { qos: Qos::AtMostOnce, ..message };
        let sent = match &self.state {
            State::Linked { link, .. } if self.session.is_up() && self.session.fits(&message) => link.publish(message),
            _ => false,
        };
        self.passing_dropped += u64::from(!sent);
    }

    /// How it goes.
    pub fn counters(&self) -> Counters {
        Counters {
            connected: matches!(self.state, State::Linked { since: Some(_), .. }),
            connected_for: match self.state {
                State::Linked { since, .. } => since.map(|since| self.clock.mono().since(since)),
                State::Off | State::Waiting { .. } => None,
            },
            reconnects: self.connections.saturating_sub(1),
            rtt: self.session.rtt(),
            complaint: self.session.complaint().or(self.conflict.then_some("another device uses this id")),
            outbox: self.outbox.counters(self.now()),
            trouble: self.outbox.trouble().map(str::to_owned),
            passing_dropped: self.passing_dropped,
            retained_refused: self.session.refused(),
        }
    }

    /// Offers the pair in `folder` (see `Tls::pair`) from the next connection on.
    pub fn offer(&mut self, folder: &Path) {
        if let Some(tls) = self.settings.as_mut().and_then(|settings| settings.tls.as_mut()) {
            tls.pair = Some(folder.to_owned());
        }
    }

    /// Gives up the connection and makes another one at once. The will stays: should that fail, the broker tells.
    pub fn reconnect(&mut self) {
        let now = self.clock.mono();
        if let State::Linked { .. } = self.state {
            let outcome = self.session.disconnected(&Down::Ended, now);
            settle(&mut self.outbox, &mut self.news, outcome);
        }
        if !matches!(self.state, State::Off) {
            self.backoff.reset();
            self.state = State::Waiting { until: now };
        }
    }

    /// Moves everything on until there is news. The future may be dropped at any time: nothing is lost by that.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.news.pop_front() {
                return event;
            }
            let wait = self.advance();
            if !self.news.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                heard = heard(&mut self.state) => self.take(heard),
                () = sleep(wait) => {}
            }
        }
    }

    /// Ends in order: what waits is sent for half of `within` at most, then `status` says "stopping", its
    /// acknowledgement is awaited, and the broker hears a farewell.
    pub async fn stop(mut self, within: Duration) {
        let _ = timeout(within / 2, self.until(|courier| courier.outbox.counters(courier.now()).waiting == 0)).await;
        if let State::Linked { conn, since: Some(_), .. } = self.state {
            let status = self.status("stopping", conn);
            self.session.close();
            self.retain(status);
            let _ = timeout(within / 2, self.until(|courier| courier.session.is_settled())).await;
            if let State::Linked { link, .. } = &self.state
                && link.disconnect()
            {
                let _ = timeout(TICK_EVERY, self.until(|_| false)).await;
            }
        }
        self.outbox.stop(self.now());
    }

    /// Whether the broker has all that it is to keep.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Linked { since: Some(_), .. }) && self.session.is_up() && self.session.is_settled()
    }

    /// Has the broker forget what it keeps on `topics`, without a word of anything else, and ends. An error when that was
    /// not done `within` this time: why the line to the broker ended last, as far as it did.
    pub async fn empty(mut self, topics: &[String], within: Duration) -> Result<(), Option<String>> {
        let mut last = None;
        self.emptying = true;
        self.session.close();
        topics.iter().for_each(|topic| self.retain(Message::emptying(topic)));
        let done = timeout(within, async {
            while !self.is_settled() {
                let wait = self.advance();
                tokio::select! {
                    biased;
                    heard = heard(&mut self.state) => self.take(heard),
                    () = sleep(wait) => {}
                }
                for event in self.news.drain(..) {
                    if let Event::Disconnected { reason } = event {
                        last = Some(reason);
                    }
                }
            }
        });
        let done = done.await.is_ok();
        if let State::Linked { link, .. } = &self.state
            && link.disconnect()
        {
            let _ = timeout(TICK_EVERY, self.until(|_| false)).await;
        }
        if done { Ok(()) } else { Err(last) }
    }

    /// Goes on until `done`, or until there is no connection.
    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while matches!(self.state, State::Linked { since: Some(_), .. }) && !done(self) {
            let wait = self.advance();
            tokio::select! {
                biased;
                heard = heard(&mut self.state) => self.take(heard),
                () = sleep(wait) => {}
            }
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.clock.mono(), wall: self.clock.wall() }
    }

    fn status(&self, state: &str, conn: u64) -> Message {
        let payload = (self.status_body)(state, conn);
        let topic = self.identity.topics.status();
        Message { topic, payload, qos: Qos::AtLeastOnce, retain: true, expires_after: None }
    }

    /// Does what is due; returns how long until something is due again.
    fn advance(&mut self) -> Duration {
        let now = self.now();
        let due = self.outbox.due().is_some_and(|due| now.mono >= due);
        if due || now.mono.since(self.ticked_at) >= TICK_EVERY {
            self.ticked_at = now.mono;
            self.outbox.tick(now);
        }
        if let State::Waiting { until } = self.state
            && now.mono >= until
        {
            self.connect();
        }
        self.pump();
        self.tell_trouble();
        let mut next = self.ticked_at.plus(TICK_EVERY);
        if let State::Waiting { until } = self.state {
            next = next.min(until);
        }
        if let Some(due) = self.outbox.due() {
            next = next.min(due);
        }
        next.since(self.clock.mono()).max(Duration::from_millis(1))
    }

    fn connect(&mut self) {
        let Some(settings) = &self.settings else { return };
        let conn = self.outbox.next_connection();
        let will = self.status("lost", conn);
        let options = Options {
            client_id: self.client_id.clone(),
            // What a former process left is of no use: its messages come again from the outbox.
            clean_start: self.connections == 0,
            will: will.clone(),
            filters: [vec![self.identity.topics.commands()], self.identity.listen.clone()].concat(),
            own: will.topic.clone(),
        };
        let pair = settings.tls.as_ref().and_then(|tls| tls.pair.clone());
        let link = Link::start(settings, options, Arc::clone(&self.clock));
        self.state = State::Linked { link: Box::new(link), conn, pair, since: None };
        self.note_own(&will);
    }

    /// Sends what the session and the outbox have to send.
    fn pump(&mut self) {
        let now = self.now();
        let State::Linked { link, .. } = &self.state else { return };
        while let Some(act) = self.session.control(now.mono) {
            match act {
                Act::Subscribe => {
                    link.subscribe();
                }
                Act::Publish(message) => {
                    let (plain, topic) = (message.qos == Qos::AtMostOnce, message.topic.clone());
                    if !link.publish(message) && plain {
                        self.session.unsent(&topic);
                        break;
                    }
                }
            }
        }
        if self.outbox.rewound(now) {
            self.session.rewind();
        }
        while let Some(from) = self.session.wanted(now.mono) {
            let Some(outgoing) = self.outbox.after(from, now) else {
                self.session.nothing(from);
                break;
            };
            let (seq, message) = (outgoing.entry.seq, event(outgoing));
            let (act, outcome) = self.session.spooled(from, seq, message, now.mono);
            if let Some(Act::Publish(message)) = act {
                link.publish(message);
            }
            settle(&mut self.outbox, &mut self.news, outcome);
        }
    }

    fn take(&mut self, heard: Heard) {
        let now = self.clock.mono();
        match heard {
            Heard::Connected(limits) => self.connected(limits, now),
            Heard::Subscribed => self.session.subscribed(),
            Heard::Sent(id) if self.session.sent(id) => {}
            Heard::Sent(_) | Heard::Collision => self.down(&Down::Lost("packet ids out of step".to_owned()), now),
            Heard::Answered(id, answer) => {
                let outcome = self.session.answered(id, answer, now);
                settle(&mut self.outbox, &mut self.news, outcome);
            }
            Heard::Incoming { topic, payload, .. } if topic == self.identity.topics.status() => {
                // What a former process left counts for nothing. Not every broker says that it was a takeover.
                if self.connections > 1 && !payload.is_empty() && !self.said.contains(&payload) {
                    self.session.note_takeover(now);
                }
            }
            Heard::Incoming { topic, payload, retained, fresh_for } => {
                self.news.push_back(Event::Incoming { topic, payload, retained, fresh_for });
            }
            Heard::Down(why) => self.down(&why, now),
        }
        self.pump();
    }

    fn note_own(&mut self, status: &Message) {
        if self.said.len() >= SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back(status.payload.clone());
    }

    fn connected(&mut self, limits: Limits, now: Mono) {
        let State::Linked { conn, pair, since, .. } = &mut self.state else { return };
        *since = Some(now);
        let (conn, pair) = (*conn, pair.clone());
        self.connections += 1;
        let birth = match self.emptying {
            true => Message::emptying(&self.identity.topics.status()),
            false => self.status("online", conn),
        };
        self.note_own(&birth);
        self.session.connected(limits, birth);
        self.news.push_back(Event::Connected { conn, pair });
    }

    fn down(&mut self, why: &Down, now: Mono) {
        let outcome = self.session.disconnected(why, now);
        settle(&mut self.outbox, &mut self.news, outcome);
        if let State::Linked { since: Some(since), .. } = self.state
            && now.since(since) >= GOOD_AFTER
        {
            self.backoff.reset();
        }
        let wait = if self.session.conflict(now) {
            // Both devices have the same seed, since all that makes it was copied. The moment differs.
            let suffix = (self.identity.seed ^ now.0).wrapping_mul(0x2545_F491_4F6C_DD1D) >> 48;
            self.client_id = format!("{}-{suffix:04x}", self.identity.device);
            self.conflict = true;
            self.news.push_back(Event::IdentityConflict);
            CONFLICT_WAIT
        } else if let (Down::Unavailable(_), Some(settings)) = (why, &self.settings) {
            self.backoff.spread(settings.reconnect_spread).max(self.backoff.next_wait())
        } else {
            self.backoff.next_wait()
        };
        self.state = State::Waiting { until: now.plus(wait) };
        self.news.push_back(Event::Disconnected { reason: why.to_string() });
    }

    fn tell_trouble(&mut self) {
        let trouble = self.outbox.trouble();
        if trouble != self.told_trouble.as_deref() {
            self.told_trouble = trouble.map(str::to_owned);
            self.news.push_back(Event::Storage { trouble: self.told_trouble.clone() });
        }
    }
}

async fn heard(state: &mut State) -> Heard {
    match state {
        State::Linked { link, .. } => link.heard().await,
        State::Off | State::Waiting { .. } => pending().await,
    }
}

fn settle(outbox: &mut Outbox, news: &mut VecDeque<Event>, outcome: Option<Outcome>) {
    match outcome {
        Some(Outcome::Delivered(seq)) => outbox.acknowledge(seq),
        Some(Outcome::Parked(seq)) => {
            outbox.refuse(seq);
            news.push_back(Event::Refused { seq });
        }
        None => {}
    }
}

/// A spooled message as it is sent.
fn event(outgoing: Outgoing) -> Message {
    Message {
        topic: outgoing.entry.topic,
        payload: outgoing.entry.body,
        qos: Qos::AtLeastOnce,
        retain: false,
        expires_after: Some(outgoing.fresh_for),
    }
}
