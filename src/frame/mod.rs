//! What flows from a source: pictures and blocks of sound, with what is known about how they came.

mod plane;
pub use plane::Plane;

use crate::time::Stamp;
use std::sync::Arc;

/// How the two fields of a picture lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOrder {
    /// One moment, or not flagged otherwise.
    Progressive,
    /// Interlaced, the field of the first line earlier.
    TopFirst,
    /// Interlaced, the field of the second line earlier.
    BottomFirst,
}

/// Quantisation range of the samples (ITU-T H.273, VideoFullRangeFlag).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Luma 16 to 235.
    Limited,
    /// Luma 0 to 255.
    Full,
}

impl Range {
    /// Nominal black and white, as 8-bit code values.
    pub fn black_white(self) -> (u8, u8) {
        match self {
            Range::Limited => (16, 235),
            Range::Full => (0, 255),
        }
    }
}

/// What transport and decoder, or the capture device, told about a picture. All zero for generated pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeEvidence {
    /// The decoder or the capture device marked the picture itself as damaged.
    pub corrupt: bool,
    /// The decoder concealed errors, lacked a reference or met an invalid bit stream in this picture.
    pub concealed: bool,
    /// Complaints of the video decoder since the picture before.
    pub messages: u16,
    /// Damaged or discontinuous packets since the picture before (TS continuity, RTP gaps).
    pub packets: u16,
}

impl DecodeEvidence {
    /// Whether anything at all was wrong.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// What is known about a picture besides its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureInfo {
    /// Visible luma samples in a row.
    pub width: usize,
    /// Visible luma rows.
    pub height: usize,
    /// Chroma subsampling as powers of two, horizontal and vertical: (1, 1) is 4:2:0. `None`: luma only.
    pub chroma: Option<(u8, u8)>,
    /// Quantisation range.
    pub range: Range,
    /// Field order, as flagged.
    pub field_order: FieldOrder,
    /// Coded without reference to other pictures (false for captured and generated pictures).
    pub intra: bool,
    /// What transport and decoder told.
    pub decode: DecodeEvidence,
    /// Pictures that the source counted between the one before and this one, and that did not come.
    pub missing: u16,
}

impl PictureInfo {
    /// A captured or generated picture: 4:2:0, limited range, progressive, and no decoder that could tell anything.
    pub fn yuv420(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            chroma: Some((1, 1)),
            range: Range::Limited,
            field_order: FieldOrder::Progressive,
            intra: false,
            decode: DecodeEvidence::default(),
            missing: 0,
        }
    }
}

/// Where the samples of a picture are kept: in a buffer of ours, or in one that a decoder lends.
pub trait Samples: Send {
    /// Bytes of plane `index` (0 luma, 1 Cb, 2 Cr) and their stride; `None` where there is no such plane.
    fn plane(&self, index: usize) -> Option<(&[u8], usize)>;
}

/// One picture of 8-bit samples.
pub struct Frame {
    /// When.
    pub stamp: Stamp,
    /// What is known about it.
    pub info: PictureInfo,
    samples: Box<dyn Samples>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("stamp", &self.stamp).field("info", &self.info).finish_non_exhaustive()
    }
}

impl Frame {
    /// `None` unless `samples` hold all the planes that `info` promises.
    pub fn new(stamp: Stamp, info: PictureInfo, samples: Box<dyn Samples>) -> Option<Self> {
        let frame = Self { stamp, info, samples };
        frame.view(0)?;
        if info.chroma.is_some() {
            frame.view(1)?;
            frame.view(2)?;
        }
        Some(frame)
    }

