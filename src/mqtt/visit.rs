//! A visit to a broker: one connection, packets as they come, nothing kept and nothing repeated. For those who look at a
//! broker or at what others say there; what must not be lost goes through [`super::Courier`].

mod v4;
mod v5;

use super::mend::Mender;
use super::tunnel::{self, Stream};
use super::{Settings, Version};
use crate::time::Clock;
use crate::wire::{Message, Qos};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Longest packet that is taken: a picture of 32 KiB with its topic, twice over.
pub const PACKET_MAX: u32 = 64 * 1024;
/// For the broker's answer to our connect.
const CONNACK_MAX: Duration = Duration::from_secs(10);
/// For bytes that the broker does not take.
const WRITE_MAX: Duration = Duration::from_secs(20);
/// Read at once.
const READ_BYTES: usize = 64 * 1024;

/// How we come.
#[derive(Clone, Debug)]
pub struct Hello {
    /// Client id.
    pub client_id: String,
    /// Forget what the broker keeps of a former session. MQTT 3.1.1: keep none either.
    pub clean_start: bool,
    /// How long the broker keeps the session when we are gone (MQTT 5).
    pub session_expiry: Duration,
    /// The broker hears from us at least this often.
    pub keep_alive: Duration,
    /// What the broker tells when we are gone without a word, and how long after (MQTT 5).
    pub will: Option<(Message, Duration)>,
    /// Without user and password, whatever the settings say.
    pub anonymous: bool,
}

impl Hello {
    /// A visit that leaves nothing behind.
    pub fn passing(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            clean_start: true,
            session_expiry: Duration::ZERO,
            keep_alive: Duration::from_secs(30),
            will: None,
            anonymous: false,
        }
    }
}

/// What the broker says of itself. `None` where it does not say: then MQTT's own limit counts, or there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// It still knows the session.
    pub session_present: bool,
    /// Messages of QoS 1 that may be under way to it.
    pub receive_max: Option<u16>,
    /// Longest packet that it takes, bytes.
    pub packet_max: Option<u32>,
    /// Highest QoS.
    pub qos_max: Option<u8>,
    /// Whether it keeps messages.
    pub retain: Option<bool>,
    /// Whether subscriptions may have wildcards.
    pub wildcards: Option<bool>,
    /// The keep-alive that it wants instead, seconds.
    pub keep_alive_s: Option<u16>,
    /// The session expiry that it grants instead, seconds.
    pub session_expiry_s: Option<u32>,
    /// The client id that it gives us instead.
    pub client_id: Option<String>,
    /// How the line is secured; `None`: not at all.
    pub tls: Option<Secured>,
}

/// How a line is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// Version of TLS: "1.3".
    pub version: &'static str,
    /// End of the validity of the broker's certificate, ms since the Unix epoch.
    pub not_after: Option<i64>,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Topic filter.
    pub topic: String,
    /// QoS that is asked for.
    pub qos: Qos,
    /// Whether what the broker keeps is wanted too (3.1.1: it always comes).
    pub kept: bool,
}

impl Filter {
    /// What is kept, and what comes.
    pub fn all(topic: &str, qos: Qos) -> Self {
        Self { topic: topic.to_owned(), qos, kept: true }
    }
    /// Only what comes from now on.
    pub fn news(topic: &str, qos: Qos) -> Self {
        Self { topic: topic.to_owned(), qos, kept: false }
    }
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Its content.
    pub payload: Vec<u8>,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// To be acknowledged under this number (QoS 1).
    pub id: Option<u16>,
    /// How long it is still wanted, where its sender said so.
    pub fresh_for: Option<Duration>,
}

/// What the broker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A message.
    Message(Received),
    /// It took our message of this number; else why not.
    Acknowledged(u16, Result<(), String>),
    /// It answered our subscription of this number: whether each filter was granted.
    Subscribed(u16, Vec<bool>),
    /// It is there.
    Pong,
    /// It throws us out, and why.
    Goodbye(String),
    /// Of no interest.
    Other,
}

