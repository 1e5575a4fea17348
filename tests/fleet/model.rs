//! One device as the broker sees it. Every byte is made by `src/wire`.

use crate::chance::Chance;
use crate::ledger::{Kept, OneBox};
use crate::scenes::{Pictures, SCENES};
use crate::trouble::{self, Trouble};
use picket::alert::{Alert, ClearedBy, Evidence, Settings, Transition};
use picket::detect::Defect;
use picket::health::{BoxHealth, Signal};
use picket::ids::{BootId, DeviceId, IncidentIds, SourceId, StartCount};
use picket::time::{MediaTime, Mono, Stamp, Wall};
use picket::wire::{
    self, BrokerHealth, BudgetHealth, CertHealth, Device as Identity, HealthParts, Info, Made, Message, OpenIncident,
    Qos, SourceState, SpoolHealth, Teller, Topics,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The same as `daemon/control.rs`.
const PICTURE_EVERY: Duration = Duration::from_secs(10);
const EVENT_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);
/// A clock without battery, before it is set: 2000-01-01.
const UNSET_CLOCK_MS: i64 = 946_684_800_000;
const MIB: f64 = (1 << 20) as f64;

/// What all devices have in common.
pub struct Settled {
    pub prefix: String,
    /// Between two `health`.
    pub period: Duration,
    /// Mean time between incidents of one source, seconds.
    pub incident_every_s: f64,
    /// Share of sources that have shown a picture already.
    pub pictured: f64,
    /// Events that the outbox holds while the broker is away.
    pub spool_max: usize,
    pub sources_max: u64,
}

/// A source and what happens to it.
struct Watched {
    id: SourceId,
    ids: IncidentIds,
    scene: u8,
    format: &'static str,
    fps: f64,
    state: SourceState,
    open: Option<(Alert, Mono)>,
    next: Mono,
    pictured: Option<Mono>,
}

/// A device.
pub struct Device {
    pub identity: Identity,
    /// Index into the names of sites.
    pub site: usize,
    topics: Topics,
    boot: BootId,
    start: u32,
    chance: Chance,
    watched: Vec<Watched>,
    info: Vec<Info>,
    began: Mono,
    next_health: Mono,
    class_changed: bool,
    /// A clock without battery that was never set.
    pub clock_unset: bool,
    heat: f64,
    conn: u64,
    connected: Option<Mono>,
    /// Number of the last event.
    pub seq: u64,
    waiting: VecDeque<Message>,
    spool: SpoolHealth,
    out: Vec<Message>,
}

impl Device {
    /// The `number`-th of the fleet that `seed` makes.
    pub fn new(number: u64, seed: u64, sites: usize, settled: &Settled, now: Mono) -> Self {
        let mut chance = Chance::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let identity = DeviceId::from_machine_identity(&format!("{seed}-{number}"));
        let site = (number as usize * 7 + number as usize / 11) % sites;
        let start = StartCount(1 + chance.below(40) as u32);
        let boot = BootId::from_kernel(&format!("{:08x}", chance.below(u64::from(u32::MAX))));
        let count = 1 + chance.below(settled.sources_max);
        let detectors = wire::holds(&Settings::default());
        let watched: Vec<Watched> =
            (0..count).map(|n| watched(&identity, start, n, settled, now, &mut chance)).collect();
        let info = |(n, source): (usize, &Watched)| Info {
            id: source.id.as_str().to_owned(),
            input: format!("udp://239.{}.{}.{}:5000", 10 + site, number % 250, n + 1),
            detectors: detectors.clone(),
        };
        Self {
            site,
            topics: Topics::new(&settled.prefix, &identity),
            boot,
            start: start.0,
            info: watched.iter().enumerate().map(info).collect(),
            watched,
            began: now,
            next_health: now.plus(settled.period.mul_f64(chance.unit())),
            class_changed: false,
            clock_unset: chance.unit() < 0.01,
            heat: chance.between(44.0, 66.0) + if chance.unit() < 0.02 { 22.0 } else { 0.0 },
            conn: 0,
            connected: None,
            seq: 0,
            waiting: VecDeque::new(),
            spool: SpoolHealth::default(),
            out: Vec::new(),
            identity: Identity {
                id: identity,
                name: Some(format!("{} {}", trouble::RACKS[number as usize % trouble::RACKS.len()], 1 + number / 8)),
                site: Some(trouble::SITES[site % trouble::SITES.len()].to_owned()),
            },
            chance,
        }
    }

