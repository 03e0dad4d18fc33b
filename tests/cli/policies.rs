//! `patd policy explain` shows how the server answers a check of a proxy.

use serde_json::{Value, json};

use crate::support::place::{EMAIL, Ended, Place};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
]

[[policies]]
name = "packages"
path_reading = { encoded_slash = "within_segment" }
challenges = ["bearer", "basic"]
credential_from = ["header:X-API-Key"]
identity_headers = ["Remote-User", "X-Auth-Token-Id"]
rules = [{ paths = ["/projects/*"], abilities = ["projects:read", "projects:list"] }]
"#;

fn place() -> Place {
    let place = Place::new().with_user();
    place.write("config.toml", POLICY);
    place
}

fn explain(place: &Place, path: &str, token: Option<&str>) -> (Ended, Value) {
    let mut arguments = vec!["policy", "explain", "--policy", "app", "--path", path, "--json"];
    arguments.extend(token.map(|_| "--token-stdin"));
    let ended = place.run_with(&arguments, token.unwrap_or_default());
    let explanation = serde_json::from_str(&ended.stdout).unwrap();
    (ended, explanation)
}

#[test]
fn the_matching_rule_is_shown_with_its_abilities() {
    let place = place();
    let (ended, explanation) = explain(&place, "/calls/1?x=1", None);
    assert_eq!(ended.code, Some(0));
    assert_eq!((&explanation["rule"], &explanation["passes"]), (&json!(2), &Value::Null));
    assert_eq!(explanation["abilities"], json!(["calls:read"]));

    let (ended, explanation) = explain(&place, "/health", None);
    assert_eq!((ended.code, &explanation["passes"]), (Some(0), &json!(true)));
    for (path, reason) in [
        ("/other", "no rule matches this method and path, so the request is refused"),
        ("/calls/../other", "two ways: it has a segment . or .."),
        ("/calls%2f1", "it has an encoded slash (the policy's path_reading.encoded_slash says how"),
        ("/calls;v=2", "path_reading.semicolon"),
        ("/calls//1", "path_reading.empty_segments"),
        ("/calls#/health", "the path has a # that is not encoded"),
        ("other", "the path does not begin with a slash"),
    ] {
        let (ended, explanation) = explain(&place, path, None);
        assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)), "{path}");
        assert!(explanation["reason"].as_str().unwrap().contains(reason), "{explanation}");
    }
}

#[test]
fn the_verdict_on_a_token_is_shown_with_its_reason() {
    let place = place();
    let token = |ability: &str| {
        let created = place.run(&["token", "create", "--user", EMAIL, "--name", "t", "--ability", ability]);
        assert_eq!(created.code, Some(0), "{created:?}");
        created.stdout.trim().to_owned()
    };
    let (ended, explanation) = explain(&place, "/calls/1", Some(&token("calls:*")));
    assert_eq!((ended.code, &explanation["passes"]), (Some(0), &json!(true)), "{explanation}");
    assert!(explanation["reason"].as_str().unwrap().contains(EMAIL));

    let (ended, explanation) = explain(&place, "/calls/1", Some(&token("other:read")));
    assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)));
    assert!(explanation["reason"].as_str().unwrap().contains("calls:read"), "{explanation}");
    assert_eq!(explanation["missing"], json!(["calls:read"]));

    let (ended, explanation) = explain(&place, "/calls/1", Some("rubbish"));
    assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)));
    assert!(explanation["reason"].as_str().unwrap().contains("malformed"), "{explanation}");
}

#[test]
fn abilities_of_a_token_that_does_not_exist_yet_are_judged_in_the_same_words() {
    let place = place();
    // Nothing asks the database.
    std::fs::remove_file(place.path("patd.db")).unwrap();
    let explain = |policy: &str, path: &str, abilities: &str| {
        let command = ["policy", "explain", "--policy", policy, "--path", path, "--abilities", abilities, "--json"];
        let ended = place.run(&command);
        let explanation: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        (ended.code, explanation["passes"].clone(), explanation)
    };
    for (policy, path, abilities, needed, missing, reason) in [
        (
            "app",
            "/calls/1",
            "other:read, calls:*",
            &["calls:read"][..],
            &[][..],
            "a token with these abilities is allowed",
        ),
        ("app", "/calls/1", "*", &["calls:read"], &[], "a token with these abilities is allowed"),
        ("app", "/health", "", &[], &[], "the rule is public, so every request is allowed"),
        (
            "app",
            "/calls/1",
            "",
            &["calls:read"],
            &["calls:read"],
            "a token with these abilities lacks required abilities: calls:read",
        ),
        (
            "packages",
            "/projects/1",
            "projects:list,calls:read",
            &["projects:read", "projects:list"],
            &["projects:read"],
            "a token with these abilities lacks required abilities: projects:read",
        ),
        ("app", "/other", "*", &[], &[], "no rule matches this method and path, so the request is refused"),
    ] {
        let (code, passes, explanation) = explain(policy, path, abilities);
        let is_allowed = reason.ends_with("is allowed") || reason.contains("public");
        assert_eq!((code, passes), (Some(if is_allowed { 0 } else { 4 }), json!(is_allowed)), "{explanation}");
        assert_eq!(explanation["reason"], reason);
        assert_eq!((&explanation["abilities"], &explanation["missing"]), (&json!(needed), &json!(missing)));
    }
    place.write("config.toml", &format!("[tokens]\nabilities = [\"calls:read\"]\n{}", session_only()));
    let (code, _, explanation) = explain("people", "/x", "*");
    assert_eq!((code, &explanation["reason"]), (Some(4), &json!("the rule does not accept this kind of credential")));

    let base = ["policy", "explain", "--policy", "people", "--path", "/x"];
    for (more, says) in [
        (&["--abilities", "calls:raed"][..], "no token can have the ability calls:raed, because tokens.abilities"),
        (&["--abilities", "a b"], "\"a b\" must be * or words"),
        (&["--abilities", "calls:read,"], "\"\" must be * or words"),
        (&["--abilities", "*", "--token-stdin"], "cannot be used with"),
        (&["--abilities", "*", "--ip", "192.0.2.7"], "cannot be used with"),
    ] {
        let refused = place.run(&[&base[..], more].concat());
        assert!(refused.code == Some(2) && refused.stderr.contains(says), "{more:?}: {refused:?}");
    }
}

