//! All that is known of a fleet. Messages in, changes out; no clock, no socket, no screen.

use super::Now;
use super::body::{self, Body};
use super::device::{Device, Open, Presence};
use super::incident::{Change, Incident, Incidents, Step, What};
use super::verdict::Severity;
use crate::ids::{DeviceId, SourceId};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Devices that are taken; more are counted.
const DEVICES_MAX: usize = 50_000;
/// Numbers of events that a reader in any language tells apart; a device's outbox comes to none that is greater.
const SEQ_MAX: u64 = 1 << 53;
/// Changes that the screen can look back on.
const LOG_MAX: usize = 1000;
/// Longest picture.
pub(super) const PICTURE_MAX: usize = 32 * 1024;

/// How many messages came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub messages: u64,
    /// Not understood, or too long.
    pub bad: u64,
    /// Of devices above the limit.
    pub beyond: u64,
}

/// A fleet.
#[derive(Default)]
pub(super) struct Fleet {
    /// Topic levels before `picket/1`, with their slash.
    root: String,
    devices: Vec<Device>,
    places: HashMap<DeviceId, usize>,
    incidents: Incidents,
    /// What happened last, newest last.
    pub log: VecDeque<Change>,
    /// What happened since the last [`Fleet::take_changes`].
    changes: Vec<Change>,
    pub counts: Counts,
    /// Pictures of one device: JPEG, and a number that tells a new one.
    pictures: HashMap<SourceId, (u64, Vec<u8>)>,
    pictured: Option<DeviceId>,
    picture_count: u64,
    /// Something is different from before.
    pub moved: bool,
}

