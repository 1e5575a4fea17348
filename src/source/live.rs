//! An input watched in real time: read by a thread of its own, opened again for ever, never in the way of others.

use super::drops::SocketDrops;
use super::ffmpeg::{Decoder, Demuxer, Found, Parcel, ReadEnd};
use super::reconnect::Backoff;
use super::timeline::Timeline;
use super::{Context, Input, Unit};
use crate::budget::{Decode, Share};
use crate::time::{Clock, Mono, Stamp};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// How often a silent source says that it is silent.
const IDLE_EVERY: Duration = Duration::from_millis(200);
/// A packet that waited so long for its decoder shows that we lag: key pictures only, which are decoded faster than they
/// come, ...
const LAGS: Duration = Duration::from_millis(1_500);
/// ... until the wait is short again.
const CAUGHT_UP: Duration = Duration::from_millis(300);
/// Packets between reader and decoder: some seconds. When it is full, the reader waits and FFmpeg's socket buffer fills.
const QUEUE: usize = 256;

enum Message {
    Opened(Box<(Option<Found>, Option<Found>)>),
    Parcel(Box<Parcel>),
    Closed(String),
}

/// A live source.
pub struct Live {
    messages: Receiver<Message>,
    clock: Arc<dyn Clock>,
    share: Share,
    lagging: bool,
    /// The video decoder that is tried first.
    named: Option<String>,
    decoder: Decoder,
    timeline: Timeline,
    queue: VecDeque<Unit>,
    errors_before: u64,
}

impl Live {
    /// Starts reading.
    pub fn start(input: Input, context: Context) -> Self {
        let (sender, messages) = sync_channel(QUEUE);
        let (clock, share, named) = (context.clock.clone(), context.share.clone(), context.decoder.clone());
        let name = format!("read {}", input.display()).chars().take(15).collect();
        let reader = Reader { input, context, sender, backoff: Backoff::new(0) };
        let spawned = std::thread::Builder::new().name(name).spawn(move || reader.run());
        // Without a thread the channel closes at once, which the owner is told as a lost source.
        drop(spawned);
        Self {
            messages,
            clock,
            share,
            lagging: false,
            named,
            decoder: Decoder::new(None, None, None),
            timeline: Timeline::new(true),
            queue: VecDeque::new(),
            errors_before: 0,
        }
    }

    /// Damaged packets and pictures, and decoder errors, so far.
    pub fn errors(&self) -> u64 {
        self.errors_before + self.decoder.errors
    }

    /// The next unit; waits for it at most 200 ms.
    pub fn next_unit(&mut self) -> Unit {
        loop {
            if let Some(unit) = self.queue.pop_front() {
                return unit;
            }
            match self.messages.recv_timeout(IDLE_EVERY) {
                Ok(Message::Parcel(parcel)) => {
                    self.economize(self.clock.mono().since(parcel.arrived));
                    if parcel.after_loss {
                        tracing::warn!("packets were lost here, not on the way: going on with the next key picture");
                        self.decoder.lose();
                    }
                    self.decoder.feed(&parcel, &mut self.timeline, &mut self.queue);
                }
                Ok(Message::Opened(found)) => return self.opened(*found),
                Ok(Message::Closed(reason)) => return Unit::lost(self.stamp(), reason),
                Err(RecvTimeoutError::Timeout) => return Unit::Idle(self.stamp()),
                Err(RecvTimeoutError::Disconnected) => return Unit::End,
            }
        }
    }

    /// Keeps to the budget, and catches up when that was not enough. `delay`: how long the next packet has waited.
    fn economize(&mut self, delay: Duration) {
        self.share.waited(delay);
        self.lagging = delay > if self.lagging { CAUGHT_UP } else { LAGS };
        let allowed = self.share.step().effort().map_or(Decode::Key, |effort| effort.decode);
        self.decoder.economize(if self.lagging { Decode::Key } else { allowed });
    }

    fn opened(&mut self, (video, audio): (Option<Found>, Option<Found>)) -> Unit {
        self.errors_before += self.decoder.errors;
        self.decoder = Decoder::new(video, audio, self.named.as_deref());
        self.timeline.reopen();
        Unit::Opened {
            stamp: self.stamp(),
            format: self.decoder.format(),
            video: self.decoder.has_video(),
            audio: self.decoder.has_audio(),
        }
    }

