//! Revocations while nodes, their connections or the database are disturbed.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    database::{Database, PrivateServer, Stop},
    history::{History, Outcome},
    node::{Cluster, Store},
    proxy::{NODES, READING, RENEWAL},
    rounds::Rounds,
    subject::Change,
    support::process::DEADLINE,
};

/// A lease lasts a second, and a change waits for one at most. The rest is for a busy machine.
const ONE_LEASE: Duration = Duration::from_millis(2_500);

/// The node that is disturbed.
const DISTURBED: usize = 1;

/// Changes that are made while something is disturbed.
const CHANGES: [Change; 4] =
    [Change::RevokeToken, Change::DisableUser, Change::ReplacePassword, Change::DeleteEnvironment];

fn three_nodes(database: Database) -> Rounds {
    Rounds::new(Cluster::start(Store::Postgres(database), 3, &[]))
}

/// Nothing was accepted after its end, and most changes were answered with a success.
fn expect_kept(history: &History) {
    let summary = history.expect_no_fault();
    assert!(summary.answered * 4 >= summary.lives * 3, "{summary}");
}

/// For each of some changes: all nodes have the credential in memory, `disturb` begins, the change is made on another node, and
/// `resume` ends it. Checks that arrived in between are answered at last.
fn end_during(rounds: &Rounds, disturb: impl Fn(), meanwhile: Duration, resume: impl Fn()) {
    for change in CHANGES {
        let running = rounds.begin(0, change, 0, &[]);
        rounds.disturb(Some(DISTURBED), || {
            disturb();
            let took = rounds.end(&running, 0).expect("answered without the node");
            assert!(took < ONE_LEASE, "{change:?} took {took:?}");
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert_ne!(rounds.check_once(&running, DISTURBED), Outcome::Accepted));
                }
                thread::sleep(meanwhile.saturating_sub(took));
                resume();
            });
        });
        rounds.settle(running, &[]);
        rounds.await_recovery();
    }
}

#[test]
fn a_node_that_was_stopped_accepts_nothing_that_was_ended_meanwhile() {
    let Some(database) = Database::new() else { return };
    let history = three_nodes(database).run(1, |rounds| {
        let node = rounds.node(DISTURBED);
        end_during(rounds, || node.signal("STOP"), Duration::from_secs(3), || node.signal("CONT"));
    });
    expect_kept(&history);
}

#[test]
fn a_node_whose_connections_were_cut_or_stalled_accepts_nothing_that_was_ended_meanwhile() {
    let Some(database) = Database::new() else { return };
    let history = three_nodes(database).run(1, |rounds| {
        let proxy = rounds.node(DISTURBED).proxy();
        for seconds in [0, 3] {
            let meanwhile = Duration::from_secs(seconds);
            end_during(rounds, || proxy.cut(), meanwhile, || proxy.pass());
            end_during(rounds, || proxy.stall(), meanwhile, || proxy.pass());
        }
    });
    expect_kept(&history);
}

#[test]
fn a_node_with_a_slow_connection_accepts_nothing_that_was_ended() {
    let Some(database) = Database::new() else { return };
    let history = three_nodes(database).run(1, |rounds| {
        for milliseconds in [20, 100, 400] {
            rounds.disturb(Some(DISTURBED), || {
                rounds.node(DISTURBED).proxy().delay(Duration::from_millis(milliseconds));
                for change in Change::ALL {
                    rounds.round(0, change, &[DISTURBED]);
                }
                rounds.node(DISTURBED).proxy().pass();
            });
            rounds.await_recovery();
        }
    });
    expect_kept(&history);
}

/// A lease begins before its renewal is sent. If it began when an answer comes, it would last longer than others wait for it: after
/// the changes were read, until a change of that time is answered; after the commit of the renewal, until the node is gone.
#[test]
fn a_renewal_whose_answer_comes_late_gives_no_lease_for_what_is_ended_meanwhile() {
    /// Less than what a node allows a step of a renewal.
    const LATE: Duration = Duration::from_millis(800);
    let Some(database) = Database::new() else { return };
    let history = three_nodes(database).run(1, |rounds| {
        let (node, Store::Postgres(database)) = (rounds.node(DISTURBED), &rounds.cluster.store) else { unreachable!() };
        let is_gone = format!("SELECT 1 FROM nodes WHERE state = 'gone' AND name LIKE '%{}'", node.address);
        for late in [RENEWAL, READING] {
            let running = rounds.begin(0, Change::RevokeToken, 0, &[]);
            rounds.disturb(Some(DISTURBED), || {
                node.proxy().stall_at_answer_to(late);
                thread::scope(|scope| {
                    let at_once = (late == READING).then(|| scope.spawn(|| rounds.end(&running, 0)));
                    thread::sleep(LATE);
                    // It has extended its lease, and learns nothing more.
                    node.proxy().stall_at_answer_to(NODES);
                    let ended = match at_once {
                        Some(at_once) => at_once.join().unwrap(),
                        None => {
                            let begun = Instant::now();
                            while database.read(&is_gone).is_none() {
                                assert!(begun.elapsed() < DEADLINE, "other nodes do not miss it");
                                thread::sleep(Duration::from_millis(5));
                            }
                            rounds.end(&running, 0)
                        }
                    };
                    assert!(ended.is_some(), "answered without the node");
                });
                assert_ne!(rounds.check_once(&running, DISTURBED), Outcome::Accepted, "{late}");
                node.proxy().pass();
            });
            rounds.settle(running, &[]);
            rounds.await_recovery();
        }
    });
    history.expect_no_fault();
}

