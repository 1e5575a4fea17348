//! Two fields that come in a buffer each, put together to a picture.

/// So many fields in a row without the other one of the same number: the driver counts fields and not pictures.
const LONELY_MAX: u32 = 6;

/// What becomes of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<T> {
    /// It is written into new planes and waits for the other one. With it, what waited in vain.
    Waits { dropped: bool },
    /// It completes this one, which came earlier.
    Completes(T),
}

/// Follows the fields of one stream. `T` is what waits of a picture.
#[derive(Debug)]
pub(super) struct Pairing<T> {
    waiting: Option<(u32, bool, T)>,
    lonely: u32,
}

impl<T> Default for Pairing<T> {
    fn default() -> Self {
        Self { waiting: None, lonely: 0 }
    }
}

impl<T> Pairing<T> {
    /// The picture that a field of this number belongs to.
    pub(super) fn number(&self, sequence: u32) -> u32 {
        if self.counts_fields() { sequence / 2 } else { sequence }
    }

    /// Takes in a field. Those that wait are given with [`Pairing::wait`].
    pub(super) fn next(&mut self, sequence: u32, bottom: bool) -> Step<T> {
        let each = self.counts_fields();
        match self.waiting.take() {
            Some((first, other, picture))
                if other != bottom && (first == sequence || each && first.wrapping_add(1) == sequence) =>
            {
                if first == sequence {
                    self.lonely = 0;
                }
                Step::Completes(picture)
            }
            waited => {
                self.lonely = self.lonely.saturating_add(u32::from(waited.is_some()));
                Step::Waits { dropped: waited.is_some() }
            }
        }
    }

    /// The first field of a picture waits.
    pub(super) fn wait(&mut self, sequence: u32, bottom: bool, picture: T) {
        self.waiting = Some((sequence, bottom, picture));
    }

    fn counts_fields(&self) -> bool {
        self.lonely >= LONELY_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures that come of fields, as the number of the field that came first.
    fn pictures(fields: &[(u32, bool)]) -> Vec<u32> {
        let mut pairing = Pairing::default();
        let complete = fields.iter().filter_map(|&(sequence, bottom)| match pairing.next(sequence, bottom) {
            Step::Completes(first) => Some(first),
            Step::Waits { .. } => {
                pairing.wait(sequence, bottom, sequence);
                None
            }
        });
        complete.collect()
    }

    #[test]
    fn fields_of_one_number_make_a_picture() {
        assert_eq!(pictures(&[(0, false), (0, true), (1, false), (1, true)]), [0, 1]);
        assert_eq!(pictures(&[(0, true), (0, false)]), [0], "the lower one first");
    }

    #[test]
    fn a_field_that_lost_its_other_one_is_no_picture() {
        assert_eq!(pictures(&[(0, false), (1, false), (1, true), (2, true), (3, false), (3, true)]), [1, 3]);
    }

    #[test]
    fn drivers_that_count_fields_are_understood_after_some() {
        let fields: Vec<(u32, bool)> = (0..40).map(|n| (n, n % 2 == 1)).collect();
        let pictures = pictures(&fields);
        assert!(pictures.len() >= 16, "{pictures:?}");
    }
}
