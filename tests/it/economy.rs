//! Decoding less: what is left out is told, and never taken for damage or loss of the stream.

use crate::support::{Running, ffmpeg, free_udp_port, lines, ran, text};
use picket::alert::{Alert, Settings};
use picket::budget::{Decode, Share, Step};
use picket::detect::Defect;
use picket::ids::{DeviceId, IncidentIds, SourceId, StartCount};
use picket::kernels::Kernels;
use picket::pipeline::{self, Pipeline};
use picket::source::{Context, Input, Source, Unit};
use picket::time::{MediaTime, SystemClock};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const RATE: i64 = 25;

fn clip(folder: &Path, name: &str, seconds: u32, coder: &[&str]) -> String {
    let path = folder.join(name).display().to_string();
    let picture = format!("testsrc2=s=320x180:r={RATE}:d={seconds}");
    let mut arguments = vec!["-f", "lavfi", "-i", &picture, "-pix_fmt", "yuv420p"];
    arguments.extend_from_slice(coder);
    arguments.push(&path);
    ffmpeg(&arguments);
    path
}

fn context(share: &Share, decoder: Option<&str>) -> Context {
    Context {
        kernels: picket::kernels::Kernels::detect(),
        clock: Arc::new(SystemClock),
        stop: Arc::new(AtomicBool::new(false)),
        seed: 1,
        reopen_after: Duration::from_secs(5),
        share: share.clone(),
        decoder: decoder.map(str::to_owned),
    }
}

fn step(decode: Decode) -> Step {
    let does = |step: &Step| step.effort().is_some_and(|effort| effort.decode == decode);
    (0..=Step::LAST.number()).map(Step::from_number).find(does).expect("on the ladder")
}

/// Everything that comes of `path` in real time, with the effort changed at these times of the stream.
fn units(path: &str, changes: &[(f64, Decode)]) -> Vec<Unit> {
    let share = Share::default();
    let context = context(&share, None);
    let mut source = Source::open_live(&path.parse::<Input>().expect("a path"), &context);
    let mut changes = changes.iter().peekable();
    let mut units = Vec::new();
    loop {
        let unit = source.next_unit();
        match &unit {
            Unit::Lost { .. } | Unit::End => break,
            Unit::Video(frame) => {
                if let Some((_, decode)) = changes.next_if(|(at, _)| frame.stamp.at.as_secs_f64() >= *at) {
                    share.set_step(step(*decode));
                }
            }
            _ => {}
        }
        units.push(unit);
    }
    context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    units
}

fn check_economy(path: &str) {
    let units = units(path, &[(1.5, Decode::Reference), (4.0, Decode::Key), (7.0, Decode::Full)]);
    // Stamp, whether it was decoded.
    let mut told: Vec<(MediaTime, bool)> = Vec::new();
    for unit in &units {
        match unit {
            Unit::Video(frame) => {
                assert!(!frame.info.decode.any(), "{path} {:?}: {:?}", frame.stamp.at, frame.info.decode);
                told.push((frame.stamp.at, true));
            }
            Unit::Passed(stamp) => told.push((stamp.at, false)),
            _ => {}
        }
    }
    // One that was not decoded is placed by the clock, as exact as the sender's.
    let back = told.windows(2).map(|pair| pair[0].0.since(pair[1].0)).max();
    assert!(back <= Some(Duration::from_millis(60)), "{path}: {back:?}");
    let gaps = told.windows(2).map(|pair| pair[1].0.since(pair[0].0)).max();
    assert!(gaps <= Some(Duration::from_millis(200)), "{path}: {gaps:?}");
    assert!((told.len() as i64 - 11 * RATE).abs() <= 12, "{path}: {} pictures", told.len());
    let share = |from: f64, to: f64| {
        let there = told.iter().filter(|(at, _)| (from..to).contains(&at.as_secs_f64()));
        let (all, decoded) = there.fold((0, 0), |(all, decoded), (_, was)| (all + 1, decoded + usize::from(*was)));
        decoded as f64 / f64::from(all.max(1))
    };
    assert_eq!(share(0.0, 1.4), 1.0, "{path}");
    assert!((0.2..0.8).contains(&share(2.0, 3.8)), "{path}: {} of the pictures are references", share(2.0, 3.8));
    assert!((0.02..0.12).contains(&share(4.5, 6.8)), "{path}: {} are key pictures", share(4.5, 6.8));
    assert_eq!(share(9.0, 10.5), 1.0, "{path}");
}

