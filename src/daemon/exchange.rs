//! Fingerprints on their way from one source's thread to another's. Neither waits: what finds no room is left out.

use crate::config::Config;
use crate::ids::SourceId;
use crate::pair::Block;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Seconds that wait for a thread that stands still.
const WAITING: usize = 60;

/// What one source gives, and gets of the one before its encoder.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Who wants this source's.
    to: Vec<SyncSender<Block>>,
    /// The source that this one is paired with.
    from: Option<(SourceId, Receiver<Block>)>,
}

impl Exchange {
    /// For all sources, in their order.
    pub(super) fn between(config: &Config) -> Vec<Exchange> {
        let mut all: Vec<Exchange> = config.sources.iter().map(|_| Exchange::default()).collect();
        for (output, source) in config.sources.iter().enumerate() {
            let Some(with) = &source.pair_with else { continue };
            let Some(input) = config.sources.iter().position(|other| other.id == *with) else { continue };
            let (sender, receiver) = sync_channel(WAITING);
            all[input].to.push(sender);
            all[output].from = Some((with.clone(), receiver));
        }
        all
    }

    /// Whether somebody wants this source's.
    pub(super) fn is_wanted(&self) -> bool {
        !self.to.is_empty()
    }

    /// The source before the encoder.
    pub(super) fn with(&self) -> Option<&SourceId> {
        self.from.as_ref().map(|(with, _)| with)
    }

    /// Gives a second of this source away.
    pub(super) fn give(&self, block: &Block) {
        for sender in &self.to {
            // A thread that stands still for a minute has lost the thread anyway.
            let _ = sender.try_send(block.clone());
        }
    }

    /// What came of the other source.
    pub(super) fn taken(&self) -> impl Iterator<Item = Block> {
        self.from.iter().flat_map(|(_, receiver)| receiver.try_iter())
    }
}
