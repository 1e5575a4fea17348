//! Spoilt bytes for everything that reads what others wrote. Nothing may panic, hang or give out nonsense.
//!
//! `cargo test` gives each target a moment, always the same one; `make fuzz MINUTES=60` as long as you like, each time
//! another. An input that breaks something is written to a file, which the message names with the seed.

#![allow(clippy::panic, clippy::disallowed_methods, reason = "tests fail by panicking, and wait by the clock")]
#![allow(clippy::print_stdout, reason = "how much was tried is worth telling")]

mod broker;
mod certificates;
mod documents;
mod media;
mod mutate;
mod outbox;
#[allow(dead_code, reason = "the tests of the whole program use all of it")]
#[path = "../it/scripted_broker.rs"]
mod scripted_broker;
#[allow(dead_code, reason = "the tests of the whole program use all of it")]
#[path = "../it/support.rs"]
mod support;

use mutate::Chance;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// Tries inputs that `make` makes: so many in a short run, else until the time is over.
pub fn fuzz(target: &str, short: u64, make: impl Fn(&mut Chance) -> Vec<u8>, mut check: impl FnMut(&[u8])) {
    let minutes = wanted("FUZZ_MINUTES");
    let since_epoch = std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    let seed = wanted("FUZZ_SEED").unwrap_or(if minutes.is_some() { since_epoch } else { 1 });
    let first = wanted("FUZZ_INPUT").unwrap_or(0);
    let began = Instant::now();
    let over = |nth: u64| match minutes {
        Some(minutes) => began.elapsed() >= Duration::from_secs(60 * minutes),
        None => nth >= first + short,
    };
    let mut nth = first;
    while !over(nth) {
        let input = make(&mut Chance::new(seed, nth));
        if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
            let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}-{seed}-{nth}"));
            std::fs::write(&path, &input).expect("written");
            panic!("{}: again with FUZZ_SEED={seed} FUZZ_INPUT={nth}", path.display());
        }
        nth += 1;
    }
    println!("{target}: {} inputs of seed {seed} in {:.1?}", nth - first, began.elapsed());
}
