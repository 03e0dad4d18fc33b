//! The shapes of single values in bodies, parameters and answers.

use serde_json::{Value, json};

use crate::domain::{
    ability::{Abilities, Ability},
    account::Password,
    annotations::{Description, Metadata},
    text::Name,
    usage_limits::{Allowlist, MAX_PER_MINUTE},
};

/// Control characters, and the hidden characters of `domain::text` with at most 16 bits. Not every reader of patterns knows
/// characters with more.
const FORBIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb";
/// The same without line feed and tab.
const FORBIDDEN_IN_LINES: &str = r"\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb";
const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const TIME: &str = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$";

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn number(min: u64, max: u64) -> Value {
    json!({"type": "integer", "minimum": min, "maximum": max})
}

pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

pub(super) fn list(items: Value, max: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": max})
}

/// The value, or null.
pub(super) fn or_null(mut shape: Value) -> Value {
    if let Some(kind) = shape.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(words) = shape.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    shape
}

/// An id, as the server writes it.
pub(super) fn id() -> Value {
    json!({"type": "string", "format": "uuid", "pattern": UUID})
}

/// A time, as the server writes it.
pub(super) fn time() -> Value {
    json!({"type": "string", "format": "date-time", "pattern": TIME})
}

/// A time that a client sends: with any offset.
pub(super) fn sent_time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

pub(super) fn day() -> Value {
    json!({"type": "string", "format": "date", "pattern": r"^\d{4}-\d\d-\d\d$"})
}

pub(super) fn name() -> Value {
    let pattern = format!(r"^[^{FORBIDDEN}]*[^\s{FORBIDDEN}][^{FORBIDDEN}]*$");
    json!({"type": "string", "minLength": 1, "maxLength": Name::MAX_CHARS, "pattern": pattern})
}

pub(super) fn email() -> Value {
    json!({"type": "string", "format": "email", "maxLength": 254})
}

pub(super) fn password() -> Value {
    json!({"type": "string", "format": "password", "minLength": 1, "maxLength": Password::MAX_BYTES})
}

pub(super) fn ability() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": Ability::MAX_CHARS,
        "pattern": r"^(\*|[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*(:\*)?)$",
    })
}

pub(super) fn abilities() -> Value {
    list(ability(), Abilities::MAX)
}

/// Empty is none.
pub(super) fn description() -> Value {
    json!({
        "type": ["string", "null"],
        "maxLength": Description::MAX_CHARS,
        "pattern": format!("^[^{FORBIDDEN_IN_LINES}]*$"),
    })
}

pub(super) fn metadata() -> Value {
    json!({
        "type": ["object", "null"],
        "maxProperties": Metadata::MAX,
        "propertyNames": {"minLength": 1, "maxLength": Metadata::MAX_KEY_CHARS, "pattern": format!("^[^{FORBIDDEN}]+$")},
        "additionalProperties": {
            "type": "string",
            "maxLength": Metadata::MAX_VALUE_CHARS,
            "pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$",
        },
    })
}

pub(super) fn networks() -> Value {
    json!({
        "type": "array",
        "items": {"type": "string", "description": "An IP address, or a network such as `192.0.2.0/24`."},
        "minItems": 1,
        "maxItems": Allowlist::MAX,
    })
}

pub(super) fn requests_per_minute() -> Value {
    number(1, MAX_PER_MINUTE.into())
}

pub(super) fn quota() -> Value {
    number(1, u32::MAX.into())
}

pub(super) fn address() -> Value {
    json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
}

/// A duration such as `90d`.
pub(super) fn duration() -> Value {
    json!({"type": "string", "pattern": "^[0-9]+[smhd]$"})
}
