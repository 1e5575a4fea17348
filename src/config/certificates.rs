//! Whether the certificates that are used fit this box and this day.

use super::Config;
use super::environment::{Finding, contents, finding};
use crate::identity::{self, Chain, Pair, Standing};
use crate::ids::DeviceId;
use crate::time::Wall;
use std::path::Path;

const RIGHT: &str = "a certificate for this box's key and id (picket provision), its issuers behind it";

/// What is wrong with the certificates of `config`, and what will soon be. Files that cannot be read at all are left to
/// [`super::check_environment`].
pub fn check_certificates(config: &Config, device: &DeviceId, wall: Wall) -> (Vec<Finding>, Vec<String>) {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    let Some(tls) = config.broker.as_ref().and_then(|broker| broker.tls.as_ref()) else { return (found, notes) };
    let now_s = identity::now_s(wall, tls.kept_time.as_deref());
    let made = tls.pair.as_deref().map(Pair::at).filter(Pair::is_whole);
    let files = tls.identity.clone().or_else(|| made.as_ref().map(|pair| (pair.cert(), pair.key())));
    if let Some((cert, key)) = files {
        found.extend(judge(&cert, &key, now_s, wall.synced));
        if found.is_empty() {
            notes.extend(soon(&cert, device, now_s));
        }
    }
    let brought = made.map(|pair| pair.ca()).filter(|path| path.exists());
    if let Some(ca) = tls.ca.clone().or(brought) {
        notes.extend(authorities(&ca, now_s));
    }
    (found, notes)
}

fn judge(cert: &Path, key: &Path, now_s: i64, trusted: bool) -> Option<Finding> {
    let (text, _) = contents("broker.cert", cert, RIGHT).ok()?;
    let (secret, _) = contents("broker.key", key, RIGHT).ok()?;
    let judged = Chain::read(&text).and_then(|chain| {
        chain.fits(&secret)?;
        chain.is_for_clients()?;
        chain.lives(now_s, trusted)
    });
    match judged {
        // Torn files are told already.
        Err(identity::Wrong::Empty | identity::Wrong::Pem(_) | identity::Wrong::KeyForm(_)) | Ok(()) => None,
        Err(wrong) => Some(finding("broker.cert", cert, wrong.to_string(), RIGHT)),
    }
}

fn soon(cert: &Path, device: &DeviceId, now_s: i64) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(chain) = contents("broker.cert", cert, RIGHT).ok().and_then(|(text, _)| Chain::read(&text).ok()) else {
        return notes;
    };
    let (path, shortest) = (cert.display(), chain.shortest());
    let days = identity::days(shortest.until_s, now_s);
    match identity::standing(shortest, now_s) {
        Standing::Good => {}
        Standing::Due => notes.push(format!("broker.cert: {path}: should be renewed: {days:.1} days are left")),
        _ => notes.push(format!("broker.cert: {path}: ends in {days:.1} days: renew it now")),
    }
    if let Err(wrong) = chain.is_for(device) {
        notes.push(format!("broker.cert: {path}: {wrong}: brokers that go by the name will refuse"));
    }
    notes
}

/// One old authority among others does no harm.
fn authorities(ca: &Path, now_s: i64) -> Option<String> {
    let (text, _) = contents("broker.ca", ca, RIGHT).ok()?;
    let all = identity::certificates(&text).ok()?;
    let last = all.iter().map(|certificate| certificate.until_s).max()?;
    let days = identity::days(last, now_s);
    (days <= 30.0).then(|| format!("broker.ca: {}: the last authority in it ends in {days:.1} days", ca.display()))
}
