//! patd, the personal access token daemon: users, sessions and hashed API tokens in one self-contained binary.

pub mod config;
pub mod domain;
pub mod store;
