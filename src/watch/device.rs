//! One device and its sources, as far as they were told.

use super::Now;
use super::body::Body;
use super::incident::{Change, Moved, What};
use super::verdict::{Severity, Verdict};
use crate::ids::{DeviceId, SourceId};
use crate::time::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// Without an expiry that tells the device's own period: three times the default of 30 s, and something.
const SILENT_AFTER: Duration = Duration::from_secs(95);
/// Sources of a device that are taken; more are not believed.
pub(super) const SOURCES_MAX: usize = 64;
/// Open incidents of a source that are taken.
const OPEN_MAX: usize = 40;
/// Points of a curve.
const CURVE: usize = 60;

/// What `status` said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Untold,
    Online,
    Stopping,
    Lost,
}

/// A source.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub id: SourceId,
    /// What the device says; `None`: nothing yet.
    own: Option<Verdict>,
    /// What we make of it.
    pub verdict: Verdict,
    judged: bool,
    /// Since when, ms since the Unix epoch.
    pub since_ms: i64,
    pub open: Vec<Open>,
    pub input: String,
    pub format: String,
    pub reason: String,
    pub effort: String,
    pub shed_by: String,
    pub muted: bool,
    pub fps: Option<f64>,
    pub coverage: Option<f64>,
    pub lufs: Option<f64>,
    pub luma: Option<f64>,
    pub errors: Option<u64>,
    pub reconnects: Option<u64>,
}

/// An open incident.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Open {
    pub id: String,
    pub defect: String,
    pub severity: Severity,
    pub acked: bool,
}

impl Source {
    fn new(id: SourceId) -> Self {
        Self {
            id,
            own: None,
            verdict: Verdict::Off,
            judged: false,
            since_ms: 0,
            open: Vec::new(),
            input: String::new(),
            format: String::new(),
            reason: String::new(),
            effort: String::new(),
            shed_by: String::new(),
            muted: false,
            fps: None,
            coverage: None,
            lufs: None,
            luma: None,
            errors: None,
            reconnects: None,
        }
    }

    /// One more is open, where there are not too many.
    pub(super) fn raise(&mut self, open: Open) {
        if self.open.len() < OPEN_MAX {
            self.open.push(open);
        }
    }

    /// The worst that is open.
    pub(super) fn worst(&self) -> Option<&Open> {
        self.open.iter().min_by_key(|open| open.severity)
    }

    /// Takes its `state`.
    pub(super) fn state(&mut self, body: &Body) {
        self.own = body.text("verdict", 16).map(|word| Verdict::of(&word));
        let open = body.list("open", OPEN_MAX).unwrap_or_default();
        self.open = open
            .iter()
            .filter_map(|open| {
                Some(Open {
                    id: open.text("id", 96)?,
                    defect: open.text("defect", 32)?,
                    severity: Severity::of(&open.text("severity", 16)?),
                    acked: open.flag("acked"),
                })
            })
            .collect();
        let text = |field| body.text(field, 160).unwrap_or_default();
        (self.format, self.reason, self.effort, self.shed_by) =
            (text("format"), text("reason"), text("effort"), text("shed_by"));
        self.muted = body.text("muted_until", 40).is_some();
        (self.fps, self.coverage) = (body.number("fps"), body.number("coverage"));
        (self.lufs, self.luma) = (body.number("short_term_lufs"), body.number("luma"));
    }

    fn health(&mut self, body: &Body) {
        self.own = body.text("verdict", 16).map(|word| Verdict::of(&word));
        if matches!(self.own, Some(Verdict::Ok | Verdict::Off)) {
            self.open.clear();
        }
        (self.fps, self.coverage) = (body.number("fps"), body.number("coverage"));
        (self.errors, self.reconnects) = (body.whole("errors"), body.whole("reconnects"));
    }
}

/// What `health` says of the box.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub cpu_pct: Option<f64>,
    pub own_cpu_pct: Option<f64>,
    pub budget_cpu_pct: Option<f64>,
    pub mem_pct: Option<f64>,
    pub rss_bytes: Option<f64>,
    pub temp_c: Option<f64>,
    pub disk_pct: Option<f64>,
    pub up_s: Option<f64>,
    pub spool: Option<u64>,
    pub dropped: Option<u64>,
    pub rtt_ms: Option<f64>,
    pub trouble: String,
    pub complaint: String,
}

/// The last values of a measure, oldest first.
pub(super) type Curve = VecDeque<Option<f32>>;

