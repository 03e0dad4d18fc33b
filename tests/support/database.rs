//! The database of a test: a file, or a database of PostgreSQL.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use super::postgres::PostgresDatabase;

/// A new database, of the kind that `PATD_TEST_STORE` names.
pub enum TestDatabase {
    File(PathBuf),
    Postgres(PostgresDatabase),
}

impl TestDatabase {
    /// A file is in the directory and disappears with it.
    pub fn new(directory: &Path) -> Self {
        match is_on_postgres() {
            false => Self::File(directory.join("patd.db")),
            true => Self::Postgres(PostgresDatabase::new().expect("a server, which tests/postgres starts")),
        }
    }

    /// Moves its clock forward, if it has one.
    pub fn advance(&self, by: Duration) {
        if let Self::Postgres(database) = self {
            database.advance(by);
        }
    }

    /// The setting that names it.
    pub fn setting(&self) -> (&'static str, &str) {
        match self {
            Self::File(path) => ("database.path", path.to_str().unwrap()),
            Self::Postgres(database) => ("database.url", &database.url),
        }
    }
}

/// Whether the tests run on PostgreSQL.
pub fn is_on_postgres() -> bool {
    match env::var("PATD_TEST_STORE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("PATD_TEST_STORE is {other:?}: it must be sqlite or postgres"),
    }
}