    /// Another box with the same card: same identity, another boot.
    pub fn copied(mut self) -> Self {
        self.boot = BootId::from_kernel(&format!("{:08x}", 0xffff_ffff - self.chance.below(1 << 20)));
        self.chance = Chance::new(self.chance.below(u64::from(u32::MAX)));
        self
    }

    /// Which box this is.
    pub fn name(&self) -> OneBox {
        (self.identity.id.as_str().to_owned(), self.boot.as_str().to_owned())
    }

    /// What the broker should keep of it.
    pub fn kept(&self) -> Kept {
        let source = |source: &Watched| {
            let open = source.state.open.iter().map(|open| open.id.as_str().to_owned()).collect();
            (source.id.as_str().to_owned(), (source.state.verdict().name().to_owned(), open))
        };
        Kept { status: "online".to_owned(), sources: self.watched.iter().map(source).collect() }
    }

    fn made(&self, now: Mono, wall: Wall) -> Made {
        let wall = match self.clock_unset {
            true => Wall { unix_ms: UNSET_CLOCK_MS + now.since(self.began).as_millis() as i64, synced: false },
            false => Wall { synced: true, ..wall },
        };
        Made { wall, mono: now, boot: self.boot.clone() }
    }

    /// Birth, will and last word.
    pub fn status(&self, state: &str, now: Mono, wall: Wall) -> Message {
        let payload = wire::status(&self.made(now, wall), state, self.conn);
        retained(self.topics.status(), payload, Qos::AtLeastOnce)
    }

    /// The broker is there (again): the retained set first, then what waited.
    pub fn connect(&mut self, now: Mono, wall: Wall, settled: &Settled, pictures: &mut Pictures) {
        let first = self.conn == 0;
        self.conn += 1;
        self.connected = Some(now);
        self.out.push(self.status("online", now, wall));
        let made = self.made(now, wall);
        let info = wire::info(&made, &self.identity, self.start, "simulated", &self.info, None);
        self.out.push(retained(self.topics.info(), info, Qos::AtLeastOnce));
        for n in 0..self.watched.len() {
            self.publish_state(n, now, wall);
            let source = &self.watched[n];
            if first && self.chance.unit() < settled.pictured {
                let jpeg = pictures.of(source.scene, None).to_vec();
                self.out.push(retained(self.topics.image(&source.id), jpeg, Qos::AtMostOnce));
            }
        }
        self.spool.n = 0;
        for message in self.waiting.drain(..) {
            self.out.push(Message { payload: replayed(message.payload), ..message });
        }
        self.class_changed |= !first;
    }

    /// The broker is gone; the device goes on.
    pub fn disconnect(&mut self) {
        self.connected = None;
    }

    /// Whether the broker is there.
    pub fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// The next step tells `health`, whatever its period.
    pub fn hurry(&mut self) {
        self.class_changed = true;
    }

    /// When something is to be done next.
    pub fn due(&self) -> Mono {
        let ends = |source: &Watched| source.open.as_ref().map_or(source.next, |(_, ends)| *ends);
        self.watched.iter().map(ends).chain([self.next_health]).min().unwrap_or(self.next_health)
    }

