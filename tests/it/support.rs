//! What the tests start and how they look at it.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The program, with nothing of the caller's settings.
pub fn picket() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_picket"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PICKET_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn ran(arguments: &[&str]) -> Output {
    picket().args(arguments).output().expect("picket starts")
}

/// Standard output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// JSON lines as values.
pub fn lines(bytes: &[u8]) -> Vec<serde_json::Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// FFmpeg's tool, quiet.
pub fn ffmpeg(arguments: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments);
    let status = command.status().expect("ffmpeg is installed ('make setup')");
    assert!(status.success(), "ffmpeg {arguments:?}: {status}");
}

/// A child that is ended with the test.
pub struct Running {
    /// Its process.
    pub child: Child,
}

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_owned();
        Self { child: command.spawn().unwrap_or_else(|e| panic!("{name:?} starts ('make setup' installs it): {e}")) }
    }
    /// SIGKILL, and gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("signalled");
    }
    /// SIGTERM, and its exit status; fails the test when it takes longer than 12 s.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let status = waited(Duration::from_secs(12), || self.child.try_wait().expect("a child"));
        status.expect("it ends when asked to")
    }
    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until there is an answer or the time is over.
pub fn waited<T>(most: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if began.elapsed() > most {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A TCP port that nobody uses now.
pub fn free_tcp_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("an address").port()
}

/// A UDP port that nobody uses now.
pub fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().expect("an address").port()
}

/// A Mosquitto of the test's own. Without persistence: each start has forgotten everything.
pub struct Mosquitto {
    pub port: u16,
    config: PathBuf,
    running: Option<Running>,
}

impl Mosquitto {
    pub fn start(folder: &Path) -> Self {
        Self::with(folder, "")
    }
    /// With further lines of its configuration.
    pub fn with(folder: &Path, more: &str) -> Self {
        Self::start_with(folder, &format!("max_queued_messages 0\n{more}"))
    }
    /// With just these lines in its configuration.
    pub fn start_with(folder: &Path, more: &str) -> Self {
        let port = free_tcp_port();
        let config = folder.join("mosquitto.conf");
        let mut lines =
            format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n{more}");
        if nix::unistd::Uid::effective().is_root() {
            lines.push_str("user root\n");
        }
        std::fs::write(&config, lines).expect("written");
        let mut broker = Self { port, config, running: None };
        broker.again();
        broker
    }
    /// Where its configuration is.
    pub fn folder(&self) -> &Path {
        self.config.parent().expect("a file")
    }
    /// Starts it (again) on the same port.
    pub fn again(&mut self) {
        let mut command = Command::new("mosquitto");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin").arg("-c").arg(&self.config);
        self.running = Some(Running::start(command.stdout(Stdio::null()).stderr(Stdio::null())));
        let up = waited(Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", self.port)).ok());
        assert!(up.is_some(), "mosquitto listens");
    }
    pub fn stop(&mut self) {
        self.running.take().expect("it runs").stop();
    }
    pub fn kill(&mut self) {
        self.running.take().expect("it runs").kill();
    }
}

/// Topic and body.
type Heard = (String, Vec<u8>);

/// `mosquitto_sub` on everything, and what it heard, in order.
pub struct Subscriber {
    _running: Running,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Subscriber {
    /// Returns when it is subscribed: a probe has come back.
    pub fn start(port: u16) -> Self {
        let mut command = Command::new("mosquitto_sub");
        // QoS 0: TCP loses nothing, and a broker that is killed leaves nothing half acknowledged.
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "0", "-F", "%t %x", "-t", "#"]);
        let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let out = running.child.stdout.take().expect("piped");
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let into = heard.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some((topic, hex)) = line.split_once(' ') {
                    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
                    let body = (0..hex.len()).step_by(2).map(byte).collect();
                    into.lock().expect("not poisoned").push((topic.to_owned(), body));
                }
            }
        });
        let subscriber = Self { _running: running, heard };
        let subscribed = waited(Duration::from_secs(10), || {
            publish(port, "probe", "1");
            std::thread::sleep(Duration::from_millis(50));
            subscriber.all().iter().any(|(topic, _)| topic == "probe").then_some(())
        });
        subscribed.expect("the subscriber hears its probe");
        subscriber
    }
    /// Everything so far, but the probes.
    pub fn all(&self) -> Vec<Heard> {
        self.heard.lock().expect("not poisoned").clone()
    }
    /// The events so far.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let all = self.all();
        let events = all.iter().filter(|(topic, _)| topic.ends_with("/event"));
        events.map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect()
    }
    /// Waits for a message whose topic ends so and whose body satisfies `wanted`.
    pub fn wait_for(
        &self,
        ends: &str,
        most: Duration,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let found = waited(most, || {
            self.all()
                .iter()
                .filter(|(topic, _)| topic.ends_with(ends))
                .find_map(|(_, body)| serde_json::from_slice(body).ok().filter(|value| wanted(value)))
        });
        found.unwrap_or_else(|| {
            let heard: Vec<String> = self
                .all()
                .iter()
                .map(|(topic, body)| format!("{topic} {}", String::from_utf8_lossy(&body[..body.len().min(400)])))
                .collect();
            panic!("no such message on {ends}; heard:\n{}", heard.join("\n"))
        })
    }
}

/// Publishes one message.
pub fn publish(port: u16, topic: &str, body: &str) {
    publish_with(port, topic, body, &[]);
}

/// Publishes one message that the broker keeps.
pub fn publish_retained(port: u16, topic: &str, body: &str) {
    publish_with(port, topic, body, &["-r"]);
}

fn publish_with(port: u16, topic: &str, body: &str, more: &[&str]) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", topic]).args(more);
    // Long ones do not fit on a command line; empty ones are not read from standard input.
    command.arg(if body.is_empty() { "-n" } else { "-s" });
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("mosquitto_pub is installed ('make setup')");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), body.as_bytes()).expect("written");
    child.wait().expect("it ends");
}

/// A daemon's folders and configuration.
pub struct Daemon {
    pub folder: tempfile::TempDir,
    pub config: PathBuf,
}

impl Daemon {
    /// `sources` is TOML after the broker's part; `port` is the broker's. Other tests run beside this one: where it does
    /// not say otherwise, that is no reason to look at less.
    pub fn new(port: Option<u16>, sources: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let broker = port.map_or(String::new(), |port| format!("[broker]\nurl = \"mqtt://127.0.0.1:{port}\"\n"));
        let budget = match sources.contains("[budget]") {
            true => "",
            false => "[budget]\ncpu = \"1600%\"\nmemory = \"4GiB\"\nyield_when_busy = false\n",
        };
        let text = format!(
            "[device]\nsite = \"test\"\nmachine_id = \"{:032x}\"\nstate_dir = \"{at}/state\"\nruntime_dir = \"{at}/run\"\n{broker}{budget}{sources}",
            0x1234_5678
        );
        std::fs::create_dir(folder.path().join("run")).expect("made");
        let config = folder.path().join("picket.toml");
        std::fs::write(&config, text).expect("written");
        Self { folder, config }
    }
    /// Starts it; its log is appended to `log`. Runs that a test killed count as no crashes.
    pub fn start(&self) -> Running {
        let _ = std::fs::remove_file(self.folder.path().join("state/runs"));
        self.start_after_crash()
    }
    /// Starts it, and a run that was killed counts.
    pub fn start_after_crash(&self) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).expect("a log");
        Running::start(
            picket()
                .arg("run")
                .arg("--config")
                .arg(&self.config)
                .env("NO_COLOR", "1")
                .stdout(Stdio::null())
                .stderr(log),
        )
    }
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}
