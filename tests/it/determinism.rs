//! The same input gives the same bytes: twice, and with every set of kernels.

use crate::support::{ffmpeg, lines, picket, text};

fn events(input: &str, kernels: Option<&str>) -> String {
    let mut command = picket();
    command.args(["analyze", "--format", "ndjson", input]);
    if let Some(kernels) = kernels {
        command.env("PICKET_KERNELS", kernels);
    }
    let output = command.output().expect("picket starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let all = lines(&output.stdout);
    assert_eq!(all.last().map(|last| &last["type"]), Some(&"summary".into()));
    // The summary has times and memory in it, which differ.
    text(&output.stdout).lines().filter(|line| line.contains("\"incident\"")).map(|line| format!("{line}\n")).collect()
}

fn sets() -> Vec<String> {
    let sets = picket::kernels::Kernels::available();
    sets.iter().map(|set| set.level().name().to_owned()).collect()
}

#[test]
fn a_pattern_gives_the_same_bytes_with_all_kernels() {
    let first = events("pattern:defects", None);
    assert_eq!(first.lines().count(), 6, "{first}");
    for set in sets() {
        assert_eq!(events("pattern:defects", Some(&set)), first, "{set}");
    }
}

#[test]
fn a_damaged_stream_gives_the_same_bytes_with_all_kernels() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("clip.ts");
    let name = clip.to_str().expect("UTF-8");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "mandelbrot=s=640x360:r=25:start_scale=0.3:end_scale=0.05",
        "-f",
        "lavfi",
        "-i",
        "sine=f=500:r=48000",
        "-t",
        "8",
        "-vf",
        "noise=alls=6:allf=t:all_seed=1,drawbox=c=black:t=fill:enable='between(t,1,3)',format=yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-threads",
        "1",
        "-g",
        "50",
        "-c:a",
        "mp2",
        name,
    ]);
    let mut bytes = std::fs::read(&clip).expect("read");
    // Bits flipped in the middle of packets of the second half, as a bad line does.
    let packets = bytes.len() / 188;
    for packet in (packets / 2..packets * 7 / 8).step_by(23) {
        bytes[packet * 188 + 101] ^= 0x5a;
    }
    std::fs::write(&clip, &bytes).expect("written");
    let first = events(name, None);
    assert!(first.contains("\"black\"") && first.contains("\"block_corruption\""), "{first}");
    assert_eq!(events(name, None), first, "twice");
    for set in sets() {
        assert_eq!(events(name, Some(&set)), first, "{set}");
    }
}

#[test]
fn formats_tell_the_same() {
    let run = |format: &str| {
        let output = picket().args(["analyze", "--format", format, "pattern:defects"]).output().expect("starts");
        text(&output.stdout)
    };
    let document: serde_json::Value = serde_json::from_str(&run("json")).expect("one JSON document");
    let events = document["events"].as_array().expect("a list");
    let ndjson = run("ndjson");
    assert_eq!(events.len() + 1, ndjson.lines().count());
    assert_eq!(document["summary"]["incidents"]["freeze"], 1);
    assert_eq!(document["summary"]["frames"], 750);
    let people = run("text");
    assert!(people.contains("picture is frozen") && people.contains("1 black, 1 freeze, 1 silence"), "{people}");
}

#[test]
fn severity_decides_the_exit_code() {
    let code = |arguments: &[&str]| picket().arg("analyze").args(arguments).output().expect("starts").status.code();
    assert_eq!(code(&["pattern:defects"]), Some(0), "it was analysed well");
    assert_eq!(code(&["pattern:clean", "--fail-on", "warning"]), Some(0));
    assert_eq!(code(&["pattern:defects", "--fail-on", "warning"]), Some(1));
    assert_eq!(code(&["pattern:defects", "--fail-on", "critical"]), Some(1), "black is critical");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("p.toml");
    std::fs::write(
        &config,
        "[[source]]\nid = \"a\"\ninput = \"pattern:clean\"\n[source.detect.black]\nenabled = false\n",
    )
    .expect("written");
    let config = config.to_str().expect("UTF-8");
    assert_eq!(
        code(&["pattern:defects", "--config", config, "--fail-on", "critical"]),
        Some(0),
        "black is not watched"
    );
}

