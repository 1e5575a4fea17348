//! The configuration as it is written: every table and key once, with its form, default and description.
//!
//! Reading, merging, unknown names, environment variables, the schema and the effective settings all walk these
//! tables, so a key is added in one place. A serde mirror would stop at its first mistake and lose its line.

use super::mistake::Origin;
use crate::detect::Defect;
use std::time::Duration;

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// true or false.
    Switch,
    /// A name for people, 1 to 64 characters.
    Title,
    /// As in /etc/machine-id.
    MachineId,
    /// A light of the kernel's.
    Led,
    /// An absolute path.
    Folder,
    /// An absolute path, or `credential:NAME`.
    File,
    /// mqtt:// or mqtts://.
    BrokerUrl,
    /// A user of the broker.
    User,
    /// Topic levels, at most two.
    Prefix,
    /// A version of MQTT.
    Version,
    /// With its bounds.
    Duration(Duration, Duration),
    /// Bytes, with bounds.
    Size(u64, u64),
    /// Of one core, with bounds.
    Percent(f64, f64),
    /// A level, with bounds and its unit.
    Level(f64, f64, &'static str),
    /// A share of something, with bounds.
    Share(f64, f64),
    /// A measure in the unit of its defect.
    Measure,
    /// Of ITU-T X.733.
    Severity,
    /// A kind of programme.
    Profile,
    /// A time of the day.
    Hour,
    /// Days of the week.
    Days,
    /// A distance from UTC.
    Zone,
    /// Names of defects, as a list.
    States,
    /// Marks of pictures, as a list.
    Marks,
    /// The id of this source, or of another one.
    SourceId,
    /// What to watch.
    Input,
    /// A sound device beside it.
    Audio,
    /// A device node.
    Node,
    /// A decoder of FFmpeg's.
    Decoder,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// As it stands in its table.
    pub name: &'static str,
    /// For the schema.
    pub about: &'static str,
    /// What its value must look like.
    pub form: Form,
    /// What counts where nothing is given.
    pub default: Option<&'static str>,
}

/// A value as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// In quotes.
    Text(String),
    /// true or false.
    Switch(bool),
}

/// A value, the path of its key, and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub value: Value,
    pub path: String,
    pub origin: Origin,
}

/// A key and what the layers gave for it; the last one stands.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub key: &'static Key,
    pub given: Option<Given>,
}

/// Keys side by side.
pub(super) trait Table: Default {
    /// What the table is about.
    const ABOUT: &'static str;
    /// All keys, in the order in which they are documented.
    fn leaves(&mut self) -> Vec<&mut Leaf>;
}

