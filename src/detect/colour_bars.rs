//! Colour bars on air: SMPTE ECR 1, RP 219 and EBU bars, still or moving sideways.
//!
//! All of them have, over the whole width, upright stripes of one width in the order yellow, cyan, green, magenta, red,
//! blue (ITU-R BT.471), which no programme has.

use super::{Defect, Levels, Observation, Presence, Severity};
use crate::features::{Depth, VideoFeatures};

/// Share of the picture's height that the bars cover, %: they are 58 % high in RP 219, and may lie in a letterbox.
pub(super) const LEVELS: Levels = Levels { raise: 40.0, clear: 25.0 };
/// A row belongs to the bars when this share of its tiles is as in the longest run of rows: a box with the name of the
/// studio lies over a part of it.
const ROW_SHARE: f32 = 2.0 / 3.0;
/// A tile is as there when it differs by no more than this many times what rows may differ on average.
const TILE_ALIKE: f32 = 3.0;
/// Rows of tiles show the same when they differ by less than this on average, code values, ...
const ROWS_ALIKE: f32 = 2.0;
/// ... and what noise adds for tiles of at least 256 samples: 1.128 x sqrt(2 / 256).
const ROWS_NOISE: f32 = 0.1;
/// Hues in their order, as angles in the plane of Cb and Cr, degrees: the middle between ITU-R BT.601 and BT.709.
const HUES: [f32; 6] = [173.0, 286.0, 231.0, 51.0, 106.0, 353.0];
/// How far a hue may be off: half of what is between neighbours.
const HUE_OFF: f32 = 22.0;
/// Least chroma of a bar: 75 % bars have 60 to 90 code values, and coders and set-ups take little of it.
const CHROMA_MIN: f32 = 25.0;
/// How the six colours lie: parts of the width before them, and in all. EBU and BT.471 (white before, black after),
/// SMPTE ECR 1 (grey before), and RP 219 (an eighth of grey on either side of seven bars).
const LAYOUTS: [(f32, f32, f32); 3] = [(1.0, 8.0, 1.0), (1.0, 7.0, 1.0), (7.0 / 6.0 + 1.0, 28.0 / 3.0, 1.0)];

/// Judges each picture by itself.
#[derive(Clone, Debug, Default)]
pub struct ColourBars;

/// Mean colour of a column of tiles.
#[derive(Clone, Copy, Debug, Default)]
struct Colour {
    luma: f32,
    cb: f32,
    cr: f32,
}

/// Most tiles in a row.
const COLUMNS: usize = 32;

impl ColourBars {
    /// Looks at one picture.
    pub fn observe(&self, features: &VideoFeatures) -> Observation {
        let share = if features.depth == Depth::Full { bars(features) } else { 0.0 };
        Observation {
            presence: if features.depth == Depth::Full { LEVELS.judge(share) } else { Presence::Unclear },
            severity: Severity::Critical,
            value: share,
            threshold: LEVELS.raise,
            unit: "%",
            levels: (features.depth == Depth::Full).then_some(LEVELS),
            phrase: "colour bars are on air",
            ..Observation::of(Defect::ColourBars)
        }
    }
}

/// Share of the height that bars cover, %.
fn bars(features: &VideoFeatures) -> f64 {
    let coarse = &features.coarse;
    if coarse.cb.is_empty() || coarse.columns < 8 {
        return 0.0;
    }
    let alike = ROWS_ALIKE + ROWS_NOISE * features.noise as f32;
    let (from, rows) = longest_run(coarse.rows, |row| {
        let rows = |plane: &[f32]| {
            let (above, here) = plane[(row - 1) * coarse.columns..].split_at(coarse.columns);
            above.iter().zip(here).map(|(a, b)| (a - b).abs()).sum::<f32>() / coarse.columns as f32
        };
        rows(&coarse.luma) <= alike && rows(&coarse.cb) <= alike && rows(&coarse.cr) <= alike
    });
    let share = 100.0 * rows as f64 / coarse.rows as f64;
    if share < LEVELS.clear {
        return 0.0;
    }
    let mut columns = [Colour::default(); COLUMNS];
    for row in from..from + rows {
        for (column, colour) in columns[..coarse.columns].iter_mut().enumerate() {
            let at = row * coarse.columns + column;
            colour.luma += coarse.luma[at] / rows as f32;
            colour.cb += (coarse.cb[at] - 128.0) / rows as f32;
            colour.cr += (coarse.cr[at] - 128.0) / rows as f32;
        }
    }
    if !are_bars(&columns[..coarse.columns]) {
        return 0.0;
    }
    let belongs = |row: &usize| {
        let near = |column: &usize| {
            let (at, colour) = (row * coarse.columns + column, columns[*column]);
            let off =
                [coarse.luma[at] - colour.luma, coarse.cb[at] - 128.0 - colour.cb, coarse.cr[at] - 128.0 - colour.cr];
            off.iter().all(|off| off.abs() <= TILE_ALIKE * alike)
        };
        (0..coarse.columns).filter(near).count() as f32 >= ROW_SHARE * coarse.columns as f32
    };
    100.0 * (0..coarse.rows).filter(belongs).count().max(rows) as f64 / coarse.rows as f64
}

