//! The fused pass against plain reads of the same bytes, in one run; and the same work to be counted by instructions.
//!
//!   kernels                    times all candidates, prints one JSON object
//!   kernels --count NAME N     shows N pictures to one candidate, for callgrind and the like
//!
//! Processor time of this thread, candidates in turn within each round, the first round dropped.

#![allow(
    clippy::print_stdout,
    clippy::panic,
    unsafe_code,
    reason = "a program for developers; the floors are intrinsics"
)]

use picket::detect::{Detectors, Observations};
use picket::features::{AudioAnalyzer, Depth, VideoAnalyzer};
use picket::frame::{AudioBlock, Frame, OwnedSamples, PictureInfo, Plane, Samples};
use picket::health::thread_cpu_time;
use picket::kernels::{Band, CELL, Kernels, LumaAt, LumaCell};
use picket::pair::{Block, CELLS, Pair, PicturePrint, SLICES, SoundPrint};
use picket::time::{MediaTime, Stamp};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
/// 149 MB: larger than any cache.
const COLD: usize = 48;
/// 6 MB.
const HOT: usize = 2;
const ROUNDS: usize = 9;
const NAMES: [&str; 9] =
    ["sum_luma", "sad_luma", "floor2", "unpack", "light_kernel", "light", "full", "light_detect", "full_detect"];

type Picture = Arc<OwnedSamples>;

/// Slow waves, edges and grain. The number of instructions hardly depends on it, the floors not at all.
fn pictures(count: usize) -> Vec<Picture> {
    let picture = |n: usize| {
        let mut grain = n as u32 | 1;
        let mut luma = Vec::with_capacity(WIDTH * HEIGHT);
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = ((x + 5 * n) % 200).abs_diff(100) + ((y + 3 * n) % 120).abs_diff(60);
                luma.push((40 + wave) as u8 + (grain >> 29) as u8);
            }
        }
        let chroma = |shift: usize| (0..WIDTH * HEIGHT / 4).map(|at| (100 + (at / 7 + shift + n) % 56) as u8).collect();
        Arc::new(OwnedSamples::yuv420(WIDTH, HEIGHT, luma, chroma(0), chroma(31)))
    };
    (0..count).map(picture).collect()
}

fn frame(picture: &Picture, n: usize) -> Frame {
    let stamp = Stamp { at: MediaTime(n as i64 * 40_000_000), ..Stamp::default() };
    Frame::new(stamp, PictureInfo::yuv420(WIDTH, HEIGHT), Box::new(picture.clone())).expect("planes fit")
}

fn plane(picture: &Picture, index: usize) -> &[u8] {
    picture.plane(index).expect("three planes").0
}

/// What a candidate keeps from picture to picture.
struct Candidate {
    name: &'static str,
    kernels: Kernels,
    cells: Vec<LumaCell>,
    /// Planes of a captured 4:2:2 picture.
    planes: [Vec<u8>; 3],
    video: VideoAnalyzer,
    detectors: Detectors,
    n: usize,
}

impl Candidate {
    fn new(name: &'static str) -> Self {
        let kernels = Kernels::detect();
        let (cells, video) = (vec![LumaCell::default(); WIDTH / CELL], VideoAnalyzer::new(kernels));
        let planes = [WIDTH, WIDTH / 2, WIDTH / 2].map(|width| vec![0; width * HEIGHT]);
        Self { name, kernels, cells, planes, video, detectors: Detectors::default(), n: 0 }
    }

    fn show(&mut self, pictures: &[Picture]) {
        let n = self.n;
        self.n += 1;
        let (now, before) = (&pictures[n % pictures.len()], &pictures[(n + pictures.len() - 1) % pictures.len()]);
        let depth = if self.name.starts_with("light") && n > 0 { Depth::Light } else { Depth::Full };
        match self.name {
            "sum_luma" => drop(black_box(floor::sum(plane(now, 0)))),
            "sad_luma" => drop(black_box(floor::sad(plane(now, 0), plane(before, 0)))),
            "floor2" => drop(black_box((
                floor::sad(plane(now, 0), plane(before, 0)),
                floor::sum(plane(now, 1)),
                floor::sum(plane(now, 2)),
            ))),
            "unpack" => self.unpack(now, before),
            "light_kernel" => self.glance(now, before),
            "light" | "full" => drop(black_box(self.video.look(frame(now, n), depth).luma_mean)),
            _ => {
                let mut said = Observations::new();
                self.detectors.video(self.video.look(frame(now, n), depth), &mut said);
                black_box(&said);
            }
        }
    }
}

