//! Examines a database for an operator: its files, the room for them, and its contents.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use rusqlite::Connection;

use super::{diagnosis, file, identity::beside, open_error::OpenError, schema, snapshot::Snapshot};
use crate::{
    domain::{finding::Finding, text::shell_word, time::Timestamp},
    store::sql::clock,
};

/// With less room than this, writes will soon fail.
const LEAST_ROOM: u64 = 128 << 20;
/// From here on, writes wait for the log.
const LONG_LOG: u64 = 64 << 20;

const FILES: &str = "database file";
const ROOM: &str = "free space";
const LOG: &str = "write-ahead log";
const CONTENTS: &str = "contents";
const SCHEMA: &str = "schema";
const CLOCK: &str = "clock";

/// Examines the database at `path`. `now` is the system's time. It reads the whole file.
pub(crate) fn examine(path: &Path, busy_timeout: Duration, now: Timestamp) -> Vec<Finding> {
    let path = match file::canonical(path) {
        Ok(path) if path.exists() => path,
        Ok(path) => {
            let text = format!("{} does not exist", path.display());
            return vec![Finding::warning(
                FILES,
                text,
                "the first start of the server creates it; or correct database.path",
            )];
        }
        Err(error) => return vec![refused(&error)],
    };
    let mut findings = vec![files(&path), room(&path), log(&path)];
    match Snapshot::open(&path, busy_timeout) {
        Ok(snapshot) => {
            findings.push(contents(&snapshot));
            findings.extend(schema_and_clock(&snapshot.connection, now));
        }
        Err(error) => findings.push(refused(&error)),
    }
    findings
}

/// The message of an error has the remedy behind the cause.
fn refused(error: &OpenError) -> Finding {
    let message = error.to_string();
    match message.split_once(": ") {
        Some((text, remedy)) => Finding::bad(CONTENTS, text, remedy),
        None => Finding::bad(CONTENTS, message, "see docs/operations.md"),
    }
}

fn files(path: &Path) -> Finding {
    if let Err(error) = diagnosis::expect_writable(path) {
        return Finding { subject: FILES, ..refused(&error) };
    }
    let shown = path.display();
    if let Some(mode) = file::exposed_mode(path) {
        let text = format!("{shown} is open to other users of this machine (mode {mode:04o})");
        return Finding::warning(FILES, text, format!("chmod 600 {}*", shell_word(&path.to_string_lossy())));
    }
    let (owner, directory) = (owner(path), path.parent().and_then(owner));
    if owner != directory {
        let text = format!("{shown} belongs to another user than its directory ({owner:?} and {directory:?})");
        return Finding::warning(FILES, text, "give both to the user that the server runs as (chown)");
    }
    Finding::good(FILES, format!("{shown} is writable, and only by its owner"))
}

fn owner(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.uid())
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn room(path: &Path) -> Finding {
    let Some(free) = diagnosis::free_space(path) else {
        return Finding::warning(ROOM, "it is not known", "look at the file system with df");
    };
    let size = fs::metadata(path).map_or(0, |file| file.len());
    let text = format!("{} for a database of {}", mebibytes(free), mebibytes(size));
    match free {
        _ if free < LEAST_ROOM => Finding::bad(ROOM, text, "free some space: without it, writes answer 503"),
        _ if free < size + LEAST_ROOM => {
            Finding::warning(ROOM, text, "free some space: an upgrade or a backup needs as much as the database has")
        }
        _ => Finding::good(ROOM, text),
    }
}

fn log(path: &Path) -> Finding {
    let length = fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    let text = mebibytes(length);
    match length > LONG_LOG {
        true => Finding::warning(LOG, text, "a program keeps an old state of the database open: find it with lsof"),
        false => Finding::good(LOG, text),
    }
}

fn contents(snapshot: &Snapshot) -> Finding {
    let check = snapshot.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match check {
        Ok(answer) if answer == "ok" => Finding::good(CONTENTS, "every page was read, and none is damaged"),
        Ok(damage) => Finding::bad(CONTENTS, damage, "restore a backup: patd restore"),
        Err(error) => {
            Finding::bad(CONTENTS, diagnosis::explain(&error, &snapshot.path), "check the disk, and restore a backup")
        }
    }
}

fn schema_and_clock(connection: &Connection, now: Timestamp) -> Vec<Finding> {
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap_or(0);
    if version < schema::VERSION {
        let text = format!("{version}, and this release has {}", schema::VERSION);
        let remedy =
            "back it up (patd backup): the next start of a server upgrades it, and older releases cannot read it then";
        return vec![Finding::warning(SCHEMA, text, remedy)];
    }
    let schema = Finding::good(SCHEMA, format!("{version}, that of this release"));
    let clock = match clock::latest_time(connection) {
        Ok(Some(latest)) if latest > now => Finding::bad(
            CLOCK,
            format!("the system says {now}, and the database knows {latest}"),
            "correct the system's clock: until then nothing is issued",
        ),
        Ok(Some(latest)) => Finding::good(CLOCK, format!("{now}; the latest time in the database is {latest}")),
        Ok(None) => Finding::good(CLOCK, format!("{now}; the database knows no time yet")),
        Err(error) => Finding::bad(CLOCK, error.to_string(), "restore a backup"),
    };
    vec![schema, clock]
}
