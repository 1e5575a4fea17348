//! A new pair is tried: it stays when the broker accepts it. Whether a failure is the certificate's or the network's fault
//! shows when the pair before is accepted in the same minute. A state machine without files or clocks.

use crate::time::Mono;
use std::time::Duration;

/// Failures of the new pair in a row before the one before is tried: one alone may be chance.
const FAILURES_MAX: u32 = 2;

/// With which pair to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The one that is on trial.
    Next,
    /// The one before.
    Current,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker took it.
    Accepted,
    /// It did not; why.
    Refused(String),
}

/// A trial under way.
#[derive(Clone, Debug)]
pub struct Trial {
    until: Option<Mono>,
    using: Use,
    failures: u32,
    reason: Option<String>,
}

impl Trial {
    /// Begins with the new pair; ends `within` that time, or when there is an answer.
    pub fn begin(now: Mono, within: Option<Duration>) -> Self {
        Self { until: within.map(|within| now.plus(within)), using: Use::Next, failures: 0, reason: None }
    }

    /// With which pair to connect next.
    pub fn using(&self) -> Use {
        self.using
    }

    /// No connection came about, or it ended.
    pub fn failed(&mut self, reason: &str) {
        match self.using {
            Use::Next => {
                self.failures += 1;
                self.reason = Some(reason.to_owned());
                if self.failures >= FAILURES_MAX {
                    self.using = Use::Current;
                }
            }
            // Neither works: the network's fault, as far as anybody knows.
            Use::Current => {
                self.failures = 0;
                self.using = Use::Next;
            }
        }
    }

    /// The broker accepted a connection with this pair. A current one that stood from before says nothing.
    pub fn accepted(&self, with: Use) -> Option<Outcome> {
        match with {
            Use::Next => Some(Outcome::Accepted),
            Use::Current if self.using == Use::Current => {
                let reason = self.reason.as_deref().unwrap_or("no answer");
                Some(Outcome::Refused(format!("the broker did not accept it: {reason}")))
            }
            Use::Current => None,
        }
    }

    /// Whether its time is over.
    pub fn overdue(&self, now: Mono) -> Option<Outcome> {
        self.until.filter(|until| now >= *until)?;
        let reason = self.reason.as_deref().unwrap_or("no answer");
        Some(Outcome::Refused(format!("the broker did not accept it in time: {reason}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Option<Duration> = Some(Duration::from_secs(300));

    #[test]
    fn what_the_broker_accepts_stays() {
        let mut trial = Trial::begin(Mono(0), WITHIN);
        assert_eq!((trial.using(), trial.accepted(Use::Next)), (Use::Next, Some(Outcome::Accepted)));
        // One failure is chance.
        trial.failed("reset");
        assert_eq!((trial.using(), trial.accepted(Use::Current)), (Use::Next, None));
        assert_eq!(trial.accepted(Use::Next), Some(Outcome::Accepted));
    }

    #[test]
    fn what_fails_while_the_one_before_works_is_refused() {
        let mut trial = Trial::begin(Mono(0), WITHIN);
        trial.failed("alert: unknown CA");
        trial.failed("alert: unknown CA");
        assert_eq!(trial.using(), Use::Current);
        let refused = "the broker did not accept it: alert: unknown CA".to_owned();
        assert_eq!(trial.accepted(Use::Current), Some(Outcome::Refused(refused)));
    }

    #[test]
    fn a_network_that_is_away_is_no_answer_before_the_time_is_over() {
        let mut trial = Trial::begin(Mono(0), WITHIN);
        let mut used = Vec::new();
        for _ in 0..7 {
            used.push(trial.using());
            trial.failed("no route");
        }
        assert_eq!(used, [Use::Next, Use::Next, Use::Current, Use::Next, Use::Next, Use::Current, Use::Next]);
        assert_eq!(trial.overdue(Mono(0).plus(Duration::from_secs(299))), None);
        let late = "the broker did not accept it in time: no route".to_owned();
        assert_eq!(trial.overdue(Mono(0).plus(Duration::from_secs(300))), Some(Outcome::Refused(late)));
        assert_eq!(Trial::begin(Mono(0), None).overdue(Mono(u64::MAX)), None);
    }
}
