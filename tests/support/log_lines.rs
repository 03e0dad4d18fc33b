//! The lines of the log: every one that a test makes the server write is checked against the schema in `docs/`, and shown to
//! the test as text.

use std::{fmt::Write, process::Command, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Map, Value};

/// The variable that asks for lines as text.
const AS_TEXT: &str = "PATD_TEST_LOG_AS_TEXT";

pub const SCHEMA: &str = include_str!("../../docs/log-line.schema.json");

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap());

/// The variables with which a command logs JSON, which [`Lines`] then checks and shows as text. Those that are set later
/// count, so a test can ask for one format.
pub fn checked() -> [(&'static str, &'static str); 2] {
    [("PATD__LOG__FORMAT", "json"), (AS_TEXT, "1")]
}

/// How lines of a command are shown to a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// There are no lines of the log in it.
    NotChecked,
    AsWritten,
    /// Lines of the log in JSON as the same lines in text. All others as they were written.
    AsText,
}

impl Lines {
    pub fn of(command: &Command) -> Self {
        let is_set = |name: &str, value: &str| {
            command.get_envs().any(|(key, set)| key == name && set.is_some_and(|set| set == value))
        };
        if is_set(AS_TEXT, "1") && is_set("PATD__LOG__FORMAT", "json") { Self::AsText } else { Self::AsWritten }
    }

    /// Checks a line of the log, and returns what the test sees.
    pub fn show(self, line: String) -> String {
        let Some(object) = log_line(&line).filter(|_| self != Self::NotChecked) else { return line };
        let object = Value::Object(object);
        let mistakes = mistakes(&object);
        assert!(mistakes.is_empty(), "docs/log-line.schema.json does not allow {line}: {mistakes:?}");
        match (self, object) {
            (Self::AsText, Value::Object(object)) => text(object),
            _ => line,
        }
    }
}

/// Why the schema does not allow a line.
pub fn mistakes(line: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(line).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The object of a line of the log. Commands also print other lines.
fn log_line(line: &str) -> Option<Map<String, Value>> {
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    (object.contains_key("level") && object.contains_key("message")).then_some(object)
}

/// The line as `log.format = "text"` would write it, except for the order of the pairs.
fn text(mut object: Map<String, Value>) -> String {
    let mut take = |key: &str| shown(&object.remove(key).unwrap_or_default());
    let (time, level, message) = (take("time"), take("level").to_uppercase(), take("message"));
    object.remove("target");
    let mut line = format!("{time} {level:<5} {message}");
    for (key, value) in object {
        let value = shown(&value);
        let is_quoted = value.is_empty() || value.contains([' ', '"', '=']);
        let _ = if is_quoted { write!(line, " {key}={value:?}") } else { write!(line, " {key}={value}") };
    }
    line + "\n"
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
