//! Tests of what is specific to SQLite: files, locks, query plans, the writer's batches. Tests of the trait itself are in
//! tests/store_contract/main.rs.

mod audit_trail;
mod binding;
mod copy;
mod erasure;
mod event_list;
mod export;
mod health;
mod inventory;
mod journal;
mod keyed_requests;
mod life;
mod lock_timeout;
mod locks;
mod log;
mod opening;
mod owner_statements;
mod restoring;
mod running;
mod schemas;
mod scrub;
mod seals;
mod statements;
mod token_counts;
mod token_search;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::{locks::Database, watch::Watch, *};
use crate::{
    domain::{
        account::{Email, PasswordHash, Role, User},
        audit::{Attribution, RequestSource},
        environment::Environment,
        id::{EnvironmentId, TokenId, UserId},
        secret::{CredentialKind, Hint, Plaintext, Prefixes, TokenHash},
        text::Name,
        time::Timestamp,
        token::{NewToken, RevocationReason, Token, TokenState},
    },
    store::{
        Access, AuditTrail, Change, Conflict, CredentialSource, Credentials, LastAdmin, LeakReport, PasswordChange,
        ProfileChange, Reply, Store, StoreError, TokenChange, TokenInventory, TokenQuery, UserAdministration,
        UserOrder,
        sql::{
            accounts, attempts, audit, current_environments, environment_access, environment_tokens, hand_over,
            lineage, owned_environments, owners, password_links, pruning, roles, rotation, service_accounts, sessions,
            token_histories, token_usage, tokens, users,
        },
    },
};

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn settings(path: impl Into<PathBuf>) -> SqliteSettings {
    SqliteSettings {
        path: path.into(),
        readers: 2,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 4096,
    }
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("patd.db")
}

fn open(directory: &TempDir) -> SqliteStore {
    SqliteStore::open(&settings(database(directory)), Access::Server).unwrap()
}

/// Creates a database of patd that no process has open, without a log beside it.
fn made(directory: &TempDir) -> PathBuf {
    let path = database(directory);
    let store = SqliteStore::open(&settings(&path), Access::Create).unwrap();
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    drop(store);
    settle(&path);
    path
}

/// Checkpoints the rest of the log and removes it. A helper thread of a pool may close its read-only connection shortly
/// after the store, and then the log stays.
fn settle(path: &Path) {
    loop {
        let connection = Connection::open(path).unwrap();
        let read = "SELECT 1 FROM sqlite_schema";
        connection.query_row(read, [], |_| Ok(())).unwrap();
        drop(connection);
        if !identity::beside(path, "-wal").exists() {
            break;
        }
    }
}

fn wait<T: Unpin>(reply: Reply<'_, T>) -> Result<T, StoreError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reply)
}

fn is_outage<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotMade(_) | StoreError::Unavailable(_)))
}

fn person(name: &str) -> User {
    User {
        id: UserId::new(Uuid::now_v7()),
        name: Name::parse(name).unwrap(),
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
        created_at: Timestamp::from_unix(1),
        disabled_at: None,
        current_environment: EnvironmentId::new(Uuid::now_v7()),
        role: Role::Member,
    }
}

fn by() -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: Timestamp::from_unix(2) }
}

fn password() -> PasswordHash {
    PasswordHash::new("$argon2id$".to_owned())
}

/// Creates the files that a process leaves if it is killed after `work`: the database and its log or journal.
fn killed_after(path: &Path, work: impl FnOnce(&Connection)) {
    let elsewhere = directory();
    let copy = elsewhere.path().join("copy");
    if path.exists() {
        std::fs::copy(path, &copy).unwrap();
    }
    let connection = Connection::open(&copy).unwrap();
    work(&connection);
    std::fs::copy(&copy, path).unwrap();
    for suffix in ["-wal", "-journal"] {
        let from = identity::beside(&copy, suffix);
        if from.exists() {
            std::fs::copy(from, identity::beside(path, suffix)).unwrap();
        }
    }
}

fn secret() -> (TokenHash, Hint) {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    let secret = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).unwrap();
    (secret.hash(), secret.hint())
}

fn new_token(owner: UserId) -> NewToken {
    let (hash, hint) = secret();
    let id = TokenId::new(Uuid::now_v7());
    NewToken {
        id,
        environment: None,
        family: id,
        rotated_from: None,
        owner,
        name: Name::parse("ci").unwrap(),
        abilities: crate::domain::ability::Abilities::full(),
        hash,
        hint,
        created_at: Timestamp::from_unix(1),
        expires_at: None,
        limits: None,
        annotations: None,
        is_canary: false,
    }
}
