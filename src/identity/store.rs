//! The pairs of this box on disk, below `tls` of the state folder (mode 0700). Each is a folder of its own:
//!
//! | file | |
//! |---|---|
//! | `key.pem` | made here, mode 0600 |
//! | `request.pem` | the signing request for it |
//! | `cert.pem` | the certificate and its issuers; in `next` it is on trial |
//! | `ca.pem` | who may have signed the broker's certificate, where that was given too |
//! | `trial` | the command that brought the certificate, "" for none |
//! | `refused` | why the certificate before did not stay |
//!
//! A new pair comes to its place by renaming folders; what a power cut leaves half done the next who locks it ends.

use super::certificate::{Chain, Wrong, certificates};
use super::files::{sync, write_whole};
use crate::ids::DeviceId;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const KEY: &str = "key.pem";
const REQUEST: &str = "request.pem";
const CERT: &str = "cert.pem";
const CA: &str = "ca.pem";
const TRIAL: &str = "trial";
const REFUSED: &str = "refused";
/// Longer files are no certificates.
const BYTES_MAX: u64 = 256 << 10;

/// Why there is no request, or no certificate was taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("{}", path.display())]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No key could be made.
    #[error("no key can be made: {0}")]
    Key(String),
    /// Nothing was asked for.
    #[error("no key waits for a certificate: make a request first")]
    NoRequest,
    /// One after the other.
    #[error("a certificate is on trial: wait for the broker's answer")]
    Busy,
    /// The certificate.
    #[error("the certificate {0}")]
    Certificate(Wrong),
    /// The authorities.
    #[error("the authorities' file {0}")]
    Authorities(Wrong),
}

impl Error {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Disk { .. } => "disk",
            Error::Key(_) => "key",
            Error::NoRequest => "no_request",
            Error::Busy => "busy",
            Error::Certificate(wrong) => wrong.code(),
            Error::Authorities(_) => "bad_authorities",
        }
    }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { path, source }
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    folder: PathBuf,
}

impl Pair {
    /// In this folder.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }
    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
    /// Its private key.
    pub fn key(&self) -> PathBuf {
        self.folder.join(KEY)
    }
    /// Its certificate.
    pub fn cert(&self) -> PathBuf {
        self.folder.join(CERT)
    }
    /// Authorities that came with it.
    pub fn ca(&self) -> PathBuf {
        self.folder.join(CA)
    }
    /// Whether it has a certificate.
    pub fn is_whole(&self) -> bool {
        self.cert().exists()
    }
    /// Its signing request, PEM.
    pub fn request(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join(REQUEST)).ok().filter(|_| self.key().exists())
    }
    /// The certificate, if it can be read.
    pub fn chain(&self) -> Option<Chain> {
        Chain::read(&read(&self.cert()).ok()?).ok()
    }
    /// The command that brought its certificate, "" for none.
    pub fn command(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join(TRIAL)).ok()
    }
    /// Why its last certificate did not stay.
    pub fn refused(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join(REFUSED)).ok()
    }
}

/// A file of sane length.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = path.metadata()?.len();
    if length > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{length} bytes")));
    }
    std::fs::read(path)
}

/// Who may have signed the broker's certificate.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// As until now.
    Kept,
    /// These, PEM.
    New(&'a [u8]),
}

/// What is to be installed, and how it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Install<'a> {
    /// The certificate and its issuers, PEM.
    pub chain: &'a [u8],
    /// The broker's authorities.
    pub authority: Authority<'a>,
    /// Whom it must name; `None` for anybody.
    pub device: Option<&'a DeviceId>,
    /// The time, Unix seconds, see [`super::now_s`].
    pub now_s: i64,
    /// Whether the clock is trusted.
    pub trusted: bool,
    /// The command that brings it, "" for none.
    pub command: &'a str,
}

/// What became of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It counts from the next connection on: there was none before, and it was brought by hand.
    Current,
    /// The one before stays until the broker has accepted it.
    OnTrial,
}

