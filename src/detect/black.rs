//! Black picture: dark everywhere, flat, without colour, and nothing lit but perhaps a logo.
//!
//! A share of dark samples alone (FFmpeg blackdetect) takes night scenes, credits and a lit object in a dark hall for
//! black. What tells them apart is structure: a black picture has none, whatever its noise.

use super::{Defect, Observation, Presence, Scope, Severity};
use crate::features::{Depth, VideoFeatures, at_rank};
use crate::kernels::CELL;

/// Luma up to this share of the nominal range is dark: what FFmpeg and broadcast QC use (code 37 in limited range).
const DARK: f64 = 0.10;
/// Share of dark samples from which a picture is black, and below which it is not.
const DARK_SHARE: (f64, f64) = (0.98, 0.95);
/// A cell with a sample above this share of the range is lit: text, lamps, faces.
const LIT: f64 = 0.25;
/// Share of lit cells that a logo may have (its usual place is a corner).
const LOGO_SHARE: f64 = 0.03;
/// Spread of cell means, in code values, up to which the ground is flat, and above which it has structure. A cell
/// averages 256 samples, so noise of sigma 8 spreads means by less than 3; hum and shading add a little.
const SPREAD: (u32, u32) = (4, 8);
/// Sensor noise lifts samples over the dark limit: it goes up by so many standard deviations ...
const NOISE_SIGMAS: f64 = 2.0;
/// ... of at most this much noise, in code values; more is snow.
const NOISE_MAX: f64 = 8.0;
/// Chroma this far from neutral on average is a colour: the green of a failed decoder has luma 0 too.
const COLOUR: f64 = 12.0;

/// Judges each picture by itself.
#[derive(Clone, Debug, Default)]
pub struct Black;

impl Black {
    /// Looks at one picture.
    pub fn observe(&self, features: &VideoFeatures) -> Observation {
        let (black, white) = features.range.black_white();
        let span = f64::from(white) - f64::from(black);
        let noise = NOISE_SIGMAS * features.noise.min(NOISE_MAX);
        let dark = features.share_up_to((f64::from(black) + DARK * span + noise) as u8);
        let mut lit = Lit::default();
        let mut presence = Presence::Absent;
        // Most pictures are far from dark, which is all there is to say.
        if dark >= DARK_SHARE.1 {
            lit = Lit::of(features, (f64::from(black) + LIT * span) as u8);
            presence = judge(features, dark, &lit);
        }
        Observation {
            defect: Defect::Black,
            scope: Scope::Picture,
            presence,
            since: None,
            severity: Severity::Critical,
            value: dark * 100.0,
            threshold: DARK_SHARE.0 * 100.0,
            unit: "%",
            confidence: None,
            region: None,
            levels: None,
            phrase: if lit.share > 0.0 { "picture is black but for a logo" } else { "picture is black" },
            change: None,
        }
    }
}

fn judge(features: &VideoFeatures, dark: f64, lit: &Lit) -> Presence {
    let spread = spread_of_unlit(features, lit.limit);
    let neutral = is_neutral(features);
    if lit.share > 2.0 * LOGO_SHARE || spread > SPREAD.1 {
        Presence::Absent
    } else if !neutral {
        // Chroma of a picture before says nothing about this one.
        if features.depth == Depth::Full { Presence::Absent } else { Presence::Unclear }
    } else if dark >= DARK_SHARE.0 && lit.is_at_most_a_logo() && spread <= SPREAD.0 {
        Presence::Present
    } else {
        Presence::Unclear
    }
}

/// Cells with something bright in them.
#[derive(Default)]
struct Lit {
    limit: u8,
    share: f64,
    in_one_corner: bool,
}

