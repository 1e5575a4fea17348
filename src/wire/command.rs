//! Commands to this device and the replies to them (contract, mqtt).

use super::{Made, cut, encoded, head::Head, rounded};
use crate::ids::SourceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest command that is read; a longer one is refused.
pub const COMMAND_BYTES_MAX: usize = 16 << 10;
/// Longest body under the main root (contract, mqtt).
pub(super) const BODY_BYTES_MAX: usize = 8 << 10;
/// Values in values: no command needs more, and deeper ones would cost stack.
const DEPTH_MAX: usize = 8;
/// The id of replies to what has no id that can be read.
pub const NO_ID: &str = "malformed";
/// Nothing that is to end by itself lasts longer.
const SPAN_MAX_S: u64 = 86_400;
/// Time to confirm a configuration: less nobody can keep, more and a box stays lost for too long.
const CONFIRM_S: std::ops::RangeInclusive<u64> = 10..=3_600;
const CONFIRM_DEFAULT_S: u64 = 600;
/// Time to walk to a rack.
const IDENTIFY_DEFAULT_S: u64 = 60;
const IDENTIFY_MAX_S: u64 = 3_600;
/// Time that the broker has to accept a new certificate.
const TRIAL_S: std::ops::RangeInclusive<u64> = 10..=3_600;
const TRIAL_DEFAULT_S: u64 = 300;
/// Longest text that a reply carries.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// A command that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Given by the sender: the same id is the same command.
    pub id: String,
    /// As in its topic.
    pub name: String,
    /// What is wanted.
    pub verb: Verb,
    /// Wall-clock time, ms, after which it is not wanted any more.
    pub not_after: Option<i64>,
}

/// What can be asked of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `health` now.
    Health,
    /// A picture of this source now.
    Snapshot(SourceId),
    /// Somebody knows of this incident.
    Ack(String),
    /// No new incidents are told, of one source or all, for a time.
    Mute(Option<SourceId>, Duration),
    /// They are told again.
    Unmute(Option<SourceId>),
    /// `metrics` each second, of one source or all, for a time.
    Metrics(Option<SourceId>, Duration),
    /// A fingerprint each second, of one source or all, for a time.
    Fingerprint(Option<SourceId>, Duration),
    /// Another level of the log, for a time.
    LogLevel(String, Duration),
    /// The box's light flashes, for a time.
    Identify(Duration),
    /// Detectors and the parts that alerts need are tried.
    SelfTest,
    /// A support archive, in pieces.
    Bundle,
    /// The daemon starts anew.
    Restart,
    /// The machine starts anew.
    Reboot,
    /// The settings that stand.
    ConfigGet,
    /// A new layer of the configuration, which falls back unless confirmed in time.
    ConfigSet {
        /// TOML; empty for none.
        layer: String,
        /// How long there is to confirm it.
        confirm_within: Duration,
    },
    /// The pending layer stays; with the revision that is meant.
    ConfigConfirm(Option<u64>),
    /// The pending layer goes.
    ConfigRollback,
    /// A new image, from a bundle.
    Update {
        /// Name of a file on the box, or a URL.
        bundle: String,
        /// Also when it is not newer than what runs.
        force: bool,
    },
    /// A new key and its signing request.
    RotateCert {
        /// Also where a key waits for its certificate already.
        fresh: bool,
    },
    /// The certificate for that key, on trial.
    InstallCert {
        /// The device's own and its issuers, PEM.
        cert: String,
        /// Authorities that may have signed the broker's, PEM; `None`: as until now.
        ca: Option<String>,
        /// How long the broker has to accept it.
        within: Duration,
    },
}

/// Names of commands that this version does.
pub const COMMANDS: [&str; 19] = [
    "health",
    "snapshot",
    "ack",
    "mute",
    "unmute",
    "metrics",
    "fingerprint",
    "log-level",
    "identify",
    "selftest",
    "bundle",
    "restart",
    "reboot",
    "config-get",
    "config-set",
    "config-confirm",
    "config-rollback",
    "update",
    "rotate-cert",
];

/// Why a command is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its id, or [`NO_ID`].
    pub id: String,
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub text: String,
}

#[derive(Deserialize)]
struct CommandBody {
    id: Option<Value>,
    #[serde(default)]
    args: Option<Map<String, Value>>,
    #[serde(default)]
    not_after: Option<Value>,
}

