//! One defect's line: when it is raised, told again and cleared. The only place where a defect's seconds are counted.

use super::ClearedBy;
use super::often::Window;
use super::settings::{Hold, Rule};
use super::storm::Held;
use crate::detect::{Defect, Observation, Presence, Severity};
use crate::ids::IncidentId;
use crate::time::MediaTime;
use std::time::Duration;

/// An open incident tells of a change at most this often (contract, events).
const UPDATE_EVERY: Duration = Duration::from_secs(10);
/// The first change is told this long after the raise: by then the worst of most faults is known.
const FIRST_UPDATE: Duration = Duration::from_secs(1);
/// A share of the picture that grew by this factor is a change of reach worth telling.
const REACH_FACTOR: f64 = 2.0;
/// Raises that a line may make one right after the other: more than one fault brings about in a programme.
const RAISES: u32 = 6;
/// Time in which one more is earned: a line that flaps for hours makes 30 an hour and no more.
const RAISE_EARNED: Duration = Duration::from_secs(120);

/// Where a line stands.
#[derive(Clone, Debug)]
enum Phase {
    /// Nothing wrong.
    Clear,
    /// Seen, not yet for long enough.
    Pending {
        onset: MediaTime,
        /// What was said when it was due and held back.
        held: Option<Observation>,
    },
    /// Raised.
    Open(Open),
    /// Raised, and good since.
    Closing(Open, MediaTime),
}

/// A raised incident.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// Its name.
    pub id: IncidentId,
    /// When the defect began.
    pub onset: MediaTime,
    /// From then on a change is told.
    quiet_until: MediaTime,
    /// The worst so far.
    pub severity: Severity,
    /// The worst that was told.
    told: Severity,
    /// The widest reach that was told.
    reach: f64,
    /// What was said when the defect was last present.
    pub last: Observation,
}

/// What a line does at one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing to tell.
    Rest,
    /// It has lasted: to be raised.
    Raise { onset: MediaTime },
    /// It got worse or wider.
    Update,
    /// It is over.
    Clear { end: MediaTime, by: ClearedBy },
}

/// How the causes of a line's defect stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// No cause of it is there.
    None,
    /// One is there, not yet raised.
    Candidate,
    /// One is raised: it speaks for this defect too.
    Raised(ClearedBy),
}

/// Follows one defect.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Which.
    pub defect: Defect,
    /// What its detector said last.
    pub seen: Option<Observation>,
    /// Effects that it explains, since it was first seen.
    pub masked: [bool; Defect::ALL.len()],
    hold: Hold,
    rule: Rule,
    often: Option<Window>,
    phase: Phase,
    /// Up to here a cause explained it: what is present counts anew from then.
    hidden_until: Option<MediaTime>,
    /// Raises made, as the time at which all of them are earned again.
    earned_at: Option<MediaTime>,
    /// What was not told because too much was.
    held: Option<Held>,
}

impl Line {
    /// Nothing wrong yet.
    pub fn new(defect: Defect, hold: Hold, rule: Rule) -> Self {
        Self {
            defect,
            seen: None,
            masked: [false; Defect::ALL.len()],
            hold,
            rule,
            often: rule.often.map(Window::new),
            phase: Phase::Clear,
            hidden_until: None,
            earned_at: None,
            held: None,
        }
    }

    /// Takes what its detector says, judged anew where other levels are asked for.
    pub fn hear(&mut self, mut seen: Observation) {
        let Rule { levels, severity, .. } = self.rule;
        match seen.levels.map(|own| levels.over(own)) {
            Some(asked) if Some(asked) != seen.levels => {
                let presence = asked.judge(seen.value);
                // When it began is known of the detector's own levels alone.
                seen.since = seen.since.filter(|_| presence == seen.presence);
                (seen.presence, seen.threshold, seen.levels) = (presence, asked.raise, Some(asked));
            }
            // What cannot be measured in this unit, as by a light look, is not to be told by the detector's levels.
            None if (levels.raise, levels.clear) != (None, None) && seen.presence == Presence::Absent => {
                seen.presence = Presence::Unclear;
            }
            Some(_) | None => {}
        }
        seen.severity = severity.unwrap_or(seen.severity);
        self.seen = Some(seen);
    }

