//! The shapes of answers, from the types that the handlers serialize.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::shapes::{ability, day, id, or_null, time};

/// Collects the shapes that are used.
pub(super) struct Answers(SchemaGenerator);

impl Answers {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        Self(settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator())
    }

    /// A reference to the shape of `T`.
    pub(super) fn of<T: JsonSchema>(&mut self) -> Value {
        let mut shape = self.0.subschema_for::<T>().to_value();
        rename(&mut shape);
        shape
    }

    /// All shapes by name.
    pub(super) fn into_shapes(mut self) -> Map<String, Value> {
        let shapes = self.0.take_definitions(false);
        let mut words: Vec<_> = WORDS.to_vec();
        let shapes = shapes
            .into_iter()
            .map(|(name, mut shape)| {
                let name = plain_name(&name).to_owned();
                rename(&mut shape);
                refine(&mut shape);
                words.retain(|(of, property, allowed)| !(*of == name && limit(&mut shape, property, allowed)));
                (name, shape)
            })
            .collect();
        assert!(words.is_empty(), "there are no such properties: {words:?}");
        shapes
    }
}

/// The types are named after what the code calls a view. Clients do not see that.
fn plain_name(name: &str) -> &str {
    name.strip_suffix("View").unwrap_or(name)
}

fn rename(shape: &mut Value) {
    match shape {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref") {
                *reference = plain_name(reference).to_owned();
            }
            fields.values_mut().for_each(rename);
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}

/// What the types leave open: the form of ids and times, which are texts there, and that there are no other fields.
fn refine(shape: &mut Value) {
    match shape {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.insert("format".to_owned(), json!("int64"));
            }
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for (name, property) in properties.iter_mut() {
                    refine_text(name, property);
                }
            }
            fields.values_mut().for_each(refine);
        }
        Value::Array(items) => items.iter_mut().for_each(refine),
        _ => {}
    }
}

fn refine_text(name: &str, property: &mut Value) {
    let exact = match name {
        "request_id" => return,
        "id" | "rotated_from" | "rotated_to" | "successor" | "sub" | "jti" => id(),
        "also_revoked" | "also_disabled" | "ids" => id(),
        "abilities" | "abilities_unused" | "required" | "missing" => ability(),
        "at" | "counted_since" | "blocked_until" => time(),
        "day" | "first_day" | "last_day" => day(),
        _ if name.ends_with("_id") => id(),
        _ if name.ends_with("_at") => time(),
        _ => return,
    };
    if let Some(items) = property.get_mut("items") {
        if items["type"] == "string" {
            *items = exact;
        }
        return;
    }
    let exact = match &property["type"] {
        Value::String(kind) if kind == "string" => exact,
        Value::Array(kinds) if kinds.contains(&json!("string")) => or_null(exact),
        _ => return,
    };
    let description = property.get_mut("description").map(Value::take);
    *property = exact;
    if let Some(description) = description {
        property["description"] = description;
    }
}

const KINDS: &[&str] = &["session", "personal_access_token", "environment_token"];
const STATES: &[&str] = &["active", "expired", "revoked", "disabled"];
const REASONS: &[&str] = &["revoked_by_owner", "rotated", "leaked", "reuse_detected"];

/// Properties with a fixed set of words: the shape, the property and the words.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("Account", "role", &["member", "admin"]),
    ("Account", "state", &["active", "disabled", "invited"]),
    ("AccountDetails", "role", &["member", "admin"]),
    ("AccountDetails", "state", &["active", "disabled", "invited"]),
    ("Invited", "role", &["member", "admin"]),
    ("Invited", "state", &["active", "disabled", "invited"]),
    ("DisabledAccount", "role", &["member", "admin"]),
    ("DisabledAccount", "state", &["active", "disabled", "invited"]),
    ("User", "role", &["admin"]),
    ("Environment", "role", &["owner", "admin", "viewer"]),
    ("Member", "role", &["viewer", "admin"]),
    ("Owner", "type", &["user", "service_account"]),
    ("OwnServiceAccount", "type", &["service_account"]),
    ("Identity", "type", KINDS),
    ("Identity", "principal_type", &["service_account"]),
    ("Credential", "type", KINDS),
    ("Introspection", "token_type", &["Bearer"]),
    ("Introspection", "principal_type", &["service_account"]),
    ("OwnedToken", "type", &["personal_access_token", "environment_token"]),
    ("OwnedTokenDetails", "type", &["personal_access_token", "environment_token"]),
    ("Event", "outcome", &["success", "refused"]),
    ("AdminEvent", "outcome", &["success", "refused"]),
    ("TokenReport", "state", STATES),
    ("FamilyMember", "state", STATES),
    ("FamilyMember", "revoked_reason", REASONS),
    ("Token", "revoked_reason", REASONS),
    ("OwnedToken", "revoked_reason", REASONS),
    ("Health", "status", &["ok"]),
];

fn limit(shape: &mut Value, property: &str, words: &[&str]) -> bool {
    let Some(property) = shape.pointer_mut(&format!("/properties/{property}")) else { return false };
    property["enum"] = json!(words);
    if property["type"].is_array() {
        property["enum"].as_array_mut().expect("it was made above").push(Value::Null);
    }
    true
}
