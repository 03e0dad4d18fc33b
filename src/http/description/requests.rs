//! The bodies of requests. A handler reads the fields one by one, so they are described here. A test compares the names with
//! those that the handlers know.

use serde_json::{Map, Value, json};

use super::shapes::{
    abilities, ability, address, description, duration, email, flag, id, list, metadata, name, networks, number,
    one_of, or_null, password, quota, requests_per_minute, sent_time, text,
};
use crate::{
    domain::owner::ServiceAccount,
    http::{admin::owners::MAX_IDS, introspection::MAX_BATCH, revocation::MAX_REPORTED, tokens::MAX_DAYS},
};

/// A field of a body.
pub(super) struct Field {
    name: &'static str,
    shape: Value,
    is_required: bool,
}

const fn required(name: &'static str, shape: Value) -> Field {
    Field { name, shape, is_required: true }
}

const fn optional(name: &'static str, shape: Value) -> Field {
    Field { name, shape, is_required: false }
}

/// A field for which null means the same as no field.
fn nullable(name: &'static str, shape: Value) -> Field {
    optional(name, or_null(shape))
}

/// The body of a request.
pub(super) struct Body {
    /// The name of its shape.
    pub(super) name: &'static str,
    pub(super) media_type: &'static str,
    /// Whether it must be sent.
    pub(super) is_required: bool,
    pub(super) shape: Value,
}

impl Body {
    fn json(name: &'static str, fields: Vec<Field>) -> Self {
        Self { name, media_type: "application/json", is_required: true, shape: object(fields) }
    }

    /// A body that may be missing.
    fn maybe(name: &'static str, fields: Vec<Field>) -> Self {
        Self { is_required: false, ..Self::json(name, fields) }
    }

    fn example(self, body: Value) -> Self {
        self.with("examples", json!([body]))
    }

    /// With a rule of JSON Schema besides its fields.
    fn with(mut self, rule: &str, value: Value) -> Self {
        self.shape[rule] = value;
        self
    }
}

fn object(fields: Vec<Field>) -> Value {
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let properties: Map<String, Value> = fields.into_iter().map(|field| (field.name.to_owned(), field.shape)).collect();
    let mut shape = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        shape["required"] = json!(required);
    }
    shape
}

fn described(mut shape: Value, description: &str) -> Value {
    shape["description"] = json!(description);
    shape
}

fn only_true() -> Value {
    json!({"type": "boolean", "enum": [true]})
}

pub(super) fn registration() -> Body {
    let fields = vec![required("name", name()), required("email", email()), required("password", password())];
    let example = json!({"name": "Ada Lovelace", "email": "ada@example.com", "password": "an engine of 1000 wheels"});
    Body::json("Registration", fields).example(example)
}

pub(super) fn sign_in() -> Body {
    let device = described(name(), "What the user calls this session.");
    let fields = vec![required("email", email()), required("password", password()), nullable("device_name", device)];
    let example = json!({"email": "ada@example.com", "password": "an engine of 1000 wheels", "device_name": "laptop"});
    Body::json("SignIn", fields).example(example)
}

pub(super) fn password_by_link() -> Body {
    let link = described(text(), "The secret of the link, `lnk_…`.");
    Body::json("PasswordByLink", vec![required("token", link), required("password", password())])
}

pub(super) fn profile() -> Body {
    let current = described(password(), "Needed to change the address.");
    let fields = vec![nullable("name", name()), nullable("email", email()), nullable("current_password", current)];
    Body::json("ProfileChange", fields)
}

pub(super) fn current_password() -> Body {
    Body::json("CurrentPassword", vec![required("current_password", password())])
}

pub(super) fn password_change() -> Body {
    Body::json("PasswordChange", vec![required("current_password", password()), required("password", password())])
}

