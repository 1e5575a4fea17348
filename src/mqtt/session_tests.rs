//! The rules of a session, one by one.

use super::session::{Act, Answer, Down, Limits, Outcome, Session};
use crate::time::Mono;
use crate::wire::{Message, Qos};

const LIMITS: Limits =
    Limits { receive_max: 65_535, packet_max: None, qos1: true, retain: true, session_present: false };

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

fn message(topic: &str, bytes: usize) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: vec![b'x'; bytes],
        qos: Qos::AtLeastOnce,
        retain: topic != "event",
        expires_after: None,
    }
}

/// A session, a spool of messages 1 to `last`, and the ids that a client library would give.
struct Rig {
    session: Session,
    spool: std::collections::BTreeMap<u64, usize>,
    next_id: u16,
    now: Mono,
    sent: Vec<String>,
    /// Which of the spool's messages go to another topic.
    denied: fn(u64) -> bool,
}

impl Rig {
    fn new(last: u64) -> Self {
        let spool = (1..=last).map(|seq| (seq, 10)).collect();
        Self { session: Session::default(), spool, next_id: 0, now: at(100), sent: Vec::new(), denied: |_| false }
    }

    fn connect(&mut self, limits: Limits) {
        self.session.connected(limits, message("status", 5));
        self.next_id = 0;
        self.sent.clear();
        assert_eq!(self.session.control(self.now), Some(Act::Subscribe), "subscribe first");
        assert_eq!((self.session.control(self.now), self.session.wanted(self.now)), (None, None), "and wait");
        self.session.subscribed();
    }

    /// Sends all that may be sent; returns what was parked.
    fn pump(&mut self) -> Vec<u64> {
        let mut parked = Vec::new();
        while let Some(Act::Publish(message)) = self.session.control(self.now) {
            self.publish(message.topic.clone(), message.qos);
        }
        while let Some(from) = self.session.wanted(self.now) {
            let Some((&seq, &bytes)) = self.spool.range(from + 1..).next() else {
                self.session.nothing(from);
                break;
            };
            let message =
                Message { retain: false, ..message(if (self.denied)(seq) { "shut" } else { "event" }, bytes) };
            match self.session.spooled(from, seq, message, self.now) {
                (Some(_), _) => self.publish(seq.to_string(), Qos::AtLeastOnce),
                (None, Some(Outcome::Parked(seq))) => {
                    self.spool.remove(&seq);
                    parked.push(seq);
                }
                (None, _) => {}
            }
        }
        parked
    }

    fn publish(&mut self, what: String, qos: Qos) {
        self.sent.push(what);
        if qos == Qos::AtLeastOnce {
            self.next_id = self.next_id % 64 + 1;
            assert!(self.session.sent(self.next_id));
        }
    }

    fn answer(&mut self, id: u16, answer: Answer) -> Option<Outcome> {
        let outcome = self.session.answered(id, answer, self.now);
        if let Some(Outcome::Delivered(seq) | Outcome::Parked(seq)) = outcome {
            self.spool.remove(&seq);
        }
        outcome
    }
}

#[test]
fn retained_first_then_spooled_in_order_within_the_window() {
    let mut rig = Rig::new(100);
    rig.session.retain(message("info", 5));
    rig.session.retain(message("info", 6));
    rig.connect(Limits { receive_max: 10, ..LIMITS });
    rig.pump();
    assert_eq!(rig.sent, ["status", "info", "1", "2", "3", "4", "5", "6", "7", "8"], "receive maximum");
    // Acknowledged out of order: the window waits for the oldest.
    assert_eq!(rig.answer(4, Answer::Taken), Some(Outcome::Delivered(2)));
    rig.pump();
    assert_eq!(rig.sent.len(), 10);
    for id in [1, 2, 3] {
        rig.answer(id, Answer::Taken);
    }
    rig.pump();
    assert_eq!(rig.sent[10..], ["9", "10", "11", "12"]);
}

