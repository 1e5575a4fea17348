//! How something is doing, as the watcher sees it: what is said, and what silence says.

/// Worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Verdict {
    /// The device is gone, or the source's signal.
    Lost,
    /// A major or critical incident is open.
    Alert,
    /// The device should have said something by now.
    Silent,
    /// A minor or warning incident is open, or the box is in trouble.
    Warning,
    /// Not watched: starting or stopped.
    #[default]
    Off,
    /// Watched, nothing wrong.
    Ok,
}

impl Verdict {
    /// All, worst first.
    pub(super) const ALL: [Verdict; 6] =
        [Verdict::Lost, Verdict::Alert, Verdict::Silent, Verdict::Warning, Verdict::Off, Verdict::Ok];

    /// In one word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Lost => "lost",
            Verdict::Alert => "alert",
            Verdict::Silent => "silent",
            Verdict::Warning => "warning",
            Verdict::Off => "off",
            Verdict::Ok => "ok",
        }
    }

    /// In one character, for those who do not see the colour.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Verdict::Lost => "✖",
            Verdict::Alert => "▲",
            Verdict::Silent => "?",
            Verdict::Warning => "△",
            Verdict::Off => "○",
            Verdict::Ok => "●",
        }
    }

    /// Of a device's own word; nobody can call itself silent.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "lost" => Verdict::Lost,
            "alert" => Verdict::Alert,
            "warning" => Verdict::Warning,
            "ok" => Verdict::Ok,
            _ => Verdict::Off,
        }
    }

    /// Somebody should look.
    pub(super) fn is_trouble(self) -> bool {
        self < Verdict::Off
    }
}

/// Worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Critical,
    Major,
    Minor,
    Warning,
}

impl Severity {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "critical" => Severity::Critical,
            "major" => Severity::Major,
            "minor" => Severity::Minor,
            _ => Severity::Warning,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Major => "major",
            Severity::Minor => "minor",
            Severity::Warning => "warning",
        }
    }
}
