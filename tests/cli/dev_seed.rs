//! `patd dev --seed`.

use std::{process::Command, time::Duration};

use patd::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::place::{Place, Server};

const SEED: &str = r#"
[[users]]
name = "Ada"
email = "ada@example.com"
password = "a 1000 wheels for ada"
role = "admin"

[[users]]
name = "Bob"
email = "bob@example.com"

[[service_accounts]]
name = "Nightly build"
managers = ["Bob"]

[[environments]]
name = "Staging"
owner = "Nightly build"

[[environments]]
name = "Sandbox"
owner = "Bob"

[[tokens]]
name = "Reader"
owner = "Bob"
abilities = ["calls:read"]
expires_in = "30d"
requests_per_minute = 600
quota = 100
ip_allowlist = ["127.0.0.0/8"]
description = "Reads calls"
metadata = { team = "platform" }

[[tokens]]
name = "Resource server"
owner = "Nightly build"
abilities = ["tokens:introspect"]
expires_in = "never"

[[tokens]]
name = "Deployment"
environment = "Staging"

[[tokens]]
name = "Playground"
environment = "Sandbox"

[[tokens]]
name = "Trap"
owner = "Bob"
canary = true

[[policies]]
name = "calls"
rules = [{ paths = ["/calls"], abilities = ["calls:read"] }, { paths = ["/me"] }]
"#;

fn dev(place: &Place) -> (Server, Value) {
    place.write("seed.toml", SEED);
    let running = place.start(&["dev", "--json", "--port", "0", "--seed", "seed.toml"]);
    let demo: Value = serde_json::from_str(&running.stdout_line("{")).unwrap();
    (Server::new(demo["url"].as_str().unwrap().to_owned(), running), demo)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_seed_makes_what_it_names_and_the_output_has_ids_and_secrets() {
    let place = Place::new().set("PATD__SERVER__TRUSTED_PROXIES", "127.0.0.1/32");
    let (server, demo) = dev(&place);
    let seeded = &demo["seeded"];
    let keys = |list: &str| seeded[list].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys("users"), ["Ada", "Bob"]);
    assert_eq!(keys("service_accounts"), ["Nightly build"]);
    assert_eq!(keys("environments"), ["Sandbox", "Staging"]);
    assert_eq!(keys("tokens"), ["Deployment", "Playground", "Reader", "Resource server", "Trap"]);

    // Both users sign in, Ada with the password of the file and Bob with a random one.
    let (ada, bob) = (&seeded["users"]["Ada"], &seeded["users"]["Bob"]);
    assert_eq!(text(&ada["password"]), "a 1000 wheels for ada");
    let session = |user: &Value| server.sign_in(text(&user["email"]), text(&user["password"])).1.unwrap();
    let (ada_session, bob_session) = (session(ada), session(bob));
    assert_eq!(server.get("/api/v1/admin/users", &ada_session), 200);
    assert_eq!(server.get("/api/v1/admin/users", &bob_session), 403);

    // Ids and properties.
    let user = server.read("/api/user", &bob_session);
    assert_eq!(user["id"], bob["id"], "{user}");
    assert_eq!(user["current_environment_id"], bob["default_environment_id"], "{user}");
    let reader = &seeded["tokens"]["Reader"];
    let token = server.read(&format!("/api/v1/user/api-tokens/{}", text(&reader["id"])), &bob_session);
    let token = &token["data"];
    assert_eq!(
        (&token["name"], &token["abilities"], &token["requests_per_minute"], &token["quota"]),
        (&json!("Reader"), &json!(["calls:read"]), &json!(600), &json!(100))
    );
    assert_eq!(token["metadata"], json!({"team": "platform"}));
    assert_eq!(token["ip_allowlist"], json!(["127.0.0.0/8"]));
    let lifetime = |key: &str| Timestamp::parse(text(&token[key])).unwrap();
    assert_eq!(lifetime("expires_at").since(lifetime("created_at")), Duration::from_hours(30 * 24));
    let account = text(&seeded["service_accounts"]["Nightly build"]["id"]);
    assert_eq!(server.get(&format!("/api/v1/service-accounts/{account}"), &bob_session), 200);

    // Every secret but that of the canary token is valid, and its token has the id that is printed.
    let verifier = text(&seeded["tokens"]["Resource server"]["token"]);
    for (name, token) in seeded["tokens"].as_object().unwrap() {
        let (status, verdict) =
            server.post("/api/v1/tokens/verify", verifier, &json!({"token": token["token"], "ip": "127.0.0.1"}));
        let is_valid = name != "Trap";
        assert_eq!((status, &verdict["data"]["valid"]), (200, &json!(is_valid)), "{name}: {verdict}");
        assert!(!is_valid || verdict["data"]["token"]["id"] == token["id"], "{name}: {verdict}");
    }

    // The policy is in force.
    for (path, status) in [("me", 200), ("calls", 403), ("other", 403)] {
        assert_eq!(server.get(&format!("/api/authz/ext-authz/calls/{path}"), verifier), status, "{path}");
    }

    // The demo credentials are still there.
    assert_eq!(server.get("/api/user", text(&demo["token"])), 200);
    assert_eq!(server.terminate().code, Some(0));
}

