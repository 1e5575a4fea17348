//! `picket bench`: what this box can carry.

use super::{CONFIGURATION, Configured, Failure, GOOD, output};
use crate::budget::{Share, Step};
use crate::detect::{Detectors, Observations};
use crate::features::{Depth, VideoAnalyzer};
use crate::frame::{Frame, OwnedSamples, PictureInfo};
use crate::health::thread_cpu_time;
use crate::kernels::Kernels;
use crate::source::{Context, Input, Source, Unit};
use crate::time::{MediaTime, Stamp, SystemClock};
use crate::wire::{self, BenchDecode, BenchFit, BenchLook, BenchReport};
use clap::{Args, ValueEnum};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Pictures that are shown in turn: more than the caches of encoder boxes hold.
const PICTURES: usize = 16;
/// Sizes that are measured.
const SIZES: [(usize, usize); 3] = [(1280, 720), (1920, 1080), (3840, 2160)];
/// Pictures per second that sources have.
const RATES: [u32; 4] = [25, 30, 50, 60];
/// Every so manieth picture in full, the others lightly, keeps every detector's promise (PERFORMANCE.md).
const FULL_EVERY: f64 = 4.0;
/// Part of the budget that is planned with; the governor does the same.
const PLANNED: f64 = 0.9;

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// How to print what was measured
    #[arg(long, value_enum, default_value = "text")]
    format: BenchFormat,
    /// How long each kind of picture is measured, in tenths of a second of processor time
    #[arg(long, value_name = "TENTHS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    tenths: u32,
    /// Measures decoding this file or stream too, for at most 20 s of processor time
    #[arg(long, value_name = "INPUT")]
    input: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BenchFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let config = super::run::load(options.configured.config.as_deref())?;
    let best = crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    let decode = options.input.as_deref().map(decode).transpose()?;
    let each = Duration::from_millis(100) * options.tenths;
    let mut looks = Vec::new();
    for size in SIZES {
        let footage = Footage::new(size);
        for kernels in Kernels::available() {
            // The reference is not there to be fast: a glance at it will do.
            let each = if kernels.level() == best.level() { each } else { each / 5 };
            looks.push(BenchLook {
                kernels: kernels.level().name(),
                width: size.0 as u32,
                height: size.1 as u32,
                full_ms: measure(kernels, &footage, Depth::Full, each),
                light_ms: measure(kernels, &footage, Depth::Light, each),
            });
        }
    }
    let cores = config.budget.limits.cpu_cores_max;
    let report = BenchReport {
        kernels: best.level().name(),
        budget_cpu_pct: cores * 100.0,
        fits: fits(&looks, best, cores, decode.as_ref()),
        looks,
        decode,
        ..BenchReport::default()
    };
    match options.format {
        BenchFormat::Text => output::print(&text(&report)),
        BenchFormat::Json => output::print_json(&wire::bench(report)),
    }
    Ok(GOOD)
}

/// Pictures of one size.
struct Footage {
    width: usize,
    height: usize,
    pictures: Vec<Arc<OwnedSamples>>,
}

impl Footage {
    /// Moving waves with grain: flat pictures would be no easier, for every sample is visited all the same.
    fn new((width, height): (usize, usize)) -> Self {
        let picture = |n: usize| {
            let mut grain = n as u32 | 1;
            let mut sample = |x: usize, y: usize| {
                grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = ((x + 5 * n) % 200).abs_diff(100) + ((y + 3 * n) % 120).abs_diff(60);
                (40 + wave) as u8 + (grain >> 29) as u8
            };
            let luma = (0..width * height).map(|at| sample(at % width, at / width)).collect();
            let half = width.div_ceil(2) * height.div_ceil(2);
            let chroma = |shift: usize| (0..half).map(|at| (100 + (at / 7 + shift + n) % 56) as u8).collect();
            Arc::new(OwnedSamples::yuv420(width, height, luma, chroma(0), chroma(31)))
        };
        Self { width, height, pictures: (0..PICTURES).map(picture).collect() }
    }

    fn frame(&self, n: usize) -> Option<Frame> {
        let stamp = Stamp { at: MediaTime(n as i64 * 40_000_000), ..Stamp::default() };
        let picture = Box::new(self.pictures[n % PICTURES].clone());
        Frame::new(stamp, PictureInfo::yuv420(self.width, self.height), picture)
    }
}

