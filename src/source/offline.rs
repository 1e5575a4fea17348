//! An input read once, as fast as it decodes, on media time: the same input gives the same units.

use super::ffmpeg::{Decoder, Demuxer};
use super::timeline::Timeline;
use super::{Context, Error, Input, Unit};
use crate::time::{Mono, Stamp};
use std::collections::VecDeque;

/// A file, standard input, or a stream that ends.
pub struct Offline {
    demuxer: Demuxer,
    decoder: Decoder,
    timeline: Timeline,
    queue: VecDeque<Unit>,
    ended: bool,
}

impl Offline {
    /// Opens `input`. Blocks.
    pub fn open(input: &Input, context: &Context) -> Result<Self, Error> {
        let demuxer = Demuxer::open(input, &context.clock, &context.stop, context.reopen_after)?;
        let decoder = Decoder::of(&demuxer);
        if !decoder.has_video() && !decoder.has_audio() {
            return Err(Error::NotMedia(input.display()));
        }
        let opened = Unit::Opened {
            stamp: Stamp::default(),
            format: decoder.format(),
            video: decoder.has_video(),
            audio: decoder.has_audio(),
        };
        Ok(Self { demuxer, decoder, timeline: Timeline::new(false), queue: VecDeque::from([opened]), ended: false })
    }

    /// Damaged packets and pictures, and decoder errors, so far.
    pub fn errors(&self) -> u64 {
        self.decoder.errors
    }

    /// The next unit; [`Unit::End`] for ever after the last.
    pub fn next_unit(&mut self) -> Unit {
        loop {
            if let Some(unit) = self.queue.pop_front() {
                return unit;
            }
            if self.ended {
                return Unit::End;
            }
            match self.demuxer.read() {
                Ok(mut parcel) => {
                    // No clock in what comes of a file.
                    parcel.arrived = Mono(0);
                    self.decoder.feed(&parcel, &mut self.timeline, &mut self.queue);
                }
                Err(_) => {
                    self.decoder.drain(&mut self.timeline, Mono(0), &mut self.queue);
                    self.ended = true;
                }
            }
        }
    }
}
