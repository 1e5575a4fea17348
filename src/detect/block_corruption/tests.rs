//! Synthetic pictures through the real kernels.

use super::*;
use crate::features::VideoAnalyzer;
use crate::frame::{FieldOrder, Frame, OwnedSamples, PictureInfo, Range};
use crate::kernels::{CELL, Kernels};
use crate::time::Stamp;

const WIDTH: usize = 320;
const HEIGHT: usize = 192;
/// Pictures per second.
const RATE: usize = 25;

/// A scattered number for three.
fn scatter(a: usize, b: usize, c: usize) -> u8 {
    let mixed = (a as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (b as u64 + 1).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    let mixed = (mixed ^ (c as u64).wrapping_mul(0x1656_67b1_9e37_79f9)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 56) as u8
}

/// A textured picture that moves by 3 samples per picture, with a blob that moves against it.
fn programme(x: usize, y: usize, n: usize) -> u8 {
    let (u, v) = ((x + 3 * n) as f64, (y + n) as f64);
    let blob = (x as f64 - 160.0 + 2.0 * n as f64).hypot(y as f64 - 90.0) < 40.0;
    let wave = 40.0 * (u / 11.0).sin() * (v / 17.0).cos() + 20.0 * (u / 5.0 + v / 7.0).sin();
    (120.0 + wave + if blob { 40.0 } else { 0.0 }) as u8 + scatter(x, y, n) % 4
}

/// Damage: every second cell of some rows of cells is displaced or grey.
fn damaged(x: usize, y: usize, n: usize) -> u8 {
    let (column, row) = (x / CELL, y / CELL);
    if (4..8).contains(&row) && scatter(column, row, n / 5).is_multiple_of(2) {
        if scatter(column, row, 7).is_multiple_of(3) { 128 } else { programme((x + 90) % WIDTH, HEIGHT - 1 - y, n / 5) }
    } else {
        programme(x, y, n)
    }
}

struct Bench {
    analyzer: VideoAnalyzer,
    detector: BlockCorruption,
    n: usize,
}

impl Bench {
    fn new() -> Self {
        Self { analyzer: VideoAnalyzer::new(Kernels::detect()), detector: BlockCorruption::default(), n: 0 }
    }
    fn show(&mut self, luma: fn(usize, usize, usize) -> u8, decode: DecodeEvidence, intra: bool) -> Observation {
        let n = self.n;
        self.n += 1;
        let samples = (0..WIDTH * HEIGHT).map(|at| luma(at % WIDTH, at / WIDTH, n)).collect();
        let chroma = vec![128; WIDTH * HEIGHT / 4];
        let info = PictureInfo { intra, decode, ..PictureInfo::yuv420(WIDTH, HEIGHT) };
        let at = MediaTime::from_secs_f64(n as f64 / RATE as f64);
        let samples = OwnedSamples::yuv420(WIDTH, HEIGHT, samples, chroma.clone(), chroma);
        let frame = Frame::new(Stamp { at, ..Stamp::default() }, info, Box::new(samples)).expect("planes fit");
        self.detector.observe(self.analyzer.analyze(frame))
    }
    /// Shows `count` pictures and tells in how many damage was present.
    fn run(&mut self, count: usize, luma: fn(usize, usize, usize) -> u8) -> usize {
        let clean = DecodeEvidence::default();
        (0..count).filter(|_| self.show(luma, clean, false).presence == Presence::Present).count()
    }
}

const CONCEALED: DecodeEvidence = DecodeEvidence { corrupt: false, concealed: true, messages: 1, packets: 0 };
const LOST: DecodeEvidence = DecodeEvidence { corrupt: false, concealed: false, messages: 0, packets: 1 };

#[test]
fn motion_and_cuts_are_not_damage() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(50, programme), 0);
    assert_eq!(bench.run(25, |x, y, n| 255 - programme(y, x, n)), 0);
    assert_eq!(bench.run(25, |x, y, n| programme(x * 2, y, n / 3)), 0);
    assert_eq!(bench.run(10, |_, _, _| 16), 0);
    assert_eq!(bench.run(25, programme), 0);
    assert!(bench.detector.flagged().iter().all(|&flagged| !flagged));
}

#[test]
fn pixels_alone_show_damage_and_where() {
    let mut bench = Bench::new();
    bench.run(50, programme);
    let clean = DecodeEvidence::default();
    let seen: Vec<Observation> = (0..60).map(|_| bench.show(damaged, clean, false)).collect();
    let first = seen.iter().position(|said| said.presence == Presence::Present).expect("damage is seen");
    assert!(first < 10, "after {first} pictures");
    assert_eq!(seen[20].severity, Severity::Minor, "it may be the programme's");
    let last = seen.last().expect("pictures were shown");
    let began = last.since.expect("it has a beginning").as_secs_f64();
    assert!((began - 2.0).abs() < 0.2, "{began}");
    assert_eq!(last.presence, Presence::Present);
    assert!(last.severity >= Severity::Major && last.value > 5.0, "{} %", last.value);
    let region = last.region.expect("it has a place");
    assert!(region.y >= 48 && region.y + region.h <= 144, "{region:?}");
    assert_eq!(bench.detector.flagged().len(), 20 * 12);
    assert!(bench.detector.flagged()[4 * 20..8 * 20].iter().filter(|&&flagged| flagged).count() > 20);
    // Mended: the edges are gone.
    let present = bench.run(50, programme);
    assert!(present < 13, "{present} more pictures");
    assert!(bench.detector.flagged().iter().all(|&flagged| !flagged));
}

