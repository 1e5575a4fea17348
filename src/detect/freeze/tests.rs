//! Freezes and what is none, from made-up pictures.

use super::*;
use crate::detect::testing::{Picture, analyzer, at};

/// Numbers of the pictures of which freeze was said, and the last word.
fn watch(pictures: usize, picture: impl Fn(usize) -> Picture) -> (Vec<usize>, Observation) {
    let (mut analyzer, mut freeze) = (analyzer(), Freeze::default());
    let mut frozen = Vec::new();
    let mut last = None;
    for n in 0..pictures {
        let said = freeze.observe(analyzer.analyze(picture(n).frame(n)));
        if said.presence == Presence::Present {
            frozen.push(n);
        }
        last = Some(said);
    }
    (frozen, last.expect("at least one picture"))
}

/// A pan by four samples a picture that stops at picture `stop`.
fn pan(n: usize, stop: usize) -> Picture {
    Picture::hills(4.0 * n.min(stop) as f64)
}

#[test]
fn motion_that_stops_at_once_is_a_freeze_from_the_first_repeated_picture() {
    let (frozen, last) = watch(100, |n| pan(n, 50));
    assert_eq!(frozen.first(), Some(&65), "0.6 s after picture 50");
    assert_eq!(frozen.len(), 35);
    assert_eq!((last.since, last.severity), (Some(at(51)), Severity::Major));
}

#[test]
fn what_moves_for_a_moment_when_a_source_begins_may_be_a_page() {
    assert!(watch(80, |n| pan(n, 14)).0.is_empty());
    assert!(!watch(200, |n| pan(n, 14)).0.is_empty(), "none stands that long");
}

#[test]
fn it_ends_with_the_first_picture_that_moves() {
    let (frozen, last) = watch(110, |n| if n < 100 { pan(n, 50) } else { pan(n, 200) });
    assert!(frozen.contains(&99) && !frozen.contains(&103), "{frozen:?}");
    assert_eq!((last.presence, last.since), (Presence::Absent, Some(at(100))));
}

#[test]
fn noise_does_not_hide_it() {
    for sigma in [2.0, 8.0] {
        let (frozen, last) = watch(100, |n| pan(n, 50).noise(sigma, n as u64));
        assert!(frozen.first().is_some_and(|first| (65..=67).contains(first)), "{sigma}: {frozen:?}");
        assert_eq!(last.presence, Presence::Present);
    }
}

#[test]
fn noise_over_motion_is_no_freeze() {
    assert!(watch(100, |n| pan(n, 1000).noise(8.0, n as u64)).0.is_empty());
}

#[test]
fn a_ticker_over_it_does_not_hide_it() {
    let ticker = |n: usize| {
        move |x: usize, y: usize| (y >= 170).then(|| if ((x + 5 * n) / 23).is_multiple_of(3) { 230.0 } else { 40.0 })
    };
    let (frozen, last) = watch(130, |n| pan(n, 50).over(ticker(n)));
    assert_eq!(frozen.first(), Some(&100), "2 s: it might be alive");
    assert_eq!((last.phrase, last.since), ("picture is frozen but for an overlay", Some(at(51))));
}

#[test]
fn a_scene_in_which_something_large_lives_is_no_freeze() {
    let actor = |n: usize| {
        move |x: usize, _: usize| (100..220).contains(&x).then(|| 128.0 + 90.0 * ((x + 6 * n) as f64 / 19.0).sin())
    };
    assert!(watch(150, |n| pan(n, 50).over(actor(n))).0.is_empty());
}

#[test]
fn a_slate_after_a_cut_is_no_freeze() {
    assert!(watch(300, |n| if n < 50 { pan(n, 1000) } else { Picture::slate() }).0.is_empty());
}

#[test]
fn a_slate_after_a_dissolve_is_no_freeze() {
    let dissolve = |n: usize| pan(n, 50).mix(&Picture::slate(), (n.saturating_sub(50) as f64 / 25.0).min(1.0));
    assert!(watch(300, dissolve).0.is_empty());
}

#[test]
fn a_pan_that_comes_to_rest_is_no_freeze_for_a_while() {
    // Six pictures to slow down.
    let place = |n: usize| (1..=n).map(|m| 4.0 * (1.0 - (m as f64 - 50.0) / 7.0).clamp(0.0, 1.0)).sum::<f64>();
    let (frozen, _) = watch(150, |n| Picture::hills(place(n)));
    assert!(frozen.is_empty(), "{frozen:?}");
    assert!(!watch(200, |n| Picture::hills(place(n))).0.is_empty(), "but nothing moves for 4.5 s");
}

