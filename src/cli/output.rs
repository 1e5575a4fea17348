//! Writing for people and pipes.

use std::io::{IsTerminal, Write};

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
