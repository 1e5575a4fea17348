//! The line to the broker: one visit after the other, with a wait in between that grows.

use super::asks::Wishes;
use crate::mqtt::chain;
use crate::mqtt::visit::{Error, Filter, Hello, Received, Told, Visit};
use crate::mqtt::{Backoff, Settings, Version};
use crate::time::{Clock, Mono};
use crate::wire::Qos;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A person waits.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// A visit that lasted so long was a good one.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What happens on the line.
#[derive(Debug)]
pub(super) enum News {
    /// The broker let us in and was asked for everything.
    Up,
    /// It does not let us read some of it: which.
    Refused(Vec<String>),
    /// A message.
    Message(Received),
    /// The line is down, and why.
    Down {
        why: String,
        /// The broker said no, which waiting does not change.
        refused: bool,
    },
}

/// The line.
pub(super) struct Feed {
    pub settings: Settings,
    /// Topic levels before `picket/1`.
    pub prefix: String,
    pub clock: Arc<dyn Clock>,
    /// Differs between watchers.
    pub seed: u64,
    /// Where news goes. Bounded: a screen that is slow slows the broker down.
    pub news: mpsc::Sender<News>,
    pub wishes: mpsc::Receiver<Wishes>,
}

impl Feed {
    /// Until nobody listens any more.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.seed);
        while !self.news.is_closed() {
            let began = self.clock.mono();
            let Err(error) = self.visit().await else { return };
            if self.clock.mono().since(began) > GOOD_AFTER {
                backoff.reset();
            }
            let wait = backoff.next_wait().clamp(Duration::from_millis(200), WAIT_MAX);
            let refused = matches!(error, Error::Refused(_) | Error::Password(_));
            if self.news.send(News::Down { why: chain(&error), refused }).await.is_err() {
                return;
            }
            // Wishes of the connection that is gone are void.
            let until = self.clock.mono().plus(wait);
            while let left @ 1.. = until.since(self.clock.mono()).as_millis() {
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                match timeout(left, self.wishes.recv()).await {
                    Ok(None) => return,
                    Ok(Some(_)) => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// One visit; `Ok` when nobody listens any more.
    async fn visit(&mut self) -> Result<(), Error> {
        let id = format!("picket-watch-{:08x}", self.seed & 0xffff_ffff);
        let hello = Hello { keep_alive: KEEP_ALIVE, ..Hello::passing(&id) };
        let (mut visit, welcome) = Visit::begin(&self.settings, &hello, Arc::clone(&self.clock)).await?;
        let keep_alive = welcome.keep_alive_s.map_or(KEEP_ALIVE, |s| Duration::from_secs(u64::from(s.max(2))));
        let filters = self.filters();
        let asked = visit.subscribe(&filters).await?;
        if self.news.send(News::Up).await.is_err() {
            return Ok(());
        }
        let (mut heard, mut pinged) = (self.clock.mono(), self.clock.mono());
        loop {
            let due = pinged.plus(keep_alive / 2);
            let wait = due.since(self.clock.mono()).max(Duration::from_millis(1));
            tokio::select! {
                told = timeout(wait, visit.told()) => match told {
                    Ok(told) => {
                        heard = self.clock.mono();
                        if !self.pass_on(told?, asked, &filters).await? {
                            visit.leave().await;
                            return Ok(());
                        }
                    }
                    Err(_) => self.is_there(&mut visit, heard, keep_alive, &mut pinged).await?,
                },
                wishes = self.wishes.recv() => match wishes {
                    None => {
                        visit.leave().await;
                        return Ok(());
                    }
                    Some(wishes) => ask(&mut visit, wishes).await?,
                },
            }
            // News that never stops must not keep us from saying that we are here.
            if self.clock.mono() >= due {
                self.is_there(&mut visit, heard, keep_alive, &mut pinged).await?;
            }
        }
    }

    async fn is_there(&self, visit: &mut Visit, heard: Mono, most: Duration, pinged: &mut Mono) -> Result<(), Error> {
        let now = self.clock.mono();
        if now.since(heard) > most.mul_f64(1.5) {
            return Err(Error::Silent);
        }
        if now.since(*pinged) >= most / 2 {
            *pinged = now;
            visit.ping().await?;
        }
        Ok(())
    }

    /// Whether anybody listens.
    async fn pass_on(&self, told: Told, asked: u16, filters: &[Filter]) -> Result<bool, Error> {
        let news = match told {
            Told::Message(received) => News::Message(received),
            Told::Subscribed(id, granted) if id == asked && granted.contains(&false) => {
                let refused = filters.iter().zip(granted).filter(|(_, granted)| !granted);
                News::Refused(refused.map(|(filter, _)| filter.topic.clone()).collect())
            }
            Told::Goodbye(why) => return Err(Error::Dismissed(why)),
            _ => return Ok(true),
        };
        Ok(self.news.send(news).await.is_ok())
    }

    /// Health first: whatever the broker drops of what it kept, one period later all verdicts are there.
    fn filters(&self) -> Vec<Filter> {
        let base = if self.prefix.is_empty() { "picket/1/+".to_owned() } else { format!("{}/picket/1/+", self.prefix) };
        let mut filters: Vec<Filter> = ["health", "src/+/event", "status", "src/+/state"]
            .iter()
            .map(|topic| Filter::all(&format!("{base}/{topic}"), Qos::AtMostOnce))
            .collect();
        // 3.1.1 has no way to leave out what is kept: then `info` comes as it is asked for, and not when it changes.
        if self.settings.version == Version::Five {
            filters.push(Filter::news(&format!("{base}/info"), Qos::AtMostOnce));
        }
        filters
    }
}

async fn ask(visit: &mut Visit, wishes: Wishes) -> Result<(), Error> {
    if !wishes.drop.is_empty() {
        visit.unsubscribe(wishes.drop).await?;
    }
    if !wishes.add.is_empty() {
        let filters: Vec<Filter> = wishes.add.iter().map(|topic| Filter::all(topic, Qos::AtMostOnce)).collect();
        visit.subscribe(&filters).await?;
    }
    Ok(())
}
