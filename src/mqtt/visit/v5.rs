//! Packets of MQTT 5.

use super::{Error, Filter, Hello, Login, PACKET_MAX, Received, Told, Welcome, whole_s};
use crate::wire::{Message, Qos};
use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5 as packets;
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use std::time::Duration;

/// "Unacceptable protocol version", as a broker of 3.1.1 answers: two bytes, no properties.
const OLDER_REFUSAL: [u8; 4] = [0x20, 2, 0, 1];

fn encoded(packet: &packets::Packet) -> Result<BytesMut, String> {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, None).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

pub(super) fn connect(hello: &Hello, login: Option<Login>) -> Result<BytesMut, String> {
    let properties = packets::ConnectProperties {
        session_expiry_interval: Some(whole_s(hello.session_expiry)),
        max_packet_size: Some(PACKET_MAX),
        ..packets::ConnectProperties::new()
    };
    let will = hello.will.as_ref().map(|(message, delay)| {
        let properties = packets::LastWillProperties {
            delay_interval: Some(whole_s(*delay)),
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        let Message { topic, payload, qos: how, retain, .. } = message.clone();
        packets::LastWill::new(topic, payload, qos(how), retain, Some(properties))
    });
    let connect = packets::Connect {
        keep_alive: u16::try_from(hello.keep_alive.as_secs()).unwrap_or(u16::MAX),
        client_id: hello.client_id.clone(),
        clean_start: hello.clean_start,
        properties: Some(properties),
    };
    encoded(&packets::Packet::Connect(connect, will, login.map(|(user, password)| packets::Login::new(user, password))))
}

pub(super) fn publish(message: &Message, id: u16) -> Result<BytesMut, String> {
    let properties = message.expires_after.map(|after| packets::PublishProperties {
        message_expiry_interval: Some(whole_s(after)),
        ..packets::PublishProperties::default()
    });
    let Message { topic, payload, qos: how, retain, .. } = message.clone();
    let (topic, payload) = (Bytes::from(topic), Bytes::from(payload));
    encoded(&packets::Packet::Publish(packets::Publish {
        dup: false,
        qos: qos(how),
        retain,
        topic,
        pkid: id,
        payload,
        properties,
    }))
}

pub(super) fn subscribe(filters: &[Filter], id: u16) -> Result<BytesMut, String> {
    let filter = |filter: &Filter| packets::Filter {
        retain_forward_rule: match filter.kept {
            true => packets::RetainForwardRule::OnEverySubscribe,
            false => packets::RetainForwardRule::Never,
        },
        ..packets::Filter::new(filter.topic.clone(), qos(filter.qos))
    };
    let filters = filters.iter().map(filter).collect();
    encoded(&packets::Packet::Subscribe(packets::Subscribe { pkid: id, filters, properties: None }))
}

pub(super) fn unsubscribe(topics: Vec<String>, id: u16) -> Result<BytesMut, String> {
    encoded(&packets::Packet::Unsubscribe(packets::Unsubscribe { pkid: id, filters: topics, properties: None }))
}

pub(super) fn acknowledge(id: u16) -> Result<BytesMut, String> {
    encoded(&packets::Packet::PubAck(packets::PubAck::new(id, None)))
}

pub(super) fn ping() -> Result<BytesMut, String> {
    encoded(&packets::Packet::PingReq(packets::PingReq))
}

pub(super) fn disconnect() -> Result<BytesMut, String> {
    let reason = packets::DisconnectReasonCode::NormalDisconnection;
    encoded(&packets::Packet::Disconnect(packets::Disconnect::new(reason)))
}

/// The next packet, when it is whole.
fn read(bytes: &mut BytesMut) -> Result<Option<packets::Packet>, String> {
    match packets::Packet::read(bytes, Some(PACKET_MAX)) {
        Ok(packet) => Ok(Some(packet)),
        Err(PacketError::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The answer to our connect, when it is whole.
pub(super) fn welcome(bytes: &mut BytesMut) -> Result<Option<Welcome>, Error> {
    if bytes.starts_with(&OLDER_REFUSAL) {
        return Err(Error::Refused("UnsupportedProtocolVersion".to_owned()));
    }
    let answer = match read(bytes).map_err(Error::Nonsense)? {
        None => return Ok(None),
        Some(packets::Packet::ConnAck(answer)) => answer,
        Some(packets::Packet::Disconnect(goodbye)) => {
            return Err(Error::Dismissed(format!("{:?}", goodbye.reason_code)));
        }
        Some(_) => return Err(Error::Nonsense("no CONNACK".to_owned())),
    };
    if answer.code != packets::ConnectReturnCode::Success {
        return Err(Error::Refused(format!("{:?}", answer.code)));
    }
    let mut welcome = Welcome { session_present: answer.session_present, ..Welcome::default() };
    if let Some(said) = answer.properties {
        welcome.receive_max = said.receive_max;
        welcome.packet_max = said.max_packet_size;
        welcome.qos_max = said.max_qos;
        welcome.retain = said.retain_available.map(|flag| flag != 0);
        welcome.wildcards = said.wildcard_subscription_available.map(|flag| flag != 0);
        welcome.keep_alive_s = said.server_keep_alive;
        welcome.session_expiry_s = said.session_expiry_interval;
        welcome.client_id = said.assigned_client_identifier;
    }
    Ok(Some(welcome))
}

/// The next packet, when it is whole.
pub(super) fn told(bytes: &mut BytesMut) -> Result<Option<Told>, String> {
    Ok(read(bytes)?.map(|packet| match packet {
        packets::Packet::Publish(publish) => Told::Message(Received {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            retained: publish.retain,
            id: (publish.qos != QoS::AtMostOnce).then_some(publish.pkid),
            fresh_for: publish
                .properties
                .and_then(|properties| properties.message_expiry_interval)
                .map(|seconds| Duration::from_secs(seconds.into())),
        }),
        packets::Packet::PubAck(answer) => Told::Acknowledged(
            answer.pkid,
            match answer.reason {
                packets::PubAckReason::Success | packets::PubAckReason::NoMatchingSubscribers => Ok(()),
                reason => Err(format!("{reason:?}")),
            },
        ),
        packets::Packet::SubAck(answer) => {
            let granted =
                |code: &packets::SubscribeReasonCode| matches!(code, packets::SubscribeReasonCode::Success(_));
            Told::Subscribed(answer.pkid, answer.return_codes.iter().map(granted).collect())
        }
        packets::Packet::PingResp(_) => Told::Pong,
        packets::Packet::Disconnect(goodbye) => Told::Goodbye(format!("{:?}", goodbye.reason_code)),
        _ => Told::Other,
    }))
}
