//! An input read once, as fast as it decodes, on media time: the same input gives the same units.

use super::ffmpeg::{Decoder, Demuxer, ReadEnd};
use super::timeline::Timeline;
use super::{Context, Error, Input, Unit};
use crate::budget::Effort;
use crate::time::{Mono, Stamp};
use std::collections::VecDeque;

/// A file, standard input, or a stream that ends.
pub struct Offline {
    demuxer: Demuxer,
    decoder: Decoder,
    timeline: Timeline,
    queue: VecDeque<Unit>,
    end: Option<ReadEnd>,
}

impl Offline {
    /// Opens `input`. Blocks.
    pub fn open(input: &Input, context: &Context) -> Result<Self, Error> {
        let demuxer = Demuxer::open(input, &context.clock, &context.stop, context.reopen_after)?;
        let mut decoder = Decoder::new(demuxer.video(), demuxer.audio(), context.decoder.as_deref());
        decoder.economize(context.share.step().effort().unwrap_or(Effort::FULL).decode);
        if !decoder.has_video() && !decoder.has_audio() {
            return Err(Error::NotMedia(input.display()));
        }
        let opened = Unit::Opened {
            stamp: Stamp::default(),
            format: decoder.format(),
            video: decoder.has_video(),
            audio: decoder.has_audio(),
        };
        Ok(Self { demuxer, decoder, timeline: Timeline::new(false), queue: VecDeque::from([opened]), end: None })
    }

    /// Damaged packets and pictures, and decoder errors, so far.
    pub fn errors(&self) -> u64 {
        self.decoder.errors
    }

    /// Why it ended before its end, if it did.
    pub fn failure(&self) -> Option<String> {
        match self.end.as_ref()? {
            ReadEnd::End => None,
            ReadEnd::TimedOut => Some("nothing came any more".to_owned()),
            ReadEnd::Failed(reason) => Some(reason.clone()),
        }
    }

    /// The next unit; [`Unit::End`] for ever after the last.
    pub fn next_unit(&mut self) -> Unit {
        loop {
            if let Some(unit) = self.queue.pop_front() {
                return without_clock(unit);
            }
            if self.end.is_some() {
                return Unit::End;
            }
            match self.demuxer.read() {
                Ok(parcel) => self.decoder.feed(&parcel, &mut self.timeline, &mut self.queue),
                Err(end) => {
                    self.decoder.drain(&mut self.timeline, Mono(0), &mut self.queue);
                    self.end = Some(end);
                }
            }
        }
    }
}

/// The same file gives the same bytes: arrival is the place on the source's own axis.
fn without_clock(mut unit: Unit) -> Unit {
    let stamp = match &mut unit {
        Unit::Video(frame) => &mut frame.stamp,
        Unit::Audio(block) => &mut block.stamp,
        Unit::Passed(stamp)
        | Unit::Jump(stamp, _)
        | Unit::Idle(stamp)
        | Unit::Lost { stamp, .. }
        | Unit::Opened { stamp, .. } => stamp,
        Unit::Format(_) | Unit::End => return unit,
    };
    stamp.arrived = Mono(u64::try_from(stamp.at.0).unwrap_or(0));
    unit
}
