//! The cases on SQLite, each in a file of its own.

use std::{path::Path, sync::Arc, time::Duration};

use patd::store::{
    Access, Backend, Database,
    sqlite::{SqliteSettings, SqliteStore},
};

pub(super) fn run(name: &str, wrap: fn(Database) -> Backend) {
    let directory = tempfile::tempdir().unwrap();
    super::run(name, wrap(Database::new(Arc::new(open(directory.path(), Access::Server)))));
}

/// Opens the file of a directory.
pub(super) fn open(directory: &Path, access: Access) -> SqliteStore {
    let settings = SqliteSettings {
        path: directory.join("patd.db"),
        readers: 2,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 4096,
    };
    SqliteStore::open(&settings, access).unwrap()
}
