//! A folder in memory whose power can be cut, whose writes can be torn and whose calls can fail.

use super::storage::{Room, Storage};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const EROFS: i32 = 30;

/// What changed the folder.
#[derive(Clone, Debug)]
pub enum Act {
    /// Bytes at the end of a file.
    Append(String, Vec<u8>),
    /// Bytes over a part of a file.
    Overwrite(String, usize, Vec<u8>),
    /// A file's content and name are on disk.
    Sync(String),
    /// A file is gone.
    Remove(String),
}

impl Act {
    /// The first half of what is written.
    fn half(&self) -> Option<Self> {
        match self {
            Self::Append(name, bytes) => Some(Self::Append(name.clone(), bytes[..bytes.len() / 2].to_vec())),
            Self::Overwrite(name, at, bytes) => {
                Some(Self::Overwrite(name.clone(), *at, bytes[..bytes.len() / 2].to_vec()))
            }
            Self::Sync(_) | Self::Remove(_) => None,
        }
    }
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// What was there before the first act.
    before: BTreeMap<String, Vec<u8>>,
    acts: Vec<Act>,
    calls: u64,
    fail: Option<(u64, bool, i32)>,
    tear: Option<usize>,
    room: Option<Room>,
    syncs: u64,
}

/// The folder, shared between a test and the storages that it hands out.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

/// What is lost in a power cut besides the acts that never happened.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// Nothing: the kernel had written all.
    Nothing,
    /// All that no sync covered.
    Unsynced,
    /// The last sector of what no sync covered reads as zeros.
    TornSector,
}

