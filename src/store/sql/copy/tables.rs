//! What a copy copies: tables in an order in which each refers only to earlier ones, with all their columns.
//!
//! A test compares [`TABLES`] and `EXCEPTIONS` with both schemas, so that no table and no column can be forgotten.

use crate::store::sql::connection::Kind;
use Kind::{Bytes, Flag, Id, Integer, Text};

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// Which columns are the key.
    pub(crate) key: &'static [usize],
    /// How many rows are read and written at once.
    pub(crate) batch: usize,
    pub(crate) peculiarity: Peculiarity,
}

/// What is special about a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peculiarity {
    None,
    /// Rows refer to rows of a table that comes later. This column gets a placeholder first.
    Forward(usize),
    /// The database numbers the rows, and gives no number twice.
    Numbered,
    /// A row refers to one with a larger key, so the largest key comes first.
    Descending,
    /// A database without users may have rows. They are replaced.
    Replaced,
}

use Peculiarity::{Descending, Forward, None, Numbered, Replaced};

/// The column of [`TABLES`] that refers forward.
const CURRENT_ENVIRONMENT: usize = 7;

pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "users",
        columns: &[
            ("id", Id),
            ("name", Text),
            ("email", Text),
            ("email_canonical", Text),
            ("password_hash", Text),
            ("created_at", Integer),
            ("disabled_at", Integer),
            ("current_environment_id", Id),
            ("kind", Text),
            ("role", Text),
            ("description", Text),
        ],
        key: &[0],
        batch: 200,
        peculiarity: Forward(CURRENT_ENVIRONMENT),
    },
    Table {
        name: "environments",
        columns: &[("id", Id), ("owner_id", Id), ("name", Text), ("is_default", Flag), ("created_at", Integer)],
        key: &[0],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "environment_members",
        columns: &[("environment_id", Id), ("user_id", Id), ("role", Text), ("created_at", Integer)],
        key: &[0, 1],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "service_account_managers",
        columns: &[("service_account_id", Id), ("user_id", Id), ("created_at", Integer)],
        key: &[0, 1],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "password_links",
        columns: &[("user_id", Id), ("hash", Bytes), ("created_at", Integer), ("expires_at", Integer)],
        key: &[0],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "sessions",
        columns: &[
            ("id", Id),
            ("user_id", Id),
            ("hash", Bytes),
            ("device_name", Text),
            ("created_at", Integer),
            ("last_used_at", Integer),
            ("expires_at", Integer),
        ],
        key: &[0],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "tokens",
        columns: &[
            ("number", Integer),
            ("id", Id),
            ("owner_id", Id),
            ("hash", Bytes),
            ("hint", Text),
            ("name", Text),
            ("abilities", Text),
            ("created_at", Integer),
            ("expires_at", Integer),
            ("last_used_at", Integer),
            ("revoked_at", Integer),
            ("environment_id", Id),
            ("family_id", Id),
            ("rotated_from", Id),
            ("grace_ends_at", Integer),
            ("ends_on_first_use", Flag),
            ("disabled_at", Integer),
            ("revoked_reason", Text),
            ("ip_allowlist", Text),
            ("requests_per_minute", Integer),
            ("quota", Integer),
            ("quota_used", Integer),
            ("lineage_id", Id),
            ("description", Text),
            ("metadata", Text),
            ("canary", Flag),
            ("created_by", Id),
        ],
        key: &[0],
        // A row can take 75 KB.
        batch: 100,
        peculiarity: Numbered,
    },
    Table {
        name: "token_usage",
        columns: &[
            ("token_number", Integer),
            ("day", Integer),
            ("kind", Text),
            ("name", Text),
            ("allowed", Integer),
            ("refused", Integer),
        ],
        key: &[0, 1, 2, 3],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "token_usage_counting",
        columns: &[("only_row", Integer), ("since", Integer)],
        key: &[0],
        batch: 300,
        peculiarity: Replaced,
    },
    Table {
        name: "token_usage_batches",
        columns: &[("process_id", Id), ("part", Integer), ("batch", Integer), ("last_day", Integer)],
        key: &[0, 1],
        batch: 300,
        peculiarity: Replaced,
    },
    Table {
        name: "token_addresses",
        columns: &[("token_id", Id), ("address", Text), ("user_agent", Text), ("last_used_at", Integer)],
        key: &[0, 1],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "audit_events",
        columns: &[
            ("seq", Integer),
            ("at", Integer),
            ("user_id", Id),
            ("actor_kind", Text),
            ("actor_id", Id),
            ("action", Text),
            ("target_kind", Text),
            ("target_id", Id),
            ("address", Text),
            ("request_id", Text),
            ("outcome", Text),
            ("detail", Text),
            ("actor_user_id", Id),
            ("erased_address", Bytes),
            ("erased_detail", Bytes),
        ],
        key: &[0],
        batch: 200,
        peculiarity: Numbered,
    },
    Table {
        name: "audit_salts",
        columns: &[("user_id", Id), ("salt", Bytes)],
        key: &[0],
        batch: 300,
        peculiarity: Replaced,
    },
    Table {
        name: "audit_seals",
        columns: &[
            ("number", Integer),
            ("kind", Text),
            ("first_seq", Integer),
            ("last_seq", Integer),
            ("events", Integer),
            ("latest_at", Integer),
            ("sealed_at", Integer),
            ("content", Bytes),
            ("digest", Bytes),
            ("pruned_by", Integer),
        ],
        key: &[0],
        batch: 300,
        // A seal refers to the later one that records its pruning, and is never changed outside of pruning.
        peculiarity: Descending,
    },
    Table {
        name: "keyed_requests",
        columns: &[("account_id", Id), ("key", Bytes), ("request", Bytes), ("made_id", Id), ("made_at", Integer)],
        key: &[0, 1],
        batch: 300,
        peculiarity: None,
    },
    Table {
        name: "attempts",
        columns: &[("scope", Text), ("subject", Bytes), ("origin", Bytes), ("rests_at_micros", Integer)],
        key: &[0, 1, 2],
        batch: 300,
        peculiarity: Replaced,
    },
    Table {
        name: "attempts_key",
        columns: &[("only_row", Integer), ("key", Bytes)],
        key: &[0],
        batch: 300,
        peculiarity: Replaced,
    },
    Table {
        name: "clock",
        columns: &[("only_row", Integer), ("latest_time", Integer), ("last_event", Integer)],
        key: &[0],
        batch: 300,
        peculiarity: Replaced,
    },
];

/// What is not copied, and why.
#[cfg(test)]
pub(crate) const EXCEPTIONS: &[(&str, &str)] = &[
    ("audit_erasure", "has no rows outside of a transaction"),
    ("audit_pruning", "has no rows outside of a transaction"),
    ("database_copy", "about the copy itself"),
    ("log_binding", "about the file and its log"),
    ("owed_scrub", "about unused pages of the file, which the target does not have"),
    ("write_probes", "about the disk of the file"),
    ("sqlite_sequence", "SQLite's counters, which the copy sets"),
    ("schema_version", "about the target"),
    ("change_counter", "about the nodes of a database, and none runs during a copy"),
    ("changes", "what nodes must forget, and none runs during a copy"),
    ("nodes", "none runs during a copy"),
    ("housekeeping", "about the nodes"),
    ("rate_permits", "forgotten after a minute, and a file has none"),
];
