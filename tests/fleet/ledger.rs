//! Whether all has arrived: listens to everything, holds `seq` against what was sent and what was said to be lost, and
//! what is kept against what the devices are like.

use crate::packets::{self, Heard};
use picket::time::{Clock, Mono, SystemClock};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A broker that is gone is tried again this often.
const AGAIN_EVERY: Duration = Duration::from_millis(100);

/// Two boxes with one id are two: they differ in their boot.
pub type OneBox = (String, String);

/// What was heard of one box.
#[derive(Clone, Debug, Default)]
struct Account {
    heard: BTreeSet<u64>,
    last: u64,
    duplicates: u64,
    disorder: u64,
    explained: u64,
    unsynced: bool,
}

/// What the broker keeps of a device, as far as it was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// `state` of `status`.
    pub status: String,
    /// Verdict and open incidents of each source.
    pub sources: BTreeMap<String, (String, Vec<String>)>,
}

/// All devices.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<OneBox, Account>,
    /// By device.
    kept: BTreeMap<String, Kept>,
    events: u64,
    healths: u64,
    returns: u64,
    returned: Option<Mono>,
    /// Devices whose documents were all heard since the broker returned, and the longest that took.
    back: BTreeMap<String, BTreeSet<String>>,
    back_after: Duration,
}

/// The ledger while it is being written.
pub type Shared = Arc<Mutex<Ledger>>;

impl Ledger {
    fn heard(&mut self, topic: &str, payload: &[u8], now: Mono) {
        let levels: Vec<&str> = topic.split('/').collect();
        let Some(at) = levels.iter().position(|level| level.starts_with("pk-")) else { return };
        let Ok(body) = serde_json::from_slice::<Value>(payload) else { return };
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let device = levels[at];
        match levels[at + 1..] {
            ["health"] => {
                let account = self.account(device, &text("boot"));
                let counted = ["dropped", "expired", "refused"].map(|name| body["spool"][name].as_u64().unwrap_or(0));
                account.explained = counted.iter().sum();
                account.unsynced = body["synced"] == false;
                self.healths += 1;
            }
            ["src", _, "event"] => {
                self.events += 1;
                if let Some(seq) = body["seq"].as_u64() {
                    self.account(device, &text("boot")).count(seq);
                }
            }
            ["status"] => {
                self.kept.entry(device.to_owned()).or_default().status = text("state");
                self.is_back(device, "status", now);
            }
            ["src", source, "state"] => {
                let open = body["open"].as_array().into_iter().flatten();
                let open = open.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
                let sources = &mut self.kept.entry(device.to_owned()).or_default().sources;
                sources.insert(source.to_owned(), (text("verdict"), open));
                self.is_back(device, source, now);
            }
            _ => {}
        }
    }

    fn account(&mut self, device: &str, boot: &str) -> &mut Account {
        self.accounts.entry((device.to_owned(), boot.to_owned())).or_default()
    }

    fn is_back(&mut self, device: &str, what: &str, now: Mono) {
        let Some(returned) = self.returned else { return };
        if self.back.entry(device.to_owned()).or_default().insert(what.to_owned()) {
            self.back_after = now.since(returned);
        }
    }

    fn returned(&mut self, now: Mono) {
        self.returns += 1;
        self.returned = Some(now);
        self.back.clear();
        self.back_after = Duration::ZERO;
        // A broker that forgot keeps nothing.
        self.kept.clear();
    }

    /// Devices that are kept in another way than they are.
    pub fn unlike(&self, devices: &BTreeMap<String, Kept>) -> usize {
        devices.iter().filter(|(device, kept)| self.kept.get(*device) != Some(kept)).count()
    }

    /// `sent`: the last `seq` of each box, by device and boot; `unsynced`: boxes whose clock is not set. The second is
    /// whether all is explained.
    pub fn verdict(&self, sent: &[(OneBox, u64)], unsynced: usize) -> (Value, bool) {
        let (mut missing, mut explained, mut unexplained, mut gaps) = (0, 0, 0, 0);
        let none = Account::default();
        for (device, seq) in sent {
            let account = self.accounts.get(device).unwrap_or(&none);
            let lost = seq.saturating_sub(account.heard.len() as u64);
            missing += lost;
            explained += lost.min(account.explained);
            unexplained += lost.saturating_sub(account.explained);
            gaps += u64::from(lost > 0);
        }
        let sum = |of: fn(&Account) -> u64| self.accounts.values().map(of).sum::<u64>();
        let (duplicates, disorder) = (sum(|a| a.duplicates), sum(|a| a.disorder));
        let devices: BTreeSet<&String> = self.accounts.keys().map(|(device, _)| device).collect();
        let unset = self.accounts.values().filter(|account| account.unsynced).count();
        let mut told = json!({
            "events_heard": self.events, "healths_heard": self.healths, "devices_heard": devices.len(),
            "devices_with_gaps": gaps, "missing": missing, "explained": explained, "unexplained": unexplained,
            "duplicates": duplicates, "out_of_order": disorder, "unsynced_heard": unset,
            "ids_of_two": self.accounts.len() - devices.len(),
        });
        if self.returns > 0 {
            told["broker_returns"] = self.returns.into();
            told["kept_back_s"] = (self.back_after.as_millis() as f64 / 1000.0).into();
        }
        (told, unexplained == 0 && disorder == 0 && unset == unsynced)
    }
}

impl Account {
    fn count(&mut self, seq: u64) {
        if !self.heard.insert(seq) {
            self.duplicates += 1;
        } else if seq < self.last {
            self.disorder += 1;
        }
        self.last = self.last.max(seq);
    }
}