fn new_token(name_of_shape: &'static str, more: Vec<Field>) -> Body {
    let mut fields = vec![
        required("name", name()),
        optional("abilities", described(abilities(), "What the token may do; `[]` is nothing. Default: `[\"*\"]`.")),
        nullable("expires_at", described(sent_time(), "Null for a token without an end.")),
        optional("expires_in_days", number(1, MAX_DAYS)),
        optional("ip_allowlist", networks()),
        optional("requests_per_minute", requests_per_minute()),
        optional("quota", described(quota(), "How often the token can be used.")),
        optional("description", description()),
        optional("metadata", metadata()),
        nullable("canary", described(flag(), "Whether a use of the token is an alarm.")),
    ];
    fields.extend(more);
    // Not both: a time and a number of days.
    Body::json(name_of_shape, fields)
        .with("not", json!({"required": ["expires_at", "expires_in_days"]}))
        .example(json!({"name": "CI Pipeline", "abilities": ["calls:read"], "expires_in_days": 90}))
}

pub(super) fn token() -> Body {
    new_token("NewToken", vec![optional("owner", described(id(), "A service account that the user manages."))])
}

pub(super) fn environment_token() -> Body {
    new_token("NewEnvironmentToken", Vec::new())
}

pub(super) fn token_change() -> Body {
    let fields = vec![
        optional("name", name()),
        optional("description", description()),
        optional("metadata", described(metadata(), "Replaces all keys.")),
    ];
    Body::json("TokenChange", fields).with("minProperties", json!(1))
}

pub(super) fn rotation() -> Body {
    let keeps = "Narrower abilities. Without the field, the successor has those of its predecessor.";
    let fields = vec![
        optional("abilities", described(abilities(), keeps)),
        nullable(
            "grace",
            json!({"type": "integer", "minimum": 0, "description":
            "For how many seconds the predecessor stays valid, up to `rotation.max_grace`."}),
        ),
        nullable("end_on_first_use", described(flag(), "Whether the first use of the successor ends the predecessor.")),
        nullable("expires_at", sent_time()),
        optional("expires_in_days", number(1, MAX_DAYS)),
        nullable("replace_unused", described(flag(), "Whether a successor that was never used is replaced.")),
    ];
    Body::maybe("Rotation", fields)
        .with("not", json!({"required": ["expires_at", "expires_in_days"]}))
        .example(json!({"grace": 600}))
}

pub(super) fn regeneration() -> Body {
    Body::maybe("Regeneration", vec![optional("abilities", described(abilities(), "Narrower abilities."))])
}

/// Exactly one of the three fields besides the owner.
pub(super) fn revocation_of_many() -> Body {
    let fields = vec![
        optional("all", only_true()),
        optional("unused_since", described(sent_time(), "Tokens that were neither used nor created since then.")),
        optional("ability", described(ability(), "Tokens whose abilities cover this one.")),
        optional("owner", described(id(), "A service account that the user manages.")),
    ];
    let one = json!([{"required": ["all"]}, {"required": ["unused_since"]}, {"required": ["ability"]}]);
    Body::json("RevocationOfMany", fields).with("oneOf", one)
}

pub(super) fn leak_report() -> Body {
    let secrets = list(text(), MAX_REPORTED);
    Body::json("LeakReport", vec![required("tokens", described(secrets, "Secrets of any kind."))])
}

pub(super) fn environment() -> Body {
    let owner = described(id(), "A service account that the user manages.");
    Body::json("NewEnvironment", vec![required("name", name()), optional("owner", owner)])
        .example(json!({"name": "staging"}))
}

pub(super) fn environment_name() -> Body {
    Body::json("EnvironmentName", vec![required("name", name())])
}

pub(super) fn current_environment() -> Body {
    Body::json("CurrentEnvironment", vec![required("environment_id", id())])
}

pub(super) fn member() -> Body {
    Body::json("Membership", vec![required("role", one_of(&["viewer", "admin"]))])
}

pub(super) fn service_account() -> Body {
    let managers = described(list(id(), ServiceAccount::MAX_MANAGERS as usize), "Ids of users.");
    let fields = vec![required("name", name()), optional("description", description()), nullable("managers", managers)];
    Body::json("NewServiceAccount", fields).example(json!({"name": "ci", "description": "Builds and tests"}))
}

