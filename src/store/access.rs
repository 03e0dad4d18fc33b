//! Who opens a database.

/// Who opens the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The server. It creates a database that is missing, and upgrades one of an earlier release.
    Server,
    /// A command that creates a database that is missing. It works beside a server.
    Create,
    /// A command that refuses a database that is missing. It works beside a server.
    Existing,
    /// A copy that reads it, or a restoration. It refuses a database that is missing, and keeps all other processes out.
    CopySource,
    /// A copy that writes it. It creates a database that is missing, and keeps all other processes out.
    CopyTarget,
}

impl Access {
    /// Whether a database that is missing is created.
    pub(crate) const fn creates(self) -> bool {
        !matches!(self, Self::Existing | Self::CopySource)
    }

    /// Whether no other process may have it open.
    pub(crate) const fn is_exclusive(self) -> bool {
        matches!(self, Self::CopySource | Self::CopyTarget)
    }
}
