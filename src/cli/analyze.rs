//! `picket analyze`: one input through the same pipeline as `run`, on media time.

use super::tap::{Ahead, tap};
use super::telling::Telling;
use super::{FINDINGS, Failure, Format, GOOD, output};
use crate::alert::Alert;
use crate::budget::{Effort, Share, Step};
use crate::detect::{Defect, Severity};
use crate::health::own_cpu_time;
use crate::ids::{DeviceId, IncidentIds, SourceId, StartCount};
use crate::pair::RECORDING_HEAD;
use crate::pipeline::{self, Pipeline};
use crate::report::Report;
use crate::source::{Context, Input, Source, Unit};
use crate::tape::{Recorder, Segment, Sink};
use crate::time::{Clock, Mono, SystemClock};
use crate::wire::Summary;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A file before the encoder is read ahead of the one behind it by this.
const PARTNER_AHEAD: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct Options {
    /// A file, '-' for standard input, a URL (udp:// rtp:// rtsp:// srt:// rtmp:// http:// https://),
    /// a capture device (v4l2:/dev/video0, v4l2:card=NAME, alsa:hw:1,0), or pattern:NAME
    #[arg(required_unless_present = "replay")]
    input: Option<String>,
    /// How to print what is found
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// Take what is set of defects from this configuration's source (see --source)
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
    /// Write down what the detectors say, to be judged again with --replay
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Write fingerprints of picture and sound, some 700 bytes a second, for `picket compare`
    #[arg(long, value_name = "FILE")]
    fingerprint: Option<PathBuf>,
    /// Hold it against this input, which shows the same programme before the encoder: a file, or fingerprints
    #[arg(long, value_name = "INPUT")]
    pair_with: Option<String>,
    /// Judge again what was written down by --features or by [tape]: a file, or the folder of a source
    #[arg(long, value_name = "PATH", conflicts_with_all = ["input", "features", "fingerprint", "pair_with", "realtime", "pictures", "report", "effort", "decoder"])]
    replay: Option<PathBuf>,
    /// With --replay of a day without defects: propose levels and hold times that would have stayed silent
    #[arg(long, requires = "replay")]
    suggest: bool,
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
    match (&options.replay, &options.input) {
        (Some(tape), _) if options.suggest => super::suggest::run(options, tape),
        (Some(tape), _) => super::replay::run(options, tape),
        (None, Some(input)) => analyze(options, input),
        (None, None) => Ok(super::CONFIGURATION),
    }
}

fn analyze(options: &Options, input: &str) -> Result<u8, Failure> {
    let clock = Arc::new(SystemClock);
    let (began, cpu_before) = (clock.mono(), own_cpu_time());
    let input: Input = input.parse().map_err(|error| Failure::environment(&crate::source::Error::Input(error)))?;
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
        kernels: settings.kernels,
    };
    let step = Step::from_number(options.effort);
    context.share.set_step(step);
    let mut source = Source::open_offline(&input, &context).map_err(|error| Failure::environment(&error))?;
    let page = options.report.as_deref().map(output::Draft::begin).transpose()?;
    let fingerprint = options.fingerprint.as_deref().map(output::Draft::begin).transpose()?;
    let paired = options.pair_with.as_deref().map(|input| tap(input, &stop)).transpose()?;
    let tape = options.features.as_deref().map(|path| recorder(path, &settings.source)).transpose()?;
    let mut analysis = Analysis::new(options, settings);
    tape.into_iter().for_each(|tape| analysis.pipeline.record(tape));
    if let Some((blocks, _)) = paired {
        #[allow(clippy::expect_used, reason = "a constant")]
        analysis.pipeline.pair_with(SourceId::new("partner").expect("well formed"));
        analysis.partner = Some(Ahead::new(blocks));
    }
    if fingerprint.is_some() {
        analysis.pipeline.fingerprint();
        analysis.fingerprint.extend(RECORDING_HEAD);
    }
    analysis.pipeline.set_effort(source.left_of(step.effort().unwrap_or(Effort::FULL)));
    let pace = options.realtime.then(|| clock.clone() as Arc<dyn Clock>);
    analysis.consume(&mut source, pace.as_deref(), &stop)?;
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
    if let Some(file) = fingerprint {
        file.finish(&analysis.fingerprint)?;
    }
    summary.wall_s = clock.mono().since(began).as_secs_f64();
    summary.cpu_s = own_cpu_time().saturating_sub(cpu_before).as_secs_f64();
    analysis.telling.print_summary(summary);
    Ok(options.exit_code(&analysis.telling))
}

impl Options {
    /// What `--fail-on` makes of the worst that was told.
    pub(super) fn exit_code(&self, telling: &Telling<'_>) -> u8 {
        let failed = self.fail_on.is_some_and(|limit| telling.worst() >= Some(limit.into()));
        if failed { FINDINGS } else { GOOD }
    }

    /// Hold times and the like: of the configuration, where one is named.
    pub(super) fn incidents(&self) -> Result<crate::alert::Settings, Failure> {
        match &self.config {
            None => Ok(crate::alert::Settings::default()),
            Some(path) => Ok(chosen(path, self.source.as_deref())?.map(|source| source.incidents).unwrap_or_default()),
        }
    }

