//! Lost pictures, clocks that jump and formats that change, in streams as they come.

use crate::support::{ffmpeg, lines, ran};
use std::path::Path;

/// 8 s of a moving picture and a tone, as a transport stream with `options`.
fn clip(folder: &Path, name: &str, source: &str, options: &[&str]) -> Vec<u8> {
    let path = folder.join(name);
    let inputs = ["-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=f=500:r=48000", "-t", "8"];
    let coded = ["-c:v", "mpeg2video", "-b:v", "3M", "-threads", "1", "-c:a", "mp2"];
    ffmpeg(&[&inputs[..], options, &coded[..], &[path.to_str().expect("UTF-8")]].concat());
    std::fs::read(path).expect("read")
}

/// Defect, onset and text of what is raised, of the three defects of time.
fn raised(folder: &Path, name: &str, bytes: &[u8]) -> Vec<(String, f64, String)> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("written");
    let output = ran(&["analyze", "--format", "ndjson", path.to_str().expect("UTF-8")]);
    let told = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let of_time = ["frame_drop", "timestamp", "format_change", "stream_loss"];
    let all = lines(&output.stdout).into_iter().filter(|line| line["state"] == "raised");
    all.map(|line| (told(&line, "defect"), line["onset_s"].as_f64().unwrap_or(-1.0), told(&line, "text")))
        .filter(|(defect, _, _)| of_time.contains(&defect.as_str()))
        .collect()
}

const MOVING: &str = "mandelbrot=s=320x180:r=25:start_scale=0.3:end_scale=0.01:end_pts=200";

#[test]
fn lost_pictures_are_told_whether_stamps_leave_a_gap_or_the_last_is_shown_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let dropped = "select='not(between(n,100,160)*lt(mod(n,8),2))'";
    for (name, mode) in [("missing.ts", "passthrough"), ("repeated.ts", "cfr")] {
        let bytes = clip(folder.path(), name, MOVING, &["-vf", dropped, "-fps_mode", mode]);
        let told = raised(folder.path(), name, &bytes);
        let [(defect, onset, _)] = &told[..] else { panic!("{name}: {told:?}") };
        assert!(defect == "frame_drop" && (onset - 4.16).abs() < 0.2, "{name}: {told:?}");
    }
    let bytes = clip(folder.path(), "whole.ts", MOVING, &[]);
    assert_eq!(raised(folder.path(), "whole.ts", &bytes), []);
    let twos = clip(folder.path(), "twos.ts", &MOVING.replace("r=25", "r=12.5"), &["-r", "25"]);
    assert_eq!(raised(folder.path(), "twos.ts", &twos), []);
}

#[test]
fn a_clock_that_jumps_is_told_unless_it_is_signalled() {
    let folder = tempfile::tempdir().expect("a folder");
    let early = clip(folder.path(), "early.ts", MOVING, &[]);
    let late = |by: &str, flags: &str| {
        clip(folder.path(), "late.ts", MOVING, &["-output_ts_offset", by, "-mpegts_flags", flags])
    };
    let joined = |first: &[u8], second: &[u8]| raised(folder.path(), "joined.ts", &[first, second].concat());
    for (first, second, text) in [
        (early.clone(), late("60", "0"), "presentation times jump forward"),
        (late("60", "0"), early.clone(), "presentation times go back"),
    ] {
        let told = joined(&first, &second);
        let [(defect, onset, said)] = &told[..] else { panic!("{told:?}") };
        assert!(defect == "timestamp" && (onset - 8.0).abs() < 0.3 && said.starts_with(text), "{told:?}");
    }
    assert_eq!(joined(&early, &late("60", "initial_discontinuity")), []);
    assert_eq!(joined(&early, &late("8", "0")), [], "it goes on where the first ended");
}

#[test]
fn another_size_is_told_with_both_sizes() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = clip(folder.path(), "first.ts", MOVING, &[]);
    let second = clip(folder.path(), "second.ts", MOVING, &["-s", "352x288", "-output_ts_offset", "8"]);
    let told = raised(folder.path(), "joined.ts", &[first, second].concat());
    let [(defect, onset, text)] = &told[..] else { panic!("{told:?}") };
    assert!(defect == "format_change" && (onset - 8.0).abs() < 0.3, "{told:?}");
    assert_eq!(text, "picture size changed from 320x180 to 352x288");
}
