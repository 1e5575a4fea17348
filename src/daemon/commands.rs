//! Commands from afar (contract, mqtt): each is done once, answered, and what it changes ends by itself.

use super::End;
use super::bundles::Bundles;
use super::control::Control;
use super::journal::Journal;
use super::led::Led;
use super::lines::Lines;
use super::reboot::Reboot;
use super::selftest::SelfTest;
use super::wishes::Wishes;
use crate::alert::Evidence;
use crate::ids::SourceId;
use crate::kernels::Kernels;
use crate::outbox::Now;
use crate::time::Mono;
use crate::wire::{self, Command, Made, Message, Progress, Qos, Reply, Verb};
use std::collections::BTreeMap;
use std::time::Duration;

/// A picture that nobody can make by then is given up, unless its sender waits for less.
const SNAPSHOT_MAX: Duration = Duration::from_secs(20);
/// The broker need not keep a reply for longer (contract, mqtt).
const REPLY_FRESH: Duration = Duration::from_secs(60);

/// Lines of the log that go out in a second at most (contract, mqtt).
const LINES_PER_SECOND: usize = 20;

/// Sets the level of the log, or the one from before.
pub type LogLevel = Box<dyn Fn(Option<&str>) -> Result<(), String>>;

/// A picture that was asked for.
struct Snapshot {
    id: String,
    source: SourceId,
    until: Mono,
    /// The source's thread knows.
    asked: bool,
}

/// What is under way for whoever commands.
pub(super) struct Desk {
    pub journal: Journal,
    /// What source threads are asked for.
    pub wishes: BTreeMap<SourceId, Wishes>,
    /// The log.
    pub log: LogLevel,
    /// The end that was commanded.
    pub end: Option<End>,
    /// Whether pictures may leave the box.
    pub pictures: bool,
    /// The last lines of the log.
    pub lines: Lines,
    /// The support archive under way.
    pub bundles: Bundles,
    /// The test under way.
    pub selftest: Option<SelfTest>,
    /// The kernels to use.
    pub kernels: Kernels,
    /// The box's light.
    pub led: Option<Led>,
    /// Where the wish to start the machine anew is written, and until when somebody should act on it.
    pub reboot: Option<Reboot>,
    /// The next line that is told on the topic `log`.
    pub log_from: u64,
    snapshots: Vec<Snapshot>,
    metrics: BTreeMap<SourceId, Mono>,
    fingerprints: BTreeMap<SourceId, Mono>,
    log_until: Option<Mono>,
}

/// What a desk is made of.
pub(super) struct Supplies {
    pub journal: Journal,
    pub wishes: BTreeMap<SourceId, Wishes>,
    pub log: LogLevel,
    pub pictures: bool,
    pub lines: Lines,
    pub bundles: Bundles,
    pub kernels: Kernels,
    pub led: Option<Led>,
    pub reboot: Option<Reboot>,
}

impl Desk {
    pub(super) fn new(supplies: Supplies) -> Self {
        let Supplies { journal, wishes, log, pictures, lines, bundles, kernels, led, reboot } = supplies;
        Self {
            journal,
            wishes,
            log,
            end: None,
            pictures,
            lines,
            bundles,
            selftest: None,
            kernels,
            led,
            reboot,
            log_from: 0,
            snapshots: Vec::new(),
            metrics: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            log_until: None,
        }
    }
}

impl Control {
    /// A message that came, which should be a command.
    pub(super) fn incoming(&mut self, topic: &str, payload: &[u8], retained: bool, fresh_for: Option<Duration>) {
        let Some(name) = self.topics.command_of(topic) else { return };
        // Whoever empties a retained topic commands nothing.
        if retained && payload.is_empty() {
            return;
        }
        match wire::command(name, payload) {
            Err(refusal) => {
                tracing::warn!(name, code = refusal.code, "a command was refused: {}", refusal.text);
                self.answer(&Reply::failed(&refusal.id, name, refusal.code, refusal.text));
            }
            Ok(command) if retained => {
                tracing::warn!(name, id = command.id, "a retained command was refused");
                let text = "a retained command would be done again at each connection: send it without retain";
                self.answer(&Reply::failed(&command.id, name, "retained", text));
            }
            Ok(command) => self.command(command, fresh_for),
        }
    }

