//! One stream as it runs: buffers become pictures, with what the driver said of them.

use super::Sight;
use super::device::{Api, Device, Filled};
use super::fields::{Pairing, Step};
use super::formats::{Fields, Layout, Packing};
use super::pool::Pooled;
use super::rate::Rate;
use super::relay::Relay;
use super::signal::Timings;
use super::stream::Stream;
use super::track::{Placed, Told, Tracker};
use super::unpack::{Rows, Unpacker};
use crate::frame::{DecodeEvidence, FieldOrder, Frame, PictureInfo};
use crate::health::CaptureStatus;
use crate::kernels::Kernels;
use crate::source::ffmpeg::Stills;
use crate::time::{Mono, Stamp};
use nix::errno::Errno;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use v4l::v4l_sys as sys;

/// Drivers mark what was under way when they were started: so many damaged pictures may come before the first good one.
const SETTLING: u32 = 8;

/// From when on a jump of the stamps is told: as for the clocks of streams.
const JUMP_FORWARD: i64 = 700_000_000;
const JUMP_BACK: i64 = -200_000_000;

/// A stream, and what is known of it.
pub(super) struct Running {
    stream: Stream,
    unpacker: Unpacker,
    /// For pictures that are JPEGs.
    stills: Option<Stills>,
    /// As the driver told it, for those that frames are handed on to.
    format: sys::v4l2_format,
    /// Of the signal that it was started for.
    pub(super) timings: Option<Timings>,
    /// From picture to picture, where it is known.
    interval_ns: Option<u64>,
    /// When something came last, or it was started.
    pub(super) alive: Mono,
    rate: Option<Rate>,
    pairing: Pairing<(Placed, Pooled, DecodeEvidence)>,
    /// How long the last picture had waited.
    waited: Duration,
    /// Damaged pictures that may still be thrown away; 0 after the first good one.
    settling: u32,
    number: u64,
    /// What was taken before this shows a signal that was not there.
    good_from_ns: i64,
}

/// What is done with pictures at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Care {
    /// There is no signal: what comes is of the device's own making.
    pub blind: bool,
    /// One of so many is looked at; the others go back unseen.
    pub every: u64,
    /// CLOCK_MONOTONIC, and CLOCK_BOOTTIME.
    pub driver_now: Mono,
    pub now: Mono,
}

/// What outlives a stream.
pub(super) struct Outer<'a> {
    pub tracker: &'a mut Tracker,
    pub counts: &'a mut CaptureStatus,
    pub relay: &'a mut Option<Relay>,
    pub out: &'a mut VecDeque<Sight>,
}

impl Running {
    /// `Err`: the call that failed.
    pub(super) fn start(
        device: &Rc<Device>,
        api: Api,
        (format, layout): (sys::v4l2_format, Layout),
        timings: Option<Timings>,
        kernels: Kernels,
        now: Mono,
    ) -> Result<Self, (&'static str, Errno)> {
        let interval_ns = timings.and_then(|timings| timings.interval_ns()).or_else(|| device.interval_ns(api));
        let stills = if layout.pixels.packing == Packing::Jpeg { Stills::new() } else { None };
        Ok(Self {
            stream: Stream::start(device, api)?,
            unpacker: Unpacker::new(kernels, layout),
            stills,
            format,
            timings,
            interval_ns,
            alive: now,
            rate: interval_ns.map(Rate::new),
            pairing: Pairing::default(),
            waited: Duration::ZERO,
            settling: SETTLING,
            number: 0,
            good_from_ns: i64::MIN,
        })
    }

    /// The signal is back: what is in the buffers from before `now` is of the device's own making.
    pub(super) fn see_again(&mut self, now: Mono) {
        self.good_from_ns = i64::try_from(now.0).unwrap_or(i64::MIN);
    }

    /// From picture to picture.
    pub(super) fn interval_ns(&self) -> Option<u64> {
        self.interval_ns
    }

