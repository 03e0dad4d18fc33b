//! A time as typed: absolute, or relative to the present.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// A time. Relative times use the clock of the side that executes the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// In Unix seconds.
    At(i64),
    /// This many seconds ago.
    Ago(u64),
    /// In this many seconds.
    Ahead(u64),
}

impl Moment {
    /// The time, if it is `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(seconds) => Timestamp::from_unix(seconds),
            Self::Ago(seconds) => now.minus(Duration::from_secs(seconds)),
            Self::Ahead(seconds) => now.plus(Duration::from_secs(seconds)),
        }
    }
}
