//! Telling what is found: one line a step, then a summary.

use super::{Format, output};
use crate::alert::{Alert, Settings, Transition};
use crate::detect::{Defect, Severity};
use crate::health::Machine;
use crate::ids::{BootId, DeviceId};
use crate::wire::{self, Summary, Teller};
use std::collections::BTreeMap;
use std::path::Path;

/// What was told so far.
pub(super) struct Telling<'a> {
    format: Format,
    /// Where the pictures of incidents go.
    pictures: Option<&'a Path>,
    watched: Vec<Defect>,
    /// Events already told, for one JSON document at the end.
    told: Vec<Vec<u8>>,
    raised: BTreeMap<&'static str, u64>,
    worst: Option<Severity>,
    seq: u64,
}

impl<'a> Telling<'a> {
    /// Nothing told yet.
    pub fn new(format: Format, pictures: Option<&'a Path>, settings: &Settings) -> Self {
        let watched: Vec<Defect> = Defect::ALL.into_iter().filter(|&defect| settings.hold(defect).is_some()).collect();
        let raised = watched.iter().map(|defect| (defect.name(), 0)).collect();
        Self { format, pictures, watched, told: Vec::new(), raised, worst: None, seq: 0 }
    }

    /// The worst severity of all that was told.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// One step of an incident.
    pub fn tell(&mut self, alert: &Alert) {
        if alert.transition == Transition::Raised {
            *self.raised.entry(alert.defect.name()).or_default() += 1;
        }
        self.worst = self.worst.max(Some(alert.severity));
        self.seq += 1;
        let (device, boot) = (DeviceId::offline(), BootId::from_kernel("00000000"));
        let teller = Teller { device: &device, seq: self.seq, boot: &boot, clocks: None, topics: None };
        let body = wire::event(alert, &teller);
        match self.format {
            Format::Ndjson => output::print_json(&body),
            Format::Json => self.told.push(body),
            Format::Text => output::print(&line(alert)),
        }
        if let (Some(folder), Some(evidence)) = (self.pictures, &alert.evidence) {
            let state = match alert.transition {
                Transition::Raised => "raised",
                Transition::Updated => "updated",
                Transition::Cleared { .. } => "cleared",
            };
            let path = folder.join(format!("{}-{}-{state}.jpg", alert.id, alert.defect.name()));
            if let Err(error) = std::fs::write(&path, &evidence.jpeg) {
                output::complain(&format!("{}: {error}", path.display()));
            }
        }
    }

    /// The end.
    pub fn print_summary(&self, summary: Summary) {
        let summary = Summary {
            incidents: self.raised.clone(),
            peak_rss_bytes: Machine::new(Path::new("/"), Path::new("/")).peak_rss_bytes().unwrap_or(0),
            ..summary
        };
        let text = text_summary(&summary, &self.watched);
        let body = wire::summary(summary);
        match self.format {
            Format::Ndjson => output::print_json(&body),
            Format::Json => output::print_json(&wire::document(&self.told, &body)),
            Format::Text => output::print(&text),
        }
    }
}

/// One step for a person.
fn line(alert: &Alert) -> String {
    let (at, name, severity) = (alert.at.at.as_secs_f64(), alert.defect.name(), alert.severity.name());
    let (state, kind) = match alert.transition {
        Transition::Raised => ("raised", severity),
        Transition::Updated => ("updated", severity),
        Transition::Cleared { .. } => ("cleared", "cleared"),
    };
    let onset = alert.onset.as_secs_f64();
    let head = output::paint(&format!("{state:<8} {name:<16} {severity:<8}"), kind);
    format!("{at:9.2} s  {head} since {onset:.2} s: {}", alert.text)
}

fn text_summary(summary: &Summary, watched: &[Defect]) -> String {
    let found: Vec<String> = summary
        .incidents
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let found = if found.is_empty() { "nothing wrong".to_owned() } else { found.join(", ") };
    let names: Vec<&str> = watched.iter().map(|defect| defect.name()).collect();
    format!(
        "{}: {found}\n{}; {:.1} s, {} pictures, {} damaged; watched {}\n{:.1} s of time, {:.1} s of processor, {} MiB of memory at most, {} kernels",
        summary.input,
        summary.format,
        summary.duration_s,
        summary.frames,
        summary.decoder_errors,
        names.join(", "),
        summary.wall_s,
        summary.cpu_s,
        summary.peak_rss_bytes >> 20,
        summary.kernels,
    )
}