    /// What is set of detectors there.
    fn detect(&self) -> Result<crate::detect::Settings, Failure> {
        match &self.config {
            None => Ok(crate::detect::Settings::default()),
            Some(path) => Ok(chosen(path, self.source.as_deref())?.map(|source| source.detect).unwrap_or_default()),
        }
    }
}

fn settings(options: &Options) -> Result<pipeline::Settings, Failure> {
    let kernels =
        crate::daemon::kernels().map_err(|error| Failure { code: super::CONFIGURATION, text: error.to_string() })?;
    #[allow(clippy::expect_used, reason = "a constant")]
    let source = SourceId::new("input").expect("well formed");
    let incidents = options.incidents()?;
    let detect = options.detect()?;
    Ok(pipeline::Settings {
        source,
        incidents,
        detect,
        kernels,
        evidence: options.pictures.is_some() || options.report.is_some(),
    })
}

/// The source of a configuration that is meant; `None` where there is none.
fn chosen(path: &Path, wanted: Option<&str>) -> Result<Option<crate::config::Source>, Failure> {
    let config = super::run::load(Some(path))?;
    let mistake = |text: String| Failure { code: super::CONFIGURATION, text };
    let ids = || config.sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>().join(", ");
    let source = match (wanted, config.sources.as_slice()) {
        (Some(wanted), sources) => sources
            .iter()
            .find(|source| source.id.as_str() == wanted)
            .ok_or_else(|| mistake(format!("--source {wanted}: {} has {}", path.display(), ids())))?,
        (None, [only]) => only,
        (None, []) => return Ok(None),
        (None, _) => {
            return Err(mistake(format!("{} has several sources: give --source, one of {}", path.display(), ids())));
        }
    };
    Ok(Some(source.clone()))
}

struct Analysis<'a> {
    telling: Telling<'a>,
    pipeline: Pipeline,
    kernels: &'static str,
    report: Option<Report>,
    alerts: Vec<Alert>,
    blocks: u64,
    /// What it is held against.
    partner: Option<Ahead>,
    /// As bytes, where they are wanted.
    fingerprint: Vec<u8>,
}

impl<'a> Analysis<'a> {
    fn new(options: &'a Options, settings: pipeline::Settings) -> Self {
        let ids = IncidentIds::new(&DeviceId::offline(), StartCount(0), &settings.source);
        let watched = Defect::ALL.into_iter().filter(|&defect| settings.incidents.hold(defect).is_some());
        let report = options.report.is_some().then(|| Report::new(&watched.collect::<Vec<_>>()));
        Self {
            telling: Telling::new(options.format, options.pictures.as_deref(), &settings.incidents),
            kernels: settings.kernels.level().name(),
            report,
            pipeline: Pipeline::new(settings, ids),
            alerts: Vec::new(),
            blocks: 0,
            partner: None,
            fingerprint: Vec::new(),
        }
    }

    fn consume(&mut self, source: &mut Source, pace: Option<&dyn Clock>, stop: &AtomicBool) -> Result<(), Failure> {
        let mut began: Option<Mono> = None;
        loop {
            // Ctrl-C ends an input that does not end by itself, and its summary is told.
            let stopped = stop.load(Ordering::Relaxed);
            let unit = if stopped { Unit::End } else { source.next_unit() };
            self.blocks += u64::from(matches!(unit, Unit::Audio(_)));
            let ended = matches!(unit, Unit::End);
            if let Some(partner) = &mut self.partner {
                let until = self.pipeline.now().at.plus(PARTNER_AHEAD).0;
                partner.read_until(until, |block| self.pipeline.input_block(block))?;
            }
            self.pipeline.step(unit, &mut self.alerts);
            self.fingerprint.extend(self.pipeline.blocks().flat_map(|block| block.encode()));
            if let Some(report) = &mut self.report {
                report.look(&self.pipeline);
                self.alerts.iter().for_each(|alert| report.tell(alert));
            }
            self.alerts.drain(..).for_each(|alert| self.telling.tell(&alert));
            if ended {
                return Ok(());
            }
            if let Some(clock) = pace {
                let start = *began.get_or_insert_with(|| clock.mono());
                wait_for(self.pipeline.now().at.since(crate::time::MediaTime(0)), start, clock, stop);
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
            kernels: self.kernels,
            ..Summary::default()
        }
    }
}

/// A tape to be written to `path`.
fn recorder(path: &Path, source: &SourceId) -> Result<Recorder, Failure> {
    let failed =
        |error: &std::io::Error| Failure { code: super::ENVIRONMENT, text: format!("{}: {error}", path.display()) };
    let segment = Segment::create(path, source).map_err(|error| failed(&error))?;
    Ok(Recorder::new(Box::new(ToFile { path: path.to_owned(), segment: Some(segment) })))
}

/// A file may be waited for. After a failure no more is written: a tape with a hole is worth little.
struct ToFile {
    path: PathBuf,
    segment: Option<Segment>,
}

impl Sink for ToFile {
    fn take(&mut self, chunk: Vec<u8>) {
        let Some(segment) = &mut self.segment else { return };
        if let Err(error) = segment.append(&chunk) {
            output::complain(&format!("{}: {error}; the tape ends here", self.path.display()));
            self.segment = None;
        }
    }
}

fn wait_for(media: Duration, start: Mono, clock: &dyn Clock, stop: &AtomicBool) {
    let due = start.plus(media);
    while clock.mono() < due && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(due.since(clock.mono()).min(Duration::from_millis(50)));
    }
}