    /// "1920x1080i50 UYVY": rows of a picture, and fields per second where they are interlaced.
    pub(super) fn described(&self) -> String {
        let layout = self.unpacker.layout();
        let interlaced = layout.fields != Fields::Progressive;
        let rate = self.interval_ns.map_or(String::new(), |ns| {
            let per_second = 1e9 / ns as f64 * if interlaced { 2.0 } else { 1.0 };
            let hundredths = (per_second * 100.0).round() / 100.0;
            format!("{}{hundredths}", if interlaced { 'i' } else { 'p' })
        });
        format!("{}x{}{rate} {}", layout.width, layout.picture_height(), layout.pixels.name())
    }

    /// How much faster pictures come than their format says.
    pub(super) fn ppm(&self) -> Option<f64> {
        self.rate.as_ref()?.ppm()
    }

    pub(super) fn is_jpeg(&self) -> bool {
        self.stills.is_some()
    }

    /// Takes the next buffer, if one is filled. Whether one was.
    pub(super) fn take(&mut self, care: Care, outer: &mut Outer<'_>) -> Result<bool, Errno> {
        let Some(filled) = self.stream.next()? else { return Ok(false) };
        self.alive = care.now;
        if let Some(relay) = outer.relay {
            relay.pass(&self.format, self.stream.samples(&filled).all(), care.now);
        }
        let before = filled.stamp_ns < self.good_from_ns && stamped(&filled);
        if care.blind || before {
            outer.tracker.look_away();
            self.rate = self.interval_ns.map(Rate::new);
        } else {
            self.look(&filled, care, outer);
        }
        self.stream.give_back(&filled)?;
        Ok(true)
    }

    fn look(&mut self, filled: &Filled, care: Care, outer: &mut Outer<'_>) {
        let damaged = filled.flags & sys::V4L2_BUF_FLAG_ERROR != 0;
        outer.counts.flagged += u64::from(damaged);
        if damaged && self.settling > 0 {
            self.settling -= 1;
            return;
        }
        let told = DecodeEvidence { corrupt: damaged, ..DecodeEvidence::default() };
        let told_at = Told {
            sequence: self.pairing.number(filled.sequence),
            stamp_ns: stamped(filled).then_some(filled.stamp_ns),
            now: care.driver_now,
        };
        if self.unpacker.layout().fields == Fields::Apart {
            return self.field(filled, told_at, told, care, outer);
        }
        let placed = self.place(told_at, outer);
        if self.leaves(care) && !damaged {
            outer.out.push_back(Sight::Passed(placed.at));
            return;
        }
        match self.picture(filled, told) {
            Some(frame) => self.show(placed, frame, outer),
            None => outer.counts.flagged += u64::from(!damaged),
        }
    }

    /// Whether the next picture is one of those that go back unseen.
    fn leaves(&mut self, care: Care) -> bool {
        self.number += 1;
        !self.number.is_multiple_of(care.every.max(1))
    }

    /// Where a picture lies in time, and what was lost before it.
    fn place(&mut self, told: Told, outer: &mut Outer<'_>) -> Placed {
        let mut placed = outer.tracker.place(told);
        let counted = placed.missing;
        if placed.missing > 0 {
            let interval = Duration::from_nanos(self.interval_ns.unwrap_or(0));
            // All buffers but the one that was read were full: the driver had none to write to.
            let full = interval * (self.stream.buffers() as u32).saturating_sub(2);
            if !interval.is_zero() && self.waited >= full {
                outer.counts.late += u64::from(placed.missing);
                outer.out.push_back(Sight::Passed(Mono(placed.at.0.saturating_sub(1))));
                placed.missing = 0;
            } else {
                outer.counts.missing += u64::from(placed.missing);
            }
        }
        self.waited = placed.waited;
        if let Some(by_ns) = placed.jump {
            outer.counts.jumps += 1;
            if by_ns >= JUMP_FORWARD || by_ns <= JUMP_BACK {
                outer.out.push_back(Sight::Jump(placed.at, by_ns));
            }
        }
        match &mut self.rate {
            Some(rate) if placed.jump.is_none() => rate.add(counted, placed.at),
            Some(rate) => *rate = Rate::new(rate.interval_ns()),
            None => {}
        }
        placed
    }