/// A device.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub id: DeviceId,
    pub name: String,
    pub site: String,
    pub version: String,
    pub arch: String,
    /// `info` came.
    pub named: bool,
    pub presence: Presence,
    boot: String,
    conn: u64,
    /// When it last said something itself.
    pub heard: Mono,
    quiet: Duration,
    pub silent: bool,
    class: Option<Verdict>,
    pub health: Option<Health>,
    /// Processor, memory, heat.
    pub curves: [Curve; 3],
    pub sources: Vec<Source>,
    seq: u64,
    /// Events that never came, by their numbers.
    pub missed: u64,
    pub verdict: Verdict,
    judged: bool,
    /// The verdict is that of a device that is away.
    away: bool,
    /// Since when, ms since the Unix epoch.
    pub since_ms: i64,
    /// What a filter looks at: names in small letters.
    pub text: String,
}

impl Device {
    pub(super) fn new(id: DeviceId, now: Now) -> Self {
        Self {
            text: id.as_str().to_owned(),
            id,
            name: String::new(),
            site: String::new(),
            version: String::new(),
            arch: String::new(),
            named: false,
            presence: Presence::Untold,
            boot: String::new(),
            conn: 0,
            heard: now.mono,
            quiet: SILENT_AFTER,
            silent: false,
            class: None,
            health: None,
            curves: Default::default(),
            sources: Vec::new(),
            seq: 0,
            missed: 0,
            verdict: Verdict::Off,
            judged: false,
            away: false,
            since_ms: now.wall_ms,
        }
    }

    /// Its name for people.
    pub(super) fn label(&self) -> &str {
        if self.name.is_empty() { self.id.as_str() } else { &self.name }
    }

    /// The source called so, which there is from now on; `None` when there are too many.
    pub(super) fn source(&mut self, id: &SourceId) -> Option<&mut Source> {
        let at = match self.sources.binary_search_by(|source| source.id.cmp(id)) {
            Ok(at) => at,
            Err(_) if self.sources.len() >= SOURCES_MAX => return None,
            Err(at) => {
                self.sources.insert(at, Source::new(id.clone()));
                at
            }
        };
        self.sources.get_mut(at)
    }

    /// Takes `status`.
    pub(super) fn status(&mut self, body: &Body, now: Now, changes: &mut Vec<Change>) {
        let (state, boot) = (body.text("state", 16).unwrap_or_default(), body.text("boot", 16).unwrap_or_default());
        let conn = body.whole("conn").unwrap_or(0);
        // A will that belongs to an earlier connection is no news: `conn` is the same in birth and will.
        if state == "lost" && boot == self.boot && conn < self.conn {
            return;
        }
        (self.boot, self.conn) = (boot, conn);
        self.presence = match state.as_str() {
            "online" => Presence::Online,
            "stopping" => Presence::Stopping,
            "lost" => Presence::Lost,
            _ => return,
        };
        if self.presence == Presence::Online {
            (self.heard, self.silent) = (now.mono, false);
        }
        // A will was written when the device connected: its time says nothing.
        self.judge(body.time("ts").filter(|_| state != "lost"), now, changes);
    }

    /// Takes `info`.
    pub(super) fn info(&mut self, body: &Body, now: Now, changes: &mut Vec<Change>) {
        let text = |field, most| body.text(field, most).unwrap_or_default();
        let (name, site, version) = (text("name", 60), text("site", 40), text("version", 24));
        if !self.named || (&name, &site, &version) != (&self.name, &self.site, &self.version) {
            changes.push(Change {
                at_ms: now.wall_ms,
                device: self.id.clone(),
                source: None,
                what: What::Named { name: name.clone(), site: site.clone(), version: version.clone() },
            });
        }
        (self.name, self.site, self.version, self.arch) = (name, site, version, text("arch", 16));
        self.named = true;
        self.text = format!("{} {} {} {}", self.label(), self.site, self.id, self.version).to_lowercase();
        let Some(listed) = body.list("sources", SOURCES_MAX) else { return };
        let listed: Vec<(SourceId, String)> = listed
            .iter()
            .filter_map(|one| {
                Some((SourceId::new(&one.text("id", 33)?).ok()?, one.text("input", 120).unwrap_or_default()))
            })
            .collect();
        self.sources.retain(|source| listed.iter().any(|(id, _)| *id == source.id));
        for (id, input) in listed {
            if let Some(source) = self.source(&id) {
                source.input = input;
            }
        }
        self.judge(None, now, changes);
    }

