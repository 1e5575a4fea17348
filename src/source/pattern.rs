//! Built-in scripted signals, for tests and demonstrations: no file, no codec, no device.

use super::{Context, Unit};
use crate::frame::{AudioBlock, Frame, OwnedSamples, PictureInfo};
use crate::time::{MediaTime, Mono, Stamp};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Moving picture and a tone, 20 s, nothing wrong.
    Clean,
    /// 30 s: black from 5 s to 9 s, frozen from 13 s to 18 s, silent from 21 s to 27 s.
    Defects,
    /// Like `Defects`, again and again.
    Loop,
    /// Moving picture and a tone; after 3 s the thread that watches it fails. Shows that no other source is hurt.
    Crash,
    /// Black for 0.4 s and silent for 0.5 s in each 2 s, for ever: much to tell in little time.
    Busy,
}

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
/// Pictures per second.
const RATE: u64 = 25;
const SOUND_RATE: u32 = 48_000;

impl Pattern {
    /// What stands after `pattern:`.
    pub const NAMES: [&'static str; 5] = ["clean", "defects", "loop", "crash", "busy"];

    /// By its name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "clean" => Some(Pattern::Clean),
            "defects" => Some(Pattern::Defects),
            "loop" => Some(Pattern::Loop),
            "crash" => Some(Pattern::Crash),
            "busy" => Some(Pattern::Busy),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::Clean => "clean",
            Pattern::Defects => "defects",
            Pattern::Loop => "loop",
            Pattern::Crash => "crash",
            Pattern::Busy => "busy",
        }
    }

    fn length_s(self) -> Option<u64> {
        match self {
            Pattern::Clean => Some(20),
            Pattern::Defects => Some(30),
            Pattern::Loop | Pattern::Crash | Pattern::Busy => None,
        }
    }

    /// What is wrong with picture `number`.
    fn scene(self, number: u64) -> Scene {
        let second = number % (30 * RATE) / RATE;
        let picture = number % (2 * RATE);
        match (self, second) {
            (Pattern::Busy, _) => {
                Scene { black: (5..15).contains(&picture), silent: (10..22).contains(&picture), ..Scene::default() }
            }
            (Pattern::Clean | Pattern::Crash, _) => Scene::default(),
            (_, 5..9) => Scene { black: true, ..Scene::default() },
            // The picture of 13 s stays.
            (_, 13..18) => Scene { frozen_since: Some(number - number % (30 * RATE) + 13 * RATE), ..Scene::default() },
            (_, 21..27) => Scene { silent: true, ..Scene::default() },
            _ => Scene::default(),
        }
    }
}

#[derive(Default)]
struct Scene {
    black: bool,
    frozen_since: Option<u64>,
    silent: bool,
}

/// Plays a script.
pub struct PatternSource {
    pattern: Pattern,
    /// In real time when there is a clock to follow.
    live: Option<(Context, Mono)>,
    number: u64,
    opened: bool,
    sound_next: bool,
}

impl PatternSource {
    /// With `live`: in real time; without: as fast as it is pulled.
    pub fn new(pattern: Pattern, live: Option<Context>) -> Self {
        let live = live.map(|context| {
            let start = context.clock.mono();
            (context, start)
        });
        Self { pattern, live, number: 0, opened: false, sound_next: false }
    }

    /// The next unit: a picture, then its 40 ms of sound.
    pub fn next_unit(&mut self) -> Unit {
        if !self.opened {
            self.opened = true;
            let format = format!("{WIDTH}x{HEIGHT} pattern, {SOUND_RATE} Hz 2 ch pattern");
            return Unit::Opened { stamp: self.stamp(), format, video: true, audio: true };
        }
        if self.pattern.length_s().is_some_and(|length| self.number >= length * RATE) {
            return self.after_the_end();
        }
        assert!(self.pattern != Pattern::Crash || self.number < 3 * RATE, "pattern:crash fails on purpose");
        let scene = self.pattern.scene(self.number);
        if self.sound_next {
            let unit = Unit::Audio(self.sound(&scene));
            self.number += 1;
            self.sound_next = false;
            return unit;
        }
        if let Some(idle) = self.wait_until_due() {
            return idle;
        }
        self.sound_next = true;
        Unit::Video(self.picture(&scene))
    }

