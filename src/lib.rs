//! Picket: finds picture, sound and sync defects on the encoder box and tells them over MQTT.
//!
//! Modules stand in the order in which data flows; each imports only what stands before it (ARCHITECTURE.md).

pub mod time;
pub mod ids;
pub mod frame;
pub mod kernels;
pub mod health;
pub mod budget;
pub mod source;
pub mod features;
pub mod pair;
pub mod detect;
pub mod alert;
pub mod evidence;
pub mod tape;
pub mod wire;
pub mod outbox;
pub mod identity;
pub mod mqtt;
pub mod fitness;
pub mod pipeline;
pub mod report;
pub mod config;
pub mod daemon;
#[cfg(feature = "watch")]
pub mod watch;
pub mod cli;
