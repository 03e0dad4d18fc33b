//! Requests with an `Idempotency-Key`: a repeat is recognised on every node.

use std::thread;

use serde_json::{Value, json};

use crate::{
    database::Database,
    node::{Cluster, Node, Store},
    subject::Actor,
    support::connection::{Answer, Connection},
};

fn send(node: &Node, session: &str, path: &str, body: &Value) -> Answer {
    let mut connection = Connection::open(node.address).unwrap();
    connection.ask_with("POST", path, Some(session), &[("Idempotency-Key", "k")], Some(body)).unwrap()
}

#[test]
fn equal_requests_to_three_nodes_make_one_token_and_a_killed_node_changes_nothing() {
    let Some(database) = Database::new() else { return };
    let cluster = Cluster::start(Store::Postgres(database), 3, &[]);
    cluster.nodes.iter().for_each(Node::await_ready);
    let actor = Actor::new(&cluster);
    let path = "/api/v1/user/api-tokens";
    let body = json!({ "name": "n" });
    let answers: Vec<Answer> = thread::scope(|scope| {
        let send = |number: usize| send(&cluster.nodes[number % 3], &actor.session, path, &body);
        let requests: Vec<_> = (0..15).map(|number| scope.spawn(move || send(number))).collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect()
    });
    let (made, repeats): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), repeats.len()), (1, 14), "{repeats:?}");
    let id = made[0].data("id");
    let expect_repeat = |answer: &Answer| {
        let got = (answer.status, answer.body["code"].as_str(), answer.body["id"].as_str());
        assert_eq!(got, (409, Some("already_created"), Some(&*id)), "{answer:?}");
    };
    repeats.iter().for_each(expect_repeat);
    cluster.nodes[0].kill();
    for node in &cluster.nodes[1..] {
        expect_repeat(&send(node, &actor.session, path, &body));
        assert_eq!(send(node, &actor.session, path, &json!({ "name": "m" })).status, 422);
    }
}
