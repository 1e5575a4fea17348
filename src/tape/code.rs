//! Items as bytes: only what changed against the item of the same kind before, in variable-length integers.

use super::Item;
use crate::alert::ClearedBy;
use crate::detect::{Change, Defect, Levels, Observation, Presence, Region, Scope, Severity};
use crate::time::{MediaTime, Mono, Stamp};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// First bytes of items; lower ones number the sets of defects that were spoken of.
const NEW_SET: u8 = 0xf0;
const CLOCK: u8 = 0xf1;
const FINISH: u8 = 0xf2;
const COUNTS: u8 = 0xf3;
/// Different sets are few: pictures, sound, transport.
const SETS_MAX: usize = 0x80;
/// Words and units in a tape are those of detectors; more or longer ones are damage.
const WORD_MAX: usize = 200;
const WORDS_MAX: usize = 1000;

// What of an observation changed, as bits of its first byte; the lowest two are its presence.
const SINCE: u8 = 1 << 2;
/// Not the same moment, but the same time ago.
const SINCE_MOVED: u8 = 1 << 3;
const VALUE: u8 = 1 << 4;
const CONFIDENCE: u8 = 1 << 5;
const REGION: u8 = 1 << 6;
const REST: u8 = 1 << 7;

/// What the other side knows as well.
#[derive(Clone, Debug, Default)]
pub(super) struct Coder {
    /// Which defects, when last, and how long after the time before.
    sets: Vec<(u32, i64, i64)>,
    /// Arrival less media time, ms.
    offset: i64,
    last: Vec<Told>,
    words: Vec<&'static str>,
}

/// The newest observation of a defect, and how long before it the present state began.
#[derive(Clone, Debug)]
struct Told {
    seen: Observation,
    ago: i64,
}

impl Coder {
    /// How the chunk is counted.
    pub fn put_number(&mut self, out: &mut Vec<u8>, number: u64) {
        self.last = Defect::ALL.map(|defect| Told { seen: Observation::of(defect), ago: 0 }).to_vec();
        put(out, number);
    }

    pub fn put_clock(&mut self, out: &mut Vec<u8>, clock: Option<i64>) {
        out.push(CLOCK);
        put_optional(out, clock);
    }

    pub fn put_finish(&mut self, out: &mut Vec<u8>, at: Stamp, by: ClearedBy) {
        out.push(FINISH);
        put_signed(out, at.at.0);
        put(out, at.arrived.as_ms());
        out.push(ENDS.iter().position(|end| *end == by).unwrap_or(0) as u8);
    }

    pub fn put_counts(&mut self, out: &mut Vec<u8>, counts: [u64; 3], format: &str) {
        out.push(COUNTS);
        counts.iter().for_each(|&count| put(out, count));
        // Formats are ASCII, and short.
        let format: String = format.chars().filter(char::is_ascii).take(WORD_MAX).collect();
        put(out, format.len() as u64);
        out.extend(format.as_bytes());
    }

    pub fn put_said(&mut self, out: &mut Vec<u8>, at: Stamp, said: &[Observation]) {
        let set = said.iter().fold(0, |set, seen| set | 1_u32 << seen.defect as u32);
        let index = match self.sets.iter().position(|(known, ..)| *known == set) {
            Some(index) => {
                out.push(index as u8);
                index
            }
            None => {
                out.push(NEW_SET);
                put(out, u64::from(set));
                self.learn(set)
            }
        };
        let (_, last, step) = self.sets[index];
        put_signed(out, at.at.0.wrapping_sub(last.wrapping_add(step)));
        let offset = offset(at);
        put_signed(out, offset.wrapping_sub(self.offset));
        self.met(index, at, offset);
        for defect in Defect::ALL {
            if let Some(seen) = said.iter().find(|seen| seen.defect == defect) {
                self.put_seen(out, at.at, seen);
            }
        }
    }

    fn learn(&mut self, set: u32) -> usize {
        if self.sets.len() == SETS_MAX {
            self.sets.clear();
        }
        self.sets.push((set, 0, 0));
        self.sets.len() - 1
    }

    fn met(&mut self, index: usize, at: Stamp, offset: i64) {
        let (_, last, step) = &mut self.sets[index];
        *step = if *last == 0 { 0 } else { at.at.0.wrapping_sub(*last) };
        *last = at.at.0;
        self.offset = offset;
    }

