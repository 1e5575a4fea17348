//! A fleet in a terminal (`picket watch`): what devices say is a model, the screen is a picture of the model. Everything
//! that devices say is taken for hostile: its size is bounded and nothing in it reaches the terminal as a command.
//! Behaves as `systemd/fleet/fleet.html` does: trouble first, and complete after one period of health whatever the broker
//! dropped.

mod asks;
mod body;
mod device;
mod feed;
mod fleet;
mod incident;
mod order;
mod plain;
mod run;
mod screen;
mod text;
mod verdict;
mod view;

#[cfg(test)]
mod tests;

pub use run::{Output, Watch, watch};

use crate::time::{Clock, Mono};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Now {
    /// For durations.
    mono: Mono,
    /// For people, ms since the Unix epoch.
    wall_ms: i64,
}

impl Now {
    fn of(clock: &dyn Clock) -> Self {
        Self { mono: clock.mono(), wall_ms: clock.wall().unix_ms }
    }
}
