//! The incident engine against the contract, fed with made-up observations.

use super::*;
use crate::detect::{Observation, Presence, Scope};
use crate::ids::{DeviceId, IncidentIds, StartCount};
use crate::time::Mono;
use std::time::Duration;

pub(super) struct Bench {
    pub incidents: Incidents,
    pub alerts: Vec<Alert>,
}

pub(super) fn stamp(seconds: f64) -> Stamp {
    Stamp { at: MediaTime::from_secs_f64(seconds), arrived: Mono(0) }
}

pub(super) fn says(defect: Defect, presence: Presence) -> Observation {
    Observation {
        defect,
        scope: defect.scope(),
        presence,
        since: None,
        severity: Severity::Major,
        value: 1.0,
        threshold: 2.0,
        unit: "s",
        confidence: None,
        region: None,
        levels: None,
        phrase: "it is wrong",
        change: None,
    }
}

impl Bench {
    /// Black after 1 s, freeze after 1 s, stream loss at once, silence after 2 s; all are cleared after 0.5 s.
    fn new() -> Self {
        let mut settings = Settings::default();
        for (defect, raise_ms) in
            [(Defect::StreamLoss, 0), (Defect::Black, 1000), (Defect::Freeze, 1000), (Defect::Silence, 2000)]
        {
            let hold = Hold { raise_after: Duration::from_millis(raise_ms), clear_after: Duration::from_millis(500) };
            settings.set(defect, Some(hold));
        }
        let source = SourceId::new("sdi-1").expect("well formed");
        let ids = IncidentIds::new(&DeviceId::offline(), StartCount(1), &source);
        Self { incidents: Incidents::new(source, ids, &settings), alerts: Vec::new() }
    }

    pub fn at(&mut self, seconds: f64, said: &[Observation]) {
        self.incidents.update(stamp(seconds), said, &mut self.alerts);
    }

    /// Ten units a second, `from` included, `to` not.
    pub fn over(&mut self, from: f64, to: f64, said: &[(Defect, Presence)]) {
        let said: Vec<Observation> = said.iter().map(|&(defect, presence)| says(defect, presence)).collect();
        for n in (from * 10.0).round() as u32..(to * 10.0).round() as u32 {
            self.at(f64::from(n) / 10.0, &said);
        }
    }

    /// What was told, one line each: step, defect, decided at, onset or end.
    pub fn told(&self) -> Vec<String> {
        let line = |alert: &Alert| {
            let (step, when) = match alert.transition {
                Transition::Raised => ("raised".to_owned(), alert.onset),
                Transition::Updated => ("updated".to_owned(), alert.onset),
                Transition::Cleared { end, by } => (by.name().to_owned(), end),
            };
            format!("{step} {} {:.1} {:.1}", alert.defect.name(), alert.at.at.as_secs_f64(), when.as_secs_f64())
        };
        self.alerts.iter().map(line).collect()
    }
}

use Presence::{Absent, Present, Unclear};

#[test]
fn raised_once_with_its_onset_and_cleared_once_with_its_end() {
    let mut bench = Bench::new();
    bench.over(0.0, 5.0, &[(Defect::Black, Absent)]);
    bench.over(5.0, 8.0, &[(Defect::Black, Present)]);
    bench.over(8.0, 20.0, &[(Defect::Black, Absent)]);
    assert_eq!(bench.told(), ["raised black 6.0 5.0", "recovered black 8.5 8.0"]);
    assert_eq!(bench.alerts[0].id, bench.alerts[1].id);
    assert_eq!(bench.incidents.open().count(), 0);
}

#[test]
fn a_good_unit_before_the_hold_is_over_starts_it_anew_and_an_unclear_one_does_not() {
    let mut bench = Bench::new();
    bench.over(0.0, 0.9, &[(Defect::Black, Present)]);
    bench.over(0.9, 1.0, &[(Defect::Black, Absent)]);
    bench.over(1.0, 1.5, &[(Defect::Black, Present)]);
    bench.over(1.5, 1.8, &[(Defect::Black, Unclear)]);
    assert!(bench.told().is_empty());
    bench.over(1.8, 2.5, &[(Defect::Black, Present)]);
    assert_eq!(bench.told(), ["raised black 2.0 1.0"]);
}

