//! Runs commands with the real binary, each test in its own directory.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod administrators;
mod audit;
mod backup;
mod control;
mod database_copy;
mod deletion;
mod dev;
mod dev_seed;
mod doctor;
mod environment_tokens;
mod lists;
mod policies;
mod restore;
mod rotated_tokens;
mod service_accounts;
mod serving;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod token_filters;
mod token_usage;
mod tokens;
mod users;
