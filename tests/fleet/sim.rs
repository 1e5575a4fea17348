//! A fleet of devices that are not there: real messages, a real broker, scripted trouble (`make fleet-test`).
//!
//!   picket-fleet-sim --broker 127.0.0.1:1883 --devices 9900 --scenario storm --seconds 120
//!
//! With as many connections as devices each has its own client id and will. With fewer they share: then the simulator
//! publishes the will of a device that it takes away, 20 s later, as a broker would. At the end it prints one JSON object.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

mod chance;
mod ledger;
mod line;
mod model;
mod packets;
mod scenes;
mod script;
mod trouble;

use chance::Chance;
use clap::Parser;
use line::{Line, News, Order};
use model::{Device, Settled};
use picket::time::{Clock, Mono, SystemClock};
use picket::wire::Message;
use scenes::Pictures;
use script::{Action, Scenario};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// Contract, mqtt.
const WILL_DELAY: Duration = Duration::from_secs(20);
const NEVER: Mono = Mono(u64::MAX);
/// The last acknowledgements, when all is sent.
const LAST_WORD: Duration = Duration::from_secs(20);
/// What the broker keeps must be what the devices are like by then.
const LIKE_WITHIN: Duration = Duration::from_secs(30);

/// A fleet of devices that are not there.
#[derive(Parser)]
struct Arguments {
    /// Address of the broker, plain TCP.
    #[arg(long, default_value = "127.0.0.1:1883")]
    broker: SocketAddr,
    /// Devices.
    #[arg(long, default_value_t = 9900)]
    devices: usize,
    /// Connections that they share; as many as devices: one each.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// What happens.
    #[arg(long, value_enum, default_value = "steady")]
    scenario: Scenario,
    /// The same seed makes the same fleet and the same course.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long, seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Between two health messages of a device, seconds.
    #[arg(long, default_value_t = 10)]
    period: u64,
    /// Within this time all devices come, seconds.
    #[arg(long, default_value_t = 5.0)]
    ramp: f64,
    /// Mean time between incidents of a source, seconds.
    #[arg(long, default_value_t = 3600.0)]
    incident_every: f64,
    /// Most sources of a device.
    #[arg(long, default_value_t = 4)]
    sources_max: u64,
    /// Share of sources that have a picture from the start; 0: no pictures at all.
    #[arg(long, default_value_t = 1.0)]
    pictures: f64,
    /// Sites.
    #[arg(long, default_value_t = 12)]
    sites: usize,
    /// Topic levels before picket/1.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Listens too, and fails when a gap in `seq` has no counter that explains it, when events come out of order, when what
    /// the broker keeps is not what devices are like, or when a clock that is not set is not told as such.
    #[arg(long)]
    check: bool,
}

#[derive(Default)]
struct Counts {
    sent: BTreeMap<String, u64>,
    bytes: u64,
    acked: u64,
    connected: u64,
    refused: BTreeMap<u8, u64>,
}

struct Fleet {
    arguments: Arguments,
    settled: Settled,
    clock: SystemClock,
    chance: Chance,
    pictures: Pictures,
    devices: Vec<Device>,
    /// When a device that has no broker may have it again.
    returns: Vec<Option<Mono>>,
    lines: Vec<mpsc::UnboundedSender<Order>>,
    line_up: Vec<bool>,
    /// When each device is looked at next: only such an entry of `due` counts.
    planned: Vec<Mono>,
    due: BinaryHeap<Reverse<(Mono, usize)>>,
    wills: VecDeque<(Mono, usize)>,
    actions: VecDeque<(Mono, Action)>,
    counts: Counts,
}

impl Fleet {
    fn new(arguments: Arguments, news: &mpsc::UnboundedSender<News>) -> Self {
        let clock = SystemClock;
        let now = clock.mono();
        let settled = Settled {
            prefix: arguments.prefix.clone(),
            period: Duration::from_secs(arguments.period),
            incident_every_s: arguments.incident_every,
            pictured: arguments.pictures,
            spool_max: arguments.scenario.spool_max(),
            sources_max: arguments.sources_max,
        };
        let device = |n| Device::new(n as u64, arguments.seed, arguments.sites, &settled, now);
        let clones = arguments.scenario.clones().min(arguments.devices);
        let devices: Vec<Device> =
            (0..arguments.devices).map(device).chain((0..clones).map(|n| device(n).copied())).collect();
        let mut fleet = Self {
            returns: vec![None; devices.len()],
            planned: vec![NEVER; devices.len()],
            due: BinaryHeap::new(),
            wills: VecDeque::new(),
            actions: VecDeque::new(),
            chance: Chance::new(arguments.seed ^ 0xf1ee7),
            pictures: Pictures::default(),
            lines: Vec::new(),
            line_up: Vec::new(),
            counts: Counts::default(),
            devices,
            settled,
            clock,
            arguments,
        };
        fleet.start_lines(news);
        let course = fleet.arguments.scenario.actions(fleet.arguments.sites, fleet.arguments.seconds);
        fleet.actions = course.into_iter().map(|(at, action)| (now.plus(at), action)).collect();
        fleet
    }

