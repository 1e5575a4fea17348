//! Pictures that look from afar like programmes, and what defects make of them. Nothing is downloaded, nothing is random.

use crate::chance::Chance;
use picket::detect::Defect;
use std::collections::BTreeMap;

const WIDTH: usize = 480;
const HEIGHT: usize = 270;
const QUALITIES: [u8; 5] = [62, 50, 35, 15, 3];
/// Programmes; each looks different in hue and horizon.
pub const SCENES: u8 = 24;

type Rgb = [f32; 3];

/// JPEGs by scene and defect: made once, shared by all devices that show them.
#[derive(Default)]
pub struct Pictures(BTreeMap<(u8, Option<Defect>), Vec<u8>>);

impl Pictures {
    /// As evidence: with a defect, the picture from before stands below it in half the width (as `evidence::picture`).
    pub fn of(&mut self, scene: u8, defect: Option<Defect>) -> &[u8] {
        self.0.entry((scene, defect)).or_insert_with(|| {
            let good = drawn(scene);
            let Some(defect) = defect else { return jpeg(&good, HEIGHT) };
            let mut all = spoilt(&good, defect, scene);
            for row in good.chunks_exact(WIDTH).step_by(2) {
                all.extend(row.iter().step_by(2));
                all.extend(std::iter::repeat_n([0.05; 3], WIDTH / 2));
            }
            jpeg(&all, HEIGHT + HEIGHT / 2)
        })
    }
}

/// The first quality that keeps to the limit, as `evidence::picture`.
fn jpeg(pixels: &[Rgb], height: usize) -> Vec<u8> {
    let samples: Vec<u8> = pixels.iter().flatten().map(|v| (v.clamp(0.0, 1.0) * 255.0) as u8).collect();
    let at = |quality| {
        let mut out = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut out, quality);
        encoder.encode(&samples, WIDTH as u16, height as u16, jpeg_encoder::ColorType::Rgb).ok()?;
        (out.len() <= picket::evidence::BYTES_MAX).then_some(out)
    };
    QUALITIES.into_iter().find_map(at).unwrap_or_default()
}

fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|n| a[n] + (b[n] - a[n]) * t)
}

fn hue(turn: f32) -> Rgb {
    [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|shift| 0.5 + 0.5 * (std::f32::consts::TAU * (turn + shift)).cos())
}

/// One of four kinds of programme.
fn drawn(scene: u8) -> Vec<Rgb> {
    let mut chance = Chance::new(1 + u64::from(scene));
    let turn = f32::from(scene) * 0.618;
    let wave: Vec<f32> = (0..6).map(|_| chance.unit() as f32).collect();
    let at = |n: usize| ((n % WIDTH) as f32 / WIDTH as f32, (n / WIDTH) as f32 / HEIGHT as f32);
    let paint = |n: usize| {
        let (x, y) = at(n);
        let grain = ((n * 7919) % 97) as f32 / 97.0 * 0.03;
        let [r, g, b] = match scene % 4 {
            0 => landscape(x, y, turn, &wave),
            1 => studio(x, y, turn, &wave),
            2 => pitch(x, y, &wave),
            _ => city(x, y, turn, &wave),
        };
        [r + grain, g + grain, b + grain]
    };
    (0..WIDTH * HEIGHT).map(paint).collect()
}

fn landscape(x: f32, y: f32, turn: f32, wave: &[f32]) -> Rgb {
    let tint = hue(turn);
    let mut colour = mix(mix([0.12, 0.2, 0.42], tint, 0.35), mix([0.98, 0.72, 0.48], tint, 0.15), y * 1.5);
    let (dx, dy) = ((x - 0.2 - 0.6 * wave[0]) * 1.78, y - 0.36);
    let from_sun = (dx * dx + dy * dy).sqrt();
    colour = mix([1.0, 0.95, 0.82], colour, (from_sun - 0.045) * 9.0);
    for layer in 0..3 {
        let depth = layer as f32;
        let ridge = 0.5
            + 0.13 * depth
            + 0.07 * ((x * (5.0 + depth * 3.0) + wave[1 + layer] * 9.0).sin())
            + 0.03 * ((x * 17.0 + wave[2] * 20.0 + depth).sin());
        if y > ridge {
            colour = mix(mix([0.33, 0.38, 0.5], tint, 0.2), [0.05, 0.09, 0.1], depth / 2.0 + (y - ridge));
        }
    }
    colour
}

