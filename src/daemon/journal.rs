//! The last commands and what was said to them, on disk: a command that comes again is answered again and not done
//! again, also after a restart or a power cut.

use super::state_folder::write_whole;
use crate::wire::{Reply, reply_of_record, reply_record};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Commands that are remembered.
const COMMANDS_MAX: usize = 256;
/// Questions, which change nothing, take no place from them.
const QUESTIONS_MAX: usize = 64;
/// Lines of the file before it is written anew: each command has two or three.
const LINES_MAX: usize = 4 * COMMANDS_MAX;
/// A longer reply is remembered in memory alone, so that the file stays small.
const RECORD_BYTES_MAX: usize = 2 << 10;

/// The last commands.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// `None`: it cannot be written, or must be written anew.
    file: Option<File>,
    lines: usize,
    known: VecDeque<Known>,
}

#[derive(Debug)]
struct Known {
    reply: Reply,
    lasting: bool,
}

impl Journal {
    /// Reads what a former run left. A torn or foreign line is left out.
    pub(super) fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let mut journal = Self { path: path.to_owned(), file: None, lines: 0, known: VecDeque::new() };
        bytes.split(|byte| *byte == b'\n').filter_map(reply_of_record).for_each(|reply| journal.remember(reply, true));
        journal
    }

    /// What was said last to the command with this id.
    pub(super) fn find(&self, id: &str) -> Option<&Reply> {
        self.known.iter().map(|known| &known.reply).find(|reply| reply.id == id)
    }

    /// Commands to which nothing final was said.
    pub(super) fn unfinished(&self) -> Vec<Reply> {
        self.known.iter().map(|known| &known.reply).filter(|reply| !reply.status.is_final()).cloned().collect()
    }

    /// Remembers a reply, and before this returns so does the disk, where `lasting`. A disk that cannot is told in the
    /// log: then commands are done once per run.
    pub(super) fn note(&mut self, reply: &Reply, lasting: bool) {
        self.remember(reply.clone(), lasting);
        let mut line = reply_record(reply);
        if !lasting || line.len() > RECORD_BYTES_MAX {
            return;
        }
        line.push(b'\n');
        let written = match &mut self.file {
            Some(file) if self.lines < LINES_MAX => file.write_all(&line).and_then(|()| file.sync_data()),
            _ => self.write_anew(),
        };
        self.lines += 1;
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.path.display(), "commands cannot be remembered");
            self.file = None;
        }
    }

    fn remember(&mut self, reply: Reply, lasting: bool) {
        match self.known.iter_mut().find(|known| known.reply.id == reply.id) {
            Some(known) => known.reply = reply,
            None => self.known.push_back(Known { reply, lasting }),
        }
        let most = if lasting { COMMANDS_MAX } else { QUESTIONS_MAX };
        if self.known.iter().filter(|known| known.lasting == lasting).count() > most {
            let oldest = self.known.iter().position(|known| known.lasting == lasting);
            oldest.and_then(|oldest| self.known.remove(oldest));
        }
    }

    fn write_anew(&mut self) -> std::io::Result<()> {
        let records = self
            .known
            .iter()
            .filter(|known| known.lasting)
            .map(|known| reply_record(&known.reply))
            .filter(|record| record.len() <= RECORD_BYTES_MAX);
        let lines: Vec<Vec<u8>> = records.collect();
        let mut content = lines.join(&b'\n');
        content.push(b'\n');
        write_whole(&self.path, &content)?;
        self.lines = lines.len();
        self.file = Some(File::options().append(true).open(&self.path)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Progress;

    #[test]
    fn commands_are_known_again_after_a_cut_anywhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("commands");
        let mut journal = Journal::open(&path);
        journal.note(&Reply::good("a", "mute", Progress::Accepted, ""), true);
        journal.note(&Reply::good("a", "mute", Progress::Done, "muted"), true);
        journal.note(&Reply::good("b", "health", Progress::Done, ""), false);
        let one = std::fs::read(&path).expect("written").len();
        journal.note(&Reply::good("c", "restart", Progress::Running, ""), true);
        let whole = std::fs::read(&path).expect("written");
        for cut in one..=whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let again = Journal::open(&path);
            assert_eq!(again.find("a").map(|reply| reply.status), Some(Progress::Done), "{cut}");
            assert_eq!(again.find("b"), None);
            // The last one counts only when it is whole but for its line's end.
            assert_eq!(again.unfinished().len(), usize::from(cut + 1 >= whole.len()), "{cut}");
        }
    }

    #[test]
    fn questions_do_not_make_a_command_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(&folder.path().join("commands"));
        journal.note(&Reply::good("r1", "restart", Progress::Done, ""), true);
        for n in 0..1000 {
            journal.note(&Reply::good(&n.to_string(), "health", Progress::Done, ""), false);
        }
        assert!(journal.find("r1").is_some() && journal.find("999").is_some());
        assert!(journal.known.len() <= 1 + QUESTIONS_MAX);
    }

    #[test]
    fn only_the_last_are_kept_and_the_file_stays_small() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("commands");
        let mut journal = Journal::open(&path);
        for n in 0..2 * LINES_MAX {
            journal.note(&Reply::good(&n.to_string(), "ack", Progress::Done, ""), true);
        }
        assert!(journal.find("0").is_none() && journal.find(&(2 * LINES_MAX - 1).to_string()).is_some());
        let lines = std::fs::read_to_string(&path).expect("written").lines().count();
        assert!((COMMANDS_MAX..=LINES_MAX).contains(&lines), "{lines}");
        assert_eq!(Journal::open(&path).known.len(), COMMANDS_MAX);
    }
}
