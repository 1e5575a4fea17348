//! One connection to the broker by rumqttc, which is used as a protocol engine only: a fresh client for every
//! connection, because what it keeps from the last one is lost or wrongly numbered after a lost session, reordered
//! acknowledgements or a lower receive maximum.

mod v4;
mod v5;

use super::session::{Answer, Down, Limits};
use super::tunnel::{self, Tunnel};
use super::{Settings, Version};
use crate::time::{Clock, Mono};
use crate::wire::{Message, Qos};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Packet ids in use at most, in rumqttc's ring. Its default table for all 65,535 takes 14 MB.
const INFLIGHT_MAX: u16 = 64;
/// QoS 0 messages that wait in rumqttc's channel at most.
const PLAIN_MAX: usize = 64;
/// Room for both, the subscription and the farewell, so that a QoS 1 message always finds room.
const CHANNEL: usize = PLAIN_MAX + INFLIGHT_MAX as usize + 4;
/// Longest packet that we take; rumqttc's default of 10 KiB makes a larger retained command a reconnect loop.
const INBOUND_MAX: u32 = 64 * 1024;
/// For the broker's answer to our connect.
const CONNACK_MAX_S: u64 = 10;
/// rumqttc panics below (MQTT 5).
const KEEP_ALIVE_LEAST: Duration = Duration::from_secs(5);
/// For the last bytes of an orderly end.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What differs between connections.
#[derive(Clone, Debug)]
pub struct Options {
    /// Client id.
    pub client_id: String,
    /// Forget what the broker keeps of a former session.
    pub clean_start: bool,
    /// What the broker tells when we are gone.
    pub will: Message,
    /// Topic filters to subscribe to; what the broker kept is not wanted.
    pub filters: Vec<String>,
    /// A topic of our own: what the broker kept of it is wanted.
    pub own: String,
}

/// What the connection tells.
#[derive(Debug)]
pub enum Heard {
    /// The broker accepted.
    Connected(Limits),
    /// The broker answered the subscription.
    Subscribed,
    /// The next QoS 1 message went out under this id.
    Sent(u16),
    /// The client library would use an id twice.
    Collision,
    /// The broker answered the message with this id.
    Answered(u16, Answer),
    /// A message came.
    Incoming {
        /// Its topic.
        topic: String,
        /// Its content.
        payload: Vec<u8>,
        /// Whether it was kept by the broker from earlier.
        retained: bool,
        /// How long it is still wanted, where its sender said so.
        fresh_for: Option<Duration>,
    },
    /// The end.
    Down(Down),
}

