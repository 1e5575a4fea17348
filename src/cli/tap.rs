//! Fingerprints of an input, made in a thread of their own, or read from a recording.

use super::{CONFIGURATION, ENVIRONMENT, Failure};
use crate::budget::Share;
use crate::features::{AudioAnalyzer, Depth, VideoAnalyzer};
use crate::kernels::Kernels;
use crate::pair::{Block, RECORDING_HEAD, Sampler, recording};
use crate::source::{Context, Input, Source, Unit};
use crate::time::SystemClock;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Blocks that wait for whoever compares.
const WAITING: usize = 8;
/// Of pictures seen at a glance, every so many is seen in full, for its detail.
const FULL_EVERY: u64 = 5;

/// A second, or why there is none.
pub(super) type Said = Result<Block, Failure>;

/// Seconds of one input, on an axis of its own, read as far as wanted.
pub(super) struct Ahead {
    blocks: Receiver<Said>,
    /// Begin of the last that was read.
    until: i64,
}

impl Ahead {
    pub(super) fn new(blocks: Receiver<Said>) -> Self {
        Self { blocks, until: i64::MIN }
    }

    /// Calls `take` with each block that begins before `at` ns or is the next behind it.
    pub(super) fn read_until(&mut self, at: i64, mut take: impl FnMut(&Block)) -> Result<(), Failure> {
        while self.until < at {
            let Ok(block) = self.blocks.recv() else {
                self.until = i64::MAX;
                return Ok(());
            };
            let mut block = block?;
            (self.until, block.epoch) = (block.at.0, 0);
            take(&block);
        }
        Ok(())
    }
}

/// Starts to read one input; whether it arrives in real time by itself.
pub(super) fn tap(text: &str, stop: &Arc<AtomicBool>) -> Result<(Receiver<Said>, bool), Failure> {
    let (sender, receiver) = sync_channel(WAITING);
    if let Some(blocks) = recorded(Path::new(text))? {
        std::thread::spawn(move || blocks.into_iter().try_for_each(|block| sender.send(Ok(block))));
        return Ok((receiver, false));
    }
    let input: Input = text.parse().map_err(|error| Failure::environment(&crate::source::Error::Input(error)))?;
    let kernels = crate::daemon::kernels().map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    let context = Context {
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
        seed: 0,
        reopen_after: Duration::from_secs(10),
        share: Share::default(),
        decoder: None,
        kernels,
    };
    let live = input.paces_itself();
    // What FFmpeg opened stays in the thread that reads it.
    std::thread::spawn(move || {
        let source =
            if live { Ok(Source::open_live(&input, &context)) } else { Source::open_offline(&input, &context) };
        match source {
            Ok(source) => read(source, kernels, &context.stop, &sender),
            Err(error) => drop(sender.send(Err(Failure::environment(&error)))),
        }
    });
    Ok((receiver, live))
}

/// The fingerprints in a file, if that is what it holds.
fn recorded(path: &Path) -> Result<Option<Vec<Block>>, Failure> {
    let mut head = [0; RECORDING_HEAD.len()];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    if read.is_err() || head != RECORDING_HEAD {
        return Ok(None);
    }
    let failed = |error: &dyn std::error::Error| Failure {
        code: ENVIRONMENT,
        text: format!("{}: {}", path.display(), crate::mqtt::chain(error)),
    };
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    recording(&bytes).map(Some).map_err(|error| failed(&error))
}

/// Makes fingerprints of all that `source` gives.
fn read(mut source: Source, kernels: Kernels, stop: &AtomicBool, blocks: &SyncSender<Said>) {
    let (mut video, mut audio, mut sampler) =
        (VideoAnalyzer::new(kernels), AudioAnalyzer::default(), Sampler::default());
    let mut pictures = 0_u64;
    let mut done = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match source.next_unit() {
            Unit::Video(frame) => {
                let depth = if pictures.is_multiple_of(FULL_EVERY) { Depth::Full } else { Depth::Light };
                pictures += 1;
                done.extend(sampler.picture(video.look(frame, depth)));
            }
            Unit::Audio(block) => audio.analyze(&block, |features| done.extend(sampler.sound(features))),
            Unit::Opened { .. } => video.restart(),
            Unit::End => break,
            _ => {}
        }
        for block in done.drain(..) {
            // Nobody listens any more.
            if blocks.send(Ok(block)).is_err() {
                return;
            }
        }
    }
    if let Some(block) = sampler.finish() {
        let _ = blocks.send(Ok(block));
    }
}
