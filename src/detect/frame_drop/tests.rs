//! Made-up motion and stamps.

use super::*;
use crate::detect::testing::{Picture, analyzer};
use crate::features::{Arrival, Depth, VideoAnalyzer};
use crate::frame::FieldOrder;

/// A source that is fed picture by picture: stretches told, as first and last moment, s.
struct Source {
    analyzer: VideoAnalyzer,
    detector: FrameDrop,
    told: Vec<(f64, f64)>,
}

impl Source {
    fn new() -> Self {
        Self { analyzer: analyzer(), detector: FrameDrop::default(), told: Vec::new() }
    }

    /// Picture `n` of 25 per second shows moment `shown`, in pictures.
    fn show(&mut self, n: usize, shown: f64) {
        self.picture(n, &hills(shown));
    }

    fn picture(&mut self, n: usize, picture: &Picture) {
        let said = self.detector.observe(self.analyzer.look(picture.frame(n), Depth::Light));
        if said.presence == Presence::Present {
            let since = said.since.map_or(-1.0, MediaTime::as_secs_f64);
            match self.told.last_mut() {
                Some((first, last)) if *first == since => *last = n as f64 / 25.0,
                _ => self.told.push((since, n as f64 / 25.0)),
            }
        }
    }
}

fn hills(shown: f64) -> Picture {
    Picture::hills(3.0 * shown + (shown / 9.0).sin() * 6.0)
}

fn repeats(shown: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
    let mut source = Source::new();
    (0..300).for_each(|n| source.show(n, shown(n)));
    source.told
}

#[test]
fn a_source_that_begins_to_stumble_is_told_from_its_first_repeat() {
    // From picture 100 to 160 two of every eight are the one before.
    let told = repeats(|n| if (100..160).contains(&n) && n % 8 < 2 { (n - n % 8 - 1) as f64 } else { n as f64 });
    let [(since, until)] = told[..] else { panic!("{told:?}") };
    assert!((since - 104.0 / 25.0).abs() < 0.01 && until < 160.0 / 25.0 + 2.6, "{told:?}");
}

#[test]
fn cadences_are_no_defect() {
    for every in [2, 3, 4] {
        assert_eq!(repeats(|n| (n / every) as f64 * every as f64), [], "on {every}s");
    }
    assert_eq!(repeats(|n| (n * 4 / 5) as f64 * 1.25), [], "24 in 30");
    assert_eq!(repeats(|n| n as f64), []);
    assert_eq!(repeats(|n| n.min(150) as f64), [], "a freeze is another defect");
    assert_eq!(repeats(|n| if n == 150 { 149.0 } else { n as f64 }), [], "one is chance");
}

#[test]
fn motion_that_eases_out_and_in_again_is_no_loss() {
    // From picture 100 on, ten of every forty move by a fifth, and the one behind them by a little more than usual.
    let speed = |n: usize| match n.saturating_sub(100) % 40 {
        20..30 if n >= 100 => 0.2,
        30 if n >= 100 => 1.6,
        _ => 1.0,
    };
    assert_eq!(repeats(|n| (0..=n).map(speed).sum()), []);
}

#[test]
fn motion_that_sets_in_in_pictures_shown_twice_is_no_loss() {
    // Nearly at rest for longer than a cadence is remembered, then faster by a third with each new picture, then even.
    let speed = |n: usize| if n < 150 { 0.15 } else { (0.2 * 1.3_f64.powi((n - 150) as i32)).min(4.0) };
    let place = |n: usize| (0..=n).map(speed).sum();
    assert_eq!(repeats(|n| if n < 290 { place(150.min(n) + n.saturating_sub(150) / 2) } else { 0.0 }), []);
}

#[test]
fn a_scene_in_pictures_shown_twice_is_no_loss_from_its_cut_on() {
    // It hardly moves up to the cut, then quickly.
    let mut source = Source::new();
    for n in 0..300_usize {
        let shown = if n < 150 { hills(n as f64 * 0.1) } else { hills((n / 2 * 2) as f64).level(|luma| 255.0 - luma) };
        source.picture(n, &shown);
    }
    assert_eq!(source.told, []);
}

