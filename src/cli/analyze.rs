//! `picket analyze`: one input through the same pipeline as `run`, on media time.

use super::{FINDINGS, Failure, Format, GOOD, output};
use crate::alert::{Alert, Transition};
use crate::budget::{Effort, Share, Step};
use crate::detect::{Defect, Severity};
use crate::health::{Machine, own_cpu_time};
use crate::ids::{BootId, DeviceId, IncidentIds, SourceId, StartCount};
use crate::pipeline::{self, Pipeline};
use crate::report::Report;
use crate::source::{Context, Input, Source, Unit};
use crate::time::{Clock, Mono, SystemClock};
use crate::wire::{self, Summary, Teller};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Args)]
pub(super) struct Options {
    /// A file, '-' for standard input, a URL (udp:// rtp:// rtsp:// srt:// rtmp:// http:// https://), or pattern:NAME
    input: String,
    /// How to print what is found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Take hold times and enabled detectors from this configuration's source (see --source)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which source of the configuration, where it has several
    #[arg(long, value_name = "ID", requires = "config")]
    source: Option<String>,
    /// No faster than the input's own time
    #[arg(long)]
    realtime: bool,
    /// Exit with 1 when there was an incident of this severity or worse
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// Write the pictures of incidents into this folder
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    /// Write one HTML page with a timeline, the pictures of incidents and the measured curves
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Look at less, as the daemon does when its budget is short: 0 is all, 7 is key pictures alone
    #[arg(long, value_name = "STEP", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=i64::from(Step::LAST.number())))]
    effort: u8,
    /// The video decoder of FFmpeg's that is tried first, such as h264_v4l2m2m
    #[arg(long, value_name = "NAME")]
    decoder: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailOn {
    Warning,
    Minor,
    Major,
    Critical,
}

impl From<FailOn> for Severity {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Warning => Severity::Warning,
            FailOn::Minor => Severity::Minor,
            FailOn::Major => Severity::Major,
            FailOn::Critical => Severity::Critical,
        }
    }
}

/// Runs it; exit code 1 when something was found that `--fail-on` asks for.
pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let clock = Arc::new(SystemClock);
    let (began, cpu_before) = (clock.mono(), own_cpu_time());
    let input: Input =
        options.input.parse().map_err(|error| Failure::environment(&crate::source::Error::Input(error)))?;
    let settings = settings(options)?;
    if let Some(name) = options.decoder.as_deref().filter(|name| !crate::source::has_video_decoder(name)) {
        let text = format!("--decoder {name}: is no video decoder of the FFmpeg on this box");
        return Err(Failure { code: super::CONFIGURATION, text });
    }
    if let Some(folder) = &options.pictures {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure { code: super::ENVIRONMENT, text: format!("{}: {error}", folder.display()) })?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    crate::daemon::set_on_signal(&stop);
    let context = Context {
        clock: clock.clone(),
        stop: stop.clone(),
        seed: 0,
        reopen_after: Duration::from_secs(10),
        share: Share::default(),
        decoder: options.decoder.clone(),
    };
    let step = Step::from_number(options.effort);
    context.share.set_step(step);
    let mut source = Source::open_offline(&input, &context).map_err(|error| Failure::environment(&error))?;
    let page = options.report.as_deref().map(output::Draft::begin).transpose()?;
    let mut analysis = Analysis::new(options, settings);
    analysis.pipeline.set_effort(step.effort().unwrap_or(Effort::FULL));
    let pace = options.realtime.then(|| clock.clone() as Arc<dyn Clock>);
    analysis.consume(&mut source, pace.as_deref(), &stop);
    if analysis.pipeline.status().frames == 0 && analysis.blocks == 0 {
        let text = format!("{}: neither a picture nor sound could be decoded", input.display());
        return Err(Failure { code: super::ENVIRONMENT, text });
    }
    if let Some(reason) = source.failure() {
        output::complain(&format!("{}: ended early: {reason}", input.display()));
    }
    let mut summary = analysis.summary(&input, source.errors());
    if let (Some(page), Some(report)) = (page, &analysis.report) {
        page.finish(report.page(&summary).as_bytes())?;
    }
    summary.wall_s = clock.mono().since(began).as_secs_f64();
    summary.cpu_s = own_cpu_time().saturating_sub(cpu_before).as_secs_f64();
    analysis.print_summary(summary);
    let failed = options.fail_on.is_some_and(|limit| analysis.worst >= Some(limit.into()));
    Ok(if failed { FINDINGS } else { GOOD })
}

fn settings(options: &Options) -> Result<pipeline::Settings, Failure> {
    let kernels =
        crate::daemon::kernels().map_err(|error| Failure { code: super::CONFIGURATION, text: error.to_string() })?;
    #[allow(clippy::expect_used, reason = "a constant")]
    let source = SourceId::new("input").expect("well formed");
    let incidents = match &options.config {
        None => crate::alert::Settings::default(),
        Some(path) => detect_settings(path, options.source.as_deref())?,
    };
    let detect = crate::detect::Settings::default();
    Ok(pipeline::Settings {
        source,
        incidents,
        detect,
        kernels,
        evidence: options.pictures.is_some() || options.report.is_some(),
    })
}

