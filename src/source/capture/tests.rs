use super::*;
use crate::budget::Share;
use crate::kernels::Kernels;
use crate::time::{Clock, ManualClock};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn capture(text: &str) -> (Capture, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(1000));
    let context = Context {
        clock: clock.clone(),
        stop: Arc::new(AtomicBool::new(false)),
        seed: 7,
        reopen_after: Duration::from_secs(10),
        share: Share::default(),
        decoder: None,
        kernels: Kernels::detect(),
    };
    let mut taps = parse(text).expect("a device").expect("well named");
    if text.starts_with("v4l2:") {
        taps.sound = Some("hw:1,0".to_owned());
    }
    (Capture::new(taps, context), clock)
}

fn opened(unit: &Unit) -> Option<(&str, bool, bool)> {
    match unit {
        Unit::Opened { format, video, audio, .. } => Some((format, *video, *audio)),
        _ => None,
    }
}

fn format(unit: Unit) -> Option<String> {
    match unit {
        Unit::Format(format) => Some(format),
        _ => None,
    }
}

#[test]
fn picture_and_sound_lie_on_one_axis() {
    let (mut capture, clock) = capture("v4l2:/dev/none");
    let zero = clock.driver().0;
    let place = |ms: u64| Mono(zero + ms * 1_000_000);
    let Unit::Passed(picture) = capture.seen(Sight::Passed(place(40))) else { panic!("a picture") };
    let block = Sound::Block { first: place(30), rate: 48_000, channels: 1, samples: vec![0.0; 480] };
    let Some(Unit::Audio(sound)) = capture.heard(block) else { panic!("sound") };
    assert_eq!((picture.at, sound.stamp.at), (MediaTime(40_000_000), MediaTime(30_000_000)));
    let Unit::Passed(before) = capture.seen(Sight::Passed(Mono(zero - 5))) else { panic!("a picture") };
    assert_eq!(before.at, MediaTime(-5));
}

#[test]
fn the_first_device_opens_the_source_and_the_others_join_it() {
    let (mut capture, _) = capture("v4l2:/dev/none");
    let sound = |capture: &mut Capture, rate: u32| capture.heard(Sound::Opened { format: format!("{rate} Hz") });
    let picture = |capture: &mut Capture| capture.seen(Sight::Opened("16x16 NV12".to_owned()));
    assert_eq!(opened(&sound(&mut capture, 48_000).expect("a unit")), Some(("48000 Hz", true, true)));
    assert_eq!(format(picture(&mut capture)).as_deref(), Some("16x16 NV12, 48000 Hz"));
    assert_eq!(format(sound(&mut capture, 44_100).expect("a unit")).as_deref(), Some("16x16 NV12, 44100 Hz"));
    assert_eq!(opened(&picture(&mut capture)), Some(("16x16 NV12, 44100 Hz", true, true)), "it was away");
    assert_eq!(format(capture.seen(Sight::Changed("8x8".to_owned()))).as_deref(), Some("8x8, 44100 Hz"));
}

#[test]
fn a_loss_is_of_the_part_that_is_lost() {
    let part = |capture: &mut Capture| match capture.seen(Sight::Lost(Loss::NoSignal, String::new())) {
        Unit::Lost { part, loss, .. } => Some((part, loss)),
        _ => None,
    };
    assert_eq!(part(&mut capture("v4l2:/dev/none").0), Some((Part::Picture, Loss::NoSignal)));
    assert_eq!(part(&mut capture("alsa:none").0), Some((Part::Programme, Loss::NoSignal)));
}

#[test]
fn a_device_that_is_not_there_is_told_and_is_no_error_of_a_live_source() {
    let (mut capture, clock) = capture("v4l2:/dev/none");
    capture.sound = None;
    let Unit::Lost { part, loss, reason, .. } = capture.next_unit() else { panic!("a loss") };
    assert_eq!((part, loss), (Part::Programme, Loss::Gone));
    assert_eq!(reason, "/dev/none: there is no such device now");
    clock.advance(Duration::from_secs(1));
    capture.fetch();
    assert!(capture.queue.is_empty(), "told once");
}

#[test]
fn what_is_not_there_can_be_known_before_it_is_watched() {
    let taps =
        Taps { relay: Some("/dev/null".into()), ..parse("v4l2:/dev/none").expect("a device").expect("well named") };
    let told: Vec<_> = taps.faults().into_iter().map(|(key, node, wrong)| format!("{key} {node} {wrong}")).collect();
    assert_eq!(told, ["input /dev/none No such file or directory", "relay /dev/null is no video device"]);
}

#[test]
fn what_is_no_capture_device_is_refused_for_its_reason() {
    let (mut capture, _) = capture("v4l2:/dev/null");
    let Unit::Lost { loss, reason, .. } = capture.next_unit() else { panic!("a loss") };
    assert_eq!((loss, reason.as_str()), (Loss::Unreachable, "/dev/null: is no video device"));
}