    fn put_seen(&mut self, out: &mut Vec<u8>, at: MediaTime, seen: &Observation) {
        let Told { seen: old, ago } = self.last[seen.defect as usize].clone();
        let now_ago = seen.since.map_or(ago, |since| at.0.wrapping_sub(since.0));
        let head = out.len();
        let mut bits = match seen.presence {
            Presence::Absent => 0,
            Presence::Present => 1,
            Presence::Unclear => 2,
        };
        out.push(0);
        if seen.since != old.since {
            bits |= SINCE;
            if seen.since.is_some() && now_ago == ago {
                bits |= SINCE_MOVED;
            } else {
                put_optional(out, seen.since.map(|_| now_ago));
            }
        }
        if seen.value != old.value {
            bits |= VALUE;
            put_signed(out, thousandths(seen.value) - thousandths(old.value));
        }
        if seen.confidence != old.confidence {
            bits |= CONFIDENCE;
            put_optional(out, seen.confidence.map(thousandths));
        }
        if seen.region != old.region {
            bits |= REGION;
            put_region(out, seen.region);
        }
        let rest = |seen: &Observation| {
            (seen.severity, seen.scope, seen.threshold.to_bits(), seen.levels.is_some(), seen.unit, seen.phrase)
        };
        if rest(seen) != rest(&old) || seen.levels != old.levels || seen.change != old.change {
            bits |= REST;
            self.put_rest(out, seen);
        }
        out[head] = bits;
        self.last[seen.defect as usize] = Told { seen: *seen, ago: now_ago };
    }

    fn put_rest(&mut self, out: &mut Vec<u8>, seen: &Observation) {
        let flags = u8::from(seen.levels.is_some()) << 4 | u8::from(seen.change.is_some()) << 5;
        out.push(seen.severity as u8 | (seen.scope as u8) << 2 | flags);
        put_signed(out, thousandths(seen.threshold));
        if let Some(levels) = seen.levels {
            put_signed(out, thousandths(levels.raise));
            put_signed(out, thousandths(levels.clear));
        }
        if let Some(change) = seen.change {
            put_change(out, change);
        }
        for word in [seen.unit, seen.phrase] {
            match self.words.iter().position(|known| *known == word) {
                Some(index) => put(out, index as u64 + 1),
                None => {
                    self.words.push(word);
                    put(out, 0);
                    put(out, word.len() as u64);
                    out.extend(word.as_bytes());
                }
            }
        }
    }

    /// The chunk's number and its items; `None` for what no recorder wrote.
    pub fn read(mut rest: &[u8]) -> Option<(u64, Vec<Item>)> {
        let mut coder = Coder::default();
        let (rest, mut items) = (&mut rest, Vec::new());
        let number = get(rest)?;
        coder.put_number(&mut Vec::new(), number);
        while !rest.is_empty() {
            items.push(coder.item(rest)?);
        }
        Some((number, items))
    }

    fn item(&mut self, rest: &mut &[u8]) -> Option<Item> {
        match byte(rest)? {
            CLOCK => Some(Item::Clock(get_optional(rest)?)),
            FINISH => {
                let (at, ms) = (MediaTime(get_signed(rest)?), get(rest)?);
                let by = *ENDS.get(usize::from(byte(rest)?))?;
                Some(Item::Finish(Stamp { at, arrived: mono(i64::try_from(ms).ok()?)? }, by))
            }
            COUNTS => {
                let counts = [get(rest)?, get(rest)?, get(rest)?];
                Some(Item::Counts(counts, text(rest)?.to_owned()))
            }
            NEW_SET => {
                let set = u32::try_from(get(rest)?).ok()?;
                let index = self.learn(set);
                self.said(rest, index)
            }
            index => self.said(rest, usize::from(index)),
        }
    }

    fn said(&mut self, rest: &mut &[u8], index: usize) -> Option<Item> {
        let (set, last, step) = *self.sets.get(index)?;
        let at = MediaTime(last.wrapping_add(step).wrapping_add(get_signed(rest)?));
        let offset = self.offset.wrapping_add(get_signed(rest)?);
        let stamp = Stamp { at, arrived: mono((at.0 / 1_000_000).wrapping_add(offset))? };
        self.met(index, stamp, offset);
        let mut said = Vec::new();
        for defect in Defect::ALL.into_iter().filter(|&defect| set >> defect as u32 & 1 == 1) {
            said.push(self.seen(rest, at, defect)?);
        }
        Some(Item::Said(stamp, said))
    }

    fn seen(&mut self, rest: &mut &[u8], at: MediaTime, defect: Defect) -> Option<Observation> {
        let Told { mut seen, mut ago } = self.last[defect as usize].clone();
        let bits = byte(rest)?;
        seen.presence = match bits & 3 {
            0 => Presence::Absent,
            1 => Presence::Present,
            2 => Presence::Unclear,
            _ => return None,
        };
        if bits & SINCE != 0 {
            let told = if bits & SINCE_MOVED != 0 { Some(ago) } else { get_optional(rest)? };
            seen.since = told.map(|ago| MediaTime(at.0.wrapping_sub(ago)));
        }
        ago = seen.since.map_or(ago, |since| at.0.wrapping_sub(since.0));
        if bits & VALUE != 0 {
            seen.value = of_thousandths(thousandths(seen.value).wrapping_add(get_signed(rest)?));
        }
        if bits & CONFIDENCE != 0 {
            seen.confidence = get_optional(rest)?.map(of_thousandths);
        }
        if bits & REGION != 0 {
            seen.region = get_region(rest)?;
        }
        if bits & REST != 0 {
            self.get_rest(rest, &mut seen)?;
        }
        self.last[defect as usize] = Told { seen, ago };
        Some(seen)
    }

