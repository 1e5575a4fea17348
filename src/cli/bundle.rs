//! `picket bundle`: what support needs, in one archive. The daemon makes its archives with the same command, in a process
//! of its own, and tells what it alone knows through a socket.

use super::{Configured, ENVIRONMENT, Failure, GOOD, output};
use crate::config::{self, Config};
use crate::daemon::ask_live;
use crate::time::{Clock, SystemClock};
use crate::wire;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Most bytes of one part: what is longer loses its beginning. All parts together stay below 5 MiB.
const PART_BYTES_MAX: usize = 1 << 20;
/// Of parts that are short as a rule.
const SHORT_BYTES_MAX: usize = 64 << 10;

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// Write it to this file instead of picket-bundle.tar.gz here
    #[arg(long, value_name = "FILE", default_value = "picket-bundle.tar.gz")]
    out: PathBuf,
}

/// The program that writes an archive to `out`: this one, for the daemon.
pub(super) fn program(configuration: Option<&Path>, out: &Path) -> Command {
    // The link leads to the program that runs, also when its file was replaced.
    let mut command = Command::new("/proc/self/exe");
    command.arg("bundle").arg("--out").arg(out);
    if let Some(file) = configuration {
        command.arg("--config").arg(file);
    }
    command
}

/// Collects and writes. What is not to be had is said in the archive.
pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let draft = output::Draft::private(&options.out)?;
    crate::health::yield_to_others();
    let mut parts = Parts { made: SystemClock.wall().unix_ms, all: Vec::new(), missing: Vec::new() };
    parts.machine();
    let config = super::run::load(options.configured.config.as_deref()).ok();
    match &config {
        Some(config) => parts.of_config(config),
        None => parts.of_mistakes(options.configured.config.as_deref()),
    }
    parts.devices();
    parts.journal();
    let missing = parts.missing.clone();
    let archive = parts.archive().map_err(|error| Failure { code: ENVIRONMENT, text: error.to_string() })?;
    let length = archive.len();
    draft.finish(&archive)?;
    missing.iter().for_each(|what| output::complain(&format!("without {what}")));
    output::print(&format!("{}: {} KiB", options.out.display(), length.div_ceil(1024)));
    Ok(GOOD)
}

/// What goes into the archive.
struct Parts {
    made: i64,
    all: Vec<(String, Vec<u8>)>,
    /// What is not to be had, and why.
    missing: Vec<String>,
}

impl Parts {
    fn add(&mut self, name: &str, mut content: Vec<u8>, bytes_max: usize) {
        // The newest is at the end.
        content.drain(..content.len().saturating_sub(bytes_max));
        self.all.push((name.to_owned(), content));
    }

    fn file(&mut self, name: &str, path: &Path) {
        match std::fs::read(path) {
            Ok(content) => self.add(name, content, SHORT_BYTES_MAX),
            Err(error) => self.missing.push(format!("{}: {error}", path.display())),
        }
    }

    /// Versions, and the machine.
    fn machine(&mut self) {
        let text = format!("made {}\n{}\n", wire::time_text(self.made), super::version_text());
        self.add("versions.txt", text.into_bytes(), SHORT_BYTES_MAX);
        for (name, path) in [
            ("os-release.txt", "/etc/os-release"),
            ("kernel.txt", "/proc/version"),
            ("meminfo.txt", "/proc/meminfo"),
            ("mounts.txt", "/proc/self/mounts"),
        ] {
            self.file(name, Path::new(path));
        }
    }

    fn of_config(&mut self, config: &Config) {
        // Without secrets: passwords are in files of their own, and those in a source's URL are left out.
        self.add("config.toml", config.told().into_bytes(), SHORT_BYTES_MAX);
        let files = config.files().iter().map(|file| format!("read {}\n", file.display()));
        let notes = config.notes().iter().map(|note| format!("note: {note}\n"));
        let findings = config::check_environment(config);
        let findings = findings.iter().map(|finding| format!("{finding}\n"));
        let check: String = files.chain(notes).chain(findings).collect();
        self.add("check.txt", check.into_bytes(), SHORT_BYTES_MAX);
        let state = &config.device.state_dir;
        for name in ["commands", "runs"] {
            let path = state.join(name);
            if path.exists() {
                self.file(&format!("{name}.txt"), &path);
            }
        }
        self.add("files.txt", listing(state, 3).into_bytes(), SHORT_BYTES_MAX);
        match ask_live(&config.device.runtime_dir) {
            Ok(parts) => parts.into_iter().for_each(|(name, content)| self.add(&name, content, PART_BYTES_MAX)),
            Err(error) => self.missing.push(format!("what the running daemon alone knows: {error}")),
        }
    }