    /// Does what is due and hands out what is to be sent.
    pub fn step(&mut self, now: Mono, wall: Wall, settled: &Settled, pictures: &mut Pictures) -> Vec<Message> {
        for n in 0..self.watched.len() {
            match &self.watched[n].open {
                Some((_, ends)) if *ends <= now => self.clear(n, now, wall, settled, pictures),
                None if self.watched[n].next <= now => {
                    let trouble = trouble::any(&mut self.chance);
                    let seconds = self.chance.between(4.0, 20.0) + self.chance.wait(30.0);
                    self.raise(n, trouble, seconds, (now, wall), settled, pictures);
                }
                _ => {}
            }
        }
        if self.next_health <= now || self.class_changed {
            self.class_changed = false;
            // A beat that was missed is not made up for.
            while self.next_health <= now {
                self.next_health = self.next_health.plus(settled.period);
            }
            self.publish_health(now, wall, settled);
        }
        let said = std::mem::take(&mut self.out);
        // Events wait in the outbox, documents come again when the broker does.
        if self.connected.is_some() { said } else { Vec::new() }
    }

    /// Trouble from outside: the same for many at once. Sources that have some already keep it.
    pub fn afflict(
        &mut self,
        share: f64,
        what: Trouble,
        seconds: f64,
        when: (Mono, Wall),
        settled: &Settled,
        pictures: &mut Pictures,
    ) {
        for n in 0..self.watched.len() {
            if self.watched[n].open.is_none() && self.chance.unit() < share {
                let lasts = seconds * self.chance.between(0.9, 1.2);
                self.raise(n, what, lasts, when, settled, pictures);
            }
        }
    }

    fn raise(
        &mut self,
        n: usize,
        what: Trouble,
        seconds: f64,
        (now, wall): (Mono, Wall),
        settled: &Settled,
        pictures: &mut Pictures,
    ) {
        let scale = 0.6 + 0.4 * self.chance.unit();
        let media = self.media(now);
        let source = &mut self.watched[n];
        let alert = Alert {
            id: source.ids.next_id(),
            source: source.id.clone(),
            defect: what.defect,
            transition: Transition::Raised,
            severity: what.severity,
            at: Stamp { at: media, arrived: now },
            onset: media.minus(Duration::from_secs_f64(what.hold_s)),
            value: what.value,
            threshold: what.threshold,
            unit: what.unit,
            confidence: Some(0.75 + 0.25 * scale),
            region: None,
            text: what.text.to_owned(),
            masks: if what.defect == Defect::Black { vec![Defect::Freeze] } else { vec![] },
            evidence: None,
        };
        source.state.open = vec![OpenIncident { id: alert.id.clone(), defect: alert.defect, severity: alert.severity }];
        if what.defect == Defect::StreamLoss {
            source.state.status.signal = Signal::Lost;
            source.state.status.reason = Some(what.text.to_owned());
            source.state.status.fps = 0.0;
        }
        source.open = Some((alert.clone(), now.plus(Duration::from_secs_f64(seconds))));
        self.tell(n, alert, (now, wall), settled, pictures);
    }

    fn clear(&mut self, n: usize, now: Mono, wall: Wall, settled: &Settled, pictures: &mut Pictures) {
        let media = self.media(now);
        let source = &mut self.watched[n];
        let Some((mut alert, _)) = source.open.take() else { return };
        alert.at = Stamp { at: media, arrived: now };
        alert.transition = Transition::Cleared { end: media, by: ClearedBy::Recovered };
        alert.text = format!("{} has ended", alert.defect.name().replace('_', " "));
        source.state.open.clear();
        source.state.status.signal = Signal::Up;
        source.state.status.reason = None;
        source.state.status.fps = source.fps;
        source.next = now.plus(Duration::from_secs_f64(self.chance.wait(settled.incident_every_s)));
        self.tell(n, alert, (now, wall), settled, pictures);
    }

    fn media(&self, now: Mono) -> MediaTime {
        MediaTime::from_secs_f64(now.since(self.began).as_secs_f64() + 3600.0)
    }

