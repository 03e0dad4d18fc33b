//! `patd token revoke` and `disable` of tokens that rotation replaced.

use serde_json::{Value, json};

use crate::support::place::{EMAIL, PASSWORD, Place, Server};

const TOKENS: &str = "/api/v1/user/api-tokens";

fn create(server: &Server, session: &str) -> (String, String) {
    read(server.post(TOKENS, session, &json!({ "name": "ci" })))
}

/// The id and the secret of a created token.
fn read((status, body): (u16, Value)) -> (String, String) {
    assert_eq!(status, 201, "{body}");
    let text = |key: &str| body["data"][key].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

#[test]
fn revoking_includes_self_made_successors_and_names_those_of_the_owner() {
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    for (command, done) in [("revoke", "revoked"), ("disable", "disabled")] {
        let (id, secret) = create(&server, &session);
        let (successor, stolen) = read(server.post(&format!("{TOKENS}/self/rotate"), &secret, &json!({ "grace": 0 })));
        let ended = place.run(&["token", command, &id]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let message = format!("its successor {successor}, made by self-rotation, is also {done}");
        assert!(ended.stderr.contains(&message), "{ended:?}");
        assert_eq!(server.get("/api/user", &stolen), 401);

        let (id, _) = create(&server, &session);
        let rotate = format!("{TOKENS}/{id}/rotate");
        let (successor, kept) = read(server.post(&rotate, &session, &json!({ "grace": 600 })));
        let ended = place.run(&["token", command, &id]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains(&format!("unchanged: its successor {successor}")), "{ended:?}");
        assert_eq!(server.get("/api/user", &kept), 200);

        let (id, _) = create(&server, &session);
        let rotate = format!("{TOKENS}/{id}/rotate");
        let (successor, kept) = read(server.post(&rotate, &session, &json!({ "grace": 0 })));
        let refused = place.run(&["token", command, &id]);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains(&format!("was replaced by {successor}, which is good")), "{refused:?}");
        assert_eq!(server.get("/api/user", &kept), 200);
        assert_eq!(place.run(&["token", command, &successor]).code, Some(0));
        assert_eq!(server.get("/api/user", &kept), 401);
    }
    server.terminate();
}
