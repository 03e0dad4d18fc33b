//! Reads the source and checks who imports whom: `domain` imports nothing, `views` and `store` the domain, `ops` the store
//! and the settings, `control`, `http` and `cli` the operations and the views, `server` everything. Each driver and framework is used in one place only.
//! Files do not import each other in a circle.

mod cycles;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A part of the source, the parts of this crate that it may name, and the guarded crates that it may use.
const RULES: &[(&str, &[&str], &[&str])] = &[
    ("domain", &["domain"], &[]),
    ("store/sqlite", &["store", "domain", "measure", "priority", "threads"], &["rusqlite", "r2d2", "r2d2_sqlite"]),
    (
        "store/postgres",
        &["store", "domain", "measure"],
        &["tokio_postgres", "deadpool_postgres", "tokio_postgres_rustls", "rustls"],
    ),
    ("store/sql/", &["store", "domain"], &[]),
    ("store", &["store", "domain", "measure"], &[]),
    ("config", &["config", "domain"], &[]),
    ("logging", &["config", "domain", "sampling"], &["actix_http"]),
    ("ops", &["ops", "store", "domain", "config", "measure", "threads"], &[]),
    ("views", &["views", "domain"], &[]),
    ("control", &["control", "ops", "store", "domain", "views"], &[]),
    (
        "http/metrics",
        &["http", "ops", "store", "domain", "config", "measure"],
        &["actix_web", "actix_http", "actix_server", "actix_service", "prometheus_client"],
    ),
    ("http", &["http", "ops", "store", "domain", "views", "config", "measure", "sampling", "threads"], HTTP),
    ("server.rs", &["control", "http", "ops", "store", "domain", "config"], &["actix_web", "actix_server"]),
    ("compose.rs", &["server", "ops", "store", "domain", "config"], &[]),
    (
        "cli",
        &["cli", "compose", "control", "server", "ops", "store", "domain", "views", "config", "logging", "threads"],
        &["anyhow"],
    ),
    ("fuzzing", &["fuzzing", "http", "ops", "domain", "views", "config"], HTTP),
    ("measure", &["measure"], &[]),
    ("sampling.rs", &[], &[]),
    ("priority.rs", &[], &[]),
    ("threads.rs", &["priority"], &[]),
    ("main.rs", &[], &["anyhow"]),
    ("lib.rs", &[], &[]),
];

const HTTP: &[&str] = &["actix_web", "actix_http", "actix_server", "actix_service"];

const GUARDED: [&str; 13] = [
    "prometheus_client",
    "rusqlite",
    "r2d2",
    "r2d2_sqlite",
    "tokio_postgres",
    "deadpool_postgres",
    "tokio_postgres_rustls",
    "rustls",
    "actix_web",
    "actix_http",
    "actix_server",
    "actix_service",
    "anyhow",
];

/// Parts that may not name an implementation of the store, only its trait.
const BEHIND_THE_TRAIT: [&str; 4] = ["ops", "control", "http", "store/sql/"];

/// The functions that make an administrator, each with the files that may call it.
const MAKE_ADMINISTRATOR: [(&str, [&str; 2]); 2] = [
    ("::command_line", ["control/execute/mod.rs", "cli/dev/mod.rs"]),
    ("::with_role", ["ops/principal.rs", "http/input/guard.rs"]),
];

#[test]
fn every_file_imports_only_what_its_layer_may() {
    let mistakes: Vec<String> = sources().iter().flat_map(|(place, source)| mistakes(place, source)).collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let cycles = cycles::cycles(&sources());
    assert!(cycles.is_empty(), "{cycles:#?}");
}

