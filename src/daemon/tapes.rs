//! The thread that writes tapes. Sources never wait for it: what it cannot take in time is missing from the tape.

use crate::ids::SourceId;
use crate::tape::{Ring, Sink};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Chunks that wait: a source makes one in ten seconds, so this bridges a disk that stalls for that long.
const WAITING: usize = 32;

/// Where the chunks of one source go.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    source: SourceId,
    sender: SyncSender<(SourceId, Vec<u8>)>,
}

impl Sink for Tape {
    fn take(&mut self, chunk: Vec<u8>) {
        // A chunk that is missing is seen by its number.
        match self.sender.try_send((self.source.clone(), chunk)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                tracing::debug!(source = %self.source, "the tape is not written fast enough");
            }
        }
    }
}

/// The tapes of all sources, in their order, and the thread that writes them.
pub(super) type Started = (Vec<Tape>, JoinHandle<()>);

/// Starts the thread, which ends when the last tape is dropped. `bytes_max` is shared by all sources alike.
pub(super) fn start(folder: &Path, sources: &[SourceId], bytes_max: u64) -> std::io::Result<Started> {
    let (sender, chunks) = sync_channel(WAITING);
    let each = bytes_max / sources.len().max(1) as u64;
    let tapes = sources.iter().map(|source| Tape { source: source.clone(), sender: sender.clone() }).collect();
    let rings: Vec<(SourceId, Option<Ring>)> = sources
        .iter()
        .map(|source| (source.clone(), opened(Ring::open(&folder.join(source.as_str()), source, each), source)))
        .collect();
    let thread = std::thread::Builder::new().name("tape".to_owned()).spawn(move || write(&chunks, rings))?;
    Ok((tapes, thread))
}

fn write(chunks: &Receiver<(SourceId, Vec<u8>)>, mut rings: Vec<(SourceId, Option<Ring>)>) {
    while let Ok((source, chunk)) = chunks.recv() {
        let Some((_, place)) = rings.iter_mut().find(|(id, _)| *id == source) else { continue };
        let failed = place.as_mut().and_then(|ring| ring.append(&chunk).err());
        if let Some(error) = failed {
            tracing::warn!(%source, %error, "the tape ends: it cannot be written");
            *place = None;
        }
    }
}

fn opened(ring: std::io::Result<Ring>, source: &SourceId) -> Option<Ring> {
    ring.inspect_err(|error| tracing::warn!(%source, %error, "there is no tape: its folder cannot be used")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::ClearedBy;
    use crate::tape::{Reader, Recorder};
    use crate::time::Stamp;

    #[test]
    fn what_is_recorded_is_on_disk_when_the_thread_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let ids = ["a", "b"].map(|id| SourceId::new(id).expect("well formed"));
        let (tapes, thread) = start(folder.path(), &ids, 1 << 20).expect("started");
        for tape in tapes {
            Recorder::new(Box::new(tape)).finish(Stamp::default(), ClearedBy::Restart, [1, 2, 3], "none");
        }
        thread.join().expect("ended");
        for id in ids {
            let mut reader = Reader::open(&folder.path().join(id.as_str())).expect("a tape");
            assert_eq!(reader.source(), &id);
            assert!(reader.next_chunk().is_some_and(|chunk| chunk.first) && reader.next_chunk().is_none());
        }
    }
}
