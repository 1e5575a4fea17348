//! Pictures that are coded each by itself: the JPEGs of USB capture sticks.

use super::complaints::Complaints;
use super::decode::address_of;
use super::picture::Adapter;
use crate::frame::{DecodeEvidence, Frame};
use crate::time::Stamp;
use ffmpeg_next as ff;

/// Decodes one JPEG after the other.
pub(in crate::source) struct Stills {
    decoder: ff::decoder::Video,
    complaints: Complaints,
    adapter: Adapter,
}

impl Stills {
    /// `None`: the FFmpeg of this box decodes no JPEG.
    pub(in crate::source) fn new() -> Option<Self> {
        let codec = ff::codec::decoder::find(ff::codec::Id::MJPEG)?;
        let mut context = ff::codec::Context::new_with_codec(codec);
        // As for streams: one thread, and damaged pictures are wanted.
        context.set_threading(ff::threading::Config { count: 1, ..Default::default() });
        context.set_flags(ff::codec::Flags::OUTPUT_CORRUPT);
        let decoder = context.decoder().video().ok()?;
        let complaints = Complaints::watch(address_of(&decoder));
        Some(Self { decoder, complaints, adapter: Adapter::default() })
    }

    /// The picture in `bytes`; `told`: what is known of it already. `None`: there is none in it.
    pub(in crate::source) fn decode(&mut self, bytes: &[u8], stamp: Stamp, told: DecodeEvidence) -> Option<Frame> {
        let sent = self.decoder.send_packet(&ff::codec::packet::Packet::copy(bytes)).is_ok();
        let mut picture = ff::frame::Video::empty();
        let received = sent && self.decoder.receive_frame(&mut picture).is_ok();
        let messages = u16::try_from(self.complaints.take()).unwrap_or(u16::MAX);
        if !received {
            return None;
        }
        let decode = DecodeEvidence {
            corrupt: told.corrupt || picture.is_corrupt(),
            concealed: picture.has_decode_errors(),
            messages: told.messages.saturating_add(messages),
            ..told
        };
        let mut frame = self.adapter.adapt(picture, stamp, decode)?;
        // All are: it says nothing.
        frame.info.intra = false;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(side: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let grey = vec![200_u8; usize::from(side) * usize::from(side)];
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.encode(&grey, side, side, jpeg_encoder::ColorType::Luma).expect("encoded");
        bytes
    }

    #[test]
    fn each_picture_is_decoded_by_itself() {
        let mut stills = Stills::new().expect("a decoder");
        for side in [16, 64] {
            let told = DecodeEvidence::default();
            let frame = stills.decode(&jpeg(side), Stamp::default(), told).expect("a picture");
            assert_eq!((frame.info.width, frame.info.decode), (usize::from(side), told));
            assert!(frame.luma().rows().flatten().all(|sample| sample.abs_diff(200) <= 2));
        }
    }

    #[test]
    fn damage_is_told_and_does_not_last() {
        let mut stills = Stills::new().expect("a decoder");
        let whole = jpeg(64);
        assert!(stills.decode(&[1, 2, 3, 4], Stamp::default(), DecodeEvidence::default()).is_none());
        let torn = stills.decode(&whole[..whole.len() / 2], Stamp::default(), DecodeEvidence::default());
        assert!(torn.is_none_or(|frame| frame.info.decode.any()));
        let told = DecodeEvidence { corrupt: true, ..DecodeEvidence::default() };
        assert_eq!(stills.decode(&whole, Stamp::default(), told).map(|frame| frame.info.decode), Some(told));
    }
}