    fn get_rest(&mut self, rest: &mut &[u8], seen: &mut Observation) -> Option<()> {
        let bits = byte(rest)?;
        seen.severity =
            [Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical][usize::from(bits & 3)];
        seen.scope = *[Scope::Picture, Scope::Sound, Scope::Programme].get(usize::from(bits >> 2 & 3))?;
        seen.threshold = of_thousandths(get_signed(rest)?);
        seen.levels = match bits >> 4 & 1 {
            0 => None,
            _ => Some(Levels { raise: of_thousandths(get_signed(rest)?), clear: of_thousandths(get_signed(rest)?) }),
        };
        seen.change = match bits >> 5 & 1 {
            0 => None,
            _ => Some(get_change(rest)?),
        };
        for word in [&mut seen.unit, &mut seen.phrase] {
            *word = match get(rest)? {
                0 => {
                    let known = interned(text(rest)?)?;
                    self.words.push(known);
                    known
                }
                index => self.words.get(usize::try_from(index).ok()?.checked_sub(1)?)?,
            };
        }
        Some(())
    }
}

const ENDS: [ClearedBy; 6] = [
    ClearedBy::Recovered,
    ClearedBy::SourceLost,
    ClearedBy::Masked,
    ClearedBy::Restart,
    ClearedBy::Operator,
    ClearedBy::EndOfInput,
];

/// Arrival less media time, both in whole ms.
fn offset(at: Stamp) -> i64 {
    (at.arrived.as_ms() as i64).wrapping_sub(at.at.0 / 1_000_000)
}

fn mono(ms: i64) -> Option<Mono> {
    u64::try_from(ms).ok()?.checked_mul(1_000_000).map(Mono)
}

fn thousandths(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

fn of_thousandths(count: i64) -> f64 {
    count as f64 / 1000.0
}

/// `word` for ever: observations carry words of the program. A program that reads tapes for long meets the same few.
fn interned(word: &str) -> Option<&'static str> {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return Some(known);
    }
    if words.len() >= WORDS_MAX {
        return None;
    }
    let known: &'static str = Box::leak(word.to_owned().into_boxed_str());
    words.insert(known);
    Some(known)
}

/// Seven bits a byte, the lowest first (LEB128).
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign in few bytes (zigzag).
fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_optional(out: &mut Vec<u8>, value: Option<i64>) {
    out.push(u8::from(value.is_some()));
    value.into_iter().for_each(|value| put_signed(out, value));
}

fn put_region(out: &mut Vec<u8>, region: Option<Region>) {
    out.push(u8::from(region.is_some()));
    for side in region.into_iter().flat_map(|region| [region.x, region.y, region.w, region.h]) {
        put(out, u64::from(side));
    }
}

fn put_change(out: &mut Vec<u8>, change: Change) {
    let mut two = |kind: u8, from: u64, to: u64| {
        out.push(kind);
        put(out, from);
        put(out, to);
    };
    match change {
        Change::Size { from, to } => {
            two(0, from.0.into(), from.1.into());
            put(out, to.0.into());
            put(out, to.1.into());
        }
        Change::Rate { from, to } => two(1, from.to_bits(), to.to_bits()),
        Change::Scan { from, to } => two(2, from.into(), to.into()),
        Change::Sampling { from, to } => two(3, from.into(), to.into()),
        Change::Channels { from, to } => two(4, from.into(), to.into()),
        Change::Standing(mark) => two(5, mark, 0),
    }
}

fn get_change(rest: &mut &[u8]) -> Option<Change> {
    let (kind, from, to) = (byte(rest)?, get(rest)?, get(rest)?);
    let short = |value: u64| u32::try_from(value).ok();
    Some(match kind {
        0 => Change::Size { from: (short(from)?, short(to)?), to: (short(get(rest)?)?, short(get(rest)?)?) },
        1 => Change::Rate { from: f64::from_bits(from), to: f64::from_bits(to) },
        2 => Change::Scan { from: from != 0, to: to != 0 },
        3 => Change::Sampling { from: short(from)?, to: short(to)? },
        5 => Change::Standing(from),
        4 => Change::Channels { from: u16::try_from(from).ok()?, to: u16::try_from(to).ok()? },
        _ => return None,
    })
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (&first, left) = rest.split_first()?;
    *rest = left;
    Some(first)
}

fn get(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(rest)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn get_signed(rest: &mut &[u8]) -> Option<i64> {
    let value = get(rest)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn get_optional(rest: &mut &[u8]) -> Option<Option<i64>> {
    match byte(rest)? {
        0 => Some(None),
        _ => get_signed(rest).map(Some),
    }
}

fn get_region(rest: &mut &[u8]) -> Option<Option<Region>> {
    if byte(rest)? == 0 {
        return Some(None);
    }
    let mut side = || u32::try_from(get(rest)?).ok();
    Some(Some(Region { x: side()?, y: side()?, w: side()?, h: side()? }))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(get(rest)?).ok().filter(|&length| length <= WORD_MAX)?;
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    std::str::from_utf8(taken).ok()
}
