//! One unit through all stages of one source.

mod pairing;

use crate::alert::{Alert, ClearedBy, Evidence, Incidents, Transition};
use crate::budget::Effort;
use crate::detect::{Defect, Detectors, Observation, Observations, Presence};
use crate::evidence::{self, Heat, Past, Shown};
use crate::features::{AudioAnalyzer, Depth, TransportFeatures, TransportTracker, VideoAnalyzer, VideoFeatures};
use crate::frame::{AudioBlock, Frame, Part};
use crate::health::{Coverage, Expected, Rate, Signal, SourceStatus};
use crate::ids::{IncidentIds, SourceId};
use crate::kernels::Kernels;
use crate::pair::{Block, Sampler};
use crate::source::Unit;
use crate::tape::Recorder;
use crate::time::{Mono, Stamp, Wall};
use crate::wire::{OpenIncident, SourceState};
use pairing::Pairing;
use std::time::Duration;

/// Pictures in a row that are looked at in full because a detector doubts, enough to decide; after that every other one.
const DOUBTED_MAX: u32 = 25;

/// What is judged so long after it came is late: live alerts should be about now.
const LATE: Duration = Duration::from_secs(1);

/// How a pipeline is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which source.
    pub source: SourceId,
    /// What is watched.
    pub incidents: crate::alert::Settings,
    /// What can be set of detectors.
    pub detect: crate::detect::Settings,
    /// The kernels to use.
    pub kernels: Kernels,
    /// Whether alerts carry pictures.
    pub evidence: bool,
}

/// The stages of one source.
#[derive(Debug)]
pub struct Pipeline {
    evidence: bool,
    video: VideoAnalyzer,
    audio: AudioAnalyzer,
    transport: TransportTracker,
    detectors: Detectors,
    incidents: Incidents,
    status: SourceStatus,
    /// Why nothing comes of a part, by [`Part`].
    lost: [Option<String>; 3],
    rate: Rate,
    expected: Expected,
    coverage: Coverage,
    effort: Effort,
    /// Pictures that were looked at in full because of a doubt, less those that were not.
    doubted: u32,
    /// For evidence: what was before, and where damage was.
    past: Past,
    heat: Heat,
    /// Where what is said is written down.
    tape: Option<Recorder>,
    /// Makes fingerprints, where they are wanted; those that nobody took yet.
    sampler: Option<Sampler>,
    blocks: Vec<Block>,
    /// The source before the encoder.
    pairing: Option<Pairing>,
    /// Wall clock less arrival, ms.
    clock: Option<i64>,
    /// What the detectors said of the last unit, and of which moment.
    said: Vec<(Stamp, Observation)>,
    now: Stamp,
    /// Nothing comes.
    stalled: bool,
}

impl Pipeline {
    /// Ready for the first unit.
    pub fn new(settings: Settings, ids: IncidentIds) -> Self {
        Self {
            evidence: settings.evidence,
            video: VideoAnalyzer::new(settings.kernels),
            audio: AudioAnalyzer::default(),
            transport: TransportTracker::default(),
            detectors: Detectors::new(settings.detect),
            incidents: Incidents::new(settings.source, ids, &settings.incidents),
            status: SourceStatus::default(),
            lost: Default::default(),
            rate: Rate::default(),
            expected: Expected::default(),
            coverage: Coverage::default(),
            effort: Effort::FULL,
            doubted: 0,
            past: Past::default(),
            heat: Heat::default(),
            tape: None,
            sampler: None,
            blocks: Vec::new(),
            pairing: None,
            clock: None,
            said: Vec::new(),
            now: Stamp::default(),
            stalled: false,
        }
    }

    /// How the source is doing.
    pub fn status(&self) -> &SourceStatus {
        &self.status
    }

    /// How the source is doing and what is wrong with it.
    pub fn state(&self) -> SourceState {
        let open = self.incidents.open();
        SourceState {
            status: self.status.clone(),
            effort: Default::default(),
            candidates: self.incidents.candidates().collect(),
            muted_until: None,
            acked: Default::default(),
            open: open.map(|(id, defect, severity)| OpenIncident { id: id.clone(), defect, severity }).collect(),
        }
    }

    /// What each detector said last, of this unit or an earlier one.
    pub fn measures(&self) -> Vec<Observation> {
        self.incidents.said().copied().collect()
    }