    /// Where the mistakes are, but not the lines, which may hold secrets.
    fn of_mistakes(&mut self, file: Option<&Path>) {
        let wrong = super::run::mistakes(file);
        let lines = wrong.iter().map(|mistake| format!("{}: {}\n", mistake.place, mistake.key));
        let text: String = std::iter::once("the configuration is wrong at\n".to_owned()).chain(lines).collect();
        self.add("check.txt", text.into_bytes(), SHORT_BYTES_MAX);
        self.missing.push("the settings and the daemon's state: the configuration is wrong".to_owned());
    }

    /// What `picket probe` finds, in a process of its own: decoders and drivers that are tried may end it.
    fn devices(&mut self) {
        let probe = Command::new("/proc/self/exe").args(["probe", "--format", "json"]).stdin(Stdio::null()).output();
        match probe {
            Ok(output) if output.status.success() => self.add("probe.json", output.stdout, PART_BYTES_MAX / 2),
            Ok(output) => self.missing.push(format!("devices: probe ended with {}", output.status)),
            Err(error) => self.missing.push(format!("devices: {error}")),
        }
    }

    /// What systemd's journal has of us, also from before a crash, where this user may read it.
    fn journal(&mut self) {
        let arguments = ["--unit=picket", "--lines=2000", "--no-pager", "--quiet", "--output=short-iso"];
        let journal = Command::new("journalctl").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
        if let Ok(output) = journal
            && output.status.success()
            && !output.stdout.is_empty()
        {
            self.add("journal.txt", output.stdout, PART_BYTES_MAX);
        }
    }

    fn archive(mut self) -> io::Result<Vec<u8>> {
        let missing: String = self.missing.iter().map(|what| format!("{what}\n")).collect();
        if !missing.is_empty() {
            self.add("missing.txt", missing.into_bytes(), SHORT_BYTES_MAX);
        }
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (name, content) in &self.all {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(self.made / 1000).unwrap_or(0));
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, Path::new("picket-bundle").join(name), content.as_slice())?;
        }
        archive.into_inner()?.finish()
    }
}

/// Names and sizes below `folder`, so many levels deep.
fn listing(folder: &Path, levels: usize) -> String {
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let line = |entry: &std::fs::DirEntry| {
        let size = entry.metadata().map_or(0, |data| data.len());
        let below =
            if levels > 1 && entry.path().is_dir() { listing(&entry.path(), levels - 1) } else { String::new() };
        format!("{size:>10} {}\n{below}", entry.path().display())
    };
    entries.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_bounded_and_say_what_is_missing() {
        let mut parts = Parts { made: 1_700_000_000_000, all: Vec::new(), missing: vec!["nothing".to_owned()] };
        parts.add("log.txt", [vec![b'a'; PART_BYTES_MAX], b"end".to_vec()].concat(), PART_BYTES_MAX);
        parts.file("x", Path::new("/nonexistent"));
        let archive = parts.archive().expect("made");
        let mut all = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let told: Vec<(String, String)> = all
            .entries()
            .expect("entries")
            .map(|entry| {
                let mut entry = entry.expect("an entry");
                let mut text = String::new();
                io::Read::read_to_string(&mut entry, &mut text).expect("text");
                (entry.path().expect("a path").display().to_string(), text)
            })
            .collect();
        assert_eq!(told[0].0, "picket-bundle/log.txt");
        assert!(told[0].1.len() == PART_BYTES_MAX && told[0].1.ends_with("aend"));
        assert!(told[1].1.starts_with("nothing\n/nonexistent: "), "{}", told[1].1);
    }
}
