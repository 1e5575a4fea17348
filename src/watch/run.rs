//! The watcher at work: line, clock and keyboard to one model, and that to a screen or a pipe.

use super::asks::Asks;
use super::feed::{Feed, News};
use super::fleet::Fleet;
use super::screen::{Asked, Link, Screen};
use super::{Now, plain, view};
use crate::mqtt::Settings;
use crate::time::{Clock, Mono};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// News is drawn at most four times per second; keys at once.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// Silence is noticed, and things are asked for, this often.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Messages that wait for the model; the broker waits then.
const NEWS_MAX: usize = 4096;
/// Messages taken before keys and screen have their turn.
const AT_ONCE: usize = 500;

/// Whom to watch.
pub struct Watch {
    /// How to get to the broker.
    pub broker: Settings,
    /// Topic levels before `picket/1`.
    pub prefix: String,
    /// Differs between watchers.
    pub seed: u64,
}

/// Where to.
pub enum Output<'a> {
    /// The terminal, taken over.
    Screen {
        /// Colours are wanted.
        colour: bool,
        /// The terminal has all of them, not 256 only.
        true_colour: bool,
        /// What to look for from the beginning.
        filter: String,
    },
    /// Lines, as they happen.
    Lines {
        /// JSON objects in place of text.
        json: bool,
        /// Takes each line; `false`: nobody reads any more.
        print: &'a mut dyn FnMut(&str) -> bool,
    },
}

/// Watches until somebody asks to end, or nobody looks any more. Errors: the terminal's, or a broker that never lets us in.
pub fn watch(watch: Watch, clock: Arc<dyn Clock>, output: Output<'_>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::take()?;
        let (send_news, news) = mpsc::channel(NEWS_MAX);
        let (wishes, hear_wishes) = mpsc::channel(16);
        let broker = format!("{}:{}", watch.broker.host, watch.broker.port);
        let feed = Feed {
            settings: watch.broker,
            prefix: watch.prefix.clone(),
            clock: Arc::clone(&clock),
            seed: watch.seed,
            news: send_news,
            wishes: hear_wishes,
        };
        let feed = tokio::spawn(feed.run());
        let mut desk = Desk {
            fleet: Fleet::new(&watch.prefix),
            link: Link { broker, since_ms: clock.wall().unix_ms, trouble: "connecting".to_owned(), ..Link::default() },
            asks: Asks::default(),
            prefix: watch.prefix,
            clock,
            news,
            wishes,
            rated: (Mono::default(), 0),
            was_up: false,
            refusal: None,
        };
        let ended = match output {
            Output::Lines { json, print } => desk.lines(signals, json, print).await,
            Output::Screen { colour, true_colour, filter } => {
                let mut screen = Screen::new(desk.link.clone(), colour, true_colour);
                screen.filter = filter;
                // The hook that it sets puts the terminal right before a panic is told.
                let mut terminal = ratatui::try_init()?;
                let ended = desk.screen(signals, &mut terminal, screen).await;
                // Fails when the terminal is gone: then nothing is left to put right.
                let _ = ratatui::try_restore();
                ended
            }
        };
        let ended = match desk.refusal.take() {
            Some(why) => Err(io::Error::other(format!("{}: {why}", desk.link.broker))),
            None => ended,
        };
        drop(desk);
        // It says farewell when it sees that nobody listens.
        let _ = tokio::time::timeout(Duration::from_secs(1), feed).await;
        ended
    })
}

/// Whoever may end us.
struct Signals([Signal; 3]);

impl Signals {
    fn take() -> io::Result<Self> {
        let [interrupt, terminate, hangup] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self([signal(interrupt)?, signal(terminate)?, signal(hangup)?]))
    }
    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// All that screen and pipe have in common.
struct Desk {
    fleet: Fleet,
    link: Link,
    asks: Asks,
    prefix: String,
    clock: Arc<dyn Clock>,
    news: mpsc::Receiver<News>,
    wishes: mpsc::Sender<super::asks::Wishes>,
    /// When messages were last counted, and how many there were.
    rated: (Mono, u64),
    was_up: bool,
    /// The broker never let us in and said no: there is nothing to wait for.
    refusal: Option<String>,
}

impl Desk {
    fn now(&self) -> Now {
        Now::of(&*self.clock)
    }

    /// Takes one piece of news, and what waits behind it; whether the line went up or down.
    fn take(&mut self, first: News) -> bool {
        let now = self.now();
        let mut turned = self.take_one(first, now);
        for _ in 0..AT_ONCE {
            match self.news.try_recv() {
                Ok(news) => turned |= self.take_one(news, now),
                Err(_) => break,
            }
        }
        turned
    }

