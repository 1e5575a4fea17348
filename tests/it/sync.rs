//! Sound against picture, as a user meets it: `compare`, `analyze --pair-with`, and a daemon with two taps.

use crate::schemas::validate;
use crate::support::{
    Daemon, Mosquitto, Running, Subscriber, ffmpeg, free_udp_port, lines, publish, ran, text, waited,
};
use picket::pair::Block;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Pictures and sound that never repeat: each cell, and the level, swing ever faster.
const PICTURE: &str = "color=gray:s=160x96:r=25,format=gray,\
     geq=lum='128+50*sin(T*(2+0.11*T)*(0.5+floor(X/40)*0.3))+40*sin(3.1*T*(1+floor(Y/48))+0.05*T*T)',format=yuv420p";
const SOUND: &str = "aevalsrc='0.4*sin(2*PI*440*t)*pow(sin(t*(1.7+0.2*t)),4)':s=48000";

/// The programme, through these filters of picture and sound.
fn programme(folder: &Path, name: &str, seconds: u32, picture: &str, sound: &str) -> String {
    let path = folder.join(name).display().to_string();
    let graph = format!("{PICTURE},{picture}");
    let heard = format!("{SOUND},{sound}");
    let seconds = seconds.to_string();
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        &graph,
        "-f",
        "lavfi",
        "-i",
        &heard,
        "-t",
        &seconds,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "24",
        "-g",
        "25",
        "-c:a",
        "aac",
        "-f",
        "mpegts",
        &path,
    ]);
    path
}

#[test]
fn two_files_and_their_fingerprints_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = programme(folder.path(), "before.ts", 20, "null", "anull");
    let after = programme(folder.path(), "after.ts", 20, "scale=320:180,fps=30000/1001", "adelay=125:all=1");
    let output = ran(&["compare", &before, &after, "--format", "ndjson", "--fail-over", "100"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = lines(&output.stdout);
    let (comparison, readings) = told.split_last().expect("lines");
    validate("comparison", comparison);
    readings.iter().for_each(|reading| validate("reading", reading));
    let offset = comparison["offset_ms"].as_f64().expect("measured");
    assert!((offset - 125.0).abs() < 10.0 && comparison["with_offset"].as_u64() > Some(8), "{comparison:#}");

    let prints = folder.path().join("before.fp").display().to_string();
    assert!(ran(&["analyze", &before, "--fingerprint", &prints]).status.success());
    let bytes = std::fs::metadata(&prints).expect("written").len();
    assert!(bytes < 20 * 1000, "{bytes}: less than a kilobyte a second");
    let again = lines(&ran(&["compare", &prints, &after, "--format", "ndjson"]).stdout);
    assert!((again.last().expect("lines")["offset_ms"].as_f64().expect("measured") - offset).abs() < 1.0);
    let page = text(&ran(&["compare", &prints, &after]).stdout);
    assert!(page.contains("offset    +12") && page.contains("sound late"), "{page}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.fp").display().to_string();
    std::fs::write(&broken, b"picket-fingerprint\nno block").expect("written");
    for (a, why) in [(broken.as_str(), "block 0, at byte 19"), ("/nowhere.ts", "/nowhere.ts")] {
        let output = ran(&["compare", a, "pattern:clean"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output.stderr).contains(why) && text(&output.stderr).lines().count() == 1, "{output:?}");
    }
    assert_eq!(ran(&["compare", "pattern:clean", "pattern:clean", "--fail-over", "x"]).status.code(), Some(2));
}

#[test]
fn an_encoder_that_freezes_is_told_from_an_input_that_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let freeze = "split[a][b];[a][b]freezeframes=first=300:last=400:replace=299";
    let good = programme(folder.path(), "good.ts", 20, "null", "anull");
    let frozen = programme(folder.path(), "frozen.ts", 20, freeze, "anull");
    for (before, whose) in [(&good, "moves on: the encoder's doing"), (&frozen, "has it too: not the encoder's doing")]
    {
        let output = ran(&["analyze", &frozen, "--pair-with", before, "--format", "ndjson"]);
        let raised: Vec<_> = lines(&output.stdout).into_iter().filter(|line| line["state"] == "raised").collect();
        assert_eq!(raised.len(), 1, "{raised:#?}");
        assert!(
            raised[0]["defect"] == "freeze" && raised[0]["text"].as_str().expect("text").contains(whose),
            "{raised:#?}"
        );
    }
}

/// A sender in real time.
fn send(path: &str, port: u16) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i", path, "-c", "copy", "-f", "mpegts"]);
    command.arg(format!("udp://127.0.0.1:{port}?pkt_size=1316")).stdin(Stdio::null());
    Running::start(&mut command)
}

#[test]
fn a_daemon_holds_the_output_against_the_input() {
    const MOST: Duration = Duration::from_secs(60);
    let folder = tempfile::tempdir().expect("a folder");
    let before = programme(folder.path(), "before.ts", 120, "null", "anull");
    let after = programme(folder.path(), "after.ts", 120, "null", "adelay=250:all=1");
    let broker = Mosquitto::start(folder.path());
    let subscriber = Subscriber::start(broker.port);
    let (first, second) = (free_udp_port(), free_udp_port());
    let sources = format!(
        "[[source]]\nid = \"in\"\ninput = \"udp://127.0.0.1:{first}\"\n\
         [[source]]\nid = \"out\"\ninput = \"udp://127.0.0.1:{second}\"\npair_with = \"in\"\n"
    );
    let daemon = Daemon::new(Some(broker.port), &sources);
    let mut running = daemon.start();
    let _senders = (send(&before, first), send(&after, second));
    let event = subscriber.wait_for("/src/out/event", MOST, |event| event["defect"] == "av_sync");
    validate("event", &event);
    let offset = event["offset_ms"].as_f64().expect("told");
    assert!((offset - 250.0).abs() < 10.0 && event["severity"] == "major", "{event:#}");
    assert!(event["text"].as_str().expect("text").contains("the encoder makes the sound late"), "{event:#}");
    // The latency is told when all is remembered that is searched.
    let state = subscriber.wait_for("/src/out/state", MOST, |state| state["pair"]["latency_ms"].is_number());
    validate("state", &state);
    assert!(state["pair"]["with"] == "in" && state["pair"]["latency_ms"].as_f64().expect("told").abs() < 2000.0);
    let all = subscriber.all();
    let root = all.iter().find_map(|(topic, _)| topic.strip_suffix("/status")).expect("heard");
    publish(broker.port, &format!("{root}/cmd/fingerprint"), r#"{"id":"f1","args":{"source":"out","for_s":60}}"#);
    subscriber.wait_for("/reply/f1", MOST, |reply| reply["status"] == "done");
    let wanted = format!("{root}/src/out/fingerprint");
    // The first second is the rest of one, and a busy machine leaves pictures out.
    let whole = |body: &[u8]| {
        let block = Block::decode(body).expect("a block");
        body.len() < 1000 && block.pictures.len() >= 5 && block.sounds.len() >= 8
    };
    let heard = || subscriber.all().into_iter().find(|(topic, body)| *topic == wanted && whole(body));
    waited(MOST, heard).expect("published");
    assert!(running.stop().success(), "{}", daemon.log());
    assert!(!subscriber.events().iter().any(|event| event["source"] == "in" && event["defect"] == "av_sync"));
}
