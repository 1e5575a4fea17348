//! What certificates say, and whether one is fit for this box.

use super::{DAY_S, days};
use crate::ids::DeviceId;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A chain has a leaf and a few authorities.
const CHAIN_MAX: usize = 8;

/// Why a certificate is of no use. Told behind the file's name: "device.pem: holds no certificate".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Wrong {
    /// Nothing in it.
    #[error("holds no certificate: one begins with -----BEGIN CERTIFICATE-----")]
    Empty,
    /// Torn or no PEM.
    #[error("is no whole PEM file: {0}")]
    Pem(String),
    /// PEM, but no X.509.
    #[error("its certificate {0} cannot be read")]
    Form(usize),
    /// Of a version before extensions: it cannot say what it is for, and TLS takes none such.
    #[error(
        "its certificate 1 is of X.509 version {0}, and TLS takes version 3 only: issue it with extensions, as `openssl \
         x509 -req` does only with -extfile FILE, where FILE holds a line such as extendedKeyUsage=clientAuth"
    )]
    Version(u32),
    /// Too many.
    #[error("holds {0} certificates: the device's own and its issuers are {CHAIN_MAX} at most")]
    Long(usize),
    /// Not a chain.
    #[error(
        "its certificate {0} was not issued by the next one: the device's own comes first, then its issuer, and so on"
    )]
    Order(usize),
    /// The first is no device's.
    #[error("its first certificate is an authority's: the device's own comes first")]
    Authority,
    /// May not be used here.
    #[error("is not for TLS clients (extended key usage clientAuth)")]
    Usage,
    /// Made for another key.
    #[error("belongs to another key than this box's")]
    Key,
    /// A key that cannot be read.
    #[error("this box's key cannot be read: {0}")]
    KeyForm(String),
    /// Made for another device.
    #[error("is for {has}, and this box is {wants}")]
    Device {
        /// Whom it names.
        has: String,
        /// Who we are.
        wants: String,
    },
    /// Over.
    #[error("ended {0:.1} days ago")]
    Over(f64),
    /// Not begun.
    #[error("is valid only in {0:.1} days")]
    Early(f64),
}

impl Wrong {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Wrong::Key | Wrong::KeyForm(_) => "wrong_key",
            Wrong::Device { .. } => "wrong_device",
            Wrong::Over(_) => "expired_certificate",
            Wrong::Early(_) => "early_certificate",
            _ => "bad_certificate",
        }
    }
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Common name of its subject.
    pub name: Option<String>,
    /// DNS names that it is for.
    pub dns: Vec<String>,
    /// First second of its life, Unix time.
    pub from_s: i64,
    /// Last second of its life, Unix time.
    pub until_s: i64,
    /// Whether it may sign others.
    pub authority: bool,
    /// Whether a TLS client may show it.
    for_clients: bool,
    /// Of X.509.
    version: u32,
    subject: Vec<u8>,
    issuer: Vec<u8>,
}

impl Certificate {
    fn read(der: &[u8]) -> Option<Self> {
        let (rest, read) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(shown);
        let mut dns = Vec::new();
        for name in read.subject_alternative_name().ok()?.iter().flat_map(|names| &names.value.general_names) {
            if let GeneralName::DNSName(text) = name {
                dns.push(shown(text));
            }
        }
        let usage = read.extended_key_usage().ok()?;
        Some(Self {
            name,
            dns,
            from_s: read.validity().not_before.timestamp(),
            until_s: read.validity().not_after.timestamp(),
            authority: read.is_ca(),
            for_clients: usage.is_none_or(|usage| usage.value.client_auth || usage.value.any),
            version: read.version().0.saturating_add(1),
            subject: read.subject().as_raw().to_vec(),
            issuer: read.issuer().as_raw().to_vec(),
        })
    }

    /// Whom it names, for people.
    pub fn subject(&self) -> &str {
        self.name.as_deref().or(self.dns.first().map(String::as_str)).unwrap_or("nobody")
    }

    /// Whether it names this device.
    pub fn is_for(&self, device: &DeviceId) -> bool {
        self.name.iter().chain(&self.dns).any(|name| name == device.as_str())
    }

    /// When it should be renewed: at two thirds of its life.
    pub fn renew_s(&self) -> i64 {
        self.until_s.saturating_sub(self.life_s() / 3)
    }

    fn life_s(&self) -> i64 {
        self.until_s.saturating_sub(self.from_s).max(0)
    }
}