/// Why a visit ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No line to the broker.
    #[error(transparent)]
    Line(#[from] tunnel::Error),
    /// The password's file.
    #[error("{0}")]
    Password(String),
    /// The broker does not let us in.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The line ended.
    #[error("the line to the broker ended")]
    Lost(#[source] std::io::Error),
    /// The broker threw us out.
    #[error("the broker ended the connection: {0}")]
    Dismissed(String),
    /// What came is no MQTT.
    #[error("the broker does not speak MQTT: {0}")]
    Nonsense(String),
    /// Nothing came.
    #[error("the broker does not answer")]
    Silent,
}

/// One connection. Dropping it ends it without a farewell: the will is told.
pub struct Visit {
    stream: Box<dyn Stream>,
    version: Version,
    mender: Mender,
    incoming: BytesMut,
    next_id: u16,
}

impl Visit {
    /// Connects, and waits for the welcome.
    pub async fn begin(settings: &Settings, hello: &Hello, clock: Arc<dyn Clock>) -> Result<(Self, Welcome), Error> {
        let login = login(settings).filter(|_| !hello.anonymous).transpose()?;
        let (stream, tls) = tunnel::connect(settings, clock).await?;
        let mut visit = Self {
            stream,
            version: settings.version,
            mender: Mender::default(),
            incoming: BytesMut::new(),
            next_id: 0,
        };
        let packet = match visit.version {
            Version::Five => v5::connect(hello, login),
            Version::ThreeOneOne => v4::connect(hello, login),
        };
        visit.write(packet).await?;
        match timeout(CONNACK_MAX, visit.welcome()).await {
            Ok(Ok(welcome)) => Ok((visit, Welcome { tls, ..welcome })),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Silent),
        }
    }

    /// What the broker says next. May be dropped while it waits.
    pub async fn told(&mut self) -> Result<Told, Error> {
        loop {
            let packet = match self.version {
                Version::Five => v5::told(&mut self.incoming),
                Version::ThreeOneOne => v4::told(&mut self.incoming),
            };
            match packet {
                Ok(Some(told)) => return Ok(told),
                Ok(None) => self.read().await?,
                Err(reason) => return Err(Error::Nonsense(reason)),
            }
        }
    }

    /// Sends a message; the number under which a message of QoS 1 will be acknowledged, else 0.
    pub async fn publish(&mut self, message: &Message) -> Result<u16, Error> {
        let id = match message.qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => self.number(),
        };
        self.write(match self.version {
            Version::Five => v5::publish(message, id),
            Version::ThreeOneOne => v4::publish(message, id),
        })
        .await?;
        Ok(id)
    }

    /// Asks for messages; the number under which that is answered.
    pub async fn subscribe(&mut self, filters: &[Filter]) -> Result<u16, Error> {
        let id = self.number();
        self.write(match self.version {
            Version::Five => v5::subscribe(filters, id),
            Version::ThreeOneOne => v4::subscribe(filters, id),
        })
        .await?;
        Ok(id)
    }

    /// Asks for them no longer.
    pub async fn unsubscribe(&mut self, topics: Vec<String>) -> Result<(), Error> {
        let id = self.number();
        self.write(match self.version {
            Version::Five => v5::unsubscribe(topics, id),
            Version::ThreeOneOne => v4::unsubscribe(topics, id),
        })
        .await
    }

    /// Says that a message has arrived.
    pub async fn acknowledge(&mut self, id: u16) -> Result<(), Error> {
        self.write(match self.version {
            Version::Five => v5::acknowledge(id),
            Version::ThreeOneOne => v4::acknowledge(id),
        })
        .await
    }

    /// Asks whether the broker is there.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.write(v5::ping()).await
    }

    /// Says farewell, so that the will is dropped.
    pub async fn leave(mut self) {
        let farewell = match self.version {
            Version::Five => v5::disconnect(),
            Version::ThreeOneOne => v4::disconnect(),
        };
        let _ = self.write(farewell).await;
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    fn number(&mut self) -> u16 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    async fn write(&mut self, packet: Result<BytesMut, String>) -> Result<(), Error> {
        let packet = packet.map_err(Error::Nonsense)?;
        let written = timeout(WRITE_MAX, async {
            self.stream.write_all(&packet).await?;
            self.stream.flush().await
        });
        written.await.map_err(|_| Error::Silent)?.map_err(Error::Lost)
    }

    async fn read(&mut self) -> Result<(), Error> {
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes).await {
            Ok(0) => Err(Error::Lost(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.incoming.extend_from_slice(&self.mender.mend(&bytes[..count]));
                Ok(())
            }
            Err(error) => Err(Error::Lost(error)),
        }
    }

    async fn welcome(&mut self) -> Result<Welcome, Error> {
        loop {
            let welcome = match self.version {
                Version::Five => v5::welcome(&mut self.incoming),
                Version::ThreeOneOne => v4::welcome(&mut self.incoming),
            };
            match welcome? {
                Some(welcome) => return Ok(welcome),
                None => self.read().await?,
            }
        }
    }
}

