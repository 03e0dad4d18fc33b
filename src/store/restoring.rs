//! What is ended in a database that was restored from a backup. The statements are in `sql/restore`.

use std::collections::BTreeMap;

use crate::domain::{replay::Replay, time::Timestamp};

/// What is to end.
#[derive(Clone, Debug, Default)]
pub struct Restoring {
    /// What had ended after the backup, and the number of the last event that says so.
    pub replay: Option<(Replay, i64)>,
    /// Whether all sessions end.
    pub end_sessions: bool,
    /// When every valid token ends, unless it ends before.
    pub tokens_end_at: Option<Timestamp>,
}

/// What has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many events of each kind say so.
    pub changes: BTreeMap<String, u64>,
    /// How many tokens got an earlier end.
    pub expiring: u64,
}
