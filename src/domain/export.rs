//! What is held about a person, as rows with named values.

use uuid::Uuid;

use super::time::Timestamp;

/// A value of an exported row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportValue {
    /// There is none.
    Nothing,
    /// An id.
    Id(Uuid),
    /// A time.
    Time(Timestamp),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(String),
    /// A text of words that are separated by spaces.
    Words(String),
    /// A text that is JSON.
    Json(String),
}

/// A row: its values by name.
pub type ExportRow = Vec<(&'static str, ExportValue)>;
