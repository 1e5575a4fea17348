//! Asked levels, shares of a window, severities, expected states, storms; and what must hold of any sequence.

use super::tests::{Bench, says, stamp};
use super::*;
use crate::detect::{Levels, Observation, Presence};
use crate::ids::{DeviceId, IncidentIds, StartCount};
use crate::time::Mono;
use Presence::{Absent, Present, Unclear};
use std::collections::BTreeMap;
use std::time::Duration;

fn bench(settings: &Settings) -> Bench {
    let source = SourceId::new("sdi-1").expect("well formed");
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(1), &source);
    Bench { incidents: Incidents::new(source, ids, settings), alerts: Vec::new() }
}

/// `defect` is raised after 1 s and cleared after 0.5 s.
fn with_hold(defect: Defect) -> Settings {
    let mut settings = Settings::default();
    let hold = Hold { raise_after: Duration::from_secs(1), clear_after: Duration::from_millis(500) };
    settings.set(defect, Some(hold));
    settings
}

#[test]
fn other_levels_are_judged_from_the_value() {
    let mut settings = with_hold(Defect::Silence);
    settings.rule_mut(Defect::Silence).levels.raise = Some(-50.0);
    let mut bench = bench(&settings);
    let own = Levels { raise: -60.0, clear: -55.0 };
    let level = |value| Observation { value, levels: Some(own), ..says(Defect::Silence, own.judge(value)) };
    for n in 0..100 {
        // Silent for the asked level alone, then between its levels, then loud.
        let value = match n {
            20..40 => -52.0,
            40..60 => -47.0,
            _ => -20.0,
        };
        bench.at(f64::from(n) / 10.0, &[level(value)]);
    }
    assert_eq!(bench.told(), ["raised silence 3.0 2.0", "recovered silence 6.5 6.0"]);
    assert_eq!((bench.alerts[0].threshold, bench.alerts[0].value), (-50.0, -52.0));
}

#[test]
fn what_cannot_be_measured_is_unclear_where_levels_are_asked_for() {
    let mut settings = with_hold(Defect::SolidColour);
    settings.rule_mut(Defect::SolidColour).levels.raise = Some(80.0);
    let mut bench = bench(&settings);
    let own = Levels { raise: 99.0, clear: 95.0 };
    for n in 0..30 {
        let seen = Observation { value: 85.0, ..says(Defect::SolidColour, Absent) };
        // Every second look is a light one, which knows no levels.
        bench.at(f64::from(n) / 10.0, &[Observation { levels: (n % 2 == 0).then_some(own), ..seen }]);
    }
    assert_eq!(bench.told(), ["raised solid_colour 1.0 0.0"]);
}

#[test]
fn asked_levels_keep_their_distance() {
    let raise = |raise| Asked { raise: Some(raise), clear: None };
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let share = raise(5.0).over(Levels { raise: 20.0, clear: 10.0 });
    assert!(close(share.clear, 2.5), "{share:?}");
    let level = raise(-50.0).over(Levels { raise: -60.0, clear: -50.0 });
    assert!(close(level.clear, -40.0), "{level:?}");
    let both = Asked { raise: Some(-50.0), clear: Some(-45.0) }.over(Levels { raise: -60.0, clear: -50.0 });
    assert_eq!(both, Levels { raise: -50.0, clear: -45.0 });
}

#[test]
fn what_comes_and_goes_is_told_when_it_is_there_for_most_of_the_time() {
    let mut settings = with_hold(Defect::Noise);
    settings.rule_mut(Defect::Noise).often = Some(Often { share: 0.5, window: Duration::from_secs(4) });
    let mut bench = bench(&settings);
    // Never for a second: 0.6 s of each 0.8 s.
    for n in 0..20 {
        let from = 10.0 + 0.8 * f64::from(n);
        bench.over(from, from + 0.6, &[(Defect::Noise, Present)]);
        bench.over(from + 0.6, from + 0.8, &[(Defect::Noise, Absent)]);
    }
    bench.over(26.0, 40.0, &[(Defect::Noise, Absent)]);
    let told = bench.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("raised noise 12.") && told[0].ends_with(" 10.0"), "{told:?}");
    // It is over when less than half of the last 4 s was bad; its end is the end it had.
    assert!(told[1].starts_with("recovered noise 2") && told[1].ends_with(" 25.8"), "{told:?}");
}