    fn command(&mut self, command: Command, fresh_for: Option<Duration>) {
        if let Some(known) = self.desk.journal.find(&command.id) {
            let known = known.clone();
            if known.command == command.name {
                return self.answer(&known);
            }
            let text = format!("this id was used for the command {}", known.command);
            return self.answer(&Reply::failed(&command.id, &command.name, "id_used", text));
        }
        let wall = self.clock.wall();
        // Without a clock to trust, the broker's expiry of messages is what is left.
        if wall.synced && command.not_after.is_some_and(|until| wall.unix_ms > until) {
            let text = "it came after its `not_after`";
            let late = Reply::failed(&command.id, &command.name, "expired", text);
            return self.answer(&Reply { status: Progress::Expired, ..late });
        }
        tracing::info!(name = command.name, id = command.id, "a command");
        // Before it is done: a power cut while it runs must not have it done twice.
        let accepted = Reply::good(&command.id, &command.name, Progress::Accepted, "");
        self.desk.journal.note(&accepted, lasts(&command.verb));
        self.answer(&accepted);
        if let Some(reply) = self.obey(&command, fresh_for) {
            self.finish(&reply);
        }
    }

    /// Does it; `None` when the reply comes later.
    fn obey(&mut self, command: &Command, fresh_for: Option<Duration>) -> Option<Reply> {
        let done = |text: &str| Some(Reply::good(&command.id, &command.name, Progress::Done, text));
        let failed = |code, text: &str| Some(Reply::failed(&command.id, &command.name, code, text));
        match &command.verb {
            Verb::Health => {
                self.health_told = None;
                let class = self.tell_health().name();
                done("told").map(|reply| reply.with("class", class))
            }
            Verb::Snapshot(source) => self.snapshot(command, source, fresh_for),
            Verb::Ack(incident) => match self.acknowledge(incident) {
                true => done("the state of its source says so"),
                false => failed("not_found", "no such incident is open"),
            },
            Verb::Mute(source, span) => {
                let now = Now { mono: self.clock.mono(), wall: self.clock.wall() };
                self.each(command, source.as_ref(), |control, source| control.mutes.mute(source, *span, now))
                    .map(|reply| reply.with_seconds("ends_in_s", *span))
            }
            Verb::Unmute(source) => self.each(command, source.as_ref(), Self::unmute),
            Verb::Metrics(source, span) => {
                let until = self.clock.mono().plus(*span);
                self.each(command, source.as_ref(), |control, source| control.measure(source, until))
                    .map(|reply| reply.with_seconds("ends_in_s", *span))
            }
            Verb::Fingerprint(source, span) => {
                let until = self.clock.mono().plus(*span);
                self.each(command, source.as_ref(), |control, source| control.want_fingerprint(source, until))
                    .map(|reply| reply.with_seconds("ends_in_s", *span))
            }
            Verb::LogLevel(level, span) => match (self.desk.log)(Some(level)) {
                Ok(()) => {
                    self.desk.log_until = Some(self.clock.mono().plus(*span));
                    self.desk.log_from = self.desk.lines.next();
                    done("set").map(|reply| reply.with_seconds("ends_in_s", *span))
                }
                Err(error) => failed("refused", &error),
            },
            Verb::Identify(span) => self.identify(command, *span),
            Verb::SelfTest => Some(self.selftest(command)),
            Verb::Bundle => Some(self.bundle(command)),
            Verb::Reboot => Some(self.reboot(command)),
            Verb::Restart => {
                self.desk.end = Some(End::Restart);
                Some(Reply::good(&command.id, &command.name, Progress::Running, "starting anew"))
            }
            Verb::ConfigGet => Some(self.config_get(command)),
            Verb::ConfigSet { layer, confirm_within } => Some(self.config_set(command, layer, *confirm_within)),
            Verb::ConfigConfirm(revision) => Some(self.config_confirm(command, *revision)),
            Verb::ConfigRollback => Some(self.config_rollback(command)),
            Verb::Update { bundle, force } => self.update(command, bundle, *force),
            Verb::RotateCert { fresh } => Some(self.rotate_cert(command, *fresh)),
            Verb::InstallCert { cert, ca, within } => Some(self.install_cert(command, cert, ca.as_deref(), *within)),
        }
    }

    /// Does something to one source or all.
    fn each(
        &mut self,
        command: &Command,
        source: Option<&SourceId>,
        mut act: impl FnMut(&mut Self, &SourceId),
    ) -> Option<Reply> {
        let all: Vec<SourceId> =
            self.sources.keys().filter(|id| source.is_none_or(|one| one == *id)).cloned().collect();
        if all.is_empty() {
            return Some(Reply::failed(&command.id, &command.name, "not_found", "there is no such source"));
        }
        for source in &all {
            act(self, source);
            self.tell_state(source);
        }
        let text = format!("{} sources", all.len());
        Some(Reply::good(&command.id, &command.name, Progress::Done, text))
    }

