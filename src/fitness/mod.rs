//! Whether a broker can carry the contract (`picket broker-check`): tried on the broker itself, not read from its
//! configuration. All that it keeps for us is below one device's topics, noted before it is sent, and emptied at the end,
//! however that comes.

mod absence;
mod crowd;
mod delivery;
mod door;
mod point;
mod talk;

pub use point::{Level, Point};

use crate::ids::{DeviceId, SourceId};
use crate::mqtt::chain;
use crate::mqtt::visit::{Error, Hello, Visit, Welcome};
use crate::mqtt::{Settings, Version};
use crate::time::{Clock, Mono};
use crate::wire::{Message, Topics};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Whose topics, and by which ways.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How a device comes.
    pub device: Settings,
    /// How somebody comes who reads what devices say; `None`: as the device does.
    pub reader: Option<Settings>,
    /// Below this prefix.
    pub prefix: String,
    /// The device whose topics are used.
    pub id: DeviceId,
    /// Messages that the broker is to keep at once, for the queues of readers.
    pub crowd: usize,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// Everything was looked at.
    Done,
    /// The broker could not be reached, or was lost on the way.
    Unreachable(String),
    /// Somebody asked to end.
    Interrupted,
}

/// Looks at the broker; each point is told as soon as it is known. Returns how it ended, and on which topics something is
/// still kept because the broker could not be reached any more.
pub fn check(plan: Plan, clock: Arc<dyn Clock>, mut tell: impl FnMut(&Point)) -> std::io::Result<(End, Vec<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut check = Check::new(plan, clock);
        let end = tokio::select! {
            biased;
            _ = interrupt.recv() => End::Interrupted,
            _ = terminate.recv() => End::Interrupted,
            went = check.run(&mut tell) => match went {
                Ok(()) => End::Done,
                Err(error) => End::Unreachable(chain(&error)),
            },
        };
        // A second signal must not keep us from tidying up; the time that takes is bounded.
        Ok((end, check.tidy().await))
    })
}

struct Check {
    plan: Plan,
    topics: Topics,
    clock: Arc<dyn Clock>,
    version: Version,
    welcome: Welcome,
    /// Topics on which the broker may keep something of ours.
    litter: BTreeSet<String>,
    /// The broker lets one connection in at a time for these credentials.
    alone: bool,
    /// A reader gets what the device says.
    reads: bool,
}

impl Check {
    fn new(plan: Plan, clock: Arc<dyn Clock>) -> Self {
        let topics = Topics::new(&plan.prefix, &plan.id);
        let version = plan.device.version;
        Self {
            plan,
            topics,
            clock,
            version,
            welcome: Welcome::default(),
            litter: BTreeSet::new(),
            alone: false,
            reads: false,
        }
    }

    async fn run(&mut self, tell: &mut impl FnMut(&Point)) -> Result<(), Error> {
        let mut all = |points: Vec<Point>| points.iter().for_each(&mut *tell);
        all(self.versions().await?);
        all(self.security());
        all(vec![self.strangers().await]);
        all(self.limits());
        all(vec![self.commands().await?]);
        all(vec![self.round_trip().await?]);
        all(self.reading().await?);
        all(vec![self.retained().await?]);
        all(vec![self.picture().await?]);
        all(self.session().await?);
        all(vec![self.will().await?]);
        all(vec![self.others().await?]);
        all(self.crowd().await?);
        Ok(())
    }

    fn now(&self) -> Mono {
        self.clock.mono()
    }

    /// A client id for one part that we play.
    fn client_id(&self, part: &str) -> String {
        format!("{}-check-{part}", self.plan.id)
    }

    /// As a device comes.
    async fn device(&self, hello: &Hello) -> Result<(Visit, Welcome), Error> {
        let settings = Settings { version: self.version, ..self.plan.device.clone() };
        Visit::begin(&settings, hello, Arc::clone(&self.clock)).await
    }

    /// As a reader comes.
    async fn reader(&self, hello: &Hello) -> Result<(Visit, Welcome), Error> {
        let settings = self.plan.reader.as_ref().unwrap_or(&self.plan.device);
        // The version that the broker was found to speak.
        let settings = Settings { version: self.version, ..settings.clone() };
        Visit::begin(&settings, hello, Arc::clone(&self.clock)).await
    }

    /// A topic that access rules take for a source's `state`: of no source that is there.
    fn state_topic(&self, name: &str) -> String {
        // These names are of the right form.
        SourceId::new(&format!("check-{name}")).map(|source| self.topics.state(&source)).unwrap_or_default()
    }

    fn event_topic(&self) -> String {
        SourceId::new("check-0").map(|source| self.topics.event(&source)).unwrap_or_default()
    }

    fn image_topic(&self) -> String {
        SourceId::new("check-0").map(|source| self.topics.image(&source)).unwrap_or_default()
    }

    /// Notes that the broker may keep something there.
    fn note(&mut self, message: &Message) {
        if message.retain {
            self.litter.insert(message.topic.clone());
        }
    }

    /// Empties what was noted; what is left could not be.
    async fn tidy(&mut self) -> Vec<String> {
        let most = Duration::from_secs(20);
        // The line may have died with what was done on it, and a broker that restarts is back soon.
        for _ in 0..3 {
            if self.litter.is_empty() {
                break;
            }
            if tokio::time::timeout(most, self.empty_all()).await.is_ok_and(|done| done.is_ok()) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.litter.iter().cloned().collect()
    }

    async fn empty_all(&mut self) -> Result<(), Error> {
        let (mut device, _) = self.device(&Hello::passing(&self.client_id("device"))).await?;
        let messages: Vec<Message> = self.litter.iter().map(|topic| Message::emptying(topic)).collect();
        self.send_all(&mut device, &messages).await?;
        device.leave().await;
        self.litter.clear();
        Ok(())
    }
}
