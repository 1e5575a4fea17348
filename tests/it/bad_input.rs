//! Bad input gets one clear line and the right exit code, and nothing panics.

use crate::support::{Daemon, ffmpeg, picket, ran, text};
use std::path::Path;
use std::process::Output;

/// The exit code, and one line on standard error that says all of `parts`.
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line, not:\n{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

fn analyze(input: &str) -> Output {
    ran(&["analyze", input])
}

#[test]
fn inputs_that_are_no_media() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("empty.ts"), "").expect("written");
    std::fs::write(at("text.ts"), "This is no media file.\n".repeat(5000)).expect("written");
    std::fs::write(
        at("noise.ts"),
        (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    )
    .expect("written");
    refused(&analyze(&at("missing.ts")), 3, &["missing.ts", "no such file"]);
    refused(&analyze(folder.path().to_str().expect("UTF-8")), 3, &["is a directory"]);
    refused(&analyze(&at("empty.ts")), 3, &["empty.ts", "the file is empty"]);
    refused(&analyze(&at("text.ts")), 3, &["text.ts", "not a media file"]);
    refused(&analyze(&at("noise.ts")), 3, &["noise.ts"]);
    // A kind that FFmpeg reads and we do not.
    ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1", &at("still.png")]);
    refused(&analyze(&at("still.png")), 3, &["still.png", "not a media file"]);
    refused(&analyze("-"), 3, &["standard input"]);
}

#[test]
fn inputs_that_are_no_inputs() {
    refused(&analyze(""), 3, &["the input is empty"]);
    refused(&analyze("gopher://example/1"), 3, &["gopher://example/1", "unknown kind of input", "rtsp://"]);
    refused(&analyze("pattern:nope"), 3, &["pattern:nope", "defects"]);
    refused(&analyze("udp://"), 3, &["host"]);
    refused(&analyze("http://127.0.0.1:1/live.m3u8"), 3, &["http://127.0.0.1:1/live.m3u8", "refused"]);
    refused(&analyze("rtsp://me:secret@127.0.0.1:1/x"), 3, &["rtsp://127.0.0.1:1/x"]);
    assert!(!text(&analyze("rtsp://me:secret@127.0.0.1:1/x").stderr).contains("secret"));
}

#[test]
fn a_port_in_use_is_told() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let port = taken.local_addr().expect("an address").port();
    refused(&analyze(&format!("udp://127.0.0.1:{port}")), 3, &[&port.to_string(), "in use"]);
}

#[test]
fn a_truncated_stream_is_analysed_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole.ts");
    let name = whole.to_str().expect("UTF-8");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=320x180:r=25:d=3",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-threads",
        "1",
        name,
    ]);
    let bytes = std::fs::read(&whole).expect("read");
    for (length, decodes) in [(bytes.len() * 2 / 3 + 77, true), (100, false), (188 * 3, false)] {
        let cut = folder.path().join(format!("cut-{length}.ts"));
        std::fs::write(&cut, &bytes[..length]).expect("written");
        let output = analyze(cut.to_str().expect("UTF-8"));
        if decodes {
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            assert!(text(&output.stdout).contains("320x180 h264"));
        } else {
            refused(&output, 3, &["cut-"]);
        }
    }
}

#[test]
fn usage() {
    for arguments in [&["analyse"][..], &["analyze"], &["analyze", "x", "--format", "xml"], &["schema", "nothing"]] {
        let output = ran(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
    assert!(text(&ran(&["analyse"]).stderr).contains("analyze"), "the nearest command is named");
    let output = picket().args(["analyze", "pattern:clean"]).env("PICKET_KERNELS", "sse9").output().expect("starts");
    refused(&output, 2, &["sse9", "scalar"]);
}

fn checked(toml: &str, command: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("picket.toml");
    std::fs::write(&file, toml).expect("written");
    ran(&[command, "--config", file.to_str().expect("UTF-8")])
}

#[test]
fn a_bad_configuration_tells_every_mistake_with_its_place() {
    let toml = "[broker]\nurll = \"mqtt://b\"\n[[source]]\nid = \"A B\"\ninput = \"udp://127.0.0.1:5000\"\n[source.detect.freze]\nraise_after = \"2s\"\n[source.detect.black]\nraise_after = \"2 parsecs\"\n";
    for command in ["check", "run"] {
        let output = checked(toml, command);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        for part in
            ["picket.toml:2:1", "url", "picket.toml:4:6", "picket.toml:6:16", "freeze", "picket.toml:9:15", "2 parsecs"]
        {
            assert!(error.contains(part), "{part:?} is missing in: {error}");
        }
    }
}

#[test]
fn a_good_configuration_is_called_good() {
    let daemon = Daemon::new(None, "[[source]]\nid = \"a\"\ninput = \"pattern:clean\"\n");
    let output = ran(&["check", "--config", daemon.config.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("good: 1 sources"));
}

#[test]
fn a_configuration_or_state_folder_that_is_not_there() {
    let output = ran(&["run", "--config", "/nonexistent/picket.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains("/nonexistent/picket.toml: cannot be read: no such file"),
        "{}",
        text(&output.stderr)
    );
    let daemon = Daemon::new(None, "[[source]]\nid = \"a\"\ninput = \"pattern:clean\"\n");
    let toml = std::fs::read_to_string(&daemon.config).expect("read");
    let state = format!("{}/state", daemon.folder.path().display());
    // A folder below a file cannot be made, not even by root.
    let below_a_file = format!("{}/log/state", daemon.folder.path().display());
    std::fs::write(daemon.log_path(), "").expect("written");
    std::fs::write(&daemon.config, toml.replace(&state, &below_a_file)).expect("written");
    let output = ran(&["run", "--config", Path::new(&daemon.config).to_str().expect("UTF-8")]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.contains("log/state") && last.contains("state folder cannot be written"), "{error}");
}
