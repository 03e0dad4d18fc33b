//! Several nodes on one PostgreSQL: no check that starts after a revocation was answered is accepted anywhere, whatever
//! happens to the nodes, to their connections and to the database. `tests/postgres cargo test --test cluster` runs these tests;
//! `PATD_TEST_ROUNDS` is the number of rounds.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod clocks;
mod database;
mod disturbed;
mod ended_elsewhere;
mod failover;
mod healthy;
mod history;
mod node;
mod notes;
mod proxied;
mod proxy;
mod repeats;
mod rolling;
mod rounds;
mod subject;
#[path = "../support/mod.rs"]
mod support;
mod together;
