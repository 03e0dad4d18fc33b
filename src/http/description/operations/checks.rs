//! Checks by other software and by proxies, and what the server says of itself.

use serde_json::{Value, json};

use crate::http::{
    codes::Code,
    description::{
        answers::Answers,
        operation::{Caller, Operation, list_of, operation},
        requests, shapes,
    },
    health::Health,
    index::Index,
    introspection::{IntrospectionView, VerdictView},
};

pub(super) fn checks(answers: &mut Answers) -> Vec<Operation> {
    let introspection = answers.of::<IntrospectionView>();
    let verdict = answers.of::<VerdictView>();
    vec![
        operation("post", "/api/v1/introspect", "introspect", "Introspects a token (RFC 7662).")
            .by(Caller::Introspector)
            .takes(requests::form("Introspected"))
            .answers(introspection)
            .ignoring_the_unknown(),
        operation("post", "/api/v1/revoke", "revokeByPossession", "Revokes a token by its secret (RFC 7009).")
            .takes(requests::form("Revoked"))
            .says(answers)
            .ignoring_the_unknown(),
        operation("post", "/api/v1/tokens/verify", "verify", "Checks a token, and what it may do.")
            .by(Caller::Introspector)
            .takes(requests::check())
            .gives::<VerdictView>(answers),
        operation("post", "/api/v1/tokens/verify-batch", "verifyBatch", "Checks up to 100 tokens.")
            .by(Caller::Introspector)
            .takes(requests::checks())
            .answers(list_of(&verdict, 100))
            .or(&[Code::Busy]),
    ]
}

pub(super) fn server(answers: &mut Answers) -> Vec<Operation> {
    use Code::{
        AmbiguousPath, IncompleteRequest, MalformedPath, MissingAbility, NoRule, UnknownPolicy, UntrustedProxy,
        WrongKind,
    };
    let (index, health) = (answers.of::<Index>(), answers.of::<Health>());
    let refusals = [
        UntrustedProxy,
        IncompleteRequest,
        UnknownPolicy,
        MalformedPath,
        AmbiguousPath,
        NoRule,
        WrongKind,
        MissingAbility,
    ];
    let plain = |path, id, summary, answer: &Value| {
        operation("get", path, id, summary).answers(answer.clone()).ignoring_the_unknown()
    };
    let envoy = [
        ("get", "extAuthzGet"),
        ("post", "extAuthzPost"),
        ("put", "extAuthzPut"),
        ("patch", "extAuthzPatch"),
        ("delete", "extAuthzDelete"),
    ];
    let envoy = envoy.map(|(method, id)| {
        operation(
            method,
            "/api/authz/ext-authz/{policy}/{tail:.*}",
            id,
            "The check of Envoy. The path goes on with that of the client.",
        )
        .by(Caller::Proxy)
        .or(&refusals)
        .ignoring_the_unknown()
    });
    let probe = [Code::Draining, Code::NoLease, Code::ClockUnreliable];
    let mut all = vec![
        plain("/", "start", "Leads people to the console, and programs to the main routes.", &index),
        plain("/api", "showIndex", "Links to the main routes.", &index),
        plain("/livez", "live", "Answers while the process runs.", &health),
        plain("/readyz", "ready", "Answers 200 while a read and a write would work now.", &health).or(&probe),
        plain("/healthz", "healthy", "The same as `GET /readyz`.", &health).or(&probe),
        operation("get", "/api/authz/auth-request/{policy}", "authRequest", "The check of nginx's `auth_request`.")
            .by(Caller::Proxy)
            .or(&refusals)
            .ignoring_the_unknown(),
        operation("get", "/api/authz/forward-auth/{policy}", "forwardAuth", "The check of Traefik and Caddy.")
            .by(Caller::Proxy)
            .or(&refusals)
            .ignoring_the_unknown(),
    ];
    all.extend(envoy);
    let any = json!({"type": "object"});
    let file = |path, id, summary, media_type, shape: &Value| {
        let operation = operation("get", path, id, summary).answers(shape.clone()).ignoring_the_unknown();
        Operation { media_type, ..operation }
    };
    all.extend([
        file("/api/openapi.json", "showDescription", "This document, in OpenAPI 3.1.", "application/json", &any),
        file("/api/openapi-3.0.json", "showOlderDescription", "The same in OpenAPI 3.0.3.", "application/json", &any),
        file("/api/docs", "showReference", "The reference page.", "text/html", &shapes::text()),
        file(
            "/api/docs/{name}",
            "showGuide",
            "A guide. With the end `.md`, as Markdown.",
            "text/html",
            &shapes::text(),
        ),
        file(
            "/llms.txt",
            "showModelIndex",
            "An index of the guides for language models.",
            "text/plain",
            &shapes::text(),
        ),
    ]);
    all
}