/// Reads the command `name` with this body.
pub fn command(name: &str, body: &[u8]) -> Result<Command, Refusal> {
    let refused = |id: &str, code, text: String| Refusal { id: id.to_owned(), code, text };
    if depth(body) > DEPTH_MAX {
        return Err(refused(NO_ID, "malformed", format!("more than {DEPTH_MAX} values in each other")));
    }
    // simd-json parses in place.
    let mut bytes = body.to_vec();
    let read: Result<CommandBody, _> = simd_json::serde::from_slice(&mut bytes);
    let read = read.map_err(|error| refused(NO_ID, "malformed", format!("no command in JSON: {error}")))?;
    let id = read.id.as_ref().and_then(Value::as_str).filter(|id| is_id(id)).ok_or_else(|| {
        refused(NO_ID, "malformed", "`id` must be 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.'".to_owned())
    })?;
    if body.len() > COMMAND_BYTES_MAX {
        let text = format!("{} bytes; a command has {COMMAND_BYTES_MAX} at most", body.len());
        return Err(refused(id, "too_large", text));
    }
    let not_after = match &read.not_after {
        None => None,
        Some(time) => {
            let parsed = time.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let wrong =
                || refused(id, "malformed", "`not_after` must be a time such as 2026-01-31T12:00:00Z".to_owned());
            Some(parsed.ok_or_else(wrong)?.as_millisecond())
        }
    };
    let mut args = Args(read.args.unwrap_or_default());
    let verb = verb(name, &mut args).and_then(|verb| args.used_up().map(|()| verb));
    let verb = verb.map_err(|(code, text)| refused(id, code, text))?;
    Ok(Command { id: id.to_owned(), name: name.to_owned(), verb, not_after })
}

/// Whether a text can be a level of a topic, and no more.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id != NO_ID
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// How many values stand in each other, at the deepest.
fn depth(body: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => now += 1,
            b']' | b'}' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

type Wrong = (&'static str, String);

fn verb(name: &str, args: &mut Args) -> Result<Verb, Wrong> {
    let verb = match name {
        "health" => Verb::Health,
        "snapshot" => Verb::Snapshot(args.source()?.ok_or_else(|| missing("source"))?),
        "ack" => Verb::Ack(args.text("incident")?.ok_or_else(|| missing("incident"))?),
        "mute" => Verb::Mute(args.source()?, args.span()?),
        "unmute" => Verb::Unmute(args.source()?),
        "metrics" => Verb::Metrics(args.source()?, args.span()?),
        "fingerprint" => Verb::Fingerprint(args.source()?, args.span()?),
        "log-level" => {
            let level = args.text("level")?.ok_or_else(|| missing("level"))?;
            if !["error", "warn", "info", "debug", "trace"].contains(&level.as_str()) {
                return Err(bad("`level` must be error, warn, info, debug or trace".to_owned()));
            }
            Verb::LogLevel(level, args.span()?)
        }
        "identify" => {
            let seconds = args.number("for_s", 1..=IDENTIFY_MAX_S)?.unwrap_or(IDENTIFY_DEFAULT_S);
            Verb::Identify(Duration::from_secs(seconds))
        }
        "selftest" => Verb::SelfTest,
        "bundle" => Verb::Bundle,
        "restart" => Verb::Restart,
        "reboot" => Verb::Reboot,
        "config-get" => Verb::ConfigGet,
        "config-set" => Verb::ConfigSet {
            layer: args.text("toml")?.ok_or_else(|| missing("toml"))?,
            confirm_within: Duration::from_secs(
                args.number("confirm_within_s", CONFIRM_S)?.unwrap_or(CONFIRM_DEFAULT_S),
            ),
        },
        "config-confirm" => Verb::ConfigConfirm(args.number("revision", 0..=u64::MAX)?),
        "config-rollback" => Verb::ConfigRollback,
        "update" => {
            let bundle = args.text("bundle")?.ok_or_else(|| missing("bundle"))?;
            if !super::firmware::is_bundle(&bundle) {
                return Err(bad(super::firmware::NO_BUNDLE.to_owned()));
            }
            Verb::Update { bundle, force: args.switch("force")? }
        }
        "rotate-cert" => rotate(args)?,
        _ => return Err(("unknown_command", format!("no such command; there are {}", COMMANDS.join(", ")))),
    };
    Ok(verb)
}

/// Without a certificate a new key is wanted, with one it is brought.
fn rotate(args: &mut Args) -> Result<Verb, Wrong> {
    let Some(cert) = args.text("cert")? else {
        return Ok(Verb::RotateCert { fresh: args.switch("new_key")? });
    };
    let within = args.number("within_s", TRIAL_S)?.unwrap_or(TRIAL_DEFAULT_S);
    Ok(Verb::InstallCert { cert, ca: args.text("ca")?, within: Duration::from_secs(within) })
}

fn missing(name: &str) -> Wrong {
    bad(format!("`args` must have `{name}`"))
}

fn bad(text: String) -> Wrong {
    ("bad_argument", text)
}

struct Args(Map<String, Value>);

impl Args {
    fn text(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(format!("`{name}` must be a text"))),
        }
    }

    /// False where nothing is said.
    fn switch(&mut self, name: &str) -> Result<bool, Wrong> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(Value::Bool(switch)) => Ok(switch),
            Some(_) => Err(bad(format!("`{name}` must be true or false"))),
        }
    }

    fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Wrong> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let wrong = || bad(format!("`{name}` must be a whole number from {} to {}", range.start(), range.end()));
        value.as_u64().filter(|number| range.contains(number)).map(Some).ok_or_else(wrong)
    }

    /// One source; `None` for all.
    fn source(&mut self) -> Result<Option<SourceId>, Wrong> {
        let Some(text) = self.text("source")? else { return Ok(None) };
        SourceId::new(&text).map(Some).map_err(|error| bad(format!("`source`: {error}")))
    }

    /// What changes a device for a time must say for how long: nobody comes to end it.
    fn span(&mut self) -> Result<Duration, Wrong> {
        let seconds = self.number("for_s", 1..=SPAN_MAX_S)?.ok_or_else(|| missing("for_s"))?;
        Ok(Duration::from_secs(seconds))
    }

    /// A slip in a name must not pass for its absence.
    fn used_up(&self) -> Result<(), Wrong> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(bad(format!("there is no argument {name:?}"))),
        }
    }
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Understood, to be done.
    Accepted,
    /// Being done, over a restart perhaps.
    Running,
    /// Done.
    Done,
    /// Not done.
    Failed,
    /// Came too late, or could not be done in time.
    Expired,
}

