//! The settings of a database.

use std::{path::PathBuf, time::Duration};

/// The settings of a database.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The database file.
    pub path: PathBuf,
    /// How many read-only connections there are at most.
    pub readers: u32,
    /// How long a read waits for a free connection.
    pub pool_timeout: Duration,
    /// How long a write waits for the write lock of another process.
    pub busy_timeout: Duration,
    /// How many writes may wait in the queue.
    pub write_queue: usize,
}
