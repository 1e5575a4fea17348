//! A source that is paired with the one before its encoder: readings, and whose doing a defect is.

use crate::alert::{Alert, Transition};
use crate::detect::{AvSync, Defect, SyncBy, SyncOffset};
use crate::health::PairStatus;
use crate::ids::SourceId;
use crate::pair::{Blame, Block, Fault, Pair, Pictures, Reading};
use crate::time::{MediaTime, Mono, Stamp};
use std::collections::VecDeque;
use std::time::Duration;

/// An alert waits this long for what the input showed: its fingerprint comes a second at a time.
const WAIT: Duration = Duration::from_millis(2_500);
/// An input of which a fingerprint came within this time goes on.
const GOES_ON: Duration = Duration::from_secs(3);

/// The input of one source.
#[derive(Debug)]
pub(super) struct Pairing {
    with: SourceId,
    pair: Pair,
    /// When the input's last fingerprint came that had pictures, and that had sound, where it ever had.
    heard: [Option<Mono>; 2],
    last: Option<Reading>,
    pictures: Pictures,
    /// Alerts that wait, in order, with the time until which they do.
    waiting: VecDeque<(MediaTime, Alert)>,
}

impl Pairing {
    pub fn new(with: SourceId) -> Self {
        let (pair, pictures) = (Pair::live(), Pictures::default());
        Self { with, pair, heard: [None; 2], last: None, pictures, waiting: VecDeque::new() }
    }

    /// Takes a second of the input.
    pub fn input(&mut self, block: &Block, now: Mono) {
        for (heard, has) in self.heard.iter_mut().zip([!block.pictures.is_empty(), !block.sounds.is_empty()]) {
            if has {
                *heard = Some(now);
            }
        }
        self.pair.input(block);
    }

    /// Takes a second of this source, and tells its detector of the offset.
    pub fn output(&mut self, block: &Block, sync: &mut AvSync) {
        let Some(reading) = self.pair.output(block) else { return };
        self.pictures += reading.pictures;
        self.last = Some(reading);
        let offset = self.pair.steady().map(|steady| SyncOffset {
            ms: steady.offset_ms,
            within_ms: steady.within_ms,
            confidence: steady.confidence,
            since: steady.since,
            at: steady.at,
        });
        sync.take(SyncBy::Pair, offset);
    }

    /// How both compare.
    pub fn status(&self) -> PairStatus {
        let last = self.last;
        PairStatus {
            with: self.with.clone(),
            latency_ms: last.and_then(|last| last.latency_ms),
            offset_ms: last.and_then(|last| last.offset_ms),
            within_ms: last.and_then(|last| last.within_ms),
            level_db: last.and_then(|last| last.level_db),
            quality: last.and_then(|last| last.quality),
            missing: u64::from(self.pictures.missing),
            repeated: (self.pictures.followed > 0).then_some(u64::from(self.pictures.repeated)),
            no_picture: last.and_then(|last| last.picture.err()).map(crate::pair::Silence::name),
            no_sound: last.and_then(|last| last.sound.err()).map(crate::pair::Silence::name),
        }
    }

    /// Takes alerts from `from` on, and gives those back of which is known whose doing they are, or that have waited.
    pub fn pass(&mut self, now: Stamp, alerts: &mut Vec<Alert>, from: usize) {
        let until = now.at.plus(WAIT);
        self.waiting.extend(alerts.drain(from..).map(|alert| (until, alert)));
        while let Some((until, alert)) = self.waiting.front() {
            let (asked, due) = (self.asked(alert), now.at >= *until);
            let blame = asked.then(|| self.blame(alert, now)).flatten();
            if asked && blame.is_none() && !due {
                return;
            }
            let Some((_, mut alert)) = self.waiting.pop_front() else { return };
            self.name(&mut alert, blame);
            alerts.push(alert);
        }
    }

    /// Gives all back that waits.
    pub fn finish(&mut self, now: Stamp, alerts: &mut Vec<Alert>) {
        while let Some((_, mut alert)) = self.waiting.pop_front() {
            let blame = if self.asked(&alert) { self.blame(&alert, now) } else { None };
            self.name(&mut alert, blame);
            alerts.push(alert);
        }
    }

    /// Whether the input can say something of it.
    fn asked(&self, alert: &Alert) -> bool {
        let open = !matches!(alert.transition, Transition::Cleared { .. });
        open && (alert.defect == Defect::StreamLoss || (fault(alert.defect).is_some() && self.pair.lag_ms().is_some()))
    }

