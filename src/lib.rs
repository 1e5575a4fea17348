//! Picket: finds picture, sound and sync defects on the encoder box and tells them over MQTT.
//!
//! Modules stand in the order in which data flows; each imports only what stands before it (ARCHITECTURE.md).

pub mod alert;
pub mod detect;
pub mod frame;
pub mod health;
pub mod ids;
pub mod pipeline;
pub mod time;
