//! Strips of a picture from top to bottom, kept for some pictures: enough to see how its rows lie in time.

use crate::frame::Plane;
use std::collections::VecDeque;

/// Strips, evenly over the width.
pub(super) const STRIPS: usize = 10;
/// Samples across a strip: one vector of most processors.
pub(super) const ACROSS: usize = 16;
/// Samples of one row in all strips.
pub(super) const ROW: usize = STRIPS * ACROSS;

/// Samples of one row of a strip.
pub(super) type Bit = [u8; ACROSS];

/// The strips of one picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Strips {
    rows: Vec<[Bit; STRIPS]>,
}

impl Strips {
    /// Copies them from `plane`; `None` where it is too narrow to hold them.
    pub fn copy(mut self, plane: Plane<'_>) -> Option<Self> {
        let lefts = lefts(plane.width())?;
        self.rows.resize(plane.height(), [[0; ACROSS]; STRIPS]);
        for (to, from) in self.rows.iter_mut().zip(plane.rows()) {
            for (bit, left) in to.iter_mut().zip(lefts) {
                bit.copy_from_slice(&from[left..left + ACROSS]);
            }
        }
        Some(self)
    }

    /// Rows, top first.
    pub fn rows(&self) -> &[[Bit; STRIPS]] {
        &self.rows
    }

    /// Row `y` of all strips.
    pub fn row(&self, y: usize) -> &[u8; ROW] {
        // Both are of ROW bytes.
        self.rows[y].as_flattened().first_chunk().unwrap_or(&[0; ROW])
    }
}

/// Left columns of the strips in a picture of `width` columns.
pub(super) fn lefts(width: usize) -> Option<[usize; STRIPS]> {
    let left = |n: usize| (2 * n + 1) * width / (2 * STRIPS) - ACROSS / 2;
    (width >= ROW).then(|| std::array::from_fn(left))
}

/// The strips of the last pictures, newest first, each the next of the one behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pictures: VecDeque<Strips>,
    spare: Vec<Strips>,
}

impl Past {
    /// Puts `now` in front; keeps `most`.
    pub fn push(&mut self, now: Strips, most: usize) {
        self.pictures.push_front(now);
        while self.pictures.len() > most {
            self.spare.extend(self.pictures.pop_back());
        }
    }

    /// Forgets all but their room.
    pub fn clear(&mut self) {
        self.spare.extend(self.pictures.drain(..));
    }

    /// Room of a picture that is no longer needed.
    pub fn room(&mut self) -> Strips {
        self.spare.pop().unwrap_or_default()
    }

    /// The picture `back` pictures before the newest.
    pub fn get(&self, back: usize) -> Option<&Strips> {
        self.pictures.get(back)
    }
}

/// Sum of absolute differences.
#[inline(always)]
pub(super) fn distance<const N: usize>(a: &[u8; N], b: &[u8; N]) -> u32 {
    // Bytes first, sums then: both have an instruction of their own on all processors.
    let apart: [u8; N] = std::array::from_fn(|n| a[n].abs_diff(b[n]));
    apart.iter().map(|&apart| u32::from(apart)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_lie_evenly_and_inside() {
        for width in [160, 161, 320, 640, 1920, 8192] {
            let lefts = lefts(width).expect("wide enough");
            assert!(lefts[STRIPS - 1] + ACROSS <= width, "{width}");
            assert!(lefts.windows(2).all(|pair| pair[1] >= pair[0] + ACROSS), "{width}");
        }
        assert_eq!(lefts(159), None);
    }

    #[test]
    fn the_past_keeps_so_many_and_reuses_their_room() {
        let data = vec![7; 320];
        let plane = Plane::new(&data, 160, 2, 160).expect("it fits");
        let mut past = Past::default();
        for _ in 0..5 {
            let strips = past.room().copy(plane).expect("wide enough");
            past.push(strips, 3);
        }
        assert!(past.get(2).is_some() && past.get(3).is_none());
        assert_eq!(past.get(0).map(|strips| strips.row(1)[ROW - 1]), Some(7));
    }
}
