//! What is wrong in the configuration, and where: one block of lines for each mistake, all of them at once.

use crate::source::redact;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Lines of a file that are longer are not shown again below the mistake.
const EXCERPT_CHARS_MAX: usize = 160;
/// A value is shown up to here.
const VALUE_CHARS_MAX: usize = 60;
/// A line that holds one of these, in small letters, may hold a secret.
const SECRET_WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "pwd",
    "psk",
    "secret",
    "token",
    "key",
    "credential",
    "auth",
    "streamid",
];

/// One file of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Its place among the layers; later ones win.
    pub layer: usize,
    /// Where it was read.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Where a value came from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Bytes of a file.
    File(Arc<Document>, Range<usize>),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

/// Where a mistake is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file, counted from 1; columns are characters.
    File {
        /// Its place among the layers.
        layer: usize,
        /// Which file.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// The whole file, which could not be read.
    Unreadable(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// Key path, "broker.keep_alive"; empty where the text is no TOML.
    pub key: String,
    /// What is wrong, with the value.
    pub wrong: String,
    /// What would be right.
    pub right: String,
    excerpt: Option<Excerpt>,
}

/// The line of the mistake, and which of its characters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    line: String,
    marked: usize,
}

/// All mistakes of a configuration, in the order of the layers; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistake {
    pub(super) fn new(origin: &Origin, key: &str, wrong: String, right: String) -> Self {
        let (place, excerpt) = match origin {
            Origin::File(document, span) => locate(document, span),
            Origin::Variable(name) => (Place::Variable(name.clone()), None),
            Origin::Flag(name) => (Place::Flag(name.clone()), None),
        };
        // Keys and inputs come from the file: nothing in them shall command a terminal.
        Self { place, key: printable(key), wrong: printable(&wrong), right: printable(&right), excerpt }
    }

    pub(super) fn unreadable(path: PathBuf, why: &str) -> Self {
        let right = "a file that this user may read".to_owned();
        Self { place: Place::Unreadable(path), key: String::new(), wrong: why.to_owned(), right, excerpt: None }
    }
}

impl Mistakes {
    /// `found` in the order of the layers, lines and columns; `None` when there are none.
    pub(super) fn of(mut found: Vec<Mistake>) -> Option<Self> {
        found.sort_by(|a, b| a.place.cmp(&b.place));
        (!found.is_empty()).then_some(Self(found))
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// 2 for mistakes in the configuration, 3 when the only trouble is files that cannot be read.
    pub fn exit_code(&self) -> u8 {
        if self.0.iter().all(|mistake| matches!(mistake.place, Place::Unreadable(_))) { 3 } else { 2 }
    }
}

/// Line and column of `span`, and the line itself unless it may hold a secret.
fn locate(document: &Document, span: &Range<usize>) -> (Place, Option<Excerpt>) {
    let text = &document.text;
    let start = floor(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    let line = text[line_start..line_end].trim_end_matches('\r');
    let column = text[line_start..start].chars().count() + 1;
    let number = text[..start].bytes().filter(|&byte| byte == b'\n').count() + 1;
    let end = floor(text, span.end).clamp(start, line_end);
    let left = (line.chars().count() + 1).saturating_sub(column).max(1);
    let marked = text[start..end].chars().count().clamp(1, left);
    let place = Place::File { layer: document.layer, path: document.path.clone(), line: number, column };
    let shown = !may_hold_secret(&text[..line_start], line)
        && !line.trim().is_empty()
        && line.chars().count() <= EXCERPT_CHARS_MAX;
    (place, shown.then(|| Excerpt { line: printable(line), marked }))
}

/// Whether a name is one under which people keep secrets.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether `line`, behind the lines `before`, may hold a secret: by its own words, by those of the key and the table
/// that it belongs to, or as a URL with a user or a query. Rather too often than once too seldom: mistakes go to brokers
/// and into archives, and a text that is no TOML says little for certain.
fn may_hold_secret(before: &str, line: &str) -> bool {
    let is_head = |line: &&str| line.trim_start().starts_with('[');
    let of_key = if line.contains('=') { None } else { before.lines().rev().find(|line| line.contains('=')) };
    let of_table = before.lines().rev().find(is_head);
    // Within a text of several lines nothing says whose it is.
    let is_inside = ["\"\"\"", "'''"].iter().any(|quotes| before.matches(quotes).count() % 2 == 1);
    let is_url = line.contains('@') || (line.contains("://") && line.contains('?'));
    is_inside || is_url || is_secret(line) || of_key.into_iter().chain(of_table).any(is_secret)
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Without tabs, which would move the mark, and without what could command a terminal.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// `value` in quotes, escaped, and cut when it is long; of URLs without what may be secret.
pub(super) fn quoted(value: &str) -> String {
    let redacted = (value.contains("://") || value.contains('@')).then(|| redact(value));
    let value = redacted.as_deref().unwrap_or(value);
    if value.chars().count() <= VALUE_CHARS_MAX {
        return format!("{value:?}");
    }
    let start: String = value.chars().take(VALUE_CHARS_MAX).collect();
    format!("{start:?}...")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column, .. } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Unreadable(path) => write!(f, "{}", path.display()),
            Place::Variable(name) | Place::Flag(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        writeln!(f, "{}", self.wrong)?;
        if let (Some(Excerpt { line, marked }), Place::File { line: number, column, .. }) = (&self.excerpt, &self.place)
        {
            writeln!(f, "{number:>5} | {line}")?;
            writeln!(f, "      | {:before$}{}", "", "^".repeat(*marked), before = column - 1)?;
        }
        write!(f, "      right: {}", self.right)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration"),
            count => write!(f, "{count} mistakes in the configuration"),
        }
    }
}

impl std::error::Error for Mistakes {}