#[test]
fn a_gap_shorter_than_the_clear_hold_is_part_of_the_incident() {
    let mut bench = Bench::new();
    bench.over(0.0, 2.0, &[(Defect::Black, Present)]);
    bench.over(2.0, 2.4, &[(Defect::Black, Absent)]);
    bench.over(2.4, 4.0, &[(Defect::Black, Present)]);
    bench.over(4.0, 6.0, &[(Defect::Black, Absent)]);
    assert_eq!(bench.told(), ["raised black 1.0 0.0", "recovered black 4.5 4.0"]);
}

#[test]
fn a_detector_that_knows_better_sets_onset_and_end() {
    let mut bench = Bench::new();
    let since = |presence, seconds| Observation {
        since: Some(MediaTime::from_secs_f64(seconds)),
        ..says(Defect::Silence, presence)
    };
    bench.at(4.0, &[since(Present, 1.5)]);
    bench.at(9.0, &[since(Absent, 8.2)]);
    assert_eq!(bench.told(), ["raised silence 4.0 1.5", "recovered silence 9.0 8.2"]);
}

#[test]
fn told_again_when_worse_and_not_within_ten_seconds() {
    let mut bench = Bench::new();
    bench.over(0.0, 2.0, &[(Defect::Freeze, Present)]);
    let critical = Observation { severity: Severity::Critical, ..says(Defect::Freeze, Present) };
    for n in 20..400 {
        bench.at(f64::from(n) / 10.0, &[critical]);
    }
    // The first change is told soon: how bad it is, is known a moment after the raise.
    assert_eq!(bench.told(), ["raised freeze 1.0 0.0", "updated freeze 2.0 0.0"]);
    assert_eq!(bench.alerts[1].severity, Severity::Critical);
    // Milder again is no news, and the incident stays as bad as it was.
    bench.over(40.0, 60.0, &[(Defect::Freeze, Present)]);
    bench.over(60.0, 61.0, &[(Defect::Freeze, Absent)]);
    assert_eq!(bench.told()[2..], ["recovered freeze 60.5 60.0"]);
    assert_eq!(bench.alerts[2].severity, Severity::Critical);
}

#[test]
fn told_again_when_twice_as_wide() {
    let mut bench = Bench::new();
    let area = |value| Observation { unit: "%", value, ..says(Defect::BlockCorruption, Present) };
    for n in 0..600 {
        // 3 % of the picture, from 20 s on 5 %, from 40 s on 7 %.
        let value = [3.0, 5.0, 7.0][n as usize / 200];
        bench.at(f64::from(n) / 10.0, &[area(value)]);
    }
    assert_eq!(bench.told(), ["raised block_corruption 0.0 0.0", "updated block_corruption 40.0 0.0"]);
}

#[test]
fn changes_are_told_ten_seconds_apart() {
    let mut bench = Bench::new();
    let area = |value| Observation { unit: "%", value, ..says(Defect::BlockCorruption, Present) };
    for n in 0..300 {
        // It grows all the time.
        bench.at(f64::from(n) / 10.0, &[area(3.0 * 1.02_f64.powi(n))]);
    }
    let updated =
        ["updated block_corruption 3.6 0.0", "updated block_corruption 13.6 0.0", "updated block_corruption 23.6 0.0"];
    assert_eq!(bench.told()[1..], updated);
}

#[test]
fn a_cause_hides_its_effect_and_names_it() {
    let mut bench = Bench::new();
    bench.over(0.0, 4.0, &[(Defect::Black, Present), (Defect::Freeze, Present)]);
    bench.over(4.0, 6.0, &[(Defect::Black, Absent), (Defect::Freeze, Absent)]);
    assert_eq!(bench.told(), ["raised black 1.0 0.0", "recovered black 4.5 4.0"]);
    assert_eq!(bench.alerts[0].masks, [Defect::Freeze]);
    assert_eq!(bench.alerts[1].masks, [Defect::Freeze]);
}

#[test]
fn an_open_effect_is_cleared_when_its_cause_is_raised() {
    let mut bench = Bench::new();
    bench.over(0.0, 3.0, &[(Defect::Black, Absent), (Defect::Freeze, Present)]);
    bench.over(3.0, 6.0, &[(Defect::Black, Present), (Defect::Freeze, Present)]);
    assert_eq!(bench.told(), ["raised freeze 1.0 0.0", "raised black 4.0 3.0", "masked freeze 4.0 4.0"]);
    assert_eq!(bench.alerts[1].masks, [Defect::Freeze]);
}

