//! What a clean day says about settings: how measures lie, and what would have stayed silent.

use super::{Chunk, Item};
use crate::alert::{Alert, Asked, Hold, Settings, Transition};
use crate::detect::{Defect, Levels, Observation, Presence, Severity};
use crate::time::MediaTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Values kept of a measure; of more, every second one, and so on.
const VALUES: usize = 1 << 16;
/// What lasted is passed by this share of its distance from the median, so that a day a little worse is silent too.
const MARGIN: f64 = 0.1;
/// A hold time is longer by this than what lasted longest.
const LONGER: f64 = 1.25;
/// A longer hold time is no alert any more: then it is told mildly.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// What is asked for in place of the present settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proposal {
    /// Nothing was raised: leave it.
    Keep,
    /// This level would have stayed silent.
    Level(f64),
    /// This hold time would have.
    RaiseAfter(Duration),
    /// Nothing would: tell it as a warning.
    Mild,
}

/// What a tape says about one defect.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// Which.
    pub defect: Defect,
    /// How often it was raised with the present settings.
    pub raised: u64,
    /// Median, 90 %, 99 % and worst of its measure, and what lasted as long as the hold time; where it has levels.
    pub spread: Option<[f64; 5]>,
    /// What to ask for.
    pub proposal: Proposal,
}

/// Looks at a tape.
#[derive(Debug)]
pub struct Study {
    settings: Settings,
    measures: Vec<(Defect, Measure)>,
    raised: [u64; Defect::ALL.len()],
    /// Since when each defect is present, and the longest that it was.
    runs: [(Option<MediaTime>, Duration); Defect::ALL.len()],
}

impl Study {
    /// With the present settings.
    pub fn new(settings: &Settings) -> Self {
        let measure = |defect: Defect| Some((defect, Measure::new(defect.levels()?.0, settings.hold(defect)?)));
        let measures = Defect::ALL.into_iter().filter_map(measure).collect();
        let (raised, runs) = ([0; Defect::ALL.len()], [(None, Duration::ZERO); Defect::ALL.len()]);
        Self { settings: settings.clone(), measures, raised, runs }
    }

    /// What was measured.
    pub fn take(&mut self, chunk: &Chunk) {
        if chunk.first {
            self.measures.iter_mut().for_each(|(_, measure)| measure.recent.clear());
            self.runs.iter_mut().for_each(|(since, _)| *since = None);
        }
        for item in &chunk.items {
            let Item::Said(at, said) = item else { continue };
            said.iter().for_each(|seen| self.follow(at.at, seen));
            for (defect, measure) in &mut self.measures {
                // Values without levels are of another kind, such as those of a light look.
                if let Some(seen) = said.iter().find(|seen| seen.defect == *defect && seen.levels.is_some()) {
                    measure.take(at.at, seen);
                }
            }
        }
    }

    /// How long a defect is present without a good unit: incidents may hold several such times.
    fn follow(&mut self, at: MediaTime, seen: &Observation) {
        let (since, longest) = &mut self.runs[seen.defect as usize];
        match seen.presence {
            Presence::Present => {
                let began = *since.get_or_insert_with(|| seen.since.unwrap_or(at).min(at));
                *longest = (*longest).max(at.since(began));
            }
            Presence::Absent => *since = None,
            Presence::Unclear => {}
        }
    }

    /// What the present settings made of it.
    pub fn told(&mut self, alert: &Alert) {
        self.raised[alert.defect as usize] += u64::from(alert.transition == Transition::Raised);
    }

    /// For each defect that is watched and was raised, or has levels.
    pub fn suggestions(&mut self) -> Vec<Suggestion> {
        let mut all = Vec::new();
        for defect in Defect::ALL.into_iter().filter(|&defect| self.settings.hold(defect).is_some()) {
            let measure = self.measures.iter_mut().find(|(of, _)| *of == defect).map(|(_, measure)| measure);
            let (raised, (_, longest)) = (self.raised[defect as usize], self.runs[defect as usize]);
            let spread = measure.and_then(|measure| measure.spread());
            if raised > 0 || spread.is_some() {
                let proposal = match raised {
                    0 => Proposal::Keep,
                    _ => proposal(defect, spread, longest, self.settings.rule(defect).levels),
                };
                all.push(Suggestion { defect, raised, spread, proposal });
            }
        }
        all
    }

