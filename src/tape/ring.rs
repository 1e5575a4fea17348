//! The tape of a source that runs for ever: segments in a folder, the oldest of which gives way.

use super::head;
use super::reader::ENDING;
use crate::ids::SourceId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// So many segments make a ring: what gives way at once is a small part.
const SEGMENTS: u64 = 16;

/// One file that is written.
#[derive(Debug)]
pub struct Segment {
    file: File,
    bytes: u64,
}

impl Segment {
    /// Makes a file, in place of one that is there.
    pub fn create(path: &Path, source: &SourceId) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        let head = head(source);
        file.write_all(&head)?;
        Ok(Self { file, bytes: head.len() as u64 })
    }

    /// Adds a chunk.
    pub fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)?;
        self.bytes += chunk.len() as u64;
        Ok(())
    }
}

/// Segments of one source. Nothing is waited for: after a power cut the newest may be torn.
#[derive(Debug)]
pub struct Ring {
    folder: PathBuf,
    source: SourceId,
    bytes_max: u64,
    /// Numbers and sizes, oldest first.
    old: Vec<(u64, u64)>,
    /// Number of the one that is written.
    number: u64,
    writing: Option<Segment>,
}

impl Ring {
    /// In `folder`, which is made, of at most `bytes_max` in all. Earlier segments count.
    pub fn open(folder: &Path, source: &SourceId, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut old = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(number) = number.filter(|_| path.extension().is_some_and(|ending| ending == ENDING)) {
                old.push((number, entry.metadata()?.len()));
            }
        }
        old.sort_unstable();
        let number = old.last().map_or(0, |(number, _)| number + 1);
        Ok(Self { folder: folder.to_owned(), source: source.clone(), bytes_max, old, number, writing: None })
    }

    /// Adds a chunk; the oldest segments go when there is no room for it.
    pub fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        let length = chunk.len() as u64;
        let full = self.writing.as_ref().is_some_and(|segment| segment.bytes + length > self.bytes_max / SEGMENTS);
        if let Some(segment) = self.writing.take_if(|_| full) {
            self.old.push((self.number, segment.bytes));
            self.number += 1;
        }
        let written = self.writing.as_ref().map_or(0, |segment| segment.bytes);
        while !self.old.is_empty()
            && self.old.iter().map(|(_, bytes)| bytes).sum::<u64>() + written + length > self.bytes_max
        {
            let (number, _) = self.old.remove(0);
            fs::remove_file(self.path(number))?;
        }
        let path = self.path(self.number);
        let segment = match &mut self.writing {
            Some(segment) => segment,
            none => none.insert(Segment::create(&path, &self.source)?),
        };
        segment.append(chunk)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:010}.{ENDING}"))
    }
}
