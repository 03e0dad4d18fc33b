//! `patd token` for environment tokens.

use serde_json::{Value, json};

use crate::support::place::{EMAIL, PASSWORD, Place, Server, create_user};

/// A running server, a session, and two environments with two tokens each.
struct World {
    // Declared before the directory, so that it is dropped first.
    server: Server,
    place: Place,
    session: String,
    environments: [String; 2],
    tokens: Vec<Value>,
}

impl World {
    fn start() -> Self {
        let place = Place::new().with_user();
        let server = place.serve();
        let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
        let create = |name: &str| {
            let (_, answer) = server.post("/api/v1/environments", &session, &json!({ "name": name }));
            answer["data"]["id"].as_str().unwrap().to_owned()
        };
        let environments = [create("staging"), create("production")];
        let mut tokens = Vec::new();
        for (environment, name) in environments.iter().flat_map(|id| [(id, "one"), (id, "two")]) {
            let path = format!("/api/v1/environments/{environment}/tokens");
            let (status, answer) = server.post(&path, &session, &json!({ "name": name }));
            assert_eq!(status, 201, "{answer}");
            tokens.push(answer["data"].clone());
        }
        Self { server, place, session, environments, tokens }
    }

    fn statuses(&self) -> Vec<u16> {
        let status =
            |token: &Value| self.server.post("/api/v1/auth/identify", token["token"].as_str().unwrap(), &json!({})).0;
        self.tokens.iter().map(status).collect()
    }

    fn names(&self, arguments: &[&str]) -> Vec<(String, Option<String>)> {
        let list = self.place.run(&[&["token", "list", "--json"], arguments].concat()).json_lines();
        let text = |token: &Value, key: &str| token[key].as_str().map(str::to_owned);
        list.iter().map(|token| (text(token, "name").unwrap(), text(token, "environment_id"))).collect()
    }

    fn id(&self, at: usize) -> &str {
        self.tokens[at]["id"].as_str().unwrap()
    }
}

#[test]
fn lists_show_all_tokens_or_those_of_one_environment() {
    let world = World::start();
    let [staging, production] = &world.environments;
    let place = &world.place;
    assert_eq!(place.run(&["token", "create", "--user", EMAIL, "--name", "mine"]).code, Some(0));
    assert_eq!(place.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
    let path = format!("/api/v1/environments/{staging}/tokens");
    assert_eq!(world.server.post(&path, &world.session, &json!({ "name": "three" })).0, 201);
    // A member sees the environment, but its tokens belong to the owner.
    let users = place.run(&["user", "list", "--json"]).json_lines();
    let path = format!("/api/v1/environments/{staging}/members/{}", users[1]["id"].as_str().unwrap());
    assert_eq!(world.server.put(&path, &world.session, &json!({ "role": "viewer" })), 200);

    let of = |name: &str, environment: &String| (name.to_owned(), Some(environment.clone()));
    let in_production = [of("two", production), of("one", production)];
    let in_staging = [of("three", staging), of("two", staging), of("one", staging)];
    let all = [&in_staging[..1], &[("mine".to_owned(), None)], &in_production, &in_staging[1..]].concat();
    assert_eq!(world.names(&[]), all);
    assert_eq!(world.names(&["--user", EMAIL]), all);
    assert_eq!(world.names(&["--user", "bob@example.com"]), []);
    assert_eq!(world.names(&["--environment", staging]), in_staging);
    let table = place.run(&["token", "list"]).stdout;
    assert!(table.lines().next().unwrap().contains("ENVIRONMENT") && table.contains(&**staging), "{table}");

    let unknown = place.run(&["token", "list", "--environment", world.id(0)]);
    assert!(unknown.code == Some(3) && unknown.stderr.contains("no environment with the id"), "{unknown:?}");
    assert_eq!(place.run(&["token", "list", "--environment", staging, "--user", EMAIL]).code, Some(2));
}

#[test]
fn a_running_server_applies_the_revocation_of_one_and_of_all() {
    let world = World::start();
    let (place, [staging, production]) = (&world.place, &world.environments);
    assert_eq!(world.statuses(), [200, 200, 200, 200]);
    assert_eq!(place.run(&["token", "revoke", world.id(0)]).code, Some(0));
    assert_eq!(world.statuses(), [401, 200, 200, 200]);
    assert_eq!(place.run(&["token", "revoke", world.id(0)]).code, Some(3));
    for (verb, status) in [("disable", 401), ("enable", 200)] {
        assert_eq!(place.run(&["token", verb, world.id(1)]).code, Some(0));
        assert_eq!(world.statuses(), [401, status, 200, 200]);
    }
    let revoked = place.run(&["token", "revoke", "--all", "--user", EMAIL]);
    assert!(revoked.code == Some(0) && revoked.stderr.contains("unchanged: 3 tokens of their"), "{revoked:?}");
    assert_eq!(world.statuses(), [401, 200, 200, 200], "--user selects only personal tokens");

    let both = ["token", "revoke", "--all", "--environment", production, "--user", EMAIL];
    assert_eq!(place.run(&both).code, Some(2));
    assert_eq!(place.run(&["token", "revoke", "--environment", production]).code, Some(2));
    let revoked = place.run(&["token", "revoke", "--all", "--environment", production]);
    assert!(revoked.code == Some(0) && revoked.stderr.contains("2 tokens are revoked"), "{revoked:?}");
    assert_eq!(world.statuses(), [401, 200, 401, 401]);
    assert_eq!(world.names(&["--environment", staging, "--state", "revoked"]).len(), 1);
}