pub(super) fn service_account_change() -> Body {
    let fields = vec![optional("name", name()), optional("description", description())];
    Body::json("ServiceAccountChange", fields).with("minProperties", json!(1))
}

/// RFC 7662, section 2.1, and RFC 7009, section 2.1. Other parameters are ignored.
pub(super) fn form(name_of_shape: &'static str) -> Body {
    let token = json!({"type": "string", "minLength": 1});
    let mut shape = object(vec![required("token", token), optional("token_type_hint", text())]);
    shape["additionalProperties"] = json!(true);
    Body { name: name_of_shape, media_type: "application/x-www-form-urlencoded", is_required: true, shape }
}

fn check_fields() -> Vec<Field> {
    vec![
        required("token", described(text(), "The secret.")),
        optional("abilities", described(abilities(), "What the token must be able to do.")),
        nullable("ip", described(address(), "The address from which the token is used.")),
    ]
}

pub(super) fn check() -> Body {
    Body::json("Check", check_fields())
        .example(json!({"token": "pat_…", "abilities": ["calls:read"], "ip": "192.0.2.7"}))
}

pub(super) fn checks() -> Body {
    Body::json("Checks", vec![required("tokens", list(object(check_fields()), MAX_BATCH))])
}

pub(super) fn user() -> Body {
    let role = one_of(&["member", "admin"]);
    Body::json("NewUser", vec![required("name", name()), required("email", email()), nullable("role", role)])
        .example(json!({"name": "Ada Lovelace", "email": "ada@example.com"}))
}

pub(super) fn user_change() -> Body {
    let role = one_of(&["member", "admin"]);
    Body::json("UserChange", vec![nullable("name", name()), nullable("email", email()), nullable("role", role)])
}

pub(super) fn disabling() -> Body {
    let fields = vec![
        optional("dry_run", described(flag(), "Whether nothing is changed.")),
        optional("transfer_to", described(id(), "Who gets what the user owns.")),
    ];
    Body::maybe("Disabling", fields)
}

/// `true` for all, or some ids.
fn selection() -> Value {
    json!({"oneOf": [only_true(), list(id(), MAX_IDS)]})
}

pub(super) fn hand_over() -> Body {
    let fields = vec![
        required("to", described(id(), "A user or a service account.")),
        optional("tokens", selection()),
        optional("environments", selection()),
    ];
    let one = json!([{"required": ["tokens"]}, {"required": ["environments"]}]);
    Body::json("HandOver", fields).with("anyOf", one)
}

pub(super) fn transfer() -> Body {
    Body::json("Transfer", vec![required("to", described(id(), "A user or a service account."))])
}

pub(super) fn revocation_by_filter() -> Body {
    let mut fields: Vec<Field> = filters().into_iter().map(|(name, shape)| optional(name, shape)).collect();
    let mut pairs = metadata();
    pairs["type"] = json!("object");
    fields.extend([
        optional("service_account", flag()),
        optional("canary", flag()),
        optional("metadata", pairs),
        nullable("all", described(flag(), "Must be true, if it is sent.")),
        nullable("dry_run", described(flag(), "Whether nothing is revoked.")),
    ]);
    Body::json("FilteredRevocation", fields)
}

/// The filters of tokens that have the same shape in a body and in a query.
pub(super) fn filters() -> Vec<(&'static str, Value)> {
    vec![
        ("owner", described(text(), "The id of a user or service account, or the address of a user.")),
        ("environment", id()),
        ("kind", one_of(&["personal_access_token", "environment_token"])),
        ("state", one_of(&["active", "expired", "revoked", "all"])),
        ("name", described(text(), "A part of the name.")),
        ("ability", ability()),
        ("created_after", sent_time()),
        ("created_before", sent_time()),
        ("expires_after", sent_time()),
        ("expires_before", sent_time()),
        ("last_used_after", sent_time()),
        ("last_used_before", sent_time()),
        ("unused_for", duration()),
    ]
}
