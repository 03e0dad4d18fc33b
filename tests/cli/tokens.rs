//! `patd token`.

use serde_json::{Value, json};

use crate::support::place::{EMAIL, Place};

fn created(place: &Place, arguments: &[&str]) -> Value {
    let base = ["token", "create", "--user", EMAIL, "--name", "CI", "--json"];
    let ended = place.run(&[&base[..], arguments].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn listed(place: &Place, arguments: &[&str]) -> Vec<Value> {
    place.run(&[&["token", "list", "--json"], arguments].concat()).json_lines()
}

#[test]
fn a_running_server_accepts_a_new_token_and_refuses_a_revoked_one_at_once() {
    let place = Place::new().with_user();
    let server = place.serve();
    let created_token = place.run(&["token", "create", "--user", EMAIL, "--name", "CI"]);
    let token = created_token.stdout.trim_end();
    assert!(token.starts_with("pat_") && !token.contains(char::is_whitespace), "{created_token:?}");
    assert!(!created_token.stderr.contains("pat_"), "{created_token:?}");
    // Twice, so that the server has cached it.
    for _ in 0..3 {
        assert_eq!(server.get("/api/user", token), 200);
    }

    let id = listed(&place, &[])[0]["id"].as_str().unwrap().to_owned();
    let revoked = place.run(&["token", "revoke", &id]);
    assert_eq!(server.get("/api/user", token), 401);
    assert_eq!((revoked.code, &*revoked.stdout), (Some(0), ""));
    assert_eq!(place.run(&["token", "revoke", &id]).code, Some(3));
}

#[test]
fn a_printed_token_needs_no_shell_quoting() {
    let place = Place::new().with_user();
    let text = place.run(&["token", "create", "--user", EMAIL, "--name", "CI"]).stdout;
    let json = created(&place, &[]);
    for token in [text.trim_end(), json["token"].as_str().unwrap()] {
        assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{token}");
    }
}

#[test]
fn a_token_gets_annotations_and_is_found_by_them() {
    let place = Place::new().with_user();
    let annotated = created(
        &place,
        &["--description", "The nightly build", "--metadata", "team=payments", "--metadata", "url=a=b"],
    );
    let metadata = json!({ "team": "payments", "url": "a=b" });
    assert_eq!((&annotated["description"], &annotated["metadata"]), (&json!("The nightly build"), &metadata));
    created(&place, &["--metadata", "team=web"]);
    created(&place, &[]);
    let found = listed(&place, &["--metadata", "team=payments", "--metadata", "url=a=b"]);
    assert_eq!((found.len(), &found[0]["id"]), (1, &annotated["id"]));
    assert_eq!((&found[0]["description"], &found[0]["metadata"]), (&json!("The nightly build"), &metadata));
    assert!(listed(&place, &["--metadata", "team=payments", "--metadata", "url=b"]).is_empty());
    assert_eq!(listed(&place, &[]).len(), 3);
    for (arguments, words) in [
        (&["--metadata", "team"][..], "write KEY=VALUE, such as team=payments"),
        (&["--metadata", "=payments"], "write KEY=VALUE"),
        (&["--metadata", "a=1", "--metadata", "a=2"], "the key \"a\" twice"),
    ] {
        for command in [&["token", "list"][..], &["token", "create", "--user", EMAIL, "--name", "CI"]] {
            let refused = place.run(&[command, arguments].concat());
            assert!(refused.code == Some(2) && refused.stderr.contains(words), "{refused:?}");
        }
    }
    let long = "x".repeat(1001);
    let refused = place.run(&["token", "create", "--user", EMAIL, "--name", "CI", "--description", &long]);
    assert!(refused.code != Some(0) && refused.stderr.contains("description"), "{refused:?}");
}

#[test]
fn a_canary_token_is_made_and_refused() {
    let place = Place::new().with_user();
    let server = place.serve();
    let canary = created(&place, &["--canary"]);
    assert_eq!(canary["canary"], true);
    assert_eq!(server.get("/api/user", canary["token"].as_str().unwrap()), 401);
    assert_eq!(listed(&place, &[])[0]["canary"], true);
}

#[test]
fn the_audit_trail_names_the_command_line_as_the_actor() {
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, crate::support::place::PASSWORD).1.unwrap();
    let id = created(&place, &[])["id"].as_str().unwrap().to_owned();
    created(&place, &[]);
    for revoke in [&["token", "revoke", &id][..], &["token", "revoke", "--user", EMAIL, "--all"]] {
        assert_eq!(place.run(revoke).code, Some(0));
        let event = &server.read("/api/v1/user/audit?limit=1", &session)["data"][0];
        assert_eq!((&event["action"], &event["actor"]["type"]), (&json!("token.revoked"), &json!("command_line")));
    }
}

#[test]
fn json_output_equals_the_answer_of_the_api() {
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, crate::support::place::PASSWORD).1.unwrap();
    let body = json!({"name": "CI"});
    let (_, answer) = server.post("/api/v1/user/api-tokens", &session, &body);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let created_token = created(&place, &[]);
    assert_eq!(keys(&created_token), keys(&answer["data"]));
    assert_eq!(created_token["abilities"], answer["data"]["abilities"]);
}

