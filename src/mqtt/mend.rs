//! Mends what brokers send rightly, or nearly so, and the client library cannot read. The tunnel sees every byte anyway.
//!
//! - DISCONNECT with a reason and no properties, whose length MQTT 5 allows to leave out (3.14.2.2.1): it waits
//!   for more for ever, and neither a takeover nor a shutdown is recognised.
//! - PUBACK with "packet too large", which Mosquitto sends for a message above its `message_size_limit` although the
//!   standard does not list it there: it drops the connection, and the message comes again on the next one.

const PUBACK: u8 = 0x40;
const DISCONNECT: u8 = 0xe0;
const PACKET_TOO_LARGE: u8 = 0x95;
/// "Payload format invalid", which PUBACK may say and which is about the message too.
const REFUSED: u8 = 0x99;
/// The reason follows the packet id.
const PUBACK_REASON_AT: usize = 2;
/// A length has four bytes at most.
const LENGTH_BYTES_MAX: usize = 4;

/// Follows the packets of one connection.
#[derive(Debug, Default)]
pub struct Mender {
    /// The beginning of a packet whose length is not yet complete.
    head: Vec<u8>,
    kind: u8,
    /// Bytes of the current packet's content, seen and altogether.
    seen: usize,
    length: usize,
}

impl Mender {
    /// The bytes that should have come.
    pub fn mend(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 8);
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if self.seen < self.length {
                let content = &rest[..rest.len().min(self.length - self.seen)];
                self.content(content, &mut out);
                rest = &rest[content.len()..];
            } else {
                self.header(first, &mut out);
                rest = after;
            }
        }
        out
    }

    fn header(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.head.push(byte);
        let length = &self.head[1..];
        if length.is_empty() || (byte & 0x80 != 0 && length.len() < LENGTH_BYTES_MAX) {
            return;
        }
        self.kind = self.head[0];
        self.seen = 0;
        self.length = length.iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        if self.is_bare_disconnect() {
            out.extend([DISCONNECT, 2]);
        } else {
            out.extend(&self.head);
        }
        self.head.clear();
    }

    fn content(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend(content);
        let reason = PUBACK_REASON_AT.checked_sub(self.seen).and_then(|at| out.get_mut(begin + at));
        if let Some(reason) = reason.filter(|reason| self.kind == PUBACK && **reason == PACKET_TOO_LARGE) {
            *reason = REFUSED;
        }
        self.seen += content.len();
        if self.is_bare_disconnect() {
            // No properties.
            out.push(0);
        }
    }

    fn is_bare_disconnect(&self) -> bool {
        self.kind == DISCONNECT && self.length == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several packets and what should become of them.
    fn stream() -> (Vec<u8>, Vec<u8>) {
        let mut publish = vec![0x30, 0xac, 0x02];
        publish.extend([PACKET_TOO_LARGE; 300]);
        let cases: [(&[u8], &[u8]); 8] = [
            (&[0x20, 3, 0, 0, 0], &[0x20, 3, 0, 0, 0]),
            (&[0x40, 2, 0, 1], &[0x40, 2, 0, 1]),
            (&[0x40, 3, 0x95, 0x95, 0x95], &[0x40, 3, 0x95, 0x95, 0x99]),
            (&[0x40, 4, 0, 9, 0x95, 0], &[0x40, 4, 0, 9, 0x99, 0]),
            (&publish, &publish),
            (&[0xd0, 0], &[0xd0, 0]),
            (&[0xe0, 2, 0x8e, 0], &[0xe0, 2, 0x8e, 0]),
            (&[0xe0, 1, 0x8e], &[0xe0, 2, 0x8e, 0]),
        ];
        (
            cases.iter().flat_map(|(from, _)| from.to_vec()).collect(),
            cases.iter().flat_map(|(_, to)| to.to_vec()).collect(),
        )
    }

    #[test]
    fn mends_what_needs_it_however_it_is_cut() {
        let (from, to) = stream();
        for size in 1..from.len() + 1 {
            let mut mender = Mender::default();
            let mended: Vec<u8> = from.chunks(size).flat_map(|piece| mender.mend(piece)).collect();
            assert_eq!(mended, to, "pieces of {size}");
        }
    }
}
