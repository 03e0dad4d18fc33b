//! What several test binaries share. Each includes it with `#[path = "../support/mod.rs"] mod support;`, because Cargo gives
//! the path of the `patd` binary (`CARGO_BIN_EXE_patd`) to test binaries only, not to a crate of helpers.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod clock;
pub mod connection;
pub mod database;
pub mod faults;
pub mod harness;
pub mod log_lines;
pub mod place;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod settings;