#[test]
fn a_dead_node_delays_one_change_by_a_lease_and_the_next_ones_not() {
    /// A machine that is too busy delays changes, too.
    const ATTEMPTS: usize = 3;
    let Some(database) = Database::new() else { return };
    let history = three_nodes(database).run(1, |rounds| {
        rounds.round(0, Change::RevokeToken, &[]);
        let mut seen = Vec::new();
        let is_delayed_once = (0..ATTEMPTS).any(|_| {
            let all = rounds.disturb(Some(DISTURBED), || {
                rounds.node(DISTURBED).kill();
                let first = rounds.round(0, Change::RevokeToken, &[DISTURBED]).expect("answered");
                assert!(first < ONE_LEASE, "{first:?}");
                let later = (0..9).filter_map(|_| rounds.round(0, Change::RevokeToken, &[DISTURBED]));
                let all: Vec<_> = std::iter::once(first).chain(later).collect();
                rounds.node(DISTURBED).run();
                all
            });
            rounds.await_recovery();
            let is_good =
                all[0] < Duration::from_millis(1_500) && all[1..].iter().all(|took| *took < Duration::from_millis(500));
            seen.push(all);
            is_good
        });
        assert!(is_delayed_once, "{seen:?}");
        for change in CHANGES {
            rounds.round(0, change, &[]);
        }
    });
    expect_kept(&history);
}

#[test]
fn a_node_that_comes_back_from_a_partition_keeps_nothing_of_its_memory() {
    let Some(database) = Database::new() else { return };
    let history = three_nodes(database).run(2, |rounds| {
        let kept = rounds.begin(0, Change::RevokeToken, 0, &[]);
        let ended = rounds.begin(1, Change::RevokeToken, 0, &[]);
        rounds.disturb(Some(DISTURBED), || {
            rounds.node(DISTURBED).proxy().cut();
            rounds.end(&ended, 0).expect("answered without the node");
            // By hand, so that no node is told: only what a node reads again can show it.
            rounds.end_by_hand(&kept, |database, id| {
                database.read(&format!(
                    "UPDATE tokens SET revoked_at = created_at, revoked_reason = 'revoked_by_owner' WHERE id = '{id}'"
                ));
            });
            thread::sleep(Duration::from_secs(2));
            rounds.node(DISTURBED).proxy().pass();
            rounds.node(DISTURBED).await_ready();
            assert_eq!(rounds.check_once(&kept, DISTURBED), Outcome::Refused);
            assert_eq!(rounds.check_once(&kept, 0), Outcome::Accepted, "a node that was not cut off was not told");
        });
        rounds.settle(ended, &[]);
        rounds.abandon(kept);
    });
    history.expect_no_fault();
}

#[test]
fn changes_are_exact_without_notifications() {
    let Some(database) = Database::new() else { return };
    let mut lost = 0;
    let history = three_nodes(database).run(1, |rounds| {
        let proxies: Vec<_> = rounds.cluster.nodes.iter().map(|node| node.proxy()).collect();
        proxies.iter().for_each(|proxy| proxy.swallow_notifications(true));
        for turn in 0..Rounds::number() / 4 {
            rounds.round(0, Change::ALL[turn % Change::ALL.len()], &[]);
        }
        lost = proxies.iter().map(|proxy| proxy.notifications().0).sum();
        // A node tests each connection on which it listens.
        rounds.disturb(Some(DISTURBED), || {
            rounds.node(DISTURBED).proxy().cut();
            rounds.node(DISTURBED).proxy().pass();
        });
        rounds.node(DISTURBED).await_log("notifications of PostgreSQL do not arrive");
    });
    let summary = history.expect_no_fault();
    assert_eq!(summary.answered, summary.lives);
    assert!(lost >= summary.lives, "{lost} notifications were lost");
}

#[test]
fn a_database_that_restarts_loses_no_change_and_nothing_is_accepted_after_its_end() {
    let Some(mut server) = PrivateServer::new() else { return };
    let database = Database::on(server.address);
    let history = three_nodes(database).run(1, |rounds| {
        for how in [Stop::Fast, Stop::Immediate] {
            let before = rounds.begin(0, Change::RevokeToken, 0, &[]);
            rounds.end(&before, 1).expect("answered");
            rounds.disturb(None, || {
                server.stop(how);
                thread::sleep(Duration::from_millis(1_500));
                server.start();
                rounds.await_recovery();
            });
            rounds.settle(before, &[]);
            for change in CHANGES {
                rounds.round(0, change, &[]);
            }
        }
        // Under way while it stops: answered or not, but never wrong.
        for _ in 0..4 {
            let running = rounds.begin(0, Change::RevokeToken, 0, &[]);
            rounds.disturb(None, || {
                thread::scope(|scope| {
                    scope.spawn(|| rounds.end(&running, 1));
                    thread::sleep(Duration::from_millis(15));
                    server.stop(Stop::Immediate);
                    server.start();
                });
                rounds.await_recovery();
            });
            rounds.settle(running, &[]);
        }
    });
    history.expect_no_fault();
}
