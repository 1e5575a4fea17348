//! The last lines of the log, in memory: for the support archive, and for whoever listens to the topic `log` for a time.

use crate::time::{Mono, Wall};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that are kept ...
const LINES_MAX: usize = 2000;
/// ... and bytes of them.
const BYTES_MAX: usize = 512 << 10;
/// A longer line is cut.
const LINE_BYTES_MAX: usize = 1 << 10;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub wall: Wall,
    /// When, by the clock of durations.
    pub mono: Mono,
    /// "ERROR" to "TRACE".
    pub level: &'static str,
    /// Message and fields.
    pub text: String,
}

/// The ring, shared with whoever logs.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Number of the next line, counted from 0.
    next: u64,
}

impl Lines {
    /// Keeps a line. Never waits for a disk or the network.
    pub fn push(&self, mut line: Line) {
        crate::wire::shorten(&mut line.text, LINE_BYTES_MAX);
        let mut ring = self.ring();
        ring.bytes += line.text.len();
        ring.lines.push_back(line);
        ring.next += 1;
        while ring.lines.len() > LINES_MAX || ring.bytes > BYTES_MAX {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.text.len();
        }
    }

    /// Number of the next line.
    pub(super) fn next(&self) -> u64 {
        self.ring().next
    }

    /// The newest lines from number `from` on, `most` at the most; how many before them were left out; where to go on.
    pub(super) fn since(&self, from: u64, most: usize) -> (Vec<Line>, u64, u64) {
        let ring = self.ring();
        let new = ring.next.saturating_sub(from);
        let told = new.min(most as u64).min(ring.lines.len() as u64);
        let lines = ring.lines.iter().skip(ring.lines.len() - told as usize).cloned().collect();
        (lines, new - told, ring.next)
    }

    /// All that is kept, one line each.
    pub(super) fn text(&self) -> String {
        let ring = self.ring();
        let line =
            |line: &Line| format!("{} {:5} {}\n", crate::wire::time_text(line.wall.unix_ms), line.level, line.text);
        ring.lines.iter().map(line).collect()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A thread that failed in between has left a ring as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { wall: Wall::default(), mono: Mono(0), level: "INFO", text: text.to_owned() }
    }

    #[test]
    fn the_ring_is_bounded_in_lines_and_bytes() {
        let lines = Lines::default();
        (0..3000).for_each(|n| lines.push(line(&n.to_string())));
        let text = lines.text();
        assert_eq!(text.lines().count(), LINES_MAX);
        assert!(text.starts_with("1970-01-01T00:00:00.000Z INFO  1000\n") && text.ends_with(" 2999\n"), "{text:.99}");
        (0..3000).for_each(|_| lines.push(line(&"é".repeat(5000))));
        assert!(lines.text().len() < BYTES_MAX + 100 * LINES_MAX && lines.ring().lines.len() < LINES_MAX);
        assert!(lines.ring().lines.iter().all(|line| line.text.len() <= LINE_BYTES_MAX));
    }

    #[test]
    fn who_listens_gets_the_newest_and_is_told_of_the_others() {
        let lines = Lines::default();
        lines.push(line("before"));
        let from = lines.next();
        assert_eq!(lines.since(from, 20), (vec![], 0, 1));
        (0..50).for_each(|n| lines.push(line(&n.to_string())));
        let (told, left_out, next) = lines.since(from, 20);
        assert_eq!((told.len(), told[0].text.as_str(), left_out, next), (20, "30", 30, 51));
        (0..5000).for_each(|n| lines.push(line(&n.to_string())));
        let (told, left_out, _) = lines.since(next, 3000);
        assert_eq!((told.len(), left_out), (LINES_MAX, 3000));
    }
}