    /// The present settings with `suggestions` in them.
    pub fn proposed(&self, suggestions: &[Suggestion]) -> Settings {
        let mut settings = self.settings.clone();
        for Suggestion { defect, proposal, .. } in suggestions {
            let rule = settings.rule_mut(*defect);
            match *proposal {
                Proposal::Keep => {}
                Proposal::Level(level) => (rule.levels.raise, rule.levels.clear) = (Some(level), None),
                Proposal::RaiseAfter(raise_after) => rule.hold = rule.hold.map(|hold| Hold { raise_after, ..hold }),
                Proposal::Mild => rule.severity = Some(Severity::Warning),
            }
        }
        settings
    }
}

fn proposal(defect: Defect, spread: Option<[f64; 5]>, longest: Duration, present: Asked) -> Proposal {
    if let (Some([median, .., lasted]), Some((own, unit))) = (spread, defect.levels()) {
        let (least, most, step) = match unit {
            "%" => (0.0, 100.0, 1.0),
            "dBFS" => (-144.0, 0.0, 1.0),
            _ => (-1.0, 1.0, 0.05),
        };
        let side = if own.raise >= own.clear { 1.0 } else { -1.0 };
        let level = lasted + side * f64::max((lasted - median).abs() * MARGIN, step);
        // Where the measure lies at its end, no level is worse than it; and what was raised by something else than this
        // measure is not mended by a level that is nearer to good.
        let milder = (level - present.over(own).raise) * side > 0.0;
        if milder && level > least && level < most {
            return Proposal::Level((level * 100.0).round() / 100.0);
        }
    }
    let raise_after = Duration::from_secs((longest.as_secs_f64() * LONGER).ceil() as u64 + 1);
    if raise_after <= HOLD_MAX { Proposal::RaiseAfter(raise_after) } else { Proposal::Mild }
}

/// The values of one defect.
#[derive(Debug)]
struct Measure {
    /// Whether more is worse.
    rising: bool,
    hold: Duration,
    values: Vec<f32>,
    /// Every how manieth is kept, and how many came.
    every: u64,
    count: u64,
    /// The least bad of the hold time up to now: times and values, ever worse.
    recent: VecDeque<(MediaTime, f64)>,
    began: Option<MediaTime>,
    worst: f64,
    lasted: f64,
}

impl Measure {
    fn new(own: Levels, hold: Hold) -> Self {
        Self {
            rising: own.raise >= own.clear,
            hold: hold.raise_after,
            values: Vec::new(),
            every: 1,
            count: 0,
            recent: VecDeque::new(),
            began: None,
            worst: f64::NEG_INFINITY,
            lasted: f64::NEG_INFINITY,
        }
    }

    /// The higher the worse.
    fn badness(&self, value: f64) -> f64 {
        if self.rising { value } else { -value }
    }

    fn take(&mut self, at: MediaTime, seen: &Observation) {
        let bad = self.badness(seen.value);
        if self.count.is_multiple_of(self.every) {
            self.values.push(bad as f32);
        }
        self.count += 1;
        if self.values.len() >= VALUES {
            let mut odd = false;
            self.values.retain(|_| {
                odd = !odd;
                odd
            });
            self.every *= 2;
        }
        self.worst = self.worst.max(bad);
        if self.recent.is_empty() {
            self.began = Some(at);
        }
        while self.recent.back().is_some_and(|(_, last)| *last >= bad) {
            self.recent.pop_back();
        }
        self.recent.push_back((at, bad));
        while self.recent.front().is_some_and(|(when, _)| at.since(*when) > self.hold) {
            self.recent.pop_front();
        }
        if let (Some((_, least)), Some(began)) = (self.recent.front(), self.began)
            && at.since(began) >= self.hold
        {
            self.lasted = self.lasted.max(*least);
        }
    }

