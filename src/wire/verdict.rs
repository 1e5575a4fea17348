//! How a source is doing, in one word.

/// One word for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Watched, nothing wrong.
    Ok,
    /// A minor or warning incident is open.
    Warning,
    /// A major or critical incident is open.
    Alert,
    /// Nothing arrives.
    Lost,
    /// Not watched yet: the first connection is under way.
    Off,
}

impl Verdict {
    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Alert => "alert",
            Verdict::Lost => "lost",
            Verdict::Off => "off",
        }
    }
}
