//! Whether all has arrived: listens to every event and holds `seq` against what was sent and what was said to be lost.

use crate::packets::{self, Heard};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What was heard of one device.
#[derive(Clone, Debug, Default)]
struct Account {
    last: u64,
    missing: u64,
    duplicates: u64,
    disorder: u64,
    explained: u64,
}

/// All devices.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<String, Account>,
    events: u64,
    healths: u64,
}

/// The ledger while it is being written.
pub type Shared = Arc<Mutex<Ledger>>;

impl Ledger {
    fn heard(&mut self, topic: &str, payload: &[u8]) {
        let Some(device) = topic.split('/').find(|level| level.starts_with("pk-")) else { return };
        let Ok(body) = serde_json::from_slice::<Value>(payload) else { return };
        let account = self.accounts.entry(device.to_owned()).or_default();
        if topic.ends_with("/health") {
            self.healths += 1;
            let counted = ["dropped", "expired", "refused"].map(|name| body["spool"][name].as_u64().unwrap_or(0));
            account.explained = counted.iter().sum();
        } else if let Some(seq) = body["seq"].as_u64() {
            self.events += 1;
            if seq > account.last {
                account.missing += seq - account.last - 1;
                account.last = seq;
            } else if seq == account.last {
                account.duplicates += 1;
            } else {
                account.disorder += 1;
            }
        }
    }

    /// `sent`: the last `seq` of each device. The second is whether all is explained.
    pub fn verdict(&self, sent: &[(String, u64)]) -> (Value, bool) {
        let (mut missing, mut explained, mut unexplained, mut gaps) = (0, 0, 0, 0);
        let none = Account::default();
        for (device, seq) in sent {
            let account = self.accounts.get(device).unwrap_or(&none);
            let lost = account.missing + (seq - account.last.min(*seq));
            missing += lost;
            explained += lost.min(account.explained);
            unexplained += lost.saturating_sub(account.explained);
            gaps += u64::from(lost > 0);
        }
        let sum = |of: fn(&Account) -> u64| self.accounts.values().map(of).sum::<u64>();
        let (duplicates, disorder) = (sum(|a| a.duplicates), sum(|a| a.disorder));
        let told = json!({
            "events_heard": self.events, "healths_heard": self.healths, "devices_heard": self.accounts.len(),
            "devices_with_gaps": gaps, "missing": missing, "explained": explained, "unexplained": unexplained,
            "duplicates": duplicates, "out_of_order": disorder,
        });
        (told, unexplained == 0 && disorder == 0)
    }
}

/// Listens until the connection ends. Resolves the first time when it is subscribed.
pub async fn listen(broker: SocketAddr, prefix: &str, shared: Shared) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let mut stream = TcpStream::connect(broker).await?;
    let before = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let filters = [(format!("{before}picket/1/+/src/+/event"), 1), (format!("{before}picket/1/+/health"), 0)];
    stream.write_all(&packets::connect("picket-fleet-ledger", None)).await?;
    stream.write_all(&packets::subscribe(1, &filters)).await?;
    let mut bytes = Vec::new();
    // CONNACK and SUBACK: the broker hears us.
    for _ in 0..2 {
        while packets::take(&mut bytes).is_none() {
            stream.read_buf(&mut bytes).await?;
        }
    }
    Ok(tokio::spawn(async move {
        let mut ping = tokio::time::interval(std::time::Duration::from_secs(25));
        loop {
            let mut out = Vec::new();
            tokio::select! {
                read = stream.read_buf(&mut bytes) => if !matches!(read, Ok(1..)) { return },
                _ = ping.tick() => out.extend(packets::PING),
            }
            while let Some(heard) = packets::take(&mut bytes) {
                let Heard::Publish { topic, payload, id } = heard else { continue };
                if let Ok(mut ledger) = shared.lock() {
                    ledger.heard(&topic, &payload);
                }
                out.extend(id.map(packets::puback).unwrap_or_default());
            }
            if !out.is_empty() && stream.write_all(&out).await.is_err() {
                return;
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_needs_a_counter() {
        let mut ledger = Ledger::default();
        for seq in [1, 2, 5, 5] {
            ledger.heard("picket/1/pk-a/src/x/event", format!("{{\"seq\":{seq}}}").as_bytes());
        }
        let sent = [("pk-a".to_owned(), 6)];
        let (told, good) = ledger.verdict(&sent);
        assert!(!good);
        assert_eq!((&told["missing"], &told["unexplained"], &told["duplicates"]), (&json!(3), &json!(3), &json!(1)));
        ledger.heard("picket/1/pk-a/health", br#"{"spool":{"dropped":2,"expired":1,"refused":0}}"#);
        assert!(ledger.verdict(&sent).1);
        ledger.heard("picket/1/pk-a/src/x/event", br#"{"seq":3}"#);
        assert!(!ledger.verdict(&sent).1, "out of order");
    }
}