#[test]
fn an_effect_counts_anew_when_its_cause_is_gone() {
    let mut bench = Bench::new();
    let since_long = Observation { since: Some(MediaTime(0)), ..says(Defect::Freeze, Present) };
    for n in 0..80 {
        let black = says(Defect::Black, if n < 50 { Present } else { Absent });
        bench.at(f64::from(n) / 10.0, &[black, since_long]);
    }
    assert_eq!(bench.told(), ["raised black 1.0 0.0", "recovered black 5.5 5.0", "raised freeze 5.9 4.9"]);
}

#[test]
fn a_cause_that_is_never_raised_clears_nothing() {
    let mut bench = Bench::new();
    bench.over(0.0, 3.0, &[(Defect::Black, Absent), (Defect::Freeze, Present)]);
    bench.over(3.0, 3.8, &[(Defect::Black, Present), (Defect::Freeze, Present)]);
    bench.over(3.8, 6.0, &[(Defect::Black, Absent), (Defect::Freeze, Present)]);
    assert_eq!(bench.told(), ["raised freeze 1.0 0.0"]);
}

#[test]
fn a_cause_that_comes_and_goes_unraised_only_holds_its_effect_back() {
    let mut bench = Bench::new();
    // A pause of 0.4 s in each second is as dark as black, and black is told after 1 s.
    for n in 0..30 {
        let black = says(Defect::Black, if n % 10 < 4 { Present } else { Absent });
        bench.at(f64::from(n) / 10.0, &[black, says(Defect::Freeze, Present)]);
    }
    assert_eq!(bench.told(), ["raised freeze 1.4 0.0"], "in the pause that it is due in it is held back");
    let mut bench = Bench::new();
    bench.over(0.0, 0.5, &[(Defect::Black, Absent), (Defect::Freeze, Present)]);
    bench.over(0.5, 1.4, &[(Defect::Black, Present), (Defect::Freeze, Absent)]);
    bench.over(1.4, 2.2, &[(Defect::Black, Absent), (Defect::Freeze, Present)]);
    assert!(bench.told().is_empty(), "it ended behind the other");
}

#[test]
fn nothing_begins_after_it_was_told() {
    let mut bench = Bench::new();
    bench.over(0.0, 2.0, &[(Defect::Black, Present), (Defect::Freeze, Present)]);
    bench.at(2.0, &[says(Defect::Black, Absent)]);
    // A unit that is older than what hid it.
    (18..40).for_each(|n| bench.at(f64::from(n) / 10.0, &[says(Defect::Freeze, Present)]));
    let freeze = bench.alerts.iter().filter(|alert| alert.defect == Defect::Freeze);
    assert!(freeze.clone().count() == 1 && freeze.clone().all(|alert| alert.onset <= alert.at.at));
    assert!(freeze.clone().all(|alert| alert.onset <= MediaTime::from_secs_f64(1.9)), "{:?}", bench.told());
}

#[test]
fn the_worst_is_told_when_it_is_time_though_it_was_worst_for_a_moment() {
    let mut bench = Bench::new();
    for n in 0..40 {
        let severity = if n == 12 { Severity::Critical } else { Severity::Minor };
        bench.at(f64::from(n) / 10.0, &[Observation { severity, ..says(Defect::Black, Present) }]);
    }
    assert_eq!(bench.told(), ["raised black 1.0 0.0", "updated black 2.0 0.0"]);
    assert_eq!(bench.alerts[1].severity, Severity::Critical);
}

#[test]
fn a_lost_source_ends_all_that_lies_in_it() {
    let mut bench = Bench::new();
    bench.over(0.0, 3.0, &[(Defect::StreamLoss, Absent), (Defect::Freeze, Present), (Defect::Silence, Present)]);
    let picture = Observation { scope: Scope::Picture, ..says(Defect::StreamLoss, Present) };
    bench.at(3.0, &[picture]);
    let told = ["raised freeze 1.0 0.0", "raised silence 2.0 0.0", "raised stream_loss 3.0 3.0"];
    assert_eq!(bench.told()[..3], told);
    assert_eq!(bench.told()[3..], ["source_lost freeze 3.0 3.0"], "there is sound still");
    assert_eq!(bench.alerts[2].masks, [Defect::Freeze]);
    bench.at(4.0, &[says(Defect::StreamLoss, Present)]);
    assert_eq!(bench.told()[4..], ["source_lost silence 4.0 4.0"], "now all is gone");
}

