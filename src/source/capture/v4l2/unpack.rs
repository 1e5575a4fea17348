//! Out of a device's buffer, once, into planes of our own: the buffer may be uncached and goes back at once.

use super::formats::{Depth, Fields, Layout, Packing};
use super::pool::{Pool, Pooled};
use crate::frame::Range;
use crate::kernels::{Kernels, LumaAt};

/// Which rows of a picture a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// All, in order.
    All,
    /// All of the upper field, then all of the lower one; or the other way round.
    Stacked { top_first: bool },
    /// One field.
    Field { bottom: bool },
}

impl Rows {
    /// The row of the picture that row `y` of `rows` in the buffer is.
    fn place(self, y: usize, rows: usize) -> usize {
        match self {
            Rows::All => y,
            Rows::Field { bottom } => 2 * y + usize::from(bottom),
            Rows::Stacked { top_first } => {
                let first = rows.div_ceil(2);
                let (field, within) = if y < first { (0, y) } else { (1, y - first) };
                // With an odd count the upper field has one row more, whichever comes first.
                let bottom = (field == 1) == top_first;
                (2 * within + usize::from(bottom)).min(rows - 1)
            }
        }
    }

    /// Of a layout whose fields come together.
    pub(super) fn of(fields: Fields) -> Self {
        match fields {
            Fields::Stacked { top_first } => Rows::Stacked { top_first },
            _ => Rows::All,
        }
    }
}

/// One component as it lies in a buffer.
struct Area<'a> {
    bytes: &'a [u8],
    stride: usize,
    row_bytes: usize,
    rows: usize,
}

impl<'a> Area<'a> {
    /// `None`: the buffer is too short for it.
    fn new(bytes: &'a [u8], first: usize, stride: usize, row_bytes: usize, rows: usize) -> Option<Self> {
        let stride = if stride == 0 { row_bytes } else { stride };
        let end = (rows - 1) * stride + row_bytes;
        let bytes = bytes.get(first..)?.get(..end)?;
        (row_bytes <= stride).then_some(Self { bytes, stride, row_bytes, rows })
    }

    fn row(&self, y: usize) -> &'a [u8] {
        &self.bytes[y * self.stride..][..self.row_bytes]
    }

    fn stride_bytes(&self) -> usize {
        self.stride * self.rows
    }
}