    fn own_lines(&self) -> bool {
        self.arguments.connections >= self.arguments.devices
    }

    fn start_lines(&mut self, news: &mpsc::UnboundedSender<News>) {
        let count = match self.own_lines() {
            true => self.devices.len().max(1),
            false => self.arguments.connections.max(1),
        };
        let (now, wall, own) = (self.clock.mono(), self.clock.wall(), self.own_lines());
        for number in 0..count {
            let (orders, receiver) = mpsc::unbounded_channel();
            let share = self.arguments.ramp * number as f64 / count as f64;
            let line = Line {
                number,
                after: Duration::from_secs_f64(if own { share } else { 0.0 }),
                broker: self.arguments.broker,
                client: match own {
                    true => self.devices[number].identity.id.as_str().to_owned(),
                    false => format!("picket-fleet-sim-{number}"),
                },
                will: own.then(|| self.devices[number].status("lost", now, wall)),
                orders: receiver,
                news: news.clone(),
            };
            self.lines.push(orders);
            self.line_up.push(false);
            tokio::spawn(line.run());
        }
    }

    fn send(&mut self, device: usize, messages: Vec<Message>) {
        let line = &self.lines[device % self.lines.len()];
        for message in messages {
            let kind = message.topic.rsplit('/').next().unwrap_or_default().to_owned();
            *self.counts.sent.entry(kind).or_default() += 1;
            self.counts.bytes += (message.topic.len() + message.payload.len()) as u64;
            let _ = line.send(Order::Send(message));
        }
    }

    fn heard(&mut self, news: News) {
        match news {
            News::Acked => self.counts.acked += 1,
            News::Refused(reason) => *self.counts.refused.entry(reason).or_default() += 1,
            News::Up(line) => {
                self.counts.connected += 1;
                self.line_up[line] = true;
                let now = self.clock.mono();
                let ramp = if self.own_lines() { 0.0 } else { self.arguments.ramp };
                for device in (line..self.devices.len()).step_by(self.lines.len()) {
                    // A broker that broke the line has forgotten what was on its way.
                    self.devices[device].disconnect();
                    let after = Duration::from_secs_f64(ramp * self.chance.unit());
                    let at = self.returns[device].unwrap_or(now).max(now.plus(after));
                    self.returns[device] = Some(at);
                    self.wake(device, at);
                }
            }
        }
    }

    /// All that is due. When to come again.
    fn step(&mut self) -> Mono {
        let (now, wall) = (self.clock.mono(), self.clock.wall());
        while self.actions.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, action)) = self.actions.pop_front() {
                self.act(action);
            }
        }
        while self.wills.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, device)) = self.wills.pop_front()
                && !self.devices[device].is_connected()
            {
                let will = self.devices[device].status("lost", now, wall);
                self.send(device, vec![will]);
            }
        }
        while let Some(&Reverse((at, device))) = self.due.peek()
            && at <= now
        {
            self.due.pop();
            if self.planned[device] == at {
                self.step_device(device);
            }
        }
        let next = [
            self.due.peek().map(|due| due.0.0),
            self.wills.front().map(|will| will.0),
            self.actions.front().map(|action| action.0),
        ];
        next.into_iter().flatten().min().unwrap_or(now.plus(Duration::from_millis(100)))
    }

    fn wake(&mut self, device: usize, at: Mono) {
        if at < self.planned[device] {
            self.planned[device] = at;
            self.due.push(Reverse((at, device)));
        }
    }

    fn step_device(&mut self, number: usize) {
        let (now, wall) = (self.clock.mono(), self.clock.wall());
        let device = &mut self.devices[number];
        let may = self.line_up[number % self.lines.len()] && self.returns[number].is_some_and(|at| at <= now);
        if may && !device.is_connected() {
            self.returns[number] = None;
            device.connect(now, wall, &self.settled, &mut self.pictures);
        }
        let said = device.step(now, wall, &self.settled, &mut self.pictures);
        self.planned[number] = NEVER;
        let back = self.returns[number].filter(|_| self.line_up[number % self.lines.len()]);
        let next = back.map_or(device.due(), |at| at.min(device.due()));
        self.wake(number, next.max(now.plus(Duration::from_millis(1))));
        self.send(number, said);
    }

    fn act(&mut self, action: Action) {
        let (now, wall) = (self.clock.mono(), self.clock.wall());
        match action {
            Action::Storm { site, share, what, seconds } => {
                for number in 0..self.devices.len() {
                    if self.devices[number].site == site {
                        self.devices[number].afflict(
                            share,
                            what,
                            seconds,
                            (now, wall),
                            &self.settled,
                            &mut self.pictures,
                        );
                        // The news of one feed spreads within two seconds.
                        let after = Duration::from_secs_f64(2.0 * self.chance.unit());
                        self.wake(number, now.plus(after));
                    }
                }
            }
            Action::Cut { site, away, spread } => self.cut(site, away, spread, now),
        }
    }

    fn cut(&mut self, site: Option<usize>, away: Duration, spread: Duration, now: Mono) {
        let own = self.own_lines();
        for number in 0..self.devices.len() {
            if site.is_some_and(|site| self.devices[number].site != site) {
                continue;
            }
            let pause = away + spread.mul_f64(self.chance.unit());
            self.devices[number].disconnect();
            if own {
                self.line_up[number] = false;
                let _ = self.lines[number].send(Order::Cut(pause));
            } else {
                self.returns[number] = Some(now.plus(pause));
                self.wake(number, now.plus(pause));
                self.wills.push_back((now.plus(WILL_DELAY), number));
            }
        }
    }

    /// All say how they are, so that every counter is told.
    fn finish(&mut self) {
        for number in 0..self.devices.len() {
            self.returns[number] = Some(Mono(0));
            self.devices[number].hurry();
            self.step_device(number);
        }
    }
}

