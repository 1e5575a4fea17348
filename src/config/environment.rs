//! Whether the world is as the configuration says: files there, readable, and what they should be; state folder writable.

use super::Config;
use super::layers::reason;
use crate::identity::Pair;
use crate::source::Input;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Larger files are no certificate, key or password, and are not read.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Something outside the configuration that is not as it should be. Exit code 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key that names it: "broker.ca".
    pub key: String,
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}\n      right: {}", self.key, self.path.display(), self.wrong, self.right)
    }
}

/// Looks at every file and folder that `config` names, as the user who runs this. Changes nothing that stays.
pub fn check_environment(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(broker) = &config.broker {
        let tls = broker.tls.clone().unwrap_or_default();
        if let Some(ca) = &tls.ca {
            found.extend(certificates("broker.ca", ca));
        }
        let made = tls.pair.as_deref().map(Pair::at).filter(Pair::is_whole).map(|pair| (pair.cert(), pair.key()));
        if let Some((cert, key)) = tls.identity.as_ref().or(made.as_ref()) {
            found.extend(certificates("broker.cert", cert));
            found.extend(private_key("broker.key", key));
        }
        if let Some(path) = &broker.password_file {
            found.extend(password("broker.password_file", path));
        }
    }
    found.extend(writable("device.state_dir", &config.device.state_dir));
    for source in &config.sources {
        let key = |name: &str| format!("source[{}].{name}", source.id);
        match &source.input {
            Input::File(path) => {
                found.extend(opened(&key("input"), path, "a media file that this user may read").err());
            }
            Input::Capture(taps) => found.extend(taps.faults().into_iter().map(|(name, node, wrong)| {
                let right = match name {
                    "relay" => "an output node that this user may write to: modprobe v4l2loopback",
                    _ => "a capture device that this user may open (group video); picket probe lists them",
                };
                finding(&key(name), Path::new(&node), wrong, right)
            })),
            Input::Stdin | Input::Url(_) | Input::Pattern(_) => {}
        }
    }
    found
}

pub(super) fn finding(key: &str, path: &Path, wrong: impl Into<String>, right: &str) -> Finding {
    Finding { key: key.to_owned(), path: path.to_owned(), wrong: wrong.into(), right: right.to_owned() }
}

/// A regular file that opens.
fn opened(key: &str, path: &Path, right: &str) -> Result<(std::fs::File, std::fs::Metadata), Finding> {
    let fault = |error: std::io::Error| finding(key, path, reason(&error), right);
    let metadata = std::fs::metadata(path).map_err(fault)?;
    if metadata.is_dir() {
        return Err(finding(key, path, "is a folder", right));
    }
    // Opening a FIFO would wait for its writer.
    if !metadata.is_file() {
        return Err(finding(key, path, "is no regular file", right));
    }
    let file = std::fs::File::open(path).map_err(fault)?;
    Ok((file, metadata))
}

pub(super) fn contents(key: &str, path: &Path, right: &str) -> Result<(Vec<u8>, u32), Finding> {
    let (mut file, metadata) = opened(key, path, right)?;
    if metadata.len() > SECRET_BYTES_MAX {
        return Err(finding(key, path, format!("has {} bytes", metadata.len()), right));
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).map_err(|error| finding(key, path, reason(&error), right))?;
    Ok((bytes, metadata.permissions().mode()))
}

/// At least one certificate, all of them well-formed PEM.
fn certificates(key: &str, path: &Path) -> Option<Finding> {
    let right = "a PEM file that begins with -----BEGIN CERTIFICATE-----";
    let (bytes, _) = match contents(key, path, right) {
        Ok(read) => read,
        Err(finding) => return Some(finding),
    };
    match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => Some(finding(key, path, "holds no certificate", right)),
        Ok(_) => None,
        Err(error) => Some(finding(key, path, format!("is no whole PEM file: {error}"), right)),
    }
}

/// One private key that nobody but owner and group may read.
fn private_key(key: &str, path: &Path) -> Option<Finding> {
    let right = "a PEM file with one private key (PKCS#8, SEC1 or PKCS#1) without a passphrase";
    let (bytes, mode) = match contents(key, path, right) {
        Ok(read) => read,
        Err(finding) => return Some(finding),
    };
    if PrivateKeyDer::from_pem_slice(&bytes).is_err() {
        return Some(finding(key, path, "holds no private key that Picket can read", right));
    }
    private(key, path, mode)
}

fn password(key: &str, path: &Path) -> Option<Finding> {
    let right = "a file with the password alone";
    let (bytes, mode) = match contents(key, path, right) {
        Ok(read) => read,
        Err(finding) => return Some(finding),
    };
    let empty = bytes.iter().all(u8::is_ascii_whitespace);
    if empty { Some(finding(key, path, "is empty", right)) } else { private(key, path, mode) }
}

