//! What can stand as `input =` and as INPUT on the command line.

use super::{Pattern, Taps, capture};
use std::path::PathBuf;
use std::str::FromStr;

/// Where to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// A stream, whole URL.
    Url(String),
    /// Capture devices of this box.
    Capture(Box<Taps>),
    /// A built-in scripted signal.
    Pattern(Pattern),
}

/// Why a text is no input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Nothing given.
    #[error("the input is empty: give a file, '-', or a URL such as udp://239.1.1.1:5000")]
    Empty,
    /// A scheme that Picket does not read.
    #[error("{0}: unknown kind of input; known: {known}", known = Input::SCHEMES.join(", "))]
    Scheme(String),
    /// No node.
    #[error("{0}: names no node: give v4l2:/dev/video0, v4l2:/dev/v4l/by-path/NAME or v4l2:card=NAME")]
    Node(String),
    /// No ALSA name.
    #[error("{0}: names no sound device: give an ALSA name, such as alsa:hw:1,0")]
    Sound(String),
    /// No such pattern.
    #[error("pattern:{0}: no such pattern; known: {known}", known = Pattern::NAMES.join(", "))]
    Pattern(String),
    /// The host part is missing.
    #[error("{0}: a host is missing")]
    Host(String),
    /// No port, or none that can be.
    #[error("{0}: a port from 1 to 65535 is needed after the host, such as udp://239.1.1.1:5000")]
    Port(String),
}

impl Input {
    /// What inputs begin with that are no files.
    pub const SCHEMES: [&'static str; 10] =
        ["udp://", "rtp://", "rtsp://", "srt://", "rtmp://", "http://", "https://", "v4l2:", "alsa:", "pattern:"];

    /// Whether it arrives in real time by itself.
    pub fn paces_itself(&self) -> bool {
        match self {
            Input::Url(url) => !url.starts_with("http"),
            Input::Capture(_) => true,
            Input::File(_) | Input::Stdin | Input::Pattern(_) => false,
        }
    }

    /// Whether its pictures come out of a decoder, which could do less.
    pub fn is_decoded(&self) -> bool {
        !matches!(self, Input::Pattern(_) | Input::Capture(_))
    }

    /// The port on which it listens for datagrams of a stream, if it does.
    pub fn udp_port(&self) -> Option<u16> {
        let Input::Url(url) = self else { return None };
        let rest = url.strip_prefix("udp://").or_else(|| url.strip_prefix("rtp://"))?;
        port(rest)?.parse().ok()
    }

    /// Name for messages: no credentials.
    pub fn display(&self) -> String {
        match self {
            Input::File(path) => path.display().to_string(),
            Input::Stdin => "standard input".to_owned(),
            Input::Url(url) => redact(url),
            Input::Capture(taps) => taps.to_string(),
            Input::Pattern(pattern) => format!("pattern:{}", pattern.name()),
        }
    }
}

/// The port in what follows the scheme.
fn port(rest: &str) -> Option<&str> {
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // An IPv6 address has colons inside its brackets.
    host.rsplit_once(']').map_or(host, |(_, after)| after).rsplit_once(':').map(|(_, port)| port)
}

/// `url` without user, password and query, which may carry keys, whether or not it is well formed: a password may hold
/// '/', '?' and '@' although none of them may stand there. Without a scheme, what follows the last '@'.
pub fn redact(url: &str) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
    let (head, query) = rest.split_once('?').unwrap_or((rest, ""));
    // Where the password ends and the query begins cannot be told.
    if query.contains('@') {
        return format!("{scheme}...");
    }
    let host = head.rsplit_once('@').map_or(head, |(_, host)| host);
    let query = if head.len() < rest.len() { "?..." } else { "" };
    format!("{scheme}{host}{query}")
}