#[test]
fn pictures_are_written_for_raised_and_cleared() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().to_str().expect("UTF-8");
    picket().args(["analyze", "pattern:defects", "--pictures", at]).output().expect("starts");
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("read")
        .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names[0].contains("black") && names[1].ends_with("raised.jpg"), "{names:?}");
    let jpeg = std::fs::read(folder.path().join(&names[0])).expect("read");
    assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff]) && jpeg.len() <= 32 << 10);
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    use std::io::Read;
    let mut child =
        picket().args(["analyze", "pattern:loop"]).stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut [0; 10]).expect("it prints");
    drop(out);
    let ended = crate::support::waited(std::time::Duration::from_secs(20), || child.try_wait().expect("a child"));
    if ended.is_none() {
        let _ = child.kill();
    }
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}

/// What `analyze` tells of `input`, and what it tells of the tape that this made.
fn live_and_again(input: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("one.tape");
    let tape = tape.to_str().expect("UTF-8");
    let run = |arguments: &[&str]| {
        let output = picket().args(["analyze", "--format", "ndjson"]).args(arguments).output().expect("picket starts");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let (events, summaries): (Vec<_>, Vec<_>) =
            lines(&output.stdout).into_iter().partition(|line| line["type"] == "incident");
        let summary = &summaries[0];
        let events: Vec<String> = events.iter().map(ToString::to_string).collect();
        format!("{}\n{} {} {}", events.join("\n"), summary["frames"], summary["incidents"], summary["format"])
    };
    (run(&["--features", tape, input]), run(&["--replay", tape]))
}

#[test]
fn a_tape_is_judged_again_to_the_same_bytes() {
    for input in ["pattern:defects", "pattern:clean"] {
        let (live, again) = live_and_again(input);
        assert_eq!(live, again, "{input}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, encoder) in [("clip.ts", "libx264"), ("clip.mkv", "mpeg2video")] {
        let clip = folder.path().join(name);
        let clip = clip.to_str().expect("UTF-8");
        let source = "testsrc2=s=640x360:r=30000/1001,drawbox=c=black:t=fill:enable='between(t,2,5)',format=yuv420p";
        let sound = "sine=f=500:r=44100,volume=0:enable='between(t,3,7)'";
        ffmpeg(&[
            "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", sound, "-t", "9", "-c:v", encoder, "-c:a", "mp2", clip,
        ]);
        let (live, again) = live_and_again(clip);
        assert!(live.contains("\"black\"") && live.contains("\"silence\""), "{live}");
        assert_eq!(live, again, "{name}");
    }
}

#[test]
fn a_tape_is_judged_by_other_settings_and_suggests_some() {
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("one.tape");
    let tape = tape.to_str().expect("UTF-8");
    picket().args(["analyze", "--features", tape, "pattern:defects"]).output().expect("starts");
    let config = folder.path().join("p.toml");
    let keys = "[[source]]\nid = \"a\"\ninput = \"pattern:clean\"\n[source.detect.silence]\nraise_after = \"20s\"\n";
    std::fs::write(&config, keys).expect("written");
    let run = |arguments: &[&str]| {
        let output = picket().args(["analyze", "--replay", tape]).args(arguments).output().expect("starts");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (_, told, _) = run(&["--config", config.to_str().expect("UTF-8")]);
    assert!(told.contains("1 black, 1 freeze\n"), "{told}");
    let (code, told, _) = run(&["--suggest"]);
    assert_eq!(code, Some(0));
    assert!(told.contains("[source.detect.freeze]") && told.contains("raise_after = "), "{told}");
    // What is proposed is a configuration, and does what was said of it.
    let snippet = &told[told.find("# below").expect("a snippet")..];
    std::fs::write(&config, format!("[[source]]\nid = \"a\"\ninput = \"pattern:clean\"\n{snippet}")).expect("written");
    let (code, told, complaint) = run(&["--config", config.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(told.contains("nothing wrong"), "{told}\n{snippet}");
    // A torn tail is told and left out.
    let bytes = std::fs::read(tape).expect("read");
    std::fs::write(tape, &bytes[..bytes.len() - 5]).expect("written");
    let (code, told, complaint) = run(&[]);
    assert!(code == Some(0) && complaint.contains("breaks off") && told.contains("1 black"), "{complaint}{told}");
    std::fs::write(tape, "no tape").expect("written");
    let (code, _, complaint) = run(&[]);
    assert!(code == Some(3) && complaint.contains("is no tape of measures"), "{complaint}");
}
