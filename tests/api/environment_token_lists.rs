//! Lists of environment tokens, their limit, and their events.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    environment_tokens::create,
    environments::{environment, id_of, share, trail},
    harness::TestApp,
    tokens::names,
};

#[test]
fn changes_by_a_member_are_in_the_trails_of_the_owner_and_of_the_member() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let path = environment(&ada, "e");
    share(&ada, &path, &bob, "admin");
    let token = create(&bob, &path, json!({ "name": "t" }));
    let one = format!("{path}/tokens/{}", id_of(&token));
    let new = bob.post(&format!("{one}/regenerate"), json!({})).body["data"].clone();
    assert_eq!(bob.delete(&format!("{path}/tokens/{}", id_of(&new))).status, 200);
    assert_eq!(bob.patch(&path, json!({ "name": "renamed" })).status, 200);
    assert_snapshot!(trail(&ada).join("\n"), @"
    environment.created on environment: -, from an address
    environment.shared on environment: admin to user [uuid], from an address
    token.created on environment_token: by user [uuid], from an address
    token.rotated on environment_token: to [uuid] by user [uuid], from an address
    token.revoked on environment_token: revoked_by_owner, by user [uuid], from an address
    environment.renamed on environment: by user [uuid], from an address
    ");
    assert_snapshot!(trail(&bob).join("\n"), @"
    environment.shared on environment: admin, from nowhere
    token.created on environment_token: -, from an address
    token.rotated on environment_token: to [uuid], from an address
    token.revoked on environment_token: revoked_by_owner, from an address
    environment.renamed on environment: -, from an address
    ");
}

#[test]
fn the_list_is_paged_and_a_cursor_works_for_its_environment_only() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (path, other) = (environment(&ada, "e"), environment(&ada, "other"));
    let tokens = format!("{path}/tokens");
    for n in 0..5 {
        create(&ada, &path, json!({ "name": format!("t{n}") }));
        create(&ada, &other, json!({ "name": "other" }));
    }
    let first = ada.get(&format!("{tokens}?limit=3")).body;
    assert_eq!(names(&first), ["t4", "t3", "t2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = ada.get(&format!("{tokens}?limit=3&cursor={cursor}")).body;
    assert_eq!((names(&last), &last["next_cursor"]), (vec!["t1", "t0"], &Value::Null));
    assert_eq!(names(&ada.get(&format!("{tokens}?search=T1")).body), ["t1"]);
    for list in [format!("{other}/tokens"), "/api/v1/user/api-tokens".to_owned()] {
        assert_eq!(ada.get(&format!("{list}?cursor={cursor}")).status, 422, "{list}");
    }
}

#[test]
fn each_environment_has_its_own_limit_and_parallel_creations_do_not_exceed_it() {
    let app = TestApp::with(&[("tokens.max_per_user", "10")]);
    let ada = app.sign_in("ada");
    let (path, other) = (environment(&ada, "e"), environment(&ada, "other"));
    let tokens = format!("{path}/tokens");
    let made = std::thread::scope(|scope| {
        let creations: Vec<_> =
            (0..50).map(|_| scope.spawn(|| ada.post(&tokens, json!({ "name": "t" })).status)).collect();
        creations.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 201).count()
    });
    assert_eq!(made, 10);
    assert_snapshot!(ada.post(&tokens, json!({ "name": "t" })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "name": [
          "This environment has 10 live tokens, as many as this server allows. Revoke one first."
        ]
      },
      "message": "This environment has 10 live tokens, as many as this server allows. Revoke one first."
    }
    "#);
    let newest = ada.get(&tokens).body["data"][0].clone();
    // Regenerating ends one token and creates one.
    let new = ada.post(&format!("{tokens}/{}/regenerate", id_of(&newest)), json!({}));
    assert_eq!(new.status, 201);
    assert_eq!(ada.post(&tokens, json!({ "name": "t" })).status, 422);
    assert_eq!(ada.delete(&format!("{tokens}/{}", id_of(&new.body["data"]))).status, 200);
    create(&ada, &path, json!({ "name": "t" }));
    create(&ada, &other, json!({ "name": "t" }));
    ada.create_token(json!({ "name": "p" }));
}
