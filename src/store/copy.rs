//! What a copy of a whole database reports, and why it fails. The copy itself is in `sql/copy`.

use std::fmt;

use super::reply::StoreError;

/// One of the two databases of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopySide {
    /// The database that is read.
    Source,
    /// The database that is written.
    Target,
}

impl fmt::Display for CopySide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Source => "the source",
            Self::Target => "the target",
        })
    }
}

/// How far a copy is.
#[derive(Clone, Copy, Debug)]
pub struct CopyProgress {
    /// How many rows were written or compared.
    pub done: u64,
    /// How many there are to write and to compare.
    pub all: u64,
    /// The table at work.
    pub table: &'static str,
    /// Whether its rows are compared. Before that, they are written.
    pub is_comparing: bool,
}

/// What a copy has compared in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How many tables there are.
    pub tables: usize,
    /// How many rows they have.
    pub rows: u64,
    /// Whether an earlier run that was interrupted had begun it.
    pub was_resumed: bool,
}

/// Why a copy failed. The source is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A database failed.
    #[error("{0}: {1}; what has arrived stays, and the same command goes on from there")]
    Store(CopySide, StoreError),
    /// The target has rows that are not of this copy.
    #[error("the target is not empty, it has rows in {0}: copy into a new database")]
    NotEmpty(&'static str),
    /// The target has rows of another copy.
    #[error(
        "the target has an unfinished copy of another database: run the command with that source again, or copy into a new \
         database"
    )]
    OtherSource,
    /// The source has rows of a copy.
    #[error("the source is itself an unfinished copy: finish that copy first, with the command that began it")]
    UnfinishedSource,
    /// A node has the database open.
    #[error("{0} is in use by the node {1}: stop all nodes first")]
    InUse(CopySide, String),
    /// The tables of the two differ.
    #[error(
        "the table {table} differs: the source has {source_rows} rows, the target has {target_rows}{}; one of the two was \
         changed after the copy began. No server opens the target. Delete it, and copy into a new database",
        if source_rows == target_rows { ", with other contents" } else { "" }
    )]
    Differs {
        /// The table.
        table: &'static str,
        /// How many rows it has in the source.
        source_rows: u64,
        /// How many rows it has in the target.
        target_rows: u64,
    },
}
