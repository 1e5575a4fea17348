//! From packets to units: decodes, stamps, and keeps what the decoder said about each picture.

use super::super::Unit;
use super::super::timeline::{Timeline, Track};
use super::complaints::Complaints;
use super::demux::{Demuxer, Found, Parcel};
use super::{picture::Adapter, sound};
use crate::frame::{AudioBlock, DecodeEvidence};
use crate::time::{MediaTime, Mono, Stamp};
use ffmpeg_next as ff;
use std::collections::VecDeque;

/// Sound that comes before the first picture waits for it, because that picture is the zero of time; at most so long.
const WAIT_FOR_PICTURE: i64 = 5_000_000_000;
/// Pictures before the first key picture show leftovers of joining a stream in the middle, not damage.
const WAIT_FOR_KEY: u32 = 250;

struct VideoTrack {
    found: Found,
    decoder: ff::decoder::Video,
    complaints: Complaints,
    adapter: Adapter,
    evidence: DecodeEvidence,
    skipped: u32,
    joined: bool,
    last: Option<i64>,
}

struct AudioTrack {
    found: Found,
    decoder: ff::decoder::Audio,
    next: Option<i64>,
    waiting: Vec<(i64, AudioBlock)>,
}

/// Decodes the watched streams of one connection.
pub(in crate::source) struct Decoder {
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    /// Damaged packets and pictures, and decoder errors, so far.
    pub errors: u64,
}

impl Decoder {
    /// Decoders for the streams of `demuxer`; a stream that no decoder fits is left out.
    pub(in crate::source) fn new(video: Option<Found>, audio: Option<Found>) -> Self {
        Self { video: video.and_then(open_video), audio: audio.and_then(open_audio), errors: 0 }
    }

    /// Decoders for the streams of `demuxer`.
    pub(in crate::source) fn of(demuxer: &Demuxer) -> Self {
        Self::new(demuxer.video(), demuxer.audio())
    }

    /// Whether pictures can come.
    pub(in crate::source) fn has_video(&self) -> bool {
        self.video.is_some()
    }

    /// Whether sound can come.
    pub(in crate::source) fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// "1920x1080 h264, 48000 Hz 2 ch aac".
    pub(in crate::source) fn format(&self) -> String {
        let mut parts = Vec::new();
        if let Some(track) = &self.video {
            let decoder = &track.decoder;
            parts.push(format!("{}x{} {}", decoder.width(), decoder.height(), decoder.id().name()));
        }
        if let Some(track) = &self.audio {
            let decoder = &track.decoder;
            parts.push(format!("{} Hz {} ch {}", decoder.rate(), decoder.channels(), decoder.id().name()));
        }
        parts.join(", ")
    }

    /// Decodes one packet and appends what came of it.
    pub(in crate::source) fn feed(&mut self, parcel: &Parcel, timeline: &mut Timeline, out: &mut VecDeque<Unit>) {
        let index = Some(parcel.packet.stream());
        if index == self.video.as_ref().map(|track| track.found.index) {
            self.feed_video(parcel, timeline, out);
        } else if index == self.audio.as_ref().map(|track| track.found.index) {
            self.feed_audio(parcel, timeline, out);
        }
    }

    /// The input ended: appends what the decoders still hold.
    pub(in crate::source) fn drain(&mut self, timeline: &mut Timeline, now: Mono, out: &mut VecDeque<Unit>) {
        if let Some(track) = &mut self.video {
            let _ = track.decoder.send_eof();
            self.errors += receive_pictures(track, &mut self.audio, timeline, now, out);
        }
        if let Some(track) = &mut self.audio {
            let _ = track.decoder.send_eof();
            receive_sound(track, timeline, now, out);
            // No picture ever came: then the first sample is zero.
            release_waiting(track, timeline, now, out);
        }
    }

    fn feed_video(&mut self, parcel: &Parcel, timeline: &mut Timeline, out: &mut VecDeque<Unit>) {
        let Some(track) = &mut self.video else { return };
        if parcel.packet.is_corrupt() {
            track.evidence.packets = track.evidence.packets.saturating_add(1);
        }
        if track.decoder.send_packet(&parcel.packet).is_err() {
            track.evidence.messages = track.evidence.messages.saturating_add(1);
        }
        self.errors += receive_pictures(track, &mut self.audio, timeline, parcel.arrived, out);
    }

    fn feed_audio(&mut self, parcel: &Parcel, timeline: &mut Timeline, out: &mut VecDeque<Unit>) {
        let has_video = self.video.is_some();
        let Some(track) = &mut self.audio else { return };
        if track.decoder.send_packet(&parcel.packet).is_err() {
            self.errors += 1;
        }
        receive_sound(track, timeline, parcel.arrived, out);
        let waited = match (track.waiting.first(), track.waiting.last()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => 0,
        };
        if !has_video || waited > WAIT_FOR_PICTURE {
            release_waiting(track, timeline, parcel.arrived, out);
        }
    }
}

