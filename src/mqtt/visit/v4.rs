//! Packets of MQTT 3.1.1.

use super::{Error, Filter, Hello, Login, PACKET_MAX, Received, Told, Welcome};
use crate::wire::{Message, Qos};
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4 as packets;
use rumqttc::mqttbytes::{Error as PacketError, QoS};

fn encoded(packet: &packets::Packet) -> Result<BytesMut, String> {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, usize::MAX).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

pub(super) fn connect(hello: &Hello, login: Option<Login>) -> Result<BytesMut, String> {
    let mut connect = packets::Connect::new(hello.client_id.clone());
    connect.keep_alive = u16::try_from(hello.keep_alive.as_secs()).unwrap_or(u16::MAX);
    connect.clean_session = hello.clean_start;
    connect.last_will = hello.will.as_ref().map(|(message, _)| {
        let Message { topic, payload, qos: how, retain, .. } = message.clone();
        packets::LastWill { topic, message: Bytes::from(payload), qos: qos(how), retain }
    });
    connect.login = login.map(|(user, password)| packets::Login::new(user, password));
    encoded(&packets::Packet::Connect(connect))
}

pub(super) fn publish(message: &Message, id: u16) -> Result<BytesMut, String> {
    let Message { topic, payload, qos: how, retain, .. } = message.clone();
    let publish = packets::Publish { retain, pkid: id, ..packets::Publish::new(topic, qos(how), payload) };
    encoded(&packets::Packet::Publish(publish))
}

pub(super) fn subscribe(filters: &[Filter], id: u16) -> Result<BytesMut, String> {
    let filter = |filter: &Filter| packets::SubscribeFilter::new(filter.topic.clone(), qos(filter.qos));
    let filters = filters.iter().map(filter).collect();
    encoded(&packets::Packet::Subscribe(packets::Subscribe { pkid: id, filters }))
}

pub(super) fn unsubscribe(topics: Vec<String>, id: u16) -> Result<BytesMut, String> {
    encoded(&packets::Packet::Unsubscribe(packets::Unsubscribe { pkid: id, topics }))
}

pub(super) fn acknowledge(id: u16) -> Result<BytesMut, String> {
    encoded(&packets::Packet::PubAck(packets::PubAck::new(id)))
}

pub(super) fn disconnect() -> Result<BytesMut, String> {
    encoded(&packets::Packet::Disconnect)
}

/// The next packet, when it is whole.
fn read(bytes: &mut BytesMut) -> Result<Option<packets::Packet>, String> {
    match packets::Packet::read(bytes, PACKET_MAX as usize) {
        Ok(packet) => Ok(Some(packet)),
        Err(PacketError::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The answer to our connect, when it is whole.
pub(super) fn welcome(bytes: &mut BytesMut) -> Result<Option<Welcome>, Error> {
    match read(bytes).map_err(Error::Nonsense)? {
        None => Ok(None),
        Some(packets::Packet::ConnAck(answer)) if answer.code == packets::ConnectReturnCode::Success => {
            Ok(Some(Welcome { session_present: answer.session_present, ..Welcome::default() }))
        }
        Some(packets::Packet::ConnAck(answer)) => Err(Error::Refused(format!("{:?}", answer.code))),
        Some(_) => Err(Error::Nonsense("no CONNACK".to_owned())),
    }
}

/// The next packet, when it is whole.
pub(super) fn told(bytes: &mut BytesMut) -> Result<Option<Told>, String> {
    Ok(read(bytes)?.map(|packet| match packet {
        packets::Packet::Publish(publish) => Told::Message(Received {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            retained: publish.retain,
            id: (publish.qos != QoS::AtMostOnce).then_some(publish.pkid),
            fresh_for: None,
        }),
        packets::Packet::PubAck(answer) => Told::Acknowledged(answer.pkid, Ok(())),
        packets::Packet::SubAck(answer) => {
            let granted = |code: &packets::SubscribeReasonCode| *code != packets::SubscribeReasonCode::Failure;
            Told::Subscribed(answer.pkid, answer.return_codes.iter().map(granted).collect())
        }
        packets::Packet::PingResp => Told::Pong,
        _ => Told::Other,
    }))
}
