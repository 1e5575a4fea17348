//! What capture devices this machine has.

pub mod holder;
