//! SQL that reads everything that is held about a user, section by section and a few rows at a time.
//!
//! A test compares [`SECTIONS`] and `EXCEPTIONS` with the schema, so that no column can be forgotten.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::connection::{Connection, Parameters, Row, Value};
use crate::{
    domain::{
        export::{ExportRow, ExportValue},
        id::UserId,
        time::Timestamp,
    },
    store::{ExportBatch, ExportPosition, StoreError, export::ExportKey},
};

/// How a column is exported.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Id,
    Time,
    Number,
    Flag,
    Text,
    Words,
    Json,
}

use Kind::{Flag, Id, Json, Number, Text, Time, Words};

/// Rows of one table, which has the alias `t`.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// Tables through which the rows are found, with a JOIN.
    via: &'static str,
    /// What follows the table. `?1` is the user, and `?2` and so on are the key of the last row.
    rest: &'static str,
    /// Which columns are the key, in the order of the rows.
    key: &'static [usize],
    /// How many rows are read at once, so that they take at most 256 KiB.
    limit: u32,
}

pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "profile",
        table: "users",
        columns: &[
            ("id", Id),
            ("name", Text),
            ("email", Text),
            ("role", Text),
            ("created_at", Time),
            ("disabled_at", Time),
            ("current_environment_id", Id),
        ],
        via: "",
        rest: "WHERE t.id = ?1 AND t.kind = 'user' AND t.id > ?2",
        key: &[0],
        limit: 1,
    },
    Section {
        name: "password_links",
        table: "password_links",
        columns: &[("user_id", Id), ("created_at", Time), ("expires_at", Time)],
        via: "",
        rest: "WHERE t.user_id = ?1 AND t.user_id > ?2",
        key: &[0],
        limit: 1,
    },
    Section {
        name: "sessions",
        table: "sessions",
        columns: &[
            ("id", Id),
            ("device_name", Text),
            ("created_at", Time),
            ("last_used_at", Time),
            ("expires_at", Time),
        ],
        via: "",
        rest: "WHERE t.user_id = ?1 AND (t.created_at, t.id) > (?2, ?3) ORDER BY t.created_at, t.id",
        key: &[2, 0],
        limit: 200,
    },
    Section {
        name: "environments",
        table: "environments",
        columns: &[("id", Id), ("name", Text), ("is_default", Flag), ("created_at", Time)],
        via: "",
        rest: "WHERE t.owner_id = ?1 AND (t.created_at, t.id) > (?2, ?3)
               ORDER BY t.created_at, t.id",
        key: &[3, 0],
        limit: 200,
    },
    Section {
        name: "memberships",
        table: "environment_members",
        columns: &[("environment_id", Id), ("role", Text), ("created_at", Time)],
        via: "",
        rest: "WHERE t.user_id = ?1 AND t.environment_id > ?2 ORDER BY t.environment_id",
        key: &[0],
        limit: 200,
    },
    Section {
        name: "managed_service_accounts",
        table: "service_account_managers",
        columns: &[("service_account_id", Id), ("created_at", Time)],
        via: "",
        rest: "WHERE t.user_id = ?1 AND t.service_account_id > ?2
               ORDER BY t.service_account_id",
        key: &[0],
        limit: 200,
    },
    Section {
        name: "tokens",
        table: "tokens",
        columns: &[
            ("number", Number),
            ("id", Id),
            ("environment_id", Id),
            ("name", Text),
            ("description", Text),
            ("metadata", Json),
            ("abilities", Words),
            ("hint", Text),
            ("created_at", Time),
            ("created_by", Id),
            ("expires_at", Time),
            ("last_used_at", Time),
            ("disabled_at", Time),
            ("revoked_at", Time),
            ("revoked_reason", Text),
            ("family_id", Id),
            ("lineage_id", Id),
            ("rotated_from", Id),
            ("grace_ends_at", Time),
            ("ends_on_first_use", Flag),
            ("ip_allowlist", Words),
            ("requests_per_minute", Number),
            ("quota", Number),
            ("quota_used", Number),
            ("canary", Flag),
        ],
        via: "",
        rest: "WHERE t.owner_id = ?1 AND t.number > ?2 ORDER BY t.number",
        key: &[0],
        limit: 3,
    },
    Section {
        name: "token_addresses",
        table: "token_addresses",
        columns: &[("token_id", Id), ("address", Text), ("user_agent", Text), ("last_used_at", Time)],
        via: "tokens o CROSS JOIN ",
        rest: "ON t.token_id = o.id
               WHERE o.owner_id = ?1 AND o.number >= coalesce((SELECT s.number FROM tokens s WHERE s.id = ?2), 0)
                 AND (o.id <> ?2 OR t.address > ?3)
               ORDER BY o.number, t.address",
        key: &[0, 1],
        limit: 200,
    },
    Section {
        name: "token_usage",
        table: "token_usage",
        columns: &[
            ("token_number", Number),
            ("day", Number),
            ("kind", Text),
            ("name", Text),
            ("allowed", Number),
            ("refused", Number),
        ],
        via: "tokens o CROSS JOIN ",
        rest: "ON t.token_number = o.number
               WHERE o.owner_id = ?1 AND o.number >= ?2 AND (t.token_number, t.day, t.kind, t.name) > (?2, ?3, ?4, ?5)
               ORDER BY o.number, t.day, t.kind, t.name",
        key: &[0, 1, 2, 3],
        limit: 200,
    },
    Section {
        name: "audit_trail",
        table: "audit_events",
        columns: &[
            ("seq", Number),
            ("at", Time),
            ("actor_kind", Text),
            ("actor_id", Id),
            ("actor_user_id", Id),
            ("action", Text),
            ("target_kind", Text),
            ("target_id", Id),
            ("address", Text),
            ("request_id", Text),
            ("outcome", Text),
            ("detail", Text),
        ],
        via: "",
        rest: "WHERE t.user_id = ?1 AND t.seq > ?2 ORDER BY t.seq",
        key: &[0],
        limit: 200,
    },
    Section {
        name: "actions_elsewhere",
        table: "audit_events",
        columns: &[
            ("seq", Number),
            ("at", Time),
            ("user_id", Id),
            ("actor_kind", Text),
            ("actor_id", Id),
            ("action", Text),
            ("target_kind", Text),
            ("target_id", Id),
            ("address", Text),
            ("request_id", Text),
            ("outcome", Text),
        ],
        // The detail can have addresses of the other user.
        via: "",
        rest: "WHERE t.actor_user_id = ?1 AND t.user_id IS DISTINCT FROM t.actor_user_id AND t.seq > ?2
               ORDER BY t.seq",
        key: &[0],
        limit: 200,
    },
];

