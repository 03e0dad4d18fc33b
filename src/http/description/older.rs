//! The same document in OpenAPI 3.0.3, for generators that stop there.

use serde_json::{Value, json};

/// Rewrites what 3.0.3 does not know.
pub(super) fn older(document: &Value) -> Value {
    let mut document = document.clone();
    document["openapi"] = json!("3.0.3");
    if let Some(info) = document["info"].as_object_mut() {
        info.remove("summary");
        info.insert("license".to_owned(), json!({"name": "MIT OR Apache-2.0"}));
    }
    rewrite(&mut document);
    document
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(rewrite);
            // A type that may be null.
            if let Some(Value::Array(kinds)) = fields.get("type").cloned() {
                let kind = kinds.into_iter().find(|kind| kind != "null").unwrap_or(json!("string"));
                fields.insert("type".to_owned(), kind);
                fields.insert("nullable".to_owned(), json!(true));
            }
            if let Some(Value::Array(choices)) = fields.get("anyOf").cloned()
                && choices.iter().any(|choice| choice == &json!({"type": "null"}))
            {
                let rest: Vec<_> = choices.into_iter().filter(|choice| choice["type"] != "null").collect();
                fields.remove("anyOf");
                // All shapes that are referred to are objects.
                fields.insert("type".to_owned(), json!("object"));
                fields.insert("allOf".to_owned(), json!(rest));
                fields.insert("nullable".to_owned(), json!(true));
            }
            // Generators for 3.0 know enumerations of texts and numbers.
            if fields.get("type").is_some_and(|kind| kind == "boolean") {
                fields.remove("enum");
            }
            // A reference stands alone.
            if fields.contains_key("$ref")
                && fields.len() > 1
                && let Some(reference) = fields.remove("$ref")
            {
                fields.insert("allOf".to_owned(), json!([{"$ref": reference}]));
            }
            if let Some(constant) = fields.get("const").filter(|constant| !constant.is_object()).cloned() {
                fields.remove("const");
                fields.insert("enum".to_owned(), json!([constant]));
            }
            if fields.get("propertyNames").is_some_and(Value::is_object) && fields.contains_key("maxProperties") {
                fields.remove("propertyNames");
            }
            if fields.get("examples").is_some_and(Value::is_array)
                && let Some(Value::Array(mut examples)) = fields.remove("examples")
                && !examples.is_empty()
            {
                fields.insert("example".to_owned(), examples.remove(0));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}
