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
    let mut va = crate::features::VideoAnalyzer::new(Kernels::detect());
    let mut reference: Vec<f64> = Vec::new();
    loop {
        let u = src.next_unit();
        let end = matches!(u, Unit::End);
        if std::env::var("FEAT").is_ok() {
            if let Unit::Video(f) = u {
                let f = va.analyze(f);
                dump(f, &mut reference);
            }
            if end {
                break;
            }
            continue;
        }
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

fn dump(f: &crate::features::VideoFeatures, _r: &mut Vec<f64>) {
    if std::env::var("FEAT").unwrap() == "2" {
        use std::io::Write;
        let mut o = std::io::stdout().lock();
        let mut put = |v: f32| o.write_all(&v.to_le_bytes()).unwrap();
        put(f.stamp.at.as_secs_f64() as f32);
        put(f.intra as u8 as f32);
        put(f.grid.columns as f32);
        put(f.grid.rows as f32);
        put(f.decode.corrupt as u8 as f32 * 100.0
            + f.decode.concealed as u8 as f32 * 1000.0
            + f.decode.messages as f32);
        put(f.decode.packets as f32);
        for i in 0..f.cells.len() {
            put(f.cell_mean(i) as f32);
        }
        for i in 0..f.cells.len() {
            put(f.cells[i].sad as f32 / f.grid.area(i) as f32);
        }
        return;
    }
    let n = f.cells.len();
    let mut means: Vec<f64> = (0..n).map(|i| f.cell_mean(i)).collect();
    let mut dm: Vec<f64> =
        (0..n).map(|i| (f.cells[i].sum as f64 - f.before[i].sum as f64).abs() / f.grid.area(i) as f64).collect();
    let mut sad: Vec<f64> = (0..n).map(|i| f.cells[i].sad as f64 / f.grid.area(i) as f64).collect();
    means.sort_by(f64::total_cmp);
    sad.sort_by(f64::total_cmp);
    let sigma = sad[n / 4] / 1.128;
    let lit = f.cells.iter().filter(|c| c.max > 70).count() as f64 / n as f64;
    let thr = (5.0 * sigma * (2.0f64 / 256.0).sqrt()).max(0.35);
    let moving = dm.iter().filter(|&&d| d > thr).count() as f64 / n as f64;
    dm.sort_by(f64::total_cmp);
    let exact = f.cells.iter().filter(|c| c.sad == 0).count() as f64 / n as f64;
    println!(
        "{:.3} I{} mean {:.1} share {:.4} lit {:.4} p1 {:.1} p99 {:.1} sad {:.3} sig {:.2} mov {:.4} exact {:.3} dm50 {:.2} dm99 {:.2} {:?}",
        f.stamp.at.as_secs_f64(),
        f.intra as u8,
        f.luma_mean,
        f.share_up_to(37),
        lit,
        means[n / 100],
        means[n - 1 - n / 100],
        f.sad_mean,
        sigma,
        moving,
        exact,
        dm[n / 2],
        dm[n - 1 - n / 100],
        if f.decode.any() { Some(f.decode) } else { None }
    );
}