/// Processor time that one picture takes, detectors and all, in milliseconds.
fn measure(kernels: Kernels, footage: &Footage, depth: Depth, least: Duration) -> f64 {
    let (mut video, mut detectors) = (VideoAnalyzer::new(kernels), Detectors::default());
    let mut show = |n: usize, depth: Depth| {
        if let Some(frame) = footage.frame(n) {
            let mut said = Observations::new();
            detectors.video(video.look(frame, depth), &mut said);
        }
    };
    show(0, Depth::Full);
    let began = thread_cpu_time();
    let mut shown = 0;
    loop {
        shown += 1;
        show(shown, depth);
        let passed = thread_cpu_time().saturating_sub(began);
        if passed >= least && shown >= 3 {
            return passed.as_secs_f64() * 1000.0 / shown as f64;
        }
    }
}

/// What reading and decoding a picture of `input` takes.
fn decode(input: &str) -> Result<BenchDecode, Failure> {
    const MOST: Duration = Duration::from_secs(20);
    let parsed: Input = input.parse().map_err(|error| Failure::environment(&crate::source::Error::Input(error)))?;
    let context = Context {
        clock: Arc::new(SystemClock),
        stop: Arc::new(AtomicBool::new(false)),
        seed: 0,
        reopen_after: Duration::from_secs(10),
        share: Share::default(),
        decoder: None,
        kernels: Kernels::detect(),
    };
    let mut decode = BenchDecode { input: parsed.display(), ..BenchDecode::default() };
    for (step, ms) in [(Step::FULL, &mut decode.full_ms), (Step::LAST, &mut decode.key_pictures_ms)] {
        context.share.set_step(step);
        let mut source = Source::open_offline(&parsed, &context).map_err(|error| Failure::environment(&error))?;
        let (began, mut pictures) = (thread_cpu_time(), 0_u64);
        loop {
            match source.next_unit() {
                Unit::Opened { format, .. } => decode.format = format,
                Unit::Video(_) | Unit::Passed(_) => pictures += 1,
                Unit::End => break,
                _ => {}
            }
            if thread_cpu_time().saturating_sub(began) >= MOST {
                break;
            }
        }
        *ms = thread_cpu_time().saturating_sub(began).as_secs_f64() * 1000.0 / pictures.max(1) as f64;
    }
    Ok(decode)
}

fn fits(looks: &[BenchLook], best: Kernels, cores: f64, decode: Option<&BenchDecode>) -> Vec<BenchFit> {
    let mut fits = Vec::new();
    for look in looks.iter().filter(|look| look.kernels == best.level().name()) {
        for fps in RATES {
            let tiers = (look.full_ms + (FULL_EVERY - 1.0) * look.light_ms) / FULL_EVERY;
            let sources = |ms: f64| (cores * PLANNED * 1000.0 / (ms * f64::from(fps))) as u32;
            fits.push(BenchFit {
                width: look.width,
                height: look.height,
                fps,
                all_in_full: sources(look.full_ms),
                every_4th_in_full: sources(tiers),
                with_decode: decode.map(|decode| sources(decode.full_ms + tiers)),
            });
        }
    }
    fits
}

fn text(report: &BenchReport) -> String {
    let mut out = format!("kernels {}; processor time of one picture, all detectors:\n", report.kernels);
    let _ = writeln!(out, "  {:8} {:>12} {:>10} {:>10}", "kernels", "picture", "full", "light");
    for look in &report.looks {
        let size = format!("{}x{}", look.width, look.height);
        let _ = writeln!(out, "  {:8} {size:>12} {:>7.2} ms {:>7.2} ms", look.kernels, look.full_ms, look.light_ms);
    }
    if let Some(decode) = &report.decode {
        let _ = writeln!(out, "decoding {} ({}):", decode.input, decode.format);
        let _ = writeln!(
            out,
            "  all pictures {:.2} ms each, key pictures only {:.2} ms each",
            decode.full_ms, decode.key_pictures_ms
        );
    }
    let _ = writeln!(
        out,
        "sources that fit into {:.0} % of a core ([budget] cpu), nothing else being done:",
        report.budget_cpu_pct
    );
    let with = if report.decode.is_some() { format!(" {:>14}", "with decoding") } else { String::new() };
    let _ = writeln!(out, "  {:>10} {:>6} {:>12} {:>18}{with}", "picture", "fps", "all in full", "every 4th in full");
    for fit in &report.fits {
        let size = format!("{}x{}", fit.width, fit.height);
        let with = fit.with_decode.map_or(String::new(), |sources| format!(" {sources:>14}"));
        let _ =
            writeln!(out, "  {size:>10} {:>6} {:>12} {:>18}{with}", fit.fps, fit.all_in_full, fit.every_4th_in_full);
    }
    out.trim_end().to_owned()
}