async fn run(arguments: Arguments) -> std::io::Result<bool> {
    let ledger = ledger::Shared::default();
    if arguments.check {
        ledger::listen(arguments.broker, &arguments.prefix, ledger.clone()).await?;
    }
    if arguments.scenario == Scenario::SlowReader {
        ledger::read_slowly(arguments.broker, &arguments.prefix).await?;
    }
    let (seconds, check) = (arguments.seconds, arguments.check);
    let clones = arguments.scenario.clones();
    let (sender, mut news) = mpsc::unbounded_channel();
    let mut fleet = Fleet::new(arguments, &sender);
    drop(sender);
    let ends = fleet.clock.mono().plus(Duration::from_secs(seconds));
    while fleet.clock.mono() < ends {
        let next = fleet.step().min(ends);
        let pause = next.since(fleet.clock.mono()).max(Duration::from_millis(2));
        tokio::select! {
            Some(first) = news.recv() => {
                fleet.heard(first);
                while let Ok(more) = news.try_recv() {
                    fleet.heard(more);
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
    fleet.finish();
    // Without orders to come a line ends when all is acknowledged.
    fleet.lines.clear();
    let drained = async {
        while let Some(more) = news.recv().await {
            if let News::Acked = more {
                fleet.counts.acked += 1;
            }
        }
        // The ledger reads on another connection.
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let all_sent = tokio::time::timeout(LAST_WORD, drained).await.is_ok();
    let (checked, good) = match check {
        true => checked(&fleet, &ledger, clones).await,
        false => (serde_json::Value::Null, true),
    };
    let counts = &fleet.counts;
    println!(
        "{}",
        json!({
            "devices": fleet.devices.len(), "connections": counts.connected, "sent": counts.sent, "bytes": counts.bytes,
            "acked": counts.acked, "refused": counts.refused, "all_sent": all_sent,
            "events": fleet.devices.iter().map(|device| device.seq).sum::<u64>(), "check": checked,
        })
    );
    Ok(good && all_sent)
}

/// What the ledger says when all has arrived and what is kept is what the devices are like, or when that time is over.
async fn checked(fleet: &Fleet, ledger: &ledger::Shared, clones: usize) -> (serde_json::Value, bool) {
    // Two boxes that write the same topics are like neither.
    let twice: Vec<String> = fleet.devices.iter().take(clones).map(|device| device.name().0).collect();
    let own = fleet.devices.iter().filter(|device| !twice.contains(&device.name().0));
    let model: BTreeMap<String, ledger::Kept> = own.map(|device| (device.name().0, device.kept())).collect();
    let sent: Vec<(ledger::OneBox, u64)> = fleet.devices.iter().map(|device| (device.name(), device.seq)).collect();
    let unset = fleet.devices.iter().filter(|device| device.clock_unset).count();
    let began = fleet.clock.mono();
    loop {
        let after = fleet.clock.mono().since(began);
        let Ok((unlike, (mut told, good))) =
            ledger.lock().map(|ledger| (ledger.unlike(&model), ledger.verdict(&sent, unset)))
        else {
            return (serde_json::Value::Null, false);
        };
        // Events come at QoS 1, and may be behind what they led to.
        if (good && unlike == 0) || after > LIKE_WITHIN {
            told["unlike_the_model"] = unlike.into();
            told["like_after_s"] = (after.as_millis() as f64 / 1000.0).into();
            return (told, good && unlike == 0);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("picket-fleet-sim: {error}");
            return ExitCode::from(3);
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("picket-fleet-sim: {error}");
            ExitCode::from(3)
        }
    }
}