#[test]
fn a_severity_that_is_asked_for_stands() {
    let mut settings = with_hold(Defect::Black);
    settings.rule_mut(Defect::Black).severity = Some(Severity::Warning);
    let mut bench = bench(&settings);
    let critical = Observation { severity: Severity::Critical, ..says(Defect::Black, Present) };
    (0..20).for_each(|n| bench.at(f64::from(n) / 10.0, &[critical]));
    assert_eq!(bench.told(), ["raised black 1.0 0.0"]);
    assert_eq!(bench.alerts[0].severity, Severity::Warning);
}

#[test]
fn what_is_expected_is_not_told_and_counts_anew_afterwards() {
    let mut settings = with_hold(Defect::Black);
    settings.set(Defect::Freeze, with_hold(Defect::Black).hold(Defect::Black));
    let states = vec![Defect::Black];
    settings.expected.push(Expected { from: 3600, to: 2 * 3600, days: [true; 7], zone: 0, states });
    let mut bench = bench(&settings);
    let at = |bench: &mut Bench, seconds: u64, clock: Option<i64>| {
        bench.incidents.set_clock(clock);
        let at = Stamp { at: MediaTime(seconds as i64 * 1_000_000_000), arrived: Mono(seconds * 1_000_000_000) };
        let said = [says(Defect::Black, Present), says(Defect::Freeze, Present)];
        bench.incidents.update(at, &said, &mut bench.alerts);
    };
    // The machine started at half past midnight: the hour begins after 1800 s.
    let clock = Some(1800 * 1000);
    (1790..1805).for_each(|second| at(&mut bench, second, clock));
    assert_eq!(bench.told(), ["raised black 1791.0 1790.0", "masked black 1800.0 1800.0"]);
    assert_eq!(bench.incidents.candidates().count(), 0, "the freeze is explained by what is expected");
    (1805..5410).for_each(|second| at(&mut bench, second, clock));
    assert_eq!(bench.told()[2..], ["raised black 5401.0 5400.0"]);
    assert_eq!(bench.alerts[2].masks, [Defect::Freeze]);
}

#[test]
fn without_a_trusted_clock_nothing_is_expected() {
    let mut settings = with_hold(Defect::Black);
    settings.expected.push(Expected { from: 0, to: 0, days: [true; 7], zone: 0, states: vec![Defect::Black] });
    let mut bench = bench(&settings);
    bench.over(0.0, 2.0, &[(Defect::Black, Present)]);
    assert_eq!(bench.told(), ["raised black 1.0 0.0"]);
}

#[test]
fn what_is_seen_and_not_raised_is_a_candidate() {
    let mut bench = bench(&with_hold(Defect::Black));
    bench.over(0.0, 0.5, &[(Defect::Black, Present)]);
    let candidates: Vec<_> = bench.incidents.candidates().collect();
    assert_eq!(candidates, [Candidate { defect: Defect::Black, since: MediaTime(0) }]);
    bench.over(0.5, 2.0, &[(Defect::Black, Present)]);
    assert_eq!(bench.incidents.candidates().count(), 0);
}

const MANY: [Defect; 6] =
    [Defect::Letterbox, Defect::Monochrome, Defect::VideoLevels, Defect::Phase, Defect::Clipping, Defect::AudioDropout];

#[test]
fn a_storm_is_held_back_and_told_summed_up() {
    let mut settings = Settings::default();
    for defect in MANY {
        settings.set(defect, Some(Hold { raise_after: Duration::ZERO, clear_after: Duration::ZERO }));
    }
    let mut bench = bench(&settings);
    // Six defects come and go one after the other for five minutes, then all is well for half an hour.
    for n in 0..3000 {
        let said =
            MANY.map(|defect| says(defect, if (n / 5 + defect as usize).is_multiple_of(6) { Present } else { Absent }));
        bench.at(n as f64 / 10.0, &said);
    }
    let raised = |bench: &Bench| bench.alerts.iter().filter(|alert| alert.transition == Transition::Raised).count();
    assert_eq!(raised(&bench), 20);
    let critical = Observation { severity: Severity::Critical, ..says(Defect::SolidColour, Present) };
    (3000..3020).for_each(|n| bench.at(f64::from(n) / 10.0, &[critical]));
    assert_eq!(raised(&bench), 21, "what is critical is told");
    bench.at(302.0, &[says(Defect::SolidColour, Absent)]);
    bench.at(303.0, &[says(Defect::SolidColour, Absent)]);
    let before = bench.alerts.len();
    for n in 3100..20_000 {
        let said = MANY.map(|defect| says(defect, Absent));
        bench.at(f64::from(n) / 10.0, &said);
    }
    let late = &bench.alerts[before..];
    let summed: Vec<_> = late.iter().filter(|alert| alert.transition == Transition::Raised).collect();
    assert_eq!(summed.len(), MANY.len(), "{:?}", bench.told());
    assert!(summed.iter().all(|alert| alert.text.contains(" times in ") && alert.text.contains("held back")));
    assert!(lives_are_whole(&bench.alerts));
}

