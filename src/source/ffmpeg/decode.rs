//! From packets to units: decodes, stamps, and keeps what the decoder said about each picture.

use super::super::Unit;
use super::super::timeline::{Timeline, Track};
use super::complaints::Complaints;
use super::demux::{Found, Parcel};
use super::economy::{Economy, Fate};
use super::{picture::Adapter, sound};
use crate::budget::Decode;
use crate::frame::{AudioBlock, DecodeEvidence};
use crate::time::{MediaTime, Mono, Stamp};
use ffmpeg_next as ff;
use std::collections::VecDeque;
use std::time::Duration;

/// Sound that comes before the first picture waits for it, because that picture is the zero of time; at most so long.
const WAIT_FOR_PICTURE: i64 = 5_000_000_000;
/// Pictures before the first key picture show leftovers of joining a stream in the middle, not damage.
const WAIT_FOR_KEY: u32 = 250;

/// A decoder that shows no picture of so many packets does not work: four seconds at 25 per second, more than the delay
/// of any and the longest usual distance of key pictures.
const NAMED_MAX: u32 = 100;

struct VideoTrack {
    found: Found,
    decoder: ff::decoder::Video,
    complaints: Complaints,
    adapter: Adapter,
    evidence: DecodeEvidence,
    economy: Economy,
    /// The decoder that was asked for by name, while it is in use.
    named: Option<String>,
    /// Packets that it got without showing a picture yet.
    fed: u32,
    /// Place of the last picture, and packets since then that were passed over.
    last_at: MediaTime,
    passed: u32,
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
    /// Size, sampling and channels as they were told.
    shape: [u32; 4],
    /// Damaged packets and pictures, and decoder errors, so far.
    pub errors: u64,
}

