//! Every version against the reference, in the manner of checkasm: odd widths and starts, fills that aim at overflow,
//! and the seed printed.

use super::*;

/// xorshift64 (Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn fill(&mut self, samples: &mut [u8]) {
        let kind = self.below(6);
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample = match kind {
                0 => (self.next() & 1) as u8,
                1 => 254 + (self.next() & 1) as u8,
                2 => 255,
                3 if n % 2 == 0 => 255,
                3 => 0,
                4 => (n / 7 * 16) as u8,
                _ => self.next() as u8,
            };
        }
    }
}

fn seed() -> u64 {
    std::env::var("PICKET_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15)
}

/// All that a version finds in a band.
fn look(set: &Kernels, band: &Band<'_>) -> (Vec<LumaCell>, Vec<u16>, Vec<u16>) {
    let mut cells = vec![LumaCell { sum: 77, ..LumaCell::default() }; band.cells()];
    let mut steps = [vec![77; band.cells() * LINES], vec![77; band.cells() * LINES]];
    let [there, new] = &mut steps;
    set.luma(band, &mut cells, &mut Steps { there, new });
    let [there, new] = steps;
    (cells, there, new)
}

/// A plane somewhere inside a larger buffer, so that rows are unaligned and neighbours differ.
struct Area {
    data: Vec<u8>,
    offset: usize,
    stride: usize,
    width: usize,
    height: usize,
}

impl Area {
    fn new(chance: &mut Chance, width: usize, height: usize, stride: usize) -> Self {
        let offset = chance.below(33);
        let mut data = vec![0; offset + stride * height];
        chance.fill(&mut data);
        Self { data, offset, stride, width, height }
    }
    fn of(width: usize, height: usize, sample: impl Fn(usize, usize) -> u8) -> Self {
        let data = (0..width * height).map(|n| sample(n % width, n / width)).collect();
        Self { data, offset: 0, stride: width, width, height }
    }
    fn plane(&self) -> Plane<'_> {
        Plane::new(&self.data[self.offset..], self.width, self.height, self.stride).expect("it fits")
    }
}

fn band<'a>(current: &'a Area, previous: &'a Area, top: usize) -> Band<'a> {
    Band::new(current.plane(), previous.plane(), top).expect("planes of one size")
}

#[test]
fn every_version_agrees_with_the_reference() {
    let seed = seed();
    let mut chance = Chance(seed);
    for case in 0..1500 {
        let width = 1 + chance.below(if case % 60 == 0 { 8192 } else { 150 });
        let (height, stride) = (1 + chance.below(3 * CELL), width + chance.below(40));
        let now = Area::new(&mut chance, width, height, stride);
        let before = Area::new(&mut chance, width, height, if case % 9 == 0 { stride + 1 } else { stride });
        let band = band(&now, &before, chance.below(height));
        let strip = Strip::new(now.plane(), chance.below(height), [8, 16][chance.below(2)], [8, 16][chance.below(2)]);
        let strip = strip.expect("rows of the plane");
        let run = |set: &Kernels| {
            let mut glanced = vec![LumaCell { across: 77, ..LumaCell::default() }; band.cells()];
            let mut sums = vec![77; strip.steps()];
            set.glance(&band, &mut glanced);
            set.sums(&strip, &mut sums);
            (look(set, &band), glanced, sums)
        };
        let reference = run(&scalar::KERNELS);
        for set in Kernels::available() {
            assert_eq!(run(&set), reference, "{set:?} {band:?} {strip:?} case {case} seed {seed}");
        }
    }
}

/// A version that cannot run here would be left out of the walk without a word.
#[test]
fn every_compiled_version_runs_here() {
    let expected: &[Level] = match std::env::consts::ARCH {
        "x86_64" => &[Level::Scalar, Level::Avx2],
        "aarch64" => &[Level::Scalar, Level::Neon],
        _ => &[Level::Scalar],
    };
    let levels: Vec<Level> = Kernels::available().iter().map(Kernels::level).collect();
    assert_eq!(levels, expected, "run on a processor that has them all");
}

