//! Planes that are used again: new memory for each picture would cost more than filling it.

use crate::frame::Samples;
use std::sync::{Arc, Mutex};

/// Sets of planes kept: one to write, one that is looked at, one that is compared with, one for evidence.
const KEPT: usize = 4;

type Planes = [Vec<u8>; 3];

/// Planes of one size.
#[derive(Clone)]
pub(super) struct Pool {
    free: Arc<Mutex<Vec<Planes>>>,
    widths: [usize; 3],
    heights: [usize; 3],
}

/// A set of planes, without padding; goes back when it is dropped.
pub(super) struct Pooled {
    planes: Planes,
    widths: [usize; 3],
    home: Arc<Mutex<Vec<Planes>>>,
}

impl Pool {
    /// Width 0: no such plane.
    pub(super) fn new(widths: [usize; 3], heights: [usize; 3]) -> Self {
        Self { free: Arc::default(), widths, heights }
    }

    /// Planes with anything in them.
    pub(super) fn take(&self) -> Pooled {
        let free = self.free.lock().ok().and_then(|mut free| free.pop());
        let planes = free.unwrap_or_else(|| [0, 1, 2].map(|n| vec![0; self.widths[n] * self.heights[n]]));
        Pooled { planes, widths: self.widths, home: self.free.clone() }
    }
}

impl Pooled {
    /// Row `y` of one plane.
    pub(super) fn row_mut(&mut self, plane: usize, y: usize) -> &mut [u8] {
        let width = self.widths[plane];
        &mut self.planes[plane][y * width..][..width]
    }

    /// Row `y` of all planes; of those that have fewer rows none.
    pub(super) fn rows_mut(&mut self, y: usize) -> [&mut [u8]; 3] {
        let [a, b, c] = self.widths;
        let [luma, cb, cr] = &mut self.planes;
        [(luma, a), (cb, b), (cr, c)]
            .map(|(plane, width)| plane.get_mut(y * width..(y + 1) * width).unwrap_or_default())
    }
}

impl Samples for Pooled {
    fn plane(&self, index: usize) -> Option<(&[u8], usize)> {
        Some((self.planes.get(index)?, self.widths[index]))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Ok(mut free) = self.home.lock()
            && free.len() < KEPT
        {
            free.push(std::mem::take(&mut self.planes));
        }
    }
}
