//! Tests that need a separate process: what survives its end, its log, and how it uses the system.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod activation;
mod clean_stop;
mod commands;
mod connections;
mod console;
mod crash;
mod drive;
mod flood;
mod foreign_log;
mod locks;
mod log_schema;
mod logs;
mod malformed;
mod pressure;
mod quiet;
mod reload;
mod sign_ins;
#[path = "../support/mod.rs"]
mod support;
mod traces;
mod unread_answers;

use support::harness;
