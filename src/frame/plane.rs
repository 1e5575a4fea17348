//! A borrowed plane of 8-bit samples.

/// `height` rows of `width` 8-bit samples, `stride` bytes apart. Only visible samples can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl<'a> Plane<'a> {
    /// Widest row that kernels handle: their per-cell and per-column sums fit their types because of it.
    pub const WIDTH_MAX: usize = 8192;

    /// `None` unless `data` holds `height` rows of `width` samples (both at least 1) at `stride`.
    pub fn new(data: &'a [u8], width: usize, height: usize, stride: usize) -> Option<Self> {
        let fits = (1..=Self::WIDTH_MAX).contains(&width)
            && (1..=Self::WIDTH_MAX).contains(&height)
            && width <= stride
            && (height - 1) * stride + width <= data.len();
        fits.then_some(Self { data, width, height, stride })
    }
    /// Samples in a row.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }
    /// Row `y`, counted from the top; panics when `y` is not below `height` (our mistake, never the data's).
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height);
        &self.data[y * self.stride..y * self.stride + self.width]
    }
    /// Bytes from a row to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }
    /// All bytes from the start of row `y` on, with what lies between the rows; empty below the picture.
    pub fn bytes_from(&self, y: usize) -> &'a [u8] {
        self.data.get(y * self.stride..).unwrap_or_default()
    }
    /// All rows, top first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let plane = *self;
        (0..self.height).map(move |y| plane.row(y))
    }
}

#[cfg(test)]
mod tests {
    use super::Plane;

    #[test]
    fn a_plane_refuses_what_its_data_cannot_hold() {
        let data = [0_u8; 20];
        assert!(Plane::new(&data, 4, 4, 5).is_some());
        assert!(Plane::new(&data, 5, 4, 5).is_some());
        assert!(Plane::new(&data, 6, 4, 5).is_none());
        assert!(Plane::new(&data, 5, 5, 5).is_none());
        assert!(Plane::new(&data, 0, 1, 5).is_none());
    }
}
