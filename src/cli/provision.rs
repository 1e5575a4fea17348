//! `picket provision`: the key of this box, signing requests for it, and the certificates that come back.

use super::{CONFIGURATION, Configured, ENVIRONMENT, FINDINGS, Failure, Format, GOOD, output};
use crate::config::{self, Config};
use crate::identity::{self, Authority, Chain, Install, Installed, Store};
use crate::ids::DeviceId;
use crate::time::{Clock, SystemClock, Wall};
use crate::wire::{self, CertificateTold, Provision};
use clap::{Args, Subcommand};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longer files are no certificates.
const BYTES_MAX: u64 = 256 << 10;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Makes a key and prints its signing request (PEM); again, it prints the same one
    Request(Wanted),
    /// The same for the next certificate: the one in use stays until the broker has accepted its successor
    Renew(Wanted),
    /// Takes the certificate for that key. Checked in full first; beside one in use it is on trial until the broker accepts it
    Install(Given),
    /// Tells what this box has and how long it lasts; exit code 1 when there is something to do
    Status(Asked),
}

#[derive(Args)]
struct Wanted {
    #[command(flatten)]
    configured: Configured,
    /// Write the request here instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make another key although one waits for its certificate
    #[arg(long)]
    new_key: bool,
}

#[derive(Args)]
struct Given {
    #[command(flatten)]
    configured: Configured,
    /// The certificate and, behind it, those that issued it (PEM); '-' for standard input
    #[arg(value_name = "CERT")]
    cert: PathBuf,
    /// The authorities that may have signed the broker's certificate (PEM); without it, as until now
    #[arg(long, value_name = "CA")]
    ca: Option<PathBuf>,
    /// Take it although it does not name this device
    #[arg(long)]
    any_name: bool,
}

#[derive(Args)]
struct Asked {
    #[command(flatten)]
    configured: Configured,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What all of them need.
struct ThisBox {
    config: Config,
    device: DeviceId,
    store: Store,
    wall: Wall,
}

impl ThisBox {
    fn of(configured: &Configured) -> Result<Self, Failure> {
        let config = super::run::load(configured.config.as_deref())?;
        let device = crate::daemon::device_id(&config).map_err(|error| Failure::environment(&error))?;
        let store = Store::of(&config.device.state_dir);
        // What may not be seen must not pass for what is not there.
        let seen = identity::as_owner_of(&config.device.state_dir, || std::fs::read_dir(store.folder()).map(drop));
        match seen.and_then(|seen| seen) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let text = format!("{}: {error}: only root and Picket's user may see it", store.folder().display());
                return Err(Failure { code: ENVIRONMENT, text });
            }
            _ => {}
        }
        Ok(Self { config, device, store, wall: SystemClock.wall() })
    }

    /// Files that the configuration names are somebody else's to renew.
    fn makes_its_own(&self) -> Result<(), Failure> {
        let tls = self.config.broker.as_ref().and_then(|broker| broker.tls.as_ref());
        match tls.and_then(|tls| tls.identity.as_ref()) {
            None => Ok(()),
            Some((cert, _)) => {
                let (cert, folder) = (cert.display(), self.store.folder().display());
                let text = format!(
                    "broker.cert: {cert} is what counts: without broker.cert and broker.key the pair in {folder} would"
                );
                Err(Failure { code: CONFIGURATION, text })
            }
        }
    }

    /// In the state folder, as its owner.
    fn kept<T>(&self, act: impl FnOnce(&Store) -> Result<T, identity::Error>) -> Result<T, Failure> {
        let done = identity::as_owner_of(&self.config.device.state_dir, || act(&self.store));
        done.map_err(|error| Failure::environment(&error))?.map_err(|error| Failure::environment(&error))
    }
}

/// Exit code 3 for files and certificates that are no good.
pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    match &options.what {
        What::Request(wanted) => request(wanted, false),
        What::Renew(wanted) => request(wanted, true),
        What::Install(given) => install(given),
        What::Status(asked) => status(asked),
    }
}

fn request(wanted: &Wanted, renew: bool) -> Result<u8, Failure> {
    let this = ThisBox::of(&wanted.configured)?;
    this.makes_its_own()?;
    let has = this.store.current().is_whole();
    if has != renew {
        let text = match renew {
            true => "there is no certificate to renew: picket provision request makes the first request",
            false => "this box has a certificate: picket provision renew makes the request for its successor",
        };
        return Err(Failure { code: CONFIGURATION, text: text.to_owned() });
    }
    let waited = this.store.next().request().is_some() && !wanted.new_key;
    // Begun before the key is made, so that a place that cannot be written is told at once.
    let draft = wanted.out.as_deref().map(output::Draft::begin).transpose()?;
    let request = this.kept(|store| store.request(&this.device, wanted.new_key))?;
    let key = this.store.next().key();
    let said = if waited { "waits already" } else { "made, P-256" };
    output::complain(&format!("{}: {said}; it stays on this box", key.display()));
    match draft {
        Some(draft) => draft.finish(request.as_bytes())?,
        None => output::print(request.trim_end()),
    }
    Ok(GOOD)
}