fn studio(x: f32, y: f32, turn: f32, wave: &[f32]) -> Rgb {
    let tint = hue(turn);
    let mut colour = mix([0.04, 0.07, 0.16], mix([0.1, 0.25, 0.5], tint, 0.5), 1.0 - y + 0.2 * (x * 6.0).sin());
    let panel = ((x * 9.0 + wave[0]).fract() - 0.5).abs();
    if y < 0.62 && panel > 0.46 {
        colour = mix(colour, [0.7, 0.85, 1.0], 0.5);
    }
    for (centre, size) in [(0.36 + 0.05 * wave[1], 1.0f32), (0.66 + 0.05 * wave[2], 0.94)] {
        let (dx, dy) = ((x - centre) * 1.78 / size, (y - 0.42) / size);
        let (shoulders, head) =
            ((dx / 0.21).powi(2) + ((dy - 0.34) / 0.24).powi(2), (dx / 0.082).powi(2) + (dy / 0.115).powi(2));
        if shoulders < 1.0 {
            colour = mix([0.16, 0.17, 0.24], tint, if dx.abs() < 0.02 { 0.7 } else { 0.18 });
        }
        if head < 1.0 {
            colour = mix([0.86, 0.66, 0.54], [0.45, 0.3, 0.22], if dy < -0.05 { 1.0 } else { dx * 3.0 + 0.2 });
        }
    }
    if y > 0.74 {
        colour = mix([0.55, 0.6, 0.7], [0.12, 0.14, 0.2], (y - 0.74) * 5.0);
    }
    if (0.82..0.93).contains(&y) && (0.06..0.74).contains(&x) {
        let words = ((x * 46.0 + wave[3] * 9.0).sin() + (x * 17.0).sin()) > -0.3 && (0.85..0.9).contains(&y);
        colour = if words { [0.95; 3] } else { mix([0.6, 0.06, 0.1], tint, 0.25) };
    }
    colour
}

fn pitch(x: f32, y: f32, wave: &[f32]) -> Rgb {
    if y < 0.24 {
        let crowd = ((x * 311.0 + (y * 97.0).floor() * 13.7).sin() * 43_758.547).fract().abs();
        return mix([0.1, 0.11, 0.16], hue(crowd + wave[0]), 0.35 * crowd);
    }
    let depth = (y - 0.24) / 0.76;
    let across = (x - 0.5) / (0.35 + 0.65 * depth) + 0.5;
    let stripe = ((across * 9.0).floor() as i32).rem_euclid(2) as f32;
    let mut colour = mix([0.16, 0.42, 0.17], [0.22, 0.52, 0.2], stripe);
    let circle = ((across - 0.5) * 1.8).hypot((depth - 0.42) * 1.5);
    if (circle - 0.24).abs() < 0.008 || (across - 0.5).abs() < 0.003 || (depth - 0.06).abs() < 0.006 {
        colour = [0.86, 0.92, 0.86];
    }
    for n in 0..12 {
        let n = n as f32;
        let (px, py) = ((n * 0.618 + wave[1]).fract(), 0.3 + 0.6 * (n * 0.377 + wave[2]).fract());
        let size = 0.012 + 0.02 * py;
        if (x - px).abs() < size * 0.45 && (py - size * 2.4..py).contains(&y) {
            colour = if n < 6.0 { [0.85, 0.12, 0.14] } else { [0.95, 0.95, 0.98] };
        }
    }
    colour
}

