//! What goes on a tape comes off it, whole or torn.

use super::code::Coder;
use super::*;
use crate::alert::{Alert, Incidents, Settings, Transition};
use crate::detect::{Change, Defect, Levels, Presence, Region, Severity};
use crate::ids::{DeviceId, IncidentIds, StartCount};
use crate::time::Mono;
use std::path::Path;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink for Kept {
    fn take(&mut self, chunk: Vec<u8>) {
        self.0.lock().expect("alone").push(chunk);
    }
}

const CHANGES: [Change; 6] = [
    Change::Size { from: (720, 576), to: (1920, 1080) },
    Change::Rate { from: 25.0, to: 30_000.0 / 1001.0 },
    Change::Scan { from: true, to: false },
    Change::Sampling { from: 44_100, to: 48_000 },
    Change::Channels { from: 2, to: 6 },
    Change::Standing(0x00ff_00ff_1234_5678),
];

fn chance(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *state >> 8
}

fn source() -> SourceId {
    SourceId::new("input").expect("well formed")
}

/// Made-up observations: two hours of pictures and sound, in which defects come and go.
fn units(count: u32, seed: u32) -> Vec<(Stamp, Vec<Observation>)> {
    let mut state = seed;
    let mut present = [false; Defect::ALL.len()];
    let one = |n: u32| {
        let at = MediaTime(i64::from(n) * 33_366_667 - 50_000_000);
        let arrived = Mono(5_000_000_000 + u64::from(n) * 33_000_000 + u64::from(chance(&mut state) % 9) * 1_000_000);
        let scope = [Defect::Black.scope(), Defect::Silence.scope(), Defect::StreamLoss.scope()][n as usize % 3];
        let mut seen = Vec::new();
        for defect in Defect::ALL.into_iter().filter(|defect| defect.scope() == scope) {
            let draw = chance(&mut state);
            present[defect as usize] ^= draw.is_multiple_of(97);
            let value = f64::from(chance(&mut state) % 100_000) / 1000.0;
            seen.push(Observation {
                presence: match (draw % 13, present[defect as usize]) {
                    (0, _) => Presence::Unclear,
                    (_, true) => Presence::Present,
                    (_, false) => Presence::Absent,
                },
                since: [None, Some(at.minus(Duration::from_millis(300))), Some(MediaTime(at.0 / 2))][draw as usize % 3],
                severity: [Severity::Minor, Severity::Critical][draw as usize / 7 % 2],
                value,
                threshold: 0.4,
                unit: ["%", "dBFS"][n as usize % 2],
                confidence: draw.is_multiple_of(5).then_some(0.125),
                region: draw.is_multiple_of(50).then_some(Region { x: draw % 1000, y: 1, w: 2, h: 70_000 }),
                levels: draw.is_multiple_of(4).then_some(Levels { raise: -60.0, clear: -50.5 }),
                phrase: ["it is wrong", "it is bad"][draw as usize % 2],
                change: CHANGES.get(draw as usize % 40).copied(),
                ..Observation::of(defect)
            });
        }
        (Stamp { at, arrived }, seen)
    };
    (0..count).map(one).collect()
}

fn recorded(units: &[(Stamp, Vec<Observation>)]) -> Vec<Vec<u8>> {
    let kept = Kept::default();
    let mut recorder = Recorder::new(Box::new(kept.clone()));
    recorder.clock(Some(1_700_000_000_000));
    units.iter().for_each(|(at, said)| recorder.said(*at, said));
    let (last, _) = units.last().expect("some");
    recorder.finish(*last, ClearedBy::EndOfInput, [3, 2, 1], "640x360 pattern");
    kept.0.lock().expect("alone").clone()
}

fn written(path: &Path, chunks: &[Vec<u8>]) {
    let mut segment = Segment::create(path, &source()).expect("made");
    chunks.iter().for_each(|chunk| segment.append(chunk).expect("written"));
}

fn told(alerts: &[Alert]) -> Vec<String> {
    alerts.iter().map(|alert| format!("{alert:?}")).collect()
}

fn engine() -> Incidents {
    Incidents::new(source(), IncidentIds::new(&DeviceId::offline(), StartCount(0), &source()), &Settings::default())
}

fn replayed(reader: &mut Reader) -> Vec<Alert> {
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), &source());
    let mut replay = Replay::new(source(), ids, &Settings::default());
    let mut alerts = Vec::new();
    while let Some(chunk) = reader.next_chunk() {
        replay.take(&chunk, &mut alerts);
    }
    replay.end(&mut alerts);
    alerts
}

#[test]
fn all_that_was_said_comes_back() {
    for seed in 0..20 {
        let units = units(900, seed);
        let mut back = Vec::new();
        for chunk in recorded(&units) {
            let (_, items) = Coder::read(&chunk[8..]).expect("whole");
            back.extend(items.into_iter().filter_map(|item| match item {
                Item::Said(at, said) => Some((at, said)),
                _ => None,
            }));
        }
        assert_eq!(back.len(), units.len());
        for (back, unit) in back.iter().zip(&units) {
            assert_eq!((back.0.at, back.0.arrived.as_ms(), &back.1), (unit.0.at, unit.0.arrived.as_ms(), &unit.1));
        }
    }
}

