//! `patd user`: roles, invitations, sessions and unlocking.

use serde_json::{Value, json};

use crate::support::place::{EMAIL, PASSWORD, Place, create_user};

const USERS: &str = "/api/v1/admin/users";

fn listed(place: &Place, arguments: &[&str]) -> Vec<String> {
    let list = place.run(&[&["user", "list", "--json", "--sort", "email"], arguments].concat());
    assert_eq!(list.code, Some(0), "{list:?}");
    list.json_lines().iter().map(|user| user["email"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_role_is_given_and_taken_away_while_the_server_runs() {
    let place = Place::new();
    let created = place.run_with(&[&create_user(EMAIL)[..], &["--admin"]].concat(), PASSWORD);
    assert_eq!(created.code, Some(0), "{created:?}");
    let bob = place.run_with(&create_user("bob@example.com"), PASSWORD);
    assert_eq!(bob.code, Some(0), "{bob:?}");
    assert_eq!(listed(&place, &["--role", "admin"]), [EMAIL]);
    assert_eq!(listed(&place, &["--role", "member", "--state", "active"]), ["bob@example.com"]);

    let server = place.serve();
    let session = server.sign_in("bob@example.com", PASSWORD).1.unwrap();
    assert_eq!(server.get(USERS, &session), 403);
    let promoted = place.run(&["user", "set-role", "bob@example.com", "admin"]);
    assert_eq!((promoted.code, &*promoted.stderr), (Some(0), "bob@example.com is an administrator\n"));
    assert_eq!(server.get(USERS, &session), 200);
    for user in ["bob@example.com", EMAIL] {
        let demoted = place.run(&["user", "set-role", user, "member"]);
        assert_eq!(demoted.code, Some(0), "also the last one: {demoted:?}");
    }
    assert_eq!(server.get(USERS, &session), 403);
    let wrong = place.run(&["user", "set-role", EMAIL, "owner"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("member, admin"), "{wrong:?}");
}

#[test]
fn an_invitation_and_a_reset_print_a_link_that_sets_a_password_once() {
    let place = Place::new();
    let invited = place.run(&["user", "create", "--email", EMAIL, "--name", "Ada", "--admin", "--invite"]);
    assert_eq!(invited.code, Some(0), "{invited:?}");
    let link = invited.stdout.trim_end().to_owned();
    assert!(link.starts_with("lnk_") && link.len() == 52, "{invited:?}");
    assert!(!invited.stderr.contains(&link) && invited.stderr.contains("/api/v1/auth/password-link"), "{invited:?}");
    assert_eq!(listed(&place, &["--state", "invited"]), [EMAIL]);
    let shown = place.run(&["user", "show", EMAIL]).stdout;
    assert!(shown.contains("invited") && shown.contains("admin") && shown.contains("until "), "{shown}");

    let server = place.serve();
    let set = |link: &str, password: &str| {
        server.post("/api/v1/auth/password-link", "none", &json!({ "token": link, "password": password })).0
    };
    assert_eq!((set(&link, PASSWORD), set(&link, PASSWORD)), (200, 422));
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let reset = place.run(&["user", "reset-password", EMAIL, "--json"]);
    let reset: Value = serde_json::from_str(&reset.stdout).unwrap();
    assert_eq!((server.get("/api/user", &session), server.sign_in(EMAIL, PASSWORD).0), (401, 401));
    assert_eq!(set(reset["password_link"]["token"].as_str().unwrap(), "another engine altogether"), 200);
    assert_eq!(server.sign_in(EMAIL, "another engine altogether").0, 201);

    let both = place.run(&["user", "create", "--email", "x@y.z", "--name", "X", "--invite", "--password-stdin"]);
    assert!(both.code == Some(2) && both.stderr.contains("cannot be used with"), "{both:?}");
}

#[test]
fn sessions_are_listed_and_ended() {
    let place = Place::new().with_user();
    let server = place.serve();
    let sessions = [0; 2].map(|_| server.sign_in(EMAIL, PASSWORD).1.unwrap());
    let listed = place.run(&["user", "sessions", EMAIL]);
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
    assert!(!listed.stdout.contains("ses_"), "{listed:?}");
    assert_eq!(place.run(&["user", "sessions", EMAIL, "--json"]).json_lines().len(), 2);
    let ended = place.run(&["user", "sessions", EMAIL, "--end-all"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), "ada@example.com: 2 sessions of the user have ended\n"));
    assert!(sessions.iter().all(|session| server.get("/api/user", session) == 401));
    assert_eq!(place.run(&["user", "sessions", "eve@example.com"]).code, Some(3));
}

#[test]
fn an_account_is_unlocked_with_and_without_a_server() {
    let place = Place::new()
        .set("PATD__THROTTLE__PER_EMAIL_BURST", "2")
        .set("PATD__THROTTLE__PER_EMAIL_PER_MINUTE", "1")
        .with_user();
    let nothing = place.run(&["user", "unlock", EMAIL]);
    assert_eq!((nothing.code, &*nothing.stderr), (Some(0), "ada@example.com was not throttled; nothing was changed\n"));
    let server = place.serve();
    let lock = |server: &crate::support::place::Server| {
        assert_eq!([0; 3].map(|_| server.sign_in(EMAIL, "a wrong password").0), [401, 401, 429]);
    };
    lock(&server);
    let unlocked = place.run(&["user", "unlock", EMAIL]);
    assert_eq!((unlocked.code, &*unlocked.stderr), (Some(0), "ada@example.com is not throttled any more\n"));
    assert_eq!(server.sign_in(EMAIL, PASSWORD).0, 201);
    lock(&server);
    server.terminate();
    // The stopped server has saved the counters.
    let unlocked = place.run(&["user", "unlock", EMAIL]);
    assert_eq!(&*unlocked.stderr, "ada@example.com is not throttled any more\n");
    let server = place.serve();
    assert_eq!(server.sign_in(EMAIL, PASSWORD).0, 201);
}
