//! The answers to requests that fail: which codes an operation has, and their shapes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::{Caller, Operation};
use crate::http::codes::Code;

/// The codes of an operation by status.
pub(super) fn of(operation: &Operation) -> BTreeMap<u16, Vec<Code>> {
    use Code as C;
    let mut codes = operation.errors.clone();
    codes.extend([C::MethodNotAllowed, C::HeadTooLarge, C::ServerError, C::StoreUnavailable, C::DeadlineExceeded]);
    codes.extend([C::ResourcesExhausted]);
    let has_parameter = operation.path.contains('{');
    if has_parameter && operation.caller != Caller::Proxy {
        codes.push(C::NotFound);
    }
    if !operation.is_lenient {
        // Also operations without a body read one, and refuse its fields.
        codes.extend([C::MalformedRequest, C::ValidationFailed]);
    }
    if !operation.is_lenient || operation.body.is_some() {
        codes.extend([C::MalformedRequest, C::RequestTimeout, C::BodyTooLarge, C::UnsupportedMediaType]);
    }
    if operation.caller != Caller::Anyone {
        codes.extend([C::MalformedRequest, C::Unauthenticated, C::TooManyAttempts, C::QuotaExceeded]);
    }
    codes.extend(match operation.caller {
        Caller::Anyone | Caller::Any | Caller::Proxy => &[][..],
        Caller::Session => &[C::SessionRequired],
        Caller::SessionOr("admin:read" | "admin:*") => &[C::MissingAbility, C::AdminRequired, C::SessionRequired],
        Caller::SessionOr(_) => &[C::MissingAbility, C::SessionRequired],
        Caller::Itself => &[C::MissingAbility, C::SessionRequired, C::TokenRequired],
        Caller::Introspector => &[C::MissingAbility],
        Caller::AdminReads | Caller::Admin => &[C::MissingAbility, C::AdminRequired],
        Caller::AdminSession => &[C::SessionRequired, C::AdminRequired],
    });
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    // In the order of the table, each once.
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        let status = code.status().as_u16();
        // `auth_request` of nginx makes an error of other statuses.
        let replaced = operation.id == "authRequest" && status < 500 && !matches!(status, 401 | 403 | 405);
        by_status.entry(if replaced { 403 } else { status }).or_default().push(*code);
    }
    by_status
}

/// What the answers to an operation may have besides code and message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Usual,
    /// The error code of OAuth.
    OAuth,
    /// How many tokens were revoked before the error.
    AfterRevocations,
}

impl Kind {
    pub(super) fn of(operation: &Operation) -> Self {
        match operation.id {
            "introspect" | "revokeByPossession" => Self::OAuth,
            "revokeTokensByFilter" => Self::AfterRevocations,
            _ => Self::Usual,
        }
    }
}

/// The name of the shape and of the answer for these codes of one status.
pub(super) fn name(codes: &[Code], kind: Kind) -> String {
    let first = codes.first().expect("a status has a code");
    let base = match codes {
        [_] => format!("{first:?}"),
        [_, second] => format!("{first:?}Or{second:?}"),
        // The names of all would be too long. The initials of the codes tell the sets of one status apart.
        _ => {
            let initials =
                |code: &Code| format!("{code:?}").chars().filter(char::is_ascii_uppercase).collect::<String>();
            let reason = first.status().canonical_reason().unwrap_or_default().replace(' ', "");
            format!("{reason}{}", codes.iter().map(initials).collect::<String>())
        }
    };
    match kind {
        Kind::Usual => base,
        Kind::OAuth => format!("OAuth{base}"),
        Kind::AfterRevocations => format!("{base}AfterRevocations"),
    }
}

/// The shape of the body.
pub(super) fn shape(codes: &[Code], kind: Kind) -> Value {
    let mut properties = Map::new();
    let mut required = vec!["code", "message"];
    let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
    properties.insert("code".to_owned(), json!({"type": "string", "enum": names, "description": "For programs."}));
    properties.insert("message".to_owned(), json!({"type": "string", "description": "For people."}));
    if codes.contains(&Code::ValidationFailed) {
        required.push("errors");
        let messages = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
        properties.insert(
            "errors".to_owned(),
            json!({"type": "object", "additionalProperties": messages, "description": "The messages of each field."}),
        );
    }
    if codes.contains(&Code::MissingAbility) {
        properties.insert(
            "required".to_owned(),
            json!({"type": "array", "items": super::shapes::ability(), "description":
                "With `missing_ability`: the abilities that are needed, all of them."}),
        );
    }
    if codes.contains(&Code::AlreadyCreated) {
        let mut id = super::shapes::id();
        id["description"] = json!("With `already_created`: the id of what the first request has made.");
        properties.insert("id".to_owned(), id);
    }
    if codes.contains(&Code::AlreadyRotated) {
        let mut successor = super::shapes::id();
        successor["description"] = json!("With `already_rotated`: the id of the successor, if it is known.");
        properties.insert("successor".to_owned(), successor);
    }
    match kind {
        Kind::Usual => {}
        Kind::OAuth => {
            properties.insert("error".to_owned(), json!({"type": "string", "enum": ["invalid_request"]}));
        }
        Kind::AfterRevocations => {
            properties.insert(
                "revoked".to_owned(),
                json!({"type": "integer", "minimum": 0, "description": "How many tokens were revoked before the error."}),
            );
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// What the codes mean, with links to what to do about them.
pub(super) fn description(codes: &[Code]) -> String {
    let line = |code: &Code| {
        let (name, meaning) = (code.name(), code.meaning());
        format!("[`{name}`](/api/docs/errors#{name}): {meaning}")
    };
    codes.iter().map(line).collect::<Vec<_>>().join("\n\n")
}

/// The names of the headers that come with these codes, and whether they always do.
pub(super) fn headers(codes: &[Code]) -> Vec<(&'static str, bool)> {
    let status = codes.first().map_or(0, |code| code.status().as_u16());
    match status {
        400 if codes.contains(&Code::MalformedRequest) => vec![("WWW-Authenticate", false)],
        401 => vec![("WWW-Authenticate", true)],
        403 => vec![("WWW-Authenticate", false)],
        405 => vec![("Allow", true)],
        429 => vec![
            ("Retry-After", !codes.contains(&Code::QuotaExceeded)),
            ("X-RateLimit-Limit", false),
            ("X-RateLimit-Remaining", false),
            ("X-RateLimit-Reset", false),
        ],
        503 => vec![("Retry-After", true)],
        _ => Vec::new(),
    }
}