/// A policy that accepts sessions and no tokens.
fn session_only() -> &'static str {
    "[[policies]]\nname = \"people\"\nrules = [{ paths = [\"/**\"], credentials = [\"session\"] }]\n"
}

#[test]
fn allowed_addresses_apply_and_an_allowed_check_takes_one_use_of_the_quota() {
    let place = place();
    let limits = ["--allow-ip", "192.0.2.0/24", "--quota", "80", "--json"];
    let created = place.run(&[&["token", "create", "--user", EMAIL, "--name", "t"], &limits[..]].concat());
    let created: serde_json::Value = serde_json::from_str(&created.stdout).unwrap();
    let command = ["policy", "explain", "--policy", "app", "--path", "/calls/1", "--token-stdin"];
    for (address, code, message) in [
        (&["--ip", "192.0.2.7"][..], 0, "is allowed"),
        (&["--ip", "198.51.100.7"], 4, "address not allowed"),
        (&[], 4, "name the address of the client with --ip"),
    ] {
        let ended = place.run_with(&[&command[..], address].concat(), created["token"].as_str().unwrap());
        assert!(ended.code == Some(code) && ended.stdout.contains(message), "{ended:?}");
    }
    let list = place.run(&["token", "list", "--json"]);
    assert!(list.stdout.contains(r#""quota_remaining":79"#), "{list:?}");
}

#[test]
fn the_text_output_has_one_fact_per_line() {
    let place = place();
    let shown = place.run(&["policy", "explain", "--policy", "app", "--path", "/calls/1"]);
    let expected = "\
request      GET /calls/1
policy       app
rule         2: GET; /calls/**
credentials  personal_access_token, environment_token
abilities    calls:read
verdict      pass a token with --token-stdin, or its abilities with --abilities, to see whether it is allowed
";
    assert_eq!(shown.stdout, expected);
    let unknown = place.run(&["policy", "explain", "--policy", "none", "--path", "/"]);
    assert_eq!(unknown.code, Some(4));
    assert!(unknown.stdout.contains("there is no policy of that name"), "{unknown:?}");
}

#[test]
fn the_options_of_the_policy_and_the_parsed_path_are_shown() {
    let place = place();
    let command = ["policy", "explain", "--policy", "packages", "--path", "/projects/a%2Fb?x=1"];
    let shown = place.run(&command);
    let expected = r#"request      GET /projects/a%2Fb?x=1
policy       packages
segments     "projects" "a/b"
rule         1: any method; /projects/*
credentials  personal_access_token, environment_token
sent in      Authorization, header:x-api-key
challenges   basic, bearer
abilities    projects:read, projects:list
headers      Remote-User, X-Auth-Token-Id
verdict      pass a token with --token-stdin, or its abilities with --abilities, to see whether it is allowed
"#;
    assert_eq!(shown.stdout, expected);
    let explanation: Value = serde_json::from_str(&place.run(&[&command[..], &["--json"]].concat()).stdout).unwrap();
    assert_eq!(explanation["segments"], json!(["projects", "a/b"]));
    assert_eq!(explanation["challenges"], json!(["basic", "bearer"]));
    assert_eq!(explanation["credential_from"], json!(["header:x-api-key"]));
    assert_eq!(explanation["identity_headers"], json!(["Remote-User", "X-Auth-Token-Id"]));
}

/// The output has what a refusal would tell the proxy.
#[test]
fn a_refused_token_is_shown_with_its_owner_and_missing_abilities() {
    let place = place();
    let create = ["token", "create", "--user", EMAIL, "--name", "t", "--ability", "projects:read", "--json"];
    let created: Value = serde_json::from_str(&place.run(&create).stdout).unwrap();
    let user: Value = serde_json::from_str(&place.run(&["user", "list", "--json"]).stdout).unwrap();
    let command = ["policy", "explain", "--policy", "packages", "--path", "/projects/1", "--token-stdin"];
    let ended = place.run_with(&[&command[..], &["--json"]].concat(), created["token"].as_str().unwrap());
    let explanation: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)), "{explanation}");
    assert_eq!((&explanation["token_id"], &explanation["user_id"]), (&created["id"], &user["id"]));
    assert_eq!(explanation["abilities"], json!(["projects:read", "projects:list"]));
    let reason = explanation["reason"].as_str().unwrap();
    assert!(reason.ends_with("lacks required abilities: projects:list"), "{reason}");
    let shown = place.run_with(&command, created["token"].as_str().unwrap()).stdout;
    assert!(shown.contains(&format!("token        {}", created["id"].as_str().unwrap())), "{shown}");
}