#[test]
fn what_is_not_decoded_is_neither_damage_nor_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let closed = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2"];
    let open = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "3", "-x264-params", "open-gop=1"];
    let hevc =
        ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:bframes=3:b-adapt=0"];
    let mpeg2 = ["-c:v", "mpeg2video", "-g", "25", "-bf", "2", "-b:v", "2M"];
    let all = [("closed.ts", &closed[..]), ("open.ts", &open[..]), ("hevc.ts", &hevc[..]), ("mpeg2.ts", &mpeg2[..])];
    std::thread::scope(|scope| {
        for (name, coder) in all {
            let folder = folder.path();
            scope.spawn(move || check_economy(&clip(folder, name, 11, coder)));
        }
    });
}

/// There is no such hardware where tests run, and the last one is for other streams.
#[test]
fn a_hardware_decoder_that_does_not_work_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = clip(folder.path(), "clip.ts", 2, &["-c:v", "libx264", "-preset", "veryfast", "-g", "25"]);
    for name in ["h264_v4l2m2m", "hevc_v4l2m2m"] {
        let output = ran(&["analyze", "--format", "ndjson", "--decoder", name, &path]);
        let summary = lines(&output.stdout).pop().expect("a summary");
        assert_eq!((&summary["frames"], &summary["format"]), (&50.into(), &"320x180 h264".into()), "{name}");
    }
    let output = ran(&["analyze", "--decoder", "h264_v4l2", &path]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

/// The reader goes on while nobody takes its packets, as on a box whose processors are taken for a moment.
#[test]
fn a_stall_of_ours_is_no_defect_of_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let coder = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2"];
    let path = clip(folder.path(), "clip.ts", 14, &coder);
    let port = free_udp_port();
    let url = format!("udp://127.0.0.1:{port}");
    let share = Share::default();
    let context = context(&share, None);
    let mut source = Source::open_live(&url.parse::<Input>().expect("a URL"), &context);
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i", &path, "-c", "copy", "-f", "mpegts"]);
    command.arg(format!("{url}?pkt_size=1316")).stdin(Stdio::null());
    let mut sender = Running::start(&mut command);
    let id = SourceId::new("u").expect("well formed");
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), &id);
    let settings = pipeline::Settings {
        detect: Default::default(),
        source: id,
        incidents: Settings::default(),
        kernels: Kernels::detect(),
        evidence: false,
    };
    let mut pipeline = Pipeline::new(settings, ids);
    let (mut alerts, mut passed, mut slept): (Vec<Alert>, _, _) = (Vec::new(), 0, false);
    while sender.runs() {
        let unit = source.next_unit();
        passed += usize::from(matches!(unit, Unit::Passed(_)));
        pipeline.step(unit, &mut alerts);
        if !slept && pipeline.now().at > MediaTime(3_000_000_000) {
            slept = true;
            std::thread::sleep(Duration::from_secs(3));
        }
    }
    context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(slept && passed > 10, "it caught up by key pictures: {passed} pictures were passed over");
    let told: Vec<(Defect, &str)> = alerts.iter().map(|alert| (alert.defect, alert.text.as_str())).collect();
    let ours = |defect: &Defect| matches!(defect, Defect::BlockCorruption | Defect::StreamLoss);
    assert!(!told.iter().any(|(defect, _)| ours(defect)), "{told:?}");
}