    fn after_the_end(&self) -> Unit {
        match &self.live {
            // A live script that is over is a source that fell silent.
            Some((context, start)) if !context.stop.load(Ordering::Relaxed) => {
                std::thread::sleep(Duration::from_millis(200));
                let now = context.clock.mono();
                Unit::Idle(Stamp { at: MediaTime(now.since(*start).as_nanos() as i64), arrived: now })
            }
            _ => Unit::End,
        }
    }

    fn wait_until_due(&self) -> Option<Unit> {
        let (context, start) = self.live.as_ref()?;
        let due = start.plus(Duration::from_nanos(self.number * 1_000_000_000 / RATE));
        while context.clock.mono() < due {
            if context.stop.load(Ordering::Relaxed) {
                return Some(Unit::End);
            }
            std::thread::sleep(due.since(context.clock.mono()).min(Duration::from_millis(50)));
        }
        None
    }

    fn stamp(&self) -> Stamp {
        let at = self.number * 1_000_000_000 / RATE;
        let arrived = self.live.as_ref().map_or(Mono(at), |(context, _)| context.clock.mono());
        Stamp { at: MediaTime(at as i64), arrived }
    }

    fn picture(&self, scene: &Scene) -> Frame {
        let shown = scene.frozen_since.unwrap_or(self.number);
        let (half_w, half_h) = (WIDTH.div_ceil(2), HEIGHT.div_ceil(2));
        let (luma, cb, cr) = if scene.black {
            (vec![16; WIDTH * HEIGHT], vec![128; half_w * half_h], vec![128; half_w * half_h])
        } else {
            let colour = |shift: u64| (0..half_w * half_h).map(move |n| 96 + ((n as u64 + shift) % 64) as u8).collect();
            (textured_luma(shown), colour(shown), colour(shown + 32))
        };
        let info = PictureInfo::yuv420(WIDTH, HEIGHT);
        let samples = Box::new(OwnedSamples::yuv420(WIDTH, HEIGHT, luma, cb, cr));
        #[allow(clippy::expect_used, reason = "the sizes above agree")]
        Frame::new(self.stamp(), info, samples).expect("planes fit the size")
    }

    fn sound(&self, scene: &Scene) -> AudioBlock {
        let per_picture = u64::from(SOUND_RATE) / RATE;
        let first = self.number * per_picture;
        let sample = |n: u64| {
            // A tone of 440 Hz whose level swells, so that it is no test tone.
            let t = n as f64 / f64::from(SOUND_RATE);
            let level = 0.15 + 0.1 * (t * 1.7).sin();
            (level * (t * 440.0 * std::f64::consts::TAU).sin()) as f32
        };
        let samples = (first..first + per_picture)
            .flat_map(|n| if scene.silent { [0.0, 0.0] } else { [sample(n), sample(n + 7)] })
            .collect();
        AudioBlock { stamp: self.stamp(), rate: SOUND_RATE, channels: 2, samples }
    }
}

/// Soft shapes that move over a textured ground.
fn textured_luma(number: u64) -> Vec<u8> {
    let mut luma = vec![0; WIDTH * HEIGHT];
    let shift = number * 3;
    for (y, row) in luma.chunks_exact_mut(WIDTH).enumerate() {
        for (x, sample) in row.iter_mut().enumerate() {
            let wave = ((x as u64 + shift) / 7 * 13 + (y as u64 * 5 + shift) / 11 * 17) % 96;
            let grain = (x * 31 + y * 57) % 9;
            *sample = 60 + wave as u8 + grain as u8;
        }
    }
    luma
}