/// Each incident is raised once and cleared once, in this order; no defect has two at once; times are in order.
fn lives_are_whole(alerts: &[Alert]) -> bool {
    let mut open: BTreeMap<Defect, &Alert> = BTreeMap::new();
    let mut names = std::collections::BTreeSet::new();
    let mut last = MediaTime(i64::MIN);
    for alert in alerts {
        assert!(alert.at.at >= last && alert.onset <= alert.at.at, "{alert:?}");
        last = alert.at.at;
        match alert.transition {
            Transition::Raised => {
                assert!(names.insert(alert.id.clone()), "raised twice: {alert:?}");
                assert!(open.insert(alert.defect, alert).is_none(), "two open: {alert:?}");
            }
            Transition::Updated => assert_eq!(open[&alert.defect].id, alert.id),
            Transition::Cleared { end, .. } => {
                let raised = open.remove(&alert.defect).expect("it was open");
                assert_eq!((&raised.id, raised.onset), (&alert.id, alert.onset));
                assert!(end >= alert.onset && end <= alert.at.at, "{alert:?}");
            }
        }
    }
    open.is_empty()
}

#[test]
fn any_sequence_makes_whole_lives() {
    for seed in 0..300_u32 {
        let mut state = seed.wrapping_mul(2_654_435_761);
        let mut chance = |of: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % of
        };
        let mut settings = Profile::ALL[chance(8) as usize].settings();
        for defect in Defect::ALL {
            let rule = settings.rule_mut(defect);
            if chance(3) == 0 {
                rule.hold = Some(Hold {
                    raise_after: Duration::from_millis(u64::from(chance(4)) * 700),
                    clear_after: Duration::from_millis(u64::from(chance(3)) * 400),
                });
            }
            if chance(4) == 0 {
                let window = Duration::from_secs(1 + u64::from(chance(5)));
                rule.often = Some(Often { share: 0.2 + f64::from(chance(7)) / 10.0, window });
            }
            if chance(4) == 0 {
                rule.levels.raise = Some(f64::from(chance(100)));
            }
        }
        let states = vec![Defect::ALL[chance(23) as usize], Defect::ALL[chance(23) as usize]];
        settings.expected.push(Expected { from: 60, to: 150, days: [true; 7], zone: 0, states });
        let mut bench = bench(&settings);
        bench.incidents.set_clock(Some(0));
        let mut present = [Absent; Defect::ALL.len()];
        let patience = 2 + chance(60);
        let mut now = 0;
        for _ in 0..2000 {
            now += 40_000_000 + u64::from(chance(200)) * 1_000_000;
            let mut said = Vec::new();
            for defect in Defect::ALL {
                if chance(3) == 0 {
                    continue;
                }
                if chance(patience) == 0 {
                    present[defect as usize] = [Absent, Present, Unclear][chance(3) as usize];
                }
                let ago = Duration::from_millis(u64::from(chance(3000)));
                let at = MediaTime(now as i64);
                said.push(Observation {
                    since: (chance(3) == 0).then(|| at.minus(ago)),
                    value: f64::from(chance(100)),
                    unit: "%",
                    severity: [Severity::Minor, Severity::Major, Severity::Critical][chance(3) as usize],
                    levels: (chance(2) == 0).then_some(Levels { raise: 60.0, clear: 50.0 }),
                    ..says(defect, present[defect as usize])
                });
            }
            let at = Stamp { at: MediaTime(now as i64), arrived: Mono(now) };
            bench.incidents.update(at, &said, &mut bench.alerts);
        }
        let end = Stamp { at: MediaTime(now as i64), arrived: Mono(now) };
        bench.incidents.finish(end, ClearedBy::EndOfInput, &mut bench.alerts);
        assert!(lives_are_whole(&bench.alerts), "seed {seed}");
        // No storm: six at once for each line, and all of them together 20 in ten minutes and what is critical.
        let mild = |alert: &&Alert| alert.transition == Transition::Raised && alert.severity < Severity::Critical;
        let told = bench.alerts.iter().filter(mild).filter(|alert| !alert.text.contains("held back")).count();
        assert!(told <= 21, "seed {seed}: {told} in {:.0} s", stamp(now as f64 / 1e9).at.as_secs_f64());
    }
}
