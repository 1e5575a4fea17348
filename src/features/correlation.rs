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

impl Correlation {
    /// One more pair.
    pub fn add(&mut self, a: f64, b: f64) {
        self.count += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
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
    fn alike_opposite_and_flat() {
        assert!((of(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]) - 1.0).abs() < 1e-12);
        assert!((of(&[(1.0, 6.0), (2.0, 4.0), (3.0, 2.0)]) + 1.0).abs() < 1e-12);
        assert_eq!(of(&[(1.0, 5.0), (2.0, 5.0)]), 1.0);
        assert_eq!(of(&[]), 1.0);
    }
}