impl Fleet {
    /// Below `prefix`.
    pub(super) fn new(prefix: &str) -> Self {
        let root = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { root, ..Self::default() }
    }

    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    pub(super) fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.places.get(id).and_then(|at| self.devices.get(*at))
    }

    /// Incidents that are open on a device, worst first, then youngest.
    pub(super) fn open_on<'a>(&'a self, device: &'a Device) -> Vec<(&'a SourceId, &'a Open, Option<&'a Incident>)> {
        let mut all = Vec::new();
        for source in &device.sources {
            all.extend(source.open.iter().map(|open| (&source.id, open, self.incidents.get(&device.id, &open.id))));
        }
        all.sort_by_key(|(_, open, known)| (open.severity, std::cmp::Reverse(known.map_or(0, |known| known.began_ms))));
        all
    }

    /// The picture of a source of the device whose pictures are kept.
    pub(super) fn picture(&self, source: &SourceId) -> Option<(u64, &[u8])> {
        self.pictures.get(source).map(|(number, bytes)| (*number, bytes.as_slice()))
    }

    /// Keeps pictures of this device from now on, and of no other.
    pub(super) fn picture_of(&mut self, device: Option<&DeviceId>) {
        if self.pictured.as_ref() != device {
            self.pictured = device.cloned();
            self.pictures.clear();
        }
    }

    /// What happened since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            // What was there when we came is no news, nor are names.
            let old = matches!(change.what, What::Verdict { was: None, .. } | What::Named { .. });
            if old {
                continue;
            }
            if self.log.len() >= LOG_MAX {
                self.log.pop_front();
            }
            self.log.push_back(change.clone());
        }
        changes
    }

    /// Time has passed while the broker was there.
    pub(super) fn tick(&mut self, now: Now) {
        let before = self.changes.len();
        for device in &mut self.devices {
            if device.presence != Presence::Lost && device.presence != Presence::Stopping {
                device.listen(now, &mut self.changes);
            }
        }
        self.moved |= self.changes.len() > before;
    }

    /// The broker is there (again): what was not heard meanwhile is nobody's silence.
    pub(super) fn excuse_all(&mut self, now: Now) {
        self.devices.iter_mut().for_each(|device| device.excuse(now));
    }

    /// Takes a message. Others' topics are none of ours.
    pub(super) fn take(&mut self, topic: &str, payload: &[u8], fresh_for: Option<Duration>, now: Now) {
        self.counts.messages += 1;
        let Some(rest) = topic.strip_prefix(self.root.as_str()) else { return };
        let mut levels = rest.split('/');
        let (Some(tree), Some("1"), Some(id)) = (levels.next(), levels.next(), levels.next()) else { return };
        let Ok(id) = DeviceId::new(id) else { return };
        let levels: Vec<&str> = levels.collect();
        match (tree, levels.as_slice()) {
            ("picket-img", [source, "last"]) => self.take_picture(&id, source, payload),
            ("picket", levels) if payload.is_empty() => self.forget(&id, levels, now),
            ("picket", levels) => match body::read(payload) {
                Some(body) => self.take_body(id, levels, &body, fresh_for, now),
                None => self.counts.bad += 1,
            },
            _ => {}
        }
    }

    fn take_picture(&mut self, id: &DeviceId, source: &str, payload: &[u8]) {
        let Ok(source) = SourceId::new(source) else { return };
        if self.pictured.as_ref() != Some(id)
            || self.device(id).is_none_or(|device| device.sources.iter().all(|one| one.id != source))
        {
            return;
        }
        self.moved = true;
        // JPEG starts so; nothing else is looked at.
        if payload.len() > PICTURE_MAX || !payload.starts_with(&[0xff, 0xd8]) {
            self.pictures.remove(&source);
            self.counts.bad += u64::from(!payload.is_empty());
            return;
        }
        self.picture_count += 1;
        self.pictures.insert(source, (self.picture_count, payload.to_vec()));
    }

    fn take_body(&mut self, id: DeviceId, levels: &[&str], body: &Body, fresh_for: Option<Duration>, now: Now) {
        let source = match levels {
            ["src", source, "state" | "event"] => match SourceId::new(source) {
                Ok(source) => Some(source),
                Err(_) => return,
            },
            ["status" | "info" | "health"] => None,
            _ => return,
        };
        let Some(at) = self.place(&id, now) else { return };
        let Self { devices, changes, .. } = self;
        let Some(device) = devices.get_mut(at) else { return };
        self.moved = true;
        match (levels, source) {
            (["status"], _) => device.status(body, now, changes),
            (["info"], _) => device.info(body, now, changes),
            (["health"], _) => device.take_health(body, fresh_for, now, changes),
            ([.., "state"], Some(source)) => self.take_state(at, &source, body, now),
            ([.., "event"], Some(source)) => self.take_event(at, &source, body, now),
            _ => {}
        }
    }

    /// Where a device is, which there is from now on; `None` when there are too many.
    fn place(&mut self, id: &DeviceId, now: Now) -> Option<usize> {
        if let Some(at) = self.places.get(id) {
            return Some(*at);
        }
        if self.devices.len() >= DEVICES_MAX {
            self.counts.beyond += 1;
            return None;
        }
        self.places.insert(id.clone(), self.devices.len());
        self.devices.push(Device::new(id.clone(), now));
        Some(self.devices.len() - 1)
    }

    fn take_state(&mut self, at: usize, source: &SourceId, body: &Body, now: Now) {
        let Some(device) = self.devices.get_mut(at) else { return };
        let Some(of) = device.source(source) else { return };
        of.state(body);
        let open = of.open.clone();
        let began = body.time("ts");
        device.judge(began, now, &mut self.changes);
        let id = device.id.clone();
        for open in open {
            if self.incidents.get(&id, &open.id).is_none() {
                self.incidents.keep(Incident {
                    id: open.id,
                    device: id.clone(),
                    source: source.clone(),
                    defect: open.defect,
                    severity: open.severity,
                    over: false,
                    vague: true,
                    began_ms: began.unwrap_or(now.wall_ms).min(now.wall_ms),
                    text: String::new(),
                    seq: 0,
                });
            }
        }
    }

    fn take_event(&mut self, at: usize, source: &SourceId, body: &Body, now: Now) {
        let step = match body.text("state", 16).as_deref() {
            Some("raised") => "raised",
            Some("updated") => "updated",
            Some("cleared") => "cleared",
            _ => return,
        };
        let seq = body.whole("seq").filter(|seq| *seq <= SEQ_MAX);
        let (Some(id), Some(defect), Some(seq)) = (body.text("id", 96), body.text("defect", 32), seq) else {
            self.counts.bad += 1;
            return;
        };
        let Some(device) = self.devices.get_mut(at) else { return };
        // QoS 1 may bring an older step again.
        if self.incidents.get(&device.id, &id).is_some_and(|known| known.seq >= seq) {
            return;
        }
        device.number(seq);
        let severity = Severity::of(&body.text("severity", 16).unwrap_or_default());
        let Some(of) = device.source(source) else { return };
        of.open.retain(|open| open.id != id);
        let over = step == "cleared";
        if !over {
            of.raise(Open { id: id.clone(), defect: defect.clone(), severity, acked: false });
        }
        let text = body.text("text", 200).unwrap_or_default();
        let device_id = device.id.clone();
        device.judge(None, now, &mut self.changes);
        let lasted_s = body.number("duration_s");
        let began_ms = body.time("onset_ts").map_or(now.wall_ms, |began| began.min(now.wall_ms));
        self.incidents.keep(Incident {
            id: id.clone(),
            device: device_id.clone(),
            source: source.clone(),
            defect: defect.clone(),
            severity,
            over,
            vague: false,
            began_ms,
            text: text.clone(),
            seq,
        });
        let replayed = body.flag("replayed");
        let what = What::Step(Step { step, id, defect, severity, text, seq, lasted_s, replayed });
        self.changes.push(Change { at_ms: now.wall_ms, device: device_id, source: Some(source.clone()), what });
    }

    /// An empty retained body: this is no more.
    fn forget(&mut self, id: &DeviceId, levels: &[&str], now: Now) {
        let Some(at) = self.places.get(id).copied() else { return };
        match levels {
            ["status" | "info"] => {
                self.devices.swap_remove(at);
                self.places.remove(id);
                self.incidents.forget(id);
                if let Some(moved) = self.devices.get(at) {
                    self.places.insert(moved.id.clone(), at);
                }
                self.changes.push(Change { at_ms: now.wall_ms, device: id.clone(), source: None, what: What::Gone });
            }
            ["src", source, "state"] => {
                let Some(device) = self.devices.get_mut(at) else { return };
                device.sources.retain(|one| one.id.as_str() != *source);
                device.judge(None, now, &mut self.changes);
            }
            _ => return,
        }
        self.moved = true;
    }
}
