//! MQTT 5.

use super::{CONNACK_MAX_S, KEEP_ALIVE_LEAST};
use super::{Came, Heard, INBOUND_MAX, INFLIGHT_MAX, Options, Settings};
use crate::mqtt::session::{Answer, Down, Limits};
use crate::wire::{Message, Qos};
use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Packet,
    PubAckReason, PublishProperties, RetainForwardRule,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{Outgoing, Transport};
use std::time::Duration;

/// Messages that the broker may send without an answer.
const RECEIVE_MAX: u16 = 16;
/// The broker forgets the session after this. Never 0: a delayed will would never come (Mosquitto #3505).
const SESSION_EXPIRY_S: u32 = 120;
/// A short cut of the line is no news.
const WILL_DELAY_S: u32 = 20;

/// A fresh client for one connection through the socket at `path`.
pub(super) fn client(settings: &Settings, options: &Options, path: &str, channel: usize) -> (AsyncClient, EventLoop) {
    let mut mqtt = MqttOptions::new(options.client_id.clone(), path, 0);
    mqtt.set_transport(Transport::unix());
    mqtt.set_keep_alive(settings.keep_alive.max(KEEP_ALIVE_LEAST));
    mqtt.set_clean_start(options.clean_start);
    mqtt.set_connect_properties(ConnectProperties::new());
    mqtt.set_session_expiry_interval(Some(SESSION_EXPIRY_S));
    mqtt.set_receive_maximum(Some(RECEIVE_MAX));
    mqtt.set_max_packet_size(Some(INBOUND_MAX));
    mqtt.set_outgoing_inflight_upper_limit(INFLIGHT_MAX);
    mqtt.set_connection_timeout(CONNACK_MAX_S);
    mqtt.set_last_will(last_will(&options.will));
    AsyncClient::new(mqtt, channel)
}

/// Subscribes; of what the broker kept only `own` is wanted, and not what we say there ourselves.
pub(super) fn subscribe(client: &AsyncClient, filters: &[String], own: &str) -> bool {
    let filter = |topic: &String| {
        let mut filter = Filter::new(topic.clone(), QoS::AtLeastOnce);
        filter.retain_forward_rule = RetainForwardRule::Never;
        // Else a command that is retained comes without saying so to whoever listens at that moment.
        filter.preserve_retain = true;
        filter
    };
    let mut kept = Filter::new(own.to_owned(), QoS::AtLeastOnce);
    kept.nolocal = true;
    client.try_subscribe_many(filters.iter().map(filter).chain([kept])).is_ok()
}

pub(super) fn publish(client: &AsyncClient, message: Message) -> bool {
    let expiry = message.expires_after.map(|after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1));
    let properties = PublishProperties { message_expiry_interval: expiry, ..PublishProperties::default() };
    let Message { topic, payload, retain, qos: how, .. } = message;
    client.try_publish_with_properties(topic, qos(how), retain, payload, properties).is_ok()
}

/// What an event of the client library means.
pub(super) fn came(event: Event) -> Came {
    match event {
        Event::Incoming(Packet::ConnAck(answer)) => Came::In(Some(Heard::Connected(limits(&answer)))),
        Event::Incoming(Packet::SubAck(_)) => Came::In(Some(Heard::Subscribed)),
        Event::Incoming(Packet::PubAck(answer)) => {
            Came::In(Some(Heard::Answered(answer.pkid, answer_of(answer.reason))))
        }
        Event::Incoming(Packet::Publish(publish)) => Came::In(Some(Heard::Incoming {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            retained: publish.retain,
            fresh_for: publish
                .properties
                .and_then(|properties| properties.message_expiry_interval)
                .map(|seconds| Duration::from_secs(seconds.into())),
        })),
        Event::Incoming(_) => Came::In(None),
        Event::Outgoing(Outgoing::Publish(0)) => Came::PlainWent,
        Event::Outgoing(Outgoing::Publish(id)) => Came::Out(Heard::Sent(id)),
        Event::Outgoing(Outgoing::AwaitAck(_)) => Came::Out(Heard::Collision),
        Event::Outgoing(Outgoing::Disconnect) => Came::Ended,
        Event::Outgoing(_) => Came::Nothing,
    }
}

fn last_will(message: &Message) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: Some(WILL_DELAY_S),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    LastWill::new(message.topic.clone(), message.payload.clone(), qos(message.qos), message.retain, Some(properties))
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

fn limits(answer: &ConnAck) -> Limits {
    let properties = answer.properties.as_ref();
    Limits {
        receive_max: properties.and_then(|p| p.receive_max).unwrap_or(u16::MAX).max(1),
        packet_max: properties.and_then(|p| p.max_packet_size),
        qos1: properties.and_then(|p| p.max_qos) != Some(0),
        retain: properties.and_then(|p| p.retain_available) != Some(0),
        session_present: answer.session_present,
    }
}

fn answer_of(reason: PubAckReason) -> Answer {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Answer::Taken,
        PubAckReason::QuotaExceeded => Answer::NotNow("quota exceeded"),
        PubAckReason::NotAuthorized => Answer::Denied,
        _ => Answer::Refused,
    }
}

pub(super) fn down_of(error: &ConnectionError) -> Down {
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => dismissed(*reason_code),
        ConnectionError::MqttState(StateError::Deserialization(PacketError::PayloadSizeLimitExceeded { .. })) => {
            Down::Oversized
        }
        ConnectionError::MqttState(StateError::Deserialization(PacketError::Io(error))) => {
            Down::Lost(error.to_string())
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => Down::Rejected(error.to_string()),
        other => Down::Lost(other.to_string()),
    }
}

fn refused(code: ConnectReturnCode) -> Down {
    use ConnectReturnCode::{
        ConnectionRateExceeded, QuotaExceeded, ServerBusy, ServerUnavailable, ServiceUnavailable, UseAnotherServer,
    };
    let text = format!("{code:?}");
    match code {
        ServerUnavailable
        | ServiceUnavailable
        | ServerBusy
        | QuotaExceeded
        | ConnectionRateExceeded
        | UseAnotherServer => Down::Unavailable(text),
        _ => Down::Refused(text),
    }
}

fn dismissed(code: DisconnectReasonCode) -> Down {
    use DisconnectReasonCode::{
        AdministrativeAction, ConnectionRateExceeded, ImplementationSpecificError, MalformedPacket, PacketTooLarge,
        PayloadFormatInvalid, ProtocolError, QoSNotSupported, QuotaExceeded, RetainNotSupported, ServerBusy,
        ServerShuttingDown, SessionTakenOver, TopicNameInvalid, UseAnotherServer,
    };
    let text = format!("{code:?}");
    match code {
        SessionTakenOver => Down::TakenOver,
        ServerBusy
        | ServerShuttingDown
        | UseAnotherServer
        | QuotaExceeded
        | ConnectionRateExceeded
        | AdministrativeAction => Down::Unavailable(text),
        PacketTooLarge
        | MalformedPacket
        | ProtocolError
        | ImplementationSpecificError
        | PayloadFormatInvalid
        | TopicNameInvalid
        | QoSNotSupported
        | RetainNotSupported => Down::Rejected(text),
        _ => Down::Lost(text),
    }
}
