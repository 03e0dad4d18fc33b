//! The current schema, and the numbers by which a file says that it has it.

/// The whole current schema.
pub(super) const SCHEMA: &str = include_str!("../../../schema.sql");

/// The version of the current schema.
pub(super) const VERSION: i64 = 9;

/// The oldest version that can be upgraded.
pub(super) const OLDEST: i64 = 6;

/// "patd" in ASCII: `PRAGMA application_id` of every database of this program.
pub(super) const APPLICATION_ID: i64 = 0x7061_7464;