fn open_video(found: Found) -> Option<VideoTrack> {
    let mut context = ff::codec::Context::from_parameters(found.parameters.clone()).ok()?;
    // One thread: the encoder owns the cores, and results do not depend on timing.
    context.set_threading(ff::threading::Config { count: 1, ..Default::default() });
    // Viewers see damaged pictures, so we must.
    context.set_flags(ff::codec::Flags::OUTPUT_CORRUPT);
    let decoder = context.decoder().video().ok()?;
    let complaints = Complaints::watch(address_of(&decoder));
    Some(VideoTrack {
        found,
        decoder,
        complaints,
        adapter: Adapter::default(),
        evidence: DecodeEvidence::default(),
        skipped: 0,
        joined: false,
        last: None,
    })
}

#[allow(unsafe_code)]
fn address_of(decoder: &ff::decoder::Video) -> usize {
    // SAFETY: only the address is taken, to compare with what FFmpeg's log callback names; nothing is read through it.
    unsafe { decoder.as_ptr() as usize }
}

fn open_audio(found: Found) -> Option<AudioTrack> {
    let context = ff::codec::Context::from_parameters(found.parameters.clone()).ok()?;
    let decoder = context.decoder().audio().ok()?;
    Some(AudioTrack { found, decoder, next: None, waiting: Vec::new() })
}

/// Returns the number of damaged pictures.
fn receive_pictures(
    track: &mut VideoTrack,
    audio: &mut Option<AudioTrack>,
    timeline: &mut Timeline,
    arrived: Mono,
    out: &mut VecDeque<Unit>,
) -> u64 {
    let mut damaged = 0;
    let mut picture = ff::frame::Video::empty();
    while track.decoder.receive_frame(&mut picture).is_ok() {
        let picture = std::mem::replace(&mut picture, ff::frame::Video::empty());
        let decode = take_evidence(track, &picture);
        if !join(track, &picture) {
            continue;
        }
        damaged += u64::from(decode.any());
        let duration = if track.found.rate > 0.0 { (1e9 / track.found.rate) as i64 } else { 40_000_000 };
        let raw = match picture.pts().or(picture.timestamp()) {
            Some(stamp) => nanos(stamp, track.found.time_base),
            None => track.last.map_or(0, |last| last + duration),
        };
        track.last = Some(raw);
        if !timeline.anchored() {
            timeline.anchor(raw, arrived);
        }
        if let Some(sound) = audio {
            release_waiting(sound, timeline, arrived, out);
        }
        let at = timeline.place(Track::Video, raw, duration, arrived);
        out.extend(track.adapter.adapt(picture, Stamp { at, arrived }, decode).map(Unit::Video));
    }
    damaged
}

/// Whether the picture can be judged: from the first key picture on.
fn join(track: &mut VideoTrack, picture: &ff::frame::Video) -> bool {
    if !track.joined {
        track.joined = picture.is_key() || picture.kind() == ff::picture::Type::I || track.skipped >= WAIT_FOR_KEY;
        track.skipped += 1;
    }
    track.joined
}

fn take_evidence(track: &mut VideoTrack, picture: &ff::frame::Video) -> DecodeEvidence {
    let mut evidence = std::mem::take(&mut track.evidence);
    let messages = u16::try_from(track.complaints.take()).unwrap_or(u16::MAX);
    evidence.messages = evidence.messages.saturating_add(messages);
    evidence.corrupt = picture.is_corrupt();
    evidence.concealed = picture.has_decode_errors();
    evidence
}

fn receive_sound(track: &mut AudioTrack, timeline: &mut Timeline, arrived: Mono, out: &mut VecDeque<Unit>) {
    let mut sound = ff::frame::Audio::empty();
    while track.decoder.receive_frame(&mut sound).is_ok() {
        let rate = sound.rate();
        let mut block = AudioBlock { rate, channels: sound.channels(), ..AudioBlock::default() };
        if rate == 0 || block.channels == 0 || !sound::interleave(&sound, &mut block.samples) {
            continue;
        }
        let stamp = sound.pts().or(sound.timestamp()).map(|stamp| nanos(stamp, track.found.time_base));
        let raw = stamp.or(track.next).unwrap_or(0);
        let duration = block.frames() as i64 * 1_000_000_000 / i64::from(rate);
        track.next = Some(raw + duration);
        if timeline.anchored() {
            out.push_back(placed(block, raw, duration, timeline, arrived));
        } else {
            track.waiting.push((raw, block));
        }
    }
}

fn release_waiting(track: &mut AudioTrack, timeline: &mut Timeline, arrived: Mono, out: &mut VecDeque<Unit>) {
    for (raw, block) in std::mem::take(&mut track.waiting) {
        if !timeline.anchored() {
            timeline.anchor(raw, arrived);
        }
        let duration = block.frames() as i64 * 1_000_000_000 / i64::from(block.rate);
        out.push_back(placed(block, raw, duration, timeline, arrived));
    }
}

fn placed(mut block: AudioBlock, raw: i64, duration: i64, timeline: &mut Timeline, arrived: Mono) -> Unit {
    let at: MediaTime = timeline.place(Track::Audio, raw, duration, arrived);
    block.stamp = Stamp { at, arrived };
    Unit::Audio(block)
}

/// A time stamp in units of `base` as nanoseconds.
pub(super) fn nanos(stamp: i64, base: ff::Rational) -> i64 {
    let scaled = i128::from(stamp) * i128::from(base.numerator()) * 1_000_000_000;
    i64::try_from(scaled / i128::from(base.denominator().max(1))).unwrap_or(0)
}
