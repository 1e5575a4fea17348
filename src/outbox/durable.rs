//! Getting messages onto the disk, and going on without it.

use super::queue::Home;
use super::{CURSOR_ACKS, CURSOR_EVERY, CURSOR_LAZILY, Now, Outbox, RESERVE, RETRY_EVERY, Trouble};
use std::io;

impl Outbox {
    /// Appends to the log; to memory where that cannot be done.
    pub(super) fn append(&mut self, seq: u64, encoded: &[u8], now: Now) -> Home {
        let result = self.make_room(encoded.len() as u64, now).and_then(|()| self.log.append(encoded));
        match result {
            Ok(place) => {
                self.log.hold(place);
                self.unsynced.push((seq, encoded.to_vec()));
                Home::Disk(place)
            }
            Err(error) => {
                self.degrade(&error.to_string(), now);
                Home::Memory(encoded.to_vec())
            }
        }
    }

    pub(super) fn sync(&mut self, now: Now) {
        if self.unsynced.is_empty() {
            return;
        }
        self.synced_at = Some(now.mono);
        match self.log.sync() {
            Ok(()) => self.unsynced.clear(),
            Err(error) => self.degrade(&error.to_string(), now),
        }
    }

    /// Writes the cursor and gives back what it no longer needs.
    pub(super) fn settle(&mut self, now: Now) {
        if let Err(error) = self.write_cursor(now).and_then(|()| self.remove_settled()) {
            self.degrade(&error.to_string(), now);
        }
    }

    pub(super) fn cursor_is_due(&self, now: Now) -> bool {
        let every = if self.cursor_due >= CURSOR_ACKS { CURSOR_EVERY } else { CURSOR_LAZILY };
        self.cursor_due > 0 && self.cursor_at.is_none_or(|at| now.mono.since(at) >= every)
    }

    pub(super) fn write_cursor(&mut self, now: Now) -> io::Result<()> {
        self.cursor_at = Some(now.mono);
        self.cursor.acked = self.queue.keys().next().copied().unwrap_or(self.next).min(self.settled_max);
        self.cursor.next = self.next.max(self.reserved);
        self.cursor.store(self.log.storage())?;
        self.cursor_due = 0;
        Ok(())
    }

    /// Goes on in memory. What the disk may not hold yet moves there too.
    pub(super) fn degrade(&mut self, reason: &str, now: Now) {
        if self.trouble.is_none() {
            tracing::warn!(reason, "outbox: messages are kept in memory only");
        }
        self.trouble = Some(Trouble { reason: reason.to_owned(), retry_at: now.mono.plus(RETRY_EVERY) });
        self.log.begin_anew();
        for (seq, encoded) in std::mem::take(&mut self.unsynced) {
            if let Some(queued) = self.queue.get_mut(&seq) {
                if let Home::Disk(place) = queued.home {
                    self.log.release(place);
                }
                queued.home = Home::Memory(encoded);
            }
        }
        self.reserve();
    }

    /// Sets numbers aside, so that a later run does not use again those of messages that never reach the disk. Writing
    /// over a small file works on a full disk; on one that takes nothing at all, there is no way to remember.
    pub(super) fn reserve(&mut self) {
        if self.next + RESERVE / 2 > self.reserved {
            self.reserved = self.next + RESERVE;
            self.cursor.next = self.reserved;
            if let Err(error) = self.cursor.store(self.log.storage()) {
                tracing::debug!(%error, "outbox: cannot set numbers aside");
            }
        }
    }

    /// Tries the disk again and moves to it what is in memory.
    pub(super) fn recover(&mut self, now: Now) {
        match self.move_to_disk(now) {
            Ok(()) => {
                tracing::info!("outbox: messages are kept on disk again");
                self.trouble = None;
                self.reserved = 0;
                self.synced_at = Some(now.mono);
                self.settle(now);
            }
            Err(error) => self.degrade(&error.to_string(), now),
        }
    }
}
