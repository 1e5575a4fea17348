//! What the running daemon alone knows, for `picket bundle` on the same box: a unix socket in the runtime folder, for our
//! own user and root. Whoever connects is told all and nothing is taken from him.
//!
//! The answer is parts one after the other, each a line of its name and length in bytes, then its content.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

/// Name of the socket.
const NAME: &str = "live.sock";
/// Whoever does not read by then is left alone.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A part: its name and its content.
pub type Part = (String, Vec<u8>);

/// The socket, gone when dropped.
#[derive(Debug)]
pub(super) struct LiveSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl LiveSocket {
    /// Opens it. Without it the daemon goes on all the same. Inside a runtime only.
    pub(super) fn open(folder: &Path) -> Self {
        let path = folder.join(NAME);
        let listener = listen(&path);
        if let Err(error) = &listener {
            tracing::warn!(%error, path = %path.display(), "support archives will lack what the daemon alone knows");
        }
        Self { path, listener: listener.ok() }
    }

    /// The next one who asks.
    pub(super) async fn next(&self) -> UnixStream {
        loop {
            match &self.listener {
                None => std::future::pending().await,
                Some(listener) => match listener.accept().await {
                    Ok((stream, _)) => return stream,
                    // Out of descriptors, perhaps.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                },
            }
        }
    }
}

impl Drop for LiveSocket {
    fn drop(&mut self) {
        if self.listener.is_some() {
            // The folder may be gone already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Tells `parts` to one who asked, beside all else.
pub(super) fn answer(mut stream: UnixStream, parts: &[Part]) {
    let head = |(name, content): &Part| [format!("{name} {}\n", content.len()).as_bytes(), content].concat();
    let bytes: Vec<u8> = parts.iter().flat_map(head).collect();
    tokio::spawn(async move {
        let written = async {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        };
        // Who does not wait for the answer does not want it.
        let _ = tokio::time::timeout(ANSWER_MAX, written).await;
    });
}

/// Asks the daemon whose runtime folder this is. Fails where none runs, or not for this user.
pub fn ask(folder: &Path) -> io::Result<Vec<Part>> {
    use std::io::Read;
    let mut stream = std::os::unix::net::UnixStream::connect(folder.join(NAME))?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(parts_of(&bytes))
}

fn parts_of(mut bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let (head, rest) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end + 1..]);
        let Some((name, length)) = head.split_once(' ') else { break };
        let Some(content) = length.parse().ok().and_then(|length: usize| rest.get(..length)) else { break };
        parts.push((name.to_owned(), content.to_vec()));
        bytes = &rest[content.len()..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_is_told_all() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("run");
        assert!(ask(&folder).is_err());
        let socket = LiveSocket::open(&folder);
        let mode = std::fs::metadata(folder.join(NAME)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let parts = vec![("log.txt".to_owned(), b"a\nb 5\n".to_vec()), ("empty".to_owned(), Vec::new())];
        let asking = tokio::task::spawn_blocking({
            let folder = folder.clone();
            move || ask(&folder)
        });
        answer(socket.next().await, &parts);
        assert_eq!(asking.await.expect("no panic").expect("told"), parts);
        // A socket that a killed run left is no obstacle.
        drop(LiveSocket::open(&folder));
        assert!(!folder.join(NAME).exists());
        assert_eq!(parts_of(b"x 9\nshort"), vec![]);
    }
}
