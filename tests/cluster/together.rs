//! What the nodes count and do together: rates of tokens, sign-ins, and the housekeeping.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    database::Database,
    node::{Cluster, Node, Store},
    subject::Actor,
    support::connection::{Answer, Connection},
};

/// Uses a minute. A node takes what is available in three seconds at once.
const PER_MINUTE: u32 = 60;
const BLOCK: u32 = 3;

fn start(nodes: usize, more: &[(&str, &str)]) -> Option<Cluster> {
    let cluster = Cluster::start(Store::Postgres(Database::new()?), nodes, more);
    cluster.nodes.iter().for_each(Node::await_ready);
    Some(cluster)
}

fn limited_token(cluster: &Cluster) -> String {
    let per_minute = PER_MINUTE.to_string();
    let create = ["token", "create", "--user", "ada@example.com", "--name", "limited", "--ability", "user:read"];
    let made = cluster.command(&[&create[..], &["--requests-per-minute", &per_minute]].concat(), "");
    assert!(made.success, "{made:?}");
    made.stdout.trim().to_owned()
}

fn use_at(node: &Node, token: &str) -> Answer {
    Connection::open(node.address).unwrap().ask("GET", "/api/user", Some(token), None).unwrap()
}

/// How many uses are accepted at once until one is throttled, and how many more the elapsed time may have allowed.
fn drain(node: &Node, token: &str) -> (u32, u32) {
    let begun = Instant::now();
    let mut accepted = 0;
    loop {
        let answer = use_at(node, token);
        match answer.status {
            200 => accepted += 1,
            _ => {
                assert_eq!(answer.status, 429, "{answer:?}");
                let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=3).contains(&wait), "{answer:?}");
                assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
                return (accepted, u32::try_from(begun.elapsed().as_secs()).unwrap() + 1);
            }
        }
    }
}

#[test]
fn the_rate_of_a_token_holds_over_two_and_three_nodes_except_for_the_permits_that_they_hold() {
    for count in [2, 3] {
        let Some(cluster) = start(count, &[]) else { return };
        Actor::new(&cluster);
        let (last, others) = cluster.nodes.split_last().unwrap();
        let others_hold = (BLOCK - 1) * u32::try_from(others.len()).unwrap();

        // Under-use: what the others hold is not available to the last one.
        let token = limited_token(&cluster);
        let begun = Instant::now();
        let used = u32::try_from(others.len()).unwrap();
        assert!(others.iter().all(|node| use_at(node, &token).status == 200));
        let (accepted, _) = drain(last, &token);
        let elapsed = u32::try_from(begun.elapsed().as_secs()).unwrap() + 1;
        let expected = PER_MINUTE - used - others_hold;
        assert!((expected..=expected + elapsed).contains(&accepted), "{accepted}, {expected} and {elapsed}");

        // Over-use: when the limit has recovered, the others still spend what they hold.
        let token = limited_token(&cluster);
        assert!(others.iter().all(|node| use_at(node, &token).status == 200));
        sleep(Duration::from_secs(u64::from(BLOCK) * u64::from(used) + 1));
        let begun = Instant::now();
        let (mut accepted, _) = drain(last, &token);
        accepted += others.iter().map(|node| drain(node, &token).0).sum::<u32>();
        let elapsed = u32::try_from(begun.elapsed().as_secs()).unwrap() + 1;
        let expected = PER_MINUTE + others_hold;
        assert!((expected..=expected + elapsed).contains(&accepted), "{accepted}, {expected} and {elapsed}");
    }
}

#[test]
fn a_node_that_cannot_ask_for_permits_spends_what_it_holds_and_then_answers_503() {
    let Some(cluster) = start(1, &[]) else { return };
    Actor::new(&cluster);
    let (node, token) = (&cluster.nodes[0], limited_token(&cluster));
    assert_eq!(use_at(node, &token).status, 200);
    node.proxy().cut();
    let mut accepted = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let answer = use_at(node, &token);
        match answer.status {
            200 => accepted += 1,
            _ => assert_eq!(answer.status, 503, "{answer:?}"),
        }
        sleep(Duration::from_millis(50));
    }
    assert!(accepted < BLOCK, "{accepted}");
    node.proxy().pass();
    node.await_ready();
    assert_eq!(use_at(node, &token).status, 200);
}

