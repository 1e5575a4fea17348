//! `picket analyze --replay PATH --suggest`: settings that a clean day would have kept silent, and what they cost.

use super::analyze::Options;
use super::{Failure, GOOD, output};
use crate::alert::{Alert, Settings, Transition};
use crate::detect::Defect;
use crate::ids::{DeviceId, IncidentIds, StartCount};
use crate::tape::{Chunk, Proposal, Reader, Replay, Study, Suggestion};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs it.
pub(super) fn run(options: &Options, path: &Path) -> Result<u8, Failure> {
    let settings = options.incidents()?;
    let mut study = Study::new(&settings);
    let mut alerts = Vec::new();
    let seconds = judged(path, &settings, |chunk, told| {
        study.take(chunk);
        alerts.append(told);
    })?;
    alerts.iter().for_each(|alert| study.told(alert));
    let suggestions = study.suggestions();
    let mut then: BTreeMap<Defect, u64> = BTreeMap::new();
    judged(path, &study.proposed(&suggestions), |_, told| {
        for alert in told.drain(..).filter(|alert| alert.transition == Transition::Raised) {
            *then.entry(alert.defect).or_default() += 1;
        }
    })?;
    output::print(&table(path, seconds, &suggestions, &then));
    output::print(&snippet(&suggestions));
    Ok(GOOD)
}

/// The tape with `settings`; seconds of it.
fn judged(path: &Path, settings: &Settings, mut each: impl FnMut(&Chunk, &mut Vec<Alert>)) -> Result<f64, Failure> {
    let mut reader = Reader::open(path).map_err(|error| Failure::environment(&error))?;
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), reader.source());
    let mut replay = Replay::new(reader.source().clone(), ids, settings);
    let mut told = Vec::new();
    let (mut seconds, mut last) = (0.0, None);
    while let Some(chunk) = reader.next_chunk() {
        // A new session begins at zero again.
        let began = last.filter(|_| !chunk.first).or_else(|| chunk.began());
        replay.take(&chunk, &mut told);
        each(&chunk, &mut told);
        let now = replay.now().at;
        seconds += began.map_or(0.0, |began| now.since(began).as_secs_f64());
        last = Some(now);
    }
    replay.end(&mut told);
    each(&Chunk { first: false, items: Vec::new() }, &mut told);
    Ok(seconds)
}

fn table(path: &Path, seconds: f64, suggestions: &[Suggestion], then: &BTreeMap<Defect, u64>) -> String {
    let mut text = format!("{}: {seconds:.0} s\n", path.display());
    let titles = ["median", "90 %", "99 %", "worst", "lasting"];
    text.push_str(&format!("{:<17}{:>7}{:>7}", "defect", "alerts", "then"));
    titles.iter().for_each(|title| text.push_str(&format!("{title:>9}")));
    for suggestion in suggestions {
        let after = then.get(&suggestion.defect).copied().unwrap_or(0);
        text.push_str(&format!("\n{:<17}{:>7}{after:>7}", suggestion.defect.name(), suggestion.raised));
        if let (Some(spread), Some((own, unit))) = (suggestion.spread, suggestion.defect.levels()) {
            spread.iter().for_each(|value| text.push_str(&format!("{value:>9.2}")));
            text.push_str(&format!(" {unit} (raised at {})", own.raise));
        }
    }
    text.push_str(
        "\n'lasting': the worst that held for as long as raise_after; 'then': alerts with what is proposed\n",
    );
    text
}

/// What is proposed, as it stands in the configuration.
fn snippet(suggestions: &[Suggestion]) -> String {
    let mut text = String::new();
    for Suggestion { defect, proposal, raised, .. } in suggestions {
        let unit = defect.levels().map_or("", |(_, unit)| unit);
        let key = match proposal {
            Proposal::Keep => continue,
            Proposal::Level(level) => format!("raise_level = \"{level}{unit}\""),
            Proposal::RaiseAfter(hold) => format!("raise_after = \"{}s\"", hold.as_secs()),
            Proposal::Mild => "severity = \"warning\"   # it lasted too long for any hold time".to_owned(),
        };
        text.push_str(&format!("[source.detect.{}]   # {raised} alerts without this\n{key}\n\n", defect.name()));
    }
    match text.is_empty() {
        true => "# nothing to change: no alert was raised".to_owned(),
        false => format!("# below the [[source]], if none of these alerts was right:\n{}", text.trim_end()),
    }
}