/// `Name { /// description  key: form => "default"; }` makes the struct and its list of keys.
macro_rules! table {
    ($(#[doc = $about:literal])* $table:ident {
        $($(#[doc = $doc:literal])* $name:ident: $form:expr $(=> $default:literal)?;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub(in crate::config) struct $table {
            $($(#[doc = $doc])* pub $name: Leaf,)*
        }
        impl Default for $table {
            fn default() -> Self {
                Self {
                    $($name: {
                        const KEY: Key = Key {
                            name: stringify!($name),
                            about: concat!($($doc),*),
                            form: $form,
                            default: table!(@default $($default)?),
                        };
                        Leaf { key: &KEY, given: None }
                    },)*
                }
            }
        }
        impl Table for $table {
            const ABOUT: &'static str = concat!($($about),*);
            fn leaves(&mut self) -> Vec<&mut Leaf> {
                vec![$(&mut self.$name),*]
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

mod detector_keys;
pub(super) use detector_keys::{LoudnessKeys, SyncKeys};

const fn seconds(least: u64, most: u64) -> Form {
    Form::Duration(Duration::from_secs(least), Duration::from_secs(most))
}

/// Hold times: longer than ten minutes is no alert any more.
const HOLD: Form = seconds(0, 600);
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;
const MIB: u64 = 1 << 20;

table! {
    /// The device as people see it, and its folders.
    Device {
        /// Name shown to people.
        name: Form::Title;
        /// Place shown to people. Topics carry the device's id instead, so that a box can move.
        site: Form::Title;
        /// Takes the place of /etc/machine-id, from which the device's id is made.
        machine_id: Form::MachineId;
        /// What must outlive a restart. Where nothing is given, systemd's $STATE_DIRECTORY comes before the default.
        state_dir: Form::Folder => "/var/lib/picket";
        /// Sockets. Where nothing is given, systemd's $RUNTIME_DIRECTORY comes before the default.
        runtime_dir: Form::Folder => "/run/picket";
        /// Light of /sys/class/leds that the command `identify` flashes.
        led: Form::Led;
        /// Whether the command `reboot` may start the machine anew; needs picket-reboot.path.
        allow_reboot: Form::Switch => "false";
    }
}

table! {
    /// The MQTT broker that is told.
    Broker {
        /// mqtt:// or mqtts:// (TLS), a user if wanted, host, port if it is neither 1883 nor 8883.
        url: Form::BrokerUrl;
        /// Authorities that may have signed the broker's certificate, PEM. Without it those of the system.
        ca: Form::File;
        /// The device's certificate, PEM. Needs `key`. Without it the one that `picket provision` keeps in `tls` of the state
        /// folder, where there is one.
        cert: Form::File;
        /// Private key of the certificate, PEM, readable for Picket alone.
        key: Form::File;
        /// User of the broker, where it wants one.
        user: Form::User;
        /// File that holds the user's password.
        password_file: Form::File;
        /// Topic levels before `picket/1`.
        prefix: Form::Prefix => "";
        /// Version of MQTT: \"5\", or \"3.1.1\" for brokers that know no other. That one has no expiry of messages and no delay
        /// of the will, and tells no reasons.
        version: Form::Version => "5";
        /// The broker hears from the device at least this often.
        // The client library panics below 5 s.
        keep_alive: seconds(5, 20 * MINUTE) => "20s";
        /// The longest random wait before reconnecting to a broker that said it is overloaded.
        reconnect_spread: seconds(0, 60 * MINUTE) => "120s";
    }
}

table! {
    /// What Picket may take of the box. It looks at less before it passes this, and says so.
    Budget {
        /// Processor time, of one core.
        // Less does not carry one source, more than 16 cores no encoder box has.
        cpu: Form::Percent(1.0, 1600.0) => "25%";
        /// Resident memory. When nothing else helps, sources are closed, the last of the configuration first.
        memory: Form::Size(32 * MIB, 16 * 1024 * MIB) => "160MiB";
        /// Folder of the encoder's control group, such as /sys/fs/cgroup/system.slice/encoder.service: while its tasks
        /// wait for processors, Picket looks at less.
        encoder_cgroup: Form::Folder;
        /// Whether Picket also looks at less while all processors are busy and tasks wait for them, whatever its own part.
        yield_when_busy: Form::Switch => "true";
    }
}

table! {
    /// How the box is doing.
    Health {
        /// How often it is told.
        period: seconds(10, 10 * MINUTE) => "30s";
    }
}

table! {
    /// Events that wait on disk for the broker.
    Outbox {
        /// Most bytes on disk; the oldest events give way.
        bytes_max: Form::Size(MIB, 4096 * MIB) => "16MiB";
        /// Older events are not sent any more.
        age_max: seconds(60 * MINUTE, 366 * DAY) => "7d";
    }
}

table! {
    /// What alerts carry.
    Evidence {
        /// Privacy switch: false keeps all pictures on the box out of messages.
        pictures: Form::Switch => "true";
    }
}

table! {
    /// Home Assistant at the same broker.
    HomeAssistant {
        /// Whether its entities appear there by themselves (device-based discovery).
        discovery: Form::Switch => "false";
    }
}

table! {
    /// One thing to watch. Sources of several files are joined by `id`; later files win key by key.
    SourceKeys {
        /// Its name in topics: 1 to 32 of a-z, 0-9 and '-'. Required.
        id: Form::SourceId;
        /// A file, '-', udp://, rtp://, rtsp://, srt://, rtmp://, http(s)://, a capture device (v4l2:/dev/video0,
        /// v4l2:/dev/v4l/by-path/NAME, v4l2:card=NAME, alsa:hw:1,0) or pattern:NAME. Required.
        input: Form::Input;
        /// The sound device that belongs to a picture device: alsa:NAME, as arecord -L lists them.
        audio: Form::Audio;
        /// Node that frames of a picture device are handed on to, untouched: an output of v4l2loopback, which the encoder reads.
        relay: Form::Node;
        /// Another source that shows the same programme before the encoder: latency, offset and losses are measured against it.
        pair_with: Form::SourceId;
        /// A live input that sends nothing for this long is closed and opened again.
        reopen_after: seconds(1, 10 * MINUTE) => "10s";
        /// The decoder of FFmpeg's that is tried first, such as that of the box's hardware. Where it does not fit the stream
        /// or does not work, the software decoder takes over.
        decoder: Form::Decoder;
        /// What kind of programme it is: sets what is watched and for how long, where the source's own keys say nothing.
        profile: Form::Profile => "default";
        /// Marks of the pictures that stand by intent, 16 hexadecimal digits each, as the warning of a picture that stands
        /// still tells them: no freeze is told while one of them is shown.
        slates: Form::Marks;
    }
}

table! {
    /// Hours in which states are meant to be: they are not told then. Live sources only, and only while the clock is
    /// trusted.
    Expect {
        /// When it begins, local time. Required.
        from: Form::Hour;
        /// When it ends; on the next day, where that is no later than `from`. Required.
        to: Form::Hour;
        /// On which days it begins.
        days: Form::Days => "mon-sun";
        /// What local time is.
        zone: Form::Zone => "UTC";
        /// What is expected. Required.
        states: Form::States;
    }
}

table! {
    /// What the detectors said, kept to be judged again with `picket analyze --replay`.
    Tape {
        /// Whether it is kept, in `tape` of the state folder.
        enabled: Form::Switch => "false";
        /// Most bytes on disk, of all sources; the oldest give way.
        bytes_max: Form::Size(MIB, 4096 * MIB) => "64MiB";
    }
}

table! {
    /// How one defect is watched on this source.
    Detect {
        /// false: not watched.
        enabled: Form::Switch => "true";
        /// Present for this long before it is told.
        raise_after: HOLD;
        /// Gone for this long before it is told to be over.
        clear_after: HOLD;
        /// Measured worse than this is the defect, in place of the detector's own level.
        raise_level: Form::Measure;
        /// Measured better than this is good again. Without it, it keeps its distance from `raise_level`.
        clear_level: Form::Measure;
        /// Told also when present for this share of `window`, although it comes and goes.
        present_share: Form::Share(1.0, 100.0);
        /// Of what time `present_share` is.
        window: seconds(1, 60) => "5s";
        /// Told with this severity, whatever the detector says.
        severity: Form::Severity;
    }
}

/// One `[[source]]`, all layers together.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// For key paths: "source[sdi-1]".
    pub path: String,
    /// Where it was first declared.
    pub origin: Origin,
    pub keys: SourceKeys,
    /// In the order of [`Defect::ALL`].
    pub detect: [Detect; Defect::ALL.len()],
    /// Of `loudness`, beside its `Detect`.
    pub loudness: LoudnessKeys,
    /// Of `av_sync`, beside its `Detect`.
    pub sync: SyncKeys,
    /// Of each `[[source.expect]]`: its path and place.
    pub expect: Vec<(String, Origin, Expect)>,
}

/// All that was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    pub device: Device,
    pub broker: Broker,
    pub budget: Budget,
    pub health: Health,
    pub outbox: Outbox,
    pub evidence: Evidence,
    pub tape: Tape,
    pub homeassistant: HomeAssistant,
    pub sources: Vec<Source>,
}

/// A table with its name.
pub(super) struct Named<'a> {
    pub name: &'static str,
    pub about: &'static str,
    pub leaves: Vec<&'a mut Leaf>,
}

impl Raw {
    /// All tables that stand once.
    pub fn tables(&mut self) -> [Named<'_>; 8] {
        [
            named("device", &mut self.device),
            named("broker", &mut self.broker),
            named("budget", &mut self.budget),
            named("health", &mut self.health),
            named("outbox", &mut self.outbox),
            named("evidence", &mut self.evidence),
            named("tape", &mut self.tape),
            named("homeassistant", &mut self.homeassistant),
        ]
    }
}

impl Source {
    pub fn new(path: String, origin: Origin) -> Self {
        Self {
            path,
            origin,
            keys: SourceKeys::default(),
            detect: Defect::ALL.map(|_| Detect::default()),
            loudness: LoudnessKeys::default(),
            sync: SyncKeys::default(),
            expect: Vec::new(),
        }
    }

    /// All keys of `[source.detect.<defect>]`.
    pub fn detect_leaves(&mut self, defect: Defect) -> Vec<&mut Leaf> {
        let mut leaves = self.detect[defect as usize].leaves();
        if defect == Defect::Loudness {
            leaves.extend(self.loudness.leaves());
        }
        if defect == Defect::AvSync {
            leaves.extend(self.sync.leaves());
        }
        leaves
    }
}

fn named<'a, T: Table>(name: &'static str, table: &'a mut T) -> Named<'a> {
    Named { name, about: T::ABOUT, leaves: table.leaves() }
}

impl Leaf {
    /// The text that stands: given, else the default.
    pub fn text(&self) -> Option<&str> {
        match &self.given {
            Some(Given { value: Value::Text(text), .. }) => Some(text),
            _ => self.key.default,
        }
    }
    /// The switch that stands.
    pub fn switch(&self) -> bool {
        match &self.given {
            Some(Given { value: Value::Switch(on), .. }) => *on,
            _ => self.key.default == Some("true"),
        }
    }
}

impl Form {
    /// What would be right, for people.
    pub fn right(self) -> String {
        use super::forms::{duration_text, size_text};
        match self {
            Form::Switch => "true or false, without quotes".to_owned(),
            Form::Led => "a name that 'ls /sys/class/leds' shows, such as \"status:green\"".to_owned(),
            Form::Title => "1 to 64 characters, such as \"studio-4\"".to_owned(),
            Form::MachineId => "32 hexadecimal digits, as in /etc/machine-id".to_owned(),
            Form::Folder => "an absolute path, such as \"/var/lib/picket\"".to_owned(),
            Form::File => {
                "an absolute path, such as \"/etc/picket/tls/ca.pem\", or \"credential:NAME\" of systemd".to_owned()
            }
            Form::BrokerUrl => "mqtts://HOST or mqtt://HOST, such as \"mqtts://broker.example:8883\"".to_owned(),
            Form::User => "1 to 128 characters, none of them a control character".to_owned(),
            Form::Prefix => "at most two levels of a-z, 0-9 and '-', such as \"acme/tv\"".to_owned(),
            Form::Duration(least, most) => {
                let example = if least.as_secs() <= 2 { "2s".to_owned() } else { duration_text(least * 2) };
                let (least, most) = (duration_text(least), duration_text(most));
                format!("a duration from {least} to {most}, such as {example:?} (units ms, s, m, h, d)")
            }
            Form::Size(least, most) => {
                let example = size_text(least * 4);
                format!("a size from {} to {}, such as {example:?}", size_text(least), size_text(most))
            }
            Form::Percent(least, most) => format!("a share of one core from {least}% to {most}%, such as \"25%\""),
            Form::Share(least, most) => format!("a share from {least}% to {most}%, such as \"60%\""),
            Form::Measure => "a number and its unit, such as \"-55dBFS\"".to_owned(),
            Form::Version => "\"5\" or \"3.1.1\"".to_owned(),
            Form::Severity => "critical, major, minor or warning".to_owned(),
            Form::Profile => crate::alert::Profile::ALL.map(crate::alert::Profile::name).join(", "),
            Form::Hour => "a time from 00:00 to 24:00, such as \"01:30\"".to_owned(),
            Form::Days => "days such as \"mon-fri\", \"sat,sun\" or \"mon-sun\"".to_owned(),
            Form::Zone => "\"UTC\", or a distance from it such as \"+01:00\"".to_owned(),
            Form::States => "a list of defects, such as [\"black\", \"silence\"]".to_owned(),
            Form::Marks => "a list of at most 8 marks, such as [\"00ff3c3c00ff3c3c\"]".to_owned(),
            Form::Level(least, most, unit) => {
                let example = if least < 0.0 { -23.0 } else { 1.0 };
                format!("a level from {least}{unit} to {most}{unit}, such as \"{example}{unit}\"")
            }
            Form::SourceId => "1 to 32 characters of a-z, 0-9 and '-', such as \"sdi-1\"".to_owned(),
            Form::Input => {
                "a file, '-', a URL such as \"udp://239.1.1.1:5000\", or a device such as \"v4l2:/dev/video0\""
                    .to_owned()
            }
            Form::Decoder => {
                "a name that 'ffmpeg -decoders' lists, such as \"h264_v4l2m2m\", or no `decoder` key for software"
                    .to_owned()
            }
            Form::Audio => "an ALSA name, such as \"alsa:hw:1,0\"".to_owned(),
            Form::Node => "another device node, such as \"/dev/video10\" of v4l2loopback".to_owned(),
        }
    }
}
