//! `patd user`.

use serde_json::Value;

use crate::support::place::{EMAIL, PASSWORD, Place, create_user};

fn shown(place: &Place, who: &str) -> Value {
    let shown = place.run(&["user", "show", who, "--json"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_eq!(shown.stdout.lines().count(), 1);
    serde_json::from_str(&shown.stdout).unwrap()
}

/// What lists show of an account.
fn account(mut shown: Value) -> Value {
    let details = ["password_link_expires_at", "last_sign_in_at", "tokens", "sessions", "environments"];
    for field in details {
        assert!(shown.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    shown
}

#[test]
fn a_user_is_created_listed_and_shown() {
    let place = Place::new();
    let created = place.run_with(&create_user(EMAIL), PASSWORD);
    assert_eq!(created.code, Some(0), "{created:?}");
    let id = created.stdout.trim();
    let by_email = shown(&place, "ADA@example.com");
    assert_eq!(by_email["id"], id);
    assert_eq!(by_email["name"], "Ada");
    assert_eq!(by_email["disabled_at"], Value::Null);
    assert_eq!(shown(&place, id), by_email);

    let list = place.run(&["user", "list"]);
    let lines: Vec<_> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{list:?}");
    assert_eq!(lines[0].find("EMAIL"), lines[1].find(EMAIL));
    assert_eq!(place.run(&["user", "list", "--json"]).json_lines(), [account(by_email)]);
}

#[test]
fn create_prints_json_on_request() {
    let place = Place::new();
    let created = place.run_with(&[&create_user(EMAIL)[..], &["--json"]].concat(), PASSWORD);
    let created: Value = serde_json::from_str(&created.stdout).unwrap();
    assert_eq!(created, account(shown(&place, EMAIL)));
}

#[test]
fn a_running_server_applies_disable_enable_and_set_password() {
    let place = Place::new().with_user();
    let server = place.serve();
    let (status, session) = server.sign_in(EMAIL, PASSWORD);
    let session = session.unwrap();
    assert_eq!((status, server.get("/api/user", &session)), (201, 200));

    assert_eq!(place.run(&["user", "disable", EMAIL]).code, Some(0));
    assert_eq!(server.get("/api/user", &session), 401);
    assert_eq!(server.sign_in(EMAIL, PASSWORD).0, 401);
    assert!(shown(&place, EMAIL)["disabled_at"].is_string());

    assert_eq!(place.run(&["user", "enable", EMAIL]).code, Some(0));
    assert_eq!(server.get("/api/user", &session), 401);
    let (_, session) = server.sign_in(EMAIL, PASSWORD);
    assert_eq!(server.get("/api/user", session.as_ref().unwrap()), 200);

    place.write("secret", "another engine altogether\n");
    let set = place.run(&["user", "set-password", EMAIL, "--password-file", "secret"]);
    assert_eq!(set.code, Some(0), "{set:?}");
    assert_eq!(server.get("/api/user", session.as_ref().unwrap()), 401);
    assert_eq!(server.sign_in(EMAIL, PASSWORD).0, 401);
    assert_eq!(server.sign_in(EMAIL, "another engine altogether").0, 201);
}

#[test]
fn a_running_server_applies_a_change_of_the_email_address() {
    let place = Place::new().with_user();
    let server = place.serve();
    let (_, session) = server.sign_in(EMAIL, PASSWORD);
    let set = place.run(&["user", "set-email", EMAIL, "ada@new.example"]);
    assert_eq!(set.code, Some(0), "{set:?}");
    assert!(set.stderr.contains("ada@new.example"), "{set:?}");
    assert_eq!(server.read("/api/user", session.as_ref().unwrap())["email"], "ada@new.example");
    assert_eq!((server.sign_in(EMAIL, PASSWORD).0, server.sign_in("ada@new.example", PASSWORD).0), (401, 201));
    let trail = server.read("/api/v1/user/audit", session.as_ref().unwrap());
    let changed = trail["data"].as_array().unwrap().iter().find(|event| event["action"] == "user.email_changed");
    assert_eq!(changed.unwrap()["detail"], "ada@example.com -> ada@new.example");

    let other = place.run_with(&create_user("bob@example.com"), PASSWORD);
    assert_eq!(other.code, Some(0), "{other:?}");
    let duplicate = place.run(&["user", "set-email", "bob@example.com", "ADA@new.example"]);
    assert_eq!((duplicate.code, &*duplicate.stderr), (Some(4), "patd: The email has already been taken.\n"));
    let no_address = place.run(&["user", "set-email", "bob@example.com", "bob"]);
    assert_eq!(
        (no_address.code, &*no_address.stderr),
        (Some(4), "patd: the e-mail address must be a valid email address.\n")
    );
}

#[test]
fn a_trailing_line_break_is_not_part_of_a_password_but_spaces_are() {
    let place = Place::new();
    let password = " spaces around 1000 wheels ";
    let created = place.run_with(&create_user(EMAIL), &format!("{password}\r\n"));
    assert_eq!(created.code, Some(0), "{created:?}");
    let server = place.serve();
    assert_eq!(server.sign_in(EMAIL, password).0, 201);
    assert_eq!(server.sign_in(EMAIL, password.trim()).0, 401);
}

#[test]
fn without_a_terminal_a_password_needs_an_option() {
    let place = Place::new();
    let created = place.run(&create_user(EMAIL)[..6]);
    assert_eq!(created.code, Some(2), "{created:?}");
    assert!(created.stderr.contains("--password-stdin") && created.stderr.contains("--password-file"));
    assert!(!place.path("patd.db").exists());
}

#[test]
fn a_password_is_never_accepted_as_an_argument() {
    let place = Place::new();
    for arguments in [&["--password=hunter2"][..], &["--password", "hunter2"]] {
        let created = place.run(&[&create_user(EMAIL)[..6], arguments].concat());
        assert_eq!(created.code, Some(2));
        assert!(!created.stderr.contains("hunter2"), "{created:?}");
    }
}

#[test]
fn each_violated_rule_is_reported() {
    let place = Place::new().with_user();
    let refused = |arguments: &[&str], input: &str| {
        let ended = place.run_with(arguments, input);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert_eq!(ended.stdout, "");
        ended.stderr
    };
    let short = refused(&create_user("bob@example.com"), "short\n");
    assert!(short.contains("patd: the password must be at least 15 characters"), "{short}");
    let duplicate = refused(&create_user("ADA@example.com"), PASSWORD);
    assert!(duplicate.contains("already been taken"), "{duplicate}");
    let both = refused(&["user", "create", "--email", "ada", "--name", " ", "--password-stdin"], PASSWORD);
    assert!(both.contains("valid email address"), "{both}");
    assert!(both.contains("patd: --name is required.") && both.contains("patd: --email must be"), "{both}");
}

#[test]
fn an_unknown_user_is_not_found() {
    let place = Place::new().with_user();
    for command in ["show", "disable", "enable"] {
        let ended = place.run(&["user", command, "eve@example.com"]);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("no user eve@example.com"));
    }
}

#[test]
fn a_name_cannot_send_control_sequences_to_the_terminal() {
    let place = Place::new().with_user();
    let mut arguments = create_user(EMAIL);
    arguments[5] = "A\u{202e}da";
    let refused = place.run_with(&arguments, PASSWORD);
    assert!(refused.code == Some(4) && refused.stderr.contains("--name must not contain"), "{refused:?}");
    arguments[3] = "a\u{202e}da@example.com";
    arguments[5] = "Ada";
    let refused = place.run_with(&arguments, PASSWORD);
    assert!(refused.code == Some(4) && !refused.stderr.contains('\u{202e}'), "{refused:?}");
    let unknown = place.run(&["user", "show", "a\u{202e}da"]);
    assert!(unknown.code == Some(3) && unknown.stderr.contains("a\\u{202e}da"), "{unknown:?}");
}

#[test]
fn a_reader_that_closes_the_pipe_causes_no_error() {
    let place = Place::new().with_user();
    let list = place.run_unread(&["user", "list"]);
    assert_eq!((list.code, &*list.stderr), (Some(0), ""));
}

#[test]
fn a_missing_database_is_reported_and_not_created() {
    let place = Place::new();
    let list = place.run(&["user", "list"]);
    assert_eq!(list.code, Some(5), "{list:?}");
    assert!(list.stderr.contains("patd.db does not exist"), "{list:?}");
    assert!(!place.path("patd.db").exists());
}