/// What is not exported, and why. `*` is every column that no section has.
#[cfg(test)]
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("users", "email_canonical", "a form of the address that is derived from it"),
    ("users", "password_hash", "a hash"),
    ("users", "kind", "a user who exports is a user"),
    ("users", "description", "only service accounts have one"),
    ("sessions", "user_id", "the user"),
    ("sessions", "hash", "a hash"),
    ("environments", "owner_id", "the user"),
    ("environment_members", "user_id", "the user"),
    ("service_account_managers", "user_id", "the user"),
    ("password_links", "hash", "a hash"),
    ("tokens", "owner_id", "the user"),
    ("tokens", "hash", "a hash"),
    ("audit_events", "erased_address", "digests of what was erased when another user was deleted"),
    ("audit_events", "erased_detail", "digests of what was erased when another user was deleted"),
    ("audit_salts", "*", "random numbers"),
    ("audit_seals", "*", "digests over events of everybody"),
    ("audit_erasure", "*", "has no rows outside of a transaction"),
    ("audit_pruning", "*", "has no rows outside of a transaction"),
    ("keyed_requests", "*", "hashes of what the user sent, for a day"),
    ("attempts", "*", "keyed hashes that cannot be traced to a user without trying all"),
    ("attempts_key", "*", "a random number"),
    ("log_binding", "*", "about the file"),
    ("owed_scrub", "*", "about the file"),
    ("write_probes", "*", "about the file"),
    ("clock", "*", "about the server"),
    ("database_copy", "*", "has no rows when a server runs"),
    ("token_usage_counting", "*", "about the server"),
    ("token_usage_batches", "*", "about the server"),
    ("sqlite_sequence", "*", "SQLite's counters"),
];

