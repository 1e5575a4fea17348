//! One unit through all stages of one source.

use crate::alert::{Alert, ClearedBy, Incidents};
use crate::detect::{Detectors, Observations};
use crate::features::{AudioAnalyzer, TransportFeatures, TransportTracker, VideoAnalyzer};
use crate::frame::{AudioBlock, Frame};
use crate::health::{Signal, SourceStatus};
use crate::ids::{IncidentIds, SourceId};
use crate::kernels::Kernels;
use crate::source::Unit;
use crate::time::Stamp;

/// What leaves a source's thread: small, and never a frame.
#[derive(Clone, Debug)]
pub enum Report {
    /// News of an incident.
    Alert(Box<Alert>),
    /// How the source is doing.
    Status(SourceId, Box<SourceStatus>),
}

/// How a pipeline is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which source.
    pub source: SourceId,
    /// What is watched.
    pub incidents: crate::alert::Settings,
    /// The kernels to use.
    pub kernels: Kernels,
    /// Whether alerts carry pictures.
    pub evidence: bool,
}

/// The stages of one source.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    video: VideoAnalyzer,
    audio: AudioAnalyzer,
    transport: TransportTracker,
    detectors: Detectors,
    incidents: Incidents,
    status: SourceStatus,
    now: Stamp,
}

impl Pipeline {
    /// Ready for the first unit.
    pub fn new(settings: Settings, ids: IncidentIds) -> Self {
        let incidents = Incidents::new(settings.source.clone(), ids, &settings.incidents);
        Self {
            video: VideoAnalyzer::new(settings.kernels),
            audio: AudioAnalyzer::default(),
            transport: TransportTracker::default(),
            detectors: Detectors::default(),
            incidents,
            status: SourceStatus::default(),
            now: Stamp::default(),
            settings,
        }
    }

    /// How the source is doing.
    pub fn status(&self) -> &SourceStatus {
        &self.status
    }

    /// Takes `unit` through all stages and appends what is news.
    pub fn step(&mut self, unit: Unit, alerts: &mut Vec<Alert>) {
        match unit {
            Unit::Video(frame) => self.picture(frame, alerts),
            Unit::Audio(block) => self.sound(&block, alerts),
            Unit::Idle(stamp) => {
                let features = self.transport.idle(stamp);
                self.arrived(&features, alerts);
            }
            Unit::Lost { stamp, reason } => {
                self.status.signal = Signal::Lost;
                self.status.reason = Some(reason);
                let features = self.transport.lost(stamp);
                self.arrived(&features, alerts);
            }
            Unit::Opened { stamp, format, video, audio } => {
                self.status.format = Some(format);
                self.video.restart();
                let features = self.transport.opened(stamp, video, audio);
                self.arrived(&features, alerts);
            }
            Unit::End => self.incidents.finish(self.now, ClearedBy::EndOfInput, alerts),
        }
    }

    fn picture(&mut self, frame: Frame, alerts: &mut Vec<Alert>) {
        self.status.frames += 1;
        self.status.errors += u64::from(frame.info.decode.any());
        self.came();
        let features = self.transport.picture(&frame);
        self.arrived(&features, alerts);
        let features = self.video.analyze(frame);
        let (black, white) = features.range.black_white();
        let span = f64::from(white) - f64::from(black);
        self.status.luma_mean = Some((features.luma_mean - f64::from(black)) / span);
        let mut said = Observations::new();
        self.detectors.video(features, &mut said);
        self.incidents.update(features.stamp, &said, alerts);
    }

    fn sound(&mut self, block: &AudioBlock, alerts: &mut Vec<Alert>) {
        self.came();
        let features = self.transport.sound(block);
        self.arrived(&features, alerts);
        let Self { audio, detectors, incidents, status, .. } = self;
        audio.analyze(block, |features| {
            status.rms_dbfs = Some(features.loudest_dbfs());
            let mut said = Observations::new();
            detectors.audio(features, &mut said);
            let stamp = Stamp { at: features.end, arrived: features.stamp.arrived };
            incidents.update(stamp, &said, alerts);
        });
    }

    fn arrived(&mut self, features: &TransportFeatures, alerts: &mut Vec<Alert>) {
        self.now = features.stamp;
        let mut said = Observations::new();
        self.detectors.transport(features, &mut said);
        self.incidents.update(features.stamp, &said, alerts);
    }

    fn came(&mut self) {
        self.status.signal = Signal::Up;
        self.status.reason = None;
    }
}
