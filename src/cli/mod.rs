//! tmp
#![allow(clippy::print_stdout)]
use crate::alert::Transition;
use crate::ids::*;
use crate::kernels::Kernels;
use crate::pipeline::*;
use crate::source::*;
use std::sync::Arc;
/// tmp
pub fn tmp(path: &str) {
    let input: Input = path.parse().unwrap();
    let ctx = Context {
        clock: Arc::new(crate::time::SystemClock),
        stop: Arc::default(),
        seed: 1,
        reopen_after: std::time::Duration::from_secs(10),
    };
    let mut src = Source::open_offline(&input, &ctx).unwrap();
    let source = SourceId::new("input").unwrap();
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), &source);
    let mut p = Pipeline::new(
        Settings { source, incidents: crate::alert::Settings::default(), kernels: Kernels::detect(), evidence: false },
        ids,
    );
    let mut alerts = Vec::new();
    loop {
        let u = src.next_unit();
        let end = matches!(u, Unit::End);
        p.step(u, &mut alerts);
        for a in alerts.drain(..) {
            let (state, end, by) = match a.transition {
                Transition::Raised => ("raised", None, ""),
                Transition::Updated => ("updated", None, ""),
                Transition::Cleared { end, by } => ("cleared", Some(end), by.name()),
            };
            println!(
                "{}",
                serde_json::json!({"type":"incident","defect":a.defect.name(),"state":state,"id":a.id.as_str(),"at_s":a.at.at.as_secs_f64(),"onset_s":a.onset.as_secs_f64(),"end_s":end.map(|e|e.as_secs_f64()).unwrap_or(a.at.at.as_secs_f64()),"cleared_by":by,"text":a.text, "region":a.region.map(|r|[r.x,r.y,r.w,r.h]), "value":a.value,"confidence":a.confidence})
            );
        }
        if end {
            break;
        }
    }
}
