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

/// A run of samples somewhere inside a larger buffer, so that starts are unaligned and neighbours differ.
struct Rows {
    data: Vec<u8>,
    offset: usize,
    stride: usize,
    width: usize,
    count: usize,
}

impl Rows {
    fn new(chance: &mut Chance, width: usize, count: usize) -> Self {
        let (offset, stride) = (chance.below(33), width + chance.below(40));
        let mut data = vec![0; offset + stride * count];
        chance.fill(&mut data);
        Self { data, offset, stride, width, count }
    }
    fn all(&self) -> Vec<&[u8]> {
        (0..self.count).map(|y| &self.data[self.offset + y * self.stride..][..self.width]).collect()
    }
}

#[test]
fn every_version_agrees_with_the_reference() {
    let seed = seed();
    let mut chance = Chance(seed);
    for case in 0..1500 {
        let width = 1 + chance.below(if case % 60 == 0 { 8192 } else { 150 });
        let count = 1 + chance.below(CELL);
        let (now, before) = (Rows::new(&mut chance, width, count), Rows::new(&mut chance, width, count));
        let mut band = Band::new(now.all().into_iter().zip(before.all())).expect("rows of one width");
        let above = (Rows::new(&mut chance, width, 2), Rows::new(&mut chance, width, 2));
        if case % 4 > 0 {
            let pairs = [0, 1].map(|y| (above.0.all()[y], above.1.all()[y]));
            band = band.below(pairs).expect("rows of one width");
        }
        let step = [8, 16][chance.below(2)];
        let run = |set: &Kernels| {
            let mut cells = vec![LumaCell { sum: 77, ..LumaCell::default() }; band.cells()];
            let mut sums = vec![77; width.div_ceil(step)];
            set.luma(&band, &mut cells);
            set.sums(&now.all(), step, &mut sums);
            (cells, sums)
        };
        let reference = run(&scalar::KERNELS);
        for set in Kernels::available() {
            assert_eq!(run(&set), reference, "{set:?} width {width} rows {count} step {step} case {case} seed {seed}");
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
    let white = [255_u8; CELL * 3];
    let dark = [0_u8; CELL * 3];
    let band = Band::new(std::iter::repeat_n((&white[..], &dark[..]), CELL)).expect("rows of one width");
    for set in Kernels::available() {
        let mut cells = [LumaCell::default(); 3];
        set.luma(&band, &mut cells);
        assert_eq!((cells[1].sum, cells[1].squares, cells[1].sad), (65_280, 16_646_400, 65_280), "{set:?}");
    }
}

#[test]
fn steps_are_straight_lines_and_nothing_else() {
    // Two cells of two levels with a line between, over a slope of 2 per sample.
    let row: Vec<u8> = (0..48).map(|x| x * 2 + if (16..32).contains(&x) { 100 } else { 0 }).collect();
    let flat = [0_u8; 48];
    let band = Band::new(std::iter::repeat_n((&row[..], &flat[..]), CELL)).expect("rows of one width");
    let over_black = band.below([(&flat, &flat); 2]).expect("rows of one width");
    for set in Kernels::available() {
        let mut cells = [LumaCell::default(); 3];
        set.luma(&band, &mut cells);
        // 102 up, less 2 of slope; 98 down, less 2.
        assert_eq!(cells.map(|cell| cell.steps.left[0]), [0, 16 * 100, 16 * 96], "{set:?}");
        // Half of it is the difference to flat black, where the slope is 1.
        assert_eq!(cells.map(|cell| cell.jumps.left[0]), [0, 16 * 50, 16 * 48], "{set:?}");
        assert!(cells.iter().all(|cell| cell.steps.left[1..] == [0; 3] && cell.steps.top == [0; 4]), "{set:?}");
        set.luma(&over_black, &mut cells);
        let middle: u16 = row[16..32].iter().map(|&s| u16::from(s)).sum();
        assert_eq!(cells[1].steps.top, [middle, 0, 0, 0], "{set:?}");
    }
}

#[test]
fn the_largest_steps_fit() {
    let columns: Vec<u8> = (0..48).map(|x| if x / 2 % 2 == 0 { 255 } else { 0 }).collect();
    let dark = [0_u8; 48];
    let band = Band::new(std::iter::repeat_n((&columns[..], &dark[..]), CELL)).expect("rows of one width");
    for set in Kernels::available() {
        let mut cells = [LumaCell::default(); 3];
        set.luma(&band, &mut cells);
        assert_eq!(cells[1].steps.left, [4080; 4], "{set:?}");
    }
}

#[test]
fn a_version_is_chosen_by_name_or_refused() {
    assert_eq!("scalar".parse::<Kernels>().map(|set| set.level()), Ok(Level::Scalar));
    let error = "sse9".parse::<Kernels>().expect_err("no such set").to_string();
    assert!(error.contains("sse9") && error.contains("scalar"), "{error}");
}
