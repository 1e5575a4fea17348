//! The known name that a mistyped one was meant to be.

/// Names further away than a third of their length are another word, not a slip.
const SHARE_OF_LENGTH: usize = 3;

/// The nearest of `known`, when it is near enough for a slip.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('-', "_");
    let most = typed.chars().count().div_ceil(SHARE_OF_LENGTH);
    let by_distance = known.into_iter().map(|name| (distance(&typed, &name.to_lowercase()), name));
    by_distance.filter(|(far, _)| *far <= most).min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// Insertions, deletions, substitutions and swaps of neighbours between `a` and `b` (optimal string alignment,
/// Damerau 1964).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differ = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differ);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let known = ["site", "name", "keep_alive", "state_dir", "url"];
        assert_eq!(nearest("sitee", known), Some("site"));
        assert_eq!(nearest("keepalive", known), Some("keep_alive"));
        assert_eq!(nearest("state-dir", known), Some("state_dir"));
        assert_eq!(nearest("ulr", known), Some("url"));
        assert_eq!(nearest("Site", known), Some("site"));
        assert_eq!(nearest("volume", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn distance_counts_single_slips() {
        assert_eq!(distance("freeze", "freeze"), 0);
        assert_eq!(distance("freze", "freeze"), 1);
        assert_eq!(distance("ferese", "freeze"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
