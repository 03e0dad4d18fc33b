//! Several stores on one database, in one process.

use std::sync::Arc;

use super::*;
use crate::{
    domain::{
        node::NodeState,
        secret::{CredentialKind, Plaintext, Prefixes},
        time::Timestamp,
    },
    store::{CredentialSource, Database, Measured, Nodes, Store, StoreError, StoreKind},
};

#[test]
fn nodes_are_listed_from_their_registration_until_they_leave() {
    let Some(database) = TestDatabase::new() else { return };
    let first = database.open(Access::Server);
    let second = database.open(Access::Server);
    soon("both have a lease", || first.is_coherent() && second.is_coherent());
    let command = database.open(Access::Existing);
    assert!(!command.is_coherent(), "a command answers nothing from memory");
    let states = || -> Vec<NodeState> {
        let nodes = database.runtime.block_on(command.nodes()).expect("nodes");
        nodes.iter().map(|node| node.state).collect()
    };
    assert_eq!(states(), [NodeState::Active, NodeState::Active]);
    database.runtime.block_on(second.close()).expect("closed");
    assert!(!second.is_coherent(), "it gave up its lease");
    let mut left = states();
    left.sort_by_key(|state| state.as_str());
    assert_eq!(left, [NodeState::Active, NodeState::Gone]);
}

#[test]
fn a_node_without_a_database_has_no_lease_and_answers_that_it_cannot_decide() {
    let Some(database) = TestDatabase::new() else { return };
    let store = Arc::new(database.open(Access::Server));
    soon("it has a lease", || store.is_coherent());
    let backend = Database::new(Arc::clone(&store)).uncached();
    // Nobody can connect any more, and those who are connected are cut off.
    let name = database.url.rsplit_once('/').expect("a name").1;
    let server = std::env::var("PATD_TEST_POSTGRES").expect("a server");
    let cut = format!(
        "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    database.runtime.block_on(async { client_at(&server).await.batch_execute(&cut).await }).expect("cut off");
    soon("its lease ends", || !store.is_coherent());
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").expect("prefixes");
    let secret = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).expect("a secret");
    let hash = secret.hash();
    let found = database.runtime.block_on(backend.credentials.token_by_hash(&hash));
    assert!(matches!(found, Err(StoreError::Unavailable(_) | StoreError::NotMade(_))), "{found:?}");
    let back = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
    database.runtime.block_on(async { client_at(&server).await.batch_execute(&back).await }).expect("back");
    soon("it goes on", || store.is_coherent());
    assert_eq!(
        database.runtime.block_on(backend.credentials.token_by_hash(&hash)).map(|found| found.is_none()),
        Ok(true)
    );
}

#[test]
fn a_node_measures_its_lag_and_how_long_answers_wait_for_the_others() {
    let Some(database) = TestDatabase::new() else { return };
    let (first, second) = (database.open(Access::Server), database.open(Access::Server));
    soon("both have a lease", || first.is_coherent() && second.is_coherent());
    let StoreKind::Shared { lag: Some(lag) } = Measured::kind(&first) else { panic!("it has had a lease") };
    assert!(lag < Duration::from_secs(5), "{lag:?}");
    database.runtime.block_on(async {
        let other = client_at(&database.url).await;
        other.batch_execute("BEGIN; LOCK TABLE nodes IN EXCLUSIVE MODE").await.expect("locked");
        soon("the lease ends", || !first.is_coherent());
        let StoreKind::Shared { lag: Some(lag) } = Measured::kind(&first) else { panic!("it has had a lease") };
        assert!(lag >= Duration::from_millis(900), "since it began: {lag:?}");
        other.batch_execute("ROLLBACK").await.expect("unlocked");
    });
    soon("it has a lease again", || first.is_coherent());
    let measured = Measured::measurements(&first);
    let counts =
        || [&measured.commits, &measured.batches, &measured.acknowledgements].map(|it| it.distribution().count());
    let before = counts();
    let now = Timestamp::parse("2030-01-01T00:00:00Z").expect("a time");
    database.runtime.block_on(first.record_time(now)).expect("written");
    assert_eq!(counts(), before.map(|count| count + 1));
    assert_eq!(measured.unanswered_writes.get(), 0);
    let command = database.open(Access::Existing);
    assert_eq!(Measured::kind(&command), StoreKind::Shared { lag: None });
}
