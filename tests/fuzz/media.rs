//! Transport streams and tapes, through the program: it may find nothing, but it ends, and by itself.

use crate::fuzz;
use crate::mutate::{Chance, mutate, repair};
use crate::support::{ffmpeg, picket, text, waited};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// No clip here takes a second.
const PATIENCE: Duration = Duration::from_secs(60);
const PACKET: usize = 188;

/// Runs the program on `file`; returns what it wrote.
fn analysed(arguments: &[&str], file: &Path) {
    let mut command = picket();
    command.args(arguments).arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("picket starts");
    let mut err = child.stderr.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut err, &mut said).map(|_| said)
    });
    let status = waited(PATIENCE, || child.try_wait().expect("a child"));
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let said = text(&reader.join().expect("no panic").expect("read"));
    let code = status.unwrap_or_else(|| panic!("it hangs: {said}")).code();
    assert!(matches!(code, Some(0 | 3)), "{code:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Two streams of pictures and one of sound, a second long.
fn clip(folder: &Path) -> Vec<u8> {
    let path = folder.join("clip.ts");
    let name = path.to_str().expect("UTF-8");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=128x96:r=25",
        "-f",
        "lavfi",
        "-i",
        "sine=f=500:r=48000",
        "-t",
        "1",
        "-c:v",
        "mpeg2video",
        "-g",
        "10",
        "-bf",
        "2",
        "-c:a",
        "mp2",
        "-f",
        "mpegts",
        name,
    ]);
    std::fs::read(&path).expect("a clip")
}

#[test]
fn transport_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = clip(folder.path());
    let file = folder.path().join("spoilt.ts");
    let make = |chance: &mut Chance| {
        let mut bytes = clip.clone();
        // Heads of packets more often than what is in them: tables, clocks, counters.
        for _ in 0..1 + chance.below(6) {
            let packet = chance.below(bytes.len() / PACKET);
            let Some(head) = bytes.get(packet * PACKET..packet * PACKET + 24) else { continue };
            let mut spoilt = mutate(head, &[b"\x47", b"\x00\x00\x01\xe0", b"\x00\xb0"], chance);
            spoilt.resize(24, 0xff);
            bytes[packet * PACKET..packet * PACKET + 24].copy_from_slice(&spoilt);
        }
        if chance.below(3) == 0 { mutate(&bytes, &[], chance) } else { bytes }
    };
    fuzz("ts", 15, make, |input| {
        std::fs::write(&file, input).expect("written");
        analysed(&["analyze", "--format", "ndjson"], &file);
    });
}

#[test]
fn tapes() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = folder.path().join("good.tape");
    let status = picket().args(["analyze", "pattern:defects", "--features"]).arg(&good).stdout(Stdio::null()).status();
    assert!(status.expect("picket starts").success());
    let good = std::fs::read(&good).expect("a tape");
    // Magic, version, length of the source's name, the name.
    let head = 9 + usize::from(good[8]);
    let file = folder.path().join("spoilt.tape");
    let make = |chance: &mut Chance| {
        let mut bytes = mutate(&good, &[b"PKTTAPE"], chance);
        if chance.below(5) > 0 {
            repair(&mut bytes, head);
        }
        bytes
    };
    // In this process, which is quick; some of them through the program, with all that it prints.
    let mut count = 0_u64;
    fuzz("tape", 1500, make, |input| {
        std::fs::write(&file, input).expect("written");
        replay(&file);
        count += 1;
        if count.is_multiple_of(300) {
            analysed(&["analyze", "--format", "ndjson", "--replay"], &file);
        }
    });
}

fn replay(file: &Path) {
    use picket::ids::{DeviceId, IncidentIds, StartCount};
    use picket::tape::{Reader, Replay, Study};
    let Ok(mut reader) = Reader::open(file) else { return };
    let settings = picket::alert::Settings::default();
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), reader.source());
    let mut replay = Replay::new(reader.source().clone(), ids, &settings);
    let mut study = Study::new(&settings);
    let mut alerts = Vec::new();
    while let Some(chunk) = reader.next_chunk() {
        study.take(&chunk);
        replay.take(&chunk, &mut alerts);
    }
    replay.end(&mut alerts);
    alerts.iter().for_each(|alert| study.told(alert));
    let suggestions = study.suggestions();
    study.proposed(&suggestions);
}