impl Fake {
    /// A handle for the outbox.
    pub fn storage(&self) -> FakeStorage {
        FakeStorage(self.clone())
    }
    /// What happened so far.
    pub fn acts(&self) -> Vec<Act> {
        self.state().acts.clone()
    }
    /// All that led to the content as it is, also across a cut.
    pub fn acts_since_start(&self) -> Vec<Act> {
        let state = self.state();
        let before = state
            .before
            .iter()
            .flat_map(|(name, bytes)| [Act::Overwrite(name.clone(), 0, bytes.clone()), Act::Sync(name.clone())]);
        before.chain(state.acts.iter().cloned()).collect()
    }
    /// How many changes happened so far.
    pub fn act_count(&self) -> usize {
        self.state().acts.len()
    }
    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }
    /// Bytes that a disk with pages of 4 KiB has written so far: with each sync the pages touched since the last one.
    pub fn flash_bytes(&self) -> u64 {
        let (mut files, mut dirty, mut pages) = (BTreeMap::new(), BTreeSet::new(), 0);
        for act in self.acts() {
            let from = match &act {
                Act::Append(name, _) => files.get(name).map_or(0, Vec::len),
                Act::Overwrite(_, at, _) => *at,
                Act::Sync(_) | Act::Remove(_) => 0,
            };
            match &act {
                Act::Append(name, bytes) | Act::Overwrite(name, _, bytes) => {
                    let last = (from + bytes.len()).saturating_sub(1);
                    dirty.extend((from / 4096..=last / 4096).map(|page| (name.clone(), page)));
                }
                Act::Sync(name) => {
                    pages += dirty.iter().filter(|(file, _)| file == name).count() as u64;
                    dirty.retain(|(file, _)| file != name);
                }
                Act::Remove(_) => {}
            }
            apply(&mut files, &act);
        }
        pages * 4096
    }
    /// Bytes in all files.
    pub fn bytes(&self) -> u64 {
        self.state().files.values().map(|file| file.len() as u64).sum()
    }
    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }
    /// The call after `after` further ones fails with `errno`; with `on` all later ones too.
    pub fn fail(&self, after: u64, on: bool, errno: i32) {
        let mut state = self.state();
        state.fail = Some((state.calls + after, on, errno));
    }
    /// Calls succeed again.
    pub fn heal(&self) {
        self.state().fail = None;
    }
    /// The next append writes only `length` bytes and fails.
    pub fn tear_next_append(&self, length: usize) {
        self.state().tear = Some(length);
    }
    /// What `room` tells.
    pub fn set_room(&self, room: Room) {
        self.state().room = Some(room);
    }

    /// The folder after a power cut in act number `count`, of which `part` bytes had been written.
    pub fn after_cut(acts: &[Act], count: usize, part: usize, loss: Loss) -> Self {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut synced: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let cut = acts.get(count).map(|act| match act {
            Act::Append(name, bytes) => Act::Append(name.clone(), bytes[..part.min(bytes.len())].to_vec()),
            Act::Overwrite(name, at, bytes) => {
                Act::Overwrite(name.clone(), *at, bytes[..part.min(bytes.len())].to_vec())
            }
            // Neither half happened.
            Act::Sync(_) | Act::Remove(_) => Act::Append("nothing".to_owned(), Vec::new()),
        });
        for act in acts[..count.min(acts.len())].iter().chain(cut.iter()) {
            if let Act::Sync(name) = act {
                synced.insert(name.clone(), files.get(name).cloned().unwrap_or_default());
            } else {
                apply(&mut files, act);
            }
        }
        match loss {
            Loss::Nothing => {}
            Loss::Unsynced => {
                synced.retain(|name, _| files.contains_key(name));
                files = synced;
            }
            Loss::TornSector => {
                for (name, bytes) in &mut files {
                    let safe = synced.get(name).map_or(0, Vec::len);
                    let from = (bytes.len().saturating_sub(1) / 512 * 512).max(safe);
                    bytes[from..].fill(0);
                }
            }
        }
        Self::holding(files)
    }

    /// A folder with these files.
    pub fn holding(files: BTreeMap<String, Vec<u8>>) -> Self {
        let fake = Self::default();
        fake.state().before = files.clone();
        fake.state().files = files;
        fake
    }
    /// Its files.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().files.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn apply(files: &mut BTreeMap<String, Vec<u8>>, act: &Act) {
    match act {
        Act::Append(name, bytes) => files.entry(name.clone()).or_default().extend(bytes),
        Act::Overwrite(name, at, bytes) => {
            let file = files.entry(name.clone()).or_default();
            file.resize(file.len().max(at + bytes.len()), 0);
            file[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Act::Remove(name) => {
            files.remove(name);
        }
        Act::Sync(_) => {}
    }
}

/// The folder as the outbox sees it.
pub struct FakeStorage(Fake);

impl FakeStorage {
    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.0.state();
        let call = state.calls;
        state.calls += 1;
        match state.fail {
            Some((at, on, errno)) if call == at || (on && call > at) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(state),
        }
    }

    /// A write that fails for want of room, or on a bad sector, has written half.
    fn act(&self, act: Act) -> io::Result<()> {
        let (mut state, act, result) = match self.call() {
            Ok(state) => (state, act, Ok(())),
            Err(error) if error.raw_os_error() == Some(EROFS) => return Err(error),
            Err(error) => match act.half() {
                Some(half) => (self.0.state(), half, Err(error)),
                None => return Err(error),
            },
        };
        apply(&mut state.files, &act);
        state.acts.push(act);
        result
    }
}

impl Storage for FakeStorage {
    fn open(&mut self) -> io::Result<Vec<String>> {
        Ok(self.call()?.files.keys().cloned().collect())
    }
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.call()?.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn read_at(&mut self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.call()?;
        let file = state.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let from = offset as usize;
        file.get(from..from + length).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let tear = self.0.state().tear.take();
        if let Some(length) = tear {
            self.act(Act::Append(name.to_owned(), bytes[..length].to_vec()))?;
            return Err(io::Error::from_raw_os_error(28));
        }
        self.act(Act::Append(name.to_owned(), bytes.to_vec()))
    }
    fn overwrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.act(Act::Overwrite(name.to_owned(), offset as usize, bytes.to_vec()))
    }
    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.act(Act::Sync(name.to_owned()))?;
        self.0.state().syncs += 1;
        Ok(())
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.act(Act::Remove(name.to_owned()))
    }
    fn room(&mut self) -> io::Result<Room> {
        Ok(self.call()?.room.unwrap_or(Room { bytes: 1 << 40, inodes: 1 << 20 }))
    }
}
