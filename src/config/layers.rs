//! Which files, variables and flags make up the configuration, and in which order.

use super::mistake::{Document, Mistake, Origin};
use super::nearest::nearest;
use super::raw::{Form, Given, Raw, Value};
use super::read;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the names of our variables begin with.
const PREFIX: &str = "PICKET_";
/// `PICKET_` variables that are no configuration: the program's choice of kernels, and where its tests find footage.
const NOT_CONFIGURATION: [&str; 2] = ["PICKET_KERNELS", "PICKET_CORPUS"];

/// No configuration is larger; a slip like /dev/zero would never end.
const BYTES_MAX: u64 = 1 << 20;

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Defaults of the image's maker.
    pub vendor: PathBuf,
    /// The administrator's file.
    pub file: PathBuf,
    /// Whether `file` was asked for by name, so that it must be there.
    pub named: bool,
    /// Read after `file`: its `*.toml`, in the order of their names.
    pub folder: PathBuf,
    /// What was set from afar.
    pub remote: PathBuf,
}

impl Places {
    /// The places of a system below `root`, which is "/" but for tests.
    pub fn below(root: &Path) -> Self {
        Self {
            vendor: root.join("usr/lib/picket/picket.toml"),
            file: root.join("etc/picket/picket.toml"),
            named: false,
            folder: root.join("etc/picket/conf.d"),
            remote: root.join("var/lib/picket/remote.toml"),
        }
    }

    /// With `file` (`--config`) in place of /etc/picket/picket.toml, and the `conf.d` beside it in place of that one.
    pub fn with_file(self, file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new("")).join("conf.d");
        Self { file: file.to_owned(), named: true, folder, ..self }
    }
}

/// A setting from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As it was typed: "--broker-url".
    pub flag: String,
    /// What it sets: "broker.url".
    pub key: &'static str,
    /// To what.
    pub value: String,
}

/// The environment of this process. What is no UTF-8 is made so.
pub fn process_environment() -> BTreeMap<String, String> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
}

/// All layers, merged.
pub(super) struct Merged {
    pub raw: Raw,
    /// Files that were there, in order.
    pub files: Vec<PathBuf>,
    /// Whether some text was no TOML: what seems to be missing may stand there.
    pub torn: bool,
}

/// Reads and merges everything, and notes what is wrong.
pub(super) fn merge(
    places: &Places,
    from_afar: &str,
    env: &BTreeMap<String, String>,
    flags: &[Flag],
    mistakes: &mut Vec<Mistake>,
) -> Merged {
    let mut merged = Merged { raw: Raw::default(), files: Vec::new(), torn: false };
    let mut files = vec![(places.vendor.clone(), false), (places.file.clone(), places.named)];
    files.extend(folder(&places.folder, mistakes).into_iter().map(|path| (path, true)));
    files.push((places.remote.clone(), false));
    let last = files.len();
    for (layer, (path, needed)) in files.into_iter().enumerate() {
        let Some(text) = text(&path, needed, layer, mistakes) else { continue };
        let document = Arc::new(Document { layer, path: path.clone(), text });
        merged.torn |= read::document(&document, &mut merged.raw, mistakes);
        merged.files.push(path);
    }
    if !from_afar.is_empty() {
        let path = PathBuf::from("layer from afar");
        let document = Arc::new(Document { layer: last, path, text: from_afar.to_owned() });
        merged.torn |= read::document(&document, &mut merged.raw, mistakes);
    }
    variables(env, &mut merged.raw, mistakes);
    for flag in flags {
        set_flag(flag, &mut merged.raw, mistakes);
    }
    merged
}

fn set_flag(flag: &Flag, raw: &mut Raw, mistakes: &mut Vec<Mistake>) {
    let origin = Origin::Flag(flag.flag.clone());
    for table in &mut raw.tables() {
        for leaf in &mut table.leaves {
            if format!("{}.{}", table.name, leaf.key.name) == flag.key {
                leaf.given = typed(leaf.key.form, &flag.value, flag.key, origin, mistakes).or(leaf.given.take());
                return;
            }
        }
    }
    mistakes.push(Mistake::new(&origin, flag.key, "no such key".to_owned(), "a key outside [[source]]".to_owned()));
}

/// `*.toml` in `folder`, sorted. No folder is fine.
fn folder(folder: &Path, mistakes: &mut Vec<Mistake>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            mistakes.push(Mistake::unreadable(folder.to_owned(), &format!("cannot be read: {}", reason(&error))));
            return Vec::new();
        }
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    paths.sort();
    paths
}

/// The text of a file. Only a `needed` file must be there.
fn text(path: &Path, needed: bool, layer: usize, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let bytes = match read_some(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && !needed => return None,
        Err(error) => {
            mistakes.push(Mistake::unreadable(path.to_owned(), &format!("cannot be read: {}", reason(&error))));
            return None;
        }
    };
    if bytes.len() as u64 > BYTES_MAX {
        mistakes.push(Mistake::unreadable(path.to_owned(), "is larger than 1MiB, so it is no configuration"));
        return None;
    }
    String::from_utf8(bytes)
        .map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let origin = Origin::File(Arc::new(Document { layer, path: path.to_owned(), text }), valid..valid + 1);
            mistakes.push(Mistake::new(&origin, "", "is no UTF-8 text".to_owned(), "a file saved as UTF-8".to_owned()));
        })
        .ok()
}

/// The file, or as much of it as shows that it is too large.
fn read_some(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Without the error's number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// `PICKET_<TABLE>_<KEY>`, such as PICKET_BROKER_URL, for every key outside `[[source]]`.
fn variables(env: &BTreeMap<String, String>, raw: &mut Raw, mistakes: &mut Vec<Mistake>) {
    let ours = env.iter().filter(|(name, _)| name.starts_with(PREFIX) && !NOT_CONFIGURATION.contains(&name.as_str()));
    for (name, value) in ours {
        let origin = Origin::Variable(name.clone());
        let mut tables = raw.tables();
        let mut known = Vec::new();
        let mut found = None;
        for table in &mut tables {
            for leaf in &mut table.leaves {
                let variable = format!("{PREFIX}{}_{}", table.name, leaf.key.name).to_uppercase();
                if variable == *name {
                    found = Some((format!("{}.{}", table.name, leaf.key.name), leaf));
                } else {
                    known.push(variable);
                }
            }
        }
        match found {
            Some((path, leaf)) => {
                leaf.given = typed(leaf.key.form, value, &path, origin, mistakes).or(leaf.given.take());
            }
            None => {
                // Without the part that all have in common, which would make everything look near.
                let near = nearest(&name[PREFIX.len()..], known.iter().map(|known| &known[PREFIX.len()..]));
                let right = near.map_or_else(
                    || "PICKET_<TABLE>_<KEY>, such as PICKET_BROKER_URL".to_owned(),
                    |near| format!("{PREFIX}{near}"),
                );
                mistakes.push(Mistake::new(&origin, "", "no such variable".to_owned(), right));
            }
        }
    }
}

/// A value that came as text, whatever its form.
fn typed(form: Form, text: &str, path: &str, origin: Origin, mistakes: &mut Vec<Mistake>) -> Option<Given> {
    let value = match (form, text) {
        (Form::Switch, "true" | "false") => Value::Switch(text == "true"),
        (Form::Switch, _) => {
            let wrong = format!("{} is neither true nor false", super::mistake::quoted(text));
            mistakes.push(Mistake::new(&origin, path, wrong, "true or false".to_owned()));
            return None;
        }
        _ => Value::Text(text.to_owned()),
    };
    Some(Given { value, path: path.to_owned(), origin })
}