#[test]
fn the_window_is_32_so_that_no_id_is_used_twice() {
    let mut rig = Rig::new(1000);
    rig.connect(LIMITS);
    rig.pump();
    assert_eq!(rig.sent.len(), 32);
    // All but the oldest, for ever.
    for id in 2..=32 {
        rig.answer(id, Answer::Taken);
    }
    rig.pump();
    assert_eq!(rig.sent.len(), 32);
    assert!(!rig.session.sent(1), "an id that is in use, or a message that nobody sent, is noticed");
}

#[test]
fn a_cut_sends_again_what_was_not_acknowledged() {
    let mut rig = Rig::new(5);
    rig.connect(LIMITS);
    rig.pump();
    rig.answer(3, Answer::Taken);
    assert_eq!(rig.session.disconnected(&Down::Silent, rig.now), None);
    assert_eq!((rig.session.control(rig.now), rig.session.wanted(rig.now)), (None, None));
    rig.connect(LIMITS);
    rig.pump();
    assert_eq!(rig.sent, ["status", "1", "3", "4", "5"]);
}

#[test]
fn what_is_too_large_is_refused_twice_then_parked_and_stops_nobody() {
    let mut rig = Rig::new(4);
    rig.spool.insert(2, 5000);
    rig.session.retain(message("info", 9000));
    rig.connect(Limits { packet_max: Some(1024), ..LIMITS });
    assert!(rig.pump().is_empty());
    assert_eq!(rig.sent, ["status", "1", "3", "4"]);
    assert_eq!(rig.session.refused(), 1, "the retained one");
    rig.session.disconnected(&Down::Silent, rig.now);
    rig.connect(Limits { packet_max: Some(1024), ..LIMITS });
    assert_eq!(rig.pump(), [2]);
    // On one long connection the second try comes by time.
    let mut rig = Rig::new(4);
    rig.spool.insert(2, 5000);
    rig.connect(Limits { packet_max: Some(1024), ..LIMITS });
    assert!(rig.pump().is_empty());
    rig.now = at(109);
    assert!(rig.pump().is_empty());
    rig.now = at(110);
    assert_eq!(rig.pump(), [2]);
}

#[test]
fn what_the_broker_refuses_is_tried_once_more() {
    let mut rig = Rig::new(2);
    rig.connect(LIMITS);
    rig.pump();
    assert_eq!(rig.answer(2, Answer::Refused), None);
    assert_eq!(rig.answer(3, Answer::Taken), Some(Outcome::Delivered(2)));
    rig.now = at(110);
    rig.pump();
    rig.pump();
    assert_eq!(rig.sent, ["status", "1", "2", "1"]);
    assert_eq!(rig.answer(4, Answer::Refused), Some(Outcome::Parked(1)));
}

#[test]
fn a_larger_limit_on_the_next_connection_lets_it_through() {
    let mut rig = Rig::new(1);
    rig.spool.insert(1, 5000);
    rig.connect(Limits { packet_max: Some(1024), ..LIMITS });
    rig.pump();
    rig.session.disconnected(&Down::Silent, rig.now);
    rig.connect(LIMITS);
    assert!(rig.pump().is_empty());
    assert_eq!(rig.sent, ["status", "1"]);
    assert_eq!(rig.answer(2, Answer::Taken), Some(Outcome::Delivered(1)));
}

#[test]
fn a_packet_is_measured_to_the_byte() {
    // Type, length, topic with its length, id, no properties, payload.
    for (bytes, limit) in [(100, 2 + 7 + 2 + 1 + 100), (200, 3 + 7 + 2 + 1 + 200), (16_400, 4 + 7 + 2 + 1 + 16_400)] {
        for (limit, sent) in [(limit, vec!["1"]), (limit - 1, vec![])] {
            let mut rig = Rig::new(1);
            rig.spool.insert(1, bytes);
            rig.connect(LIMITS);
            rig.session.disconnected(&Down::Silent, rig.now);
            rig.connect(Limits { packet_max: Some(limit as u32), ..LIMITS });
            rig.pump();
            assert_eq!(rig.sent[1..], sent, "{bytes} in {limit}");
        }
    }
}