/// The pairs of one box.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Of the box with this state folder. Makes nothing yet.
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("tls") }
    }
    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
    /// The pair that is used.
    pub fn current(&self) -> Pair {
        Pair { folder: self.folder.join("current") }
    }
    /// The pair to come.
    pub fn next(&self) -> Pair {
        Pair { folder: self.folder.join("next") }
    }
    fn former(&self) -> PathBuf {
        self.folder.join("former")
    }

    /// The signing request of the pair to come, PEM; its key is made first where none waits, or where a `fresh` one is
    /// wanted.
    pub fn request(&self, device: &DeviceId, fresh: bool) -> Result<String, Error> {
        let _lock = self.lock()?;
        let next = self.next();
        if next.is_whole() {
            return Err(Error::Busy);
        }
        if let Some(request) = next.request().filter(|_| !fresh) {
            return Ok(request);
        }
        let (key, request) = made(device).map_err(|error| Error::Key(error.to_string()))?;
        // The request last: it is what tells that the key is whole.
        remove(&next.folder)?;
        make(&next.folder)?;
        self.write(&next.key(), key.as_bytes())?;
        self.write(&next.folder.join(REQUEST), request.as_bytes())?;
        Ok(request)
    }

    /// Takes a certificate for the key that waits. It is checked in full first; nothing changes when it is no good.
    pub fn install(&self, what: &Install) -> Result<Installed, Error> {
        let _lock = self.lock()?;
        let (current, next) = (self.current(), self.next());
        if next.is_whole() {
            return Err(Error::Busy);
        }
        let chain = Chain::read(what.chain).map_err(Error::Certificate)?;
        let key = read(&next.key()).map_err(|_| Error::NoRequest)?;
        chain.fits(&key).map_err(Error::Certificate)?;
        chain.is_for_clients().map_err(Error::Certificate)?;
        chain.lives(what.now_s, what.trusted).map_err(Error::Certificate)?;
        if let Some(device) = what.device {
            chain.is_for(device).map_err(Error::Certificate)?;
        }
        let kept = match what.authority {
            Authority::New(text) => {
                certificates(text).map_err(Error::Authorities)?;
                Some(text.to_vec())
            }
            Authority::Kept => read(&current.ca()).ok(),
        };
        match kept {
            Some(text) => self.write(&next.ca(), &text)?,
            None => remove_file(&next.ca())?,
        }
        remove_file(&next.folder.join(REFUSED))?;
        self.write(&next.folder.join(TRIAL), what.command.as_bytes())?;
        // The certificate last: with it the trial begins.
        self.write(&next.cert(), what.chain)?;
        // Whoever brings the first one from afar has a connection to lose.
        if current.is_whole() || !what.command.is_empty() {
            return Ok(Installed::OnTrial);
        }
        self.promote_locked()?;
        Ok(Installed::Current)
    }

    /// The broker has accepted the pair to come: it is the one that is used, and the one before goes.
    pub fn promote(&self) -> Result<(), Error> {
        let _lock = self.lock()?;
        self.promote_locked()
    }

    fn promote_locked(&self) -> Result<(), Error> {
        let (current, next, former) = (self.current().folder, self.next().folder, self.former());
        remove(&former)?;
        if current.exists() {
            std::fs::rename(&current, &former).map_err(disk(&current))?;
        }
        std::fs::rename(&next, &current).map_err(disk(&next))?;
        sync(&self.folder).map_err(disk(&self.folder))?;
        remove(&former)
    }

    /// The broker has not: its certificate goes, its key waits for another one.
    pub fn refuse(&self, reason: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let next = self.next();
        self.write(&next.folder.join(REFUSED), reason.as_bytes())?;
        remove_file(&next.cert())
    }

    /// Nobody else changes anything while this lives.
    fn lock(&self) -> Result<Flock<File>, Error> {
        make(&self.folder)?;
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(disk(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| disk(&path)(error.into()))?;
        self.mend()?;
        Ok(lock)
    }

    /// Ends what was cut short.
    fn mend(&self) -> Result<(), Error> {
        let (current, next, former) = (self.current().folder, self.next().folder, self.former());
        if !former.exists() {
            return Ok(());
        }
        if !current.exists() {
            let back = if next.exists() { &next } else { &former };
            std::fs::rename(back, &current).map_err(disk(back))?;
            sync(&self.folder).map_err(disk(&self.folder))?;
        }
        remove(&former)
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        write_whole(path, content, 0o600).map_err(disk(path))
    }
}

fn make(folder: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk(folder))
}

/// With all that is in it. It need not be there.
fn remove(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(folder)(error)),
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(path)(error)),
        _ => Ok(()),
    }
}

/// A key (P-256: a broker signs thirteen times as many of these per second as RSA-2048) and its signing request, PEM.
fn made(device: &DeviceId) -> Result<(String, String), rcgen::Error> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut wanted = rcgen::CertificateParams::new(vec![device.as_str().to_owned()])?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(rcgen::DnType::CommonName, device.as_str());
    wanted.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    wanted.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let request = wanted.serialize_request(&key)?.pem()?;
    Ok((key.serialize_pem(), request))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
