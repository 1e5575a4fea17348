//! The courier against a TLS server and a real Mosquitto.

use super::broker::{Broker, Script};
use super::tests::{check_arrivals, drive, emptied, retained, settings, spool, start};
use super::*;
use crate::ids::BootId;
use crate::outbox::{self, Disk, Entry, Step};
use crate::time::{Clock, SystemClock};
use crate::wire::{Made, Qos};
use std::path::Path;
use std::sync::Arc;
use tokio::time::timeout;

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// An authority and what it signs.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(parameters, key) }
    }

    /// Certificate and key, PEM.
    fn sign(&self, name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        self.sign_for(name, 0..4_000_000_000)
    }

    /// With a life from the first to the second of these, Unix seconds.
    fn sign_for(&self, name: &str, life: std::ops::Range<i64>) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let at = |unix_s: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(unix_s as u64);
        (parameters.not_before, parameters.not_after) = (at(life.start), at(life.end));
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// A TLS server that wants a client certificate of `authority` and passes everything on to `port`.
async fn tls_door(authority: &Authority, port: u16, life: std::ops::Range<i64>) -> u16 {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .unwrap();
    let (certificate, key) = authority.sign_for("localhost", life);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(mut outside) = acceptor.accept(tcp).await {
                let mut inside = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut outside, &mut inside).await.is_ok() });
            }
        }
    });
    door
}

#[tokio::test]
async fn mutual_tls_works_and_strangers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = Broker::start(|_| Script::default()).await;
    let door = tls_door(&authority, broker.port, 0..4_000_000_000).await;
    let ca = write(folder.path(), "ca.pem", &authority.certificate.pem());
    let other = write(folder.path(), "other.pem", &stranger.certificate.pem());
    let (certificate, key) = authority.sign("pk-000000000000");
    let certificate = write(folder.path(), "cert.pem", &certificate.pem());
    let key = write(folder.path(), "key.pem", &key.serialize_pem());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cases = [
        (Tls { ca: Some(other), ..Tls::default() }, "localhost", Some("TLS handshake: invalid peer certificate")),
        (Tls { ca: Some(ca.clone()), ..Tls::default() }, "127.0.0.1", Some("invalid peer certificate")),
        (Tls { ca: Some("/nowhere".into()), ..Tls::default() }, "localhost", Some("/nowhere: ")),
        (Tls { ca: Some(ca.clone()), ..Tls::default() }, "localhost", Some("")),
        (Tls { ca: Some(ca), identity: Some((certificate, key)), ..Tls::default() }, "localhost", None),
    ];
    for (tls, host, refused) in cases {
        let settings = Settings { host: host.to_owned(), tls: Some(tls), ..settings(door, folder.path()) };
        let fake = outbox::tests::Fake::default();
        let mut courier = start(Some(settings), Box::new(fake.storage()), Arc::clone(&clock));
        for _ in 0..200 {
            spool(&mut courier, &*clock);
        }
        if let Some(text) = refused {
            let event = timeout(Duration::from_secs(10), courier.next()).await.unwrap();
            assert!(matches!(&event, Event::Disconnected { reason } if reason.contains(text)), "{event:?}");
            assert_eq!(broker.seen().connects.len(), 0);
        } else {
            drive(&mut courier, Duration::from_secs(20), emptied).await;
            check_arrivals(&broker.seen().arrived, 200);
        }
    }
}

/// A box without a battery-backed clock, before its time was set.
struct Unset;

impl Clock for Unset {
    fn mono(&self) -> crate::time::Mono {
        SystemClock.mono()
    }
    fn wall(&self) -> crate::time::Wall {
        crate::time::Wall { unix_ms: 40_000, synced: false }
    }
}