    fn blame(&self, alert: &Alert, now: Stamp) -> Option<Blame> {
        if alert.defect == Defect::StreamLoss {
            // Of which part is not asked: an input that lost one itself says nothing.
            let mut heard = self.heard.iter().flatten().peekable();
            let goes_on = heard.peek().is_some() && heard.all(|heard| now.arrived.since(*heard) < GOES_ON);
            return goes_on.then_some(Blame::Encoder);
        }
        self.pair.blame(fault(alert.defect)?, alert.onset, alert.at.at)
    }

    fn name(&self, alert: &mut Alert, blame: Option<Blame>) {
        match blame {
            Some(Blame::Encoder) => {
                alert.text.push_str(&format!(
                    "; its input {} {}: the encoder's doing",
                    self.with,
                    goes_on(alert.defect)
                ));
            }
            Some(Blame::Input) => {
                alert.text.push_str(&format!("; its input {} has it too: not the encoder's doing", self.with));
            }
            None => {}
        }
    }
}

/// What to look for in the input.
fn fault(defect: Defect) -> Option<Fault> {
    match defect {
        Defect::Freeze | Defect::SolidColour => Some(Fault::Still),
        Defect::Black => Some(Fault::Dark),
        Defect::FrameDrop => Some(Fault::Stumbles),
        Defect::Silence => Some(Fault::Silent),
        _ => None,
    }
}

fn goes_on(defect: Defect) -> &'static str {
    match defect {
        Defect::Freeze | Defect::SolidColour => "moves on",
        Defect::Black => "is lit",
        Defect::FrameDrop => "has all pictures",
        Defect::Silence => "has sound",
        _ => "goes on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::ClearedBy;
    use crate::detect::Severity;
    use crate::ids::{DeviceId, IncidentIds, StartCount};
    use crate::pair::{PicturePrint, SLICES, SoundPrint};

    fn source(name: &str) -> SourceId {
        SourceId::new(name).expect("well formed")
    }

    fn at(seconds: i64) -> Stamp {
        Stamp { at: MediaTime(seconds * 1_000_000_000), arrived: Mono(seconds as u64 * 1_000_000_000) }
    }

    fn alert(defect: Defect, transition: Transition) -> Alert {
        Alert {
            id: IncidentIds::new(&DeviceId::offline(), StartCount(1), &source("out")).next_id(),
            source: source("out"),
            defect,
            transition,
            severity: Severity::Major,
            at: at(10),
            onset: at(9).at,
            value: 1.0,
            threshold: 1.0,
            unit: "s",
            confidence: None,
            region: None,
            text: "it fails".to_owned(),
            masks: Vec::new(),
            evidence: None,
        }
    }

    #[test]
    fn a_lost_output_whose_input_goes_on_is_the_encoders_doing() {
        let mut pairing = Pairing::new(source("in"));
        let part = |pictures: usize, sounds: usize| Block {
            pictures: vec![PicturePrint::default(); pictures],
            sounds: vec![SoundPrint { at: MediaTime(0), levels: [0; SLICES] }; sounds],
            ..Block::default()
        };
        pairing.input(&part(25, 10), at(9).arrived);
        let mut alerts = vec![alert(Defect::StreamLoss, Transition::Raised)];
        pairing.pass(at(10), &mut alerts, 0);
        assert_eq!(alerts[0].text, "it fails; its input in goes on: the encoder's doing");
        // The input has no picture either.
        pairing.input(&part(0, 10), at(14).arrived);
        let mut alerts = vec![alert(Defect::StreamLoss, Transition::Raised)];
        pairing.pass(at(15), &mut alerts, 0);
        pairing.finish(at(18), &mut alerts);
        assert_eq!(alerts[0].text, "it fails");
    }

    #[test]
    fn alerts_wait_in_order_and_none_is_kept() {
        let mut pairing = Pairing::new(source("in"));
        let cleared = Transition::Cleared { end: at(10).at, by: ClearedBy::Recovered };
        // Nothing came of the input, so nothing is known of it.
        let mut alerts = vec![alert(Defect::StreamLoss, Transition::Raised), alert(Defect::Clipping, cleared)];
        pairing.pass(at(10), &mut alerts, 0);
        assert!(alerts.is_empty());
        pairing.pass(at(12), &mut alerts, 0);
        assert!(alerts.is_empty());
        pairing.pass(at(13), &mut alerts, 0);
        assert_eq!(alerts.iter().map(|alert| alert.defect).collect::<Vec<_>>(), [Defect::StreamLoss, Defect::Clipping]);
        assert_eq!(alerts[0].text, "it fails");
        let mut last = vec![alert(Defect::StreamLoss, Transition::Raised)];
        pairing.pass(at(20), &mut last, 0);
        pairing.finish(at(20), &mut last);
        assert_eq!(last.len(), 1);
    }
}