impl Progress {
    /// Whether no other follows.
    pub fn is_final(self) -> bool {
        matches!(self, Progress::Done | Progress::Failed | Progress::Expired)
    }
}

/// What is said to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "reply_content")]
pub struct Reply {
    /// The command's, or `malformed`.
    pub id: String,
    /// Its name.
    pub command: String,
    /// How far it has come.
    pub status: Progress,
    /// For programs: "ok", or why not.
    pub code: String,
    /// For people.
    pub text: String,
    /// What came of it, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Map<String, Value>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "reply")]
pub(super) struct ReplyBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    reply: &'a Reply,
}

/// The body of a reply. What would be too long goes without its result and says so.
pub fn reply(made: &Made, reply: &Reply) -> Vec<u8> {
    let body = encoded(&ReplyBody { head: Head::new(made), reply });
    if body.len() <= BODY_BYTES_MAX {
        return body;
    }
    let mut short = Reply { result: None, text: cut(&reply.text, TEXT_BYTES_MAX / 4).to_owned(), ..reply.clone() };
    short.text.push_str(" (too long to be told in full)");
    encoded(&ReplyBody { head: Head::new(made), reply: &short })
}

/// A reply as it is kept on disk, one line.
pub fn reply_record(reply: &Reply) -> Vec<u8> {
    encoded(reply)
}

/// A reply as it was kept; `None` when it is none.
pub fn reply_of_record(line: &[u8]) -> Option<Reply> {
    if depth(line) > DEPTH_MAX {
        return None;
    }
    simd_json::serde::from_slice(&mut line.to_vec()).ok()
}

