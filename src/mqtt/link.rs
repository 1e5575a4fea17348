//! One connection to the broker by rumqttc, which is used as a protocol engine only: a fresh client for every
//! connection, because what it keeps from the last one is lost or wrongly numbered after a lost session, reordered
//! acknowledgements or a lower receive maximum.

use super::Settings;
use super::session::{Answer, Down, Limits};
use super::tunnel::{self, Tunnel};
use crate::time::{Clock, Mono};
use crate::wire::{Message, Qos};
use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Packet,
    PubAckReason, PublishProperties, RetainForwardRule,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{Outgoing, Transport};
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
/// Messages that the broker may send without an answer.
const RECEIVE_MAX: u16 = 16;
/// The broker forgets the session after this. Never 0: a delayed will would never come (Mosquitto #3505).
const SESSION_EXPIRY_S: u32 = 120;
/// A short cut of the line is no news.
const WILL_DELAY_S: u32 = 20;
/// For the broker's answer to our connect.
const CONNACK_MAX_S: u64 = 10;
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
    /// Topic filters to subscribe to.
    pub filters: Vec<String>,
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
    client: AsyncClient,
    filters: Vec<String>,
    heard: mpsc::Receiver<Heard>,
    plain: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Link {
    /// Begins to connect.
    pub fn start(settings: &Settings, options: Options, clock: Arc<dyn Clock>) -> Self {
        let socket = tunnel::socket_path(&settings.runtime_folder);
        let mut mqtt = MqttOptions::new(options.client_id, socket.to_string_lossy(), 0);
        mqtt.set_transport(Transport::unix());
        // rumqttc panics below 5 s.
        mqtt.set_keep_alive(settings.keep_alive.max(Duration::from_secs(5)));
        mqtt.set_clean_start(options.clean_start);
        mqtt.set_connect_properties(ConnectProperties::new());
        mqtt.set_session_expiry_interval(Some(SESSION_EXPIRY_S));
        mqtt.set_receive_maximum(Some(RECEIVE_MAX));
        mqtt.set_max_packet_size(Some(INBOUND_MAX));
        mqtt.set_outgoing_inflight_upper_limit(INFLIGHT_MAX);
        mqtt.set_connection_timeout(CONNACK_MAX_S);
        mqtt.set_last_will(last_will(&options.will));
        let (client, events) = AsyncClient::new(mqtt, CHANNEL);
        let (tell, heard) = mpsc::channel(256);
        let plain = Arc::new(AtomicUsize::new(0));
        let runner = Runner { settings: settings.clone(), socket, events, clock, tell, plain: Arc::clone(&plain) };
        let task = tokio::spawn(runner.run());
        Self { client, filters: options.filters, heard, plain, task }
    }

    /// Subscribes; what the broker kept is not wanted.
    pub fn subscribe(&self) -> bool {
        let filter = |topic: &String| {
            let mut filter = Filter::new(topic.clone(), QoS::AtLeastOnce);
            filter.retain_forward_rule = RetainForwardRule::Never;
            // Else a command that is retained comes without saying so to whoever listens at that moment.
            filter.preserve_retain = true;
            filter
        };
        self.client.try_subscribe_many(self.filters.iter().map(filter)).is_ok()
    }

    /// Hands a message to the client library; `false` when it has no room.
    pub fn publish(&self, message: Message) -> bool {
        let plain = message.qos == Qos::AtMostOnce;
        if plain && self.plain.load(Ordering::Relaxed) >= PLAIN_MAX {
            return false;
        }
        let expiry = message.expires_after.map(|after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1));
        let properties = PublishProperties { message_expiry_interval: expiry, ..PublishProperties::default() };
        let Message { topic, payload, retain, .. } = message;
        let taken =
            self.client.try_publish_with_properties(topic, qos(message.qos), retain, payload, properties).is_ok();
        if plain && taken {
            self.plain.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Says farewell: the broker drops the will.
    pub fn disconnect(&self) -> bool {
        self.client.try_disconnect().is_ok()
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

struct Runner {
    settings: Settings,
    socket: PathBuf,
    events: EventLoop,
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
                while let Some(event) = self.events.state.events.pop_front() {
                    self.pass_on(event).await;
                }
                drop(self.events);
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
            self.events.options.set_credentials(user, password.trim_end_matches(['\r', '\n']));
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
                Ok(Err(error)) => return down_of(&error),
                Ok(Ok(Event::Outgoing(Outgoing::Disconnect))) => return Down::Ended,
                Ok(Ok(event)) => {
                    if matches!(event, Event::Incoming(_)) {
                        heard_at = self.clock.mono();
                    }
                    self.pass_on(event).await;
                }
            }
        }
    }

    /// How long the broker may stay silent from now: 1.5 times the keep-alive, which it may have changed.
    fn patience(&self, heard_at: Mono) -> Duration {
        let most = self.events.options.keep_alive().mul_f64(1.5);
        most.saturating_sub(self.clock.mono().since(heard_at))
    }

    async fn pass_on(&mut self, event: Event) {
        let heard = match event {
            Event::Incoming(Packet::ConnAck(answer)) => Heard::Connected(limits(&answer)),
            Event::Incoming(Packet::SubAck(_)) => Heard::Subscribed,
            Event::Incoming(Packet::PubAck(answer)) => Heard::Answered(answer.pkid, answer_of(answer.reason)),
            Event::Incoming(Packet::Publish(publish)) => Heard::Incoming {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: publish.payload.to_vec(),
                retained: publish.retain,
                fresh_for: publish
                    .properties
                    .and_then(|properties| properties.message_expiry_interval)
                    .map(|seconds| Duration::from_secs(seconds.into())),
            },
            Event::Outgoing(Outgoing::Publish(0)) => {
                self.plain.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            Event::Outgoing(Outgoing::Publish(id)) => Heard::Sent(id),
            Event::Outgoing(Outgoing::AwaitAck(_)) => Heard::Collision,
            _ => return,
        };
        // Nobody listens any more only when the link is being dropped.
        let _ = self.tell.send(heard).await;
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
        PubAckReason::NotAuthorized => Answer::NotNow("not authorised to publish"),
        _ => Answer::Refused,
    }
}

fn down_of(error: &ConnectionError) -> Down {
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

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
