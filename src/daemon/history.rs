//! Health of the last hour, in memory, for the support archive.

use crate::time::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// How far back it goes ...
const PAST: Duration = Duration::from_secs(3600);
/// ... unless bodies are long and many.
const BYTES_MAX: usize = 1 << 20;

/// Bodies of `health`, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    bodies: VecDeque<(Mono, Vec<u8>)>,
    bytes: usize,
}

impl History {
    /// Keeps a body.
    pub(super) fn note(&mut self, now: Mono, body: Vec<u8>) {
        self.bytes += body.len();
        self.bodies.push_back((now, body));
        while self.bytes > BYTES_MAX || self.bodies.front().is_some_and(|(when, _)| now.since(*when) > PAST) {
            let Some((_, oldest)) = self.bodies.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// All of them, one a line.
    pub(super) fn text(&self) -> Vec<u8> {
        self.bodies.iter().flat_map(|(_, body)| body.iter().chain(b"\n")).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more_than_a_mebibyte() {
        let mut history = History::default();
        let at = |seconds: u64| Mono(seconds * 1_000_000_000);
        (0..1000).for_each(|n| history.note(at(10 * n), format!("{{\"n\":{n}}}").into_bytes()));
        let text = String::from_utf8(history.text()).expect("text");
        assert!(text.starts_with("{\"n\":639}\n") && text.ends_with("{\"n\":999}\n"), "{text:.20}");
        (0..1000).for_each(|_| history.note(at(9999), vec![b'x'; 8 << 10]));
        assert!(history.text().len() <= BYTES_MAX + 1000);
    }
}
