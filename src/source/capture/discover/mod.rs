//! What capture devices this machine has, what they can do, and which decoders work.

pub mod decoders;
mod hotplug;
mod node;
pub mod sound;
pub mod video;

pub use hotplug::Hotplug;

/// All capture devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Devices {
    /// V4L2 nodes, in the order of their numbers.
    pub video: Vec<video::VideoNode>,
    /// Capture sides of ALSA devices, in the order of cards.
    pub sound: Vec<sound::SoundDevice>,
}

/// Opens every device for a moment and looks.
pub fn devices() -> Devices {
    let root = std::path::Path::new("/");
    Devices { video: video::nodes(root), sound: sound::devices(root) }
}
