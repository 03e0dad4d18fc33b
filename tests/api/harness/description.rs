//! Checks every answer against the description of the API (`docs/openapi.json`).

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&fs::read_to_string("docs/openapi.json").unwrap()).unwrap());

const ADDRESS: &str = "json-schema:///openapi";

/// The description, so that a shape finds what it refers to without a copy of all.
static REGISTRY: LazyLock<Registry<'static>> =
    LazyLock::new(|| Registry::new().add(ADDRESS, &*DESCRIPTION).unwrap().prepare().unwrap());

/// The shapes that were used, by their place in the description.
static SHAPES: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Headers that are HTTP's own, or about the connection. Those of CORS are described in a sentence.
const PLAIN: &[&str] = &["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// Fails unless the description has the answer: its status, its headers and its body. A path that is not described has no
/// route or is a page.
#[track_caller]
pub fn assert_described(method: &str, path: &str, status: u16, headers: &ureq::http::HeaderMap, body: &Value) {
    let path = path.split(['?', '#']).next().unwrap();
    let Some((template, methods)) = described_path(path) else { return };
    let method = if method == "HEAD" { "get" } else { &method.to_lowercase() };
    let place = match methods.get(method) {
        Some(operation) => {
            let responses = &operation["responses"];
            let response = &responses[status.to_string()];
            assert!(response.is_object(), "{method} {template} may not answer {status}: {body}");
            match response["$ref"].as_str() {
                Some(reference) => reference.trim_start_matches('#').to_owned(),
                None => {
                    format!("/paths/{}/{method}/responses/{status}", template.replace('~', "~0").replace('/', "~1"))
                }
            }
        }
        // No operation: the only answer is that the path does not accept the method.
        None => "/components/responses/MethodNotAllowed".to_owned(),
    };
    let response = DESCRIPTION.pointer(&place).unwrap_or_else(|| panic!("{place} is missing"));
    let answer = format!("{method} {template} {status}");
    assert_headers(&answer, &response["headers"], headers);
    assert_media_type(&answer, &response["content"], headers);
    if body.is_null() {
        return;
    }
    let shape = shape(&format!("{place}/content/application~1json/schema"));
    let errors: Vec<String> =
        shape.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {template} may not answer {status} with {body}: {errors:#?}");
}

/// The path of the description that this path matches. A literal part is preferred to a parameter.
fn described_path(path: &str) -> Option<(&'static str, &'static serde_json::Map<String, Value>)> {
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        let any_tail = template.last() == Some(&"{tail}");
        let length = if any_tail { template.len() <= parts.len() } else { template.len() == parts.len() };
        length
            && template
                .iter()
                .zip(&parts)
                .all(|(known, part)| known.starts_with('{') && !part.is_empty() || known == part)
    };
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(template, _)| matches(template));
    let (template, methods) = found.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, methods.as_object().unwrap()))
}

fn is_plain(name: &str) -> bool {
    PLAIN.contains(&name) || name == "vary" || name.starts_with("access-control-")
}

#[track_caller]
fn assert_headers(answer: &str, described: &Value, headers: &ureq::http::HeaderMap) {
    let known = described.as_object().unwrap();
    for name in headers.keys().map(|name| name.as_str()).filter(|name| !is_plain(name)) {
        assert!(known.keys().any(|known| known.eq_ignore_ascii_case(name)), "{answer} has no header {name}");
    }
    for (name, reference) in known {
        let header = DESCRIPTION.pointer(reference["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
        assert!(header["required"] != json!(true) || headers.contains_key(name), "{answer} lacks the header {name}");
    }
}

/// The media type is one of those that are described, and there is none if the answer has no body.
#[track_caller]
fn assert_media_type(answer: &str, described: &Value, headers: &ureq::http::HeaderMap) {
    let sent = headers.get("content-type").map(|value| value.to_str().unwrap().split(';').next().unwrap().trim());
    let known: Vec<&str> = described.as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
    let is_known = sent.map_or(known.is_empty(), |sent| known.contains(&sent));
    assert!(is_known, "{answer} has the media type {sent:?}, not one of {known:?}");
}

fn shape(place: &str) -> Arc<Validator> {
    let mut shapes = SHAPES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let shape = shapes.entry(place.to_owned()).or_insert_with(|| {
        let options = jsonschema::options().with_registry(&REGISTRY).should_validate_formats(true);
        let fragment = place.replace('{', "%7B").replace('}', "%7D");
        let reference = json!({"$ref": format!("{ADDRESS}#{fragment}")});
        Arc::new(options.build(&reference).unwrap_or_else(|error| panic!("{place}: {error}")))
    });
    Arc::clone(shape)
}
