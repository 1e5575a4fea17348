//! Judging again: the incident engine, fed from a tape.

use super::{Chunk, Item};
use crate::alert::{Alert, ClearedBy, Incidents, Settings};
use crate::ids::{IncidentIds, SourceId};
use crate::time::Stamp;

/// The incident engine with other settings, or the same.
#[derive(Debug)]
pub struct Replay {
    source: SourceId,
    ids: IncidentIds,
    settings: Settings,
    incidents: Incidents,
    now: Stamp,
    /// What was open has been cleared, and nothing came since.
    finished: bool,
    counts: [u64; 3],
    format: String,
}

impl Replay {
    /// Incidents are named by `ids`.
    pub fn new(source: SourceId, ids: IncidentIds, settings: &Settings) -> Self {
        let incidents = Incidents::new(source.clone(), ids.clone(), settings);
        let (now, settings) = (Stamp::default(), settings.clone());
        Self { source, ids, settings, incidents, now, finished: true, counts: [0; 3], format: String::new() }
    }

    /// Goes on, and appends what is news.
    pub fn take(&mut self, chunk: &Chunk, alerts: &mut Vec<Alert>) {
        if chunk.first {
            // The session before ended without a word: power cut, or a thread that failed.
            self.finish(ClearedBy::Restart, alerts);
            self.incidents = Incidents::new(self.source.clone(), self.ids.clone(), &self.settings);
        }
        for item in &chunk.items {
            match item {
                Item::Said(at, said) => {
                    (self.now, self.finished) = (*at, false);
                    self.incidents.update(*at, said, alerts);
                }
                Item::Clock(clock) => self.incidents.set_clock(*clock),
                Item::Finish(at, by) => {
                    (self.now, self.finished) = (*at, true);
                    self.incidents.finish(*at, *by, alerts);
                }
                Item::Counts(counts, format) => (self.counts, self.format) = (*counts, format.clone()),
            }
        }
    }

    /// The tape is over.
    pub fn end(&mut self, alerts: &mut Vec<Alert>) {
        self.finish(ClearedBy::EndOfInput, alerts);
    }

    fn finish(&mut self, by: ClearedBy, alerts: &mut Vec<Alert>) {
        if !std::mem::replace(&mut self.finished, true) {
            self.incidents.finish(self.now, by, alerts);
        }
    }

    /// Place of the last unit.
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// Pictures decoded, looked at, damaged, and the format: as far as the tape says.
    pub fn counts(&self) -> ([u64; 3], &str) {
        (self.counts, &self.format)
    }
}