/// One connection. Ends when dropped, without a farewell.
pub struct Link {
    client: Client,
    filters: Vec<String>,
    own: String,
    heard: mpsc::Receiver<Heard>,
    plain: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Link {
    /// Begins to connect.
    pub fn start(settings: &Settings, options: Options, clock: Arc<dyn Clock>) -> Self {
        let socket = tunnel::socket_path(&settings.runtime_folder);
        let path = socket.to_string_lossy();
        let (client, events) = match settings.version {
            Version::Five => {
                let (client, events) = v5::client(settings, &options, &path, CHANNEL);
                (Client::Five(client), Events::Five(Box::new(events)))
            }
            Version::ThreeOneOne => {
                let (client, events) = v4::client(settings, &options, &path, CHANNEL);
                (Client::ThreeOneOne(client), Events::ThreeOneOne(Box::new(events)))
            }
        };
        let (tell, heard) = mpsc::channel(256);
        let plain = Arc::new(AtomicUsize::new(0));
        let runner = Runner { settings: settings.clone(), socket, events, clock, tell, plain: Arc::clone(&plain) };
        let task = tokio::spawn(runner.run());
        Self { client, filters: options.filters, own: options.own, heard, plain, task }
    }

    /// Subscribes to what is listened to.
    pub fn subscribe(&self) -> bool {
        match &self.client {
            Client::Five(client) => v5::subscribe(client, &self.filters, &self.own),
            Client::ThreeOneOne(client) => v4::subscribe(client, &self.filters, &self.own),
        }
    }

    /// Hands a message to the client library; `false` when it has no room.
    pub fn publish(&self, message: Message) -> bool {
        let plain = message.qos == Qos::AtMostOnce;
        if plain && self.plain.load(Ordering::Relaxed) >= PLAIN_MAX {
            return false;
        }
        let taken = match &self.client {
            Client::Five(client) => v5::publish(client, message),
            Client::ThreeOneOne(client) => v4::publish(client, message),
        };
        if plain && taken {
            self.plain.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Says farewell: the broker drops the will.
    pub fn disconnect(&self) -> bool {
        match &self.client {
            Client::Five(client) => client.try_disconnect().is_ok(),
            Client::ThreeOneOne(client) => client.try_disconnect().is_ok(),
        }
    }

    /// What the connection tells next; may be dropped while it waits.
    pub async fn heard(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => Heard::Down(Down::Lost("client library failed".to_owned())),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The way into the client library.
enum Client {
    Five(rumqttc::v5::AsyncClient),
    ThreeOneOne(rumqttc::AsyncClient),
}

/// The way out of it.
enum Events {
    Five(Box<rumqttc::v5::EventLoop>),
    ThreeOneOne(Box<rumqttc::EventLoop>),
}

/// What the client library tells.
enum Came {
    /// The broker sent something; what it means.
    In(Option<Heard>),
    /// We did.
    Out(Heard),
    /// A message of QoS 0 has left the channel.
    PlainWent,
    /// The farewell is out.
    Ended,
    /// Of no interest.
    Nothing,
}

impl Events {
    async fn poll(&mut self) -> Result<Came, Down> {
        match self {
            Events::Five(events) => events.poll().await.map(v5::came).map_err(|error| v5::down_of(&error)),
            Events::ThreeOneOne(events) => events.poll().await.map(v4::came).map_err(|error| v4::down_of(&error)),
        }
    }

    /// What came in before the end.
    fn left(&mut self) -> Option<Came> {
        match self {
            Events::Five(events) => events.state.events.pop_front().map(v5::came),
            Events::ThreeOneOne(events) => events.state.events.pop_front().map(v4::came),
        }
    }

    fn set_credentials(&mut self, user: &str, password: &str) {
        match self {
            Events::Five(events) => {
                events.options.set_credentials(user, password);
            }
            Events::ThreeOneOne(events) => {
                events.mqtt_options.set_credentials(user, password);
            }
        }
    }

    /// The keep-alive, which a broker of MQTT 5 may have changed.
    fn keep_alive(&self) -> Duration {
        match self {
            Events::Five(events) => events.options.keep_alive(),
            Events::ThreeOneOne(events) => events.mqtt_options.keep_alive(),
        }
    }
}

struct Runner {
    settings: Settings,
    socket: PathBuf,
    events: Events,
    clock: Arc<dyn Clock>,
    tell: mpsc::Sender<Heard>,
    plain: Arc<AtomicUsize>,
}

impl Runner {
    async fn run(mut self) {
        let down = match self.connect().await {
            Ok(mut tunnel) => {
                let down = self.carry().await;
                // What came in before the end still counts.
                while let Some(came) = self.events.left() {
                    self.pass_on(came).await;
                }
                drop(self.events);
                let down = with_fault(down, tunnel.fault());
                if down == Down::Ended {
                    tunnel.drained(FAREWELL_MAX).await;
                }
                down
            }
            Err(down) => down,
        };
        let _ = self.tell.send(Heard::Down(down)).await;
    }

    async fn connect(&mut self) -> Result<Tunnel, Down> {
        if let Some(user) = &self.settings.user {
            let password = match &self.settings.password_file {
                Some(path) => std::fs::read_to_string(path)
                    .map_err(|error| Down::Unreachable(format!("{}: {error}", path.display())))?,
                None => String::new(),
            };
            self.events.set_credentials(user, password.trim_end_matches(['\r', '\n']));
        }
        Tunnel::open(&self.settings, self.socket.clone(), Arc::clone(&self.clock))
            .await
            .map_err(|error| Down::Unreachable(chain(&error)))
    }

    /// Polls until the end. rumqttc blocks in a write to a peer that stopped reading, and its keep-alive with it, so
    /// every poll has an end of its own.
    async fn carry(&mut self) -> Down {
        let mut heard_at = self.clock.mono();
        loop {
            match timeout(self.patience(heard_at), self.events.poll()).await {
                Err(_) => return Down::Silent,
                Ok(Err(down)) => return down,
                Ok(Ok(Came::Ended)) => return Down::Ended,
                Ok(Ok(came)) => {
                    if matches!(came, Came::In(_)) {
                        heard_at = self.clock.mono();
                    }
                    self.pass_on(came).await;
                }
            }
        }
    }

    /// How long the broker may stay silent from now: 1.5 times the keep-alive, which it may have changed.
    fn patience(&self, heard_at: Mono) -> Duration {
        let most = self.events.keep_alive().mul_f64(1.5);
        most.saturating_sub(self.clock.mono().since(heard_at))
    }

    async fn pass_on(&mut self, came: Came) {
        match came {
            // Nobody listens any more only when the link is being dropped.
            Came::In(Some(heard)) | Came::Out(heard) => {
                let _ = self.tell.send(heard).await;
            }
            Came::PlainWent => {
                self.plain.fetch_sub(1, Ordering::Relaxed);
            }
            Came::In(None) | Came::Ended | Came::Nothing => {}
        }
    }
}

/// An end with what TLS had to say about it.
fn with_fault(down: Down, fault: Option<&str>) -> Down {
    match (down, fault) {
        (Down::Lost(text), Some(fault)) => Down::Lost(format!("{text}: {fault}")),
        (Down::Unreachable(text), Some(fault)) => Down::Unreachable(format!("{text}: {fault}")),
        (down, _) => down,
    }
}

/// An error with what caused it, for people. A cause that is told already is not told again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
