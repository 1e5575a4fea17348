//! The page of `analyze --report`: what was found and measured, in one file that needs no other and no network.
//!
//! All is gathered while the input is read, in memory that does not grow with its length.

mod chart;
mod curve;
mod incidents;
mod page;
#[cfg(test)]
mod testing;
mod text;

use crate::alert::Alert;
use crate::detect::{Defect, Observation, Scope};
use crate::pipeline::Pipeline;
use crate::time::MediaTime;
use crate::wire::Summary;
use curve::{Curve, Track};
use incidents::Incidents;

/// Measures of one detector that are kept; it has one or two.
const TRACES_MAX: usize = 3;

/// Gathers what the page shows.
#[derive(Clone, Debug)]
pub struct Report {
    lanes: Vec<Lane>,
    measured: Measured,
    incidents: Incidents,
}

/// One detector.
#[derive(Clone, Debug)]
struct Lane {
    defect: Defect,
    track: Track,
    traces: Vec<Trace>,
}

/// What a detector decides by, and where the defect begins.
#[derive(Clone, Debug)]
struct Trace {
    unit: &'static str,
    value: Curve,
    limit: Curve,
}

/// What is measured of picture and sound, whatever detectors make of it.
#[derive(Clone, Debug, Default)]
struct Measured {
    /// % from black to white.
    luma: Curve,
    /// Mean difference to the picture before, code values.
    motion: Curve,
    /// Standard deviation, code values.
    noise: Curve,
    /// LUFS.
    momentary: Curve,
    /// LUFS.
    short_term: Curve,
    /// dBFS of the loudest channel.
    rms: Curve,
    /// dBTP.
    true_peak: Curve,
    /// LUFS of all, at the end.
    integrated: Option<f64>,
}

impl Report {
    /// Nothing seen yet of the `watched` defects.
    pub fn new(watched: &[Defect]) -> Self {
        let lane = |&defect| Lane { defect, track: Track::default(), traces: Vec::new() };
        Self {
            lanes: watched.iter().map(lane).collect(),
            measured: Measured::default(),
            incidents: Incidents::default(),
        }
    }

    /// Takes what `pipeline` measured and said of the unit that it took last.
    pub fn look(&mut self, pipeline: &Pipeline) {
        let said = pipeline.said();
        for (stamp, seen) in said {
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.defect == seen.defect) {
                lane.take(stamp.at, seen);
            }
        }
        let last = |scope| said.iter().rev().find(|(_, seen)| seen.defect.scope() == scope).map(|(stamp, _)| stamp.at);
        if let Some(at) = last(Scope::Picture) {
            self.measured.picture(at, pipeline);
        }
        if let Some(at) = last(Scope::Sound) {
            self.measured.sound(at, pipeline);
        }
    }

    /// Takes a step of an incident.
    pub fn tell(&mut self, alert: &Alert) {
        self.incidents.take(alert);
    }

    /// The whole page, the same for the same input: nothing of `summary` that depends on the machine is in it.
    pub fn page(&self, summary: &Summary) -> String {
        page::page(self, summary)
    }
}

impl Lane {
    fn take(&mut self, at: MediaTime, seen: &Observation) {
        self.track.add(at, seen.presence.into());
        // Without a unit nothing was measured.
        if seen.unit.is_empty() {
            return;
        }
        if !self.traces.iter().any(|trace| trace.unit == seen.unit) && self.traces.len() < TRACES_MAX {
            self.traces.push(Trace { unit: seen.unit, value: Curve::default(), limit: Curve::default() });
        }
        if let Some(trace) = self.traces.iter_mut().find(|trace| trace.unit == seen.unit) {
            trace.value.add(at, seen.value);
            trace.limit.add(at, seen.threshold);
        }
    }
}

impl Measured {
    fn picture(&mut self, at: MediaTime, pipeline: &Pipeline) {
        let features = pipeline.features();
        if let Some(luma) = pipeline.status().luma_mean {
            self.luma.add(at, luma * 100.0);
        }
        if !features.first {
            self.motion.add(at, features.sad_mean);
        }
        // At a cut all differs, and nothing of it is noise.
        if !features.first && !features.cut {
            self.noise.add(at, features.noise);
        }
    }

    fn sound(&mut self, at: MediaTime, pipeline: &Pipeline) {
        let status = pipeline.status();
        if let Some([momentary, short_term, integrated]) = status.loudness {
            self.momentary.add(at, momentary);
            self.short_term.add(at, short_term);
            self.integrated = Some(integrated);
        }
        self.rms.add(at, status.rms_dbfs.unwrap_or(f64::NAN));
        self.true_peak.add(at, status.true_peak_dbtp.unwrap_or(f64::NAN));
    }
}