#[test]
fn abilities_and_expiry_are_stored_as_given() {
    let place = Place::new().with_user();
    assert_eq!(created(&place, &[])["abilities"], json!(["*"]));
    assert_eq!(created(&place, &["--no-abilities"])["abilities"], json!([]));
    let some = ["--ability", "calls:read", "--ability", "tokens:introspect"];
    let some = created(&place, &[&some[..], &["--expires-in", "90d"]].concat());
    assert_eq!(some["abilities"], json!(["calls:read", "tokens:introspect"]));
    assert!(some["expires_at"].is_string());

    let base = ["token", "create", "--user", EMAIL, "--name", "CI"];
    for (arguments, code) in [
        (&["--ability", "no spaces"][..], 4),
        (&["--ability", "a", "--no-abilities"], 2),
        (&["--expires-in", "soon"], 2),
    ] {
        let ended = place.run(&[&base[..], arguments].concat());
        assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{ended:?}");
    }
}

#[test]
fn lists_cover_all_users_pages_and_states() {
    let place = Place::new().with_user();
    let bob = place.run_with(&crate::support::place::create_user("bob@example.com"), crate::support::place::PASSWORD);
    assert_eq!(bob.code, Some(0));
    let first = created(&place, &[]);
    let server = place.serve();
    let session = server.sign_in(EMAIL, crate::support::place::PASSWORD).1.unwrap();
    for _ in 0..100 {
        let body = json!({"name": "one of many"});
        assert_eq!(server.post("/api/v1/user/api-tokens", &session, &body).0, 201);
    }
    assert_eq!(listed(&place, &[]).len(), 101);
    assert_eq!(listed(&place, &["--user", EMAIL]).len(), 101);
    assert_eq!(listed(&place, &["--user", "bob@example.com"]).len(), 0);

    let id = first["id"].as_str().unwrap();
    assert_eq!(place.run(&["token", "revoke", id]).code, Some(0));
    let revoked = listed(&place, &["--state", "revoked"]);
    assert_eq!(revoked.len(), 1);
    assert_eq!((&revoked[0]["id"], &revoked[0]["state"]), (&json!(id), &json!("revoked")));
    assert_eq!(revoked[0]["revoked_reason"], "revoked_by_owner");
    assert_eq!(listed(&place, &[]).len(), 100);
}

#[test]
fn usage_limits_are_stored_as_given_and_shown() {
    let place = Place::new().with_user();
    let limits = ["--allow-ip", "192.0.2.0/24", "--allow-ip", "::1", "--requests-per-minute", "60", "--quota", "9"];
    let created_token = created(&place, &limits);
    let list = listed(&place, &[]);
    for shown in [&created_token, &list[0]] {
        assert_eq!(shown["ip_allowlist"], json!(["192.0.2.0/24", "::1/128"]));
        assert_eq!(shown["requests_per_minute"], 60);
        assert_eq!((&shown["quota"], &shown["quota_remaining"]), (&json!(9), &json!(9)));
    }
    let base = ["token", "create", "--user", EMAIL, "--name", "CI"];
    for (arguments, code) in [
        (["--allow-ip", "example.com"], 4),
        (["--requests-per-minute", "0"], 2),
        (["--requests-per-minute", "1000001"], 2),
        (["--quota", "0"], 2),
    ] {
        assert_eq!(place.run(&[&base[..], &arguments].concat()).code, Some(code), "{arguments:?}");
    }
    assert_eq!(listed(&place, &[]).len(), 1);
}