#[tokio::test]
async fn a_clock_that_says_1970_trusts_what_is_valid_and_nothing_else() {
    const DAY: i64 = 86_400;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let broker = Broker::start(|_| Script::default()).await;
    let ca = write(folder.path(), "ca.pem", &authority.certificate.pem());
    let (certificate, key) = authority.sign("pk-000000000000");
    let certificate = write(folder.path(), "cert.pem", &certificate.pem());
    let key = write(folder.path(), "key.pem", &key.serialize_pem());
    let clock: Arc<dyn Clock> = Arc::new(Unset);
    let built = crate::identity::now_s(clock.wall(), None);
    let cases = [
        (built - 30 * DAY..built + 60 * DAY, None, None),
        (built - 60 * DAY..built - DAY, None, Some("certificate expired")),
        (built + DAY..built + 60 * DAY, None, Some("certificate not valid yet")),
        // With the time of the last run.
        (built + DAY..built + 60 * DAY, Some(built + 2 * DAY), None),
        (built + DAY..built + 60 * DAY, Some(built + 61 * DAY), Some("certificate expired")),
    ];
    for (life, kept, refused) in cases {
        let door = tls_door(&authority, broker.port, life.clone()).await;
        let kept_time = kept.map(|kept| write(folder.path(), "time", &format!("{kept}\n")));
        let identity = Some((certificate.clone(), key.clone()));
        let tls = Tls { ca: Some(ca.clone()), identity, kept_time, pair: None };
        let settings = Settings { host: "localhost".to_owned(), tls: Some(tls), ..settings(door, folder.path()) };
        let fake = outbox::tests::Fake::default();
        let mut courier = start(Some(settings), Box::new(fake.storage()), Arc::clone(&clock));
        let event = timeout(Duration::from_secs(20), courier.next()).await.unwrap();
        match refused {
            None => assert!(matches!(event, Event::Connected { .. }), "{life:?} {kept:?}: {event:?}"),
            Some(text) => {
                let said = matches!(&event, Event::Disconnected { reason } if reason.contains(text));
                assert!(said, "{life:?} {kept:?}: {event:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // Bound, so that nobody else gets it, and not listening.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let fake = outbox::tests::Fake::default();
    let mut courier = start(Some(settings(port, folder.path())), Box::new(fake.storage()), clock);
    let Event::Disconnected { reason } = courier.next().await else { panic!("connected") };
    assert!(reason.starts_with(&format!("cannot reach the broker: 127.0.0.1:{port}: Connection refused")), "{reason}");
}

/// A Mosquitto on loopback; ended when dropped.
struct Mosquitto(std::process::Child);

impl Mosquitto {
    fn start(folder: &Path, port: u16, more: &str) -> Self {
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n{more}\n");
        let file = write(folder, "mosquitto.conf", &text);
        let mut command = std::process::Command::new("/usr/sbin/mosquitto");
        command.arg("-c").arg(file).stderr(std::process::Stdio::null());
        let mosquitto = Self(command.spawn().expect("this test needs /usr/sbin/mosquitto: apt-get install mosquitto"));
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return mosquitto;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(mosquitto);
        panic!("mosquitto does not listen on port {port}");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Collects what arrives at a subscriber of `port`, by number.
async fn collect(port: u16, into: Arc<std::sync::Mutex<Vec<(String, String)>>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Ok(mut tcp) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { continue };
        // MQTT 3.1.1, clean session, no keep-alive; then QoS 0 for everything.
        tcp.write_all(b"\x10\x0f\0\x04MQTT\x04\x02\0\0\0\x03sub\x82\x06\0\x01\0\x01#\0").await.unwrap();
        let (mut buffer, mut bytes) = (Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = tcp.read(&mut bytes).await {
            buffer.extend_from_slice(&bytes[..n]);
            while let Some((packet, rest)) = split_packet(&buffer) {
                if packet[0] >> 4 == 3 {
                    let length = usize::from(u16::from_be_bytes([packet[1], packet[2]]));
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    into.lock().unwrap().push((text(&packet[3..3 + length]), text(&packet[3 + length..])));
                }
                buffer = rest;
            }
        }
    }
}

/// First byte and content of the first packet, and what follows.
fn split_packet(buffer: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *buffer.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let content = buffer.get(at..at + length)?;
    Some(([&buffer[..1], content].concat(), buffer[at + length..].to_vec()))
}

#[tokio::test]
async fn mosquitto_that_forgets_everything_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut mosquitto = Some(Mosquitto::start(folder.path(), port, ""));
    let arrived = Arc::new(std::sync::Mutex::new(Vec::new()));
    let collector = tokio::spawn(collect(port, Arc::clone(&arrived)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = Settings { keep_alive: Duration::from_secs(5), ..settings(port, folder.path()) };
    let disk = Disk::new(folder.path().join("outbox"));
    let mut courier = start(Some(settings), Box::new(disk), Arc::clone(&clock));
    courier.retain(retained("picket/1/pk-000000000000/info", "{\"info\":1}", Qos::AtLeastOnce));
    for round in 0..3 {
        for _ in 0..100 {
            spool(&mut courier, &*clock);
        }
        drive(&mut courier, Duration::from_secs(30), emptied).await;
        if round < 2 {
            // Killed, with its sessions and its retained messages.
            drop(mosquitto.take());
            spool(&mut courier, &*clock);
            drive(&mut courier, Duration::from_secs(10), |c| !c.counters().connected).await;
            mosquitto = Some(Mosquitto::start(folder.path(), port, ""));
        }
    }
    let counters = courier.counters();
    courier.stop(Duration::from_secs(2)).await;
    assert!(counters.reconnects >= 2 && counters.outbox.dropped + counters.outbox.refused == 0, "{counters:?}");
    drop(mosquitto);
    collector.abort();
    let arrived = arrived.lock().unwrap();
    let count = |body: &str| arrived.iter().filter(|(_, payload)| payload == body).count();
    assert!(count("{\"info\":1}") >= 2, "the retained set comes back by itself");
    // The subscriber misses what comes before it is back; what it sees for the first time is in order.
    let mut seen = std::collections::BTreeSet::new();
    for (_, body) in arrived.iter() {
        let number = body.strip_prefix("{\"seq\":").and_then(|rest| rest.split(['}', ',']).next()?.parse::<u64>().ok());
        if let Some(seq) = number.filter(|seq| seen.insert(*seq)) {
            assert_eq!(seen.last(), Some(&seq));
        }
    }
    assert_eq!(seen.last(), Some(&302));
    assert!(arrived.last().is_some_and(|(topic, body)| topic.ends_with("/status") && body.contains("stopping")));
    println!("{} messages at the subscriber, {} reconnects", arrived.len(), counters.reconnects);
}

#[tokio::test]
async fn mosquitto_that_finds_a_message_too_large_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _mosquitto = Mosquitto::start(folder.path(), port, "message_size_limit 300");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let disk = Disk::new(folder.path().join("outbox"));
    let mut courier = start(Some(settings(port, folder.path())), Box::new(disk), Arc::clone(&clock));
    spool(&mut courier, &*clock);
    let made = Made { wall: clock.wall(), mono: clock.mono(), boot: BootId::from_kernel("0badcafe") };
    let body = format!("{{\"seq\":2,\"x\":\"{}\"}}", "x".repeat(500)).into_bytes();
    courier.spool(Entry { seq: 2, incident: "big".into(), step: Step::Raised, topic: "event".into(), made, body });
    for _ in 0..20 {
        spool(&mut courier, &*clock);
    }
    let events = drive(&mut courier, Duration::from_secs(60), emptied).await;
    assert!(events.contains(&Event::Refused { seq: 2 }), "{events:?}");
    assert_eq!((courier.counters().outbox.refused, courier.counters().reconnects), (1, 0), "{events:?}");
}
