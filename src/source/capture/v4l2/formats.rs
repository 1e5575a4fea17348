//! Pixel formats of capture devices: how samples lie in the buffers, and which of those that a device offers is taken.

use super::device::Api;
use crate::frame::Range;
use v4l::v4l_sys as sys;

/// How samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Luma alone.
    Grey(Depth),
    /// 4:2:2 in one plane, luma and chroma in turns; `luma_first`: Y C Y C; `swapped`: Cr before Cb.
    Packed { luma_first: bool, swapped: bool, depth: Depth },
    /// A plane of luma and one of chroma in pairs; `chroma`: subsampling as powers of two.
    Pairs { chroma: (u8, u8), swapped: bool, depth: Depth },
    /// Three planes.
    Planar { chroma: (u8, u8), swapped: bool },
    /// `bytes` for each sample, with red, green and blue at these places.
    Rgb { bytes: usize, places: [usize; 3] },
    /// Each picture a JPEG.
    Jpeg,
}

/// How one sample lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// In a byte.
    Eight,
    /// In two bytes, the lower first, with so many bits to the right of the 8 that count.
    Word(u32),
    /// Four of 10 bits in five bytes, the lowest bits first (NV15, NV20).
    Tight,
    /// Four of 10 bits in five bytes: the upper 8 of each, then the lower 2 of all (MIPI).
    Mipi,
}

impl Depth {
    /// Bytes that `count` samples take.
    pub(super) fn bytes(self, count: usize) -> usize {
        match self {
            Depth::Eight => count,
            Depth::Word(_) => 2 * count,
            Depth::Tight | Depth::Mipi => (count * 10).div_ceil(8),
        }
    }
}

/// A pixel format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelFormat {
    /// As in videodev2.h.
    pub fourcc: [u8; 4],
    pub packing: Packing,
    /// Memory planes where the multi-planar API is spoken: all in one, or each its own.
    pub apart: bool,
}

const HALF: (u8, u8) = (1, 1);
const WIDE: (u8, u8) = (1, 0);
const ALL: (u8, u8) = (0, 0);

const fn format(fourcc: &[u8; 4], packing: Packing) -> PixelFormat {
    PixelFormat { fourcc: *fourcc, packing, apart: false }
}
const fn apart(fourcc: &[u8; 4], packing: Packing) -> PixelFormat {
    PixelFormat { fourcc: *fourcc, packing, apart: true }
}
const fn packed(fourcc: &[u8; 4], luma_first: bool, swapped: bool) -> PixelFormat {
    format(fourcc, Packing::Packed { luma_first, swapped, depth: Depth::Eight })
}
const fn pairs(chroma: (u8, u8), swapped: bool, depth: Depth) -> Packing {
    Packing::Pairs { chroma, swapped, depth }
}
const fn planar(chroma: (u8, u8), swapped: bool) -> Packing {
    Packing::Planar { chroma, swapped }
}
const fn rgb(fourcc: &[u8; 4], bytes: usize, places: [usize; 3]) -> PixelFormat {
    format(fourcc, Packing::Rgb { bytes, places })
}

/// All that are read, those first that are taken first: few bytes of uncached memory to read, then little to compute. 10 bits
/// are cut to 8, so a device that offers both gives 8. Grey has no colour, and JPEG must be decoded.
pub(super) const FORMATS: [PixelFormat; 40] = [
    format(b"NV12", pairs(HALF, false, Depth::Eight)),
    apart(b"NM12", pairs(HALF, false, Depth::Eight)),
    format(b"YU12", planar(HALF, false)),
    apart(b"YM12", planar(HALF, false)),
    format(b"NV21", pairs(HALF, true, Depth::Eight)),
    apart(b"NM21", pairs(HALF, true, Depth::Eight)),
    format(b"YV12", planar(HALF, true)),
    apart(b"YM21", planar(HALF, true)),
    format(b"NV16", pairs(WIDE, false, Depth::Eight)),
    apart(b"NM16", pairs(WIDE, false, Depth::Eight)),
    format(b"NV61", pairs(WIDE, true, Depth::Eight)),
    apart(b"NM61", pairs(WIDE, true, Depth::Eight)),
    format(b"422P", planar(WIDE, false)),
    apart(b"YM16", planar(WIDE, false)),
    packed(b"UYVY", false, false),
    packed(b"YUYV", true, false),
    packed(b"VYUY", false, true),
    packed(b"YVYU", true, true),
    format(b"NV24", pairs(ALL, false, Depth::Eight)),
    format(b"NV42", pairs(ALL, true, Depth::Eight)),
    apart(b"YM24", planar(ALL, false)),
    // 10 bits: as decoders of SoCs write it (P010), as Rockchip's drivers do (NV15, NV20), wide packed 4:2:2.
    format(b"P010", pairs(HALF, false, Depth::Word(8))),
    format(b"NV15", pairs(HALF, false, Depth::Tight)),
    format(b"NV20", pairs(WIDE, false, Depth::Tight)),
    format(b"Y210", Packing::Packed { luma_first: true, swapped: false, depth: Depth::Word(8) }),
    rgb(b"BGR3", 3, [2, 1, 0]),
    rgb(b"RGB3", 3, [0, 1, 2]),
    rgb(b"XR24", 4, [2, 1, 0]),
    rgb(b"AR24", 4, [2, 1, 0]),
    rgb(b"BGR4", 4, [2, 1, 0]),
    rgb(b"XB24", 4, [0, 1, 2]),
    rgb(b"AB24", 4, [0, 1, 2]),
    rgb(b"BX24", 4, [1, 2, 3]),
    rgb(b"RGB4", 4, [1, 2, 3]),
    format(b"GREY", Packing::Grey(Depth::Eight)),
    format(b"Y10 ", Packing::Grey(Depth::Word(2))),
    format(b"Y10P", Packing::Grey(Depth::Mipi)),
    format(b"Y16 ", Packing::Grey(Depth::Word(8))),
    format(b"MJPG", Packing::Jpeg),
    format(b"JPEG", Packing::Jpeg),
];

