//! An operation: a route with a method, who may call it, what it takes and what it answers.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{answers::Answers, requests::Body, shapes};
use crate::{http::codes::Code, views::MessageView};

/// Who may call an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// No credential is needed.
    Anyone,
    /// Any credential.
    Any,
    /// A session.
    Session,
    /// A session, or a token with this ability.
    SessionOr(&'static str),
    /// A personal access token that acts on itself.
    Itself,
    /// A token with `tokens:introspect`.
    Introspector,
    /// An administrator, by a session or a token with `admin:read`.
    AdminReads,
    /// An administrator, by a session or a token with `admin:*`.
    Admin,
    /// An administrator's session.
    AdminSession,
    /// A proxy that the configuration trusts.
    Proxy,
}

/// A route with a method.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) caller: Caller,
    pub(super) parameters: Vec<(&'static str, Value)>,
    pub(super) body: Option<Body>,
    pub(super) status: &'static str,
    /// The body of the answer. `None` for an empty one.
    pub(super) answer: Option<Value>,
    pub(super) media_type: &'static str,
    /// Errors besides those that every operation with this caller has.
    pub(super) errors: Vec<Code>,
    /// Whether unknown parameters and fields are ignored.
    pub(super) is_lenient: bool,
    /// Whether it reads the header `Idempotency-Key`.
    pub(super) is_keyed: bool,
}

pub(super) fn operation(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        id,
        summary,
        caller: Caller::Anyone,
        parameters: Vec::new(),
        body: None,
        status: "200",
        answer: None,
        media_type: "application/json",
        errors: Vec::new(),
        is_lenient: false,
        is_keyed: false,
    }
}

impl Operation {
    pub(super) fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    pub(super) fn takes(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn with(mut self, name: &'static str, shape: Value) -> Self {
        self.parameters.push((name, shape));
        self
    }

    /// Answers with this body.
    pub(super) fn answers(self, answer: Value) -> Self {
        Self { answer: Some(answer), ..self }
    }

    /// Answers with a `T` under `data`.
    pub(super) fn gives<T: JsonSchema>(self, answers: &mut Answers) -> Self {
        let data = answers.of::<T>();
        self.answers(under_data(data))
    }

    /// Creates a `T`.
    pub(super) fn creates<T: JsonSchema>(self, answers: &mut Answers) -> Self {
        Self { status: "201", ..self.gives::<T>(answers) }.or(&[Code::ClockUnreliable])
    }

    /// Says in a sentence what was done.
    pub(super) fn says(self, answers: &mut Answers) -> Self {
        let message = answers.of::<MessageView>();
        self.answers(message)
    }

    /// Answers with a page of a list.
    pub(super) fn lists<T: JsonSchema>(self, answers: &mut Answers) -> Self {
        let items = answers.of::<T>();
        let page = json!({
            "type": "object",
            "properties": {"data": {"type": "array", "items": items, "maxItems": 100}, "next_cursor": cursor()},
            "required": ["data", "next_cursor"],
            "additionalProperties": false,
        });
        self.with("limit", shapes::number(1, 100)).with("cursor", shapes::text()).answers(page)
    }

    /// Errors that it may answer with besides the usual ones.
    pub(super) fn or(mut self, codes: &[Code]) -> Self {
        self.errors.extend(codes);
        self
    }

    /// May be sent again with the same `Idempotency-Key`.
    pub(super) fn keyed(self) -> Self {
        let codes = [Code::MalformedRequest, Code::AlreadyCreated, Code::ValidationFailed];
        Self { is_keyed: true, ..self.or(&codes) }
    }

    pub(super) fn ignoring_the_unknown(self) -> Self {
        Self { is_lenient: true, ..self }
    }
}

fn under_data(data: Value) -> Value {
    json!({"type": "object", "properties": {"data": data}, "required": ["data"], "additionalProperties": false})
}

fn cursor() -> Value {
    json!({"type": ["string", "null"], "description": "Where the next page begins. Null on the last one."})
}

pub(super) fn list_of(items: &Value, max: usize) -> Value {
    under_data(json!({"type": "array", "items": items, "maxItems": max}))
}

pub(super) fn search() -> Value {
    json!({"type": "string", "maxLength": 255, "description": "A part of the name, without regard to letter case."})
}

pub(super) fn token_state() -> Value {
    shapes::one_of(&["active", "expired", "revoked"])
}

/// The filter `metadata[KEY]=VALUE`.
pub(super) fn metadata_filter() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"},
           "description": "Tokens with all of these keys and values: `?metadata[team]=payments`."})
}