impl Candidate {
    /// What a capture device's UYVY costs before it is looked at: as many bytes as one picture has, from two.
    fn unpack(&mut self, now: &Picture, before: &Picture) {
        let [luma, cb, cr] = &mut self.planes;
        let rows = plane(now, 0).chunks_exact(2 * WIDTH).chain(plane(before, 0).chunks_exact(2 * WIDTH));
        let chroma = cb.chunks_exact_mut(WIDTH / 2).zip(cr.chunks_exact_mut(WIDTH / 2));
        for ((row, luma), (cb, cr)) in rows.zip(luma.chunks_exact_mut(WIDTH)).zip(chroma) {
            self.kernels.packed(row, LumaAt::Odd, luma, cb, cr);
        }
        black_box(&self.planes);
    }

    /// The light kernel alone, without what is made of its sums.
    fn glance(&mut self, now: &Picture, before: &Picture) {
        let luma = |picture| Plane::new(plane(picture, 0), WIDTH, HEIGHT, WIDTH).expect("it fits");
        for top in (0..HEIGHT).step_by(CELL) {
            let band = Band::new(luma(now), luma(before), top).expect("rows of one size");
            self.kernels.glance(&band, &mut self.cells);
        }
        black_box(&self.cells);
    }
}

/// The plainest reads that the processor has instructions for.
mod floor {
    #[cfg(target_arch = "x86_64")]
    mod simd {
        use std::arch::x86_64::*;

        #[target_feature(enable = "avx2")]
        pub fn sad(a: &[u8], b: &[u8]) -> u64 {
            let mut sums = [_mm256_setzero_si256(); 4];
            for (a, b) in a.as_chunks::<128>().0.iter().zip(b.as_chunks::<128>().0) {
                for (n, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: 32 of 128 bytes.
                    let (a, b) = unsafe {
                        (
                            _mm256_loadu_si256(a.as_ptr().add(32 * n).cast()),
                            _mm256_loadu_si256(b.as_ptr().add(32 * n).cast()),
                        )
                    };
                    *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(a, b));
                }
            }
            let all = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
            (_mm256_extract_epi64::<0>(all)
                + _mm256_extract_epi64::<1>(all)
                + _mm256_extract_epi64::<2>(all)
                + _mm256_extract_epi64::<3>(all)) as u64
        }
    }

    #[cfg(target_arch = "aarch64")]
    mod simd {
        use std::arch::aarch64::*;

        #[target_feature(enable = "neon")]
        pub fn sad(a: &[u8], b: &[u8]) -> u64 {
            let mut all = 0;
            for (a, b) in a.chunks(16 * 1024).zip(b.chunks(16 * 1024)) {
                let mut sums = [vdupq_n_u32(0); 4];
                for (a, b) in a.as_chunks::<64>().0.iter().zip(b.as_chunks::<64>().0) {
                    for (n, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: 16 of 64 bytes.
                        let (a, b) = unsafe { (vld1q_u8(a.as_ptr().add(16 * n)), vld1q_u8(b.as_ptr().add(16 * n))) };
                        *sum = vpadalq_u16(*sum, vpaddlq_u8(vabdq_u8(a, b)));
                    }
                }
                all += sums.iter().map(|&sum| u64::from(vaddvq_u32(sum))).sum::<u64>();
            }
            all
        }
    }

    /// Sum of absolute differences; the pictures are whole numbers of vectors long.
    pub fn sad(a: &[u8], b: &[u8]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        assert!(std::is_x86_feature_detected!("avx2"), "the floor needs AVX2");
        // SAFETY: AVX2 was just found; NEON is part of AArch64.
        unsafe { simd::sad(a, b) }
    }

    /// Sum of all bytes.
    pub fn sum(a: &[u8]) -> u64 {
        const NOTHING: [u8; 1 << 12] = [0; 1 << 12];
        a.chunks(1 << 12).map(|part| sad(part, &NOTHING[..part.len()])).sum()
    }
}

fn check(pictures: &[Picture]) {
    let (a, b) = (plane(&pictures[0], 0), plane(&pictures[1], 0));
    assert_eq!(floor::sum(a), a.iter().map(|&s| u64::from(s)).sum::<u64>());
    assert_eq!(floor::sad(a, b), a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum::<u64>());
}

/// Milliseconds of processor time for each picture: a number for each round.
fn time(pictures: &[Picture]) -> BTreeMap<&'static str, Vec<f64>> {
    let mut candidates = NAMES.map(Candidate::new);
    let mut rounds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let each = COLD;
    for round in 0..=ROUNDS {
        for candidate in &mut candidates {
            let began = thread_cpu_time();
            (0..each).for_each(|_| candidate.show(pictures));
            let ms = thread_cpu_time().saturating_sub(began).as_secs_f64() * 1000.0 / each as f64;
            if round > 0 {
                rounds.entry(candidate.name).or_default().push(ms);
            }
        }
    }
    rounds
}

