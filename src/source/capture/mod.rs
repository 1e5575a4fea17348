//! Capture devices: sound from ALSA, and what capture devices a machine has.

pub mod alsa;
pub mod discover;
