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
}