/// A second of stereo sound at 48 kHz, in blocks of 1024 samples.
fn sound(second: usize) -> Vec<AudioBlock> {
    let sample = |n: usize| ((n as f32 * 0.05).sin() * 0.3) + ((n * 7919 % 1000) as f32 / 1000.0 - 0.5) * 0.01;
    let block = |at: usize| {
        let length = 1024.min(48_000 - at);
        let start = second * 48_000 + at;
        let stamp = Stamp { at: MediaTime((start as f64 / 48_000.0 * 1e9) as i64), ..Stamp::default() };
        let samples = (0..2 * length).map(|n| sample(start + n / 2)).collect();
        AudioBlock { stamp, rate: 48_000, channels: 2, samples }
    };
    (0..48_000).step_by(1024).map(block).collect()
}

/// Milliseconds of processor time for each second of sound.
fn time_sound() -> Vec<f64> {
    let (mut audio, mut detectors) = (AudioAnalyzer::default(), Detectors::default());
    let seconds: Vec<Vec<AudioBlock>> = (0..20).map(sound).collect();
    let each = |second: &Vec<AudioBlock>| {
        let began = thread_cpu_time();
        for block in second {
            audio.analyze(block, |features| {
                let mut said = Observations::new();
                detectors.audio(features, &mut said);
                black_box(&said);
            });
        }
        thread_cpu_time().saturating_sub(began).as_secs_f64() * 1000.0
    };
    seconds.iter().map(each).skip(1).collect()
}

/// A second of a programme of 25 pictures a second as fingerprints, each shown `times` times, `behind` seconds late.
fn block(second: usize, behind: f64, times: usize) -> Block {
    let time = |seconds: f64| MediaTime((seconds * 1e9) as i64);
    let swing = |seconds: f64, by: usize| (seconds * (1.0 + 0.05 * seconds) * (1.0 + 0.3 * by as f64)).sin();
    let picture = |n: usize| {
        let at = second as f64 + n as f64 * 0.04 / times as f64;
        let shown = second as f64 + (n / times) as f64 * 0.04;
        let cell = |cell| (64.0 * (120.0 + 60.0 * swing(shown - behind, cell))) as u16;
        PicturePrint { at: time(at), cells: std::array::from_fn(cell) }
    };
    let sound = |n: usize| {
        let at = second as f64 + n as f64 * 0.1;
        let level = |slice: usize| (170.0 + 60.0 * swing(3.0 * (at - behind) + 0.012 * slice as f64, 1)) as u8;
        SoundPrint { at: time(at), levels: std::array::from_fn::<u8, SLICES, _>(level) }
    };
    let pictures = (0..25 * times).map(picture).collect();
    let sounds = (0..10).map(sound).collect();
    Block { at: time(second as f64), epoch: 0, width: 1920, texture: [40; CELLS], pictures, sounds }
}

/// Milliseconds of processor time for each second of a pair: where the lag is known, of 25 pictures against 50, and while
/// it is searched for.
fn time_pair() -> [Vec<f64>; 3] {
    let seconds = |behind: f64, times: usize| {
        let mut pair = Pair::live();
        let each = |second: usize| {
            let (input, output) = (block(second, 0.0, 1), block(second, behind, times));
            let began = thread_cpu_time();
            pair.input(&input);
            black_box(pair.output(&output));
            thread_cpu_time().saturating_sub(began).as_secs_f64() * 1000.0
        };
        (0..80).map(each).skip(60).collect()
    };
    // Another programme is never found.
    [seconds(0.4, 1), seconds(0.4, 2), seconds(500.0, 1)]
}

/// What callgrind collects, by this name: loaders and constructors of a hundred libraries vary by a million instructions from run to run.
#[inline(never)]
fn counted(candidate: &mut Candidate, pictures: &[Picture], count: usize) {
    (0..count).for_each(|_| candidate.show(pictures));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let cold = pictures(COLD);
            check(&cold);
            let [pair, pair_converted, pair_search] = time_pair();
            let report = serde_json::json!({
                "kernels": Kernels::detect().level().name(),
                "width": WIDTH, "height": HEIGHT, "rounds": ROUNDS,
                "cold_ms": time(&cold), "hot_ms": time(&cold[..HOT]), "sound_ms_per_s": time_sound(),
                "pair_ms_per_s": pair, "pair_converted_ms_per_s": pair_converted, "pair_search_ms_per_s": pair_search,
            });
            println!("{report}");
        }
        ["--count", name, count] => {
            let name = NAMES.into_iter().find(|known| *known == name).unwrap_or_else(|| panic!("one of {NAMES:?}"));
            let count: usize = count.parse().expect("a number of pictures");
            let pictures = pictures(HOT);
            let mut candidate = Candidate::new(name);
            counted(&mut candidate, &pictures, count);
        }
        _ => panic!("nothing, or --count NAME PICTURES"),
    }
}
