//! A broker for the whole program that does what a script says: cut, refuse, stall, answer out of order, forget, limit,
//! and send what no broker should.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(5);

/// How a connection ends after [`Script::cut_after`] messages.
#[derive(Clone)]
pub enum End {
    /// The line is cut.
    Cut,
    /// Nothing is read or written any more.
    Stall,
    /// DISCONNECT with this reason.
    Dismiss(u8),
    /// These bytes, then on as if nothing had been.
    Say(Vec<u8>),
}

/// How one connection is treated.
#[derive(Clone)]
pub struct Script {
    /// Reason code of the answer to CONNECT; 0 accepts.
    pub code: u8,
    /// Says that it still knows the session.
    pub session_present: bool,
    pub receive_max: Option<u16>,
    pub packet_max: Option<u32>,
    /// Messages until `end`.
    pub cut_after: usize,
    pub end: End,
    /// Acknowledges some of the messages, in another order, by this seed.
    pub reorder: Option<u64>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            code: 0,
            session_present: false,
            receive_max: None,
            packet_max: None,
            cut_after: usize::MAX,
            end: End::Cut,
            reorder: None,
        }
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub topic: String,
    pub body: Vec<u8>,
}

/// What it saw so far.
#[derive(Default)]
pub struct Seen {
    pub arrived: Vec<Arrived>,
    /// When each connection was made.
    pub connects: Vec<Instant>,
    /// When each stall began, and of which connection.
    pub stalls: Vec<(usize, Instant)>,
    /// Longest packet of a message, and of each connection.
    pub longest: BTreeMap<usize, usize>,
    /// Most messages without an answer, of each connection.
    pub waiting: BTreeMap<usize, usize>,
}

/// The broker; ends when dropped.
pub struct ScriptedBroker {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
}

impl ScriptedBroker {
    /// Listens on loopback; `script` is asked for each connection, which are counted from 1.
    pub fn start(mut script: impl FnMut(usize) -> Script + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("an address").port();
        let broker = Self { port, seen: Arc::default(), over: Arc::default() };
        let (seen, over) = (broker.seen.clone(), broker.over.clone());
        std::thread::spawn(move || {
            for (conn, tcp) in (1..).zip(listener.incoming().map_while(Result::ok)) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                seen.lock().expect("not poisoned").connects.push(Instant::now());
                tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                let (seen, over, script) = (seen.clone(), over.clone(), script(conn));
                let line = Line { tcp, buffer: Vec::new(), conn, seen, over, script, waiting: Vec::new() };
                // How it ends is nothing to the next one.
                std::thread::spawn(move || line.serve().is_ok());
            }
        });
        broker
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("not poisoned")
    }

    /// The events that came, in order, duplicates and all.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let seen = self.seen();
        let events = seen.arrived.iter().filter(|arrived| arrived.topic.ends_with("/event"));
        events.map(|arrived| serde_json::from_slice(&arrived.body).expect("JSON")).collect()
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

struct Line {
    tcp: TcpStream,
    buffer: Vec<u8>,
    conn: usize,
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    script: Script,
    /// Packet ids without an answer.
    waiting: Vec<u16>,
}

impl Line {
    fn serve(mut self) -> io::Result<()> {
        let mut chance = self.script.reorder.unwrap_or(1);
        let mut count = 0;
        while !self.over.load(Ordering::Relaxed) {
            if let Some(packet) = self.packet()? {
                match packet[0] >> 4 {
                    1 => self.connect()?,
                    3 => {
                        self.publish(&packet);
                        count += 1;
                    }
                    8 => self.subscribe(&packet)?,
                    12 => self.tcp.write_all(&[0xd0, 0])?,
                    14 => return Ok(()),
                    _ => {}
                }
                if count == self.script.cut_after && packet[0] >> 4 == 3 {
                    self.end()?;
                }
                // A window of several stays open only if more is read before the answers.
                if self.script.reorder.is_some() && self.waiting.len() < 3 && !self.buffer.is_empty() {
                    continue;
                }
            }
            self.acknowledge(&mut chance)?;
        }
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut properties = Vec::new();
        if let Some(most) = self.script.receive_max {
            properties.push(0x21);
            properties.extend(most.to_be_bytes());
        }
        if let Some(most) = self.script.packet_max {
            properties.push(0x27);
            properties.extend(most.to_be_bytes());
        }
        let code = self.script.code;
        let session = u8::from(self.script.session_present && code == 0);
        let mut answer = vec![0x20, 3 + properties.len() as u8, session, code, properties.len() as u8];
        answer.extend(properties);
        self.tcp.write_all(&answer)?;
        if code == 0 { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
    }

    /// One answer for each topic filter.
    fn subscribe(&mut self, packet: &[u8]) -> io::Result<()> {
        let mut rest = &packet[4 + usize::from(packet[3])..];
        let mut answer = vec![packet[1], packet[2], 0];
        while let [high, low, more @ ..] = rest {
            answer.push(1);
            rest = &more[usize::from(u16::from_be_bytes([*high, *low])) + 1..];
        }
        self.tcp.write_all(&[0x90, answer.len() as u8])?;
        self.tcp.write_all(&answer)
    }

    fn publish(&mut self, packet: &[u8]) {
        let qos = packet[0] >> 1 & 3;
        let length = usize::from(u16::from_be_bytes([packet[1], packet[2]]));
        let topic = String::from_utf8_lossy(&packet[3..3 + length]).into_owned();
        let mut at = 3 + length;
        if qos > 0 {
            self.waiting.push(u16::from_be_bytes([packet[at], packet[at + 1]]));
            at += 2;
        }
        // Properties: none that concern us; fewer than 128 bytes.
        let body = packet[at + 1 + usize::from(packet[at])..].to_vec();
        let mut seen = self.seen.lock().expect("not poisoned");
        let longest = seen.longest.entry(self.conn).or_default();
        // A length of two bytes: our messages have 128 to 16,383.
        *longest = (*longest).max(packet.len() + 2);
        let waiting = seen.waiting.entry(self.conn).or_default();
        *waiting = (*waiting).max(self.waiting.len());
        seen.arrived.push(Arrived { topic, body });
    }

    fn acknowledge(&mut self, chance: &mut u64) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let mut nth = 0;
            if self.script.reorder.is_some() {
                if random(chance, 3) == 0 {
                    return Ok(());
                }
                nth = random(chance, self.waiting.len() as u64) as usize;
            }
            let [high, low] = self.waiting.remove(nth).to_be_bytes();
            self.tcp.write_all(&[0x40, 2, high, low])?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        match self.script.end.clone() {
            End::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
            End::Say(bytes) => self.tcp.write_all(&bytes),
            End::Stall => {
                self.seen.lock().expect("not poisoned").stalls.push((self.conn, Instant::now()));
                while !self.over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            }
            End::Dismiss(reason) => {
                self.tcp.write_all(&[0xe0, 2, reason, 0])?;
                // Closing with bytes unread would take it back.
                while self.packet().is_ok() {}
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    /// The next packet: first byte, then what follows the length. `None` when there is none for a moment.
    fn packet(&mut self) -> io::Result<Option<Vec<u8>>> {
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
                return Ok(Some(packet));
            }
            let mut bytes = [0; 16 * 1024];
            match self.tcp.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.buffer.extend_from_slice(&bytes[..n]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Below `most`, by xorshift64 (Marsaglia 2003).
pub fn random(state: &mut u64, most: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % most
}
