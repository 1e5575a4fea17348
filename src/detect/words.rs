//! Words in which detectors speak.

/// Severities of ITU-T X.733, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// May become a defect, or is one that few would see.
    Warning,
    /// Visible or audible, programme goes on.
    Minor,
    /// Spoils the programme.
    Major,
    /// There is no programme.
    Critical,
}

impl Severity {
    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }
}

/// What a detector says of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The defect is there.
    Present,
    /// It is not.
    Absent,
    /// Between the raise and the clear level, or not to be told from this unit: whatever was, stays.
    Unclear,
}

/// What of the programme a defect touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The picture.
    Picture,
    /// The sound.
    Sound,
    /// Both.
    Programme,
}

impl Scope {
    /// Whether all of `other` lies in it.
    pub fn covers(self, other: Scope) -> bool {
        self == Scope::Programme || self == other
    }
}

/// A rectangle of the picture, in luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
}