#[test]
fn quota_and_authorisation_pause_and_then_go_on_in_order() {
    let mut rig = Rig::new(3);
    rig.connect(LIMITS);
    rig.pump();
    assert_eq!(rig.answer(1, Answer::Taken), None);
    assert_eq!(rig.answer(2, Answer::NotNow("quota exceeded")), None);
    assert_eq!(rig.answer(3, Answer::NotNow("quota exceeded")), None);
    assert_eq!(rig.session.complaint(), Some("quota exceeded"));
    assert_eq!(rig.answer(4, Answer::NotNow("quota exceeded")), None);
    rig.pump();
    assert_eq!(rig.sent.len(), 4, "pause");
    rig.now = at(130);
    rig.pump();
    assert_eq!(rig.sent[4..], ["1", "2", "3"]);
    assert_eq!(rig.answer(5, Answer::Taken), Some(Outcome::Delivered(1)));
    assert_eq!(rig.session.complaint(), None);
}

#[test]
fn a_closed_topic_of_the_retained_set_does_not_stop_events() {
    let mut rig = Rig::new(1);
    rig.session.retain(message("info", 5));
    rig.connect(LIMITS);
    rig.pump();
    assert_eq!(rig.answer(2, Answer::Denied), None);
    assert_eq!(rig.answer(3, Answer::Taken), Some(Outcome::Delivered(1)));
}

#[test]
fn events_of_a_denied_topic_wait_in_order_and_stop_no_others() {
    let mut rig = Rig::new(60);
    rig.denied = |seq| seq % 2 == 1;
    rig.connect(Limits { receive_max: 5, ..LIMITS });
    let mut id = 0;
    let mut answer = |rig: &mut Rig, may: bool| {
        let mut delivered = Vec::new();
        while rig.sent.len() > id {
            id += 1;
            let denied = rig.sent[id - 1].parse().is_ok_and(|seq: u64| seq % 2 == 1) && !may;
            let said = if denied { Answer::Denied } else { Answer::Taken };
            delivered.extend(rig.answer((id as u16 - 1) % 64 + 1, said));
            rig.pump();
        }
        delivered
    };
    rig.pump();
    let even: Vec<_> = (1..=30).map(|n| Outcome::Delivered(2 * n)).collect();
    assert_eq!(answer(&mut rig, false), even, "all of the other topic, at once and in order");
    assert!(rig.session.complaint().is_some());
    let before = rig.sent.len();
    rig.now = at(131);
    rig.pump();
    assert_eq!(rig.sent[before..], ["1"], "tried again with its oldest");
    assert_eq!(answer(&mut rig, false), []);
    rig.now = at(162);
    rig.pump();
    let odd: Vec<_> = (0..30).map(|n| Outcome::Delivered(2 * n + 1)).collect();
    assert_eq!(answer(&mut rig, true), odd, "and all in order once it is open");
    assert_eq!(rig.session.complaint(), None);
    assert!(rig.spool.is_empty());
}

#[test]
fn a_denied_message_that_is_tried_again_is_waited_for() {
    let mut rig = Rig::new(3);
    rig.denied = |_| true;
    rig.connect(LIMITS);
    rig.pump();
    assert_eq!(rig.answer(1, Answer::Taken), None);
    assert_eq!(rig.answer(2, Answer::Denied), None);
    rig.now = at(131);
    rig.pump();
    assert_eq!(rig.sent[4..], ["1"], "2 and 3 were not answered yet");
    // The topic is open again while 1 is under way.
    assert_eq!(rig.answer(3, Answer::Taken), Some(Outcome::Delivered(2)));
    rig.pump();
    assert_eq!(rig.sent.len(), 5);
    assert_eq!(rig.answer(5, Answer::Taken), Some(Outcome::Delivered(1)));
}

#[test]
fn a_command_that_is_too_large_makes_deaf_for_a_while_only() {
    let mut rig = Rig::new(1);
    rig.connect(LIMITS);
    rig.session.disconnected(&Down::Oversized, rig.now);
    rig.session.connected(LIMITS, message("status", 5));
    assert!(matches!(rig.session.control(rig.now), Some(Act::Publish(_))), "no subscription now");
    assert!(rig.session.complaint().is_some());
    rig.now = at(161);
    assert_eq!(rig.session.control(rig.now), Some(Act::Subscribe));
    assert_eq!(rig.session.complaint(), None);
}

