//! The device's certificate while the daemon runs: how long it lasts, and another one on trial, which stays when the
//! broker accepts it.

use super::control::Control;
use crate::identity::{self, Authority, Chain, Install, Installed, Outcome, Pair, Standing, Store, Trial, Use};
use crate::mqtt::Tls;
use crate::time::{Mono, Wall};
use crate::wire::{CertHealth, Command, Progress, Reply};
use std::path::Path;
use std::time::Duration;

/// The certificate is read again this often: it may be renewed behind our back.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What is on its way to the broker gets this long before the connection is given up for a trial.
const SETTLE_MAX: Duration = Duration::from_secs(3);
/// A trial that a former run began ends after this.
const AGAIN_WITHIN: Duration = Duration::from_secs(300);

/// What the control loop knows of certificates.
pub(super) struct Certificates {
    /// `None`: no TLS.
    tls: Option<Tls>,
    store: Store,
    trial: Option<UnderWay>,
    looked: Option<Mono>,
    told: CertHealth,
    standing: Standing,
    /// The disk did not take the answer of a trial: another one would end in the same way.
    stuck: bool,
}

struct UnderWay {
    trial: Trial,
    began: Mono,
    /// The connection from before was given up.
    switched: bool,
}

impl Certificates {
    pub(super) fn new(tls: Option<Tls>, state_dir: &Path) -> Self {
        let store = Store::of(state_dir);
        let (told, standing) = (CertHealth::default(), Standing::Good);
        Self { tls, store, trial: None, looked: None, told, standing, stuck: false }
    }

    /// For `health`.
    pub(super) fn health(&self) -> &CertHealth {
        &self.told
    }

    /// Whether the pair is the one that this box makes itself.
    fn own(&self) -> Result<(), (&'static str, &'static str)> {
        match &self.tls {
            None => Err(("no_tls", "this box speaks to its broker without TLS")),
            Some(tls) if tls.identity.is_some() => Err((
                "configured",
                "broker.cert and broker.key are set in the configuration: whoever put those files there renews them, \
                 and they count from the next connection on",
            )),
            Some(_) => Ok(()),
        }
    }

    fn now_s(&self, wall: Wall) -> i64 {
        identity::now_s(wall, self.tls.as_ref().and_then(|tls| tls.kept_time.as_deref()))
    }

    /// Reads the certificate again. Whether that is news.
    fn look(&mut self, wall: Wall, mono: Mono) -> bool {
        self.looked = Some(mono);
        let now_s = self.now_s(wall);
        let Some(tls) = &self.tls else { return false };
        let current = self.store.current();
        let made = current.is_whole().then(|| current.cert());
        let mut told = CertHealth::default();
        let mut standing = Standing::Good;
        if let Some(path) = tls.identity.as_ref().map(|(cert, _)| cert.clone()).or(made) {
            let read = std::fs::read(&path).map_err(|error| error.to_string());
            match read.and_then(|text| Chain::read(&text).map_err(|wrong| wrong.to_string())) {
                Ok(chain) => (told, standing) = judged(&chain, now_s),
                Err(wrong) => told.certificate = Some(format!("{}: {wrong}", path.display())),
            }
        }
        let refused = self.store.next().refused().filter(|_| self.own().is_ok());
        if let Some(reason) = refused.filter(|_| told.certificate.is_none()) {
            told.certificate = Some(format!("its successor did not stay: {reason}"));
        }
        let news = standing != self.standing || told.certificate.is_some() != self.told.certificate.is_some();
        (self.told, self.standing) = (told, standing);
        news
    }
}

fn judged(chain: &Chain, now_s: i64) -> (CertHealth, Standing) {
    let shortest = chain.shortest();
    let days = identity::days(shortest.until_s, now_s);
    let standing = identity::standing(shortest, now_s);
    let certificate = match standing {
        Standing::Good | Standing::Due => None,
        Standing::Over => Some(format!("ended {:.1} days ago", -days)),
        Standing::Month | Standing::Week | Standing::Day => Some(format!("ends in {days:.1} days: renew it")),
    };
    let urgent = standing >= Standing::Day;
    (CertHealth { cert_days: Some(days), cert_renew: standing >= Standing::Due, certificate, urgent }, standing)
}

impl Control {
    /// A new key and its signing request.
    pub(super) fn rotate_cert(&self, command: &Command, fresh: bool) -> Reply {
        let failed = |code, text: &str| Reply::failed(&command.id, &command.name, code, text);
        if let Err((code, text)) = self.certificates.own() {
            return failed(code, text);
        }
        match self.certificates.store.request(&self.device.id, fresh) {
            Ok(request) => {
                let text = "sign it, and send the certificate with rotate-cert {\"cert\": ...}";
                Reply::good(&command.id, &command.name, Progress::Done, text)
                    .with("csr", request)
                    .with("device", self.device.id.as_str())
            }
            Err(error) => failed(error.code(), &crate::mqtt::chain(&error)),
        }
    }

    /// A certificate for that key, on trial.
    pub(super) fn install_cert(&mut self, command: &Command, cert: &str, ca: Option<&str>, within: Duration) -> Reply {
        let failed = |code, text: &str| Reply::failed(&command.id, &command.name, code, text);
        if let Err((code, text)) = self.certificates.own() {
            return failed(code, text);
        }
        if ca.is_some() && self.certificates.tls.as_ref().is_some_and(|tls| tls.ca.is_some()) {
            return failed("configured", "broker.ca is set in the configuration, and counts instead of `ca`");
        }
        let wall = self.clock.wall();
        let what = Install {
            chain: cert.as_bytes(),
            authority: ca.map_or(Authority::Kept, |ca| Authority::New(ca.as_bytes())),
            device: Some(&self.device.id),
            now_s: self.certificates.now_s(wall),
            trusted: wall.synced,
            command: &command.id,
        };
        match self.certificates.store.install(&what) {
            Ok(Installed::OnTrial | Installed::Current) => {
                self.certificates.stuck = false;
                self.begin_trial(Some(within));
                let text = "on trial: it stays when the broker accepts it";
                Reply::good(&command.id, &command.name, Progress::Running, text)
            }
            Err(error) => failed(error.code(), &crate::mqtt::chain(&error)),
        }
    }