    /// The luma plane.
    #[allow(clippy::expect_used, reason = "`new` looked at it")]
    pub fn luma(&self) -> Plane<'_> {
        self.view(0).expect("checked in new")
    }

    /// The Cb and Cr planes, where there are any.
    pub fn chroma(&self) -> Option<(Plane<'_>, Plane<'_>)> {
        self.info.chroma?;
        Some((self.view(1)?, self.view(2)?))
    }

    fn view(&self, index: usize) -> Option<Plane<'_>> {
        let (x, y) = if index == 0 { (0, 0) } else { self.info.chroma? };
        let (data, stride) = self.samples.plane(index)?;
        Plane::new(data, self.info.width.div_ceil(1 << x), self.info.height.div_ceil(1 << y), stride)
    }
}

/// Planes in memory of our own, without padding.
#[derive(Clone, Debug)]
pub struct OwnedSamples {
    planes: [Vec<u8>; 3],
    strides: [usize; 3],
}

impl OwnedSamples {
    /// Luma, Cb and Cr and the bytes from a row of each to the next; empty planes where there is no chroma.
    pub fn new(planes: [Vec<u8>; 3], strides: [usize; 3]) -> Self {
        Self { planes, strides }
    }

    /// 4:2:0 planes: `width` x `height` luma and two of half the size, rounded up.
    pub fn yuv420(width: usize, height: usize, luma: Vec<u8>, cb: Vec<u8>, cr: Vec<u8>) -> Self {
        debug_assert_eq!(luma.len(), width * height);
        let half = width.div_ceil(2);
        Self { planes: [luma, cb, cr], strides: [width, half, half] }
    }
}

impl Samples for OwnedSamples {
    fn plane(&self, index: usize) -> Option<(&[u8], usize)> {
        Some((self.planes.get(index)?, self.strides[index]))
    }
}

/// One picture that several frames show.
impl Samples for Arc<OwnedSamples> {
    fn plane(&self, index: usize) -> Option<(&[u8], usize)> {
        self.as_ref().plane(index)
    }
}

/// Why nothing comes of a source, or of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// It cannot be opened, or broke off.
    #[default]
    Unreachable,
    /// The device is not there.
    Gone,
    /// Another process holds the device.
    Busy,
    /// Nothing is plugged in, or what is has no power.
    NoPower,
    /// Something is plugged in and sends nothing.
    NoSignal,
    /// The receiver does not hold what comes.
    NoLock,
    /// The receiver cannot take what comes.
    OutOfRange,
}

impl Loss {
    /// In words, for people.
    pub fn phrase(self) -> &'static str {
        match self {
            Loss::Unreachable => "source cannot be reached",
            Loss::Gone => "capture device is gone",
            Loss::Busy => "capture device is in use by another process",
            Loss::NoPower => "nothing is connected to the input",
            Loss::NoSignal => "no signal at the input",
            Loss::NoLock => "no lock on the signal at the input",
            Loss::OutOfRange => "signal at the input is out of the device's range",
        }
    }
}

/// Which part of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    #[default]
    Programme,
    /// The picture alone: sound comes another way.
    Picture,
    /// The sound alone.
    Sound,
}

/// The clock of a stream was set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// How far it moved beyond what was due, nanoseconds; negative: back.
    pub by_ns: i64,
    /// Nobody has heard of it: it was not signalled, and the other stream has not told it already.
    pub told: bool,
}

/// A block of sound: interleaved samples, full scale is 1.0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioBlock {
    /// When its first sample is.
    pub stamp: Stamp,
    /// Samples per second and channel.
    pub rate: u32,
    /// Channels; `samples.len()` is a multiple of it.
    pub channels: u16,
    /// Interleaved.
    pub samples: Vec<f32>,
}

impl AudioBlock {
    /// Samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_needs_the_planes_it_promises() {
        let info = PictureInfo::yuv420(5, 3);
        let good = OwnedSamples::yuv420(5, 3, vec![0; 15], vec![0; 6], vec![0; 6]);
        assert!(Frame::new(Stamp::default(), info, Box::new(good)).is_some());
        let short = OwnedSamples::yuv420(5, 3, vec![0; 15], vec![0; 6], vec![0; 5]);
        assert!(Frame::new(Stamp::default(), info, Box::new(short)).is_none());
    }
}