    pub(super) fn unmute(&mut self, source: &SourceId) {
        for alert in self.mutes.unmute(source) {
            self.tell(alert);
        }
    }

    fn measure(&mut self, source: &SourceId, until: Mono) {
        if let Some(wishes) = self.desk.wishes.get(source) {
            wishes.want_metrics(true);
            self.desk.metrics.insert(source.clone(), until);
        }
    }

    fn want_fingerprint(&mut self, source: &SourceId, until: Mono) {
        if let Some(wishes) = self.desk.wishes.get(source) {
            wishes.want_fingerprint(true);
            self.desk.fingerprints.insert(source.clone(), until);
        }
    }

    fn acknowledge(&mut self, incident: &str) -> bool {
        let found = self.sources.iter().find_map(|(source, watched)| {
            let open = watched.state.open.iter().find(|open| open.id.as_str() == incident)?;
            Some((source.clone(), open.id.clone()))
        });
        let Some((source, id)) = found else { return false };
        if let Some(watched) = self.sources.get_mut(&source) {
            watched.state.acked.insert(id);
        }
        self.tell_state(&source);
        true
    }

    fn snapshot(&mut self, command: &Command, source: &SourceId, fresh_for: Option<Duration>) -> Option<Reply> {
        let failed = |code, text: &str| Some(Reply::failed(&command.id, &command.name, code, text));
        if !self.desk.wishes.contains_key(source) {
            return failed("not_found", "there is no such source");
        }
        if !self.desk.pictures {
            return failed("pictures_off", "the privacy switch keeps pictures on the box ([evidence] pictures)");
        }
        let until = self.clock.mono().plus(fresh_for.unwrap_or(SNAPSHOT_MAX).min(SNAPSHOT_MAX));
        self.desk.snapshots.push(Snapshot { id: command.id.clone(), source: source.clone(), until, asked: false });
        self.ask_pictures();
        None
    }

    /// Asks for pictures as soon as their source may show one again.
    fn ask_pictures(&mut self) {
        let now = self.clock.mono();
        for waiting in self.desk.snapshots.iter_mut().filter(|waiting| !waiting.asked) {
            let may = self.sources.get(&waiting.source).is_some_and(|watched| watched.may_picture(now));
            if let Some(wishes) = self.desk.wishes.get(&waiting.source).filter(|_| may) {
                wishes.want_picture();
                waiting.asked = true;
            }
        }
    }

    /// The picture that a source's thread was asked for.
    pub(super) fn pictured(&mut self, source: &SourceId, picture: Option<&Evidence>) {
        let all = std::mem::take(&mut self.desk.snapshots);
        let (these, others) = all.into_iter().partition(|waiting| waiting.source == *source && waiting.asked);
        self.desk.snapshots = others;
        let these: Vec<Snapshot> = these;
        if let Some(picture) = picture.filter(|_| !these.is_empty()) {
            self.show(source, picture.jpeg.clone());
        }
        for Snapshot { id, .. } in these {
            let reply = match picture {
                Some(picture) => Reply::good(&id, "snapshot", Progress::Done, "the picture is on its topic")
                    .with("topic", self.topics.image(source))
                    .with("sha256", picture.sha256.as_str())
                    .with("bytes", picture.jpeg.len()),
                None => Reply::failed(&id, "snapshot", "no_picture", "the source shows no picture now"),
            };
            self.finish(&reply);
        }
    }

    /// What was measured of a source.
    pub(super) fn measured(&mut self, source: &SourceId, said: &[crate::detect::Observation]) {
        let Some(watched) = self.sources.get(source).filter(|_| self.desk.metrics.contains_key(source)) else { return };
        self.courier.send(Message {
            topic: self.topics.metrics(source),
            payload: wire::metrics(&self.made(), &watched.state, said),
            qos: Qos::AtMostOnce,
            retain: false,
            // Of the contract.
            expires_after: Some(Duration::from_secs(10)),
        });
    }

    /// A second of a source as a fingerprint.
    pub(super) fn fingerprinted(&mut self, source: &SourceId, payload: Vec<u8>) {
        if self.desk.fingerprints.contains_key(source) {
            let (topic, expires_after) = (self.topics.fingerprint(source), Some(Duration::from_secs(10)));
            self.courier.send(Message { topic, payload, qos: Qos::AtMostOnce, retain: false, expires_after });
        }
    }

