//! From decoded pictures to [`Frame`]s: lent, not copied, where the samples are 8-bit planes already.

use super::narrow::Layout;
use crate::frame::{DecodeEvidence, FieldOrder, Frame, PictureInfo, Range, Samples};
use crate::time::Stamp;
use ff::format::Pixel;
use ff::software::scaling;
use ffmpeg_next as ff;

/// A picture in a buffer of FFmpeg's, which goes back to its pool when this is dropped.
struct Lent {
    picture: ff::frame::Video,
    planes: usize,
}

impl Samples for Lent {
    fn plane(&self, index: usize) -> Option<(&[u8], usize)> {
        (index < self.planes).then(|| (self.picture.data(index), self.picture.stride(index)))
    }
}

/// Brings pictures of any format to 8-bit planes.
#[derive(Default)]
pub(super) struct Adapter {
    scaler: Option<scaling::Context>,
}

impl Adapter {
    /// `None` when FFmpeg cannot convert the picture, or it has no samples.
    pub(super) fn adapt(&mut self, picture: ff::frame::Video, stamp: Stamp, decode: DecodeEvidence) -> Option<Frame> {
        let full = is_full_range(&picture);
        let field_order = field_order(&picture);
        let intra = picture.is_key() || picture.kind() == ff::picture::Type::I;
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let (chroma, samples): (_, Box<dyn Samples>) = match Layout::of(picture.format()) {
            Some(layout) => (layout.chroma, Box::new(layout.narrow(&picture))),
            None => {
                let picture = self.planes_of(picture)?;
                let chroma = subsampling(picture.format())?;
                (chroma, Box::new(Lent { picture, planes: if chroma.is_some() { 3 } else { 1 } }))
            }
        };
        let info = PictureInfo {
            width,
            height,
            chroma,
            range: if full { Range::Full } else { Range::Limited },
            field_order,
            intra,
            decode,
            missing: 0,
        };
        Frame::new(stamp, info, samples)
    }

    fn planes_of(&mut self, picture: ff::frame::Video) -> Option<ff::frame::Video> {
        if subsampling(picture.format()).is_some() {
            return Some(picture);
        }
        let (from, width, height) = (picture.format(), picture.width(), picture.height());
        let scaler = match &mut self.scaler {
            Some(scaler) => {
                // Rebuilt by FFmpeg only when size or format changed.
                scaler.cached(from, width, height, Pixel::YUV420P, width, height, scaling::Flags::POINT);
                scaler
            }
            empty => {
                let made =
                    scaling::Context::get(from, width, height, Pixel::YUV420P, width, height, scaling::Flags::POINT);
                empty.insert(made.ok()?)
            }
        };
        let mut planes = ff::frame::Video::empty();
        scaler.run(&picture, &mut planes).ok()?;
        Some(planes)
    }
}

/// `None`: not 8-bit planes. `Some(None)`: luma only.
fn subsampling(format: Pixel) -> Option<Option<(u8, u8)>> {
    match format {
        Pixel::YUV420P | Pixel::YUVJ420P => Some(Some((1, 1))),
        Pixel::YUV422P | Pixel::YUVJ422P => Some(Some((1, 0))),
        Pixel::YUV444P | Pixel::YUVJ444P => Some(Some((0, 0))),
        Pixel::GRAY8 => Some(None),
        _ => None,
    }
}

fn is_full_range(picture: &ff::frame::Video) -> bool {
    picture.color_range() == ff::color::Range::JPEG
        || matches!(picture.format(), Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P)
}

fn field_order(picture: &ff::frame::Video) -> FieldOrder {
    match (picture.is_interlaced(), picture.is_top_first()) {
        (false, _) => FieldOrder::Progressive,
        (true, true) => FieldOrder::TopFirst,
        (true, false) => FieldOrder::BottomFirst,
    }
}
