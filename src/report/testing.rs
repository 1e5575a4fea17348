//! Alerts for the tests of the report.

use crate::alert::{Alert, Evidence, Transition};
use crate::detect::{Defect, Region, Severity};
use crate::ids::{DeviceId, IncidentIds, SourceId, StartCount};
use crate::time::{MediaTime, Stamp};

/// A step of incident `number`, which began a second before `number`, decided at `at` seconds.
pub(super) fn alert(number: u64, severity: Severity, transition: Transition, at: u64) -> Alert {
    let source = SourceId::new("input").expect("well formed");
    // Each number has names of its own.
    let id = IncidentIds::new(&DeviceId::offline(), StartCount(number as u32), &source).next_id();
    Alert {
        id,
        source,
        defect: Defect::BlockCorruption,
        transition,
        severity,
        at: Stamp { at: MediaTime::from_secs_f64(at as f64), ..Stamp::default() },
        onset: MediaTime::from_secs_f64(number as f64),
        value: 4.0,
        threshold: 0.4,
        unit: "%",
        confidence: Some(0.9),
        region: Some(Region { x: 16, y: 32, w: 64, h: 48 }),
        text: "blocks are broken <here> & there".to_owned(),
        masks: vec![Defect::Freeze],
        evidence: Some(Evidence { jpeg: vec![0xff, 0xd8, 0xff], sha256: String::new() }),
    }
}
