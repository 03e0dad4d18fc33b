//! Checks of the identity that the application receives.

use serde_json::{Value, json};

use crate::{
    application::Received,
    client::Request,
    proxies::Kind,
    support::place::{EMAIL, PASSWORD},
    world::{NAME, Token, World},
};

/// The names of the identity headers.
pub const IDENTITY: [&str; 10] = [
    "Remote-User",
    "Remote-Email",
    "Remote-Name",
    "Remote-Groups",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Token-Id",
    "X-Auth-Token-Kind",
    "X-Auth-Abilities",
    "X-Auth-Environment-Id",
];

/// An environment token has no user, and forged headers cannot add one.
pub fn environment_tokens_have_no_user(kind: Kind) {
    let world = World::start(kind);
    let server = &world.patd.server;
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let environment = server.read("/api/v1/user", &session)["current_environment_id"].as_str().unwrap().to_owned();
    let form = json!({"name": "CI", "abilities": ["calls:read"]});
    let (status, created) = server.post(&format!("/api/v1/environments/{environment}/tokens"), &session, &form);
    assert_eq!(status, 201, "{created}");
    let (token, id) = (created["data"]["token"].as_str().unwrap(), created["data"]["id"].as_str().unwrap());
    let forged = IDENTITY.map(|name| (name, "forged"));
    for headers in [&[][..], &forged] {
        let (answer, received) = world.ask(&Request::get("/calls/1").bearer(token).headers(headers));
        let received = received.unwrap_or_else(|| panic!("{answer:?}"));
        for name in IDENTITY {
            let expected = match name {
                "X-Auth-Token-Id" => id,
                "X-Auth-Environment-Id" => &environment,
                "X-Auth-Abilities" => "calls:read",
                "X-Auth-Token-Kind" if kind != Kind::Apache => "environment_token",
                _ => "",
            };
            assert_eq!(received.all(name).concat(), expected, "{name} in {received:#?}");
        }
    }
}

/// The application can tell a service account from a person, and no client can pretend to be one.
pub fn service_accounts_are_named(kind: Kind) {
    let world = World::start(kind);
    let create = ["service-account", "create", "--name", "deployer", "--manager", EMAIL];
    let account = world.patd.place.run(&create).stdout.trim().to_owned();
    let create = ["token", "create", "--owner", &account, "--name", "CI", "--ability", "calls:read", "--json"];
    let created: Value = serde_json::from_str(&world.patd.place.run(&create).stdout).unwrap();
    let text = |key: &str| created[key].as_str().unwrap();
    let own = Token { id: text("id").to_owned(), text: text("token").to_owned() };
    let users = world.patd.token(&["calls:read"]);
    let forged = [IDENTITY.map(|name| (name, "service_account")), IDENTITY.map(|name| (name, "forged"))].concat();
    for headers in [&[][..], &forged] {
        let ask = |token: &Token| {
            let request = Request::get("/calls/1").bearer(&token.text).headers(headers);
            let (answer, received) = world.ask(&request);
            received.unwrap_or_else(|| panic!("{answer:?}"))
        };
        let received = ask(&own);
        for name in IDENTITY {
            let expected = match name {
                "Remote-User" | "X-Auth-Request-User" => &account,
                // Introspection has no claim for these two.
                "Remote-Name" | "X-Auth-Token-Kind" if kind == Kind::Apache => "",
                "Remote-Name" => "deployer",
                "Remote-Groups" => "service_account",
                "X-Auth-Token-Id" => &own.id,
                "X-Auth-Token-Kind" => "personal_access_token",
                "X-Auth-Abilities" => "calls:read",
                _ => "",
            };
            assert_eq!(received.all(name).concat(), expected, "{name} in {received:#?}");
        }
        assert_identity(&world, &ask(&users), &users, "calls:read");
        // Nobody is known here, so nothing of what the client sent may arrive.
        let (answer, received) = world.ask(&Request::get("/public/1").headers(headers));
        assert_no_identity(&received.unwrap_or_else(|| panic!("{answer:?}")));
    }
}

/// The application received each correct value once, and no other value under any spelling of the names.
pub fn assert_identity(world: &World, received: &Received, token: &Token, abilities: &str) {
    for (name, value) in [
        ("Remote-User", world.patd.user_id()),
        ("Remote-Email", EMAIL),
        ("Remote-Name", NAME),
        ("Remote-Groups", ""),
        ("X-Auth-Request-User", world.patd.user_id()),
        ("X-Auth-Request-Email", EMAIL),
        ("X-Auth-Token-Id", &token.id),
        ("X-Auth-Token-Kind", "personal_access_token"),
        ("X-Auth-Abilities", abilities),
        ("X-Auth-Environment-Id", ""),
    ] {
        let present = received.all(name);
        // Introspection has no claim for these two.
        let unknown = world.kind == Kind::Apache && ["Remote-Name", "X-Auth-Token-Kind"].contains(&name);
        let expected: &[&str] = if unknown || value.is_empty() { &[] } else { &[value] };
        // Applications treat an empty header like a missing one.
        assert!(
            present == expected || (expected.is_empty() && present == [""]),
            "{name}: {present:?} in {received:#?}"
        );
    }
}

pub fn assert_no_identity(received: &Received) {
    for name in IDENTITY {
        assert!(received.all(name).iter().all(|value| value.is_empty()), "{name} in {received:#?}");
    }
}