/// More and more cells come from elsewhere, from the 30th picture on, until all do. Not all at once: that is a cut.
fn shuffled(x: usize, y: usize, n: usize) -> u8 {
    let (column, row) = (x / CELL, y / CELL);
    if usize::from(scatter(column, row, 9)) >= n.saturating_sub(29) * 16 {
        return programme(x, y, n);
    }
    let from = usize::from(scatter(column, row, 3));
    programme((x + from * 7) % WIDTH, (y + from * 11) % HEIGHT, n)
}

#[test]
fn edges_all_over_weigh_little_without_a_witness() {
    let mut bench = Bench::new();
    bench.run(30, programme);
    let clean = DecodeEvidence::default();
    let seen: Vec<_> = (0..100).map(|_| bench.show(shuffled, clean, false)).collect();
    let present: Vec<_> =
        seen.iter().map(|said| (said.presence == Presence::Present).then_some(said.value as u32)).collect();
    assert!(
        seen.last().is_some_and(|last| last.presence == Presence::Present && last.value >= ALL_OVER),
        "{present:?}"
    );
    let gravest = seen.iter().filter(|said| said.presence == Presence::Present).map(|said| said.severity).max();
    assert_eq!(gravest, Some(Severity::Minor), "a programme may be drawn like this");
    let told = bench.show(shuffled, CONCEALED, false);
    assert_eq!((told.presence, told.severity), (Presence::Present, Severity::Critical), "the decoder is a witness");
}

#[test]
fn concealment_lasts_until_a_key_picture() {
    let mut bench = Bench::new();
    bench.run(25, programme);
    let clean = DecodeEvidence::default();
    // Whether it shows is known a moment later; it is said once and stays until a key picture.
    assert_eq!(bench.show(programme, CONCEALED, false).presence, Presence::Unclear);
    let said: Vec<Observation> = (0..30).map(|_| bench.show(programme, clean, false)).collect();
    let present: Vec<&Observation> = said.iter().filter(|said| said.presence == Presence::Present).collect();
    assert_eq!(present.len(), 1);
    assert_eq!((present[0].severity, present[0].region), (Severity::Minor, None));
    assert_eq!(present[0].since, Some(MediaTime::from_secs_f64(1.0)));
    assert_eq!(said.last().map(|said| said.presence), Some(Presence::Unclear));
    assert_eq!(bench.show(programme, clean, true).presence, Presence::Absent);
    // Mended before that: said with the key picture.
    bench.show(programme, CONCEALED, false);
    bench.run(6, programme);
    let mended = bench.show(programme, clean, true);
    assert_eq!((mended.presence, mended.severity), (Presence::Present, Severity::Minor));
    assert_eq!(bench.run(25, programme), 0);
}

#[test]
fn stream_and_pixels_together_are_surer() {
    let run = |decode: DecodeEvidence| {
        let mut bench = Bench::new();
        bench.run(50, programme);
        bench.show(programme, decode, false);
        (0..25).map(|_| bench.show(damaged, DecodeEvidence::default(), false)).last().and_then(|said| said.confidence)
    };
    assert!(run(CONCEALED) > run(DecodeEvidence::default()));
}

#[test]
fn lost_packets_are_damage_where_the_stream_goes_on() {
    let mut bench = Bench::new();
    bench.run(25, programme);
    assert_eq!(bench.show(programme, LOST, false).presence, Presence::Absent);
    assert_eq!(bench.run(25, programme), 1);
    // Here it ends: that is a lost stream.
    let mut bench = Bench::new();
    bench.run(25, programme);
    bench.show(programme, LOST, false);
    bench.run(3, programme);
    bench.n += 50;
    assert_eq!(bench.run(25, programme), 0);
}

#[test]
fn one_complaint_is_no_damage() {
    let mut bench = Bench::new();
    bench.run(25, programme);
    let complaint = DecodeEvidence { messages: 4, ..DecodeEvidence::default() };
    assert_eq!(bench.show(programme, complaint, true).presence, Presence::Absent);
    assert_eq!(bench.run(25, programme), 0);
}

#[test]
fn user_interfaces_on_a_grid_are_not_damage() {
    fn screen(x: usize, y: usize, n: usize) -> u8 {
        let (column, row) = (x / 8, y / 8);
        let window = n / 30 % 2 == 1 && (8..24).contains(&column) && (6..18).contains(&row);
        match (window, (column + row) % 2) {
            (true, 0) => 40,
            (true, _) => 90,
            (false, 0) => 200,
            (false, _) => 180,
        }
    }
    assert_eq!(Bench::new().run(150, screen), 0);
}

#[test]
fn pictures_of_any_size_are_judged() {
    for (width, height) in [(1, 1), (1, 40), (40, 1), (16, 16), (17, 33)] {
        let mut analyzer = VideoAnalyzer::new(Kernels::detect());
        let mut detector = BlockCorruption::default();
        for n in 0..30 {
            let info = PictureInfo {
                width,
                height,
                chroma: None,
                range: Range::Full,
                field_order: FieldOrder::Progressive,
                intra: false,
                decode: DecodeEvidence { concealed: n == 12, ..DecodeEvidence::default() },
                missing: 0,
            };
            let luma = (0..width * height).map(|at| scatter(at, n, 0)).collect();
            let samples = OwnedSamples::yuv420(width, height, luma, Vec::new(), Vec::new());
            let at = MediaTime(n as i64 * 40_000_000);
            let frame = Frame::new(Stamp { at, ..Stamp::default() }, info, Box::new(samples)).expect("planes fit");
            let said = detector.observe(analyzer.analyze(frame));
            assert!(said.value.is_finite() && (n != 22 || said.presence == Presence::Present), "{n} {said:?}");
        }
        assert_eq!(detector.flagged().len(), width.div_ceil(CELL) * height.div_ceil(CELL));
    }
}