impl PixelFormat {
    /// By its code; `None`: not read.
    pub(super) fn known(code: u32) -> Option<Self> {
        FORMATS.iter().find(|format| u32::from_le_bytes(format.fourcc) == code).copied()
    }

    /// "YUYV".
    pub(super) fn name(&self) -> String {
        name_of(u32::from_le_bytes(self.fourcc))
    }
}

/// A code in letters.
pub(super) fn name_of(code: u32) -> String {
    let letters = code.to_le_bytes().map(|byte| if byte.is_ascii_graphic() { char::from(byte) } else { ' ' });
    letters.iter().collect::<String>().trim_end().to_owned()
}

/// The best of what is offered that can be read.
pub(super) fn best(offered: &[u32]) -> Option<u32> {
    let codes = FORMATS.iter().map(|format| u32::from_le_bytes(format.fourcc));
    codes.into_iter().find(|code| offered.contains(code))
}

/// Asks for another pixel format at the size that is set; how rows lie then is the driver's to say.
pub(super) fn set_code(raw: &mut sys::v4l2_format, code: u32) {
    if raw.type_ == Api::Multi.kind() {
        #[allow(unsafe_code)]
        // SAFETY: the type tells that this member was filled; it is of plain integers.
        let mut planes = unsafe { raw.fmt.pix_mp };
        planes.pixelformat = code;
        planes.plane_fmt.iter_mut().for_each(|plane| (plane.bytesperline, plane.sizeimage) = (0, 0));
        raw.fmt.pix_mp = planes;
    } else {
        #[allow(unsafe_code)]
        // SAFETY: as above.
        let mut single = unsafe { raw.fmt.pix };
        (single.pixelformat, single.bytesperline, single.sizeimage) = (code, 0, 0);
        raw.fmt.pix = single;
    }
}

/// How fields lie in buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// Rows in order, one moment.
    Progressive,
    /// Rows of both fields in turns; the field of the first row is the earlier one.
    Woven { top_first: bool },
    /// One field after the other, the earlier one first.
    Stacked { top_first: bool },
    /// A buffer for each.
    Apart,
}

impl Fields {
    /// From `V4L2_FIELD_*`. `height`: 480 lines have the lower field first, all others the upper one.
    pub(super) fn of(field: u32, height: usize) -> Self {
        match field {
            sys::v4l2_field_V4L2_FIELD_INTERLACED => Fields::Woven { top_first: !matches!(height, 480 | 486) },
            sys::v4l2_field_V4L2_FIELD_INTERLACED_TB => Fields::Woven { top_first: true },
            sys::v4l2_field_V4L2_FIELD_INTERLACED_BT => Fields::Woven { top_first: false },
            sys::v4l2_field_V4L2_FIELD_SEQ_TB => Fields::Stacked { top_first: true },
            sys::v4l2_field_V4L2_FIELD_SEQ_BT => Fields::Stacked { top_first: false },
            sys::v4l2_field_V4L2_FIELD_ALTERNATE => Fields::Apart,
            _ => Fields::Progressive,
        }
    }
}

/// What a device is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub pixels: PixelFormat,
    /// Samples in a row.
    pub width: usize,
    /// Rows of a buffer: of a field where fields come apart.
    pub height: usize,
    pub fields: Fields,
    /// Bytes from row to row of each memory plane; of the first component where one plane holds all.
    pub strides: [usize; 3],
    pub range: Range,
}

