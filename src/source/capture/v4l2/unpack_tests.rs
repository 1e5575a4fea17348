use super::super::formats::{FORMATS, PixelFormat};
use super::*;
use crate::frame::Samples;

/// Sample `n` of component `c`, at 8 bits.
fn sample(c: usize, x: usize, y: usize) -> u8 {
    (16 + c * 77 + x * 7 + y * 13 + x * y % 5) as u8
}

fn layout(pixels: PixelFormat, width: usize, height: usize, padding: usize) -> Layout {
    let (first, second) = match pixels.packing {
        Packing::Grey(depth) => (depth.bytes(width), 0),
        Packing::Packed { depth, .. } => (depth.bytes(width.div_ceil(2) * 4), 0),
        Packing::Pairs { depth, chroma, .. } => (depth.bytes(width), depth.bytes(2 * width.div_ceil(1 << chroma.0))),
        Packing::Planar { chroma, .. } => (width, width.div_ceil(1 << chroma.0)),
        Packing::Rgb { bytes, .. } => (bytes * width, 0),
        Packing::Jpeg => (0, 0),
    };
    let stride = (first + padding).next_multiple_of(4);
    // Contiguous chroma has the stride that the luma tells.
    let strides = [stride, second + padding, second + padding];
    Layout { pixels, width, height, fields: Fields::Progressive, strides, range: Range::Limited }
}

fn put(bytes: &mut [u8], depth: Depth, n: usize, value: u8) {
    match depth {
        Depth::Eight => bytes[n] = value,
        Depth::Word(shift) => {
            let word = u16::from(value) << shift | ((1_u16 << shift) - 1);
            bytes[2 * n..2 * n + 2].copy_from_slice(&word.to_le_bytes());
        }
        Depth::Tight => {
            for bit in 0..8 {
                let place = 10 * n + 2 + bit;
                bytes[place / 8] |= (value >> bit & 1) << (place % 8);
            }
        }
        Depth::Mipi => bytes[n / 4 * 5 + n % 4] = value,
    }
}

/// A buffer of `layout` with [`sample`] in it, written the slow way.
fn written(layout: &Layout) -> Vec<Vec<u8>> {
    let Layout { width, height, strides, .. } = *layout;
    let mut planes = vec![vec![0_u8; 4 * strides[0] * height + 64]; 3];
    let mut component = |plane: usize,
                         first: usize,
                         stride: usize,
                         depth: Depth,
                         every: usize,
                         at: usize,
                         c: usize,
                         size: (usize, usize)| {
        for y in 0..size.1 {
            for x in 0..size.0 {
                put(&mut planes[plane][first + y * stride..], depth, x * every + at, sample(c, x, y));
            }
        }
    };
    match layout.pixels.packing {
        Packing::Grey(depth) => component(0, 0, strides[0], depth, 1, 0, 0, (width, height)),
        Packing::Packed { luma_first, swapped, depth } => {
            let half = (width.div_ceil(2), height);
            let (luma, chroma) = if luma_first { (0, 1) } else { (1, 0) };
            let (cb, cr) = if swapped { (chroma + 2, chroma) } else { (chroma, chroma + 2) };
            component(0, 0, strides[0], depth, 2, luma, 0, (width, height));
            component(0, 0, strides[0], depth, 4, cb, 1, half);
            component(0, 0, strides[0], depth, 4, cr, 2, half);
        }
        Packing::Pairs { chroma: (x, y), swapped, depth } => {
            let size = (width.div_ceil(1 << x), height.div_ceil(1 << y));
            let (plane, first, stride) =
                if layout.pixels.apart { (1, 0, strides[1]) } else { (0, strides[0] * height, (strides[0] * 2) >> x) };
            let (cb, cr) = if swapped { (1, 0) } else { (0, 1) };
            component(0, 0, strides[0], depth, 1, 0, 0, (width, height));
            component(plane, first, stride, depth, 2, cb, 1, size);
            component(plane, first, stride, depth, 2, cr, 2, size);
        }
        Packing::Planar { chroma: (x, y), swapped } => {
            let size = (width.div_ceil(1 << x), height.div_ceil(1 << y));
            component(0, 0, strides[0], Depth::Eight, 1, 0, 0, (width, height));
            for (n, c) in (if swapped { [2, 1] } else { [1, 2] }).into_iter().enumerate() {
                let (plane, first, stride) = match layout.pixels.apart {
                    true => (1 + n, 0, strides[1]),
                    false => (0, strides[0] * height + n * (strides[0] >> x) * size.1, strides[0] >> x),
                };
                component(plane, first, stride, Depth::Eight, 1, 0, c, size);
            }
        }
        Packing::Rgb { .. } | Packing::Jpeg => {}
    }
    planes
}

