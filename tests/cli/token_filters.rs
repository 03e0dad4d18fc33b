//! The filters of `patd token list` and `patd token revoke`.

use serde_json::Value;

use crate::support::place::{EMAIL, Place};

fn create(place: &Place, name: &str, arguments: &[&str]) -> Value {
    let base = ["token", "create", "--user", EMAIL, "--name", name, "--json"];
    let ended = place.run(&[&base[..], arguments].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn names(place: &Place, arguments: &[&str]) -> String {
    let listed = place.run(&[&["token", "list", "--json"], arguments].concat()).json_lines();
    listed.iter().map(|token| token["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_list_has_all_filters() {
    let place = Place::new().with_user();
    create(&place, "one", &["--ability", "calls:*", "--expires-in", "10d", "--metadata", "team=payments"]);
    create(&place, "two", &["--ability", "calls:read", "--expires-in", "90d"]);
    let bait = create(&place, "bait", &["--canary", "--no-abilities"]);
    for (arguments, expected) in [
        (&["--ability", "calls:write"][..], "one"),
        (&["--ability", "calls:read"], "two one"),
        (&["--kind", "environment_token"], ""),
        (&["--kind", "personal_access_token", "--name", "O"], "two one"),
        (&["--canary"], "bait"),
        (&["--canary=false"], "two one"),
        (&["--service-account"], ""),
        (&["--expires-after", "30d"], "two"),
        (&["--expires-before", "30d"], "one"),
        (&["--created-after", "1h"], "bait two one"),
        (&["--created-before", "1h"], ""),
        (&["--created-after", "2000-01-01", "--metadata", "team=payments"], "one"),
        (&["--last-used-after", "1h"], ""),
        (&["--unused-for", "1h"], ""),
    ] {
        assert_eq!(names(&place, arguments), expected, "{arguments:?}");
    }
    assert_eq!(place.run(&["token", "revoke", bait["id"].as_str().unwrap()]).code, Some(0));
    assert_eq!((names(&place, &[]), names(&place, &["--all"])), ("two one".into(), "bait two one".into()));
    assert_eq!(names(&place, &["--state", "all"]), "bait two one");
    for (arguments, words) in [
        (&["--kind", "pat"][..], "personal_access_token"),
        (&["--unused-for", "90"], "a duration such as"),
        (&["--ability", "a b"], "ability"),
        (&["--created-after", "yesterday"], "must be a date"),
    ] {
        let refused = place.run(&[&["token", "list"], arguments].concat());
        assert!(
            [Some(2), Some(4)].contains(&refused.code) && refused.stderr.contains(words),
            "{arguments:?}: {refused:?}"
        );
    }
}

#[test]
fn a_revocation_by_filters_is_tried_first_and_then_done() {
    let place = Place::new().with_user();
    let server = place.serve();
    let [one, two] = ["one", "two"].map(|name| create(&place, name, &["--metadata", "team=payments"]));
    let other = create(&place, "other", &[]);
    let is_valid = |token: &Value| server.get("/api/user", token["token"].as_str().unwrap()) == 200;
    let filter = ["token", "revoke", "--metadata", "team=payments"];
    let tried = place.run(&[&filter[..], &["--dry-run"]].concat());
    let ids = format!("{}\n{}\n", two["id"].as_str().unwrap(), one["id"].as_str().unwrap());
    assert_eq!((tried.code, &*tried.stdout), (Some(0), &*ids), "{tried:?}");
    assert!(tried.stderr.contains("2 tokens would be revoked; nothing was changed"), "{tried:?}");
    assert!(is_valid(&one));
    let done = place.run(&filter);
    assert!(done.code == Some(0) && done.stderr.contains("2 tokens revoked"), "{done:?}");
    assert!(!is_valid(&one) && !is_valid(&two) && is_valid(&other));

    let tried = place.run(&["token", "revoke", "--all", "--user", EMAIL, "--dry-run"]);
    assert_eq!(tried.stdout.trim_end(), other["id"].as_str().unwrap(), "{tried:?}");
    for (arguments, words) in [
        (&["token", "revoke"][..], "name a token by its id, or at least one filter"),
        (&["token", "revoke", "--dry-run"], "at least one filter"),
        (&["token", "revoke", "--user", EMAIL], "add --all"),
        (&["token", "revoke", "--all"], "--all needs --user or --environment"),
        (&["token", "revoke", "--all", "--user", EMAIL, "--canary"], "exclude each other"),
        (&["token", "revoke", "x", "--canary"], "not both"),
        (&["token", "revoke", "--user", "nobody@example.com", "--canary"], "owner"),
    ] {
        let refused = place.run(arguments);
        assert!(
            [Some(2), Some(4)].contains(&refused.code) && refused.stderr.contains(words),
            "{arguments:?}: {refused:?}"
        );
    }
    assert!(is_valid(&other));
}