impl FromStr for Input {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        if text.is_empty() {
            return Err(InputError::Empty);
        }
        if text == "-" {
            return Ok(Input::Stdin);
        }
        if let Some(name) = text.strip_prefix("pattern:") {
            return Pattern::by_name(name).map(Input::Pattern).ok_or_else(|| InputError::Pattern(name.to_owned()));
        }
        if let Some(taps) = capture::parse(text) {
            let fault = |fault| match fault {
                capture::Fault::Picture => InputError::Node(text.to_owned()),
                capture::Fault::Sound => InputError::Sound(text.to_owned()),
            };
            return taps.map(|taps| Input::Capture(Box::new(taps))).map_err(fault);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            // A slip of the pen, and no file whose name may be told: "srt:host?passphrase=..."
            return match text.split_once(':') {
                Some((scheme, _)) if Input::SCHEMES.contains(&format!("{scheme}://").as_str()) => {
                    Err(InputError::Scheme(scheme.to_owned()))
                }
                _ => Ok(Input::File(PathBuf::from(text))),
            };
        };
        if scheme == "file" {
            return Ok(Input::File(PathBuf::from(rest)));
        }
        if !Input::SCHEMES.contains(&format!("{scheme}://").as_str()) {
            return Err(InputError::Scheme(redact(text)));
        }
        if rest.is_empty() || rest.starts_with('/') {
            return Err(InputError::Host(redact(text)));
        }
        // These have no port of their own; without one FFmpeg waits in vain.
        let needed = matches!(scheme, "udp" | "rtp" | "srt");
        if !port(rest).map_or(!needed, |port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(InputError::Port(redact(text)));
        }
        Ok(Input::Url(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_apart() {
        assert_eq!("-".parse(), Ok(Input::Stdin));
        assert_eq!("a/b.ts".parse(), Ok(Input::File("a/b.ts".into())));
        assert_eq!("file:///a.ts".parse(), Ok(Input::File("/a.ts".into())));
        assert_eq!("udp://239.1.1.1:5000".parse(), Ok(Input::Url("udp://239.1.1.1:5000".into())));
        assert_eq!("".parse::<Input>(), Err(InputError::Empty));
        assert!(matches!("gopher://x".parse::<Input>(), Err(InputError::Scheme(_))));
        assert!(matches!("pattern:nope".parse::<Input>(), Err(InputError::Pattern(_))));
        assert_eq!("srt:h?passphrase=hush".parse::<Input>(), Err(InputError::Scheme("srt".to_owned())));
        assert!(matches!("udp://".parse::<Input>(), Err(InputError::Host(_))));
        for bad in ["udp://127.0.0.1", "srt://h/x", "rtsp://h:99999/x", "http://h:0/", "udp://[::1]"] {
            assert!(matches!(bad.parse::<Input>(), Err(InputError::Port(_))), "{bad}");
        }
        for good in
            ["udp://@239.1.1.1:5000?fifo_size=9", "udp://[ff02::1]:5000", "srt://:9000?mode=listener", "http://h/a:b"]
        {
            assert!(matches!(good.parse::<Input>(), Ok(Input::Url(_))), "{good}");
        }
    }

    #[test]
    fn capture_devices_are_named() {
        let shown = |text: &str| text.parse::<Input>().map(|input| input.display());
        for good in [
            "v4l2:/dev/video0",
            "v4l2:/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0",
            "v4l2:card=HD, Inc",
            "alsa:hw:1,0",
        ] {
            assert_eq!(shown(good), Ok(good.to_owned()));
        }
        let Ok(Input::Capture(taps)) = "v4l2:/dev/video0,timings=/dev/v4l-subdev2".parse() else { panic!("taps") };
        assert_eq!(taps.receiver, Some("/dev/v4l-subdev2".into()));
        for bad in ["v4l2:", "v4l2:video0", "v4l2:card=", "v4l2:/dev/video0,timings=x"] {
            assert_eq!(shown(bad), Err(InputError::Node(bad.to_owned())));
        }
        assert_eq!(shown("alsa:"), Err(InputError::Sound("alsa:".to_owned())));
    }

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(redact("rtsp://me:secret@cam:554/a?key=1"), "rtsp://cam:554/a?...");
        assert_eq!(redact("udp://239.1.1.1:5000"), "udp://239.1.1.1:5000");
        assert_eq!(redact("rtsp://admin:pa/ssW0rd@cam"), "rtsp://cam");
        assert_eq!(redact("rtsp://admin:12/3@4/5@cam:554/live"), "rtsp://cam:554/live");
        assert_eq!(redact("rtsp://admin:pa?ss@cam/live"), "rtsp://...");
        assert_eq!(redact("srt://h:9000?streamid=a@b&passphrase=hush"), "srt://...");
        assert_eq!(redact("srt://h:9000?passphrase=hush"), "srt://h:9000?...");
        assert_eq!(redact("me:hush@host"), "host");
        assert_eq!(redact("/a/b.ts"), "/a/b.ts");
    }
}
