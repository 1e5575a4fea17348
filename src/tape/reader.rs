//! Reading a tape: a file, or the segments of a folder in order. What is torn or damaged is left out and told.

use super::code::Coder;
use super::{CHUNK_MAX, Item, MAGIC, VERSION, crc};
use crate::ids::SourceId;
use crate::time::MediaTime;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Ending of segments' names.
pub(super) const ENDING: &str = "tape";

/// Why a tape cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file, or no right to read it.
    #[error("{}: cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// Something else.
    #[error("{}: is no tape of measures: 'picket analyze --features FILE' and [tape] write such", .0.display())]
    Other(PathBuf),
    /// From another version.
    #[error("{}: is a tape of version {found}; this Picket reads version {VERSION}", .path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
    /// Nothing there.
    #[error("{}: has no *.tape in it{}", .folder.display(), list(.sources))]
    Empty {
        /// Which folder.
        folder: PathBuf,
        /// Folders of sources below it.
        sources: Vec<String>,
    },
}

fn list(sources: &[String]) -> String {
    if sources.is_empty() { String::new() } else { format!("; there are folders of {}", sources.join(", ")) }
}

/// Some seconds of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Whether it is the first of a session: what came before ended without a word.
    pub first: bool,
    /// What the engine was given.
    pub items: Vec<Item>,
}

impl Chunk {
    /// Place of the first unit in it.
    pub fn began(&self) -> Option<MediaTime> {
        self.items.iter().find_map(|item| match item {
            Item::Said(at, _) => Some(at.at),
            _ => None,
        })
    }
}

/// The chunks of a tape, one after the other.
#[derive(Debug)]
pub struct Reader {
    source: SourceId,
    /// The next file last.
    paths: Vec<PathBuf>,
    file: Option<(PathBuf, BufReader<File>)>,
    /// Number that the next chunk has, if none is missing.
    expected: Option<u64>,
    remarks: Vec<String>,
}

impl Reader {
    /// Opens a file, or a folder of segments.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut paths = if path.is_dir() { segments(path)? } else { vec![path.to_owned()] };
        paths.reverse();
        let first = paths.last().cloned().unwrap_or_default();
        let (source, _) = open(&first)?;
        Ok(Self { source, paths, file: None, expected: None, remarks: Vec::new() })
    }

    /// Whose tape it is.
    pub fn source(&self) -> &SourceId {
        &self.source
    }

    /// What was left out, one line each, so far.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The next chunk that is whole; `None` at the end.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        loop {
            if self.file.is_none() {
                let path = self.paths.pop()?;
                match open(&path) {
                    Ok((source, file)) if source == self.source => self.file = Some((path, file)),
                    Ok((source, _)) => self.remarks.push(format!("{}: left out: of source {source}", path.display())),
                    Err(error) => self.remarks.push(format!("left out: {error}")),
                }
                continue;
            }
            let (path, file) = self.file.as_mut()?;
            match payload(file) {
                Ok(None) => self.file = None,
                Ok(Some(payload)) => match Coder::read(&payload) {
                    Some((number, items)) => return Some(self.counted(number, items)),
                    None => self.remarks.push(format!("{}: a chunk that cannot be read is left out", path.display())),
                },
                Err(fault) => {
                    self.remarks.push(format!("{}: {fault}; the rest of it is left out", path.display()));
                    self.file = None;
                }
            }
        }
    }

    fn counted(&mut self, number: u64, items: Vec<Item>) -> Chunk {
        if let Some(expected) = self.expected.filter(|&expected| number != 0 && number != expected) {
            self.remarks.push(format!("{} chunks are missing", number.saturating_sub(expected)));
        }
        self.expected = Some(number.saturating_add(1));
        Chunk { first: number == 0, items }
    }
}

/// The segments in `folder`, oldest first.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |error| Error::Read(folder.to_owned(), error);
    let mut paths = Vec::new();
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.is_dir() {
            sources.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        } else if path.extension().is_some_and(|ending| ending == ENDING) {
            paths.push(path);
        }
    }
    paths.sort();
    sources.sort();
    if paths.is_empty() { Err(Error::Empty { folder: folder.to_owned(), sources }) } else { Ok(paths) }
}

/// The file behind its head.
fn open(path: &Path) -> Result<(SourceId, BufReader<File>), Error> {
    let mut file = BufReader::new(File::open(path).map_err(|error| Error::Read(path.to_owned(), error))?);
    let other = |_| Error::Other(path.to_owned());
    let mut head = [0; MAGIC.len() + 2];
    file.read_exact(&mut head).map_err(other)?;
    let [magic @ .., version, length] = head;
    if magic != MAGIC {
        return Err(Error::Other(path.to_owned()));
    }
    if version != VERSION {
        return Err(Error::Version { path: path.to_owned(), found: version });
    }
    let mut name = vec![0; usize::from(length)];
    file.read_exact(&mut name).map_err(other)?;
    let source = std::str::from_utf8(&name).ok().and_then(|name| SourceId::new(name).ok());
    Ok((source.ok_or_else(|| Error::Other(path.to_owned()))?, file))
}

/// The next payload; `None` at the end of the file.
fn payload(file: &mut BufReader<File>) -> Result<Option<Vec<u8>>, &'static str> {
    const TORN: &str = "it breaks off in the middle of a chunk";
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head).map_err(|_| "it cannot be read on")?;
    let Some((length, sum)) = head.split_first_chunk::<4>() else {
        return if head.is_empty() { Ok(None) } else { Err(TORN) };
    };
    let sum = <[u8; 4]>::try_from(sum).map_err(|_| TORN)?;
    let bytes = u32::from_le_bytes(*length) as usize;
    if bytes > CHUNK_MAX {
        return Err("it is damaged");
    }
    let mut payload = vec![0; bytes];
    file.read_exact(&mut payload).map_err(|_| TORN)?;
    if crc(length, &payload) == u32::from_le_bytes(sum) { Ok(Some(payload)) } else { Err("it is damaged") }
}