fn install(given: &Given) -> Result<u8, Failure> {
    let this = ThisBox::of(&given.configured)?;
    this.makes_its_own()?;
    let set = this.config.broker.as_ref().and_then(|broker| broker.tls.as_ref()?.ca.clone());
    if let (Some(set), Some(_)) = (set, &given.ca) {
        let text = format!("broker.ca: {} is what counts: without it the file of --ca would", set.display());
        return Err(Failure { code: CONFIGURATION, text });
    }
    let text = contents(&given.cert)?;
    let ca = given.ca.as_deref().map(contents).transpose()?;
    let what = Install {
        chain: &text,
        authority: ca.as_deref().map_or(Authority::Kept, Authority::New),
        device: (!given.any_name).then_some(&this.device),
        now_s: identity::now_s(this.wall, Some(&identity::kept_time(&this.config.device.state_dir))),
        trusted: this.wall.synced,
        command: "",
    };
    let installed = this
        .kept(|store| store.install(&what))
        .map_err(|failure| Failure { text: format!("{}: {}", given.cert.display(), failure.text), ..failure })?;
    output::print(match installed {
        Installed::Current => "installed: it counts from the next connection on",
        Installed::OnTrial => {
            "on trial: a running daemon connects with it within seconds, and it stays when the broker accepts it; \
             picket provision status tells"
        }
    });
    Ok(GOOD)
}

fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |text: String| Failure { code: ENVIRONMENT, text: format!("{}: {text}", path.display()) };
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(wrong("is too long for a certificate".to_owned()));
    }
    Ok(bytes)
}

fn status(asked: &Asked) -> Result<u8, Failure> {
    let this = ThisBox::of(&asked.configured)?;
    let told = identity::as_owner_of(&this.config.device.state_dir, || tell(&this))
        .map_err(|error| Failure { code: ENVIRONMENT, text: crate::mqtt::chain(&error) })?;
    let code = if told.wrong.is_empty() { GOOD } else { FINDINGS };
    match asked.format {
        Format::Text => output::print(&text(&told)),
        Format::Json | Format::Ndjson => output::print_json(&wire::provision(told)),
    }
    Ok(code)
}

fn tell(this: &ThisBox) -> Provision {
    let (current, next) = (this.store.current(), this.store.next());
    let tls = this.config.broker.as_ref().and_then(|broker| broker.tls.as_ref());
    let configured = tls.and_then(|tls| tls.identity.clone()).map(|(cert, _)| cert);
    let path = configured.or_else(|| current.is_whole().then(|| current.cert()));
    let now_s = identity::now_s(this.wall, Some(&identity::kept_time(&this.config.device.state_dir)));
    let (found, mut wrong) = config::check_certificates(&this.config, &this.device, this.wall);
    wrong.extend(found.iter().map(|finding| finding.to_string()));
    let certificate = path.as_deref().and_then(|path| certificate(path, now_s));
    match (&certificate, &path) {
        (None, None) => wrong.push("this box has no certificate".to_owned()),
        (None, Some(path)) => wrong.push(format!("{}: cannot be read", path.display())),
        _ => {}
    }
    let refused = next.refused();
    wrong.extend(refused.as_ref().map(|reason| format!("the last certificate did not stay: {reason}")));
    Provision {
        device: this.device.as_str().to_owned(),
        folder: this.store.folder().display().to_string(),
        certificate,
        request: next.request().is_some() && !next.is_whole(),
        on_trial: next.is_whole(),
        refused,
        wrong,
        ..Provision::default()
    }
}

fn certificate(path: &Path, now_s: i64) -> Option<CertificateTold> {
    let chain = Chain::read(&contents(path).ok()?).ok()?;
    let (leaf, shortest) = (chain.leaf(), chain.shortest());
    let life = [leaf.from_s, shortest.until_s, shortest.renew_s()];
    Some(CertificateTold::new(path, leaf.subject(), life, identity::days(shortest.until_s, now_s)))
}

fn text(told: &Provision) -> String {
    let mut lines = vec![format!("device       {}", told.device)];
    if let Some(certificate) = &told.certificate {
        let day = |time: &str| time.get(..10).unwrap_or_default().to_owned();
        let (from, until, renew) = (day(&certificate.from), day(&certificate.until), day(&certificate.renew));
        lines.push(format!("certificate  {} for {}", certificate.path, certificate.subject));
        lines.push(format!("             {from} to {until}: {:.1} days left; renew from {renew} on", certificate.days));
    }
    if told.request {
        lines.push(format!("next         a key in {}/next waits for its certificate", told.folder));
    }
    if told.on_trial {
        lines.push("next         a certificate is on trial until the broker accepts it".to_owned());
    }
    lines.extend(told.wrong.iter().map(|wrong| format!("wrong        {wrong}")));
    lines.join("\n")
}
