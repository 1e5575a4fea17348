//! A broker for tests that does what it is told: cut, refuse, stall, reorder, forget, limit, flood.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it treats one connection.
#[derive(Clone)]
pub struct Script {
    /// Reason code of the answer to CONNECT; 0 accepts.
    pub code: u8,
    /// Says that it still knows the session.
    pub session_present: bool,
    /// Told in the answer.
    pub receive_max: Option<u16>,
    /// Told in the answer.
    pub packet_max: Option<u32>,
    /// Cuts the line after so many messages.
    pub cut_after: usize,
    /// Stops reading instead of cutting.
    pub stalls: bool,
    /// Acknowledges some of the messages, in another order, by this seed.
    pub reorder: Option<u64>,
    /// Sends a retained command of 100 kB after the subscription.
    pub floods: bool,
    /// Reason code of the acknowledgement; `None`: DISCONNECT with "packet too large" instead.
    pub answer: fn(&Publish) -> Option<u8>,
    /// Sends DISCONNECT with this reason when it cuts.
    pub farewell: Option<u8>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            code: 0,
            session_present: false,
            receive_max: None,
            packet_max: None,
            cut_after: usize::MAX,
            stalls: false,
            reorder: None,
            floods: false,
            answer: |_| Some(0),
            farewell: None,
        }
    }
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub conn: usize,
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
    pub expiry: Option<u32>,
    id: u16,
}

/// What a CONNECT said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub client_id: String,
    pub clean_start: bool,
    pub keep_alive: u16,
    /// Raw packet, to look for more.
    pub raw: Vec<u8>,
}

#[derive(Default)]
pub struct Seen {
    pub connects: Vec<Connect>,
    pub arrived: Vec<Publish>,
    pub kinds: Vec<(usize, u8)>,
    pub stalls: usize,
    /// Packet ids that were used again before they were acknowledged.
    pub reused: usize,
}

#[derive(Clone)]
pub struct Broker {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Broker {
    /// Listens on loopback; `script` is asked for each connection.
    pub async fn start(mut script: impl FnMut(usize) -> Script + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let seen = Arc::clone(&broker.seen);
        tokio::spawn(async move {
            let mut conn = 0;
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                conn += 1;
                let line = Line { tcp, buffer: Vec::new(), conn, seen: Arc::clone(&seen), script: script(conn) };
                // A dead connection must not keep the next one waiting.
                tokio::spawn(line.serve());
            }
        });
        broker
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

struct Line {
    tcp: TcpStream,
    buffer: Vec<u8>,
    conn: usize,
    seen: Arc<Mutex<Seen>>,
    script: Script,
}

impl Line {
    /// `None` when the line ends.
    async fn serve(mut self) -> Option<()> {
        let connect = self.packet().await?;
        let accepted = self.accept(&connect).await?;
        if !accepted {
            return None;
        }
        let (mut count, mut waiting) = (0, BTreeMap::new());
        let mut chance = self.script.reorder.unwrap_or(1);
        loop {
            let packet = match tokio::time::timeout(Duration::from_millis(5), self.packet()).await {
                Ok(packet) => Some(packet?),
                Err(_) => None,
            };
            if let Some(packet) = packet {
                self.seen.lock().unwrap().kinds.push((self.conn, packet[0] >> 4));
                match packet[0] >> 4 {
                    3 => {
                        let publish = self.publish(&packet);
                        count += 1;
                        if publish.qos > 0 && waiting.insert(publish.id, publish.clone()).is_some() {
                            self.seen.lock().unwrap().reused += 1;
                        }
                        self.seen.lock().unwrap().arrived.push(publish);
                    }
                    8 => self.subscribed(&packet).await?,
                    12 => self.tcp.write_all(&[0xd0, 0]).await.ok()?,
                    14 => return None,
                    _ => {}
                }
            }
            if count >= self.script.cut_after {
                return self.cut().await;
            }
            self.acknowledge(&mut waiting, &mut chance).await?;
        }
    }

