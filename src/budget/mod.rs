//! How much of its sources Picket looks at. The encoder owns the box: Picket keeps to a budget, sheds its own load
//! first, and says so.

mod floors;
mod governor;
mod share;
#[cfg(test)]
mod tests;

pub use governor::{Governor, Load, Settings, SourceLoad};
pub use share::Share;

/// What of a stream is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decode {
    /// All of it.
    #[default]
    Full,
    /// Pictures that others refer to: about half of a stream with B pictures, all of one without.
    Reference,
    /// Key pictures.
    Key,
}

/// How closely a source is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// What is decoded.
    pub decode: Decode,
    /// Of the pictures that are decoded, each so manieth is looked at.
    pub every: u32,
    /// Of the pictures that are looked at, each so manieth is looked at in full.
    pub full_every: u32,
}

impl Effort {
    /// All that can be done.
    pub const FULL: Effort = Effort { decode: Decode::Full, every: 1, full_every: 1 };
}

/// A rung of the ladder from all that can be done down to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(u8);

/// A light look costs this much of a full one (instructions per sample, PERFORMANCE.md).
const LIGHT: f64 = 0.3;

/// The ladder: what goes first is what a viewer would miss last. Looking lightly at pictures between costs no coverage;
/// then pictures are left out; decoding, the dearest part of a stream, saves only by what is not decoded at all. Beside
/// each: its name, and the cost of looking as a share of the full one, with half the pictures of a stream as references
/// and each 25th as a key picture.
const LADDER: [(Effort, &str, f64); 8] = [
    (Effort::FULL, "all pictures in full", 1.0),
    (Effort { decode: Decode::Full, every: 1, full_every: 2 }, "every 2nd picture in full", mix(1, 2)),
    (Effort { decode: Decode::Full, every: 1, full_every: 4 }, "every 4th picture in full", mix(1, 4)),
    (Effort { decode: Decode::Full, every: 1, full_every: 8 }, "every 8th picture in full", mix(1, 8)),
    (Effort { decode: Decode::Full, every: 2, full_every: 4 }, "every 2nd picture", mix(2, 4)),
    (Effort { decode: Decode::Full, every: 4, full_every: 4 }, "every 4th picture", mix(4, 4)),
    (Effort { decode: Decode::Reference, every: 1, full_every: 4 }, "reference pictures", mix(2, 4)),
    (Effort { decode: Decode::Key, every: 1, full_every: 1 }, "key pictures", 0.04),
];

/// Cost of looking at every `every`th picture, and at every `full_every`th of those in full.
const fn mix(every: u32, full_every: u32) -> f64 {
    (1.0 + (full_every - 1) as f64 * LIGHT) / (every * full_every) as f64
}

impl Step {
    /// All that can be done.
    pub const FULL: Step = Step(0);
    /// The source is closed for want of memory.
    pub const SUSPENDED: Step = Step(LADDER.len() as u8);
    /// The last rung for what is not decoded: captured and generated pictures.
    const LAST_UNDECODED: Step = Step(5);
    /// The last rung for streams.
    pub const LAST: Step = Step(LADDER.len() as u8 - 1);

    /// What is done; `None` when the source is suspended.
    pub fn effort(self) -> Option<Effort> {
        LADDER.get(usize::from(self.0)).map(|(effort, ..)| *effort)
    }

    /// In words, for people: "every 4th picture".
    pub fn name(self) -> &'static str {
        LADDER.get(usize::from(self.0)).map_or("suspended", |(_, name, _)| name)
    }

    /// By its number, 0 for [`Step::FULL`]; beyond the last one [`Step::SUSPENDED`].
    pub fn from_number(number: u8) -> Self {
        Step(number.min(Self::SUSPENDED.0))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// One rung down, at most to `last`.
    fn down(self, last: Step) -> Self {
        Step(self.0 + 1).min(last)
    }

    fn up(self) -> Self {
        Step(self.0.saturating_sub(1))
    }

    /// All rungs to `last`.
    fn all(last: Step) -> impl Iterator<Item = Step> {
        (0..=last.0).map(Step)
    }

    fn decode(self) -> Decode {
        self.effort().map_or(Decode::Key, |effort| effort.decode)
    }

    /// Cost of looking, as a share of the full one.
    fn looking(self) -> f64 {
        LADDER.get(usize::from(self.0)).map_or(0.0, |(.., cost)| *cost)
    }
}

/// Why less than all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All sources together would pass the processor time of the budget.
    Cpu,
    /// The process is over the memory of the budget.
    Memory,
    /// The encoder waits for processors (PSI of its control group).
    Encoder,
    /// All processors are busy and tasks wait for them.
    Machine,
    /// The processor is throttled for heat.
    Heat,
    /// This source's packets wait to be decoded: Picket gets too little time.
    Backlog,
}

/// What a source may do, and why not more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Its rung of the ladder.
    pub step: Step,
    /// `None` on the best one.
    pub shed_by: Option<Reason>,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 6] =
        [Reason::Cpu, Reason::Memory, Reason::Encoder, Reason::Machine, Reason::Heat, Reason::Backlog];

    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Cpu => "cpu_budget",
            Reason::Memory => "memory_budget",
            Reason::Encoder => "encoder_starved",
            Reason::Machine => "machine_busy",
            Reason::Heat => "throttled",
            Reason::Backlog => "backlog",
        }
    }
}
