//! Log lines: as text, or as JSON with one object per line. Both have UTC times and escaped control characters.

mod output;

use std::{
    fmt::{self, Write as _},
    io,
    panic::{self, PanicHookInfo},
    sync::LazyLock,
    thread,
    time::SystemTime,
};

use anstream::{AutoStream, ColorChoice};
use chrono::{DateTime, SecondsFormat, Utc};
use env_logger::{Builder, Target, WriteStyle, fmt::style::Style};
use log::{
    Level, LevelFilter, Record,
    kv::{self, Key, Value, VisitSource},
};
use output::Output;

use crate::{
    config::{Log, LogFormat},
    domain::text,
    sampling::Sampler,
};

/// Starts logging to stderr. Further calls have no effect.
pub fn start(settings: &Log) {
    let mut builder = Builder::new();
    // Below warnings, lines of other crates could contain what clients sent.
    builder.filter_level(LevelFilter::Warn).filter_module("patd", LevelFilter::Trace);
    // It logs errors of connections without the client's address. patd logs the same errors with it.
    builder.filter_module("actix_http::h1", LevelFilter::Off);
    let format = settings.format;
    builder.target(Target::Pipe(Box::new(Output::new(move |left_out| line_about(left_out, format)))));
    // Decided here once. Otherwise each line would be searched for styles to remove.
    builder.write_style(WriteStyle::Always);
    let is_styled = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    match format {
        LogFormat::Text => builder.format(move |out, record| {
            let style = if is_styled { out.default_level_style(record.level()) } else { Style::new() };
            write_text(out, record, style)
        }),
        LogFormat::Json => builder.format(write_json),
    };
    // An error means that a logger is already set.
    if builder.try_init().is_ok() {
        set_level(settings.level);
        panic::set_hook(Box::new(log_panic));
    }
}

/// Logs lines of this level and of more severe ones from now on.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// The most panics that are logged per second, because a client might cause them.
const MAX_PANICS_PER_SECOND: u64 = 10;

/// Logs a panic as a normal log line. Shows the message only if it is a constant: a formatted message can contain what a
/// client sent, even a secret.
fn log_panic(panic: &PanicHookInfo<'_>) {
    static SAMPLER: LazyLock<Sampler> = LazyLock::new(|| Sampler::new(MAX_PANICS_PER_SECOND, "panics", Level::Error));
    if !SAMPLER.allows() {
        return;
    }
    let thread = thread::current();
    log::error!(
        target: "patd::panic",
        location = panic.location().map_or_else(|| "-".to_owned(), ToString::to_string),
        thread = thread.name().unwrap_or("-"),
        reason = panic.payload().downcast_ref::<&str>().copied().unwrap_or("-");
        "a thread panicked"
    );
}

/// The line that says how many lines were left out while the reader of the log stalled.
fn line_about(left_out: u64, format: LogFormat) -> Vec<u8> {
    let pairs = [("left_out", left_out)];
    let mut record = Record::builder();
    record.level(Level::Warn).target(module_path!()).key_values(&pairs);
    let record = record.args(format_args!("lines were not logged: the reader of stderr stalled")).build();
    let mut line = Vec::new();
    // Writing to memory cannot fail.
    let _ = match format {
        LogFormat::Text => write_text(&mut line, &record, Style::new()),
        LogFormat::Json => write_json(&mut line, &record),
    };
    line
}

fn write_text(out: &mut impl io::Write, record: &Record<'_>, style: Style) -> io::Result<()> {
    let level = record.level();
    let mut text = String::with_capacity(TYPICAL_LINE_LENGTH);
    // Writing to a string cannot fail.
    let _ = write!(Escaped(&mut text), "{}", record.args());
    record.key_values().visit(&mut TextPairs(&mut text)).map_err(io::Error::other)?;
    writeln!(out, "{} {style}{level:<5}{style:#} {text}", now())
}

fn write_json(out: &mut impl io::Write, record: &Record<'_>) -> io::Result<()> {
    let mut pairs = Pairs::default();
    record.key_values().visit(&mut pairs).map_err(io::Error::other)?;
    let mut line = serde_json::Map::new();
    line.insert("time".into(), now().into());
    line.insert("level".into(), record.level().as_str().to_lowercase().into());
    line.insert("target".into(), record.target().into());
    line.insert("message".into(), record.args().to_string().into());
    line.extend(pairs.0);
    writeln!(out, "{}", escape_more(serde_json::Value::Object(line).to_string()))
}

/// Escapes the characters that JSON itself does not escape: it escapes only control characters below the space.
fn escape_more(line: String) -> String {
    if !line.contains(must_be_escaped) {
        return line;
    }
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars() {
        match must_be_escaped(c) {
            true => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => escaped.push(c),
        }
    }
    escaped
}

/// Whether the character could forge a line, control a terminal, or change the order in which a line is shown.
fn must_be_escaped(c: char) -> bool {
    c.is_control() || text::is_hidden(c)
}

/// The length of a typical line of the access log, in bytes.
const TYPICAL_LINE_LENGTH: usize = 256;

fn now() -> String {
    // Utc::now panics where the clock is before 1970.
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Escapes control and hidden characters. Every request writes a line, so this avoids copies.
struct Escaped<'t>(&'t mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The usual case. The loop has no early exit, so that the compiler checks many bytes at a time.
        if text.bytes().fold(true, |all, byte| all & (b' '..=b'~').contains(&byte)) {
            self.0.push_str(text);
            return Ok(());
        }
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| must_be_escaped(*c)) {
            self.0.push_str(&rest[..at]);
            self.0.extend(c.escape_default());
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// Writes the key-value pairs of a record as ` key=value`. Quotes values that would be ambiguous.
struct TextPairs<'t>(&'t mut String);

impl<'kvs> VisitSource<'kvs> for TextPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push(' ');
        self.0.push_str(key.as_str());
        self.0.push('=');
        let start = self.0.len();
        match value.to_borrowed_str() {
            Some(text) => Escaped(self.0).write_str(text)?,
            None => write!(Escaped(self.0), "{value}")?,
        }
        let written = &self.0[start..];
        if written.is_empty() || written.bytes().any(|byte| matches!(byte, b' ' | b'"' | b'=')) {
            let quoted = format!("{written:?}");
            self.0.replace_range(start.., &quoted);
        }
        Ok(())
    }
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
        let mut text = String::new();
        write!(Escaped(&mut text), "a\r\nERROR b\u{1b}[31mé\u{9b}\u{202e}").unwrap();
        assert_eq!(text, "a\\r\\nERROR b\\u{1b}[31mé\\u{9b}\\u{202e}");
    }

    #[test]
    fn a_json_line_cannot_control_the_terminal() {
        let text = "a\u{7f}\u{9b}31m\u{1b}é\u{202e}\u{e0041}";
        let line = escape_more(serde_json::Value::from(text).to_string());
        assert_eq!(line, r#""a\u007f\u009b31m\u001bé\u202e\udb40\udc41""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn an_ambiguous_value_is_quoted() {
        let pairs = [("route", "/api/user"), ("agent", "a \"b\"\nc"), ("none", ""), ("sum", "1=1")];
        let mut text = String::new();
        kv::Source::visit(&pairs[..], &mut TextPairs(&mut text)).unwrap();
        assert_eq!(text, r#" route=/api/user agent="a \"b\"\\nc" none="" sum="1=1""#);
    }
}
