//! Puts the document together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    answers::Answers,
    errors::{self, Kind},
    operation::{Caller, Operation},
    operations, shapes,
};
use crate::{http::input::keyed::MAX_KEY, ops::keyed_requests::HEADER};

/// Examples from a real server (`tests/api/description.rs`).
const EXAMPLES: &str = include_str!("examples.json");

const TEXT: &str = "Users, sessions and personal access tokens. \
    Ids are UUIDs, times are RFC 3339 in UTC with whole seconds. Each `GET` route answers `HEAD`, too. \
    A field or a parameter that an operation does not know is refused with 422. \
    If pages of other origins may use the API (`cors.allowed_origins`), answers have the headers of CORS, too. \
    Errors have a `code` for programs and a `message` for people; [errors](/api/docs/errors) says what to do about each code.";

/// The document in OpenAPI 3.1.
pub(super) fn document() -> Value {
    let mut answers = Answers::new();
    let operations = operations::all(&mut answers);
    let examples: Value = serde_json::from_str(EXAMPLES).expect("the examples are JSON");
    let mut components = Components { schemas: Map::new(), responses: Map::new(), examples };
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in &operations {
        let described = components.describe(operation, &operations);
        let methods = paths.entry(plain_path(operation.path)).or_default();
        assert!(methods.insert(operation.method.to_owned(), described).is_none(), "{} twice", operation.id);
    }
    for (name, shape) in answers.into_shapes() {
        assert!(components.schemas.insert(name.clone(), shape).is_none(), "there are two shapes with the name {name}");
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "patd",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The personal access token daemon",
            "description": TEXT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that sends this document."}],
        "tags": TAGS.iter().map(|(name, text)| json!({"name": name, "description": text})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": components.responses,
            "headers": headers(&json!([paths, components.responses])),
            "parameters": {"IdempotencyKey": idempotency_key()},
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer", "description": "The secret of a session, `ses_…`."},
                "token": {"type": "http", "scheme": "bearer", "description": "The secret of a token, `pat_…`."},
                "introspection": {"type": "http", "scheme": "basic", "description":
                    "A token with `tokens:introspect` as the password, and any user name."},
            },
        },
    })
}

/// Groups of operations, by the beginning of the path.
const TAGS: &[(&str, &str)] = &[
    ("Account", "Sign-in, the account of the user, and where they are signed in."),
    ("Tokens", "Personal access tokens."),
    ("Environments", "Environments, their members and their tokens."),
    ("Service accounts", "Owners of tokens that nobody can sign in as."),
    ("Checks", "What a token is and what it may do, for other software."),
    ("Administration", "The users and tokens of everybody."),
    ("Proxies", "Checks by a reverse proxy."),
    ("Server", "Health, and links."),
];

fn tag(path: &str) -> &'static str {
    let begins = |start: &str| path.starts_with(start);
    match path {
        _ if begins("/api/authz") => "Proxies",
        _ if begins("/api/v1/admin") => "Administration",
        _ if begins("/api/v1/service-accounts") => "Service accounts",
        _ if begins("/api/v1/environments") => "Environments",
        _ if begins("/api/v1/user/api-tokens") || path == "/api/v1/tokens/revoke-leaked" => "Tokens",
        _ if begins("/api/v1/tokens") || path == "/api/v1/introspect" || path == "/api/v1/revoke" => "Checks",
        _ if begins("/api/v1/") || path == "/api/user" => "Account",
        _ => "Server",
    }
}

/// The path as OpenAPI writes it: a parameter has no pattern.
pub(super) fn plain_path(path: &str) -> String {
    path.replace(":.*}", "}")
}

struct Components {
    schemas: Map<String, Value>,
    responses: Map<String, Value>,
    examples: Value,
}

impl Components {
    fn describe(&mut self, operation: &Operation, all: &[Operation]) -> Value {
        let mut described = json!({
            "operationId": operation.id,
            "summary": operation.summary.trim_end_matches('.'),
            "tags": [tag(operation.path)],
            "security": security(operation.caller),
            "responses": self.responses(operation, all),
        });
        let parameters = parameters(operation);
        if !parameters.is_empty() {
            described["parameters"] = json!(parameters);
        }
        if let Some(body) = &operation.body {
            self.schemas.insert(body.name.to_owned(), body.shape.clone());
            let shape = reference("schemas", body.name);
            described["requestBody"] =
                json!({"required": body.is_required, "content": {body.media_type: {"schema": shape}}});
        }
        described
    }