#[test]
fn the_message_that_makes_the_broker_hang_up_is_found_and_parked() {
    let mut rig = Rig::new(5);
    let rejected = Down::Rejected("packet too large".to_owned());
    let mut parked = Vec::new();
    for _ in 0..5 {
        rig.connect(LIMITS);
        // The broker takes all but 3.
        loop {
            let before = rig.sent.len();
            rig.pump();
            let poison = rig.sent.iter().position(|what| what == "3");
            for id in before + 1..=rig.sent.len() {
                if poison.is_none_or(|poison| id <= poison) {
                    rig.answer(id as u16, Answer::Taken);
                }
            }
            if poison.is_some() || rig.sent.len() == before {
                break;
            }
        }
        if !rig.sent.contains(&"3".to_owned()) {
            break;
        }
        if let Some(Outcome::Parked(seq)) = rig.session.disconnected(&rejected, rig.now) {
            rig.spool.remove(&seq);
            parked.push(seq);
        }
    }
    assert_eq!(parked, [3]);
    assert_eq!(rig.spool.len(), 0, "all others arrived");
}

#[test]
fn a_broker_that_hangs_up_without_a_word_is_not_asked_for_ever() {
    let mut rig = Rig::new(3);
    let mut breaks = 0;
    while rig.spool.contains_key(&1) {
        rig.connect(LIMITS);
        rig.pump();
        rig.answer(1, Answer::Taken);
        rig.pump();
        breaks += 1;
        assert!(breaks <= 10);
        if let Some(Outcome::Parked(seq)) = rig.session.disconnected(&Down::Lost("reset".to_owned()), rig.now) {
            rig.spool.remove(&seq);
        }
    }
    assert_eq!(breaks, 10, "a bad line alone parks nothing sooner");
    assert_eq!(rig.spool.keys().copied().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_line_that_breaks_before_any_answer_proves_nothing() {
    let mut rig = Rig::new(1);
    for _ in 0..50 {
        rig.connect(LIMITS);
        rig.pump();
        assert_eq!(rig.session.disconnected(&Down::Lost("reset".to_owned()), rig.now), None);
    }
}

#[test]
fn three_takeovers_in_a_minute_are_a_conflict() {
    let mut session = Session::default();
    for (seconds, conflict) in [(0, false), (30, false), (70, false), (80, true), (81, false)] {
        session.disconnected(&Down::TakenOver, at(seconds));
        assert_eq!(session.conflict(at(seconds)), conflict, "{seconds}");
    }
}

#[test]
fn a_flood_of_commands_costs_the_subscription_only() {
    let mut rig = Rig::new(1);
    rig.connect(LIMITS);
    rig.session.disconnected(&Down::Oversized, rig.now);
    rig.session.connected(LIMITS, message("status", 5));
    rig.next_id = 0;
    rig.sent.clear();
    rig.pump();
    assert_eq!(rig.sent, ["status", "1"]);
}

#[test]
fn a_broker_that_does_not_answer_the_subscription_is_served_later() {
    let mut session = Session::default();
    session.connected(LIMITS, message("status", 5));
    assert_eq!(session.control(at(0)), Some(Act::Subscribe));
    assert_eq!(session.control(at(9)), None);
    assert!(matches!(session.control(at(10)), Some(Act::Publish(_))));
}

#[test]
fn a_poor_broker_gets_what_it_can_take() {
    let mut rig = Rig::new(1);
    rig.session.connected(Limits { qos1: false, retain: false, ..LIMITS }, message("status", 5));
    rig.session.control(rig.now);
    rig.session.subscribed();
    let Some(Act::Publish(status)) = rig.session.control(rig.now) else { panic!("status") };
    assert_eq!((status.qos, status.retain), (Qos::AtMostOnce, false));
    assert_eq!(rig.session.wanted(rig.now), None, "events wait for a broker that can acknowledge");
    assert!(rig.session.complaint().is_some());
}
