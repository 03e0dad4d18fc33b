//! Every order of the protocol's steps, in small configurations, and what is found when a part of the protocol is left out.

mod database;
mod history;
mod model;
mod search;
mod state;
mod step;

use self::{
    model::Configuration,
    search::{Outcome, search},
};

/// A part of the protocol that is left out, or a mistake in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The revoker does not wait for nodes.
    NoAcknowledgement,
    /// A node acknowledges what is published, before it has applied it.
    AcknowledgesAtOnce,
    /// A node answers from memory whether its lease lasts or not.
    NoLeaseCheck,
    /// A lease begins when the changes were read, not before its renewal was sent.
    LeaseFromTheEnd,
    /// A check looks into memory first, and at the lease afterwards.
    LooksIntoMemoryFirst,
    /// A node that was fenced goes on renewing.
    RenewsWhenFenced,
    /// A node that is being fenced is not waited for.
    TwoStates,
    /// A node that comes back, or finds another history, keeps its memory.
    KeepsMemory,
    /// A node that comes back empties its memory before it reads the counter, not after it.
    EmptiesMemoryBeforeReading,
    /// A record that was read before a change enters memory after it.
    NoEpochs,
    /// Only the numbers of changes are compared.
    NoMarks,
    /// A row does not show that it was renewed.
    NoMarksOfRenewals,
    /// A row becomes gone also if it was renewed since it was looked at.
    DeclaresRenewedNodesGone,
    /// What was seen on one server counts on another.
    MistakesServers,
    /// A node without a lease asks the database and answers.
    AsksWithoutLease,
    /// A node that renews its lease on another server from now on keeps the one that it has.
    KeepsLeaseOnAnotherServer,
}

/// One node that may be fenced once and come back.
const ONE_NODE: Configuration = Configuration {
    nodes: 1,
    revocations: 2,
    watched: 1,
    registrations: 2,
    crashes: 0,
    may_rewind: false,
    may_depose: false,
    may_go_back: false,
    fault: None,
};

/// One node, and a database that may fall back to an earlier state.
const RESTORED: Configuration = Configuration { registrations: 1, may_rewind: true, ..ONE_NODE };

/// One node, and a database that may be deposed.
const DEPOSED: Configuration = Configuration { registrations: 1, may_depose: true, ..ONE_NODE };

/// One node, which is led back to the database that was deposed.
const LED_BACK: Configuration = Configuration { revocations: 1, watched: 0, may_go_back: true, ..DEPOSED };

fn expect_sound(configuration: Configuration) {
    match search(&configuration) {
        Outcome::Sound(states) => assert!(states > 10_000, "only {states} states were reached"),
        Outcome::Faulty { fault, steps } => panic!("{fault} after {steps:#?}"),
    }
}

fn expect_faulty(fault: Fault, configuration: Configuration) {
    if let Outcome::Sound(states) = search(&Configuration { fault: Some(fault), ..configuration }) {
        panic!("{fault:?} was not found in {states} states");
    }
}

#[test]
fn a_node_that_is_fenced_and_comes_back_accepts_nothing_that_was_revoked() {
    expect_sound(ONE_NODE);
}

#[test]
fn a_node_that_crashes_accepts_nothing_that_was_revoked() {
    expect_sound(Configuration { revocations: 1, watched: 0, crashes: 1, ..ONE_NODE });
}

#[test]
#[ignore = "millions of states, which take minutes: cargo test --release"]
fn two_nodes_accept_nothing_that_was_revoked() {
    expect_sound(Configuration { nodes: 2, revocations: 1, watched: 0, ..ONE_NODE });
}

#[test]
fn a_backup_that_is_restored_hides_no_later_revocation() {
    expect_sound(RESTORED);
}

#[test]
fn a_database_that_was_deposed_makes_no_node_accept_what_was_revoked() {
    expect_sound(DEPOSED);
    expect_sound(LED_BACK);
}

#[test]
fn the_revoker_must_wait_for_what_nodes_have_applied() {
    expect_faulty(Fault::NoAcknowledgement, ONE_NODE);
    expect_faulty(Fault::AcknowledgesAtOnce, ONE_NODE);
}

#[test]
fn a_check_must_look_at_a_lease_that_begins_before_its_renewal_and_do_so_first() {
    expect_faulty(Fault::NoLeaseCheck, ONE_NODE);
    expect_faulty(Fault::LeaseFromTheEnd, ONE_NODE);
    expect_faulty(Fault::LooksIntoMemoryFirst, ONE_NODE);
}

#[test]
fn a_node_must_be_fenced_in_two_steps_and_stay_fenced() {
    expect_faulty(Fault::TwoStates, ONE_NODE);
    expect_faulty(Fault::RenewsWhenFenced, ONE_NODE);
}

#[test]
fn a_node_that_comes_back_must_empty_its_memory_after_it_has_read_the_counter() {
    expect_faulty(Fault::KeepsMemory, ONE_NODE);
    expect_faulty(Fault::EmptiesMemoryBeforeReading, ONE_NODE);
}

#[test]
fn a_record_that_arrives_after_a_change_must_be_void() {
    expect_faulty(Fault::NoEpochs, ONE_NODE);
}

#[test]
fn a_node_must_be_gone_only_if_it_was_not_renewed_meanwhile() {
    expect_faulty(Fault::NoMarksOfRenewals, ONE_NODE);
    expect_faulty(Fault::DeclaresRenewedNodesGone, ONE_NODE);
}

#[test]
fn changes_and_renewals_must_be_told_apart_from_those_of_a_lost_history() {
    expect_faulty(Fault::NoMarks, RESTORED);
    expect_faulty(Fault::NoMarksOfRenewals, Configuration { revocations: 1, watched: 0, ..RESTORED });
    expect_faulty(Fault::MistakesServers, RESTORED);
}

#[test]
fn an_answer_from_the_database_must_have_a_lease_too() {
    expect_faulty(Fault::AsksWithoutLease, DEPOSED);
    expect_faulty(Fault::KeepsLeaseOnAnotherServer, LED_BACK);
}
