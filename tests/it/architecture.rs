//! The rules of ARCHITECTURE.md, read from the source: who may import whom, which crate is named where, sizes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A row may name only rows above it, so a cycle cannot be written.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("ids", &[]),
    ("frame", &["time"]),
    ("kernels", &["frame"]),
    ("health", &["time", "ids"]),
    ("budget", &[]),
    ("source", &["frame", "kernels", "health", "budget", "time", "ids"]),
    ("features", &["kernels", "frame", "time"]),
    ("pair", &["features", "time"]),
    ("detect", &["features", "kernels", "frame", "time"]),
    ("alert", &["detect", "time", "ids"]),
    ("evidence", &["alert", "detect", "kernels", "frame", "time"]),
    ("tape", &["alert", "detect", "time", "ids"]),
    ("wire", &["alert", "detect", "budget", "health", "time", "ids"]),
    ("outbox", &["wire", "time", "ids"]),
    ("identity", &["time", "ids"]),
    ("mqtt", &["identity", "outbox", "wire", "time", "ids"]),
    ("fitness", &["mqtt", "identity", "wire", "time", "ids"]),
    (
        "pipeline",
        &[
            "source", "frame", "features", "pair", "kernels", "detect", "alert", "evidence", "tape", "wire", "health",
            "budget", "time", "ids",
        ],
    ),
    ("report", &["pipeline", "wire", "alert", "detect", "time", "ids"]),
    ("config", &["mqtt", "identity", "outbox", "alert", "detect", "source", "health", "budget", "time", "ids"]),
    (
        "daemon",
        &[
            "config", "pipeline", "mqtt", "identity", "outbox", "wire", "tape", "alert", "detect", "pair", "source",
            "health", "budget", "kernels", "time", "ids",
        ],
    ),
    ("watch", &["mqtt", "wire", "time", "ids"]),
    (
        "cli",
        &[
            "watch", "daemon", "config", "fitness", "mqtt", "identity", "report", "pipeline", "wire", "tape", "alert",
            "detect", "pair", "features", "source", "budget", "health", "kernels", "frame", "time", "ids",
        ],
    ),
];

/// Where each foreign crate may be named: one place to change when it changes.
const FOREIGN: &[(&str, &[&str])] = &[
    ("alsa", &["source/capture/"]),
    ("bytes", &["mqtt/visit.rs", "mqtt/visit/"]),
    ("clap", &["cli/"]),
    ("crc32fast", &["outbox/", "tape/"]),
    ("ebur128", &["features/loudness.rs"]),
    ("ffmpeg_next", &["source/ffmpeg/"]),
    ("flate2", &["cli/bundle.rs"]),
    ("heapless", &["features/", "detect/"]),
    ("jiff", &["wire/"]),
    ("jpeg_encoder", &["evidence.rs"]),
    ("nix", &["time.rs", "source/", "health/", "outbox/", "identity/", "mqtt/tunnel.rs", "daemon/"]),
    ("ratatui", &["watch/run.rs", "watch/screen.rs", "watch/view/"]),
    ("rcgen", &["identity/"]),
    ("rumqttc", &["mqtt/link.rs", "mqtt/link/", "mqtt/visit/"]),
    ("rustls", &["identity/", "mqtt/", "config/environment.rs"]),
    ("sd_notify", &["daemon/reporting.rs"]),
    ("serde", &["wire/", "config/"]),
    ("simd_json", &["wire/"]),
    ("tar", &["cli/bundle.rs"]),
    ("tokio", &["daemon/", "mqtt/", "fitness/", "watch/"]),
    ("toml", &["config/"]),
    ("tracing_subscriber", &["cli/log.rs"]),
    ("unicode_width", &["watch/text.rs"]),
    ("v4l", &["source/capture/"]),
    ("x509_parser", &["identity/", "mqtt/tls.rs"]),
    ("zune_core", &["watch/view/picture.rs"]),
    ("zune_jpeg", &["watch/view/picture.rs"]),
];

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

struct SourceFile {
    /// Below src/.
    path: String,
    text: String,
}

fn sources() -> Vec<SourceFile> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let file = |path: PathBuf| SourceFile {
        path: path.strip_prefix(&root).expect("below").to_str().expect("UTF-8").to_owned(),
        text: std::fs::read_to_string(&path).expect("read"),
    };
    paths.into_iter().map(file).collect()
}

impl SourceFile {
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// Lines of code that ship: neither comments nor unit tests, which may reach for more.
    fn code(&self) -> impl Iterator<Item = &str> {
        let tests = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        self.text
            .lines()
            .take_while(move |line| !tests && !line.starts_with("#[cfg(test)]\nmod tests {") && *line != "mod tests {")
            .filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Modules of ours that it names.
    fn imports(&self) -> BTreeSet<&str> {
        let word = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        self.code().flat_map(|line| line.split("crate::").skip(1)).map(|rest| &rest[..word(rest)]).collect()
    }
}

fn check(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn modules_import_only_what_stands_before_them() {
    let mut broken = Vec::new();
    for (at, (name, row)) in MAY_IMPORT.iter().enumerate() {
        let above = |import: &&str| MAY_IMPORT[..at].iter().any(|(other, _)| other == import);
        broken.extend(row.iter().filter(|import| !above(import)).map(|import| format!("{name} -> {import} goes back")));
    }
    for file in sources() {
        let module = file.module();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some((_, row)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{}: {module} has no row", file.path));
            continue;
        };
        let bad = file.imports().into_iter().filter(|import| *import != module && !row.contains(import));
        broken.extend(bad.map(|import| format!("{}: {module} may not import {import}", file.path)));
    }
    check(broken);
}

#[test]
fn modules_are_declared_in_the_order_of_the_data() {
    let all = sources();
    let lib = all.iter().find(|file| file.path == "lib.rs").expect("lib.rs");
    let declared: Vec<&str> = lib.code().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let rows: Vec<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    assert_eq!(declared, rows);
}

#[test]
fn foreign_crates_stay_at_their_place() {
    let mut broken = Vec::new();
    for file in sources() {
        for (name, places) in FOREIGN {
            let path = format!("{name}::");
            let named = file.code().any(|line| {
                line.match_indices(&path)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
            });
            if named && !places.iter().any(|place| file.path.starts_with(place)) {
                broken.push(format!("{}: {name}", file.path));
            }
        }
    }
    check(broken);
}

#[test]
fn functions_and_files_fit() {
    let mut broken = Vec::new();
    for file in sources() {
        let lines: Vec<&str> = file.text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            broken.push(format!("{} has {} lines", file.path, lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") || !code.contains("fn ") {
                continue;
            }
            // rustfmt puts the closing brace at the indent of its `fn`.
            let close = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[at..].iter().position(|line| *line == close).map_or(0, |n| n + 1);
            let signature_ends =
                lines[at..].iter().position(|line| line.ends_with('{') || line.ends_with(';')).unwrap_or(0);
            if lines[at + signature_ends].ends_with('{') && length > FUNCTION_LINES_MAX {
                broken.push(format!("{}:{} is a function of {length} lines", file.path, at + 1));
            }
        }
    }
    check(broken);
}

#[test]
fn one_word_for_each_defect() {
    let files: Vec<String> = sources().into_iter().map(|file| file.path).collect();
    for defect in picket::detect::Defect::ALL {
        let name = defect.name();
        let has =
            files.iter().any(|path| *path == format!("detect/{name}.rs") || *path == format!("detect/{name}/mod.rs"));
        assert!(has, "src/detect/{name}.rs");
    }
}