    fn take_one(&mut self, news: News, now: Now) -> bool {
        match news {
            News::Message(message) => {
                self.fleet.take(&message.topic, &message.payload, message.fresh_for, now);
                return false;
            }
            News::Up => {
                self.fleet.excuse_all(now);
                self.asks.connected(now.mono);
                (self.link.up, self.link.since_ms, self.was_up) = (true, now.wall_ms, true);
                self.link.trouble.clear();
            }
            News::Refused(topics) => {
                self.link.trouble = format!("the broker does not let us read {}", topics.join(", "))
            }
            News::Down { why, refused } => {
                let turned = self.link.up || self.link.trouble != why;
                if self.link.up {
                    self.link.since_ms = now.wall_ms;
                }
                if refused && !self.was_up {
                    self.refusal = Some(why.clone());
                }
                self.link.up = false;
                self.link.trouble = why;
                return turned;
            }
        }
        true
    }

    /// What is due once a second.
    fn tick(&mut self, seen: &[crate::ids::DeviceId], open: Option<&crate::ids::DeviceId>) {
        let now = self.now();
        let (at, before) = self.rated;
        let messages = self.fleet.counts.messages;
        let passed = now.mono.since(at).as_secs_f64();
        if at != Mono::default() && passed > 0.0 {
            // Smoothed over some seconds.
            let rate = messages.saturating_sub(before) as f64 / passed;
            self.link.rate += (rate - self.link.rate) * 0.3;
        }
        self.rated = (now.mono, messages);
        self.fleet.picture_of(open);
        if !self.link.up {
            return;
        }
        self.fleet.tick(now);
        // When there is no room the next tick asks again: `asks` has its own patience.
        if let Ok(room) = self.wishes.try_reserve() {
            let wishes = self.asks.wishes(&self.fleet, &self.prefix, seen, open, now.mono);
            if wishes != super::asks::Wishes::default() {
                room.send(wishes);
            }
        }
    }

    async fn lines(&mut self, mut signals: Signals, json: bool, print: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
        let mut ticks = tokio::time::interval(TICK_EVERY);
        let (line, link_line) = match json {
            true => (plain::json as fn(&_) -> String, plain::link_json as fn(i64, bool, &str) -> String),
            false => (plain::line as fn(&_) -> String, plain::link_line as fn(i64, bool, &str) -> String),
        };
        loop {
            tokio::select! {
                () = signals.any() => return Ok(()),
                _ = ticks.tick() => self.tick(&[], None),
                news = self.news.recv() => {
                    let Some(news) = news else { return Ok(()) };
                    let turned = self.take(news);
                    if self.refusal.is_some() {
                        return Ok(());
                    }
                    if turned {
                        let text = if self.link.trouble.is_empty() { &self.link.broker } else { &self.link.trouble };
                        if !print(&link_line(self.now().wall_ms, self.link.up, text)) {
                            return Ok(());
                        }
                    }
                }
            }
            for change in self.fleet.take_changes() {
                if !print(&line(&change)) {
                    return Ok(());
                }
            }
        }
    }

    async fn screen(
        &mut self,
        mut signals: Signals,
        terminal: &mut DefaultTerminal,
        mut screen: Screen,
    ) -> io::Result<()> {
        let mut keys = keyboard();
        let mut ticks = tokio::time::interval(TICK_EVERY);
        let mut draws = tokio::time::interval(DRAW_EVERY);
        draws.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = signals.any() => return Ok(()),
                key = keys.recv() => match key {
                    // The terminal is gone.
                    None => return Ok(()),
                    Some(event) => {
                        if let Event::Key(key) = event
                            && key.kind != KeyEventKind::Release
                            && screen.key(key, &self.fleet) == Asked::End
                        {
                            return Ok(());
                        }
                        self.tick_open(&screen);
                        self.draw(terminal, &mut screen)?;
                    }
                },
                _ = draws.tick() => if self.fleet.moved {
                    self.draw(terminal, &mut screen)?;
                },
                _ = ticks.tick() => {
                    self.tick(screen.seen(), screen.open());
                    // Ages grow.
                    self.fleet.moved = true;
                }
                news = self.news.recv() => match news {
                    None => return Ok(()),
                    Some(news) => {
                        let turned = self.take(news);
                        if self.refusal.is_some() {
                            return Ok(());
                        }
                        self.fleet.moved |= turned;
                        self.fleet.take_changes();
                    }
                },
            }
        }
    }

    /// Pictures of a device that was just opened are not to wait for the next second.
    fn tick_open(&mut self, screen: &Screen) {
        if screen.open().is_some() {
            self.tick(screen.seen(), screen.open());
        }
    }

    fn draw(&mut self, terminal: &mut DefaultTerminal, screen: &mut Screen) -> io::Result<()> {
        let now = self.now();
        self.fleet.take_changes();
        screen.link = self.link.clone();
        screen.order(&self.fleet, now);
        terminal.draw(|frame| view::draw(frame, screen, &self.fleet, now))?;
        self.fleet.moved = false;
        Ok(())
    }
}

/// Keys and new sizes. Reading blocks, so it has a thread of its own, which ends with the process.
fn keyboard() -> mpsc::Receiver<Event> {
    let (send, keys) = mpsc::channel(64);
    // Without the thread the channel is closed, and with it the screen: as for a terminal that is gone.
    let _ = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while let Ok(event) = event::read() {
            if send.blocking_send(event).is_err() {
                break;
            }
        }
    });
    keys
}