impl Layout {
    /// From what a device is set to; `None` for what cannot be read.
    pub(super) fn of(raw: &sys::v4l2_format) -> Option<Self> {
        let multi = raw.type_ == Api::Multi.kind();
        #[allow(unsafe_code)]
        // SAFETY: the type tells which member the driver filled; both are plain integers, of which all values are good.
        let (single, planes) = unsafe { (raw.fmt.pix, raw.fmt.pix_mp) };
        let (width, height, code, field, colours, quantization) = match multi {
            true => (
                planes.width,
                planes.height,
                planes.pixelformat,
                planes.field,
                planes.colorspace,
                planes.quantization.into(),
            ),
            false => {
                (single.width, single.height, single.pixelformat, single.field, single.colorspace, single.quantization)
            }
        };
        let strides = match multi {
            true => {
                let each = planes.plane_fmt;
                [each[0].bytesperline, each[1].bytesperline, each[2].bytesperline].map(|stride| stride as usize)
            }
            false => [single.bytesperline as usize, 0, 0],
        };
        let pixels = PixelFormat::known(code)?;
        let (width, height) = (width as usize, height as usize);
        let sized = |side: usize| (1..=crate::frame::Plane::WIDTH_MAX).contains(&side);
        let fields = Fields::of(field, height);
        let full = is_full(&pixels, colours, quantization);
        (sized(width) && sized(height)).then_some(Self {
            pixels,
            width,
            height,
            fields,
            strides,
            range: if full { Range::Full } else { Range::Limited },
        })
    }

    /// Rows of a picture.
    pub(super) fn picture_height(&self) -> usize {
        if self.fields == Fields::Apart { 2 * self.height } else { self.height }
    }
}

/// As `V4L2_MAP_QUANTIZATION_DEFAULT`: RGB and JPEG are full where nothing else is said.
fn is_full(pixels: &PixelFormat, colours: u32, quantization: u32) -> bool {
    let rgb = matches!(pixels.packing, Packing::Rgb { .. });
    match quantization {
        sys::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE => true,
        sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE => false,
        _ => rgb || colours == sys::v4l2_colorspace_V4L2_COLORSPACE_JPEG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(kind: u32) -> sys::v4l2_format {
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let raw: sys::v4l2_format = unsafe { std::mem::zeroed() };
        sys::v4l2_format { type_: kind, ..raw }
    }

    #[test]
    fn codes_are_those_of_the_kernel_and_each_once() {
        let ours = |code: &[u8; 4]| PixelFormat::known(u32::from_le_bytes(*code)).map(|format| format.packing);
        assert_eq!(ours(b"YUYV"), Some(Packing::Packed { luma_first: true, swapped: false, depth: Depth::Eight }));
        assert_eq!(ours(b"H264"), None);
        let mut codes = FORMATS.map(|format| format.fourcc).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FORMATS.len());
        assert_eq!(name_of(u32::from_le_bytes(*b"Y10 ")), "Y10");
    }

    #[test]
    fn the_cheapest_of_what_is_offered_is_taken() {
        let codes = |codes: &[&[u8; 4]]| codes.iter().map(|code| u32::from_le_bytes(**code)).collect::<Vec<_>>();
        let best = |offered: &[&[u8; 4]]| super::best(&codes(offered)).map(name_of);
        assert_eq!(best(&[b"MJPG", b"YUYV"]), Some("YUYV".to_owned()));
        assert_eq!(best(&[b"H264", b"MJPG"]), Some("MJPG".to_owned()));
        assert_eq!(best(&[b"BGR3", b"NV24", b"NV16", b"NV12"]), Some("NV12".to_owned()), "an RK3588");
        assert_eq!(best(&[b"H264"]), None);
    }

    #[test]
    fn what_drivers_say_becomes_a_layout() {
        let mut single = raw(Api::Single.kind());
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let mut pix = unsafe { single.fmt.pix };
        (pix.width, pix.height, pix.pixelformat) = (720, 240, u32::from_le_bytes(*b"UYVY"));
        (pix.field, pix.bytesperline) = (sys::v4l2_field_V4L2_FIELD_ALTERNATE, 1440);
        single.fmt.pix = pix;
        let layout = Layout::of(&single).expect("it can be read");
        assert_eq!((layout.picture_height(), layout.strides[0], layout.range), (480, 1440, Range::Limited));
        single.fmt.pix.width = 100_000;
        assert!(Layout::of(&single).is_none());
    }

    #[test]
    fn ten_bits_in_five_bytes_are_counted() {
        assert_eq!([1, 4, 6].map(|count| Depth::Tight.bytes(count)), [2, 5, 8]);
        assert_eq!(Depth::Word(2).bytes(3), 6);
    }
}
