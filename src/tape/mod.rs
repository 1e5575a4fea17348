//! A tape of what detectors said: small enough to keep for hours, exact enough to be judged again with other settings.
//!
//! A file is a head (magic, version, source) and chunks: length, CRC-32, then items. Each chunk is coded by itself, so
//! that a torn, damaged or lost one costs only what stands in it. What was said is told in thousandths already
//! (`detect`), so that a tape holds exactly what the incident engine saw.

mod code;
mod reader;
mod replay;
mod ring;
mod suggest;

pub use reader::{Chunk, Error, Reader};
pub use replay::Replay;
pub use ring::{Ring, Segment};
pub use suggest::{Proposal, Study, Suggestion};

use crate::alert::ClearedBy;
use crate::detect::Observation;
use crate::ids::SourceId;
use crate::time::{MediaTime, Stamp};
use code::Coder;
use std::time::Duration;

/// First bytes of a file.
const MAGIC: [u8; 7] = *b"PKTTAPE";
/// Of the form of chunks and items. Another one is refused.
const VERSION: u8 = 1;
/// A chunk ends when it has so many bytes ...
const CHUNK_BYTES: usize = 32 << 10;
/// ... or covers this time: a power cut costs no more.
const CHUNK_TIME: Duration = Duration::from_secs(10);
/// Longest chunk that is read: a length beyond this is damage.
const CHUNK_MAX: usize = 1 << 20;

/// What the incident engine was given, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// What the detectors said of one unit.
    Said(Stamp, Vec<Observation>),
    /// Wall clock less [`crate::time::Mono`], ms, where the clock is trusted.
    Clock(Option<i64>),
    /// The end: all that is open is cleared.
    Finish(Stamp, ClearedBy),
    /// Pictures so far: decoded, looked at, damaged; and the format.
    Counts([u64; 3], String),
}

/// Takes finished chunks. Must not block: a source's thread calls it.
pub trait Sink: Send {
    /// Takes a chunk with its length and CRC.
    fn take(&mut self, chunk: Vec<u8>);
}

/// Writes down what one pipeline says.
pub struct Recorder {
    sink: Box<dyn Sink>,
    coder: Coder,
    chunk: Vec<u8>,
    /// Of this recorder's chunks; the first begins a session.
    number: u64,
    began: MediaTime,
    clock: Option<i64>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Recorder {
    /// A session whose chunks go to `sink`.
    pub fn new(sink: Box<dyn Sink>) -> Self {
        let (coder, chunk) = (Coder::default(), Vec::new());
        Self { sink, coder, chunk, number: 0, began: MediaTime::default(), clock: None }
    }

    /// The wall clock, when it is another than before.
    pub fn clock(&mut self, clock: Option<i64>) {
        if clock != self.clock {
            self.clock = clock;
            self.begin(None);
            self.coder.put_clock(&mut self.chunk, clock);
        }
    }

    /// What was said of one unit.
    pub fn said(&mut self, at: Stamp, said: &[Observation]) {
        let over = at.at.since(self.began) >= CHUNK_TIME || self.chunk.len() >= CHUNK_BYTES;
        if !self.chunk.is_empty() && over {
            self.flush();
        }
        self.begin(Some(at.at));
        self.coder.put_said(&mut self.chunk, at, said);
    }

    /// All that was open ended.
    pub fn finish(&mut self, at: Stamp, by: ClearedBy, counts: [u64; 3], format: &str) {
        self.begin(Some(at.at));
        self.coder.put_counts(&mut self.chunk, counts, format);
        self.coder.put_finish(&mut self.chunk, at, by);
        self.flush();
    }

    fn begin(&mut self, at: Option<MediaTime>) {
        if self.chunk.is_empty() {
            self.coder = Coder::default();
            self.coder.put_number(&mut self.chunk, self.number);
            self.coder.put_clock(&mut self.chunk, self.clock);
            self.number += 1;
            self.began = at.unwrap_or(self.began);
        }
    }

    fn flush(&mut self) {
        let payload = std::mem::take(&mut self.chunk);
        self.sink.take(framed(&payload));
    }
}

/// `payload` with its length and CRC.
fn framed(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.extend(length);
    out.extend(crc(&length, payload).to_le_bytes());
    out.extend(payload);
    out
}

/// The length is under the checksum too: a damaged one must not lead into the middle of another chunk.
fn crc(length: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(payload);
    hasher.finalize()
}

/// What a file of `source` begins with.
pub fn head(source: &SourceId) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend([VERSION, source.as_str().len() as u8]);
    head.extend(source.as_str().as_bytes());
    head
}

#[cfg(test)]
mod tests;
