//! Several stores on one database, in one process.

use std::sync::Arc;

use super::*;
use crate::{
    domain::{
        node::NodeState,
        secret::{CredentialKind, Plaintext, Prefixes},
    },
    store::{CredentialSource, Database, Store, StoreError},
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