/// User and password.
type Login = (String, String);

fn login(settings: &Settings) -> Option<Result<Login, Error>> {
    let user = settings.user.clone()?;
    let Some(path) = &settings.password_file else { return Some(Ok((user, String::new()))) };
    let read = std::fs::read_to_string(path);
    Some(match read {
        Ok(password) => Ok((user, password.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(Error::Password(format!("{}: {error}", path.display()))),
    })
}

/// Whole seconds, rounded up.
fn whole_s(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::broker::{Broker, Script};
    use crate::time::SystemClock;

    fn settings(port: u16) -> Settings {
        Settings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: None,
            user: None,
            password_file: None,
            version: Version::Five,
            keep_alive: Duration::from_secs(20),
            reconnect_spread: Duration::ZERO,
            runtime_folder: std::path::PathBuf::new(),
        }
    }

    fn message(topic: &str, qos: Qos) -> Message {
        let payload = b"{}".to_vec();
        Message { topic: topic.to_owned(), payload, qos, retain: false, expires_after: Some(Duration::from_secs(9)) }
    }

    #[tokio::test]
    async fn says_what_it_is_told_to_and_hears_the_answers() {
        let broker = Broker::start(|_| Script {
            receive_max: Some(7),
            packet_max: Some(40_000),
            answer: |publish| Some(if publish.topic == "bad" { 0x87 } else { 0 }),
            ..Script::default()
        })
        .await;
        let hello = Hello::passing("me");
        let (mut visit, welcome) =
            Visit::begin(&settings(broker.port), &hello, Arc::new(SystemClock)).await.expect("let in");
        assert_eq!((welcome.receive_max, welcome.packet_max, welcome.session_present), (Some(7), Some(40_000), false));
        let id = visit.subscribe(&[Filter::all("a/#", Qos::AtMostOnce)]).await.expect("asked");
        assert_eq!(visit.told().await.expect("told"), Told::Subscribed(id, vec![true]));
        assert_eq!(visit.publish(&message("a", Qos::AtMostOnce)).await.expect("sent"), 0);
        let good = visit.publish(&message("good", Qos::AtLeastOnce)).await.expect("sent");
        assert_eq!(visit.told().await.expect("told"), Told::Acknowledged(good, Ok(())));
        let bad = visit.publish(&message("bad", Qos::AtLeastOnce)).await.expect("sent");
        assert_eq!(visit.told().await.expect("told"), Told::Acknowledged(bad, Err("NotAuthorized".to_owned())));
        visit.ping().await.expect("sent");
        assert_eq!(visit.told().await.expect("told"), Told::Pong);
        let seen = broker.seen();
        assert_eq!(seen.connects[0].client_id, "me");
        assert_eq!(seen.arrived.iter().map(|publish| publish.expiry).collect::<Vec<_>>(), [Some(9); 3]);
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_words() {
        let broker = Broker::start(|_| Script { code: 0x86, ..Script::default() }).await;
        let refused = Visit::begin(&settings(broker.port), &Hello::passing("me"), Arc::new(SystemClock)).await;
        assert_eq!(refused.err().map(|e| e.to_string()).as_deref(), Some("the broker refuses: BadUserNamePassword"));
    }

    #[test]
    fn a_broker_that_knows_only_the_older_version_says_so() {
        let mut answer = BytesMut::from(&[0x20, 2, 0, 1][..]);
        assert!(matches!(v5::welcome(&mut answer), Err(Error::Refused(why)) if why == "UnsupportedProtocolVersion"));
    }
}