#[test]
fn animation_on_threes_and_stop_motion_hold_pictures_and_are_no_freeze() {
    assert!(watch(150, |n| pan(n / 3 * 3, 1000)).0.is_empty());
    // Holds of 2 to 15 pictures.
    assert!(watch(200, |n| pan([0, 2, 17, 21, 34, 46, 61, 64, 79][n % 94 / 12] + n / 94 * 94, 1000)).0.is_empty());
}

#[test]
fn what_never_moved_is_no_freeze() {
    assert!(watch(500, |_| pan(0, 0)).0.is_empty());
    assert!(watch(300, |n| Picture::slate().noise(4.0, n as u64)).0.is_empty());
}

#[test]
fn a_source_that_starts_anew_is_not_frozen() {
    let (mut analyzer, mut freeze) = (analyzer(), Freeze::default());
    for n in 0..80 {
        freeze.observe(analyzer.analyze(pan(n, 50).frame(n)));
    }
    analyzer.restart();
    let said = freeze.observe(analyzer.analyze(pan(50, 50).frame(80)));
    assert_eq!((said.presence, said.since), (Presence::Absent, Some(at(80))));
}

#[test]
fn a_window_that_stops_while_the_rest_goes_on_is_part_of_the_picture() {
    let window = |n: usize| {
        let still = pan(n, 50);
        pan(n, 1000).over(move |x, y| ((160..320).contains(&x) && (48..144).contains(&y)).then(|| still.luma_at(x, y)))
    };
    let (frozen, last) = watch(140, window);
    assert!(frozen.first().is_some_and(|first| (125..=133).contains(first)), "3 s after picture 50: {frozen:?}");
    assert_eq!((last.phrase, last.since), ("part of the picture is frozen", Some(at(50))));
    assert_eq!(last.region, Some(crate::detect::Region { x: 160, y: 48, w: 160, h: 96 }));
    let (frozen, last) = watch(160, |n| if n < 140 { window(n) } else { pan(n, 1000) });
    assert!(frozen.last().is_some_and(|last| *last < 143) && last.presence == Presence::Absent, "{frozen:?}");
}

#[test]
fn a_still_background_is_no_part_that_froze() {
    let actor =
        |n: usize| move |x: usize, _: usize| (x < 100).then(|| 128.0 + 90.0 * ((x + 6 * n) as f64 / 19.0).sin());
    assert!(watch(200, |n| pan(0, 0).over(actor(n))).0.is_empty(), "it never moved");
    // Motion that dies away from one side to the other.
    let still = pan(0, 0);
    let wave = |n: usize| pan(n, 1000).over(|x, y| (x + 60 < 4 * n.min(80)).then(|| still.luma_at(x, y)));
    assert!(watch(250, wave).0.is_empty());
}

#[test]
fn what_stands_for_a_minute_is_worth_a_warning() {
    // Five pictures a second: a minute of them is enough.
    let (mut analyzer, mut freeze) = (analyzer(), Freeze::default());
    let slate = Picture::slate();
    let mut said = |n: usize| {
        let picture = if n < 50 { pan(n, 1000) } else { slate.clone() };
        freeze.observe(analyzer.analyze(picture.frame(5 * n)))
    };
    let all: Vec<Observation> = (0..360).map(&mut said).collect();
    assert_eq!(all.iter().position(|said| said.presence == Presence::Present), Some(351), "50, one more, and 300");
    assert_eq!(
        (all[355].severity, all[355].phrase),
        (Severity::Warning, "picture stands still since a cut, as a slate does")
    );
}

#[test]
fn a_known_slate_is_no_freeze_and_its_mark_is_told() {
    let stands = |slates: Slates| {
        let (mut analyzer, mut freeze) = (analyzer(), Freeze::new(slates));
        let picture = |n: usize| if n < 50 { pan(n, 1000) } else { Picture::slate().noise(1.0, n as u64) };
        (0..360).map(|n| freeze.observe(analyzer.analyze(picture(n).frame(5 * n)))).last().expect("pictures")
    };
    let told = stands(Slates::default());
    let Some(Change::Standing(mark)) = told.change else { panic!("{told:?}") };
    assert_eq!(told.presence, Presence::Present);
    let mut slates = Slates::default();
    slates[3] = Some(mark ^ 0b1001);
    assert_eq!(stands(slates).presence, Presence::Absent);
    slates[3] = Some(!mark);
    assert_eq!(stands(slates).presence, Presence::Present);
}
