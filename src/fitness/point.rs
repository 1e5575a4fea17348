//! One point that is looked at.

use std::collections::BTreeMap;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As the contract wants it.
    Ok,
    /// Could not be seen.
    Untold,
    /// Works, and could be better or safer.
    Warning,
    /// The contract does not hold with this broker as it is.
    Finding,
}

impl Level {
    /// As it stands in reports.
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Untold => "untold",
            Level::Warning => "warning",
            Level::Finding => "finding",
        }
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which point.
    pub name: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was seen, one line.
    pub text: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// What was measured; the unit is in the name.
    pub measured: BTreeMap<&'static str, f64>,
}

impl Point {
    fn of(name: &'static str, level: Level, text: impl Into<String>, cure: Option<String>) -> Self {
        Self { name, level, text: text.into(), cure, measured: BTreeMap::new() }
    }
    /// As it should be.
    pub(super) fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self::of(name, Level::Ok, text, None)
    }
    /// It could not be seen; `cure` would let us.
    pub(super) fn untold(name: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::of(name, Level::Untold, text, Some(cure.into()))
    }
    /// It works, and could be better.
    pub(super) fn warning(name: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::of(name, Level::Warning, text, Some(cure.into()))
    }
    /// It does not do.
    pub(super) fn finding(name: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::of(name, Level::Finding, text, Some(cure.into()))
    }
    /// With a measure.
    pub(super) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.measured.insert(name, value);
        self
    }
}
