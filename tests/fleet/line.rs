//! One connection to the broker: connects again for ever, sends in order, keeps to the window of QoS 1.

use crate::packets::{self, Heard, IN_FLIGHT_MAX};
use picket::time::{Clock, Mono, SystemClock};
use picket::wire::{Message, Qos};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// Below Mosquitto's own limit of 1.5 x keep-alive by far.
const PING_EVERY: Duration = Duration::from_secs(25);
/// After a refusal; the device's own spread is not what is tested here.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A source address has some 28,000 ports; more connections take the next one of 127.0.0.0/8.
const LINES_PER_ADDRESS: usize = 5000;
/// MQTT 5, 4.13: another client took our session.
const TAKEN_OVER: u8 = 0x8e;
/// As `mqtt/session.rs`: three times within a minute, and one of both gives way (where the broker says that it was that,
/// which Mosquitto 2.0.11 does not: there both go on taking each other's place) ...
const TAKEOVERS_MAX: usize = 3;
const TAKEOVERS_WITHIN: Duration = Duration::from_secs(60);
/// ... for a time that is 5 min there and shorter here, and comes back with another client id.
const CONFLICT_WAIT: Duration = Duration::from_secs(10);

/// To a line.
pub enum Order {
    /// Sent as soon as the window allows.
    Send(Message),
    /// The connection breaks as a cable does, without a word, and comes back after this time.
    Cut(Duration),
}

/// From a line.
#[derive(Clone, Copy, Debug)]
pub enum News {
    /// This line is connected: what the broker keeps is to be sent again.
    Up(usize),
    /// The broker has acknowledged a message.
    Acked,
    /// It would not have us: the reason code, or 255 for no connection.
    Refused(u8),
}

/// What a line needs to know.
pub struct Line {
    pub number: usize,
    /// Before the first connection.
    pub after: Duration,
    pub broker: SocketAddr,
    pub client: String,
    pub will: Option<Message>,
    pub orders: mpsc::UnboundedReceiver<Order>,
    pub news: mpsc::UnboundedSender<News>,
}

/// Why a connection ended.
enum Ended {
    Broken,
    TakenOver,
    Cut(Duration),
    Over,
}

impl Line {
    /// Until nobody gives orders any more and all is sent.
    pub async fn run(mut self) {
        let mut waiting: VecDeque<Message> = VecDeque::new();
        let mut takeovers: VecDeque<Mono> = VecDeque::new();
        tokio::time::sleep(self.after).await;
        loop {
            let pause = match self.connected().await {
                Ok(stream) => match self.talk(stream, &mut waiting).await {
                    Ended::Broken => AGAIN_AFTER,
                    Ended::Cut(pause) => pause,
                    Ended::Over => return,
                    Ended::TakenOver => {
                        let now = SystemClock.mono();
                        takeovers.push_back(now);
                        takeovers.retain(|when| now.since(*when) <= TAKEOVERS_WITHIN);
                        match takeovers.len() >= TAKEOVERS_MAX {
                            true => {
                                takeovers.clear();
                                self.client = format!("{}-{:04x}", self.client, self.number);
                                CONFLICT_WAIT
                            }
                            false => AGAIN_AFTER,
                        }
                    }
                },
                Err(reason) => {
                    let _ = self.news.send(News::Refused(reason));
                    AGAIN_AFTER
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn connected(&self) -> Result<TcpStream, u8> {
        let socket = TcpSocket::new_v4().map_err(|_| 255)?;
        let from = 1 + (self.number / LINES_PER_ADDRESS) as u8;
        if self.broker.ip().is_loopback() {
            socket.bind(SocketAddr::from(([127, 0, from, 1], 0))).map_err(|_| 255)?;
        }
        let mut stream = socket.connect(self.broker).await.map_err(|_| 255)?;
        let _ = stream.set_nodelay(true);
        stream.write_all(&packets::connect(&self.client, self.will.as_ref())).await.map_err(|_| 255)?;
        let mut bytes = Vec::new();
        loop {
            if stream.read_buf(&mut bytes).await.map_err(|_| 255)? == 0 {
                return Err(255);
            }
            match packets::take(&mut bytes) {
                Some(Heard::Connack { reason: 0 }) => return Ok(stream),
                Some(Heard::Connack { reason }) => return Err(reason),
                _ => {}
            }
        }
    }

    async fn talk(&mut self, mut stream: TcpStream, waiting: &mut VecDeque<Message>) -> Ended {
        let _ = self.news.send(News::Up(self.number));
        // Not acknowledged yet, in order.
        let mut in_flight: VecDeque<Message> = VecDeque::new();
        let ended = self.exchange(&mut stream, waiting, &mut in_flight).await;
        if !matches!(ended, Ended::Over) {
            // Events are sent again, as from an outbox; documents come again by themselves.
            in_flight
                .into_iter()
                .rev()
                .filter(|message| !message.retain)
                .for_each(|message| waiting.push_front(message));
        }
        ended
    }

    async fn exchange(
        &mut self,
        stream: &mut TcpStream,
        waiting: &mut VecDeque<Message>,
        in_flight: &mut VecDeque<Message>,
    ) -> Ended {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        let mut id = 0u16;
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut over = false;
        loop {
            while let Some(message) = waiting.front() {
                let counts = message.qos == Qos::AtLeastOnce;
                if counts && in_flight.len() >= IN_FLIGHT_MAX {
                    break;
                }
                id = id.checked_add(1).unwrap_or(1);
                out.extend(packets::publish(message, id));
                let message = waiting.pop_front();
                in_flight.extend(message.filter(|_| counts));
            }
            if !out.is_empty() && stream.write_all(&out).await.is_err() {
                return Ended::Broken;
            }
            out.clear();
            if over && waiting.is_empty() && in_flight.is_empty() {
                return Ended::Over;
            }
            tokio::select! {
                order = self.orders.recv(), if !over => match order {
                    Some(Order::Send(message)) => waiting.push_back(message),
                    Some(Order::Cut(pause)) => return Ended::Cut(pause),
                    None => over = true,
                },
                read = stream.read_buf(&mut bytes) => match read {
                    Ok(1..) => while let Some(heard) = packets::take(&mut bytes) {
                        match heard {
                            Heard::Puback => {
                                // Mosquitto acknowledges in order.
                                in_flight.pop_front();
                                let _ = self.news.send(News::Acked);
                            }
                            Heard::Disconnect { reason } => {
                                let _ = self.news.send(News::Refused(reason));
                                return if reason == TAKEN_OVER { Ended::TakenOver } else { Ended::Broken };
                            }
                            _ => {}
                        }
                    },
                    _ => return Ended::Broken,
                },
                _ = ping.tick() => out.extend(packets::PING),
            }
        }
    }
}
