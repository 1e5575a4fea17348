//! `picket analyze --replay`: a tape of measures through the incident engine, with these settings or others.

use super::analyze::Options;
use super::telling::Telling;
use super::{Failure, output};
use crate::health::own_cpu_time;
use crate::ids::{DeviceId, IncidentIds, StartCount};
use crate::tape::{Reader, Replay};
use crate::time::{Clock, SystemClock};
use crate::wire::Summary;
use std::path::Path;

/// Runs it; exit code 1 when something was found that `--fail-on` asks for.
pub(super) fn run(options: &Options, path: &Path) -> Result<u8, Failure> {
    let clock = SystemClock;
    let (began, cpu_before) = (clock.mono(), own_cpu_time());
    let settings = options.incidents()?;
    let mut reader = Reader::open(path).map_err(|error| Failure::environment(&error))?;
    let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), reader.source());
    let mut replay = Replay::new(reader.source().clone(), ids, &settings);
    let mut telling = Telling::new(options.format, None, &settings);
    let mut alerts = Vec::new();
    while let Some(chunk) = reader.next_chunk() {
        replay.take(&chunk, &mut alerts);
        alerts.drain(..).for_each(|alert| telling.tell(&alert));
    }
    replay.end(&mut alerts);
    alerts.drain(..).for_each(|alert| telling.tell(&alert));
    reader.remarks().iter().for_each(|remark| output::complain(remark));
    let ([frames, frames_analysed, decoder_errors], format) = replay.counts();
    telling.print_summary(Summary {
        input: path.display().to_string(),
        format: format.to_owned(),
        duration_s: replay.now().at.as_secs_f64(),
        frames,
        frames_analysed,
        decoder_errors,
        wall_s: clock.mono().since(began).as_secs_f64(),
        cpu_s: own_cpu_time().saturating_sub(cpu_before).as_secs_f64(),
        // No picture is looked at.
        kernels: "no",
        ..Summary::default()
    });
    Ok(options.exit_code(&telling))
}
