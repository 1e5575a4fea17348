//! `picket compare`: two inputs that show the same programme, one held against the other.

use super::tap::{Ahead, Said, tap};
use super::{ENVIRONMENT, FINDINGS, Failure, Format, GOOD, output};
use crate::pair::{Block, Pair, Pictures, Reading, Silence};
use crate::source::Input;
use crate::wire::{self, Comparison, ReadingBody};
use clap::Args;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// A is read ahead of B by what B may lie before it.
const AHEAD_NS: i64 = 33_000_000_000;
#[derive(Args)]
pub(super) struct Options {
    /// What comes first: a file, a URL, a capture device, or fingerprints that were recorded
    a: String,
    /// What is held against it: the same programme behind an encoder, or further down
    b: String,
    /// How to print what is measured
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Exit with 1 when the offset in the median is larger than this, either way
    #[arg(long, value_name = "MS")]
    fail_over: Option<f64>,
}

/// Runs it.
pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    crate::daemon::set_on_signal(&stop);
    let (a, live_a) = tap(&options.a, &stop)?;
    let (b, live_b) = tap(&options.b, &stop)?;
    let mut telling = Telling::new(options);
    if live_a && live_b {
        telling.pair = Pair::live();
        as_they_come(&a, &b, &mut telling)?;
    } else {
        in_order(a, &b, &mut telling)?;
    }
    stop.store(true, Ordering::Relaxed);
    let comparison = telling.comparison();
    telling.finish(&comparison);
    if comparison.windows == 0 {
        let text = format!("{} and {}: have no 7 s in common", comparison.a, comparison.b);
        return Err(Failure { code: ENVIRONMENT, text });
    }
    let over = options.fail_over.zip(comparison.offset_ms).is_some_and(|(limit, offset)| offset.abs() > limit);
    Ok(if over { FINDINGS } else { GOOD })
}

/// Files and recordings: on their own axes, and the same each time.
fn in_order(a: Receiver<Said>, b: &Receiver<Said>, telling: &mut Telling<'_>) -> Result<(), Failure> {
    let mut a = Ahead::new(a);
    while let Ok(block) = b.recv() {
        let mut block = block?;
        a.read_until(block.at.0.saturating_add(AHEAD_NS), |first| telling.pair.input(first))?;
        block.epoch = 0;
        telling.take(&block);
    }
    Ok(())
}

/// Live inputs: in the order in which they arrive, until both end or a signal comes.
fn as_they_come(a: &Receiver<Said>, b: &Receiver<Said>, telling: &mut Telling<'_>) -> Result<(), Failure> {
    const TURN: Duration = Duration::from_millis(100);
    loop {
        let (first, second) = (a.recv_timeout(TURN), b.recv_timeout(TURN));
        if let (Err(RecvTimeoutError::Disconnected), _) | (_, Err(RecvTimeoutError::Disconnected)) = (&first, &second) {
            return Ok(());
        }
        if let Ok(block) = first {
            telling.pair.input(&block?);
        }
        if let Ok(block) = second {
            telling.take(&block?);
        }
    }
}

/// Tells readings, and keeps what the end needs of them.
struct Telling<'a> {
    options: &'a Options,
    pair: Pair,
    readings: Vec<ReadingBody>,
    pictures: Pictures,
}

impl<'a> Telling<'a> {
    fn new(options: &'a Options) -> Self {
        Self { options, pair: Pair::recordings(), readings: Vec::new(), pictures: Pictures::default() }
    }

    fn take(&mut self, block: &Block) {
        let Some(reading) = self.pair.output(block) else { return };
        self.pictures += reading.pictures;
        let body = body(&reading);
        match self.options.format {
            Format::Ndjson => output::print_json(&wire::reading(&body)),
            Format::Text if reading.pictures.missing + reading.pictures.repeated > 0 => output::print(&format!(
                "{:9.1} s  {} pictures left out, {} shown again",
                body.at_s, reading.pictures.missing, reading.pictures.repeated
            )),
            Format::Text | Format::Json => {}
        }
        self.readings.push(body);
    }