#[test]
fn ids_are_the_same_in_each_run_and_secrets_are_not() {
    let place = Place::new();
    let [first, second] = [(); 2].map(|()| {
        let (server, demo) = dev(&place);
        assert_eq!(server.terminate().code, Some(0));
        demo["seeded"].clone()
    });
    let (mut ids, mut others) = (0, 0);
    for (list, items) in first.as_object().unwrap() {
        for (name, item) in items.as_object().unwrap() {
            for (key, value) in item.as_object().unwrap() {
                let other = &second[list][name][key];
                match (&**key, &**name) {
                    ("id" | "default_environment_id", _) => (ids += 1, assert_eq!(value, other, "{list} {name}")).0,
                    ("token", _) | ("password", "Bob") => {
                        (others += 1, assert_ne!(value, other, "{list} {name}")).0;
                    }
                    _ => assert_eq!(value, other, "{list} {name} {key}"),
                }
            }
        }
    }
    assert_eq!((ids, others), (12, 6));
}

#[test]
fn all_mistakes_are_reported_together_and_nothing_is_left_behind() {
    let place = Place::new();
    place.write("patd.toml", "[tokens]\nabilities = [\"calls:read\"]\nmax_lifetime = \"90d\"\n");
    place.write(
        "seed.toml",
        r#"
[[users]]
name = "Ada"
email = "demo@example.com"
[[users]]
name = "Bob"
email = "bob@example.com"
password = "passwordpassword"
[[users]]
name = "Eve"
email = "eve@example.com"
[[tokens]]
name = "A"
owner = "Ada"
abilities = ["calls:write"]
[[tokens]]
name = "B"
owner = "Eve"
abilities = ["calls:write"]
[[tokens]]
name = "C"
owner = "Eve"
expires_in = "91d"
[[tokens]]
name = "D"
owner = "Eve"
expiry = "1d"
"#,
    );
    let ended = place.run(&["dev", "--port", "0", "--config", "patd.toml", "--seed", "seed.toml"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(6), ""), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("patd: ")).collect();
    for (place, wanted) in [
        ("users[0].email (seed.toml, line 2)", "already"),
        ("users[1].password (seed.toml, line 5)", "guess"),
        ("tokens[1].abilities.0 (seed.toml, line 16)", "not an ability that this server knows"),
        ("tokens[2].expires_in (seed.toml, line 20)", "90 days"),
        ("tokens[3].expiry (seed.toml, line 27)", "the keys here are abilities, canary"),
    ] {
        let found = lines.iter().filter(|line| line.contains(place) && line.contains(wanted));
        assert_eq!(found.count(), 1, "{place} {wanted}\n{}", ended.stderr);
    }
    assert_eq!(lines.len(), 5, "{}", ended.stderr);
    assert!(!ended.stderr.contains("passwordpassword"), "{}", ended.stderr);
    assert!(place.temporary_files().is_empty());

    let missing = place.run(&["dev", "--port", "0", "--seed", "none.toml"]);
    assert!(missing.code == Some(6) && missing.stderr.contains("none.toml"), "{missing:?}");
    place.write("seed.toml", "[[policies]]\nname = \"app\"\nrules = []\n");
    place.write("patd.toml", "[[policies]]\nname = \"app\"\nrules = []\n");
    let twice = place.run(&["dev", "--port", "0", "--config", "patd.toml", "--seed", "seed.toml"]);
    assert!(twice.code == Some(6) && twice.stderr.contains("rename or remove one"), "{twice:?}");
}

#[test]
fn the_output_for_a_shell_has_the_secrets_in_comments() {
    let place = Place::new();
    place.write("seed.toml", SEED);
    let running = place.start(&["dev", "--port", "0", "--seed", "seed.toml"]);
    let mut script = String::new();
    while !script.contains("-X DELETE") {
        script += &(running.stdout_line("") + "\n");
    }
    assert!(script.contains("# User Ada: ada@example.com with the password a 1000 wheels for ada\n"), "{script}");
    assert!(script.contains("# Token Reader: pat_") && script.contains("# Token Deployment: "), "{script}");
    let check = Command::new("sh").args(["-n", "-c", &script]).output().unwrap();
    assert!(check.status.success() && check.stderr.is_empty(), "{check:?}");
    let url = script.split("PATD_URL='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    assert_eq!(Server::new(url, running).terminate().code, Some(0));
}
