//! The command line through the real binary, each test in a directory of its own.

mod dev;
mod harness;
mod serving;
mod settings;
mod tokens;
mod users;
