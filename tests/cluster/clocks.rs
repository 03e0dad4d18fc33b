//! Nodes whose system clocks are an hour apart.

use std::fs;

use tempfile::TempDir;

use crate::{
    database::Database,
    node::{Cluster, Store},
    rounds::Rounds,
    subject::{Actor, Change},
    support::faults,
};

/// Of the nodes: right, behind, and ahead.
const SECONDS: [i64; 3] = [0, -3600, 3600];
const AHEAD: usize = 2;

#[test]
fn nodes_whose_clocks_are_an_hour_apart_accept_nothing_after_the_answer_of_any_change() {
    let Some(database) = Database::new() else { return };
    // It replaces the system clock alone: CLOCK_BOOTTIME, which leases are measured with, stays as it is.
    let (library, clocks) = (faults::library(), TempDir::new().unwrap());
    let mut cluster = Cluster::without_nodes(Store::Postgres(database), &[]);
    let mut actor = None;
    for (node, seconds) in SECONDS.iter().enumerate() {
        let clock = clocks.path().join(format!("clock{node}"));
        fs::write(&clock, seconds.to_string()).unwrap();
        let variables = [("LD_PRELOAD", library.display()), ("FAULTS_CLOCK", clock.display())];
        cluster.add_node(&variables.map(|(name, value)| (name.to_owned(), value.to_string())));
        actor.get_or_insert_with(|| Actor::new(&cluster));
    }
    let rounds = Rounds::with(cluster, actor.unwrap());
    let number = Rounds::number() / 4;
    let history = rounds.run(1, |rounds| {
        for turn in 0..number {
            let change = Change::ALL[turn % Change::ALL.len()];
            // A node that is behind issues nothing, and a rotation does.
            let ender = if change == Change::RotateToken { AHEAD } else { turn / Change::ALL.len() % SECONDS.len() };
            let running = rounds.begin(0, change, AHEAD, &[]);
            rounds.end(&running, ender).expect("answered with a success");
            rounds.settle(running, &[]);
        }
    });
    let summary = history.expect_no_fault();
    assert_eq!(summary.answered, number);
}