#[test]
fn the_largest_sums_fit() {
    let (white, dark) = (Area::of(48, CELL, |_, _| 255), Area::of(48, CELL, |_, _| 0));
    let lit = band(&white, &dark, 0);
    for set in Kernels::available() {
        let cell = look(&set, &lit).0[1];
        assert_eq!((cell.sum, cell.sad, cell.min, cell.max), (65_280, 65_280, 255, 255), "{set:?}");
    }
    let checks = Area::of(48, CELL, |x, y| if (x + y) % 2 == 0 { 255 } else { 0 });
    let checked = band(&checks, &dark, 0);
    for set in Kernels::available() {
        let cell = look(&set, &checked).0[1];
        assert_eq!((cell.across, cell.down), (15 * 16 * 255, 15 * 16 * 255), "{set:?}");
    }
}

#[test]
fn a_glance_sees_part_of_a_look() {
    let (now, before) = (Area::of(50, 10, |x, y| (x * y) as u8), Area::of(50, 10, |x, y| (x * (9 - y)) as u8));
    let band = band(&now, &before, 0);
    for set in Kernels::available() {
        let mut glanced = vec![LumaCell::default(); band.cells()];
        set.glance(&band, &mut glanced);
        let seen = look(&set, &band).0.into_iter().map(|cell| LumaCell { across: 0, down: 0, ..cell });
        assert_eq!(glanced, seen.collect::<Vec<_>>(), "{set:?}");
    }
}

#[test]
fn steps_are_straight_lines_and_nothing_else() {
    // Two cells of two levels with a line between, over a slope of 2 per sample; below two rows of black.
    let level = |x: usize| (x * 2 + if (16..32).contains(&x) { 100 } else { 0 }) as u8;
    let (lines, flat) = (Area::of(48, CELL, |x, _| level(x)), Area::of(48, CELL, |_, _| 0));
    let (under_black, black) = (Area::of(48, 18, |x, y| if y < 2 { 0 } else { level(x) }), Area::of(48, 18, |_, _| 0));
    let (at_the_top, inside) = (band(&lines, &flat, 0), band(&under_black, &black, 2));
    for set in Kernels::available() {
        let (cells, there, new) = look(&set, &at_the_top);
        // 102 up, less 2 of slope; 98 down, less 2.
        assert_eq!(there[..3], [0, 16 * 100, 16 * 96], "{set:?}");
        // Half of it is the difference to flat black, where the slope is 1.
        assert_eq!(new[..3], [0, 16 * 50, 16 * 48], "{set:?}");
        assert!(there[3..].iter().chain(&new[3..]).all(|&sum| sum == 0), "{set:?}");
        // From columns 14 to 29, 15 to 30 and so on: 14 steps of 2 and one of 102.
        assert_eq!((cells[1].across, cells[1].down), (16 * (14 * 2 + 102), 0), "{set:?}");
        let there = look(&set, &inside).1;
        let middle: u16 = (16..32).map(|x| u16::from(level(x))).sum();
        assert_eq!((there[4 * 3 + 1], there[5 * 3 + 1], there[6 * 3 + 1]), (middle, 0, 0), "{set:?}");
    }
}

#[test]
fn the_largest_steps_fit() {
    let (columns, dark) =
        (Area::of(48, CELL, |x, _| if x / 2 % 2 == 0 { 255 } else { 0 }), Area::of(48, CELL, |_, _| 0));
    let band = band(&columns, &dark, 0);
    for set in Kernels::available() {
        let there = look(&set, &band).1;
        assert_eq!([0, 1, 2, 3].map(|line| there[line * 3 + 1]), [4080; 4], "{set:?}");
    }
}

#[test]
fn a_version_is_chosen_by_name_or_refused() {
    assert_eq!("scalar".parse::<Kernels>().map(|set| set.level()), Ok(Level::Scalar));
    let error = "sse9".parse::<Kernels>().expect_err("no such set").to_string();
    assert!(error.contains("sse9") && error.contains("scalar"), "{error}");
}