    /// A picture of now, where there is one.
    pub fn snapshot(&self) -> Option<Evidence> {
        let frame = self.video.last_picture().filter(|_| self.status.signal == Signal::Up)?;
        evidence::picture(frame, Shown::default())
    }

    /// How closely pictures are looked at from now on.
    pub fn set_effort(&mut self, effort: Effort) {
        self.effort = effort;
    }

    /// Writes down from now on what the detectors say.
    pub fn record(&mut self, tape: Recorder) {
        self.tape = Some(tape);
    }

    /// The last unit was judged so long after it came.
    pub fn waited(&mut self, lag: Duration) {
        self.status.late += u64::from(lag >= LATE);
    }

    /// Makes fingerprints from now on, to be taken with [`Pipeline::blocks`].
    pub fn fingerprint(&mut self) {
        self.sampler.get_or_insert_default();
    }

    /// Makes no more fingerprints, unless this source is paired.
    pub fn end_fingerprint(&mut self) {
        if self.pairing.is_none() {
            self.sampler = None;
        }
    }

    /// Compares this source with `with`, which shows the same before the encoder.
    pub fn pair_with(&mut self, with: SourceId) {
        self.fingerprint();
        self.pairing = Some(Pairing::new(with));
    }

    /// Takes a second of the source that this one is paired with.
    pub fn input_block(&mut self, block: &Block) {
        if let Some(pairing) = &mut self.pairing {
            pairing.input(block, self.now.arrived);
        }
    }