impl Decoder {
    /// Decoders for streams; one that no decoder fits is left out. `named`: the video decoder that is tried first.
    pub(in crate::source) fn new(video: Option<Found>, audio: Option<Found>, named: Option<&str>) -> Self {
        let video = video.and_then(|found| open_video(found, named));
        let mut decoder = Self { video, audio: audio.and_then(open_audio), shape: [0; 4], errors: 0 };
        decoder.shape = decoder.shape();
        decoder
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
            let by = track.named.as_ref().map_or(String::new(), |name| format!(" by {name}"));
            parts.push(format!("{}x{} {}{by}", decoder.width(), decoder.height(), decoder.id().name()));
        }
        if let Some(track) = &self.audio {
            let decoder = &track.decoder;
            parts.push(format!("{} Hz {} ch {}", decoder.rate(), decoder.channels(), decoder.id().name()));
        }
        parts.join(", ")
    }

    /// What to decode of the pictures from now on.
    pub(in crate::source) fn economize(&mut self, decode: Decode) {
        if let Some(track) = &mut self.video {
            track.economy.want(decode);
        }
    }

    /// Packets were lost because we were late: pictures go on with the next that needs none of them.
    pub(in crate::source) fn lose(&mut self) {
        if let Some(track) = &mut self.video {
            track.economy.lose();
            track.decoder.flush();
            let _ = track.complaints.take();
            track.evidence = DecodeEvidence::default();
        }
    }

    /// Decodes one packet and appends what came of it.
    pub(in crate::source) fn feed(&mut self, parcel: &Parcel, timeline: &mut Timeline, out: &mut VecDeque<Unit>) {
        let index = Some(parcel.packet.stream());
        let track =
            if index == self.video.as_ref().map(|track| track.found.index) { Track::Video } else { Track::Audio };
        if let Some(jump) = parcel.jump {
            timeline.expect(track, jump.by_ns);
            if jump.told && timeline.anchored() {
                let at = timeline.end(track);
                out.push_back(Unit::Jump(Stamp { at, arrived: parcel.arrived }, jump));
            }
        }
        if index == self.video.as_ref().map(|track| track.found.index) {
            self.feed_video(parcel, timeline, out);
        } else if index == self.audio.as_ref().map(|track| track.found.index) {
            self.feed_audio(parcel, timeline, out);
        }
        let shape = self.shape();
        if std::mem::replace(&mut self.shape, shape) != shape {
            out.push_back(Unit::Format(self.format()));
        }
    }

    fn shape(&self) -> [u32; 4] {
        let (width, height) =
            self.video.as_ref().map_or((0, 0), |track| (track.decoder.width(), track.decoder.height()));
        let sound = self.audio.as_ref().map(|track| &track.decoder);
        [width, height, sound.map_or(0, |sound| sound.rate()), sound.map_or(0, |sound| u32::from(sound.channels()))]
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
        let was_key_only = track.economy.is_key_only();
        let fate = track.economy.admit(parcel.packet.is_key(), parcel.packet.pts());
        if parcel.packet.is_corrupt() && !track.economy.is_our_loss() {
            track.evidence.packets = track.evidence.packets.saturating_add(1);
        }
        let before = out.len();
        if track.economy.is_key_only() && !was_key_only {
            // What waits inside to be put in order would come out with the next key picture, late and out of time.
            self.errors += empty(track, &mut self.audio, timeline, parcel.arrived, out);
        }
        if fate != Fate::Pass {
            track.decoder.skip_frame(track.economy.discard());
            if track.decoder.send_packet(&parcel.packet).is_err() {
                track.evidence.messages = track.evidence.messages.saturating_add(1);
            }
            self.errors += receive_pictures(track, &mut self.audio, timeline, parcel.arrived, out);
        }
        if fate == Fate::Alone {
            self.errors += empty(track, &mut self.audio, timeline, parcel.arrived, out);
        }
        let shown = out.iter().skip(before).any(|unit| matches!(unit, Unit::Video(_)));
        if let Some(format) = self.give_up_on_named(shown, fate) {
            out.push_back(Unit::Format(format));
        }
        let Some(track) = &mut self.video else { return };
        if track.economy.is_partial() && !shown && timeline.anchored() {
            track.passed += 1;
            let after = track.last_at.plus(Duration::from_nanos(duration_of(&track.found) as u64) * track.passed);
            // Files have no clock that goes on between pictures.
            let now = timeline.now(parcel.arrived);
            let at = if now > track.last_at { now } else { after };
            out.push_back(Unit::Passed(Stamp { at, arrived: parcel.arrived }));
        }
    }

    /// A decoder asked for by name that opens is not yet one that works: without a picture the software one takes its
    /// place. The new format, if so.
    fn give_up_on_named(&mut self, shown: bool, fate: Fate) -> Option<String> {
        let track = self.video.as_mut().filter(|track| track.named.is_some())?;
        track.fed = if shown { 0 } else { track.fed + u32::from(fate != Fate::Pass) };
        if track.fed < NAMED_MAX {
            return None;
        }
        tracing::warn!(decoder = track.named, packets = track.fed, "shows no picture: the software decoder takes over");
        let decoder = open_decoder(&track.found, None)?;
        track.complaints = Complaints::watch(address_of(&decoder));
        (track.decoder, track.named, track.joined, track.skipped) = (decoder, None, false, 0);
        Some(self.format())
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

fn open_video(found: Found, named: Option<&str>) -> Option<VideoTrack> {
    let by_name = named.and_then(|name| Some((open_decoder(&found, Some(name))?, Some(name.to_owned()))));
    if let (Some(name), None) = (named, &by_name) {
        tracing::warn!(decoder = name, "does not fit the stream or does not open: the software decoder is used");
    }
    let (decoder, named) = by_name.or_else(|| Some((open_decoder(&found, None)?, None)))?;
    let complaints = Complaints::watch(address_of(&decoder));
    Some(VideoTrack {
        found,
        decoder,
        complaints,
        adapter: Adapter::default(),
        evidence: DecodeEvidence::default(),
        economy: Economy::default(),
        named,
        fed: 0,
        last_at: MediaTime(0),
        passed: 0,
        skipped: 0,
        joined: false,
        last: None,
    })
}

fn open_decoder(found: &Found, named: Option<&str>) -> Option<ff::decoder::Video> {
    let mut context = ff::codec::Context::from_parameters(found.parameters.clone()).ok()?;
    // One thread: the encoder owns the cores, and results do not depend on timing.
    context.set_threading(ff::threading::Config { count: 1, ..Default::default() });
    // Viewers see damaged pictures, so we must.
    context.set_flags(ff::codec::Flags::OUTPUT_CORRUPT);
    match named {
        None => context.decoder().video().ok(),
        Some(name) => {
            let codec = ff::codec::decoder::find_by_name(name).filter(|codec| codec.id() == found.parameters.id())?;
            context.decoder().open_as(codec).and_then(|opened| opened.video()).ok()
        }
    }
}

#[allow(unsafe_code)]
pub(super) fn address_of(decoder: &ff::decoder::Video) -> usize {
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
        if !join(track, &picture) || !track.economy.shows(picture.pts()) {
            continue;
        }
        damaged += u64::from(decode.any());
        let duration = duration_of(&track.found);
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
        (track.last_at, track.passed) = (at, 0);
        let frame = track.adapter.adapt(picture, Stamp { at, arrived }, decode);
        out.extend(frame.map(|mut frame| {
            // Where all are key pictures, they are what others are between them.
            frame.info.intra &= !track.economy.is_key_only();
            Unit::Video(frame)
        }));
    }
    damaged
}

/// Takes all pictures out of the decoder, which starts anew with the next packet. Returns the number of damaged ones.
fn empty(
    track: &mut VideoTrack,
    audio: &mut Option<AudioTrack>,
    timeline: &mut Timeline,
    arrived: Mono,
    out: &mut VecDeque<Unit>,
) -> u64 {
    let _ = track.decoder.send_eof();
    let damaged = receive_pictures(track, audio, timeline, arrived, out);
    track.decoder.flush();
    damaged
}

/// How long a picture lasts, nanoseconds.
fn duration_of(found: &Found) -> i64 {
    if found.rate > 0.0 { (1e9 / found.rate) as i64 } else { 40_000_000 }
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
