//! `patd user delete` and `patd user export`.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::support::place::{EMAIL, PASSWORD, Place, create_user};

/// Whether the database or its log holds this text.
fn holds(place: &Place, text: &str) -> bool {
    ["patd.db", "patd.db-wal"].iter().any(|file| {
        let bytes = fs::read(place.path(file)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
    })
}

#[test]
fn without_a_server_the_command_leaves_nothing_of_the_user() {
    let place = Place::new().with_user();
    assert_eq!(place.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
    assert_eq!(place.run(&["user", "set-email", EMAIL, "second@example.org"]).code, Some(0));
    assert!(holds(&place, EMAIL) && holds(&place, "second@example.org"));
    let deleted = place.run(&["user", "delete", "second@example.org", "--yes", "--json"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    assert_eq!(
        deleted.stderr,
        "second@example.org was deleted, with 0 sessions, 0 personal access tokens and 1 environment that has 0 tokens\n"
    );
    assert_eq!(deleted.json_lines()[0]["environments"], 1);
    assert!(!holds(&place, EMAIL) && !holds(&place, "second@example.org"));
    assert!(holds(&place, "bob@example.com"));
    assert_eq!(place.run(&["user", "show", EMAIL]).code, Some(3));
}

#[test]
fn a_running_server_refuses_the_user_at_once_and_overwrites_the_rest_soon() {
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    assert_eq!(server.get("/api/user", &session), 200);
    let deleted = place.run(&["user", "delete", EMAIL, "--yes"]);
    assert_eq!((deleted.code, &*deleted.stdout), (Some(0), ""), "{deleted:?}");
    assert!(deleted.stderr.contains("1 session,"), "{deleted:?}");
    assert_eq!(server.get("/api/user", &session), 401);
    let start = Instant::now();
    while holds(&place, EMAIL) {
        assert!(start.elapsed() < Duration::from_secs(20), "the server did not overwrite it");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(place.run_with(&create_user(EMAIL), PASSWORD).code, Some(0), "somebody else takes the address");
}

#[test]
fn without_a_terminal_a_deletion_needs_an_option() {
    let place = Place::new().with_user();
    let refused = place.run(&["user", "delete", EMAIL]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("ada@example.com is deleted for good, with 0 sessions"), "{refused:?}");
    assert!(refused.stderr.contains("pass --yes"), "{refused:?}");
    assert_eq!(place.run(&["user", "show", EMAIL]).code, Some(0));
    assert_eq!(place.run(&["user", "delete", "eve@example.com", "--yes"]).code, Some(3));
}

#[test]
fn what_a_user_owns_is_handed_over_by_the_command_that_disables_or_deletes_them() {
    let place = Place::new().with_user();
    assert_eq!(place.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
    let create = ["token", "create", "--user", EMAIL, "--name", "deploy", "--ability", "user:read"];
    let token = place.run(&create).stdout.trim().to_owned();
    // The preview, which says what to do, and changes nothing.
    let preview = place.run(&["user", "delete", EMAIL]).stderr;
    assert!(preview.contains("1 personal access token and") && preview.contains("--transfer-to OWNER"), "{preview}");
    let preview = place.run(&["user", "delete", EMAIL, "--transfer-to", "bob@example.com"]).stderr;
    assert!(preview.contains("0 personal access tokens and 1 environment that has 0 tokens"), "{preview}");
    assert!(preview.contains("1 live token and 0 environments get another owner first: bob@example.com."), "{preview}");

    let server = place.serve();
    assert_eq!(server.read("/api/user", &token)["email"], EMAIL);
    let dry_run = place.run(&["user", "disable", EMAIL, "--dry-run"]);
    assert!(dry_run.stdout.contains("personal access tokens: 1") && dry_run.stdout.contains("  deploy"), "{dry_run:?}");
    assert_eq!((dry_run.code, &*dry_run.stderr), (Some(0), "ada@example.com would be disabled\n"));
    let disabled = place.run(&["user", "disable", EMAIL, "--transfer-to", "bob@example.com", "--json"]);
    assert_eq!(
        (disabled.code, &*disabled.stderr),
        (Some(0), "ada@example.com is disabled; 1 live token and 0 environments were handed over\n")
    );
    assert_eq!(disabled.json_lines()[0]["owns"]["tokens"]["first"][0]["name"], "deploy");
    assert_eq!(server.read("/api/user", &token)["email"], "bob@example.com");

    let refused = place.run(&["user", "delete", "bob@example.com", "--yes", "--transfer-to", EMAIL]);
    assert_eq!((refused.code, refused.stderr.contains("--transfer-to must not be disabled.")), (Some(4), true));
    let unknown = place.run(&["user", "delete", "bob@example.com", "--yes", "--transfer-to", "eve@example.com"]);
    assert_eq!((unknown.code, unknown.stderr.contains("no user eve@example.com")), (Some(3), true), "{unknown:?}");
    assert_eq!(place.run(&["user", "enable", EMAIL]).code, Some(0));
    let deleted = place.run(&["user", "delete", "bob@example.com", "--yes", "--transfer-to", EMAIL]);
    assert!(deleted.stderr.ends_with("; 1 live token and 0 environments were handed over before\n"), "{deleted:?}");
    assert_eq!(server.read("/api/user", &token)["email"], EMAIL);
}

#[test]
fn an_export_is_one_document_on_stdout_or_in_a_new_file() {
    let place = Place::new().with_user();
    let printed = place.run(&["user", "export", EMAIL]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let export: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(export["profile"][0]["email"], EMAIL);
    assert_eq!(
        (&export["tokens"], &export["audit_trail"][0]["action"]),
        (&serde_json::json!([]), &"user.created".into())
    );
    assert!(!printed.stdout.contains("argon2id"));
    let _server = place.serve();
    let written = place.run(&["user", "export", EMAIL, "--output", "ada.json"]);
    assert_eq!((written.code, &*written.stdout), (Some(0), ""), "{written:?}");
    let text = fs::read_to_string(place.path("ada.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["profile"], export["profile"]);
    let again = place.run(&["user", "export", EMAIL, "--output", "ada.json"]);
    assert_eq!(again.code, Some(4), "{again:?}");
    assert_eq!(place.run(&["user", "export", "eve@example.com"]).code, Some(3));
}
