//! Revocations while nothing is disturbed.

use crate::{
    database::Database,
    history::Summary,
    node::{Cluster, Store},
    rounds::Rounds,
    subject::Change,
};

/// Runs rounds of each kind of change, on each node in turn.
fn run(cluster: Cluster, number: usize) -> Summary {
    let nodes = cluster.nodes.len();
    let history = Rounds::new(cluster).run(1, |rounds| {
        for serial in 0..number {
            rounds.round(0, Change::ALL[serial % Change::ALL.len()], &[]);
        }
    });
    let summary = history.expect_no_fault();
    assert_eq!(summary.lives, number);
    // A change may have had no answer in time only where the machine did not run the nodes.
    let was_starved = !history.disturbances.is_empty();
    assert!(summary.answered == number || was_starved && summary.answered * 4 >= number * 3, "{summary}");
    assert!((0..nodes).all(|node| summary.refused_by_node.get(&node) == Some(&summary.answered)), "{summary}");
    summary
}

#[test]
fn one_node_on_a_file_accepts_nothing_after_the_answer_of_any_change() {
    run(Cluster::start(Store::File, 1, &[]), 40);
}

#[test]
fn three_nodes_accept_nothing_after_the_answer_of_any_change() {
    let Some(database) = Database::new() else { return };
    run(Cluster::start(Store::Postgres(database), 3, &[]), Rounds::number());
}
