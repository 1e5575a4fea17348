//! One flat colour: the green of a failed decoder, the blue of a lost input, grey or white of a switcher.

use super::{Defect, Levels, Observation, Presence, Severity};
use crate::features::{Depth, VideoFeatures};
use crate::kernels::LumaCell;

/// Share of the cells that show the colour, %: a logo or a clock may lie over it.
pub(super) const LEVELS: Levels = Levels { raise: 99.0, clear: 95.0 };
/// A cell shows the colour when its mean is this near the median, in code values: coders and generators keep within 1,
/// a sky or a wall without any shade does not exist.
const LUMA_NEAR: f32 = 2.0;
/// As above, of chroma, which coders treat more coarsely.
const CHROMA_NEAR: f32 = 3.0;
/// The mean of 256 samples strays by less than this many standard deviations of their noise: 4 / sqrt(256).
const STRAY: f64 = 0.25;
/// A flat cell has a mean step from sample to sample of at most this, code values, ...
const STEP: f64 = 1.5;
/// ... and what noise adds to it: its sigma times 2 / sqrt(pi), and a little more.
const STEP_NOISE: f64 = 1.3;
/// Or its samples lie this close together, code values: what coders leave of noise stands still between two pictures.
const RESIDUE: u8 = 20;
/// Chroma this near to neutral is no colour.
const NEUTRAL: f32 = 12.0;
/// A neutral picture up to this share of the nominal range is black.
const BLACK: f32 = 0.1;

/// Judges each picture by itself.
#[derive(Clone, Debug, Default)]
pub struct SolidColour {
    sorted: Vec<f32>,
}

impl SolidColour {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let (share, colour) = self.measure(features);
        // Black is a defect of its own, watched or not.
        let (black, white) = features.range.black_white();
        let dark = |luma: f32| luma <= f32::from(black) + BLACK * (f32::from(white) - f32::from(black));
        let is_black = colour.is_none_or(|[_, cb, cr]| is_neutral(cb, cr)) && dark(features.luma_mean as f32);
        let share = if is_black { 0.0 } else { share };
        // A light look cannot tell texture and colour: it can only say that there is none.
        let presence = match (LEVELS.judge(share), features.depth) {
            (Presence::Absent, _) => Presence::Absent,
            (_, Depth::Light) => Presence::Unclear,
            (presence, Depth::Full) => presence,
        };
        Observation {
            presence,
            severity: Severity::Critical,
            value: share,
            threshold: LEVELS.raise,
            unit: "%",
            levels: (features.depth == Depth::Full).then_some(LEVELS),
            phrase: colour.map_or("picture is one flat colour", phrase),
            ..Observation::of(Defect::SolidColour)
        }
    }

    /// Share of the cells that show the most frequent colour, %, and the colour.
    fn measure(&mut self, features: &VideoFeatures) -> (f64, Option<[f32; 3]>) {
        let coarse = &features.coarse;
        let near = LUMA_NEAR + (STRAY * features.noise) as f32;
        let luma = self.median(&coarse.luma);
        // Few tiles tell that most pictures are no single colour.
        let alike = coarse.luma.iter().filter(|&mean| (mean - luma).abs() <= near).count();
        let roughly = 100.0 * alike as f64 / coarse.len().max(1) as f64;
        if roughly < LEVELS.clear {
            return (roughly, None);
        }
        let steps_max = (LumaCell::PAIRS * (STEP + STEP_NOISE * features.noise)).min(f64::from(u16::MAX)) as u16;
        let flat = |index: usize| {
            let cell = &features.cells[index];
            (cell.across <= steps_max && cell.down <= steps_max) || cell.max - cell.min <= RESIDUE
        };
        if features.cb.is_empty() {
            let count = features.means.iter().enumerate().filter(|&(n, mean)| (mean - luma).abs() <= near && flat(n));
            return (100.0 * count.count() as f64 / features.means.len().max(1) as f64, None);
        }
        let (cb, cr) = (self.median(&coarse.cb), self.median(&coarse.cr));
        let close = |mean: u16, to: f32| (f32::from(mean) / 16.0 - to).abs() <= CHROMA_NEAR;
        let colours = features.cb.iter().zip(&features.cr).map(|(&b, &r)| close(b, cb) && close(r, cr));
        let cells = features.means.iter().zip(colours).enumerate();
        let count = cells.filter(|&(n, (mean, colour))| colour && (mean - luma).abs() <= near && flat(n)).count();
        (100.0 * count as f64 / features.means.len().max(1) as f64, Some([luma, cb, cr]))
    }

    fn median(&mut self, values: &[f32]) -> f32 {
        self.sorted.clear();
        self.sorted.extend_from_slice(values);
        let middle = values.len() / 2;
        if values.is_empty() {
            return 0.0;
        }
        *self.sorted.select_nth_unstable_by(middle, f32::total_cmp).1
    }
}