    fn begin_trial(&mut self, within: Option<Duration>) {
        let began = self.clock.mono();
        tracing::info!("another certificate is on trial");
        self.certificates.trial = Some(UnderWay { trial: Trial::begin(began, within), began, switched: false });
    }

    /// Once per second.
    pub(super) fn watch_certificates(&mut self) {
        let (now, wall) = (self.clock.mono(), self.clock.wall());
        let certificates = &mut self.certificates;
        if certificates.looked.is_none_or(|looked| now.since(looked) >= LOOK_EVERY) && certificates.look(wall, now) {
            if let Some(text) = &certificates.told.certificate {
                tracing::warn!("the device's certificate: {text}");
            }
            self.health_told = None;
        }
        let next = self.certificates.store.next();
        let Some(under_way) = &mut self.certificates.trial else {
            // Installed by hand, or by a run that ended before the broker's answer.
            if !self.certificates.stuck && self.certificates.own().is_ok() && next.is_whole() {
                let by_command = next.command().is_some_and(|command| !command.is_empty());
                self.begin_trial(by_command.then_some(AGAIN_WITHIN));
            }
            return;
        };
        let settled = self.courier.is_settled() || !self.courier.counters().connected;
        if !under_way.switched && (settled || now.since(under_way.began) >= SETTLE_MAX) {
            under_way.switched = true;
            self.courier.offer(next.folder());
            self.courier.reconnect();
        } else if let Some(outcome) = under_way.trial.overdue(now) {
            self.end_trial(outcome);
        }
    }

    /// The broker accepted a connection with this pair.
    pub(super) fn certificate_accepted(&mut self, pair: Option<&Path>) {
        let Some(under_way) = self.certificates.trial.as_ref().filter(|under_way| under_way.switched) else { return };
        let with = match pair == Some(self.certificates.store.next().folder()) {
            true => Use::Next,
            false => Use::Current,
        };
        if let Some(outcome) = under_way.trial.accepted(with) {
            self.end_trial(outcome);
        }
    }

    /// There was no connection, or it ended.
    pub(super) fn certificate_failed(&mut self, reason: &str) {
        let Some(under_way) = self.certificates.trial.as_mut().filter(|under_way| under_way.switched) else { return };
        under_way.trial.failed(reason);
        let pair = match under_way.trial.using() {
            Use::Next => self.certificates.store.next(),
            Use::Current => self.certificates.store.current(),
        };
        self.courier.offer(pair.folder());
    }

    fn end_trial(&mut self, outcome: Outcome) {
        self.certificates.trial = None;
        self.certificates.looked = None;
        let store = self.certificates.store.clone();
        let command = store.next().command().unwrap_or_default();
        let (stored, reply) = match &outcome {
            Outcome::Accepted => {
                tracing::info!("the broker accepted the new certificate: it stays");
                let reply = accepted(&command, &store.next(), self.certificates.now_s(self.clock.wall()));
                (store.promote(), reply)
            }
            Outcome::Refused(reason) => {
                tracing::error!("the new certificate does not stay: {reason}");
                let reply = Reply::failed(&command, "rotate-cert", "refused_by_broker", reason.as_str());
                (store.refuse(reason), reply)
            }
        };
        if let Err(error) = &stored {
            tracing::error!("the answer to a certificate cannot be stored: {}", crate::mqtt::chain(error));
            self.certificates.stuck = true;
        }
        // What was accepted and did not come to its place works where it is.
        if outcome != Outcome::Accepted || stored.is_ok() {
            self.courier.offer(store.current().folder());
        }
        if outcome != Outcome::Accepted && !self.courier.counters().connected {
            self.courier.reconnect();
        }
        if self.desk.journal.find(&command).is_some_and(|reply| !reply.status.is_final()) {
            self.finish(&reply);
        }
    }

    /// What became of a certificate whose command a former run did not finish; `None` while it is on trial.
    pub(super) fn certificate_finished(&self, id: &str) -> Option<Reply> {
        let store = &self.certificates.store;
        let by = |pair: &Pair| pair.command().as_deref() == Some(id);
        let (current, next) = (store.current(), store.next());
        if by(&current) {
            return Some(accepted(id, &current, self.certificates.now_s(self.clock.wall())));
        }
        match next.refused().filter(|_| by(&next)) {
            Some(reason) => Some(Reply::failed(id, "rotate-cert", "refused_by_broker", reason)),
            None if by(&next) && next.is_whole() => None,
            None => Some(Reply::failed(id, "rotate-cert", "interrupted", "Picket ended while it was done")),
        }
    }
}

fn accepted(command: &str, pair: &Pair, now_s: i64) -> Reply {
    let reply = Reply::good(command, "rotate-cert", Progress::Done, "the broker accepted it: it stays");
    match pair.chain() {
        Some(chain) => {
            reply.with("cert_days", (identity::days(chain.shortest().until_s, now_s) * 1000.0).round() / 1000.0)
        }
        None => reply,
    }
}