impl Lit {
    fn of(features: &VideoFeatures, limit: u8) -> Self {
        let grid = features.grid;
        let (mut count, mut left, mut right, mut top, mut bottom) = (0, true, true, true, true);
        for (index, _) in features.cells.iter().enumerate().filter(|(_, cell)| cell.max > limit) {
            let (column, row) = grid.place(index);
            count += 1;
            left &= (column + 1) * CELL * 3 <= grid.width + 2 * CELL;
            right &= column * CELL * 3 + 2 * CELL >= 2 * grid.width;
            top &= (row + 1) * CELL * 3 <= grid.height + 2 * CELL;
            bottom &= row * CELL * 3 + 2 * CELL >= 2 * grid.height;
        }
        let share = f64::from(count) / grid.len().max(1) as f64;
        Self { limit, share, in_one_corner: (left || right) && (top || bottom) }
    }

    fn is_at_most_a_logo(&self) -> bool {
        self.share == 0.0 || (self.share <= LOGO_SHARE && self.in_one_corner)
    }
}

/// From the 1 % to the 99 % quantile of the means of unlit cells, code values.
fn spread_of_unlit(features: &VideoFeatures, limit: u8) -> u32 {
    let mut counts = [0_u32; 256];
    for (index, _) in features.cells.iter().enumerate().filter(|(_, cell)| cell.max <= limit) {
        counts[features.cell_mean(index) as usize] += 1;
    }
    let all: u32 = counts.iter().sum();
    let quantile = |rank: u32| at_rank(&counts, rank);
    let (low, high) = (quantile(all / 100), quantile(all.saturating_sub(1 + all / 100)));
    (high.unwrap_or(0) - low.unwrap_or(0)) as u32
}

fn is_neutral(features: &VideoFeatures) -> bool {
    let mean = |plane: &[u16]| plane.iter().map(|&mean| f64::from(mean)).sum::<f64>() / 16.0 / plane.len() as f64;
    let near = |plane: &[u16]| plane.is_empty() || (mean(plane) - 128.0).abs() <= COLOUR;
    near(&features.cb) && near(&features.cr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer};

    /// What is said of the second of two pictures, so that noise is known.
    fn said(first: Picture, second: Picture) -> Presence {
        let mut analyzer = analyzer();
        analyzer.analyze(first.frame(0));
        Black.observe(analyzer.analyze(second.frame(1))).presence
    }

    fn twice(luma: impl Fn(usize, usize) -> f64) -> Presence {
        said(Picture::new(&luma), Picture::new(&luma))
    }

    #[test]
    fn flat_dark_pictures_are_black_at_any_level_in_use() {
        for level in [16.0, 18.0, 24.0, 30.0] {
            assert_eq!(twice(|_, _| level), Presence::Present, "{level}");
        }
        assert_eq!(twice(|_, _| 60.0), Presence::Absent);
    }

    #[test]
    fn noise_does_not_hide_black() {
        for sigma in [1.0, 4.0, 8.0] {
            let pair = (Picture::new(|_, _| 24.0).noise(sigma, 1), Picture::new(|_, _| 24.0).noise(sigma, 2));
            assert_eq!(said(pair.0, pair.1), Presence::Present, "{sigma}");
        }
    }

    #[test]
    fn a_logo_in_a_corner_is_allowed_and_text_is_not() {
        assert_eq!(twice(|x, y| if x < 40 && y < 20 { 180.0 } else { 16.0 }), Presence::Present);
        let line = |x: usize, y: usize| if (90..100).contains(&y) && x % 16 < 3 { 200.0 } else { 16.0 };
        assert_ne!(twice(line), Presence::Present, "credits");
    }

    #[test]
    fn a_dark_scene_has_structure() {
        let night = |x: usize, y: usize| 20.0 + 8.0 * ((x / 40 + y / 40) % 2) as f64;
        assert_ne!(twice(night), Presence::Present);
        let pair = (Picture::new(night).noise(4.0, 1), Picture::new(night).noise(4.0, 2));
        assert_ne!(said(pair.0, pair.1), Presence::Present);
    }

    #[test]
    fn green_of_a_failed_decoder_is_no_black() {
        let green = || Picture::new(|_, _| 16.0).chroma(40, 40);
        assert_eq!(said(green(), green()), Presence::Absent);
    }
}
