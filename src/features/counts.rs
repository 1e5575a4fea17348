//! Ranks among values that were counted.

/// The value that stands at `rank`, counted from 0, when all values are put in order; `None` when there are no more
/// than `rank`. `counts` has one place for each value.
pub fn at_rank(counts: &[u32; 256], rank: u32) -> Option<usize> {
    let mut below = 0;
    counts.iter().position(|&count| {
        below += count;
        below > rank
    })
}

#[cfg(test)]
mod tests {
    use super::at_rank;

    #[test]
    fn values_stand_in_order() {
        let mut counts = [0; 256];
        (counts[7], counts[9]) = (2, 1);
        let ranked = [0, 1, 2, 3].map(|rank| at_rank(&counts, rank));
        assert_eq!(ranked, [Some(7), Some(7), Some(9), None]);
    }
}