    /// Takes `health`; `period`: how long it is fresh.
    pub(super) fn take_health(
        &mut self,
        body: &Body,
        fresh_for: Option<Duration>,
        now: Now,
        changes: &mut Vec<Change>,
    ) {
        (self.heard, self.silent) = (now.mono, false);
        if let Some(fresh_for) = fresh_for {
            self.quiet = fresh_for.min(Duration::from_secs(3600)) + Duration::from_secs(5);
        }
        // Health comes from a living device, whatever an older will says.
        if self.presence != Presence::Online {
            self.presence = Presence::Online;
        }
        self.class = body.text("class", 16).map(|word| Verdict::of(&word));
        let (spool, mqtt) = (body.within("spool"), body.within("mqtt"));
        let health = Health {
            cpu_pct: body.number("cpu_pct"),
            own_cpu_pct: body.number("own_cpu_pct"),
            budget_cpu_pct: body.within("budget").and_then(|budget| budget.number("cpu_pct_max")),
            mem_pct: body.number("mem_pct"),
            rss_bytes: body.number("rss_bytes"),
            temp_c: body.number("temp_c"),
            disk_pct: body.number("disk_pct"),
            up_s: body.number("up_s"),
            spool: spool.as_ref().and_then(|spool| spool.whole("n")),
            dropped: spool.as_ref().and_then(|spool| spool.whole("dropped")),
            rtt_ms: mqtt.as_ref().and_then(|mqtt| mqtt.number("rtt_ms")),
            trouble: spool.and_then(|spool| spool.text("trouble", 80)).unwrap_or_default(),
            complaint: mqtt.and_then(|mqtt| mqtt.text("complaint", 80)).unwrap_or_default(),
        };
        for (curve, value) in self.curves.iter_mut().zip([health.cpu_pct, health.mem_pct, health.temp_c]) {
            if curve.len() >= CURVE {
                curve.pop_front();
            }
            curve.push_back(value.map(|value| value as f32));
        }
        self.health = Some(health);
        for (id, one) in body.named("src", SOURCES_MAX) {
            if let Some(source) = SourceId::new(&id).ok().and_then(|id| self.source(&id)) {
                source.health(&one);
            }
        }
        self.judge(body.time("ts"), now, changes);
    }

    /// Notes the number of an event.
    pub(super) fn number(&mut self, seq: u64) {
        if self.seq > 0 {
            self.missed = self.missed.saturating_add(seq.saturating_sub(self.seq).saturating_sub(1));
        }
        self.seq = self.seq.max(seq);
    }

    /// Whether it should have said something by now.
    pub(super) fn listen(&mut self, now: Now, changes: &mut Vec<Change>) {
        let silent = now.mono.since(self.heard) > self.quiet;
        if silent && !self.silent {
            self.silent = true;
            self.judge(None, now, changes);
        }
    }

    /// Nothing could be heard of it for a while, which was not its fault.
    pub(super) fn excuse(&mut self, now: Now) {
        self.heard = now.mono;
    }

    /// What all of it comes to; `at`: when that began, by the device's clock.
    pub(super) fn judge(&mut self, at: Option<i64>, now: Now, changes: &mut Vec<Change>) {
        // A clock that runs ahead must not make it begin later than now.
        let at_ms = at.unwrap_or(now.wall_ms).min(now.wall_ms);
        let whole = match self.presence {
            Presence::Lost => Some(Verdict::Lost),
            Presence::Stopping => Some(Verdict::Off),
            _ if self.silent => Some(Verdict::Silent),
            _ => None,
        };
        for source in &mut self.sources {
            let Some(is) = whole.or(source.own) else { continue };
            if is != source.verdict || !source.judged {
                let was = source.judged.then_some(source.verdict);
                (source.verdict, source.judged, source.since_ms) = (is, true, at_ms);
                changes.push(Change {
                    at_ms: now.wall_ms,
                    device: self.id.clone(),
                    source: Some(source.id.clone()),
                    what: What::Verdict { was, is, moved: Moved::Not },
                });
            }
        }
        let worst = self.sources.iter().filter(|source| source.judged).map(|source| source.verdict).min();
        // What sources say may be ahead of the last health; only trouble of the box itself is in nothing else.
        let is = match (whole, worst, self.class) {
            (Some(whole), ..) => whole,
            (_, Some(worst), Some(Verdict::Warning)) => worst.min(Verdict::Warning),
            (_, Some(worst), _) => worst,
            (_, None, Some(class)) => class,
            // It is there, and that is all that is known yet.
            (_, None, None) => return,
        };
        let moved = match (self.away, whole.is_some()) {
            (false, true) => Moved::Away,
            (true, false) => Moved::Back,
            _ => Moved::Not,
        };
        if is != self.verdict || !self.judged || moved != Moved::Not {
            let was = self.judged.then_some(self.verdict);
            (self.verdict, self.judged, self.since_ms, self.away) = (is, true, at_ms, whole.is_some());
            let what = What::Verdict { was, is, moved };
            changes.push(Change { at_ms: now.wall_ms, device: self.id.clone(), source: None, what });
        }
    }
}