    fn responses(&mut self, operation: &Operation, all: &[Operation]) -> Map<String, Value> {
        let mut headers: Vec<(&str, bool)> = ALWAYS.iter().map(|name| (*name, true)).collect();
        if !matches!(operation.caller, Caller::Anyone) {
            headers.extend(OF_TOKENS.iter().map(|name| (*name, false)));
        }
        if operation.status == "201" && operation.id != "signIn" {
            headers.push(("Location", true));
        }
        match operation.id {
            "exportUser" => headers.push(("Content-Disposition", true)),
            "start" => headers.push(("Vary", true)),
            "showReference" => headers.push(("Content-Security-Policy", true)),
            "showGuide" => headers.push(("Content-Security-Policy", false)),
            _ if operation.caller == Caller::Proxy => headers.extend(IDENTITY.iter().map(|name| (*name, false))),
            _ => {}
        }
        let mut success = json!({"description": success(operation), "headers": refer_to(&headers)});
        if let Some(answer) = &operation.answer {
            let mut content = json!({"schema": answer});
            if let Some(example) = self.examples["answers"].get(operation.id) {
                content["examples"] = json!({"example": {"summary": "An answer", "value": example}});
            }
            success["content"] = json!({operation.media_type: content});
            if operation.id == "showGuide" {
                success["content"]["text/markdown"] = json!({"schema": answer});
            }
        }
        let links = links(operation, all);
        if !links.is_empty() {
            success["links"] = json!(links);
        }
        let mut responses = Map::new();
        responses.insert(operation.status.to_owned(), success);
        if operation.id == "start" {
            let headers = refer_to(
                &[ALWAYS, &["Location", "Vary"]].concat().into_iter().map(|name| (name, true)).collect::<Vec<_>>(),
            );
            responses
                .insert("303".to_owned(), json!({"description": "People are led to the console.", "headers": headers}));
        }
        let kind = Kind::of(operation);
        for (status, codes) in errors::of(operation) {
            let is_proxy = operation.caller == Caller::Proxy;
            let name = match operation.id {
                "authRequest" => format!("AuthRequest{status}"),
                _ if is_proxy => format!("Proxy{}", errors::name(&codes, kind)),
                _ => errors::name(&codes, kind),
            };
            if !self.responses.contains_key(&name) {
                self.add_error(&name, &codes, kind, is_proxy);
            }
            responses.insert(status.to_string(), reference("responses", &name));
        }
        responses
    }

    fn add_error(&mut self, name: &str, codes: &[crate::http::codes::Code], kind: Kind, is_proxy: bool) {
        self.schemas.insert(format!("{name}Error"), errors::shape(codes, kind));
        let mut headers: Vec<(&str, bool)> = ALWAYS.iter().map(|name| (*name, true)).collect();
        headers.extend(errors::headers(codes));
        headers.push(("X-Token-Expires-At", false));
        headers.extend(OF_TOKENS.iter().filter(|name| name.starts_with("X-RateLimit")).map(|name| (*name, false)));
        if is_proxy {
            let more = ["X-Auth-Error", "Retry-After", "WWW-Authenticate"].into_iter().chain(IDENTITY.iter().copied());
            let more: Vec<_> = more.filter(|name| !headers.iter().any(|(known, _)| known == name)).collect();
            headers.extend(more.into_iter().map(|name| (name, false)));
        }
        let mut content = json!({"schema": reference("schemas", &format!("{name}Error"))});
        let known = codes.iter().filter_map(|code| Some((code.name(), self.examples["errors"].get(code.name())?)));
        let examples: Map<String, Value> =
            known.map(|(name, value)| (name.to_owned(), json!({"summary": name, "value": value}))).collect();
        if !examples.is_empty() {
            content["examples"] = json!(examples);
        }
        let response = json!({
            "description": errors::description(codes),
            "headers": refer_to(&headers),
            "content": {"application/json": content},
        });
        self.responses.insert(name.to_owned(), response);
    }
}