    fn comparison(&self) -> Comparison {
        let median = |of: fn(&ReadingBody) -> Option<f64>| {
            let mut all: Vec<f64> = self.readings.iter().filter_map(of).collect();
            all.sort_unstable_by(f64::total_cmp);
            (all.get(all.len() / 2).copied(), all.len() as u32)
        };
        let ((latency_ms, with_latency), (offset_ms, with_offset)) =
            (median(|reading| reading.latency_ms), median(|reading| reading.offset_ms));
        Comparison {
            a: shown(&self.options.a),
            b: shown(&self.options.b),
            windows: self.readings.len() as u32,
            with_latency,
            with_offset,
            latency_ms,
            offset_ms,
            within_ms: median(|reading| reading.offset_ms.and(reading.within_ms)).0,
            level_db: median(|reading| reading.level_db).0,
            quality: median(|reading| reading.quality).0,
            pictures: self.pictures.seen,
            missing: self.pictures.missing,
            followed: self.pictures.followed,
            repeated: (self.pictures.followed > 0).then_some(self.pictures.repeated),
            ..Comparison::default()
        }
    }

    fn finish(&self, comparison: &Comparison) {
        match self.options.format {
            Format::Ndjson => output::print_json(&wire::comparison(comparison)),
            Format::Json => {
                let readings = self.readings.clone();
                output::print_json(&wire::comparison(&Comparison { readings, ..comparison.clone() }));
            }
            Format::Text => output::print(&text(comparison, &self.readings)),
        }
    }
}

/// Without credentials.
fn shown(text: &str) -> String {
    text.parse::<Input>().map_or_else(|_| text.to_owned(), |input| input.display())
}

fn body(reading: &Reading) -> ReadingBody {
    let rounded = |value: Option<f64>| value.map(|value| (value * 1000.0).round() / 1000.0 + 0.0);
    ReadingBody {
        at_s: (reading.at.as_secs_f64() * 1000.0).round() / 1000.0,
        latency_ms: rounded(reading.latency_ms),
        offset_ms: rounded(reading.offset_ms),
        within_ms: rounded(reading.within_ms),
        level_db: rounded(reading.level_db),
        quality: rounded(reading.quality),
        missing: reading.pictures.missing,
        repeated: (reading.pictures.followed > 0).then_some(reading.pictures.repeated),
        no_picture: reading.picture.err().map(Silence::name),
        no_sound: reading.sound.err().map(Silence::name),
        ..ReadingBody::default()
    }
}

fn text(all: &Comparison, readings: &[ReadingBody]) -> String {
    let measured = |what: &str, value: Option<f64>, unit: &str, more: &str| match value {
        Some(value) => format!("{what:<10}{value:+.1} {unit}{more}"),
        None => format!("{what:<10}not measurable"),
    };
    let side = match all.offset_ms {
        Some(offset) if offset > 0.0 => ", sound late",
        Some(offset) if offset < 0.0 => ", sound early",
        _ => "",
    };
    let within = all.within_ms.map_or_else(String::new, |within| format!(" +-{within:.0} ms"));
    let mut lines = vec![
        format!("A {}\nB {}", all.a, all.b),
        measured("latency", all.latency_ms, "ms", &format!(" (of {} of {} windows)", all.with_latency, all.windows)),
        measured("offset", all.offset_ms, "ms", &format!("{within}{side} (of {} windows)", all.with_offset)),
        measured("loudness", all.level_db, "dB", ""),
        format!("pictures  {} left out, of {}", all.missing, all.pictures),
        match all.repeated {
            Some(repeated) => format!("          {repeated} shown again, of {} that can be followed", all.followed),
            None => "          shown again: not measurable".to_owned(),
        },
    ];
    lines.extend(all.quality.map(|quality| format!("likeness  {quality:.3}")));
    let whys: [(_, fn(&ReadingBody) -> _); 2] =
        [("picture", |reading| reading.no_picture), ("sound", |reading| reading.no_sound)];
    let mut parts = Vec::new();
    for (part, why) in whys {
        for silence in [Silence::Quiet, Silence::Unlike, Silence::Ambiguous] {
            let count = readings.iter().filter(|reading| why(reading) == Some(silence.name())).count();
            if count > 0 {
                parts.push(format!("{part} {} in {count} windows", silence.name().replace('_', " ")));
            }
        }
    }
    if !parts.is_empty() {
        lines.push(format!("not measured: {}", parts.join(", ")));
    }
    lines.join("\n")
}
