//! Who is told that a credential has ended already, because another node has just ended it, must not see it accepted.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    database::Database,
    node::{Cluster, Node, Store},
    subject::{Actor, Change, Subject},
    support::{
        connection::{Answer, Connection},
        process::DEADLINE,
    },
};

fn ask(node: &Node, method: &str, target: &str, bearer: Option<&str>) -> Answer {
    Connection::open(node.address).and_then(|mut node| node.ask(method, target, bearer, None)).unwrap()
}

/// Whether a node accepts it. One that cannot decide, or does not answer, does not.
fn is_accepted(node: &Node, secret: &str) -> bool {
    ask(node, "POST", "/api/v1/auth/identify", Some(secret)).status == 200
}

fn soon(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Ends a credential on the first node while the second one, which has it in memory, hears of nothing. As soon as it has ended in
/// the database, `told` is told so by the third node or by a command; from then on the second one must not accept it.
fn expect_a_late_answer(
    cluster: &Cluster,
    subject: &Subject,
    ended: &str,
    end: impl FnOnce(&Node) + Send,
    told: impl FnOnce(&Node),
) {
    let [first, second, third] = &cluster.nodes[..] else { panic!("three nodes") };
    let Store::Postgres(database) = &cluster.store else { panic!("PostgreSQL") };
    soon("all nodes accept it", || cluster.nodes.iter().all(|node| is_accepted(node, &subject.secret)));
    second.proxy().stall();
    thread::scope(|scope| {
        scope.spawn(|| end(first));
        let statement = format!("SELECT 1 FROM {ended}");
        soon("it has ended in the database", || database.read(&statement).is_none());
        told(third);
        assert!(!is_accepted(second, &subject.secret), "{:?}: told before the second node knew", subject.change);
        second.proxy().pass();
    });
    second.await_ready();
}

#[test]
fn nobody_is_told_that_a_credential_has_ended_while_a_node_accepts_it() {
    let Some(database) = Database::new() else { return };
    let cluster = Cluster::start(Store::Postgres(database), 3, &[]);
    let actor = Actor::new(&cluster);
    let create = |change, serial| actor.create(&cluster.nodes[0], change, serial).unwrap();

    // Revoked by possession. Nothing is left of a session that has ended.
    let subject = create(Change::ReplacePassword, 1);
    let end = |node: &Node| {
        let ended = ask(node, "DELETE", "/api/v1/user/sessions", Some(&subject.session));
        assert_eq!(ended.status, 200, "{ended:?}");
    };
    let one_of_two = format!("sessions WHERE user_id = '{}' OFFSET 1", subject.id);
    expect_a_late_answer(&cluster, &subject, &one_of_two, end, |node| {
        let form = format!("token={}", subject.secret);
        let head = "POST /api/v1/revoke HTTP/1.1\r\nHost: patd\r\nContent-Type: application/x-www-form-urlencoded";
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{form}", form.len());
        let revoked = Connection::open(node.address).unwrap().exchange("POST", request.as_bytes());
        assert_eq!(revoked.unwrap().status, 200);
    });

    // Deleted by an administrator, who is told that there is no such user.
    let subject = create(Change::DeleteUser, 2);
    let user = format!("/api/v1/admin/users/{}", subject.id);
    let delete = |node: &Node| assert_eq!(ask(node, "DELETE", &user, Some(&actor.session)).status, 200);
    let row = format!("users WHERE id = '{}'", subject.id);
    expect_a_late_answer(&cluster, &subject, &row, delete, |node| {
        assert_eq!(ask(node, "DELETE", &user, Some(&actor.session)).status, 404);
    });

    // The same with a command.
    let subject = create(Change::DeleteUser, 3);
    let user = format!("/api/v1/admin/users/{}", subject.id);
    let delete = |node: &Node| assert_eq!(ask(node, "DELETE", &user, Some(&actor.session)).status, 200);
    let row = format!("users WHERE id = '{}'", subject.id);
    expect_a_late_answer(&cluster, &subject, &row, delete, |_| {
        let ended = cluster.command(&["user", "delete", &subject.id, "--yes"], "");
        assert!(!ended.success && ended.stderr.contains(&subject.id), "{ended:?}");
    });
}
