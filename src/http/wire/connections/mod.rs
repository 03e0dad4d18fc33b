//! Connections: accepting them, watching them, and reading and writing them.

pub(crate) mod accepting;
pub(crate) mod connection;
mod fragment;
pub(crate) mod open;
mod stream;
