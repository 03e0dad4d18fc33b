//! The schema of the lines in JSON. `tests/support/log_lines.rs` checks every line that a test makes the server write.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::support::log_lines::{SCHEMA, mistakes};

fn keys() -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_key_of_the_schema_is_documented_and_no_other() {
    let document = include_str!("../../docs/logs.md");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let first_cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let documented: BTreeSet<String> =
        first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(documented, keys());
}

/// The keys in the calls of the macros of `log`: what is named before the message.
fn keys_in(source: &str, found: &mut BTreeSet<String>) {
    for call in source.split("log::").skip(1) {
        let Some((level, rest)) = call.split_once("!(") else { continue };
        if !["error", "warn", "info", "debug", "trace", "log"].contains(&level) {
            continue;
        }
        // The pairs end at a semicolon, and the message begins with a quote.
        let pairs = rest.trim_start().strip_prefix("target: \"").map_or(rest, |rest| rest.split_once('"').unwrap().1);
        let Some((pairs, message)) = pairs.split_once(';') else { continue };
        if !message.trim_start().starts_with('"') || pairs.contains('"') && !pairs.contains(" = ") {
            continue;
        }
        for pair in pairs.split(',').map(str::trim) {
            let key: String = pair.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let rest = &pair[key.len()..];
            let is_key = rest.starts_with(":%") || rest.starts_with(" = ") || rest.is_empty();
            if is_key && !key.is_empty() && !["self", "level"].contains(&&*key) {
                found.insert(key);
            }
        }
    }
}

fn each_source(directory: &Path, each: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => each_source(&path, each),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                each(&fs::read_to_string(&path).unwrap());
            }
            false => {}
        }
    }
}

#[test]
fn every_key_that_the_source_logs_is_in_the_schema() {
    let mut found = BTreeSet::new();
    each_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |source| keys_in(source, &mut found));
    let known = keys();
    assert!(found.len() >= 18, "{found:?}");
    assert!(found.is_subset(&known), "not in docs/log-line.schema.json: {:?}", found.difference(&known));
}

#[test]
fn the_schema_refuses_what_it_does_not_know() {
    let line = json!({
        "time": "2026-11-27T08:12:12.821Z", "level": "info", "target": "patd::request", "message": "request",
        "status": 200, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    });
    assert_eq!(mistakes(&line), [""; 0]);
    for (key, value) in [
        ("token", json!("x")),
        ("status", json!("200")),
        ("time", json!("yesterday")),
        ("level", json!("INFO")),
        ("trace_id", json!("-")),
        ("target", json!("patd\u{1b}")),
        ("principal", json!("pat_secret")),
    ] {
        let mut wrong = line.clone();
        wrong[key] = value;
        assert_ne!(mistakes(&wrong), [""; 0], "{key}");
    }
    let mut incomplete = line;
    incomplete.as_object_mut().unwrap().remove("message");
    assert_ne!(mistakes(&incomplete), [""; 0]);
}