fn slices(planes: &[Vec<u8>]) -> Vec<&[u8]> {
    planes.iter().map(Vec::as_slice).collect()
}

#[test]
fn every_format_gives_the_samples_that_were_written() {
    for pixels in FORMATS.into_iter().filter(|format| !matches!(format.packing, Packing::Rgb { .. } | Packing::Jpeg)) {
        // Tight samples come in fours on all devices.
        for (width, height, padding) in [(64, 6, 0), (68, 7, 12), (132, 4, 4)] {
            let layout = layout(pixels, width, height, padding);
            let planes = written(&layout);
            for kernels in Kernels::available() {
                let mut unpacker = Unpacker::new(kernels, layout);
                let mut to = unpacker.planes();
                unpacker.unpack(&slices(&planes), Rows::All, &mut to).expect("the buffer is long enough");
                let chroma = unpacker.chroma();
                let sizes = chroma.map(|(x, y)| (width.div_ceil(1 << x), height.div_ceil(1 << y)));
                for (c, (wide, tall)) in
                    [Some((width, height)), sizes, sizes].into_iter().enumerate().filter_map(|(c, s)| Some((c, s?)))
                {
                    let (data, stride) = to.plane(c).expect("a plane");
                    for (y, x) in (0..tall).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                        assert_eq!(data[y * stride + x], sample(c, x, y), "{} {width} {c} {x} {y}", pixels.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_buffer_that_is_too_short_is_no_picture() {
    for pixels in FORMATS {
        let layout = layout(pixels, 64, 16, 0);
        let planes = written(&layout);
        let short: Vec<&[u8]> = planes.iter().map(|plane| &plane[..plane.len().min(100)]).collect();
        let mut unpacker = Unpacker::new(Kernels::detect(), layout);
        let mut to = unpacker.planes();
        assert_eq!(unpacker.unpack(&short, Rows::All, &mut to), None, "{}", pixels.name());
        assert_eq!(unpacker.unpack(&[], Rows::All, &mut to), None, "{}", pixels.name());
    }
}

#[test]
fn colours_come_within_one_step_of_the_standards() {
    // R'G'B' and BT.601 of the 75 % bars (SMPTE EG 1), which vivid shows as well.
    let bars: [([u8; 3], [u8; 3]); 4] = [
        ([191, 191, 191], [180, 128, 128]),
        ([191, 191, 0], [162, 44, 142]),
        ([0, 191, 0], [112, 72, 58]),
        ([0, 0, 191], [35, 212, 114]),
    ];
    let pixels = PixelFormat::known(u32::from_le_bytes(*b"BX24")).expect("known");
    for (colour, right) in bars {
        let layout = Layout { range: Range::Full, ..layout(pixels, 6, 2, 0) };
        let row: Vec<u8> = [0, colour[0], colour[1], colour[2]].repeat(12);
        let mut unpacker = Unpacker::new(Kernels::detect(), layout);
        let mut to = unpacker.planes();
        unpacker.unpack(&[&row], Rows::All, &mut to).expect("long enough");
        for (c, right) in right.into_iter().enumerate() {
            let (data, _) = to.plane(c).expect("a plane");
            assert!(data.iter().all(|&value| value.abs_diff(right) <= 1), "{colour:?} {c} {data:?} {right}");
        }
    }
}

#[test]
fn fields_go_to_their_rows() {
    let places = |rows: Rows, count: usize| (0..count).map(|y| rows.place(y, count)).collect::<Vec<_>>();
    assert_eq!(places(Rows::Stacked { top_first: true }, 4), [0, 2, 1, 3]);
    assert_eq!(places(Rows::Stacked { top_first: false }, 4), [1, 3, 0, 2]);
    assert_eq!(places(Rows::Field { bottom: true }, 3), [1, 3, 5]);
    assert!(places(Rows::Stacked { top_first: false }, 5).into_iter().all(|row| row < 5));
}

#[test]
fn planes_are_used_again() {
    let unpacker = Unpacker::new(Kernels::detect(), layout(FORMATS[0], 64, 16, 0));
    let mut first = unpacker.planes();
    first.row_mut(0, 3)[5] = 77;
    drop(first);
    assert_eq!(unpacker.planes().row_mut(0, 3)[5], 77);
}