fn city(x: f32, y: f32, turn: f32, wave: &[f32]) -> Rgb {
    let tint = hue(turn + 0.2);
    let mut colour = mix([0.03, 0.04, 0.12], mix([0.5, 0.3, 0.42], tint, 0.3), y * 1.1);
    for (layer, shift) in wave.iter().enumerate().take(2) {
        let count = 13.0 + 7.0 * layer as f32;
        let column = (x * count + shift * 5.0).floor();
        let top = 0.3 + 0.22 * layer as f32 + 0.26 * ((column * 12.99).sin() * 4375.85).fract().abs();
        if y > top {
            colour = mix([0.1, 0.11, 0.2], [0.03, 0.03, 0.07], layer as f32);
            let (wx, wy) = ((x * count * 5.0).fract(), (y * 42.0).fract());
            let lit =
                ((column + (x * count * 5.0).floor() * 7.1 + (y * 42.0).floor() * 3.3).sin() * 9137.1).fract().abs();
            if (0.25..0.75).contains(&wx) && (0.25..0.7).contains(&wy) && lit > 0.55 {
                colour = mix([0.98, 0.8, 0.45], tint, lit - 0.55);
            }
        }
    }
    colour
}

/// What a defect makes of a picture.
fn spoilt(good: &[Rgb], defect: Defect, scene: u8) -> Vec<Rgb> {
    let mut chance = Chance::new(1000 + u64::from(scene));
    let grey = |p: &Rgb| 0.3 * p[0] + 0.59 * p[1] + 0.11 * p[2];
    let place = |n: usize| (n % WIDTH, n / WIDTH);
    let bars: [Rgb; 7] = [
        [0.75; 3],
        [0.75, 0.75, 0.0],
        [0.0, 0.75, 0.75],
        [0.0, 0.75, 0.0],
        [0.75, 0.0, 0.75],
        [0.75, 0.0, 0.0],
        [0.0, 0.0, 0.75],
    ];
    let all = good.iter().enumerate();
    match defect {
        Defect::Black | Defect::StreamLoss => vec![[0.01; 3]; good.len()],
        Defect::SolidColour => vec![[0.05, 0.45, 0.12]; good.len()],
        Defect::ColourBars => all.map(|(n, _)| bars[place(n).0 * 7 / WIDTH]).collect(),
        Defect::Monochrome => good.iter().map(|p| [grey(p); 3]).collect(),
        Defect::Noise => good.iter().map(|p| mix(*p, [chance.unit() as f32; 3], 0.8)).collect(),
        Defect::VideoLevels => good.iter().map(|p| p.map(|v| v * 0.14)).collect(),
        Defect::Blur => {
            all.map(|(n, _)| good[(place(n).1 / 10 * 10).min(HEIGHT - 1) * WIDTH + place(n).0 / 10 * 10]).collect()
        }
        Defect::Letterbox => all.map(|(n, p)| if (40..230).contains(&place(n).1) { *p } else { [0.0; 3] }).collect(),
        Defect::BlockCorruption => {
            let mut out = good.to_vec();
            for _ in 0..70 {
                let (x, y) = (chance.below(WIDTH as u64 / 16) as usize * 16, (6 + chance.below(10) as usize) * 16);
                let from = (y.saturating_sub(48)) * WIDTH + (x * 5 + 64) % (WIDTH - 32);
                for row in 0..16.min(HEIGHT - y) {
                    let (to, from) = ((y + row) * WIDTH + x, from + row * WIDTH);
                    out[to..to + 16].copy_from_slice(&good[from..from + 16]);
                }
            }
            out
        }
        _ => good.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_to_the_contract_and_differ() {
        let mut pictures = Pictures::default();
        let mut seen = std::collections::BTreeSet::new();
        for scene in 0..4 {
            for defect in [None, Some(Defect::Black), Some(Defect::BlockCorruption), Some(Defect::Noise)] {
                let jpeg = pictures.of(scene, defect);
                assert!((1000..=32 << 10).contains(&jpeg.len()), "{} bytes", jpeg.len());
                assert!(seen.insert(jpeg.to_vec()));
            }
        }
    }
}