/// Listens, and again when the broker went away. Resolves the first time when it is subscribed.
pub async fn listen(broker: SocketAddr, prefix: &str, shared: Shared) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let before = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let of = |what: &str, qos| (format!("{before}picket/1/+/{what}"), qos);
    let filters = [of("src/+/event", 1), of("health", 0), of("status", 0), of("src/+/state", 0)];
    let first = subscribed(broker, &filters).await?;
    Ok(tokio::spawn(async move {
        let mut line = Some(first);
        loop {
            match line.take() {
                Some((stream, bytes)) => hear(stream, bytes, &shared).await,
                None => tokio::time::sleep(AGAIN_EVERY).await,
            }
            line = subscribed(broker, &filters).await.ok();
            if let (Some(_), Ok(mut ledger)) = (&line, shared.lock()) {
                ledger.returned(SystemClock.mono());
            }
        }
    }))
}

/// A connection that the broker hears, and what came behind its answers.
async fn subscribed(broker: SocketAddr, filters: &[(String, u8)]) -> std::io::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_all(&packets::connect("picket-fleet-ledger", None)).await?;
    stream.write_all(&packets::subscribe(1, filters)).await?;
    let mut bytes = Vec::new();
    // CONNACK and SUBACK.
    for _ in 0..2 {
        while packets::take(&mut bytes).is_none() {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok((stream, bytes))
}

async fn hear(mut stream: TcpStream, mut bytes: Vec<u8>, shared: &Shared) {
    let mut ping = tokio::time::interval(Duration::from_secs(25));
    loop {
        let mut out = Vec::new();
        while let Some(heard) = packets::take(&mut bytes) {
            let Heard::Publish { topic, payload, id } = heard else { continue };
            if let Ok(mut ledger) = shared.lock() {
                ledger.heard(&topic, &payload, SystemClock.mono());
            }
            out.extend(id.map(packets::puback).unwrap_or_default());
        }
        if !out.is_empty() && stream.write_all(&out).await.is_err() {
            return;
        }
        tokio::select! {
            read = stream.read_buf(&mut bytes) => if !matches!(read, Ok(1..)) { return },
            _ = ping.tick() => if stream.write_all(&packets::PING).await.is_err() { return },
        }
    }
}

/// A reader who wants all, pictures too, and reads next to nothing: what he does not take must not stop the others.
pub async fn read_slowly(broker: SocketAddr, prefix: &str) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let before = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let filters = [(format!("{before}picket/#"), 1), (format!("{before}picket-img/#"), 0)];
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_all(&packets::connect("picket-fleet-slow", None)).await?;
    stream.write_all(&packets::subscribe(1, &filters)).await?;
    Ok(tokio::spawn(async move {
        let mut little = [0; 64];
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // The broker throws him out at last.
            if !matches!(stream.read(&mut little).await, Ok(1..)) || stream.write_all(&packets::PING).await.is_err() {
                return;
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ledger: &mut Ledger, seq: u64) {
        let body = format!("{{\"seq\":{seq},\"boot\":\"b\"}}");
        ledger.heard("picket/1/pk-a/src/x/event", body.as_bytes(), Mono(0));
    }

    #[test]
    fn a_gap_needs_a_counter() {
        let mut ledger = Ledger::default();
        [1, 2, 5, 5].into_iter().for_each(|seq| event(&mut ledger, seq));
        let sent = [(("pk-a".to_owned(), "b".to_owned()), 6)];
        let (told, good) = ledger.verdict(&sent, 0);
        assert!(!good);
        assert_eq!((&told["missing"], &told["unexplained"], &told["duplicates"]), (&json!(3), &json!(3), &json!(1)));
        let health = br#"{"boot":"b","synced":true,"spool":{"dropped":2,"expired":1,"refused":0}}"#;
        ledger.heard("picket/1/pk-a/health", health, Mono(0));
        assert!(ledger.verdict(&sent, 0).1);
        event(&mut ledger, 2);
        assert!(ledger.verdict(&sent, 0).1, "sent again after a lost connection");
        assert!(!ledger.verdict(&sent, 1).1, "a clock that is not set says so");
        event(&mut ledger, 3);
        assert!(!ledger.verdict(&sent, 0).1, "out of order");
    }

    #[test]
    fn what_is_kept_is_held_against_what_is() {
        let mut ledger = Ledger::default();
        let hear = |ledger: &mut Ledger, seconds: u64| {
            let now = Mono(seconds * 1_000_000_000);
            ledger.heard("picket/1/pk-a/status", br#"{"state":"online"}"#, now);
            ledger.heard("picket/1/pk-a/src/x/state", br#"{"verdict":"alert","open":[{"id":"i"}]}"#, now);
        };
        hear(&mut ledger, 1);
        let sources = BTreeMap::from([("x".to_owned(), ("alert".to_owned(), vec!["i".to_owned()]))]);
        let model = BTreeMap::from([("pk-a".to_owned(), Kept { status: "online".to_owned(), sources })]);
        assert_eq!(ledger.unlike(&model), 0);
        ledger.returned(Mono(5_000_000_000));
        assert_eq!(ledger.unlike(&model), 1, "the broker forgot");
        hear(&mut ledger, 7);
        hear(&mut ledger, 99);
        assert_eq!((ledger.unlike(&model), &ledger.verdict(&[], 0).0["kept_back_s"]), (0, &json!(2.0)));
    }
}