#[test]
fn the_rules_can_be_broken() {
    let broken = |place, source| !mistakes(place, source).is_empty();
    assert!(broken("domain/token.rs", "use crate::store::Store;"));
    assert!(broken("domain/token.rs", "use crate::{\n    domain::id::UserId,\n    ops::{clock::Clock, Error},\n};"));
    assert!(broken("domain/token.rs", "let now = chrono::Utc::now();"));
    assert!(broken("ops/tokens.rs", "use rusqlite::Connection;"));
    assert!(broken("ops/tokens.rs", "use crate::store::{sqlite::SqliteStore, Store};"));
    assert!(broken("control/execute/tokens.rs", "let store = crate::store::sqlite::open();"));
    assert!(broken("control/server.rs", "use crate::config::Config;"));
    assert!(broken("http/tokens.rs", "let store = crate::store::sqlite::open();"));
    assert!(broken("store/sql/tokens.rs", "use crate::store::sqlite::SqliteStore;"));
    assert!(broken("store/mod.rs", "use r2d2_sqlite::SqliteConnectionManager;"));
    assert!(broken("store/sqlite/store.rs", "use tokio_postgres::Client;"));
    assert!(broken("ops/tokens.rs", "use crate::store::postgres::Connector;"));
    assert!(broken("cli/serve.rs", "actix_web::rt::System::new()"));
    assert!(broken("ops/tokens.rs", "use super::super::http;"));
    assert!(broken("http/input/guard.rs", "let administrator = Administrator::command_line();"));
    assert!(broken("http/tokens.rs", "let administrator = Administrator::with_role(Role::Admin);"));
    assert!(broken("ops/tokens.rs", "use crate::domain::authority::Administrator as A; find(ctx, A::command_line())"));
    assert!(!broken("control/execute/mod.rs", "let administrator = Administrator::command_line();"));
    assert!(broken("http/error.rs", "use prometheus_client::registry::Registry;"));
    assert!(broken("new_part/mod.rs", ""));
    assert!(!broken("ops/tokens.rs", "use crate::{domain::id::UserId, store::{Conflict, Store}}; // actix_web::web"));
}

fn mistakes(place: &str, source: &str) -> Vec<String> {
    let Some((part, may_name, may_use)) = RULES.iter().find(|(part, ..)| place.starts_with(part)) else {
        return vec![format!("{place}: no rule says what this part may import")];
    };
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut mistakes = Vec::new();
    for (named, rest) in crate_paths(&code) {
        if !may_name.contains(&&*named) {
            mistakes.push(format!("{place}: {part} may not name crate::{named}"));
        }
        if named == "store" && BEHIND_THE_TRAIT.contains(part) && (rest.contains("sqlite") || rest.contains("postgres"))
        {
            mistakes.push(format!("{place}: {part} knows the store by its trait alone"));
        }
    }
    for guarded in GUARDED.into_iter().filter(|guarded| !may_use.contains(guarded)) {
        if code.match_indices(guarded).any(|(at, _)| is_path(&code, at, guarded.len())) {
            mistakes.push(format!("{place}: {part} may not use {guarded}"));
        }
    }
    for (makes, may_make) in MAKE_ADMINISTRATOR {
        if code.contains(makes) && !may_make.contains(&place) {
            mistakes.push(format!("{place}: only the guard and the command line may make an administrator"));
        }
    }
    if code.contains("super::super") {
        mistakes.push(format!("{place}: super::super hides where a path leads"));
    }
    if *part == "domain" && ["::now(", "SystemTime", "std::fs", "std::net::Tcp"].iter().any(|io| code.contains(io)) {
        mistakes.push(format!("{place}: the domain has no clock and no I/O"));
    }
    if !place.contains("tests") && ["Utc::now(", "Uuid::now_v7("].iter().any(|now| code.contains(now)) {
        mistakes.push(format!("{place}: Utc::now and Uuid::now_v7 panic where the clock is before 1970"));
    }
    mistakes
}

/// Whether the match at `at` is a crate's name before `::` and not the tail of a longer word.
fn is_path(code: &str, at: usize, length: usize) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    code[at + length..].starts_with("::") && !code[..at].ends_with(in_word)
}

/// The first segment behind each `crate::` and what follows it, groups taken apart.
fn crate_paths(code: &str) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => paths.extend(group_items(group).iter().map(|item| first_segment(item))),
            None => paths.push(first_segment(rest.split([';', '(', ')']).next().unwrap_or_default())),
        }
    }
    paths
}

fn first_segment(path: &str) -> (String, String) {
    let path = path.trim();
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (path[..end].to_owned(), path[end..].to_owned())
}

fn group_items(group: &str) -> Vec<String> {
    let (mut items, mut depth) = (vec![String::new()], 0);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
        match c {
            ',' if depth == 0 => items.push(String::new()),
            c => items.last_mut().expect("never empty").push(c),
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

/// Every file below `src`: its place and its text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    assert!(files.len() > 30, "the source was found: {files:?}");
    let source = |path: &PathBuf| {
        let place = path.strip_prefix("src").expect("below src").to_str().expect("a plain name");
        (place.to_owned(), fs::read_to_string(path).expect("readable source"))
    };
    files.iter().map(source).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