#[test]
fn a_picture_added_each_second_is_no_loss_in_motion_that_grows_now_and_then() {
    // 24 in 25; each time the motion is quicker by a half from then on, and slows down again before the next.
    let speed = |n: usize| if n % 24 < 12 { 1.5 } else { 1.0 };
    let place = |n: usize| (0..=n).map(speed).sum();
    assert_eq!(repeats(|n| place(n - n / 25)), []);
}

#[test]
fn a_cut_makes_up_for_nothing() {
    // Each scene ends with two pictures that stand, eight pictures after the cut before it.
    let mut source = Source::new();
    for n in 0..300_usize {
        let (scene, place) = (n.saturating_sub(100) / 8, n.saturating_sub(100) % 8);
        let shown = hills((n - place.saturating_sub(5)) as f64);
        source.picture(n, &if scene % 2 == 1 { shown.level(|luma| 255.0 - luma) } else { shown });
    }
    assert_eq!(source.told, []);
}

#[test]
fn pictures_that_were_not_looked_at_may_have_moved() {
    let mut source = Source::new();
    for n in 0..300 {
        source.analyzer.leave_out();
        source.show(n, if n > 100 && n % 8 < 2 { (n - n % 8 - 1) as f64 } else { n as f64 });
    }
    assert_eq!(source.told, []);
}

/// Losses told of pictures with these steps in ms; `damaged`: from which on.
fn missing(steps: &[u64], damaged: Option<usize>) -> Vec<Loss> {
    let (mut missing, mut at) = (Missing::default(), MediaTime(0));
    let arrivals = steps.iter().enumerate().filter_map(|(n, &ms)| {
        let step = Duration::from_millis(ms);
        at = at.plus(step);
        let damaged = damaged.is_some_and(|from| n >= from);
        let field_order = FieldOrder::Progressive;
        let picture = Some(Arrival { at, step: Some(step), damaged, size: (320, 192), field_order, missing: 0 });
        missing.observe(&TransportFeatures { picture, ..TransportFeatures::default() })
    });
    arrivals.collect()
}

#[test]
fn gaps_in_even_stamps_are_lost_pictures() {
    let mut steps = [40; 60];
    (steps[40], steps[47]) = (160, 80);
    let lost = missing(&steps, None);
    assert!(lost.iter().all(|loss| loss.certain && loss.new), "{lost:?}");
    assert_eq!(lost.iter().map(|loss| loss.pictures).collect::<Vec<_>>(), [3, 1]);
    assert!((lost[0].from.as_secs_f64() - 1.64).abs() < 1e-6, "{lost:?}");
    assert!(missing(&steps, Some(30)).is_empty(), "damage is told elsewhere");
}

#[test]
fn uneven_stamps_and_another_rate_are_no_losses() {
    let telecine: Vec<u64> = (0..100).map(|n| if n % 2 == 0 { 33 } else { 50 }).collect();
    assert!(missing(&telecine, None).is_empty());
    let variable: Vec<u64> = (0..100).map(|n| [40, 40, 130, 40, 90][n % 5]).collect();
    assert!(missing(&variable, None).iter().all(|loss| !loss.new));
    let halved: Vec<u64> = (0..100).map(|n| if n < 50 { 20 } else { 40 }).collect();
    assert_eq!(missing(&halved, None).len(), 1);
}

#[test]
fn what_the_source_counted_needs_no_rate() {
    let mut missing = Missing::default();
    // A device that loses every other picture from its first one on.
    let losses = (1..5).filter_map(|n| {
        let (at, step) = (MediaTime::from_secs_f64(f64::from(n) * 0.12), Some(Duration::from_millis(120)));
        let field_order = FieldOrder::Progressive;
        let picture = Some(Arrival { at, step, damaged: false, size: (320, 192), field_order, missing: 2 });
        missing.observe(&TransportFeatures { picture, ..TransportFeatures::default() })
    });
    let losses: Vec<Loss> = losses.collect();
    assert!(
        losses.len() == 4 && losses.iter().all(|loss| loss.certain && loss.new && loss.pictures == 2),
        "{losses:?}"
    );
    assert_eq!(losses[0].from, MediaTime::from_secs_f64(0.04));
}
