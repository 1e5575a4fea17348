//! What is asked for only when it is wanted: `info`, which is long and would stand before the news if all came at once;
//! what is open on a source whose `state` the broker dropped; pictures of the device that is looked at.

use super::device::Device;
use super::fleet::Fleet;
use super::verdict::Verdict;
use crate::ids::{DeviceId, SourceId};
use crate::time::Mono;
use crate::wire::Topics;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Topics that are asked for at once.
const AT_ONCE: usize = 200;
/// For an answer, which waits behind the news; the next time longer, since it may be that there is none.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_TIMES_MAX: u32 = 6;
/// What the broker kept is still coming.
const SETTLING: Duration = Duration::from_secs(5);

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Until when, by topic; whose, and of which source.
    under_way: HashMap<String, (Mono, DeviceId, Option<SourceId>)>,
    /// How often, and until when it is not asked for again.
    tried: HashMap<(DeviceId, Option<SourceId>), (u32, Mono)>,
    pictures: BTreeSet<String>,
    connected: Mono,
}

/// Topics to subscribe to, and to do so no longer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub add: Vec<String>,
    pub drop: Vec<String>,
}

impl Asks {
    /// A new connection knows nothing of what was asked for.
    pub(super) fn connected(&mut self, now: Mono) {
        *self = Self { connected: now, ..Self::default() };
    }

    /// What to ask for now. `seen`: devices on the screen; `open`: the one that is looked at.
    pub(super) fn wishes(
        &mut self,
        fleet: &Fleet,
        prefix: &str,
        seen: &[DeviceId],
        open: Option<&DeviceId>,
        now: Mono,
    ) -> Wishes {
        let mut wishes = Wishes::default();
        self.pictures(fleet, prefix, open, &mut wishes);
        self.under_way.retain(|topic, (until, device, source)| {
            let wanted = *until > now && is_lacking(fleet, device, source.as_ref());
            if !wanted {
                wishes.drop.push(topic.clone());
            }
            wanted
        });
        let settled = now.since(self.connected) > SETTLING;
        // What is on the screen does not wait for the others.
        let more: &[Device] = if self.under_way.len() > AT_ONCE / 2 { &[] } else { fleet.devices() };
        let seen_devices: Vec<_> = seen.iter().filter_map(|id| fleet.device(id)).collect();
        let all =
            seen_devices.iter().copied().map(|device| (device, true)).chain(more.iter().map(|device| (device, false)));
        for (device, seen) in all {
            if self.under_way.len() >= AT_ONCE && !seen {
                break;
            }
            if !device.named {
                self.ask(|| Topics::new(prefix, &device.id).info(), (device.id.clone(), None), now, &mut wishes);
            }
            for source in device.sources.iter().filter(|_| settled) {
                if matches!(source.verdict, Verdict::Alert | Verdict::Warning) && source.open.is_empty() {
                    let key = (device.id.clone(), Some(source.id.clone()));
                    self.ask(|| Topics::new(prefix, &device.id).state(&source.id), key, now, &mut wishes);
                }
            }
        }
        wishes
    }

    fn ask(&mut self, topic: impl Fn() -> String, key: (DeviceId, Option<SourceId>), now: Mono, wishes: &mut Wishes) {
        let (tries, not_before) = self.tried.get(&key).copied().unwrap_or_default();
        if not_before > now {
            return;
        }
        let topic = topic();
        let until = now.plus(PATIENCE);
        let times = (tries + 1).min(PATIENCE_TIMES_MAX);
        self.tried.insert(key.clone(), (times, now.plus(PATIENCE * times)));
        self.under_way.insert(topic.clone(), (until, key.0, key.1));
        wishes.add.push(topic);
    }

    fn pictures(&mut self, fleet: &Fleet, prefix: &str, open: Option<&DeviceId>, wishes: &mut Wishes) {
        let device = open.and_then(|id| fleet.device(id));
        let wanted: BTreeSet<String> = device
            .map(|device| (Topics::new(prefix, &device.id), device))
            .map(|(topics, device)| device.sources.iter().map(|source| topics.image(&source.id)).collect())
            .unwrap_or_default();
        wishes.add.extend(wanted.difference(&self.pictures).cloned());
        wishes.drop.extend(self.pictures.difference(&wanted).cloned());
        self.pictures = wanted;
    }
}

fn is_lacking(fleet: &Fleet, device: &DeviceId, source: Option<&SourceId>) -> bool {
    let Some(device) = fleet.device(device) else { return false };
    match source {
        None => !device.named,
        Some(id) => device.sources.iter().any(|source| source.id == *id && source.open.is_empty()),
    }
}