    /// Picture, event, state, as `daemon/control.rs` does.
    fn tell(
        &mut self,
        n: usize,
        mut alert: Alert,
        (now, wall): (Mono, Wall),
        settled: &Settled,
        pictures: &mut Pictures,
    ) {
        let source = &mut self.watched[n];
        let cleared = matches!(alert.transition, Transition::Cleared { .. });
        let too_soon = source.pictured.is_some_and(|last| now.since(last) < PICTURE_EVERY);
        if trouble::is_seen(alert.defect) && !too_soon && settled.pictured > 0.0 {
            source.pictured = Some(now);
            let jpeg = pictures.of(source.scene, (!cleared).then_some(alert.defect)).to_vec();
            let sha256 = Sha256::digest(&jpeg).iter().map(|byte| format!("{byte:02x}")).collect();
            let topic = self.topics.image(&source.id);
            self.out.push(retained(topic, jpeg.clone(), Qos::AtMostOnce));
            alert.evidence = Some(Evidence { jpeg, sha256 });
        }
        self.seq += 1;
        let made = self.made(now, wall);
        let teller = Teller {
            device: &self.identity.id,
            seq: self.seq,
            boot: &self.boot,
            clocks: Some((made.wall, now)),
            topics: Some(&self.topics),
        };
        let event = Message {
            topic: self.topics.event(&alert.source),
            payload: wire::event(&alert, &teller),
            qos: Qos::AtLeastOnce,
            retain: false,
            expires_after: Some(EVENT_EXPIRY),
        };
        if self.connected.is_some() {
            self.out.push(event);
        } else {
            self.waiting.push_back(event);
            if self.waiting.len() > settled.spool_max {
                self.waiting.pop_front();
                self.spool.dropped += 1;
            }
            self.spool.n = self.waiting.len() as u64;
        }
        self.publish_state(n, now, wall);
        self.class_changed = true;
    }

    fn publish_state(&mut self, n: usize, now: Mono, wall: Wall) {
        let made = self.made(now, wall);
        let wave = (now.as_ms() as f64 / 9000.0 + n as f64).sin();
        let source = &mut self.watched[n];
        let status = &mut source.state.status;
        let up = status.signal == Signal::Up;
        status.format = up.then(|| source.format.to_owned());
        status.luma_mean = up.then_some(0.42 + 0.1 * wave);
        status.rms_dbfs = up.then_some(-21.0 + 3.0 * wave);
        status.loudness = up.then_some([-23.4 + 2.0 * wave, -23.1 + wave, -23.0]);
        status.true_peak_dbtp = up.then_some(-6.0 + 2.0 * wave);
        status.frames = (now.since(self.began).as_secs_f64() * source.fps) as u64;
        let payload = wire::state(&made, &source.state);
        self.out.push(retained(self.topics.state(&source.id), payload, Qos::AtLeastOnce));
    }

    fn publish_health(&mut self, now: Mono, wall: Wall, settled: &Settled) {
        let made = self.made(now, wall);
        let wave = (now.as_ms() as f64 / 61_000.0 + self.heat).sin();
        let sources = self.watched.len() as f64;
        let temps = BTreeMap::from([("cpu".to_owned(), self.heat + 3.0 * wave), ("board".to_owned(), self.heat - 9.0)]);
        let measured = BoxHealth {
            up: now.since(self.began) + Duration::from_secs(3600),
            cpu_pct: Some(38.0 + 6.0 * sources + 9.0 * wave),
            own_cpu_pct: Some(4.5 * sources + wave),
            load1: Some(1.4 + 0.5 * wave),
            psi_cpu_pct: Some((2.0 + 2.0 * wave).max(0.0)),
            psi_mem_pct: Some(0.0),
            psi_io_pct: Some(0.1),
            mem_pct: Some(46.0 + 2.0 * wave),
            rss_bytes: Some(((38.0 + 11.0 * sources) * MIB) as u64),
            temps,
            disk_pct: Some(31.0),
            disk_ro: Some(false),
            watchdog_margin: Some(Duration::from_millis(27_900)),
            ..BoxHealth::default()
        };
        let budget = BudgetHealth {
            cpu_pct: 4.5 * sources + wave,
            cpu_pct_max: 25.0,
            rss_bytes_max: 160 << 20,
            over_memory: false,
            coverage: 1.0,
        };
        let up_s = self.connected.map_or(0.0, |since| now.since(since).as_secs_f64());
        let mqtt = BrokerHealth {
            reconnects: self.conn.saturating_sub(1),
            rtt_ms: Some(2.0),
            up_s,
            ..BrokerHealth::default()
        };
        let states = self.watched.iter().map(|source| (source.id.clone(), source.state.clone())).collect();
        let cert = CertHealth::default();
        let parts = HealthParts { budget: &budget, spool: &self.spool, mqtt: &mqtt, cert: &cert, sources: &states };
        self.out.push(Message {
            topic: self.topics.health(),
            payload: wire::health(&made, &measured, parts),
            qos: Qos::AtMostOnce,
            retain: false,
            expires_after: Some(3 * settled.period),
        });
    }
}

