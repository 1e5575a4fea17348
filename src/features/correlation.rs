//! How much two pictures look alike.

/// Correlation of two rows of numbers (Pearson).
#[derive(Clone, Copy, Debug, Default)]
pub struct Correlation {
    count: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

/// Sums that go on side by side, as processors like it.
const LANES: usize = 4;

impl Correlation {
    /// Of two rows of one length.
    pub fn of(a: &[f32], b: &[f32]) -> Self {
        let mut lanes = [[0.0_f64; LANES]; 5];
        let ((a4, a_rest), (b4, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a4.iter().zip(b4) {
            for n in 0..LANES {
                let (a, b) = (f64::from(a[n]), f64::from(b[n]));
                lanes[0][n] += a;
                lanes[1][n] += b;
                lanes[2][n] += a * a;
                lanes[3][n] += b * b;
                lanes[4][n] += a * b;
            }
        }
        let [a, b, aa, bb, ab] = lanes.map(|lane| lane.iter().sum());
        let mut all = Self { count: (a4.len() * LANES) as f64, a, b, aa, bb, ab };
        a_rest.iter().zip(b_rest).for_each(|(&a, &b)| all.add(f64::from(a), f64::from(b)));
        all
    }
    /// One more pair.
    pub fn add(&mut self, a: f64, b: f64) {
        self.count += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
    }
    /// Standard deviation of the less varied row.
    pub fn deviation(&self) -> f64 {
        let variance = |sum: f64, squares: f64| (squares - sum * sum / self.count.max(1.0)) / self.count.max(1.0);
        variance(self.a, self.aa).min(variance(self.b, self.bb)).max(0.0).sqrt()
    }
    /// -1 to 1; 1 where one of them does not vary.
    pub fn value(&self) -> f64 {
        let (va, vb) = (self.count * self.aa - self.a * self.a, self.count * self.bb - self.b * self.b);
        let product = va * vb;
        if product > 0.0 { (self.count * self.ab - self.a * self.b) / product.sqrt() } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Correlation;

    fn of(pairs: &[(f64, f64)]) -> f64 {
        let mut correlation = Correlation::default();
        pairs.iter().for_each(|&(a, b)| correlation.add(a, b));
        correlation.value()
    }

    #[test]
    fn side_by_side_is_one_after_the_other() {
        let row = |by: usize| (0..23).map(|n| (n * by % 17) as f32).collect::<Vec<f32>>();
        let (a, b) = (row(5), row(7));
        let pairs: Vec<(f64, f64)> = a.iter().zip(&b).map(|(&a, &b)| (f64::from(a), f64::from(b))).collect();
        assert!((Correlation::of(&a, &b).value() - of(&pairs)).abs() < 1e-12);
    }

    #[test]
    fn alike_opposite_and_flat() {
        assert!((of(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]) - 1.0).abs() < 1e-12);
        assert!((of(&[(1.0, 6.0), (2.0, 4.0), (3.0, 2.0)]) + 1.0).abs() < 1e-12);
        assert_eq!(of(&[(1.0, 5.0), (2.0, 5.0)]), 1.0);
        assert_eq!(of(&[]), 1.0);
        let both = Correlation::of(&[1.0, 3.0], &[5.0, 1.0]);
        assert_eq!((both.deviation(), Correlation::default().deviation()), (1.0, 0.0));
    }
}
