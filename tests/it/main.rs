//! Tests of the whole program: they start it, feed it, and look at what comes out.
//!
//! Mosquitto and FFmpeg's command-line tool are needed (`make setup`): without them these tests fail, they never skip.

#![allow(clippy::panic, clippy::disallowed_methods, reason = "tests fail by panicking, and wait by the clock")]

mod allocations;
mod architecture;
mod bad_input;
mod broker;
mod broker_check;
mod certificates;
mod chaos;
mod commands;
mod determinism;
mod diagnosis;
mod economy;
mod hostile_broker;
mod household;
mod remote_config;
mod report;
mod schemas;
mod scripted_broker;
mod streams;
mod support;
mod sync;
mod timing;
mod watching;