#[test]
fn judged_again_it_gives_the_same_alerts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.tape");
    let units = units(6000, 7);
    written(&path, &recorded(&units));
    let (mut incidents, mut live) = (engine(), Vec::new());
    units.iter().for_each(|(at, said)| incidents.update(*at, said, &mut live));
    incidents.finish(units.last().expect("some").0, ClearedBy::EndOfInput, &mut live);
    let again = replayed(&mut Reader::open(&path).expect("a tape"));
    assert!(live.len() > 20, "{}", live.len());
    for (live, again) in live.iter_mut().zip(&again) {
        // Arrival is kept in whole ms.
        live.at.arrived = Mono(live.at.arrived.as_ms() * 1_000_000);
        assert_eq!(live, again);
    }
    assert_eq!(told(&live), told(&again));
}

#[test]
fn a_torn_tail_and_damage_cost_only_what_stands_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.tape");
    let chunks = recorded(&units(3000, 1));
    assert!(chunks.len() >= 5, "{}", chunks.len());
    written(&path, &chunks);
    let whole = std::fs::read(&path).expect("read");
    let count = |reader: &mut Reader| std::iter::from_fn(|| reader.next_chunk()).count();
    let last = chunks.last().expect("some").len();
    for cut in [1, 5, last - 9, last - 3, last - 1] {
        std::fs::write(&path, &whole[..whole.len() - cut]).expect("written");
        let mut reader = Reader::open(&path).expect("a tape");
        assert_eq!(count(&mut reader), chunks.len() - 1, "{cut} bytes are missing");
        assert!(reader.remarks()[0].contains("breaks off"), "{:?}", reader.remarks());
        let alerts = replayed(&mut Reader::open(&path).expect("a tape"));
        let open = |alert: &&Alert| alert.transition == Transition::Raised;
        let raised = alerts.iter().filter(open).count();
        let cleared = alerts.iter().filter(|alert| matches!(alert.transition, Transition::Cleared { .. })).count();
        assert_eq!(raised, cleared);
    }
    let mut damaged = whole.clone();
    let at = whole.len() - last - 20;
    damaged[at] ^= 1;
    std::fs::write(&path, &damaged).expect("written");
    let mut reader = Reader::open(&path).expect("a tape");
    assert_eq!(count(&mut reader), chunks.len() - 2);
    assert!(reader.remarks()[0].contains("damaged"));
}

#[test]
fn no_bytes_at_all_bring_the_reader_down() {
    let mut state = 3;
    let chunk = recorded(&units(300, 2)).remove(0);
    for _ in 0..3000 {
        let mut payload = chunk[8..].to_vec();
        for _ in 0..1 + chance(&mut state) % 4 {
            let at = chance(&mut state) as usize % payload.len();
            payload[at] = chance(&mut state) as u8;
        }
        // Anything may come out, and nothing may panic.
        let _ = Coder::read(&payload);
    }
}

#[test]
fn other_files_and_versions_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.tape");
    let refused = |path: &Path| Reader::open(path).expect_err("no tape").to_string();
    assert!(refused(&path).contains("cannot be read"));
    assert!(refused(folder.path()).contains("has no *.tape in it"));
    std::fs::create_dir(folder.path().join("sdi-1")).expect("made");
    assert!(refused(folder.path()).ends_with("there are folders of sdi-1"));
    for other in [&b""[..], b"RIFF....WAVEfmt and so on", &MAGIC] {
        std::fs::write(&path, other).expect("written");
        assert!(refused(&path).contains("is no tape of measures"), "{}", refused(&path));
    }
    let mut newer = head(&source());
    newer[MAGIC.len()] = 9;
    std::fs::write(&path, &newer).expect("written");
    assert!(refused(&path).ends_with("is a tape of version 9; this Picket reads version 1"));
}

#[test]
fn a_ring_keeps_the_newest_and_is_read_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let chunks = recorded(&units(6000, 4));
    let all: usize = chunks.iter().map(Vec::len).sum();
    let bytes_max = (all / 2) as u64;
    let (before, after) = chunks.split_at(chunks.len() / 2);
    for part in [before, after] {
        let mut ring = Ring::open(folder.path(), &source(), bytes_max).expect("opened");
        part.iter().for_each(|chunk| ring.append(chunk).expect("written"));
    }
    let size = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("there").metadata().expect("a file").len();
    let kept: u64 = std::fs::read_dir(folder.path()).expect("read").map(size).sum();
    assert!(kept <= bytes_max + 200 && kept > bytes_max / 2, "{kept} of {bytes_max}");
    let mut reader = Reader::open(folder.path()).expect("a tape");
    let mut last = None;
    while let Some(chunk) = reader.next_chunk() {
        for item in chunk.items {
            if let Item::Said(at, _) = item {
                assert!(last < Some(at.at));
                last = Some(at.at);
            }
        }
    }
    assert!(reader.remarks().is_empty(), "{:?}", reader.remarks());
    assert_eq!(last, Some(MediaTime(5999 * 33_366_667 - 50_000_000)), "the newest is there");
}