    /// What is seen and not raised, and since when.
    pub fn candidate(&self) -> Option<MediaTime> {
        match self.phase {
            Phase::Pending { onset, .. } => Some(onset),
            _ => None,
        }
    }

    /// Is not raised although it is due: what it was is noted when it goes.
    pub fn hold_back(&mut self) {
        if let Phase::Pending { held, .. } = &mut self.phase {
            *held = self.seen;
        }
    }

    /// What was held back, where nothing is open that it would stand beside.
    pub fn take_held(&mut self) -> Option<Held> {
        if matches!(self.phase, Phase::Clear) { self.held.take() } else { None }
    }

    /// Whether its defect is there now and may explain others.
    pub fn is_present(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. } | Phase::Open(_))
    }

    /// Whether its defect is there, and not for long enough yet.
    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }

    /// Whether an incident is raised and goes on.
    pub fn is_raised(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// The raised incident, until it is cleared.
    pub fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) | Phase::Closing(open, _) => Some(open),
            Phase::Clear | Phase::Pending { .. } => None,
        }
    }

    /// Whether its detector sees it or an incident is open.
    pub fn is_seen(&self) -> bool {
        self.open().is_some() || self.seen.is_some_and(|seen| seen.presence == Presence::Present)
    }

    /// Goes on to `at`, with what was seen last. The caller then calls `raise`, `told` or `take`.
    pub fn step(&mut self, at: MediaTime, cover: Cover) -> Step {
        if let Cover::Raised(by) = cover {
            return self.step_hidden(at, by);
        }
        let Some(seen) = self.seen else { return Step::Rest };
        if let Some(often) = &mut self.often {
            often.note(at, seen.presence);
        }
        if cover == Cover::Candidate {
            // What may explain it may be nothing, as a pause in speech is: it is held back, and counts on.
            if self.open().is_none() {
                self.step_seen(at, &seen);
            }
            return Step::Rest;
        }
        self.step_seen(at, &seen)
    }

    fn step_seen(&mut self, at: MediaTime, seen: &Observation) -> Step {
        match seen.presence {
            Presence::Present => self.step_present(at, seen),
            Presence::Absent => self.step_absent(at, seen),
            Presence::Unclear => Step::Rest,
        }
    }

    fn step_present(&mut self, at: MediaTime, seen: &Observation) -> Step {
        match &mut self.phase {
            Phase::Clear => {
                let since = seen.since.unwrap_or(at);
                // Units of picture and sound come in no strict order: what hid it may have been later.
                let onset = self.hidden_until.map_or(since, |until| since.max(until)).min(at);
                self.phase = Phase::Pending { onset, held: None };
                self.raise_when_due(at, onset)
            }
            Phase::Pending { onset, .. } => {
                let onset = *onset;
                self.raise_when_due(at, onset)
            }
            Phase::Open(open) => open.look(at, seen),
            Phase::Closing(open, _) => {
                // It came back before it was cleared: the gap is part of the incident.
                self.phase = Phase::Open(open.clone());
                Step::Rest
            }
        }
    }

    fn step_absent(&mut self, at: MediaTime, seen: &Observation) -> Step {
        match &self.phase {
            Phase::Clear => Step::Rest,
            Phase::Pending { .. } => {
                self.give_up(seen.since.unwrap_or(at).min(at));
                Step::Rest
            }
            Phase::Open(open) => {
                let good = seen.since.unwrap_or(at).max(open.onset).min(at);
                self.phase = Phase::Closing(open.clone(), good);
                self.clear_when_due(at, good)
            }
            Phase::Closing(_, good) => self.clear_when_due(at, *good),
        }
    }

    fn step_hidden(&mut self, at: MediaTime, by: ClearedBy) -> Step {
        self.hidden_until = Some(at);
        self.often.iter_mut().for_each(Window::forget);
        match &self.phase {
            Phase::Pending { .. } => {
                self.forget();
                Step::Rest
            }
            Phase::Open(_) | Phase::Closing(..) => self.end(at, by),
            Phase::Clear => Step::Rest,
        }
    }

    /// How the incident ends when `by` ends it at `at`: what was good already had ended by itself.
    pub fn end(&self, at: MediaTime, by: ClearedBy) -> Step {
        match &self.phase {
            Phase::Open(open) => Step::Clear { end: at.max(open.onset), by },
            Phase::Closing(_, good) => Step::Clear { end: *good, by: ClearedBy::Recovered },
            Phase::Clear | Phase::Pending { .. } => Step::Rest,
        }
    }

    /// The source ended at `at`: what is held back and there has ended too.
    pub fn end_held(&mut self, at: MediaTime) {
        if matches!(self.phase, Phase::Pending { .. }) {
            self.give_up(at);
        }
    }

    fn raise_when_due(&self, at: MediaTime, onset: MediaTime) -> Step {
        if at.since(onset) >= self.hold.raise_after {
            return Step::Raise { onset };
        }
        match self.often.as_ref().and_then(|often| often.reached(at)) {
            Some(since) => {
                let since = self.hidden_until.map_or(since, |until| since.max(until));
                Step::Raise { onset: since.min(onset).min(at) }
            }
            None => Step::Rest,
        }
    }

    /// It ended at `end` without having been raised.
    fn give_up(&mut self, end: MediaTime) {
        if let Phase::Pending { onset, held: Some(last) } = &self.phase {
            Held::add(&mut self.held, *onset, end, *last);
        }
        self.forget();
    }

    /// A line that flaps stays raised until it has earned the next raise, so that its coming and going is one incident.
    fn clear_when_due(&self, at: MediaTime, good: MediaTime) -> Step {
        // What comes and goes is not over in a pause.
        let often = self.often.as_ref().is_some_and(|often| often.reached(at).is_some());
        let owed = self.earned_at.map_or(Duration::ZERO, |earned_at| earned_at.since(at));
        if !often && at.since(good) >= self.hold.clear_after && owed <= RAISE_EARNED * (RAISES - 1) {
            Step::Clear { end: good, by: ClearedBy::Recovered }
        } else {
            Step::Rest
        }
    }

    /// Is raised, as `id`. Nothing happens unless its detector has spoken.
    pub fn raise(&mut self, id: IncidentId, at: MediaTime, onset: MediaTime) {
        let Some(last) = self.seen else { return };
        self.earned_at = Some(self.earned_at.map_or(at, |earned_at| earned_at.max(at)).plus(RAISE_EARNED));
        self.phase = Phase::Open(Open {
            id,
            onset,
            quiet_until: at.plus(FIRST_UPDATE),
            severity: last.severity,
            told: last.severity,
            reach: reach(&last),
            last,
        });
    }

    /// Nothing is wrong, and nothing was.
    pub fn forget(&mut self) {
        self.phase = Phase::Clear;
        self.masked = [false; Defect::ALL.len()];
    }

    /// Is cleared: hands out what was open.
    pub fn take(&mut self) -> Option<Open> {
        self.often.iter_mut().for_each(Window::forget);
        match std::mem::replace(&mut self.phase, Phase::Clear) {
            Phase::Open(open) | Phase::Closing(open, _) => Some(open),
            Phase::Clear | Phase::Pending { .. } => None,
        }
    }
}

impl Open {
    /// Notes what is seen while it is open, and whether it is worth telling: it is when it gets worse, never when it
    /// gets better, for the worst is what an incident is judged by.
    fn look(&mut self, at: MediaTime, seen: &Observation) -> Step {
        self.last = *seen;
        self.severity = self.severity.max(seen.severity);
        // Worse for a moment is told too, once it is time.
        let worse = self.severity > self.told;
        let wider = self.reach > 0.0 && reach(seen) >= self.reach * REACH_FACTOR;
        if !(worse || wider) || at < self.quiet_until {
            return Step::Rest;
        }
        self.quiet_until = at.plus(UPDATE_EVERY);
        self.told = self.severity;
        self.reach = self.reach.max(reach(seen));
        Step::Update
    }
}

/// Share of the picture or of the time that is bad, %; 0 where the measure is no share, or is held against a least.
fn reach(seen: &Observation) -> f64 {
    if seen.unit == "%" && seen.value >= seen.threshold { seen.value } else { 0.0 }
}