#[test]
fn a_running_server_applies_disabling_enabling_and_the_revocation_of_all() {
    let place = Place::new().with_user();
    let (first, second) = (created(&place, &[]), created(&place, &[]));
    let server = place.serve();
    let statuses = || [&first, &second].map(|token| server.get("/api/user", token["token"].as_str().unwrap()));
    let id = first["id"].as_str().unwrap();
    assert_eq!(statuses(), [200, 200]);
    for _ in 0..2 {
        assert_eq!(place.run(&["token", "disable", id]).code, Some(0));
        assert_eq!(statuses(), [401, 200]);
    }
    assert_eq!(listed(&place, &[])[1]["state"], "disabled");
    assert_eq!(place.run(&["token", "enable", id]).code, Some(0));
    assert_eq!(statuses(), [200, 200]);

    for refused in [&["--all"][..], &["--user", EMAIL], &[id, "--all", "--user", EMAIL], &[]] {
        assert_eq!(place.run(&[&["token", "revoke"], refused].concat()).code, Some(2), "{refused:?}");
    }
    assert_eq!(statuses(), [200, 200]);
    let revoked = place.run(&["token", "revoke", "--user", EMAIL, "--all"]);
    assert_eq!(statuses(), [401, 401]);
    assert!(revoked.code == Some(0) && revoked.stderr.contains("2 tokens are revoked"), "{revoked:?}");
    for verb in ["disable", "enable"] {
        assert_eq!(place.run(&["token", verb, id]).code, Some(3));
    }
}

#[test]
fn a_secret_given_as_an_id_is_not_printed() {
    let place = Place::new().with_user();
    let secret = created(&place, &[])["token"].as_str().unwrap().to_owned();
    let ended = place.run(&["token", "revoke", &secret]);
    assert_eq!(ended.code, Some(3));
    assert!(!ended.stderr.contains(&secret) && ended.stderr.contains("patd token list"));
}

#[test]
fn a_disabled_user_gets_no_token() {
    let place = Place::new().with_user();
    assert_eq!(place.run(&["user", "disable", EMAIL]).code, Some(0));
    let ended = place.run(&["token", "create", "--user", EMAIL, "--name", "CI"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("is disabled"), "{ended:?}");
    let ended = place.run(&["token", "create", "--user", "eve@example.com", "--name", "CI"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[test]
fn a_token_that_could_not_be_printed_is_an_error() {
    let place = Place::new().with_user();
    let ended = place.run_unread(&["token", "create", "--user", EMAIL, "--name", "CI"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let id = listed(&place, &[])[0]["id"].as_str().unwrap().to_owned();
    assert!(ended.stderr.contains(&format!("patd token revoke {id}")), "{ended:?}");
}

#[test]
fn errors_name_the_flags() {
    let place = Place::new().with_user();
    let mut settings = "[tokens]\nmax_lifetime = '30d'\nabilities = ['calls:read']\n".to_owned();
    place.write("config.toml", &settings);
    let base = ["token", "create", "--user", EMAIL, "--name", "CI"];
    let stderr_of = |arguments: &[&str]| {
        let ended = place.run(&[&base[..], arguments].concat());
        assert_eq!(ended.code, Some(4), "{ended:?}");
        ended.stderr.lines().skip(1).collect::<Vec<_>>().join("\n")
    };
    for (arguments, expected) in [
        (&["--expires-in", "31d"][..], "patd: --expires-in must not be more than 30 days from now"),
        (&["--ability", "calls:read", "--ability", "a b"], "patd: --ability number 2 "),
        (&["--ability", "calls:write"], "patd: --ability number 1 is not an ability that this server knows."),
        (&["--allow-ip", "::1", "--allow-ip", "bad"], "patd: --allow-ip number 2 must be an IP address or a network"),
    ] {
        assert!(stderr_of(arguments).starts_with(expected), "{}", stderr_of(arguments));
    }
    settings += "max_per_user = 1\n";
    place.write("config.toml", &settings);
    assert_eq!(place.run(&base).code, Some(0));
    assert!(stderr_of(&[]).starts_with("patd: The owner has 1 live tokens"), "{}", stderr_of(&[]));
}

#[test]
fn a_token_without_abilities_is_refused_if_they_are_required() {
    let place = Place::new().with_user().set("PATD__TOKENS__REQUIRE_ABILITIES", "true");
    let create = ["token", "create", "--user", EMAIL, "--name", "CI"];
    let refused = place.run(&create);
    let expected = "patd: --ability is required on this server. Name each ability, or * for full access.\n";
    assert_eq!((refused.code, &*refused.stdout, &*refused.stderr), (Some(4), "", expected));
    for (arguments, abilities) in [
        (&["--ability", "*"][..], json!(["*"])),
        (&["--no-abilities"], json!([])),
        (&["--ability", "calls:read"], json!(["calls:read"])),
    ] {
        assert_eq!(created(&place, arguments)["abilities"], abilities);
    }
    let hidden = place.run(&["token", "create", "--user", EMAIL, "--name", "a\u{202e}b", "--no-abilities"]);
    assert_eq!(hidden.code, Some(4));
    assert!(hidden.stderr.contains("--name must not contain U+202E"), "{hidden:?}");
}