impl Reply {
    /// With the code "ok".
    pub fn good(id: &str, command: &str, status: Progress, text: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            command: command.to_owned(),
            status,
            code: "ok".to_owned(),
            text: text.into(),
            result: None,
        }
    }

    /// Not done, and why.
    pub fn failed(id: &str, command: &str, code: &str, text: impl Into<String>) -> Self {
        let text = cut(&text.into(), TEXT_BYTES_MAX).to_owned();
        Self { status: Progress::Failed, code: code.to_owned(), ..Self::good(id, command, Progress::Failed, text) }
    }

    /// With this in its result.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.result.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// With these seconds in its result.
    #[must_use]
    pub fn with_seconds(self, key: &str, time: Duration) -> Self {
        self.with(key, rounded(time.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, body: &str) -> (String, &'static str, String) {
        let refusal = command(name, body.as_bytes()).expect_err("no command");
        (refusal.id, refusal.code, refusal.text)
    }

    #[test]
    fn commands_are_read() {
        let body = br#"{"id":"a.1","args":{"source":"one","for_s":60},"not_after":"2026-01-01T00:00:00Z","x":1}"#;
        let read = command("mute", body).expect("a command");
        let source = SourceId::new("one").ok();
        assert_eq!(read.verb, Verb::Mute(source, Duration::from_secs(60)));
        assert_eq!((read.id.as_str(), read.not_after), ("a.1", Some(1_767_225_600_000)));
        let read = command("config-set", br#"{"id":"b","args":{"toml":""}}"#).expect("a command");
        let confirm_within = Duration::from_secs(600);
        assert_eq!(read.verb, Verb::ConfigSet { layer: String::new(), confirm_within });
        let rotate = |args: &str| command("rotate-cert", format!("{{\"id\":\"r\",\"args\":{args}}}").as_bytes());
        let verb = |args: &str| rotate(args).map(|command| command.verb);
        assert_eq!(verb("{}"), Ok(Verb::RotateCert { fresh: false }));
        assert_eq!(verb("{\"new_key\":true}"), Ok(Verb::RotateCert { fresh: true }));
        let within = Duration::from_secs(300);
        assert_eq!(verb("{\"cert\":\"x\"}"), Ok(Verb::InstallCert { cert: "x".to_owned(), ca: None, within }));
        assert!(rotate("{\"cert\":\"x\",\"new_key\":true}").is_err() && rotate("{\"within_s\":9}").is_err());
        for name in COMMANDS {
            let read = command(name, br#"{"id":"c"}"#);
            assert!(
                read.is_ok() || read.as_ref().is_err_and(|refusal| refusal.code == "bad_argument"),
                "{name}: {read:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for body in ["", "5", "[]", "{\"id\":5}", "{\"id\":\"\"}", "{\"id\":\"a/b\"}", "{\"id\":\"+\"}", "\u{0}", &deep]
        {
            let (id, code, _) = refused("health", body);
            assert_eq!((id.as_str(), code), (NO_ID, "malformed"), "{body:.20}");
        }
        let long = format!("{{\"id\":\"a\",\"args\":{{\"toml\":\"{}\"}}}}", "x".repeat(COMMAND_BYTES_MAX));
        assert_eq!(refused("config-set", &long).1, "too_large");
        let of = |name: &str, args: &str| refused(name, &format!("{{\"id\":\"a\",\"args\":{args}}}"));
        assert_eq!(of("mute", "{}").2, "`args` must have `for_s`");
        assert_eq!(of("mute", "{\"for_s\":0}").2, "`for_s` must be a whole number from 1 to 86400");
        assert_eq!(of("mute", "{\"for_s\":9,\"sorce\":\"a\"}").2, "there is no argument \"sorce\"");
        assert_eq!(of("snapshot", "{\"source\":\"A\"}").1, "bad_argument");
        assert_eq!(of("log-level", "{\"level\":\"loud\",\"for_s\":9}").1, "bad_argument");
        assert_eq!(of("explode", "{}").1, "unknown_command");
        assert_eq!(refused("health", "{\"id\":\"a\",\"not_after\":5}").1, "malformed");
    }

    #[test]
    fn replies_are_kept_and_never_too_long() {
        let said = Reply::good("a", "snapshot", Progress::Done, "here").with("bytes", 5);
        assert_eq!(reply_of_record(&reply_record(&said)), Some(said.clone()));
        assert_eq!(reply_of_record(b"{\"id\":\"a\",\"comm"), None);
        let made =
            Made { wall: Default::default(), mono: Default::default(), boot: crate::ids::BootId::from_kernel("0") };
        let long = reply(&made, &said.with("x", "y".repeat(9000)));
        assert!(long.len() < 1000 && String::from_utf8_lossy(&long).contains("too long"));
    }
}
