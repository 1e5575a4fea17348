//! Writing for people and pipes.

use super::Failure;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Names that are tried for a file that is not whole yet.
const PARTS_MAX: u32 = 100;

/// A file that is there whole or not at all. It is begun before the work whose result it holds, so that a place that
/// cannot be written is told at once.
pub(super) struct Draft {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl Draft {
    /// Begins the file that will stand at `path`, for everybody whom the umask lets read it.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        Self::with(path, 0o666)
    }

    /// Begins a file that nobody but its owner may read.
    pub(super) fn private(path: &Path) -> Result<Self, Failure> {
        Self::with(path, 0o600)
    }

    fn with(path: &Path, mode: u32) -> Result<Self, Failure> {
        let refuse = |reason: String| Failure {
            code: super::ENVIRONMENT,
            text: format!("{}: cannot be written: {reason}", path.display()),
        };
        let name = path.file_name().filter(|_| !path.is_dir()).ok_or_else(|| refuse("is a directory".to_owned()))?;
        // In a folder where others may write too, what is there already is theirs, and may lead elsewhere.
        let mut taken = 0;
        loop {
            let mut part = std::ffi::OsString::from(".");
            part.push(name);
            part.push(format!(".{}.{taken}.part", std::process::id()));
            let part = path.with_file_name(part);
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&part) {
                Ok(file) => return Ok(Self { path: path.to_owned(), part, file }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && taken < PARTS_MAX => taken += 1,
                Err(error) => return Err(refuse(error.to_string())),
            }
        }
    }

    /// Writes `content`, and puts the file where it belongs.
    pub(super) fn finish(mut self, content: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(content).and_then(|()| self.file.sync_all());
        written.and_then(|()| std::fs::rename(&self.part, &self.path)).map_err(|error| Failure {
            code: super::ENVIRONMENT,
            text: format!("{}: cannot be written: {error}", self.path.display()),
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing is there any more when it was finished.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// One text on standard output, with a line's end.
pub(super) fn print(text: &str) {
    print_json(text.as_bytes());
}

/// One JSON document on a line, at once. When the reader has gone, as `head` goes, there is nothing left to do; when
/// the disk is full, results are lost. Both end the program.
pub(super) fn print_json(body: &[u8]) {
    let mut out = std::io::stdout().lock();
    match out.write_all(body).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(i32::from(super::GOOD)),
        Err(error) => {
            complain(&format!("standard output: {error}"));
            std::process::exit(i32::from(super::ENVIRONMENT));
        }
    }
}

/// One line on standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "picket: {text}");
}

/// Why a command ends: a line of ours, or a list that begins each line with its file, which editors can follow.
pub(super) fn fail(text: &str) {
    if text.contains('\n') {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    } else {
        complain(text);
    }
}

/// `text` in the colour of a severity (or of "cleared"), on a terminal.
pub(super) fn paint(text: &str, kind: &str) -> String {
    let code = match kind {
        "critical" => "1;31",
        "major" => "31",
        "minor" => "33",
        "cleared" => "32",
        _ => return text.to_owned(),
    };
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_private_file_is_its_owners_and_follows_no_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, elsewhere) = (folder.path().join("a.tar"), folder.path().join("elsewhere"));
        std::fs::write(&elsewhere, "theirs").expect("written");
        symlink(&elsewhere, folder.path().join(format!(".a.tar.{}.0.part", std::process::id()))).expect("linked");
        symlink(&elsewhere, &path).expect("linked");
        Draft::private(&path)
            .unwrap_or_else(|failure| panic!("{}", failure.text))
            .finish(b"ours")
            .unwrap_or_else(|_| panic!("finished"));
        let about = std::fs::symlink_metadata(&path).expect("there");
        assert_eq!((about.is_file(), about.permissions().mode() & 0o777), (true, 0o600));
        assert_eq!(std::fs::read(&path).expect("read"), b"ours");
        assert_eq!(std::fs::read(&elsewhere).expect("read"), b"theirs");
        let left = std::fs::read_dir(folder.path()).expect("read").count();
        assert_eq!(left, 3, "the other's link, what it leads to, and ours");
    }
}