fn success(operation: &Operation) -> &'static str {
    match operation.status {
        "201" => "It was created.",
        _ if operation.caller == Caller::Proxy => "The request is allowed.",
        _ => "It was done.",
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn security(caller: Caller) -> Value {
    match caller {
        Caller::Anyone => json!([]),
        Caller::Proxy => json!([{}, {"session": []}, {"token": []}]),
        Caller::Session | Caller::AdminSession => json!([{"session": []}]),
        Caller::Itself => json!([{"token": []}]),
        Caller::Introspector => json!([{"token": []}, {"introspection": []}]),
        Caller::Any | Caller::SessionOr(_) | Caller::AdminReads | Caller::Admin => {
            json!([{"session": []}, {"token": []}])
        }
    }
}

/// The names of the parameters in a path, in their order.
fn path_parameters(path: &str) -> Vec<String> {
    let path = plain_path(path);
    let parts = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    parts.map(|(name, _)| name.to_owned()).collect()
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in path_parameters(operation.path) {
        let schema = if matches!(&*name, "policy" | "tail" | "name") { shapes::text() } else { shapes::id() };
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    for (name, shape) in &operation.parameters {
        let mut parameter = json!({"name": name, "in": "query", "schema": shape});
        if *name == "metadata" {
            parameter["style"] = json!("deepObject");
            parameter["explode"] = json!(true);
        }
        parameters.push(parameter);
    }
    if operation.caller == Caller::Proxy {
        let forwarded: &[&str] = match operation.id {
            "authRequest" => &["X-Original-Method", "X-Original-URI"],
            "forwardAuth" => &["X-Forwarded-Method", "X-Forwarded-Uri"],
            _ => &[],
        };
        let header = |name: &&str| json!({"name": name, "in": "header", "required": true, "schema": shapes::text()});
        parameters.extend(forwarded.iter().map(header));
    }
    if operation.is_keyed {
        parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
    }
    parameters
}

fn idempotency_key() -> Value {
    let shape = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"});
    json!({"name": HEADER, "in": "header", "required": false, "schema": shape, "description":
        "Makes the request safe to repeat: within 24 hours, the same request with the same key is made once. A UUID does well."})
}

/// From what was created to the operations on it: those whose path goes on with its id.
fn links(operation: &Operation, all: &[Operation]) -> Map<String, Value> {
    let mut links = Map::new();
    if operation.status != "201" || operation.method != "post" {
        return links;
    }
    let kept = path_parameters(operation.path);
    for other in all {
        let Some(rest) = other.path.strip_prefix(operation.path).and_then(|rest| rest.strip_prefix("/{")) else {
            continue;
        };
        let names = path_parameters(other.path);
        let Some(created) = names.get(kept.len()).filter(|created| rest.starts_with(&**created)) else { continue };
        if names.len() > kept.len() + 1 {
            continue;
        }
        let mut parameters: Map<String, Value> =
            kept.iter().map(|name| (name.clone(), json!(format!("$request.path.{name}")))).collect();
        parameters.insert(created.clone(), json!("$response.body#/data/id"));
        links.insert(other.id.to_owned(), json!({"operationId": other.id, "parameters": parameters}));
    }
    links
}

/// The headers of every answer.
const ALWAYS: &[&str] = &["Cache-Control", "X-Content-Type-Options", "X-Request-Id"];
/// The headers of answers to tokens with limits or a near expiry.
const OF_TOKENS: &[&str] = &["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Token-Expires-At"];
/// What an application gets to know of the principal.
const IDENTITY: &[&str] = &[
    "Remote-User",
    "Remote-Email",
    "Remote-Name",
    "Remote-Groups",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Token-Id",
    "X-Auth-Token-Kind",
    "X-Auth-Abilities",
    "X-Auth-Required",
    "X-Auth-Environment-Id",
];

fn refer_to(headers: &[(&str, bool)]) -> Map<String, Value> {
    let header = |(name, is_required): &(&str, bool)| {
        let reference = if *is_required { (*name).to_owned() } else { format!("Optional-{name}") };
        ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{reference}")}))
    };
    headers.iter().map(header).collect()
}

/// All headers, each as one that is always there and as one that may be there.
fn headers(used: &Value) -> Map<String, Value> {
    let text = shapes::text;
    let all = [
        ("Allow", text(), "The methods that the path accepts."),
        ("Cache-Control", json!({"type": "string", "const": "no-store"}), "Nothing may be kept."),
        ("Content-Disposition", text(), "The name of the file."),
        ("Content-Security-Policy", text(), "What the page may load."),
        ("Location", text(), "The path of what was created."),
        ("Retry-After", json!({"type": "integer", "minimum": 0}), "After how many seconds to ask again."),
        ("Vary", text(), "What the answer depends on."),
        ("WWW-Authenticate", text(), "RFC 6750, section 3."),
        ("X-Auth-Error", text(), "The code, where the proxy sees no body."),
        ("X-Content-Type-Options", json!({"type": "string", "const": "nosniff"}), "The type is the one that is named."),
        ("X-RateLimit-Limit", json!({"type": "integer", "minimum": 0}), "How often the token can be used in a minute."),
        ("X-RateLimit-Remaining", json!({"type": "integer", "minimum": 0}), "How often it still can."),
        (
            "X-RateLimit-Reset",
            json!({"type": "integer", "minimum": 0}),
            "When it can be used as often again, in seconds since 1970.",
        ),
        ("X-Request-Id", text(), "The id of the request, as in the log."),
        ("X-Token-Expires-At", shapes::time(), "The expiry of the token, if it is within 30 days."),
        ("Remote-User", text(), "The id of the principal."),
        ("Remote-Name", text(), "Its name."),
        ("Remote-Email", text(), "Its address."),
        ("Remote-Groups", text(), "The kind of principal."),
        ("X-Auth-Request-User", text(), "The same as `Remote-User`."),
        ("X-Auth-Request-Email", text(), "The same as `Remote-Email`."),
        ("X-Auth-Token-Id", text(), "The id of the credential."),
        ("X-Auth-Token-Kind", text(), "Its kind."),
        ("X-Auth-Abilities", text(), "Its abilities."),
        ("X-Auth-Required", text(), "The abilities that the rule requires."),
        ("X-Auth-Environment-Id", text(), "The environment of the token."),
    ];
    let mut headers = Map::new();
    for (name, schema, text) in all {
        headers.insert(name.to_owned(), json!({"description": text, "required": true, "schema": schema}));
        headers.insert(format!("Optional-{name}"), json!({"description": text, "schema": schema}));
    }
    let used = used.to_string();
    headers.retain(|name, _| used.contains(&format!("#/components/headers/{name}\"")));
    headers
}
