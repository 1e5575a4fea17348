//! TLS towards the broker: rustls with ring. The files are read for each connection, so that renewed certificates count
//! without a restart.

use super::Tls;
use super::visit::Secured;
use crate::identity::{self, Pair};
use crate::time::Clock;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where distributions keep the authorities that they trust: Debian and OpenEmbedded, Fedora, Alpine.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read or holds no PEM.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No authority is known.
    #[error("no certificate authorities: name a `ca` file or install ca-certificates")]
    NoAuthority,
    /// Certificate and key do not fit, or the like.
    #[error("TLS settings")]
    Settings(#[source] rustls::Error),
}

/// The time by which certificates are judged: a box without a battery-backed clock starts in 1970.
struct FloorTime {
    clock: Arc<dyn Clock>,
    kept: Option<PathBuf>,
}

impl fmt::Debug for FloorTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FloorTime")
    }
}

impl TimeProvider for FloorTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now_s = identity::now_s(self.clock.wall(), self.kept.as_deref());
        Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now_s).unwrap_or(0))))
    }
}

/// What `tls` says, read from its files.
pub fn client_config(tls: &Tls, clock: Arc<dyn Clock>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = tls.pair.as_deref().filter(|_| tls.identity.is_none()).map(Pair::at).filter(Pair::is_whole);
    let brought = made.as_ref().map(Pair::ca).filter(|path| path.exists());
    let builder =
        ClientConfig::builder_with_details(provider, Arc::new(FloorTime { clock, kept: tls.kept_time.clone() }))
            .with_safe_default_protocol_versions()
            .map_err(Error::Settings)?
            .with_root_certificates(authorities(tls.ca.as_deref().or(brought.as_deref()))?);
    match tls.identity.clone().or_else(|| made.map(|pair| (pair.cert(), pair.key()))) {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(&certificate)?;
            let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| of_file(&key, &error))?;
            builder.with_client_auth_cert(chain, key).map_err(Error::Settings)
        }
    }
}

/// What a connection came to.
pub fn secured(connection: &rustls::ClientConnection) -> Secured {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "of an unknown version",
    };
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let parsed = certificate.and_then(|certificate| x509_parser::parse_x509_certificate(certificate).ok());
    let not_after = parsed.map(|(_, certificate)| certificate.validity().not_after.timestamp().saturating_mul(1000));
    Secured { version, not_after }
}

fn authorities(file: Option<&Path>) -> Result<rustls::RootCertStore, Error> {
    let mut store = rustls::RootCertStore::empty();
    let found = SYSTEM_BUNDLES.into_iter().map(Path::new).find(|path| path.exists());
    let path = file.or(found).ok_or(Error::NoAuthority)?;
    // A system bundle may hold what rustls does not take; a file with nothing usable is a mistake.
    let (taken, _) = store.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        return Err(Error::File { path: path.to_owned(), reason: "no usable certificate in it".to_owned() });
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pems = CertificateDer::pem_file_iter(path).map_err(|error| of_file(path, &error))?;
    pems.collect::<Result<_, _>>().map_err(|error| of_file(path, &error))
}

fn of_file(path: &Path, error: &rustls::pki_types::pem::Error) -> Error {
    Error::File { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Mono, Wall};

    struct At(i64);
    impl Clock for At {
        fn mono(&self) -> Mono {
            Mono(0)
        }
        fn wall(&self) -> Wall {
            Wall { unix_ms: self.0, synced: false }
        }
    }

    #[test]
    fn a_wrong_file_is_named() {
        let tls = Tls { ca: Some("/nowhere/ca.pem".into()), ..Tls::default() };
        let error = client_config(&tls, Arc::new(At(0))).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/ca.pem: "), "{error}");
    }
}
