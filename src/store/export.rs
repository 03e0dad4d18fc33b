//! The export of everything that is held about a user.

use uuid::Uuid;

use super::reply::Reply;
use crate::domain::{export::ExportRow, id::UserId};

/// Where an export goes on. The default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPosition {
    /// The number of the section.
    pub(super) section: usize,
    /// The key of the last row in it.
    pub(super) after: Option<Vec<ExportKey>>,
}

/// A part of the key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExportKey {
    Number(i64),
    Text(String),
    Id(Uuid),
}

/// Some rows of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportBatch {
    /// The name of the section.
    pub section: &'static str,
    /// The rows. At most 256 KiB, so they can be few, or none.
    pub rows: Vec<ExportRow>,
    /// Where it goes on. If the section is another one there, this one is complete.
    pub next: ExportPosition,
    /// Whether the section is complete.
    pub is_complete: bool,
}

/// The export of personal data. Errors are as for [`Store`](super::Store).
pub trait Export {
    /// The next rows about the user, without secrets and hashes. `None` at the end. If the user is deleted during an export,
    /// the rest of it is empty.
    fn export(&self, user: UserId, position: ExportPosition) -> Reply<'_, Option<ExportBatch>>;
}