    /// Ends what has lasted for as long as it was to.
    pub(super) fn end_what_is_over(&mut self) {
        let now = self.clock.mono();
        self.watch_bundle();
        self.watch_selftest();
        self.watch_reboot();
        if let Some(led) = &mut self.desk.led {
            led.tick(now);
        }
        self.tell_lines();
        for source in self.mutes.over(now) {
            tracing::info!(%source, "its mute is over");
            self.unmute(&source);
        }
        let wishes = &self.desk.wishes;
        self.desk.metrics.retain(|source, until| {
            let goes_on = now < *until;
            if let Some(wishes) = wishes.get(source).filter(|_| !goes_on) {
                wishes.want_metrics(false);
            }
            goes_on
        });
        self.desk.fingerprints.retain(|source, until| {
            let goes_on = now < *until;
            if let Some(wishes) = wishes.get(source).filter(|_| !goes_on) {
                wishes.want_fingerprint(false);
            }
            goes_on
        });
        if self.desk.log_until.is_some_and(|until| now >= until) {
            self.desk.log_until = None;
            if let Err(error) = (self.desk.log)(None) {
                tracing::warn!(error, "the log keeps its level");
            }
        }
        self.ask_pictures();
        let all = std::mem::take(&mut self.desk.snapshots);
        let (late, others): (Vec<Snapshot>, Vec<Snapshot>) = all.into_iter().partition(|waiting| now >= waiting.until);
        self.desk.snapshots = others;
        for Snapshot { id, .. } in late {
            let late = Reply::failed(&id, "snapshot", "expired", "there was no picture in time");
            self.finish(&Reply { status: Progress::Expired, ..late });
        }
    }

    /// What a former run left unfinished. A layer on trial is no success before the broker was reached with it.
    pub(super) fn finish_former(&mut self) {
        let on_trial = self.afar.on_trial().map(str::to_owned);
        for former in self.desk.journal.unfinished() {
            // An update goes on over restarts: the updater says what became of it.
            if on_trial.as_ref() == Some(&former.id) || former.command == "update" {
                continue;
            }
            let reply = match former.command.as_str() {
                "config-set" => self.config_finished(&former.id),
                "config-rollback" => Some(Reply::good(&former.id, &former.command, Progress::Done, "it is gone")),
                "reboot" => self.rebooted(&former.id),
                "rotate-cert" => match self.certificate_finished(&former.id) {
                    None => continue,
                    finished => finished,
                },
                "restart" => Some(Reply::good(&former.id, &former.command, Progress::Done, "started anew")),
                _ => None,
            };
            let text = "Picket ended while it was done";
            self.finish(&reply.unwrap_or_else(|| Reply::failed(&former.id, &former.command, "interrupted", text)));
        }
    }

    /// Remembers and tells what became of a command.
    pub(super) fn finish(&mut self, reply: &Reply) {
        let lasting = !["health", "config-get"].contains(&reply.command.as_str());
        self.desk.journal.note(reply, lasting);
        self.answer(reply);
    }

    /// Tells new lines of the log while somebody wants them.
    fn tell_lines(&mut self) {
        if self.desk.log_until.is_none() {
            return;
        }
        let (lines, mut left_out, next) = self.desk.lines.since(self.desk.log_from, LINES_PER_SECOND);
        self.desk.log_from = next;
        for line in lines {
            let made = Made { wall: line.wall, mono: line.mono, boot: self.boot.clone() };
            self.courier.send(Message {
                topic: self.topics.log(),
                payload: wire::log(&made, line.level, &line.text, std::mem::take(&mut left_out)),
                qos: Qos::AtMostOnce,
                retain: false,
                // Of the contract.
                expires_after: Some(Duration::from_secs(60)),
            });
        }
    }

    fn identify(&mut self, command: &Command, span: Duration) -> Option<Reply> {
        let until = self.clock.mono().plus(span);
        let flashed = match &mut self.desk.led {
            None => Err("no light is known on this box: [device] led names one of /sys/class/leds".to_owned()),
            Some(led) => led.flash(until),
        };
        Some(match flashed {
            Ok(()) => {
                Reply::good(&command.id, &command.name, Progress::Done, "it flashes").with_seconds("ends_in_s", span)
            }
            Err(why) => Reply::failed(&command.id, &command.name, "unsupported", why),
        })
    }

    fn answer(&mut self, reply: &Reply) {
        self.courier.retain(Message {
            topic: self.topics.reply(&reply.id),
            payload: wire::reply(&self.made(), reply),
            qos: Qos::AtLeastOnce,
            retain: false,
            expires_after: Some(REPLY_FRESH),
        });
    }
}

/// Whether a command changes anything, so that it must not be done twice. Questions cost no flash.
fn lasts(verb: &Verb) -> bool {
    !matches!(verb, Verb::Health | Verb::ConfigGet)
}
