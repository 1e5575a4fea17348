//! TCP and TLS to the broker, handed to the client library as a unix socket: its own TLS pins an outdated webpki, and
//! it sets neither nodelay nor a limit for unacknowledged bytes.

use super::mend::Mender;
use super::visit::Secured;
use super::{Settings, tls};
use crate::time::Clock;
use rustls::pki_types::ServerName;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// For one address; the next one is tried then.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is not known.
    #[error("cannot resolve {host}")]
    Name {
        /// Which name.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No address of the host takes a connection.
    #[error("{host}:{port}")]
    Tcp {
        /// Which host.
        host: String,
        /// Which port.
        port: u16,
        /// What the last address said.
        #[source]
        source: io::Error,
    },
    /// The handshake failed.
    #[error("TLS handshake")]
    Handshake(#[source] io::Error),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The host is neither a name nor an address.
    #[error("{0} is no name that a certificate could have")]
    ServerName(String),
    /// The unix socket.
    #[error("socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to the broker that waits for the client library at a unix socket. Ends when dropped.
pub struct Tunnel {
    path: PathBuf,
    task: JoinHandle<()>,
    fault: Arc<OnceLock<String>>,
}

impl Tunnel {
    /// Connects to the broker, then opens the socket at `path`.
    pub async fn open(settings: &Settings, path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (upstream, _) = connect(settings, clock).await?;
        let listener = listen(&path).map_err(|source| Error::Socket { path: path.clone(), source })?;
        let (door, fault) = (path.clone(), Arc::new(OnceLock::new()));
        let told = Arc::clone(&fault);
        let task = tokio::spawn(async move {
            if let Ok((inside, _)) = listener.accept().await {
                // One connection each: nobody else can come in.
                drop(listener);
                let _ = std::fs::remove_file(door);
                carry(inside, upstream, &told).await;
            }
        });
        Ok(Self { path, task, fault })
    }

    /// What TLS said at the end: with its version 1.3 the broker refuses our certificate only after the handshake, and the
    /// client library hears of an end alone.
    pub fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    /// Waits until all that was written has gone to the broker and both sides closed.
    pub async fn drained(&mut self, within: Duration) {
        let _ = timeout(within, &mut self.task).await;
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Passes everything on until both sides have closed. How it ended is told by the client library, whose socket closes.
async fn carry(mut inside: UnixStream, upstream: Box<dyn Stream>, fault: &OnceLock<String>) {
    let (mut inside_read, mut inside_write) = inside.split();
    let (mut broker_read, mut broker_write) = tokio::io::split(upstream);
    let up = async {
        let _ = copy(&mut inside_read, &mut broker_write).await;
        let _ = broker_write.shutdown().await;
    };
    let down = async {
        let mut mender = Mender::default();
        let mut bytes = [0; 4096];
        loop {
            let count = match broker_read.read(&mut bytes).await {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => {
                    // What TLS says; that the peer is gone the client library tells.
                    if error.kind() == io::ErrorKind::InvalidData {
                        let _ = fault.set(error.to_string());
                    }
                    break;
                }
            };
            if inside_write.write_all(&mender.mend(&bytes[..count])).await.is_err() {
                break;
            }
        }
        let _ = inside_write.shutdown().await;
    };
    tokio::join!(up, down);
}

/// A path for a socket that this process did not use before.
pub fn socket_path(folder: &Path) -> PathBuf {
    static USED: AtomicU64 = AtomicU64::new(0);
    folder.join(format!("mqtt-{}-{}", std::process::id(), USED.fetch_add(1, Ordering::Relaxed)))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Left by a process that was killed and had our number.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A line to the broker, and how it is secured.
pub async fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> Result<(Box<dyn Stream>, Option<Secured>), Error> {
    // Before the network is asked: a wrong file is a mistake that stays.
    let config = settings.tls.as_ref().map(|tls| tls::client_config(tls, clock)).transpose()?;
    let tcp = connect_tcp(settings).await?;
    let Some(config) = config else { return Ok((Box::new(tcp), None)) };
    let name = ServerName::try_from(settings.host.clone()).map_err(|_| Error::ServerName(settings.host.clone()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
    let stream = timeout(HANDSHAKE_MAX, handshake).await.map_err(|_| Error::Handshake(late()))?;
    let stream = stream.map_err(Error::Handshake)?;
    let secured = tls::secured(stream.get_ref().1);
    Ok((Box::new(stream), Some(secured)))
}

/// Tries all addresses of the host, in the resolver's order.
async fn connect_tcp(settings: &Settings) -> Result<TcpStream, Error> {
    let Settings { host, port, .. } = settings;
    let addresses =
        lookup_host((host.as_str(), *port)).await.map_err(|source| Error::Name { host: host.clone(), source })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    for address in addresses {
        let tried = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
        let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer from {}", address.ip())));
        match tried.unwrap_or_else(late).and_then(|tcp| prepare(tcp, settings.keep_alive)) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(Error::Tcp { host: host.clone(), port: *port, source: last })
}

fn prepare(tcp: TcpStream, keep_alive: Duration) -> io::Result<TcpStream> {
    // With Nagle an acknowledgement waits for the next message (measured: 20 ms instead of 0.1 ms).
    tcp.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&tcp);
    socket.set_tcp_user_timeout(Some(keep_alive.mul_f64(1.5)))?;
    Ok(tcp)
}