    fn picture(&mut self, filled: &Filled, told: DecodeEvidence) -> Option<Frame> {
        let samples = self.stream.samples(filled);
        if let Some(stills) = &mut self.stills {
            return stills.decode(samples.all().first()?, Stamp::default(), told);
        }
        let layout = self.unpacker.layout();
        let fields = match filled.field {
            sys::v4l2_field_V4L2_FIELD_ANY => layout.fields,
            field => Fields::of(field, layout.height),
        };
        let order = match fields {
            Fields::Woven { top_first } | Fields::Stacked { top_first } => order_of(top_first),
            Fields::Progressive | Fields::Apart => FieldOrder::Progressive,
        };
        let mut planes = self.unpacker.planes();
        self.unpacker.unpack(samples.all(), Rows::of(fields), &mut planes)?;
        self.frame(planes, order, told)
    }

    fn frame(&self, planes: Pooled, field_order: FieldOrder, decode: DecodeEvidence) -> Option<Frame> {
        let layout = self.unpacker.layout();
        let info = PictureInfo {
            width: layout.width,
            height: layout.picture_height(),
            chroma: self.unpacker.chroma(),
            range: self.unpacker.range(),
            field_order,
            intra: false,
            decode,
            missing: 0,
        };
        Frame::new(Stamp::default(), info, Box::new(planes))
    }

    /// One field of a picture.
    fn field(&mut self, filled: &Filled, told_at: Told, told: DecodeEvidence, care: Care, outer: &mut Outer<'_>) {
        let bottom = filled.field == sys::v4l2_field_V4L2_FIELD_BOTTOM;
        let rows = Rows::Field { bottom };
        match self.pairing.next(filled.sequence, bottom) {
            Step::Waits { dropped } => {
                outer.counts.missing += u64::from(dropped);
                let placed = self.place(told_at, outer);
                if self.leaves(care) {
                    outer.out.push_back(Sight::Passed(placed.at));
                    return;
                }
                let mut planes = self.unpacker.planes();
                match self.unpacker.unpack(self.stream.samples(filled).all(), rows, &mut planes) {
                    Some(()) => self.pairing.wait(filled.sequence, bottom, (placed, planes, told)),
                    None => outer.counts.flagged += u64::from(!told.corrupt),
                }
            }
            Step::Completes((placed, mut planes, first)) => {
                let written = self.unpacker.unpack(self.stream.samples(filled).all(), rows, &mut planes);
                let decode = DecodeEvidence { corrupt: first.corrupt || told.corrupt, ..first };
                // The field that completes it is the later one.
                match written.and_then(|()| self.frame(planes, order_of(bottom), decode)) {
                    Some(frame) => self.show(placed, frame, outer),
                    None => outer.counts.flagged += u64::from(!told.corrupt),
                }
            }
        }
    }

    fn show(&mut self, placed: Placed, mut frame: Frame, outer: &mut Outer<'_>) {
        self.settling = 0;
        frame.info.missing = u16::try_from(placed.missing).unwrap_or(u16::MAX);
        outer.out.push_back(Sight::Picture(placed.at, frame));
    }
}

/// Whether the driver stamps with CLOCK_MONOTONIC.
fn stamped(filled: &Filled) -> bool {
    filled.flags & sys::V4L2_BUF_FLAG_TIMESTAMP_MASK == sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC
}

fn order_of(top_first: bool) -> FieldOrder {
    if top_first { FieldOrder::TopFirst } else { FieldOrder::BottomFirst }
}