fn watched(device: &DeviceId, start: StartCount, n: u64, settled: &Settled, now: Mono, chance: &mut Chance) -> Watched {
    let name = trouble::SOURCES[n as usize % trouble::SOURCES.len()];
    // The names of a catalogue are well formed.
    let id = SourceId::new(name).unwrap_or_else(|_| unreachable!("{name} is a source id"));
    let (format, fps) = trouble::FORMATS[chance.below(trouble::FORMATS.len() as u64) as usize];
    let mut state = SourceState::default();
    state.status.signal = Signal::Up;
    state.status.fps = fps;
    state.status.coverage = 1.0;
    // Some are in trouble from the first minute on: a fleet never starts clean.
    let mean = if chance.unit() < 0.02 { 5.0 } else { settled.incident_every_s };
    Watched {
        ids: IncidentIds::new(device, start, &id),
        id,
        scene: chance.below(u64::from(SCENES)) as u8,
        format,
        fps,
        state,
        open: None,
        next: now.plus(Duration::from_secs_f64(chance.wait(mean))),
        pictured: None,
    }
}

fn retained(topic: String, payload: Vec<u8>, qos: Qos) -> Message {
    Message { topic, payload, qos, retain: true, expires_after: None }
}

/// As the outbox marks what is late.
fn replayed(mut event: Vec<u8>) -> Vec<u8> {
    event.pop();
    event.extend_from_slice(b",\"replayed\":true}");
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_fleet_and_what_does_not_fit_is_counted() {
        let settled = Settled {
            prefix: String::new(),
            period: Duration::from_secs(10),
            incident_every_s: 20.0,
            pictured: 1.0,
            spool_max: 2,
            sources_max: 4,
        };
        let run = || {
            let mut pictures = Pictures::default();
            let mut device = Device::new(3, 1, 9, &settled, Mono(0));
            let (mut now, mut said) = (Mono(0), Vec::new());
            let wall = Wall { unix_ms: 1_700_000_000_000, synced: true };
            device.connect(now, wall, &settled, &mut pictures);
            while now < Mono(600_000_000_000) {
                if (200..203).contains(&(now.as_ms() / 1000)) {
                    device.disconnect();
                }
                said.extend(device.step(now, wall, &settled, &mut pictures));
                now = device.due();
            }
            let (waiting, dropped) = (device.waiting.len(), device.spool.dropped);
            (said, waiting, dropped, device.seq)
        };
        let (said, waiting, dropped, seq) = run();
        assert_eq!(said, run().0);
        let events = said.iter().filter(|message| message.topic.ends_with("/event")).count() as u64;
        assert_eq!(events + waiting as u64 + dropped, seq);
        for message in &said {
            let limit = if message.topic.starts_with("picket-img/") { 32 << 10 } else { 8 << 10 };
            assert!(message.payload.len() <= limit, "{}: {} bytes", message.topic, message.payload.len());
        }
    }
}
