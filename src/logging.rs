//! The form of log lines: text for people, or JSON, one object a line, both with UTC times and escaped control characters.

use std::io::{self, Write};

use chrono::{SecondsFormat, Utc};
use env_logger::{Builder, Target, fmt::Formatter};
use log::{
    LevelFilter, Record,
    kv::{self, Key, Value, VisitSource},
};

use crate::config::{Log, LogFormat};

/// Starts logging to stderr. Called once; a second call changes nothing.
pub fn start(settings: &Log) {
    let mut builder = Builder::new();
    // Other crates' lines below warnings could show what they read off the wire.
    builder.filter_level(settings.level.min(LevelFilter::Warn)).filter_module("patd", settings.level);
    builder.target(Target::Stderr);
    match settings.format {
        LogFormat::Text => builder.format(write_text),
        LogFormat::Json => builder.format(write_json),
    };
    // An error means that a logger is there already.
    let _ = builder.try_init();
}

fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let style = out.default_level_style(record.level());
    let level = record.level();
    write!(out, "{} {style}{level:<5}{style:#} {}", now(), escaped(&record.args().to_string()))?;
    let mut pairs = Pairs::default();
    record.key_values().visit(&mut pairs).map_err(io::Error::other)?;
    for (key, value) in pairs.0 {
        let text = escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        match text.contains([' ', '"', '=']) || text.is_empty() {
            true => write!(out, " {key}={text:?}")?,
            false => write!(out, " {key}={text}")?,
        }
    }
    writeln!(out)
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut pairs = Pairs::default();
    record.key_values().visit(&mut pairs).map_err(io::Error::other)?;
    let mut line = serde_json::Map::new();
    line.insert("time".into(), now().into());
    line.insert("level".into(), record.level().as_str().to_lowercase().into());
    line.insert("target".into(), record.target().into());
    line.insert("message".into(), record.args().to_string().into());
    line.extend(pairs.0);
    writeln!(out, "{}", serde_json::Value::Object(line))
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A control character in a line could pass for another line, or drive a terminal.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The key-value pairs of a record as JSON values.
#[derive(Default)]
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = match value.to_u64() {
            Some(number) => number.into(),
            None => value.to_string().into(),
        };
        self.0.push((key.to_string(), value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_forge_a_line() {
        assert_eq!(escaped("a\r\nERROR b\u{1b}[31m"), "a\\r\\nERROR b\\u{1b}[31m");
    }
}
