//! Compares the output of commands with the output that a document shows.
//!
//! `…` matches any text. In JSON, an id, a time, a day, a secret, a hint or a server address matches any other of its kind.

use serde_json::{Deserializer, Value};

/// The difference between the output and what the document shows.
pub fn mistake(language: &str, shown: &str, printed: &str) -> Option<String> {
    let is_shown = match language {
        "json" => match serde_json::from_str(shown) {
            Ok(shown) => values(printed).any(|value| matches_value(&shown, &value)),
            Err(error) => return Some(format!("the document shows invalid JSON: {error}")),
        },
        _ => matches_lines(shown, printed),
    };
    (!is_shown).then(|| format!("the document shows\n{shown}\nbut the commands print\n{printed}"))
}

/// The JSON values in the output. Each begins at the beginning of a line.
fn values(printed: &str) -> impl Iterator<Item = Value> {
    let starts = std::iter::once(0).chain(printed.match_indices('\n').map(|(at, _)| at + 1));
    // The server's answers end without a line break, so several may be in one line.
    starts.flat_map(|start| Deserializer::from_str(&printed[start..]).into_iter().map_while(Result::ok))
}

fn matches_value(shown: &Value, printed: &Value) -> bool {
    match (shown, printed) {
        (Value::String(shown), Value::String(printed)) => {
            matches_text(shown, printed) || kind(shown).is_some_and(|shown| kind(printed) == Some(shown))
        }
        (Value::Array(shown), Value::Array(printed)) => {
            shown.len() == printed.len()
                && shown.iter().zip(printed).all(|(shown, printed)| matches_value(shown, printed))
        }
        (Value::Object(shown), Value::Object(printed)) => {
            shown.len() == printed.len()
                && shown
                    .iter()
                    .all(|(key, shown)| printed.get(key).is_some_and(|printed| matches_value(shown, printed)))
        }
        (shown, printed) => shown == printed,
    }
}

/// Values that differ from run to run.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Id,
    Time,
    Day,
    Secret,
    Hint,
    Server,
}

fn kind(text: &str) -> Option<Kind> {
    let is_shape = |shape: &str| {
        shape.len() == text.len()
            && shape.bytes().zip(text.bytes()).all(|(shape, byte)| match shape {
                b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let secret = text.rsplit_once('_').map(|(_, body)| body);
    if is_shape("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        Some(Kind::Id)
    } else if is_shape("0000-00-00T00:00:00Z") {
        Some(Kind::Time)
    } else if is_shape("0000-00-00") {
        Some(Kind::Day)
    } else if is_shape("xxxx") {
        Some(Kind::Hint)
    } else if secret.is_some_and(|body| body.len() == 48 && body.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        Some(Kind::Secret)
    } else if text.strip_prefix("http://127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok()) {
        Some(Kind::Server)
    } else {
        None
    }
}

/// Whether all shown lines were printed in this order. Other lines may be between them.
fn matches_lines(shown: &str, printed: &str) -> bool {
    let mut printed = printed.lines();
    shown.lines().all(|shown| printed.any(|printed| matches_text(shown.trim_end(), printed.trim_end())))
}

fn matches_text(shown: &str, printed: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == printed };
    let Some(printed) = printed.strip_prefix(first) else { return false };
    let ends = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
    ends.into_iter().any(|at| matches_text(rest, &printed[at..]))
}

#[test]
fn values_that_change_between_runs_may_differ() {
    let mistake = |shown: &str, printed: &str| mistake("json", shown, printed).is_some();
    let shown = r#"{"id":"01a20d4c-282d-734b-831f-147980497265","token":"pat_…","day":"2026-11-27","left":7,
        "url":"http://127.0.0.1:8080"}"#;
    let printed = "HTTP/1.1 200 OK\n\n{\"id\":\"11a20d4c-282d-734b-831f-147980497265\",\"token\":\"pat_abc\",\n\
                   \"day\":\"2027-01-02\",\"left\":7,\"url\":\"http://127.0.0.1:1\"}\n";
    assert!(!mistake(shown, printed));
    assert!(mistake(shown, &printed.replace("11a2", "no")), "not an id");
    assert!(mistake(shown, &printed.replace("pat_", "ses_")), "another prefix");
    assert!(mistake(shown, &printed.replace("2027-01", "January")), "not a day");
    assert!(mistake(shown, &printed.replace(":7", ":8")), "another number");
    assert!(mistake(shown, &printed.replace("\"left\"", "\"rest\"")), "another key");
    assert!(mistake(&shown.replace(",\"left\":7", ""), printed), "a key that is not shown");
    assert!(mistake(shown, ""));
    assert!(!mistake(shown, &printed.replace("\n{", "\n{\"other\":1}{")), "the second of two on one line");
}

#[test]
fn the_shown_lines_must_be_printed_in_order() {
    let mistake = |shown: &str, printed: &str| mistake("text", shown, printed).is_some();
    assert!(!mistake("one\nthr…", "one\ntwo\nthree\n"));
    assert!(!mistake("policy …: rule …", "policy app: rule 2\n"));
    assert!(mistake("two\none", "one\ntwo\n"));
    assert!(mistake("on", "one\n"));
}
