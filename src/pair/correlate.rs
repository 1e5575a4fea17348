//! How far one series lies behind another: normalised cross-correlation, its peak, and what else comes near it.

/// A peak of the correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Places by which the second lies behind the first, with a fraction.
    pub lag: f64,
    /// Correlation there, -1 to 1.
    pub height: f64,
    /// The highest further away than `apart` places; -1 where there is nothing further away.
    pub second: f64,
}

/// Correlation of `window` with `long` from each place on: `long` holds N - 1 values more than `window`, and N are
/// told. Values may be of several dimensions, side by side.
pub fn correlate(long: &[f32], window: &[f32], width: usize, out: &mut Vec<f32>) {
    out.clear();
    let power = dot(window, window);
    if window.is_empty() {
        return;
    }
    for part in long.windows(window.len()).step_by(width.max(1)) {
        let other = dot(part, part);
        let both = (power * other).sqrt();
        out.push(if both > 0.0 { dot(part, window) / both } else { 0.0 });
    }
}

/// The peak of `heights`; places nearer than `apart` belong to it.
pub fn peak(heights: &[f32], apart: usize) -> Option<Peak> {
    let (at, height) = heights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let far = |place: &usize| place.abs_diff(at) > apart;
    let second = (0..heights.len()).filter(far).map(|place| heights[place]).fold(-1.0, f32::max);
    // A parabola through the peak and its neighbours.
    let fraction = match (at.checked_sub(1).map(|before| heights[before]), heights.get(at + 1)) {
        (Some(before), Some(after)) => {
            let bend = before - 2.0 * height + after;
            if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 }
        }
        _ => 0.0,
    };
    Some(Peak { lag: at as f64 + f64::from(fraction), height: f64::from(*height), second: f64::from(second) })
}

/// In eight sums side by side, which the compiler makes SIMD of and which are the same on every machine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a8.iter().zip(b8) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise between -1 and 1.
    pub fn noise(length: usize) -> Vec<f32> {
        let mut state = 1_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn a_shifted_series_is_found_at_its_place() {
        let (long, mut heights) = (noise(600), Vec::new());
        correlate(&long, &long[237..437], 1, &mut heights);
        let found = peak(&heights, 5).expect("a peak");
        assert_eq!(heights.len(), 401);
        assert!((found.lag - 237.0).abs() < 0.05 && found.height > 0.999 && found.second < 0.5, "{found:?}");
        // Values of four dimensions: whole places alone.
        correlate(&long, &long[200..400], 4, &mut heights);
        assert_eq!(peak(&heights, 5).map(|found| found.lag.round()), Some(50.0));
    }

    #[test]
    fn fractions_are_told() {
        let wave = |at: f64| (-(at - 150.0) * (at - 150.0) / 200.0).exp() as f32;
        let long: Vec<f32> = (0..300).map(|n| wave(f64::from(n))).collect();
        let window: Vec<f32> = (0..100).map(|n| wave(f64::from(n) + 100.3)).collect();
        let mut heights = Vec::new();
        correlate(&long, &window, 1, &mut heights);
        let found = peak(&heights, 40).expect("a peak");
        assert!((found.lag - 100.3).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn nothing_is_no_peak() {
        assert_eq!(peak(&[], 3), None);
        let mut heights = Vec::new();
        correlate(&[0.0; 20], &[0.0; 10], 1, &mut heights);
        assert_eq!(peak(&heights, 3).map(|found| found.height), Some(0.0));
    }
}