fn detect_settings(path: &Path, wanted: Option<&str>) -> Result<crate::alert::Settings, Failure> {
    let config = super::run::load(Some(path))?;
    let mistake = |text: String| Failure { code: super::CONFIGURATION, text };
    let ids = || config.sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>().join(", ");
    let source = match (wanted, config.sources.as_slice()) {
        (Some(wanted), sources) => sources
            .iter()
            .find(|source| source.id.as_str() == wanted)
            .ok_or_else(|| mistake(format!("--source {wanted}: {} has {}", path.display(), ids())))?,
        (None, [only]) => only,
        (None, []) => return Ok(crate::alert::Settings::default()),
        (None, _) => {
            return Err(mistake(format!("{} has several sources: give --source, one of {}", path.display(), ids())));
        }
    };
    Ok(source.incidents.clone())
}

struct Analysis<'a> {
    options: &'a Options,
    pipeline: Pipeline,
    kernels: &'static str,
    watched: Vec<Defect>,
    report: Option<Report>,
    alerts: Vec<Alert>,
    /// Events already told, for one JSON document at the end.
    told: Vec<Vec<u8>>,
    raised: BTreeMap<&'static str, u64>,
    worst: Option<Severity>,
    seq: u64,
    blocks: u64,
}

impl<'a> Analysis<'a> {
    fn new(options: &'a Options, settings: pipeline::Settings) -> Self {
        let watched: Vec<Defect> =
            Defect::ALL.into_iter().filter(|&defect| settings.incidents.hold(defect).is_some()).collect();
        let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), &settings.source);
        Self {
            options,
            kernels: settings.kernels.level().name(),
            raised: watched.iter().map(|defect| (defect.name(), 0)).collect(),
            report: options.report.is_some().then(|| Report::new(&watched)),
            watched,
            pipeline: Pipeline::new(settings, ids),
            alerts: Vec::new(),
            told: Vec::new(),
            worst: None,
            seq: 0,
            blocks: 0,
        }
    }

    fn consume(&mut self, source: &mut Source, pace: Option<&dyn Clock>, stop: &AtomicBool) {
        let mut began: Option<Mono> = None;
        loop {
            // Ctrl-C ends an input that does not end by itself, and its summary is told.
            let stopped = stop.load(Ordering::Relaxed);
            let unit = if stopped { Unit::End } else { source.next_unit() };
            self.blocks += u64::from(matches!(unit, Unit::Audio(_)));
            let ended = matches!(unit, Unit::End);
            self.pipeline.step(unit, &mut self.alerts);
            if let Some(report) = &mut self.report {
                report.look(&self.pipeline);
                self.alerts.iter().for_each(|alert| report.tell(alert));
            }
            for alert in std::mem::take(&mut self.alerts) {
                self.tell(&alert);
            }
            if ended {
                return;
            }
            if let Some(clock) = pace {
                let start = *began.get_or_insert_with(|| clock.mono());
                wait_for(self.pipeline.now().at.since(crate::time::MediaTime(0)), start, clock, stop);
            }
        }
    }

    fn tell(&mut self, alert: &Alert) {
        if alert.transition == Transition::Raised {
            *self.raised.entry(alert.defect.name()).or_default() += 1;
        }
        self.worst = self.worst.max(Some(alert.severity));
        self.seq += 1;
        let (device, boot) = (DeviceId::offline(), BootId::from_kernel("00000000"));
        let teller = Teller { device: &device, seq: self.seq, boot: &boot, clocks: None, topics: None };
        let body = wire::event(alert, &teller);
        match self.options.format {
            Format::Ndjson => output::print_json(&body),
            Format::Json => self.told.push(body),
            Format::Text => output::print(&line(alert)),
        }
        if let (Some(folder), Some(evidence)) = (&self.options.pictures, &alert.evidence) {
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

    fn summary(&self, input: &Input, errors: u64) -> Summary {
        let status = self.pipeline.status();
        Summary {
            input: input.display(),
            format: status.format.clone().unwrap_or_default(),
            duration_s: self.pipeline.now().at.as_secs_f64(),
            frames: status.frames,
            frames_analysed: status.looked_at,
            decoder_errors: errors,
            incidents: self.raised.clone(),
            peak_rss_bytes: Machine::new(Path::new("/"), Path::new("/")).peak_rss_bytes().unwrap_or(0),
            kernels: self.kernels,
            ..Summary::default()
        }
    }

    fn print_summary(&self, summary: Summary) {
        let text = text_summary(&summary, &self.watched);
        let body = wire::summary(summary);
        match self.options.format {
            Format::Ndjson => output::print_json(&body),
            Format::Json => output::print_json(&wire::document(&self.told, &body)),
            Format::Text => output::print(&text),
        }
    }
}

fn wait_for(media: Duration, start: Mono, clock: &dyn Clock, stop: &AtomicBool) {
    let due = start.plus(media);
    while clock.mono() < due && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(due.since(clock.mono()).min(Duration::from_millis(50)));
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
