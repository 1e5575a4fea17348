//! The few packets of MQTT 5 that a device and a listener need.

use picket::wire::{Message, Qos};

/// Receive maximum that Mosquitto grants without being asked for more; a client that goes over it is thrown out.
pub const IN_FLIGHT_MAX: usize = 16;
/// Answers a client for as long as the connection is idle.
pub const PING: [u8; 2] = [0xc0, 0];
const KEEP_ALIVE_S: u16 = 60;
const SESSION_EXPIRY_S: u32 = 120;
const WILL_DELAY_S: u32 = 20;

/// What a broker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Whether it let us in.
    Connack { reason: u8 },
    /// One of ours has arrived.
    Puback,
    /// Someone else's; `id` is to be acknowledged.
    Publish { topic: String, payload: Vec<u8>, id: Option<u16> },
    /// It throws us out.
    Disconnect { reason: u8 },
    /// Nothing that matters here.
    Other,
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    length(body.len(), &mut out);
    out.extend_from_slice(body);
    out
}

/// A variable byte integer.
fn length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}

fn text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

/// A clean start with the will that the contract asks for.
pub fn connect(client: &str, will: Option<&Message>) -> Vec<u8> {
    let mut body = Vec::new();
    text(b"MQTT", &mut body);
    // Clean start; with a will: the will flag, its QoS 1, retained.
    body.extend([5, if will.is_some() { 0x02 | 0x04 | 0x08 | 0x20 } else { 0x02 }]);
    body.extend(KEEP_ALIVE_S.to_be_bytes());
    body.extend([5, 0x11]);
    body.extend(SESSION_EXPIRY_S.to_be_bytes());
    text(client.as_bytes(), &mut body);
    if let Some(will) = will {
        body.extend([5, 0x18]);
        body.extend(WILL_DELAY_S.to_be_bytes());
        text(will.topic.as_bytes(), &mut body);
        text(&will.payload, &mut body);
    }
    packet(0x10, &body)
}

/// `id` is used at QoS 1 alone.
pub fn publish(message: &Message, id: u16) -> Vec<u8> {
    let mut body = Vec::with_capacity(message.payload.len() + message.topic.len() + 16);
    text(message.topic.as_bytes(), &mut body);
    let mut first = 0x30 | u8::from(message.retain);
    if message.qos == Qos::AtLeastOnce {
        first |= 0x02;
        body.extend(id.to_be_bytes());
    }
    match message.expires_after {
        Some(after) => {
            body.extend([5, 0x02]);
            body.extend((after.as_secs() as u32).to_be_bytes());
        }
        None => body.push(0),
    }
    body.extend_from_slice(&message.payload);
    packet(first, &body)
}

/// Filters with their QoS.
pub fn subscribe(id: u16, filters: &[(String, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.push(0);
    for (filter, qos) in filters {
        text(filter.as_bytes(), &mut body);
        body.push(*qos);
    }
    packet(0x82, &body)
}

/// It arrived.
pub fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// Takes the first whole packet off `bytes`; `None` until there is one.
pub fn take(bytes: &mut Vec<u8>) -> Option<Heard> {
    let (body, at) = number(bytes, 1)?;
    let whole = bytes.get(at..at + body)?;
    let heard = heard(bytes[0], whole);
    bytes.drain(..at + body);
    Some(heard.unwrap_or(Heard::Other))
}

/// The variable byte integer at `at`, and where it ends.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for n in 0..4 {
        let byte = *bytes.get(at + n)?;
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, at + n + 1));
        }
    }
    None
}

fn heard(first: u8, body: &[u8]) -> Option<Heard> {
    let two = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    match first >> 4 {
        2 => Some(Heard::Connack { reason: *body.get(1)? }),
        3 => {
            let topic_ends = 2 + usize::from(two(0)?);
            let topic = String::from_utf8(body.get(2..topic_ends)?.to_vec()).ok()?;
            let id = if first & 0x06 != 0 { Some(two(topic_ends)?) } else { None };
            let properties = topic_ends + if id.is_some() { 2 } else { 0 };
            let (length, at) = number(body, properties)?;
            Some(Heard::Publish { topic, payload: body.get(at + length..)?.to_vec(), id })
        }
        4 => Some(Heard::Puback),
        14 => Some(Heard::Disconnect { reason: body.first().copied().unwrap_or(0) }),
        _ => Some(Heard::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message = Message {
            topic: "a/b".into(),
            payload: vec![7; 300],
            qos: Qos::AtLeastOnce,
            retain: true,
            expires_after: Some(std::time::Duration::from_secs(9)),
        };
        let mut bytes = publish(&message, 513);
        let whole = bytes.clone();
        bytes.truncate(200);
        assert_eq!(take(&mut bytes), None, "half a packet waits");
        bytes.extend_from_slice(&whole[200..]);
        bytes.extend(puback(513));
        assert_eq!(
            take(&mut bytes),
            Some(Heard::Publish { topic: "a/b".into(), payload: vec![7; 300], id: Some(513) })
        );
        assert_eq!(take(&mut bytes), Some(Heard::Puback));
        assert_eq!(take(&mut bytes), None);
    }
}