fn sign_in(node: &Node, password: &str) -> Answer {
    let body = json!({ "email": "ada@example.com", "password": password });
    Connection::open(node.address).unwrap().ask("POST", "/api/v1/auth/login", None, Some(&body)).unwrap()
}

#[test]
fn wrong_passwords_add_up_over_the_nodes_and_are_cleared_on_all() {
    let limits = [("throttle.per_email_burst", "6"), ("throttle.per_email_per_minute", "1")];
    let Some(cluster) = start(3, &limits) else { return };
    let actor = Actor::new(&cluster);
    let right = "an engine of 1000 wheels";
    // What succeeds does not count, on whichever node.
    for turn in 0..20 {
        let answer = sign_in(&cluster.nodes[turn % 3], right);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    // At once, so that none of the nodes knows of the others' attempts when its own begin.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..18)
            .map(|turn| {
                scope.spawn({
                    let node = &cluster.nodes[turn % 3];
                    move || sign_in(node, "a wrong password").status
                })
            })
            .collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });
    let wrong = statuses.iter().filter(|status| **status == 401).count();
    let throttled = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((wrong, throttled), (6, 12), "{statuses:?}");
    for node in &cluster.nodes {
        let answer = sign_in(node, right);
        assert_eq!(answer.status, 429, "{answer:?}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((30..=60).contains(&wait), "{answer:?}");
    }
    let admin = actor.session();
    let target = "/api/v1/admin/throttle?email=ada@example.com";
    let mut second = Connection::open(cluster.nodes[1].address).unwrap();
    let held = second.ask("GET", target, Some(admin), None).unwrap();
    assert_eq!(held.body["data"]["counters"][0]["scope"], "account_from_network", "{held:?}");
    assert_eq!(second.ask("DELETE", target, Some(admin), None).unwrap().status, 200);
    assert_eq!(sign_in(&cluster.nodes[1], right).status, 201, "on this node at once");
    sleep(Duration::from_secs(1));
    assert_eq!(sign_in(&cluster.nodes[2], right).status, 201, "on the others within a second");
}

/// Polls until it holds.
fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "{what}");
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_housekeeping_goes_over_to_another_node_when_its_node_is_killed() {
    let Some(mut cluster) = start(1, &[]) else { return };
    let actor = Actor::new(&cluster);
    // Housekeeping is due every minute: the turn of the second node comes soon after that of the first.
    sleep(Duration::from_secs(8));
    cluster.add_node(&[]);
    let Store::Postgres(database) = &cluster.store else { unreachable!() };
    let is_done_by = |node: &Node| {
        let sql = "SELECT n.name FROM housekeeping h JOIN nodes n ON n.id = h.node_id WHERE n.state = 'active'";
        database.read(sql).is_some_and(|name| name.ends_with(&node.address.to_string()))
    };
    let expired = || database.read("SELECT count(*) FROM sessions WHERE expires_at = 2").unwrap() != "0";
    let expire = || {
        database.execute(
            "INSERT INTO sessions (id, user_id, hash, created_at, last_used_at, expires_at)
             SELECT gen_random_uuid(), id, random_key(), 1, 1, 2 FROM users LIMIT 1",
        );
    };
    expire();
    within(Duration::from_secs(65), "the first node does it", || is_done_by(&cluster.nodes[0]));
    within(Duration::from_secs(5), "it prunes", || !expired());
    expire();
    cluster.nodes[0].kill();
    within(Duration::from_secs(30), "the second node takes over", || is_done_by(&cluster.nodes[1]));
    within(Duration::from_secs(5), "it prunes", || !expired());
    drop(actor);
}
