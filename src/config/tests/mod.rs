//! The configuration as its users see it: files in a folder in, settings or the words of mistakes out.

mod documents;
mod layering;
mod mistakes;
mod mutations;
mod rules;

use super::*;
use std::path::Path;

/// A source that is right, for tests of other things.
const SOURCE: &str = "[[source]]\nid = \"sdi-1\"\ninput = \"udp://239.1.1.1:5000\"\n";

/// A root folder with configuration files in it.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }
    fn with(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
        self
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn load(&self, env: &[(&str, &str)], flags: &[Flag]) -> Result<Config, Mistakes> {
        load(&Places::below(self.path()), &environment(env), flags)
    }
    /// The text of the mistakes, with the root folder as "".
    fn mistakes(&self, env: &[(&str, &str)]) -> String {
        match self.load(env, &[]) {
            Ok(config) => panic!("no mistake: {config:?}"),
            Err(mistakes) => mistakes.to_string().replace(&*self.path().to_string_lossy(), ""),
        }
    }
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// `text` alone as /etc/picket/picket.toml.
fn only(text: &str) -> Result<Config, Mistakes> {
    Root::new().with("etc/picket/picket.toml", text).load(&[], &[])
}