/// Takes buffers of one layout apart.
pub(super) struct Unpacker {
    kernels: Kernels,
    layout: Layout,
    pool: Pool,
    /// A row as it lies in the buffer, and cut to 8 bits: bytes of uncached memory are not read one by one.
    copied: Vec<u8>,
    narrow: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new(kernels: Kernels, layout: Layout) -> Self {
        let height = layout.picture_height();
        let (wide, tall) =
            chroma_of(&layout).map_or((0, 0), |(x, y)| (layout.width.div_ceil(1 << x), height.div_ceil(1 << y)));
        let pool = Pool::new([layout.width, wide, wide], [height, tall, tall]);
        Self { kernels, layout, pool, copied: Vec::new(), narrow: Vec::new() }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Chroma subsampling of what comes out.
    pub(super) fn chroma(&self) -> Option<(u8, u8)> {
        chroma_of(&self.layout)
    }

    /// Quantisation of what comes out.
    pub(super) fn range(&self) -> Range {
        match self.layout.pixels.packing {
            // Computed here, as receivers do.
            Packing::Rgb { .. } => Range::Limited,
            _ => self.layout.range,
        }
    }

    /// Planes to write to.
    pub(super) fn planes(&self) -> Pooled {
        self.pool.take()
    }

    /// Writes `rows` of `to`. `None`: the buffer is too short; what stands in `to` is then of no use.
    pub(super) fn unpack(&mut self, buffer: &[&[u8]], rows: Rows, to: &mut Pooled) -> Option<()> {
        match self.layout.pixels.packing {
            Packing::Grey(depth) => {
                let luma = self.luma(buffer, depth)?;
                self.copy(&luma, depth, rows, to, 0);
            }
            Packing::Packed { luma_first, swapped, depth } => {
                self.packed(buffer, luma_first, swapped, depth, rows, to)?
            }
            Packing::Pairs { chroma, swapped, depth } => self.pairs(buffer, chroma, swapped, depth, rows, to)?,
            Packing::Planar { chroma, swapped } => self.planar(buffer, chroma, swapped, rows, to)?,
            Packing::Rgb { bytes, places } => self.rgb(buffer, bytes, places, rows, to)?,
            Packing::Jpeg => return None,
        }
        Some(())
    }

    fn luma<'a>(&self, buffer: &[&'a [u8]], depth: Depth) -> Option<Area<'a>> {
        let Layout { width, height, strides, .. } = self.layout;
        Area::new(buffer.first()?, 0, strides[0], depth.bytes(width), height)
    }

    /// Row for row, cut to 8 bits.
    fn copy(&mut self, area: &Area<'_>, depth: Depth, rows: Rows, to: &mut Pooled, plane: usize) {
        for y in 0..area.rows {
            let out = to.row_mut(plane, rows.place(y, area.rows));
            match depth {
                Depth::Eight => out.copy_from_slice(area.row(y)),
                _ => {
                    refill(&mut self.copied, area.row(y));
                    narrow(depth, &self.copied, out);
                }
            }
        }
    }

    fn packed(
        &mut self,
        buffer: &[&[u8]],
        luma_first: bool,
        swapped: bool,
        depth: Depth,
        rows: Rows,
        to: &mut Pooled,
    ) -> Option<()> {
        let Layout { width, height, strides, .. } = self.layout;
        let samples = width.div_ceil(2) * 4;
        let area = Area::new(buffer.first()?, 0, strides[0], depth.bytes(samples), height)?;
        let at = if luma_first { LumaAt::Even } else { LumaAt::Odd };
        for y in 0..height {
            let row = eight(area.row(y), depth, samples, &mut self.copied, &mut self.narrow);
            let [luma, cb, cr] = to.rows_mut(rows.place(y, height));
            let (first, second) = if swapped { (cr, cb) } else { (cb, cr) };
            self.kernels.packed(row, at, luma, first, second);
        }
        Some(())
    }

    fn pairs(
        &mut self,
        buffer: &[&[u8]],
        (x, y): (u8, u8),
        swapped: bool,
        depth: Depth,
        rows: Rows,
        to: &mut Pooled,
    ) -> Option<()> {
        let Layout { width, height, strides, pixels, .. } = self.layout;
        let luma = self.luma(buffer, depth)?;
        let (wide, tall) = (width.div_ceil(1 << x), height.div_ceil(1 << y));
        let row_bytes = depth.bytes(2 * wide);
        let area = match pixels.apart {
            true => Area::new(buffer.get(1)?, 0, strides[1], row_bytes, tall)?,
            false => Area::new(buffer.first()?, luma.stride_bytes(), (luma.stride << 1) >> x, row_bytes, tall)?,
        };
        self.copy(&luma, depth, rows, to, 0);
        for y in 0..tall {
            let row = eight(area.row(y), depth, 2 * wide, &mut self.copied, &mut self.narrow);
            let [_, cb, cr] = to.rows_mut(rows.place(y, tall));
            let (first, second) = if swapped { (cr, cb) } else { (cb, cr) };
            self.kernels.pairs(row, first, second);
        }
        Some(())
    }

    fn planar(&mut self, buffer: &[&[u8]], (x, y): (u8, u8), swapped: bool, rows: Rows, to: &mut Pooled) -> Option<()> {
        let Layout { width, height, strides, pixels, .. } = self.layout;
        let luma = self.luma(buffer, Depth::Eight)?;
        let (wide, tall) = (width.div_ceil(1 << x), height.div_ceil(1 << y));
        let areas = match pixels.apart {
            true => [
                Area::new(buffer.get(1)?, 0, strides[1], wide, tall)?,
                Area::new(buffer.get(2)?, 0, strides[2], wide, tall)?,
            ],
            false => {
                let stride = luma.stride >> x;
                let chroma = |first| Area::new(buffer.first()?, first, stride, wide, tall);
                [chroma(luma.stride_bytes())?, chroma(luma.stride_bytes() + stride * tall)?]
            }
        };
        self.copy(&luma, Depth::Eight, rows, to, 0);
        for (area, plane) in areas.iter().zip(if swapped { [2, 1] } else { [1, 2] }) {
            self.copy(area, Depth::Eight, rows, to, plane);
        }
        Some(())
    }

    fn rgb(&mut self, buffer: &[&[u8]], bytes: usize, places: [usize; 3], rows: Rows, to: &mut Pooled) -> Option<()> {
        let Layout { width, height, strides, range, .. } = self.layout;
        let area = Area::new(buffer.first()?, 0, strides[0], bytes * width, height)?;
        let matrix = Matrix::of(range, self.layout.picture_height());
        for y in 0..height {
            refill(&mut self.copied, area.row(y));
            let out = to.rows_mut(rows.place(y, height));
            match bytes {
                3 => matrix.row::<3>(&self.copied, places, out),
                _ => matrix.row::<4>(&self.copied, places, out),
            }
        }
        Some(())
    }
}

