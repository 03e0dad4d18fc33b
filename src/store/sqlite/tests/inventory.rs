//! The lists of an administrator: their query plans, and that a waiting list blocks nothing else.

use std::{ops::ControlFlow, sync::mpsc};

use super::{statements::plan, *};
use crate::store::{FoundToken, TokenOrder, Whose, sql::inventory::token_statement};

fn of(whose: Whose, order: TokenOrder) -> TokenInventory {
    TokenInventory { whose, order, ..TokenInventory::default() }
}

#[test]
fn a_list_sorts_only_if_no_index_has_its_order() {
    let directory = directory();
    let store = open(&directory);
    let steps = |inventory| plan(&store, &token_statement(&inventory));
    let user = Whose::User(UserId::new(Uuid::now_v7()));
    let environment = Whose::Environment(EnvironmentId::new(Uuid::now_v7()));
    for (whose, first) in [
        (Whose::All, "SCAN t"),
        (user, "SEARCH t USING INDEX tokens_by_owner (owner_id=?)"),
        (environment, "SEARCH t USING INDEX tokens_by_environment (environment_id=?)"),
    ] {
        let unsorted = steps(of(whose, TokenOrder::Created));
        for step in [first, "SEARCH u USING PRIMARY KEY (id=?)"] {
            assert!(unsorted.iter().any(|found| found == step), "{unsorted:?}");
        }
        let reads: Vec<_> = unsorted.iter().filter(|step| step.starts_with("SCAN")).collect();
        assert!(reads.len() == usize::from(whose == Whose::All), "{unsorted:?}");
        assert!(!unsorted.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{unsorted:?}");
    }
    for order in [TokenOrder::Name, TokenOrder::User, TokenOrder::LastUsed, TokenOrder::Expires] {
        let sorted = steps(of(Whose::All, order));
        assert!(sorted.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{order:?}: {sorted:?}");
    }
}

fn with_tokens(directory: &TempDir, count: usize) -> SqliteStore {
    let store = open(directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    for _ in 0..count {
        wait(store.add_token(new_token(user.id), 10_000, by())).unwrap();
    }
    store
}

#[test]
fn a_waiting_list_blocks_no_other_read_or_write() {
    let directory = directory();
    let store = with_tokens(&directory, 300);
    let (batches, received) = mpsc::sync_channel(0);
    let each = Box::new(move |batch: Vec<FoundToken>| match batches.send(batch.len()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    });
    let now = Timestamp::from_unix(1);
    thread::scope(|scope| {
        let list = scope.spawn(|| wait(store.each_token(TokenInventory::default(), now, each)));
        assert_eq!(received.recv(), Ok(128));
        // The list now waits until the next batch is received.
        wait(store.add_user(person("bob"), password(), by())).unwrap();
        for _ in 0..10 {
            assert_eq!(wait(store.users(None, 10)).unwrap().len(), 2);
        }
        assert_eq!((received.recv(), received.recv()), (Ok(128), Ok(44)));
        assert_eq!(list.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_list_ends_when_its_receiver_stops() {
    let directory = directory();
    let store = with_tokens(&directory, 300);
    let (seen, counted) = mpsc::channel();
    let each = Box::new(move |batch: Vec<FoundToken>| {
        seen.send(batch.len()).unwrap();
        ControlFlow::Break(())
    });
    assert_eq!(wait(store.each_token(TokenInventory::default(), Timestamp::from_unix(1), each)), Ok(()));
    assert_eq!(counted.iter().collect::<Vec<_>>(), [128]);
}