impl Section {
    pub(crate) fn sql(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, _)| format!("t.{name}")).collect();
        format!("SELECT {} FROM {}{} t {} LIMIT {}", columns.join(", "), self.via, self.table, self.rest, self.limit)
    }
}

pub(crate) fn read(
    connection: &dyn Connection,
    user: UserId,
    position: &ExportPosition,
) -> Result<Option<ExportBatch>, StoreError> {
    let Some(section) = SECTIONS.get(position.section) else { return Ok(None) };
    let after = match &position.after {
        Some(after) => after.clone(),
        None => section.key.iter().map(|at| section.columns[*at].1.before_all()).collect(),
    };
    let mut parameters = vec![Value::from(user.uuid())];
    parameters.extend(after.iter().map(Value::from));
    let (mut found, mut after) = (Vec::new(), None);
    connection.each(&section.sql(), Parameters::Numbered(&parameters), &mut |row| {
        let key = section.key.iter().map(|at| key(row, *at, section.columns[*at].1));
        after = Some(key.collect::<Result<Vec<_>, _>>()?);
        let values = section.columns.iter().enumerate();
        let values = values.map(|(at, (name, kind))| Ok((*name, value(row, at, *kind)?)));
        found.push(values.collect::<Result<ExportRow, StoreError>>()?);
        Ok(ControlFlow::Continue(()))
    })?;
    let is_complete = found.len() < section.limit as usize;
    let next = match is_complete {
        true => ExportPosition { section: position.section + 1, after: None },
        false => ExportPosition { section: position.section, after },
    };
    Ok(Some(ExportBatch { section: section.name, rows: found, next, is_complete }))
}

fn value(row: &dyn Row, at: usize, kind: Kind) -> Result<ExportValue, StoreError> {
    let value = match kind {
        Id => row.id(at)?.map(ExportValue::Id),
        Time => row.integer(at)?.map(|seconds| ExportValue::Time(Timestamp::from_unix(seconds))),
        Number => row.integer(at)?.map(ExportValue::Number),
        Flag => row.flag(at)?.map(ExportValue::Flag),
        Text => row.get::<Option<String>>(at)?.map(ExportValue::Text),
        Words => row.get::<Option<String>>(at)?.map(ExportValue::Words),
        Json => row.get::<Option<String>>(at)?.map(ExportValue::Json),
    };
    Ok(value.unwrap_or(ExportValue::Nothing))
}

fn key(row: &dyn Row, at: usize, kind: Kind) -> Result<ExportKey, StoreError> {
    Ok(match kind {
        Id => ExportKey::Id(row.get(at)?),
        Time | Number | Flag => ExportKey::Number(row.get(at)?),
        Text | Words | Json => ExportKey::Text(row.get(at)?),
    })
}

impl Kind {
    /// A key that comes before all others.
    const fn before_all(self) -> ExportKey {
        match self {
            Id => ExportKey::Id(Uuid::nil()),
            Time | Number | Flag => ExportKey::Number(i64::MIN),
            Text | Words | Json => ExportKey::Text(String::new()),
        }
    }
}

impl<'a> From<&'a ExportKey> for Value<'a> {
    fn from(key: &'a ExportKey) -> Self {
        match key {
            ExportKey::Number(number) => Self::from(*number),
            ExportKey::Text(text) => Self::from(text),
            ExportKey::Id(id) => Self::from(*id),
        }
    }
}
