//! What is asked for only when it is wanted: `info`, which is long and would stand before the news if all came at once;
//! what is open on a source whose `state` the broker dropped; pictures of the device that is looked at.

use super::fleet::Fleet;
use super::verdict::Verdict;
use crate::ids::{DeviceId, SourceId};
use crate::time::Mono;
use crate::wire::Topics;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Topics that are asked for at once.
const AT_ONCE: usize = 200;
/// For an answer; the next time longer, since it may be that there is none.
const PATIENCE: Duration = Duration::from_secs(4);
const TRIES: u32 = 4;
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
        if self.under_way.len() > AT_ONCE / 2 {
            return wishes;
        }
        let settled = now.since(self.connected) > SETTLING;
        for device in seen.iter().filter_map(|id| fleet.device(id)).chain(fleet.devices()) {
            if self.under_way.len() >= AT_ONCE {
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
        if tries >= TRIES || not_before > now {
            return;
        }
        let topic = topic();
        let until = now.plus(PATIENCE);
        self.tried.insert(key.clone(), (tries + 1, now.plus(PATIENCE * (tries + 1))));
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
