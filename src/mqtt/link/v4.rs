//! MQTT 3.1.1, for brokers that know no other. It has no reasons, no limits told, no expiry of messages and no delay of
//! the will; a retained command that is sent while we listen does not say that it is retained.

use super::{CONNACK_MAX_S, KEEP_ALIVE_LEAST};
use super::{Came, Heard, INBOUND_MAX, INFLIGHT_MAX, Options, Settings};
use crate::mqtt::session::{Answer, Down, Limits};
use crate::wire::{Message, Qos};
use rumqttc::{AsyncClient, ConnAck, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions};
use rumqttc::{Outgoing, Packet, QoS, StateError, SubscribeFilter, Transport};

/// A fresh client for one connection through the socket at `path`.
pub(super) fn client(settings: &Settings, options: &Options, path: &str, channel: usize) -> (AsyncClient, EventLoop) {
    let mut mqtt = MqttOptions::new(options.client_id.clone(), path, 0);
    mqtt.set_transport(Transport::unix());
    mqtt.set_keep_alive(settings.keep_alive.max(KEEP_ALIVE_LEAST));
    // A kept session has no end in 3.1.1: a box that is gone would fill the broker's queue for ever.
    mqtt.set_clean_session(true);
    mqtt.set_max_packet_size(INBOUND_MAX as usize, usize::MAX);
    mqtt.set_inflight(INFLIGHT_MAX);
    let will = &options.will;
    mqtt.set_last_will(LastWill::new(will.topic.clone(), will.payload.clone(), qos(will.qos), will.retain));
    let (client, mut events) = AsyncClient::new(mqtt, channel);
    events.network_options.set_connection_timeout(CONNACK_MAX_S);
    (client, events)
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String], own: &String) -> bool {
    let filters = filters.iter().chain([own]).map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(filters).is_ok()
}

pub(super) fn publish(client: &AsyncClient, message: Message) -> bool {
    let Message { topic, payload, retain, qos: how, .. } = message;
    client.try_publish(topic, qos(how), retain, payload).is_ok()
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// What an event of the client library means.
pub(super) fn came(event: Event) -> Came {
    match event {
        Event::Incoming(Packet::ConnAck(answer)) => Came::In(Some(Heard::Connected(limits(answer)))),
        Event::Incoming(Packet::SubAck(_)) => Came::In(Some(Heard::Subscribed)),
        Event::Incoming(Packet::PubAck(answer)) => Came::In(Some(Heard::Answered(answer.pkid, Answer::Taken))),
        Event::Incoming(Packet::Publish(publish)) => Came::In(Some(Heard::Incoming {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            retained: publish.retain,
            fresh_for: None,
        })),
        Event::Incoming(_) => Came::In(None),
        Event::Outgoing(Outgoing::Publish(0)) => Came::PlainWent,
        Event::Outgoing(Outgoing::Publish(id)) => Came::Out(Heard::Sent(id)),
        Event::Outgoing(Outgoing::AwaitAck(_)) => Came::Out(Heard::Collision),
        Event::Outgoing(Outgoing::Disconnect) => Came::Ended,
        Event::Outgoing(_) => Came::Nothing,
    }
}

/// A broker of 3.1.1 tells none.
fn limits(answer: ConnAck) -> Limits {
    Limits {
        receive_max: u16::MAX,
        packet_max: None,
        qos1: true,
        retain: true,
        session_present: answer.session_present,
    }
}

pub(super) fn down_of(error: &ConnectionError) -> Down {
    match error {
        ConnectionError::ConnectionRefused(code @ ConnectReturnCode::ServiceUnavailable) => {
            Down::Unavailable(format!("{code:?}"))
        }
        ConnectionError::ConnectionRefused(code) => Down::Refused(format!("{code:?}")),
        ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::PayloadSizeLimitExceeded(_))) => {
            Down::Oversized
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => Down::Rejected(error.to_string()),
        other => Down::Lost(other.to_string()),
    }
}