fn is_neutral(cb: f32, cr: f32) -> bool {
    (cb - 128.0).hypot(cr - 128.0) < NEUTRAL
}

/// What a person calls it. Without chroma worth the name it is grey or white; else the nearest hue (ITU-R BT.601).
fn phrase([luma, cb, cr]: [f32; 3]) -> &'static str {
    let (b, r) = (cb - 128.0, cr - 128.0);
    if is_neutral(cb, cr) {
        return if luma > 200.0 { "picture is all white" } else { "picture is all grey" };
    }
    match (r.atan2(b).to_degrees() + 360.0) % 360.0 {
        hue if (25.0..80.0).contains(&hue) => "picture is all magenta",
        hue if (80.0..140.0).contains(&hue) => "picture is all red",
        hue if (140.0..200.0).contains(&hue) => "picture is all yellow",
        hue if (200.0..258.0).contains(&hue) => "picture is all green",
        hue if (258.0..320.0).contains(&hue) => "picture is all cyan",
        _ => "picture is all blue",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer};

    fn said(first: &Picture, second: &Picture) -> Observation {
        let mut analyzer = analyzer();
        analyzer.analyze(first.frame(0));
        SolidColour::default().observe(analyzer.analyze(second.frame(1)))
    }

    #[test]
    fn flat_colours_are_told_by_name_and_noise_does_not_hide_them() {
        for (luma, cb, cr, phrase) in [
            (16.0, 16, 16, "picture is all green"),
            (41.0, 240, 110, "picture is all blue"),
            (126.0, 128, 128, "picture is all grey"),
            (235.0, 128, 128, "picture is all white"),
        ] {
            let flat = |seed| Picture::new(|_, _| luma).chroma(cb, cr).noise(3.0, seed);
            let told = said(&flat(1), &flat(2));
            assert_eq!((told.presence, told.phrase), (Presence::Present, phrase));
        }
    }

    #[test]
    fn noise_that_stands_still_does_not_hide_a_colour() {
        let flat = Picture::new(|_, _| 235.0).noise(2.5, 5);
        assert_eq!(said(&flat, &flat).presence, Presence::Present);
    }

    #[test]
    fn shades_texture_and_many_colours_are_no_single_colour() {
        let sky = Picture::new(|_, y| 170.0 + y as f64 / 12.0);
        assert_eq!(said(&sky, &sky).presence, Presence::Absent);
        let checks = Picture::new(|x, y| if (x / 8 + y / 8) % 2 == 0 { 100.0 } else { 140.0 });
        assert_eq!(said(&checks, &checks).presence, Presence::Absent, "each cell has the same mean");
        let black = Picture::new(|_, _| 20.0);
        assert_eq!(said(&black, &black).presence, Presence::Absent, "it has a name of its own");
        let halves = Picture::new(|_, _| 90.0).colours(|x, _| if x < 160 { (60, 128) } else { (190, 128) });
        assert_eq!(said(&halves, &halves).presence, Presence::Absent);
        assert_eq!(said(&Picture::hills(0.0), &Picture::hills(1.0)).presence, Presence::Absent);
    }

    #[test]
    fn a_small_logo_is_allowed_and_a_title_is_not() {
        let with = |w: usize, h: usize| {
            Picture::new(move |x, y| if x < w && y < h && (x + y) % 3 == 0 { 200.0 } else { 60.0 }).chroma(150, 110)
        };
        assert_eq!(said(&with(30, 14), &with(30, 14)).presence, Presence::Present);
        assert_eq!(said(&with(160, 40), &with(160, 40)).presence, Presence::Absent);
    }
}