#[test]
fn masked_by_black_is_not_lost_with_the_sound() {
    let mut bench = Bench::new();
    let sound = Observation { scope: Scope::Sound, ..says(Defect::StreamLoss, Present) };
    bench.at(0.0, &[sound]);
    bench.over(0.0, 3.0, &[(Defect::Black, Absent), (Defect::Freeze, Present)]);
    bench.over(3.0, 5.0, &[(Defect::Black, Present), (Defect::Freeze, Present)]);
    assert_eq!(bench.told()[2..], ["raised black 4.0 3.0", "masked freeze 4.0 4.0"]);
}

#[test]
fn the_end_of_input_ends_what_is_open_and_leaves_what_had_recovered() {
    let mut bench = Bench::new();
    bench.over(0.0, 3.0, &[(Defect::Black, Present), (Defect::Silence, Present)]);
    bench.over(3.0, 3.3, &[(Defect::Black, Absent), (Defect::Silence, Present)]);
    bench.incidents.finish(stamp(3.3), ClearedBy::EndOfInput, &mut bench.alerts);
    assert_eq!(bench.told()[2..], ["recovered black 3.3 3.0", "end_of_input silence 3.3 3.3"]);
    bench.incidents.finish(stamp(3.3), ClearedBy::EndOfInput, &mut bench.alerts);
    assert_eq!(bench.alerts.len(), 4, "once");
}

#[test]
fn what_is_pending_at_the_end_was_never_raised() {
    let mut bench = Bench::new();
    bench.over(0.0, 0.9, &[(Defect::Black, Present)]);
    bench.incidents.finish(stamp(0.9), ClearedBy::EndOfInput, &mut bench.alerts);
    assert!(bench.alerts.is_empty());
}

#[test]
fn a_line_that_flaps_is_one_long_incident_after_a_while() {
    let mut bench = Bench::new();
    // Present for 1.5 s, absent for 1.5 s, for an hour.
    for n in 0..1200 {
        let from = 3.0 * f64::from(n);
        bench.over(from, from + 1.5, &[(Defect::Black, Present)]);
        bench.over(from + 1.5, from + 3.0, &[(Defect::Black, Absent)]);
    }
    let raised: Vec<f64> = bench
        .alerts
        .iter()
        .filter(|alert| alert.transition == Transition::Raised)
        .map(|alert| alert.at.at.as_secs_f64())
        .collect();
    // Every coming and going is told at first...
    assert_eq!(raised[..6], [1.0, 4.0, 7.0, 10.0, 13.0, 16.0]);
    // ... then one every two minutes.
    assert!((30..=36).contains(&raised.len()), "{}", raised.len());
    let cleared = bench.alerts.iter().filter(|alert| matches!(alert.transition, Transition::Cleared { .. })).count();
    assert!(raised.len() - cleared <= 1);
    // When it stays good, it is cleared, with the end it really had.
    bench.over(3600.0, 3800.0, &[(Defect::Black, Absent)]);
    assert_eq!(bench.incidents.open().count(), 0);
    assert!(matches!(bench.alerts.last().map(|alert| alert.transition),
        Some(Transition::Cleared { end, .. }) if end == MediaTime::from_secs_f64(3598.5)));
    // And after a quiet time it is as quick as ever.
    bench.over(5000.0, 5002.0, &[(Defect::Black, Present)]);
    bench.over(5002.0, 5003.0, &[(Defect::Black, Absent)]);
    assert_eq!(bench.told()[bench.alerts.len() - 2..], ["raised black 5001.0 5000.0", "recovered black 5002.5 5002.0"]);
}

#[test]
fn a_defect_that_is_not_watched_is_not_told_and_hides_nothing() {
    let mut settings = Settings::default();
    settings.set(Defect::Black, None);
    let source = SourceId::new("sdi-1").expect("well formed");
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(1), &source);
    let mut bench = Bench { incidents: Incidents::new(source, ids, &settings), alerts: Vec::new() };
    bench.over(0.0, 4.0, &[(Defect::Black, Present), (Defect::Freeze, Present)]);
    assert_eq!(bench.told(), ["raised freeze 1.0 0.0"]);
    assert_eq!(bench.alerts[0].text, "it is wrong (1.00 s, limit 2.00 s)");
}
