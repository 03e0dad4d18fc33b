//! Authlib, a published client for RFC 7662, with the real server.

use std::process::Command;

use crate::{
    support::place::EMAIL,
    support::programs::python,
    world::{Patd, Token},
};

fn ask(patd: &Patd, introspector: &Token, presented: &Token, scopes: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxies/introspection.py");
    let url = format!("{}/api/v1/introspect", patd.server.url);
    let mut command = Command::new(python());
    command.args([script, &url, &presented.text]).args(scopes).env("INTROSPECTOR", &introspector.text);
    let ended = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    text(&ended.stdout)
}

#[test]
fn authlib_serves_what_is_active_and_has_the_scope() {
    let patd = Patd::start();
    let introspector = patd.token(&["tokens:introspect"]);
    let reader = patd.token(&["calls:read", "x:y"]);
    let served = format!("served {EMAIL} calls:read x:y");
    assert_eq!(ask(&patd, &introspector, &reader, &["calls:read"]), served);
    assert_eq!(ask(&patd, &introspector, &reader, &["x:y", "calls:read"]), served);
    assert_eq!(ask(&patd, &introspector, &reader, &["calls:write"]), "refused 403 insufficient_scope");
    patd.revoke(&reader);
    assert_eq!(ask(&patd, &introspector, &reader, &["calls:read"]), "refused 401 invalid_token");
}