    fn spread(&mut self) -> Option<[f64; 5]> {
        if self.values.is_empty() || self.lasted.is_infinite() {
            return None;
        }
        self.values.sort_by(f32::total_cmp);
        let quantile = |share: f64| f64::from(self.values[((self.values.len() - 1) as f64 * share).round() as usize]);
        let bad = [quantile(0.5), quantile(0.9), quantile(0.99), self.worst, self.lasted];
        Some(bad.map(|bad| if self.rising { bad } else { -bad } + 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeviceId, IncidentIds, SourceId, StartCount};
    use crate::tape::Replay;
    use crate::time::{Mono, Stamp};

    /// An hour of sound at -40 dBFS that goes down to `low` for 5 s in each of its minutes, and freezes of 3 s.
    fn day(low: f64) -> Chunk {
        let item = |n: u32| {
            let at = Stamp { at: MediaTime(i64::from(n) * 100_000_000), arrived: Mono(0) };
            let quiet = n % 600 >= 550;
            let (levels, unit) = Defect::Silence.levels().expect("it has");
            let value = if quiet { low } else { -40.0 };
            let silence = Observation {
                value,
                presence: levels.judge(value),
                threshold: levels.raise,
                levels: Some(levels),
                unit,
                ..Observation::of(Defect::Silence)
            };
            let presence = if n % 900 < 30 { Presence::Present } else { Presence::Absent };
            let freeze = Observation { presence, severity: Severity::Major, ..Observation::of(Defect::Freeze) };
            Item::Said(at, vec![silence, freeze])
        };
        Chunk { first: true, items: (0..36_000).map(item).collect() }
    }

    fn raised(chunk: &Chunk, settings: &Settings, study: &mut Study) -> usize {
        let source = SourceId::new("a").expect("well formed");
        let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), &source);
        let mut replay = Replay::new(source, ids, settings);
        let mut alerts = Vec::new();
        replay.take(chunk, &mut alerts);
        replay.end(&mut alerts);
        alerts.iter().for_each(|alert| study.told(alert));
        alerts.iter().filter(|alert| alert.transition == Transition::Raised).count()
    }

    #[test]
    fn what_is_proposed_would_have_been_silent() {
        let (chunk, settings) = (day(-62.0), Settings::default());
        let mut study = Study::new(&settings);
        study.take(&chunk);
        assert!(raised(&chunk, &settings, &mut study) > 40);
        let suggestions = study.suggestions();
        let of = |defect: Defect| suggestions.iter().find(|one| one.defect == defect).expect("there");
        let silence = of(Defect::Silence);
        assert_eq!(silence.spread, Some([-40.0, -40.0, -62.0, -62.0, -62.0]));
        assert_eq!(silence.proposal, Proposal::Level(-64.2));
        assert_eq!(of(Defect::Freeze).proposal, Proposal::RaiseAfter(Duration::from_secs(5)));
        let proposed = study.proposed(&suggestions);
        assert_eq!(raised(&chunk, &proposed, &mut Study::new(&proposed)), 0);
    }

    #[test]
    fn what_was_silent_is_left_as_it_is() {
        let (chunk, settings) = (day(-52.0), Settings::default());
        let mut study = Study::new(&settings);
        study.take(&chunk);
        raised(&chunk, &settings, &mut study);
        let silence = study.suggestions().into_iter().find(|one| one.defect == Defect::Silence).expect("there");
        assert_eq!((silence.raised, silence.proposal), (0, Proposal::Keep));
    }

    #[test]
    fn what_passes_by_sooner_than_the_hold_time_did_not_last() {
        let hold = Hold { raise_after: Duration::from_secs(2), clear_after: Duration::ZERO };
        let (levels, _) = Defect::Silence.levels().expect("it has");
        let mut measure = Measure::new(levels, hold);
        for n in 0..600_u32 {
            let value = if n % 60 < 15 {
                -70.0
            } else if n % 100 < 30 {
                -50.0
            } else {
                -30.0
            };
            let at = MediaTime(i64::from(n) * 100_000_000);
            measure.take(at, &Observation { value, ..Observation::of(Defect::Silence) });
        }
        let [.., worst, lasted] = measure.spread().expect("some");
        assert_eq!(worst, -70.0);
        assert!(lasted > -70.0 && lasted <= -50.0 + 20.0, "{lasted}");
    }
}