    fn stamp(&self) -> Stamp {
        let now = self.clock.mono();
        Stamp { at: self.timeline.now(now), arrived: now }
    }
}

struct Reader {
    input: Input,
    context: Context,
    sender: SyncSender<Message>,
    backoff: Backoff,
}

impl Reader {
    fn run(mut self) {
        self.backoff = Backoff::new(self.context.seed);
        while !self.stopped() {
            let reason = match self.connection() {
                Ok(reason) => reason,
                Err(error) => error.to_string(),
            };
            if self.stopped() || self.sender.send(Message::Closed(reason)).is_err() {
                return;
            }
            let wait = self.backoff.next_wait();
            self.sleep(wait);
        }
    }

    /// One connection, from opening to the end; says why it ended.
    fn connection(&mut self) -> Result<String, super::Error> {
        let context = &self.context;
        let mut demuxer = Demuxer::open(&self.input, &context.clock, &context.stop, context.reopen_after)?;
        let found = Box::new((demuxer.video(), demuxer.audio()));
        let mut drops = SocketDrops::of(&self.input, Path::new("/"));
        let mut pace = (!self.input.paces_itself()).then(|| Pace::new(context.clock.clone()));
        if !self.pass(Message::Opened(found)) {
            return Ok("stopped".to_owned());
        }
        loop {
            match demuxer.read() {
                Ok(mut parcel) => {
                    self.backoff.reset();
                    if let Some(pace) = &mut pace {
                        let wait = pace.wait_for(&parcel, &demuxer);
                        self.sleep(wait);
                        // It was there before; it came when it was due.
                        parcel.arrived = self.context.clock.mono();
                    }
                    parcel.after_loss =
                        drops.as_mut().is_some_and(|drops| drops.look(parcel.arrived, parcel.packet.is_corrupt()));
                    if !self.pass(Message::Parcel(Box::new(parcel))) {
                        return Ok("stopped".to_owned());
                    }
                }
                Err(ReadEnd::End) => return Ok("the input ended".to_owned()),
                Err(ReadEnd::TimedOut) => {
                    return Ok(format!("no data for {} s", self.context.reopen_after.as_secs()));
                }
                Err(ReadEnd::Failed(reason)) => return Ok(reason),
            }
        }
    }

    /// Hands over; waits while the queue is full. False when nobody listens any more.
    fn pass(&self, message: Message) -> bool {
        let mut message = message;
        loop {
            message = match self.sender.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => back,
            };
            if self.stopped() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stopped(&self) -> bool {
        self.context.stop.load(Ordering::Relaxed)
    }

    /// In slices, so that a stop is heard.
    fn sleep(&self, time: Duration) {
        let until = self.context.clock.mono().plus(time);
        while !self.stopped() && self.context.clock.mono() < until {
            let left = until.since(self.context.clock.mono());
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// Slows an input that comes faster than real time (files, HTTP segments) to its own time stamps.
struct Pace {
    clock: Arc<dyn Clock>,
    start: Option<(i64, Mono)>,
}

impl Pace {
    /// A stamp that is off by more than this starts a new count: the stream jumped, or we were away.
    const OFF_MAX: Duration = Duration::from_secs(10);

    fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, start: None }
    }

    fn wait_for(&mut self, parcel: &Parcel, demuxer: &Demuxer) -> Duration {
        let Some(due_ns) = demuxer.decode_time_ns(parcel) else { return Duration::ZERO };
        let now = self.clock.mono();
        let (first, began) = *self.start.get_or_insert((due_ns, now));
        let elapsed = now.since(began).as_nanos() as i64;
        let ahead = due_ns - first - elapsed;
        if ahead.unsigned_abs() > Self::OFF_MAX.as_nanos() as u64 {
            self.start = Some((due_ns, now));
            return Duration::ZERO;
        }
        Duration::from_nanos(u64::try_from(ahead).unwrap_or(0))
    }
}
