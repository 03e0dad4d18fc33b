//! `patd service-account`, `patd environment`, and what a user owns.

use serde_json::Value;

use crate::support::place::{EMAIL, PASSWORD, Place, create_user};

fn done(place: &Place, arguments: &[&str]) -> String {
    let run = place.run(arguments);
    assert_eq!(run.code, Some(0), "{arguments:?}: {run:?}");
    run.stdout.trim().to_owned()
}

#[test]
fn a_service_account_is_created_gets_a_token_and_is_deleted() {
    let place = Place::new().with_user();
    let server = place.serve();
    let create = ["service-account", "create", "--name", "ci", "--description", "builds", "--manager", EMAIL];
    let id = done(&place, &create);
    let shown: Value = serde_json::from_str(&done(&place, &["service-account", "show", &id, "--json"])).unwrap();
    assert_eq!((&shown["name"], &shown["description"]), (&"ci".into(), &"builds".into()));
    assert_eq!(shown["managers"][0]["name"], "Ada");
    assert!(done(&place, &["service-account", "show", &id]).contains("Ada ("));

    let token = done(&place, &["token", "create", "--owner", &id, "--name", "deploy", "--ability", "user:read"]);
    assert_eq!(server.read("/api/user", &token)["id"], id.as_str());
    let refused = place.run(&["token", "create", "--owner", &id, "--name", "t", "--ability", "admin:*"]);
    assert_eq!(refused.code, Some(4));
    assert_eq!(
        refused.stderr.trim(),
        "patd: --ability number 1 is of no use to a service account, which is never an administrator."
    );
    assert!(done(&place, &["token", "list"]).contains("ci"), "the list names the owner");
    assert!(done(&place, &["token", "list", "--user", &id]).contains("deploy"));

    done(&place, &["service-account", "disable", &id]);
    assert_eq!(server.get("/api/user", &token), 401);
    assert!(done(&place, &["service-account", "list"]).contains("disabled"));
    let refused = place.run(&["token", "create", "--owner", &id, "--name", "t"]);
    assert!(refused.stderr.contains(&format!("patd service-account enable {id}")), "{refused:?}");
    done(&place, &["service-account", "enable", &id]);
    assert_eq!(server.get("/api/user", &token), 200);
    done(&place, &["service-account", "update", &id, "--name", "builds", "--description", ""]);
    let list = place.run(&["service-account", "list", "--search", "BUILD", "--json"]).json_lines();
    assert_eq!((&list[0]["name"], &list[0]["description"]), (&"builds".into(), &Value::Null));
    done(&place, &["service-account", "remove-manager", &id, EMAIL]);
    let again = place.run(&["service-account", "remove-manager", &id, EMAIL]);
    assert_eq!((again.code, again.stderr.contains("does not manage")), (Some(4), true), "{again:?}");
    done(&place, &["service-account", "add-manager", &id, EMAIL]);
    done(&place, &["service-account", "delete", &id]);
    assert_eq!(server.get("/api/user", &token), 401);
    let gone = place.run(&["service-account", "show", &id]);
    assert_eq!(gone.code, Some(3));
    assert!(gone.stderr.contains("patd service-account list"), "{gone:?}");
}

#[test]
fn what_a_user_owns_is_listed_and_handed_over() {
    let place = Place::new().with_user();
    assert_eq!(place.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
    let token = done(&place, &["token", "create", "--user", EMAIL, "--name", "deploy", "--ability", "user:read"]);
    let owns = done(&place, &["user", "owns", EMAIL]);
    assert!(owns.contains("personal access tokens: 1") && owns.contains("  deploy"), "{owns}");
    let server = place.serve();
    let handed_over = place.run(&["user", "hand-over", EMAIL, "--to", "bob@example.com"]);
    assert_eq!(handed_over.code, Some(0), "{handed_over:?}");
    assert!(handed_over.stderr.contains("1 live tokens, 0 environments"), "{handed_over:?}");
    assert_eq!(server.read("/api/user", &token)["email"], "bob@example.com");
    let owned: Value = serde_json::from_str(&done(&place, &["user", "owns", EMAIL, "--json"])).unwrap();
    assert_eq!((&owned["tokens"]["count"], &owned["environments"]["count"]), (&0.into(), &1.into()));

    for (arguments, code, said) in [
        (["user", "hand-over", EMAIL, "--to", EMAIL], 4, "--to must not be the present owner."),
        (["user", "hand-over", EMAIL, "--to", "nobody@example.com"], 3, "there is no user nobody@example.com"),
    ] {
        let refused = place.run(&arguments);
        assert_eq!((refused.code, refused.stderr.contains(said)), (Some(code), true), "{refused:?}");
    }
    let refused = place.run(&["user", "hand-over", EMAIL, "--to", "bob@example.com", "--token", "x"]);
    assert!(refused.stderr.contains("--token number 1 must be an id."), "{refused:?}");
}

#[test]
fn environments_are_listed_transferred_and_deleted() {
    let place = Place::new().with_user();
    assert_eq!(place.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let created = server.post("/api/v1/environments", &session, &serde_json::json!({ "name": "prod" }));
    assert_eq!(created.0, 201);
    let list = place.run(&["environment", "list", "--owner", EMAIL, "--json"]).json_lines();
    assert_eq!(list.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), ["prod", "Default"]);
    let (prod, default) = (list[0]["id"].as_str().unwrap(), list[1]["id"].as_str().unwrap());
    assert_eq!(done(&place, &["environment", "list"]).lines().count(), 4, "a heading and three environments");
    assert!(done(&place, &["environment", "list", "--search", "PROD"]).contains(EMAIL));

    done(&place, &["environment", "transfer", prod, "--to", "bob@example.com"]);
    let shown: Value = serde_json::from_str(&done(&place, &["environment", "show", prod, "--json"])).unwrap();
    assert_eq!(shown["owner"]["email"], "bob@example.com");
    for command in
        [&["environment", "transfer", default, "--to", "bob@example.com"][..], &["environment", "delete", default]]
    {
        let refused = place.run(command);
        assert_eq!(
            (refused.code, refused.stderr.contains("is the default environment")),
            (Some(4), true),
            "{refused:?}"
        );
    }
    done(&place, &["environment", "delete", prod]);
    assert_eq!(place.run(&["environment", "show", prod]).code, Some(3));
}