/// `None`: luma only.
fn chroma_of(layout: &Layout) -> Option<(u8, u8)> {
    match layout.pixels.packing {
        Packing::Grey(_) | Packing::Jpeg => None,
        Packing::Packed { .. } | Packing::Rgb { .. } => Some((1, 0)),
        Packing::Pairs { chroma, .. } | Packing::Planar { chroma, .. } => Some(chroma),
    }
}

fn refill(to: &mut Vec<u8>, row: &[u8]) {
    to.clear();
    to.extend_from_slice(row);
}

/// A row in bytes: itself where it is so already.
fn eight<'a>(row: &'a [u8], depth: Depth, count: usize, copied: &mut Vec<u8>, narrowed: &'a mut Vec<u8>) -> &'a [u8] {
    if depth == Depth::Eight {
        return row;
    }
    refill(copied, row);
    narrowed.resize(count, 0);
    narrow(depth, copied, narrowed);
    narrowed
}

/// The 8 bits that count of each sample; the rest is cut off, not rounded, so that black and white stay where they are.
fn narrow(depth: Depth, row: &[u8], out: &mut [u8]) {
    match depth {
        Depth::Eight => out.copy_from_slice(&row[..out.len()]),
        Depth::Word(shift) => {
            for (sample, out) in row.as_chunks::<2>().0.iter().zip(out) {
                *out = (u16::from_le_bytes(*sample) >> shift) as u8;
            }
        }
        Depth::Tight => {
            for (five, out) in row.chunks(5).zip(out.chunks_mut(4)) {
                let byte = |n: usize| five.get(n).copied().unwrap_or(0);
                let four =
                    [byte(0) >> 2 | byte(1) << 6, byte(1) >> 4 | byte(2) << 4, byte(2) >> 6 | byte(3) << 2, byte(4)];
                out.copy_from_slice(&four[..out.len()]);
            }
        }
        Depth::Mipi => {
            for (five, out) in row.chunks(5).zip(out.chunks_mut(4)) {
                let count = out.len().min(five.len());
                out[..count].copy_from_slice(&five[..count]);
            }
        }
    }
}

/// From R'G'B' to Y'CbCr of limited range, in 256ths (ITU-R BT.601 and BT.709).
struct Matrix {
    luma: [i32; 3],
    luma_offset: i32,
    cb: [i32; 3],
    cr: [i32; 3],
}

impl Matrix {
    /// As receivers choose where nothing is said: BT.709 from 720 rows on.
    fn of(range: Range, height: usize) -> Self {
        let (luma, cb, cr) = match (range, height >= 720) {
            (Range::Full, false) => ([66, 129, 25], [-38, -74, 112], [112, -94, -18]),
            (Range::Full, true) => ([47, 157, 16], [-26, -86, 112], [112, -102, -10]),
            (Range::Limited, false) => ([77, 150, 29], [-44, -87, 131], [131, -110, -21]),
            (Range::Limited, true) => ([54, 183, 19], [-30, -101, 131], [131, -119, -12]),
        };
        Self { luma, luma_offset: if range == Range::Full { 16 } else { 0 }, cb, cr }
    }

    /// One row, chroma of each two samples from their mean.
    fn row<const BYTES: usize>(&self, row: &[u8], [r, g, b]: [usize; 3], [luma, cb, cr]: [&mut [u8]; 3]) {
        let weigh = |weights: [i32; 3], colours: [i32; 3]| {
            weights[0] * colours[0] + weights[1] * colours[1] + weights[2] * colours[2]
        };
        let pixels = row.as_chunks::<BYTES>().0;
        let colours = |pixel: &[u8; BYTES]| [pixel[r], pixel[g], pixel[b]].map(i32::from);
        for (pixel, luma) in pixels.iter().zip(luma) {
            *luma = (((weigh(self.luma, colours(pixel)) + 128) >> 8) + self.luma_offset).clamp(0, 255) as u8;
        }
        for ((pair, cb), cr) in pixels.chunks(2).zip(cb).zip(cr) {
            let (one, two) = (colours(&pair[0]), colours(pair.last().unwrap_or(&pair[0])));
            let sum = [one[0] + two[0], one[1] + two[1], one[2] + two[2]];
            let chroma = |weights| (((weigh(weights, sum) + 256) >> 9) + 128).clamp(0, 255) as u8;
            (*cb, *cr) = (chroma(self.cb), chroma(self.cr));
        }
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