    /// Fingerprints that are new.
    pub fn blocks(&mut self) -> std::vec::Drain<'_, Block> {
        self.blocks.drain(..)
    }

    /// A second is complete.
    fn sampled(&mut self, block: Block) {
        if let Some(pairing) = &mut self.pairing {
            pairing.output(&block, self.detectors.sync());
            self.status.pair = Some(pairing.status());
        }
        self.blocks.push(block);
    }

    /// What the clocks say, both at the same moment. Hours of the day count only where the clock is trusted.
    pub fn set_clock(&mut self, wall: Wall, mono: Mono) {
        let clock = wall.synced.then(|| wall.unix_ms - mono.as_ms() as i64);
        // Two clocks are never read at the same moment quite.
        if self.clock.zip(clock).is_some_and(|(old, new)| old.abs_diff(new) < 1000) {
            return;
        }
        self.clock = clock;
        self.incidents.set_clock(clock);
        if let Some(tape) = &mut self.tape {
            tape.clock(clock);
        }
    }

    /// Place of the last unit.
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// What the detectors said of the last unit, in order of time.
    pub fn said(&self) -> &[(Stamp, Observation)] {
        &self.said
    }

    /// What was measured of the last picture that was looked at.
    pub fn features(&self) -> &VideoFeatures {
        self.video.features()
    }

    /// Takes `unit` through all stages and appends what is news.
    pub fn step(&mut self, unit: Unit, alerts: &mut Vec<Alert>) {
        let (before, ends) = (alerts.len(), matches!(unit, Unit::End));
        self.said.clear();
        match unit {
            Unit::Video(frame) => self.picture(frame, alerts),
            Unit::Audio(block) => self.sound(&block, alerts),
            Unit::Passed(stamp) => {
                self.counted(stamp, false);
                let features = self.transport.passed(stamp);
                self.arrived(&features, alerts);
            }
            Unit::Jump(stamp, jump) => {
                let features = self.transport.jumped(stamp, jump);
                self.arrived(&features, alerts);
            }
            Unit::Idle(stamp) => {
                self.status.fps = self.rate.idle(stamp.at);
                let features = self.transport.idle(stamp);
                self.arrived(&features, alerts);
            }
            Unit::Lost { stamp, part, loss, reason } => {
                self.lost(part, reason);
                let features = self.transport.lost(stamp, part, loss);
                self.arrived(&features, alerts);
            }
            Unit::Opened { stamp, format, video, audio } => {
                self.status.reconnects += u64::from(self.status.format.is_some());
                self.status.format = Some(format);
                self.status.fps_expected = None;
                self.expected.restart();
                self.video.restart();
                self.past.restart();
                let features = self.transport.opened(stamp, video, audio);
                self.arrived(&features, alerts);
            }
            Unit::Format(format) => self.status.format = Some(format),
            Unit::End => self.finish(ClearedBy::EndOfInput, alerts),
        }
        if self.evidence {
            self.attach_pictures(&mut alerts[before..]);
        }
        // At the end nothing waits any more.
        if let Some(pairing) = self.pairing.as_mut().filter(|_| !ends) {
            pairing.pass(self.now, alerts, before);
        }
    }

    /// Ends what is open, because the daemon stops watching. Nothing is known of it from here on.
    pub fn stop(&mut self, alerts: &mut Vec<Alert>) {
        self.finish(ClearedBy::Restart, alerts);
    }

    fn finish(&mut self, by: ClearedBy, alerts: &mut Vec<Alert>) {
        if let Some(block) = self.sampler.as_mut().and_then(Sampler::finish) {
            self.sampled(block);
        }
        if let Some(pairing) = &mut self.pairing {
            pairing.finish(self.now, alerts);
        }
        self.incidents.finish(self.now, by, alerts);
        let SourceStatus { frames, looked_at, errors, format, .. } = &self.status;
        if let Some(tape) = &mut self.tape {
            tape.finish(self.now, by, [*frames, *looked_at, *errors], format.as_deref().unwrap_or_default());
        }
    }

    /// The incident engine and the tape get what was said of one unit.
    fn judge(&mut self, at: Stamp, said: &Observations, alerts: &mut Vec<Alert>) {
        self.incidents.update(at, said, alerts);
        if let Some(tape) = &mut self.tape {
            tape.said(at, said);
        }
        note(&mut self.said, at, said);
    }

    /// Nobody watches for a while: what is open ends, and no picture is held.
    pub fn suspend(&mut self, alerts: &mut Vec<Alert>) {
        self.stop(alerts);
        self.video.restart();
        self.past.restart();
        self.status.signal = Signal::Connecting;
        (self.status.fps, self.status.coverage) = (0.0, 0.0);
    }

    fn picture(&mut self, frame: Frame, alerts: &mut Vec<Alert>) {
        let Effort { every, full_every, .. } = self.effort;
        let told = frame.info.decode.any();
        self.status.errors += u64::from(told);
        // What the decoder complains of is looked at, whatever else is left out.
        let looked = told || self.status.frames.is_multiple_of(u64::from(every));
        self.counted(frame.stamp, looked);
        let features = self.transport.picture(&frame);
        self.arrived(&features, alerts);
        if !looked {
            return;
        }
        // A doubt is cleared up at once, but a programme that always looks doubtful must not cost all the time.
        let doubted = self.detectors.want_full() && self.doubted < DOUBTED_MAX;
        self.doubted = if doubted { self.doubted + 1 } else { self.doubted.saturating_sub(1) };
        let full = told || doubted || self.status.looked_at.is_multiple_of(u64::from(full_every));
        self.status.looked_at += 1;
        let features = self.video.look(frame, if full { Depth::Full } else { Depth::Light });
        let (black, white) = features.range.black_white();
        let span = f64::from(white) - f64::from(black);
        self.status.luma_mean = Some((features.luma_mean - f64::from(black)) / span);
        let block = self.sampler.as_mut().and_then(|sampler| sampler.picture(features));
        let mut said = Observations::new();
        self.detectors.video(features, &mut said);
        let (stamp, full) = (features.stamp, features.depth == Depth::Full);
        self.judge(stamp, &said, alerts);
        self.status.offset_ms = self.detectors.sync().lined_up().map(|offset| offset.ms);
        if let Some(block) = block {
            self.sampled(block);
        }
        if self.evidence && full {
            self.remember();
        }
    }

    /// Keeps what pictures of alerts to come will show besides their moment.
    fn remember(&mut self) {
        if self.incidents.is_seen(Defect::BlockCorruption) {
            self.heat.note(self.detectors.flagged_cells());
        } else {
            self.heat.forget();
        }
        // While something is about to be raised, the copies stay those from before it.
        if let Some(frame) = self.video.last_picture().filter(|_| !self.incidents.is_pending()) {
            self.past.take(frame);
        }
    }

    fn sound(&mut self, block: &AudioBlock, alerts: &mut Vec<Alert>) {
        self.came(Part::Sound);
        let features = self.transport.sound(block);
        self.arrived(&features, alerts);
        let Self { audio, detectors, incidents, status, said: all, tape, sampler, .. } = self;
        let mut sampled = Vec::new();
        audio.analyze(block, |features| {
            sampled.extend(sampler.as_mut().and_then(|sampler| sampler.sound(features)));
            status.rms_dbfs = Some(features.loudest_dbfs());
            let loudness = features.loudness;
            status.loudness = Some([loudness.momentary, loudness.short_term, loudness.integrated]);
            status.true_peak_dbtp = Some(loudness.true_peak_dbtp);
            let mut said = Observations::new();
            detectors.audio(features, &mut said);
            let stamp = Stamp { at: features.end, arrived: features.stamp.arrived };
            incidents.update(stamp, &said, alerts);
            if let Some(tape) = tape {
                tape.said(stamp, &said);
            }
            note(all, stamp, &said);
        });
        sampled.into_iter().for_each(|block| self.sampled(block));
    }

    fn arrived(&mut self, features: &TransportFeatures, alerts: &mut Vec<Alert>) {
        self.now = features.stamp;
        let mut said = Observations::new();
        self.detectors.transport(features, &mut said);
        (self.status.dropped, self.status.repeated) = self.detectors.lost_pictures();
        let loss = said.iter().find(|said| said.defect == Defect::StreamLoss).map(|said| said.presence);
        if let Some(presence @ (Presence::Present | Presence::Absent)) = loss {
            let stalled = presence == Presence::Present;
            self.status.stalls += u64::from(stalled && !self.stalled);
            self.stalled = stalled;
        }
        let clocks = self.detectors.sync().clocks();
        self.status.skew_ms = clocks.map(|clocks| clocks.skew_ms);
        self.status.drift_ppm = clocks.and_then(|clocks| clocks.drift_ppm);
        self.judge(features.stamp, &said, alerts);
    }

    /// A picture came.
    fn counted(&mut self, stamp: Stamp, looked: bool) {
        self.status.frames += 1;
        self.status.fps = self.rate.picture(stamp.at);
        self.status.fps_expected = self.expected.picture(stamp.at);
        self.coverage.picture(stamp.at, looked);
        self.status.coverage = self.coverage.share();
        if !looked {
            self.video.leave_out();
        }
        self.came(Part::Picture);
    }

    fn lost(&mut self, part: Part, reason: String) {
        self.lost[part as usize] = Some(reason);
        self.status.reason = self.lost.iter().flatten().next().cloned();
        if part != Part::Sound {
            self.status.signal = Signal::Lost;
            self.status.fps = 0.0;
        }
    }

    /// Something came of this part. A source without its picture is lost, whatever is heard of it.
    fn came(&mut self, part: Part) {
        (self.lost[Part::Programme as usize], self.lost[part as usize]) = (None, None);
        self.status.reason = self.lost.iter().flatten().next().cloned();
        if self.lost[Part::Picture as usize].is_none() {
            self.status.signal = Signal::Up;
        }
    }

    fn attach_pictures(&self, alerts: &mut [Alert]) {
        let Some(frame) = self.video.last_picture() else { return };
        for index in 0..alerts.len() {
            // What was held back is told when it is over: this picture does not show it.
            let id = &alerts[index].id;
            let over = alerts.iter().filter(|alert| alert.id == *id).count() > 1;
            let alert = &mut alerts[index];
            let open = !matches!(alert.transition, Transition::Cleared { .. });
            // Damage that nobody sees yet is no picture: the one that shows it comes with the change that tells it.
            let pictured = match (alert.defect, alert.transition) {
                (Defect::BlockCorruption, Transition::Raised | Transition::Updated) => alert.region.is_some(),
                (_, Transition::Updated) => false,
                (_, Transition::Raised | Transition::Cleared { .. }) => true,
            };
            let shown = match open {
                true => Shown {
                    region: alert.region,
                    before: self.past.before(alert.onset),
                    heat: if alert.defect == Defect::BlockCorruption { self.heat.cells() } else { &[] },
                },
                false => Shown::default(),
            };
            if pictured && !over {
                alert.evidence = evidence::picture(frame, shown);
            }
        }
    }
}

/// Notes what was said. Its room is kept from unit to unit.
fn note(all: &mut Vec<(Stamp, Observation)>, at: Stamp, said: &[Observation]) {
    all.extend(said.iter().map(|said| (at, *said)));
}