/// Names go to terminals.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// How much of a certificate's life is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing to do.
    Good,
    /// Two thirds of its life are over: it should be renewed.
    Due,
    /// 30 days are left.
    Month,
    /// 7 days.
    Week,
    /// One day.
    Day,
    /// None.
    Over,
}

/// How `certificate` stands at `now_s`. One that lives for less than 90 days has other limits, in proportion: else it would be
/// in alarm from its first day.
pub fn standing(certificate: &Certificate, now_s: i64) -> Standing {
    let left = certificate.until_s.saturating_sub(now_s);
    let within = |most: i64| left <= (most * DAY_S).min(certificate.life_s() / 90 * most);
    match () {
        () if left < 0 => Standing::Over,
        () if within(1) => Standing::Day,
        () if within(7) => Standing::Week,
        () if within(30) => Standing::Month,
        () if now_s >= certificate.renew_s() => Standing::Due,
        () => Standing::Good,
    }
}

/// All certificates of a PEM text, in its order.
pub fn certificates(text: &[u8]) -> Result<Vec<Certificate>, Wrong> {
    read(text).map(|all| all.into_iter().map(|(_, certificate)| certificate).collect())
}

fn read(text: &[u8]) -> Result<Vec<(CertificateDer<'static>, Certificate)>, Wrong> {
    let of_pem = |error: pem::Error| Wrong::Pem(error.to_string());
    let mut all = Vec::new();
    for der in CertificateDer::pem_slice_iter(text) {
        let der = der.map_err(of_pem)?;
        let certificate = Certificate::read(&der).ok_or(Wrong::Form(all.len() + 1))?;
        all.push((der, certificate));
    }
    if all.is_empty() { Err(Wrong::Empty) } else { Ok(all) }
}

/// A device's certificate and those that issued it.
#[derive(Clone, Debug)]
pub struct Chain {
    der: Vec<CertificateDer<'static>>,
    all: Vec<Certificate>,
}

impl Chain {
    /// From PEM, the device's own first.
    pub fn read(text: &[u8]) -> Result<Self, Wrong> {
        let (der, all): (Vec<_>, Vec<Certificate>) = read(text)?.into_iter().unzip();
        if all.len() > CHAIN_MAX {
            return Err(Wrong::Long(all.len()));
        }
        if all[0].version != 3 {
            return Err(Wrong::Version(all[0].version));
        }
        if all.len() > 1 && all[0].authority {
            return Err(Wrong::Authority);
        }
        match all.windows(2).position(|pair| pair[0].issuer != pair[1].subject) {
            Some(at) => Err(Wrong::Order(at + 1)),
            None => Ok(Self { der, all }),
        }
    }

    /// The device's own.
    pub fn leaf(&self) -> &Certificate {
        // `read` lets no empty one pass.
        &self.all[0]
    }

    /// The one whose life ends first.
    pub fn shortest(&self) -> &Certificate {
        self.all.iter().min_by_key(|certificate| certificate.until_s).unwrap_or(self.leaf())
    }

    /// Whether the private key (PEM) is the leaf's.
    pub fn fits(&self, key: &[u8]) -> Result<(), Wrong> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Wrong::KeyForm(error.to_string()))?;
        let provider = rustls::crypto::ring::default_provider();
        match CertifiedKey::from_der(self.der.clone(), key, &provider) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => Err(Wrong::Key),
            Err(error) => Err(Wrong::KeyForm(error.to_string())),
        }
    }

    /// Whether it can be used at `now_s`; when the clock is not trusted that is the earliest that it can be, and a
    /// beginning still to come says nothing.
    pub fn lives(&self, now_s: i64, trusted: bool) -> Result<(), Wrong> {
        for certificate in &self.all {
            if certificate.until_s < now_s {
                return Err(Wrong::Over(-days(certificate.until_s, now_s)));
            }
            if trusted && certificate.from_s > now_s {
                return Err(Wrong::Early(days(certificate.from_s, now_s)));
            }
        }
        Ok(())
    }

    /// Whether TLS clients may show it.
    pub fn is_for_clients(&self) -> Result<(), Wrong> {
        if self.leaf().for_clients { Ok(()) } else { Err(Wrong::Usage) }
    }

    /// Whether it names this device.
    pub fn is_for(&self, device: &DeviceId) -> Result<(), Wrong> {
        let leaf = self.leaf();
        let other = || Wrong::Device { has: leaf.subject().to_owned(), wants: device.as_str().to_owned() };
        if leaf.is_for(device) { Ok(()) } else { Err(other()) }
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