/// First row and number of rows of the longest run in which each row is like the one above.
fn longest_run(rows: usize, mut like_above: impl FnMut(usize) -> bool) -> (usize, usize) {
    let (mut best, mut from) = ((0, 0), 0);
    for row in 0..rows {
        if row > 0 && !like_above(row) {
            from = row;
        }
        if row + 1 - from > best.1 {
            best = (from, row + 1 - from);
        }
    }
    best
}

/// Whether the six colours stand in their order somewhere, wrapped around at the edges (bars that move).
fn are_bars(columns: &[Colour]) -> bool {
    LAYOUTS.into_iter().any(|(before, parts, width)| {
        let bar = columns.len() as f32 / parts * width;
        (0..columns.len()).any(|shift| {
            let place = |n: usize| before * bar + (n as f32 + 0.5) * bar + shift as f32;
            let colour = |n: usize| columns[place(n) as usize % columns.len()];
            (0..HUES.len()).all(|n| has_hue(colour(n), HUES[n])) && darken((0..HUES.len()).map(|n| colour(n).luma))
        })
    })
}

fn has_hue(colour: Colour, hue: f32) -> bool {
    let off = (colour.cr.atan2(colour.cb).to_degrees() - hue).rem_euclid(360.0);
    colour.cb.hypot(colour.cr) >= CHROMA_MIN && off.min(360.0 - off) <= HUE_OFF
}

/// Bars stand in order of their luma.
fn darken(mut lumas: impl Iterator<Item = f32>) -> bool {
    let Some(mut last) = lumas.next() else { return false };
    lumas.all(|luma| std::mem::replace(&mut last, luma) > luma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer};

    /// 75 % bars of BT.601: luma, Cb, Cr of white to black.
    const BARS: [(f64, u8, u8); 8] = [
        (180.0, 128, 128),
        (162.0, 44, 142),
        (131.0, 156, 44),
        (112.0, 72, 58),
        (84.0, 184, 198),
        (65.0, 100, 212),
        (35.0, 212, 114),
        (16.0, 128, 128),
    ];

    fn said(picture: &Picture) -> (Presence, f64) {
        let mut analyzer = analyzer();
        analyzer.analyze(picture.frame(0));
        let said = ColourBars.observe(analyzer.analyze(picture.frame(1)));
        (said.presence, said.value)
    }

    fn bars(shift: usize, count: usize, high: usize) -> Picture {
        let at = move |x: usize| BARS[(x + shift) % 320 * count / 320];
        Picture::new(move |x, y| if y < high { at(x).0 } else { 30.0 + (x % 50) as f64 })
            .colours(move |x, y| if y < high { (at(x).1, at(x).2) } else { (128, 128) })
    }

    #[test]
    fn bars_of_all_kinds_are_bars() {
        assert_eq!(said(&bars(0, 8, 192)), (Presence::Present, 100.0));
        assert_eq!(said(&bars(0, 7, 128)).0, Presence::Present, "SMPTE, the lower third is another");
        assert_eq!(said(&bars(0, 8, 192).noise(6.0, 3)).0, Presence::Present);
        let named = bars(0, 8, 192).over(|x, y| ((100..200).contains(&x) && (64..80).contains(&y)).then_some(16.0));
        let named = named.below(128, &Picture::new(|x, _| 30.0 + (x % 50) as f64));
        assert_eq!(said(&named).0, Presence::Present, "a box with a name over SMPTE bars");
        for shift in [13, 100, 250] {
            assert_eq!(said(&bars(shift, 8, 192)).0, Presence::Present, "moved by {shift}");
        }
        let hd = |x: usize| if (40..280).contains(&x) { BARS[(x - 40) * 7 / 240] } else { (100.0, 128, 128) };
        let picture = Picture::new(move |x, _| hd(x).0).colours(move |x, _| (hd(x).1, hd(x).2));
        assert_eq!(said(&picture).0, Presence::Present);
    }

    #[test]
    fn other_stripes_are_no_bars() {
        let hues: [(u8, u8); 6] = [(100, 212), (44, 142), (72, 58), (156, 44), (212, 114), (184, 198)];
        let rainbow = Picture::new(|x, _| 200.0 - (x / 54) as f64 * 20.0).colours(move |x, _| hues[(x / 54).min(5)]);
        assert_eq!(said(&rainbow).0, Presence::Absent);
        assert_eq!(said(&Picture::hills(3.0)).0, Presence::Absent);
        let grey = Picture::new(|x, _| 200.0 - (x / 40) as f64 * 20.0);
        assert_eq!(said(&grey).0, Presence::Absent);
    }
}
