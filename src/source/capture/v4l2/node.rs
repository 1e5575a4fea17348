//! Names of capture devices.

use super::device::Device;
use std::fmt;
use std::path::{Path, PathBuf};
use v4l::v4l_sys as sys;

/// Which node. Numbers of nodes change from start to start; paths below /dev/v4l and names of cards do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `/dev/video0`, `/dev/v4l/by-path/...`, `/dev/v4l/by-id/...`.
    Path(PathBuf),
    /// The first node that captures of the card with this name.
    Card(String),
}

impl Node {
    /// What stands after `v4l2:`; `None` for what is neither a path nor a name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("card=") {
            Some("") => None,
            Some(name) => Some(Node::Card(name.to_owned())),
            None => text.starts_with('/').then(|| Node::Path(PathBuf::from(text))),
        }
    }

    /// Whether it is named by this path.
    pub fn is(&self, path: &Path) -> bool {
        matches!(self, Node::Path(own) if own == path)
    }

    /// Why no pictures can be read from it, as far as can be seen without starting it. One that is in use has them.
    pub fn fault(&self) -> Option<String> {
        match self.open() {
            Ok((_, device)) => refused(&device),
            Err((_, error)) if error.kind() == std::io::ErrorKind::ResourceBusy => None,
            Err((_, error)) => Some(super::device::plain(&error)),
        }
    }

    /// Opens it. `Err`: why not, with the path where it is known.
    pub(super) fn open(&self) -> Result<(PathBuf, Device), (Option<PathBuf>, std::io::Error)> {
        let gone = || std::io::Error::from(std::io::ErrorKind::NotFound);
        match self {
            Node::Path(path) => {
                let device = Device::open(path).map_err(|error| (Some(path.clone()), error))?;
                Ok((path.clone(), device))
            }
            Node::Card(name) => {
                let mut refused = (None, gone());
                for path in nodes_of(Path::new("/"), name) {
                    match Device::open(&path) {
                        Ok(device) if device.capability().is_ok_and(|known| captures(known.caps)) => {
                            return Ok((path, device));
                        }
                        // Cards have nodes for data beside pictures, too.
                        Ok(_) => {}
                        Err(error) => refused = (Some(path), error),
                    }
                }
                Err(refused)
            }
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Path(path) => write!(f, "{}", path.display()),
            Node::Card(name) => write!(f, "card={name}"),
        }
    }
}

/// Why pictures cannot be read from an open node.
pub(super) fn refused(device: &Device) -> Option<String> {
    let Ok(known) = device.capability() else { return Some("is no video device".to_owned()) };
    let streams = captures(known.caps) && known.caps & sys::V4L2_CAP_STREAMING != 0;
    (!streams).then(|| format!("{} ({}) gives no pictures", known.card, known.driver))
}

/// Whether pictures can be read from a node with these capabilities.
pub(super) fn captures(caps: u32) -> bool {
    caps & (sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE) != 0
}

/// Nodes whose card has `name`, in the order of their numbers. `root` is `/`.
fn nodes_of(root: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("sys/class/video4linux")).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let node = entry.file_name().into_string().ok()?;
            let number = node.strip_prefix("video")?.parse().ok()?;
            let told = std::fs::read_to_string(entry.path().join("name")).ok()?;
            (told.trim_end_matches('\n') == name).then(|| (number, root.join("dev").join(node)))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_by_path_or_card() {
        assert_eq!(Node::parse("/dev/video0"), Some(Node::Path("/dev/video0".into())));
        assert_eq!(Node::parse("card=HD Capture, v2"), Some(Node::Card("HD Capture, v2".to_owned())));
        assert_eq!((Node::parse(""), Node::parse("video0"), Node::parse("card=")), (None, None, None));
        assert_eq!(Node::Card("x".to_owned()).to_string(), "card=x");
    }

    #[test]
    fn cards_are_found_by_the_name_that_the_kernel_tells() {
        let root = tempfile::tempdir().expect("a folder");
        for (node, name) in [("video10", "stick\n"), ("video2", "stick\n"), ("video0", "other\n"), ("vbi0", "stick\n")]
        {
            let folder = root.path().join("sys/class/video4linux").join(node);
            std::fs::create_dir_all(&folder).expect("made");
            std::fs::write(folder.join("name"), name).expect("written");
        }
        let found = nodes_of(root.path(), "stick");
        assert_eq!(found, ["video2", "video10"].map(|node| root.path().join("dev").join(node)));
        assert_eq!(nodes_of(root.path(), "none").len(), 0);
    }
}