    async fn accept(&mut self, packet: &[u8]) -> Option<bool> {
        let id_at = 10 + 1 + usize::from(packet[11]) + 1;
        let length = usize::from(u16::from_be_bytes([packet[id_at], packet[id_at + 1]]));
        let client_id = String::from_utf8_lossy(&packet[id_at + 2..id_at + 2 + length]).into_owned();
        let keep_alive = u16::from_be_bytes([packet[9], packet[10]]);
        let clean_start = packet[8] & 2 != 0;
        self.seen.lock().unwrap().connects.push(Connect { client_id, clean_start, keep_alive, raw: packet.to_vec() });
        let mut properties = Vec::new();
        if let Some(most) = self.script.receive_max {
            properties.push(0x21);
            properties.extend(most.to_be_bytes());
        }
        if let Some(most) = self.script.packet_max {
            properties.push(0x27);
            properties.extend(most.to_be_bytes());
        }
        let session = u8::from(self.script.session_present && self.script.code == 0);
        let mut answer = vec![0x20, 3 + properties.len() as u8, session, self.script.code, properties.len() as u8];
        answer.extend(properties);
        self.tcp.write_all(&answer).await.ok()?;
        Some(self.script.code == 0)
    }

    async fn subscribed(&mut self, packet: &[u8]) -> Option<()> {
        self.tcp.write_all(&[0x90, 4, packet[1], packet[2], 0, 1]).await.ok()?;
        if self.script.floods {
            let length = 2 + 1 + 1 + 100_000_usize;
            let mut flood =
                vec![0x31, (length & 0x7f) as u8 | 0x80, (length >> 7 & 0x7f) as u8 | 0x80, (length >> 14) as u8];
            flood.extend([0, 1, b'c', 0]);
            flood.resize(flood.len() + 100_000, b'x');
            self.tcp.write_all(&flood).await.ok()?;
        }
        Some(())
    }

    fn publish(&self, packet: &[u8]) -> Publish {
        let qos = packet[0] >> 1 & 3;
        let length = usize::from(u16::from_be_bytes([packet[1], packet[2]]));
        let topic = String::from_utf8_lossy(&packet[3..3 + length]).into_owned();
        let mut at = 3 + length;
        let id = if qos > 0 { u16::from_be_bytes([packet[at], packet[at + 1]]) } else { 0 };
        at += if qos > 0 { 2 } else { 0 };
        let properties = &packet[at + 1..at + 1 + usize::from(packet[at])];
        let expiry = properties.strip_prefix(&[2]).map(|bytes| u32::from_be_bytes(bytes[..4].try_into().unwrap()));
        at += 1 + properties.len();
        let payload = String::from_utf8_lossy(&packet[at..]).into_owned();
        Publish { conn: self.conn, topic, payload, qos, retain: packet[0] & 1 != 0, expiry, id }
    }

    async fn acknowledge(&mut self, waiting: &mut BTreeMap<u16, Publish>, chance: &mut u64) -> Option<()> {
        while !waiting.is_empty() {
            let mut nth = 0;
            if self.script.reorder.is_some() {
                if random(chance, 3) == 0 {
                    return Some(());
                }
                nth = random(chance, waiting.len() as u64) as usize;
            }
            let id = *waiting.keys().nth(nth)?;
            let [high, low] = id.to_be_bytes();
            match (self.script.answer)(&waiting.remove(&id)?) {
                Some(0) => self.tcp.write_all(&[0x40, 2, high, low]).await.ok()?,
                Some(code) => self.tcp.write_all(&[0x40, 3, high, low, code]).await.ok()?,
                None => return self.dismiss(0x95).await,
            }
        }
        Some(())
    }

    async fn cut(&mut self) -> Option<()> {
        if self.script.stalls {
            self.seen.lock().unwrap().stalls += 1;
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        match self.script.farewell {
            Some(reason) => self.dismiss(reason).await,
            None => None,
        }
    }

    /// Sends DISCONNECT. Reads on until the other side has read it: closing with bytes unread would take it back.
    async fn dismiss(&mut self, reason: u8) -> Option<()> {
        self.tcp.write_all(&[0xe0, 1, reason]).await.ok()?;
        while self.packet().await.is_some() {}
        None
    }

    /// The next packet: first byte, then what follows the length. May be dropped while it waits.
    async fn packet(&mut self) -> Option<Vec<u8>> {
        loop {
            let (mut length, mut complete) = (0, None);
            for (n, byte) in self.buffer.iter().skip(1).take(4).enumerate() {
                length |= usize::from(byte & 0x7f) << (7 * n);
                if byte & 0x80 == 0 {
                    complete = Some(n + 2);
                    break;
                }
            }
            if let Some(head) = complete.filter(|head| self.buffer.len() >= head + length) {
                let mut packet: Vec<u8> = self.buffer.drain(..head + length).collect();
                packet.drain(1..head);
                return Some(packet);
            }
            let mut bytes = [0; 16 * 1024];
            match self.tcp.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.buffer.extend_from_slice(&bytes[..n]),
            }
        }
    }
}

/// Below `most`, by xorshift.
pub fn random(state: &mut u64, most: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % most
}