/// Others must not read it, and its group must not change it. The group may read: /etc/picket/tls belongs to root.
fn private(key: &str, path: &Path, mode: u32) -> Option<Finding> {
    let wrong = format!(
        "has mode {:04o}: others than its owner and group may read it, or its group may change it",
        mode & 0o7777
    );
    (mode & 0o027 != 0).then(|| finding(key, path, wrong, "mode 0640 or 0600"))
}

/// A folder that can be written, or that can be made because the nearest one above it can.
fn writable(key: &str, folder: &Path) -> Option<Finding> {
    let right = "a folder that Picket's user may write to";
    let there = folder.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    let at = if there == folder { String::new() } else { format!("cannot be made: {} ", there.display()) };
    if !there.is_dir() {
        return Some(finding(key, folder, format!("{at}is no folder"), right));
    }
    // Mode bits do not tell of read-only mounts and full disks; writing does.
    let probe = there.join(format!(".picket-check-{}", std::process::id()));
    match std::fs::OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => std::fs::remove_file(&probe).err().map(|error| finding(key, folder, reason(&error), right)),
        Err(error) => Some(finding(key, folder, format!("{at}cannot be written to: {}", reason(&error)), right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> std::io::Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    fn wrong(finding: Option<Finding>) -> String {
        finding.map(|finding| finding.wrong).unwrap_or_default()
    }

    #[test]
    fn certificates_and_keys_are_read() -> TestResult {
        let folder = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(vec!["box".to_owned()])?;
        let cert = file(folder.path(), "cert.pem", &made.cert.pem(), 0o644)?;
        let key = file(folder.path(), "key.pem", &made.signing_key.serialize_pem(), 0o640)?;
        assert_eq!(certificates("broker.cert", &cert), None);
        assert_eq!(private_key("broker.key", &key), None);
        assert_eq!(wrong(certificates("broker.cert", &key)), "holds no certificate");
        assert_eq!(wrong(private_key("broker.key", &cert)), "holds no private key that Picket can read");
        let open = file(folder.path(), "open.pem", &made.signing_key.serialize_pem(), 0o644)?;
        assert!(wrong(private_key("broker.key", &open)).starts_with("has mode 0644"));
        let torn = made.cert.pem().replace("-----END", "-----ENT");
        let torn = file(folder.path(), "torn.pem", &torn, 0o644)?;
        assert!(wrong(certificates("broker.ca", &torn)).starts_with("is no whole PEM file"));
        Ok(())
    }

    #[test]
    fn files_that_are_not_there_are_told() -> TestResult {
        let folder = tempfile::tempdir()?;
        let missing = folder.path().join("ca.pem");
        let told = certificates("broker.ca", &missing).map(|finding| finding.to_string());
        let path = missing.display();
        let expected = format!(
            "broker.ca: {path}: no such file or directory\n      right: a PEM file that begins with -----BEGIN CERTIFICATE-----"
        );
        assert_eq!(told, Some(expected));
        assert_eq!(wrong(certificates("broker.ca", folder.path())), "is a folder");
        assert_eq!(wrong(certificates("broker.ca", Path::new("/dev/null"))), "is no regular file");
        Ok(())
    }

    #[test]
    fn passwords_are_kept_from_others() -> TestResult {
        let folder = tempfile::tempdir()?;
        let good = file(folder.path(), "good", "secret", 0o600)?;
        let empty = file(folder.path(), "empty", "\n", 0o600)?;
        let open = file(folder.path(), "open", "secret", 0o604)?;
        assert_eq!(password("broker.password_file", &good), None);
        assert_eq!(wrong(password("broker.password_file", &empty)), "is empty");
        assert!(wrong(password("broker.password_file", &open)).starts_with("has mode 0604"));
        Ok(())
    }

    #[test]
    fn state_folder_must_be_writable_and_stays_as_it_was() -> TestResult {
        let folder = tempfile::tempdir()?;
        assert_eq!(writable("device.state_dir", folder.path()), None);
        assert_eq!(writable("device.state_dir", &folder.path().join("a/b")), None);
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
        let file = file(folder.path(), "file", "", 0o600)?;
        assert_eq!(wrong(writable("device.state_dir", &file)), "is no folder");
        let below = wrong(writable("device.state_dir", &file.join("state")));
        assert_eq!(below, format!("cannot be made: {} is no folder", file.display()));
        assert!(
            wrong(writable("device.state_dir", Path::new("/proc/picket")))
                .starts_with("cannot be made: /proc cannot be written to")
        );
        Ok(())
    }
}
