//! What is only counted is answered after its commit, while everything else waits until all nodes know the latest change.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use super::{
    super::writer::{Finish, Job, answer},
    writer::{REFUSED, Rig, insert},
    *,
};
use crate::{
    domain::{
        attempts::{AttemptRate, CounterKey, CountersOf, Scope},
        id::{TokenId, UserId},
        time::Timestamp,
    },
    store::{AttemptAnswer, Change, CredentialSource, Measured, Reply, SharedCounters, Store, StoreError},
};

/// Jobs that wait for nodes, until they are let go.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<Job>>>);

impl Held {
    fn finish(&self) -> Finish {
        let held = self.clone();
        Box::new(move |jobs, _| held.0.lock().expect("unpoisoned").extend(jobs))
    }

    fn count(&self) -> usize {
        self.0.lock().expect("unpoisoned").len()
    }

    fn let_go(&self) {
        answer(std::mem::take(&mut *self.0.lock().expect("unpoisoned")), &Ok(()));
    }
}

impl Rig {
    fn count(&self, number: i64) -> Reply<'static, ()> {
        self.writer.submit_count(move |connection| insert(connection, number))
    }

    fn revoke(&self, number: i64) -> Reply<'static, ()> {
        let change = Change::User(UserId::new(Uuid::from_u128(1)));
        self.writer.submit(vec![change], move |connection, _| insert(connection, number))
    }
}

#[test]
fn a_count_is_answered_while_a_revocation_waits_for_a_node_and_nothing_else_is() {
    let held = Held::default();
    let Some(rig) = Rig::answered_by(held.finish()) else { return };
    let revoked = rig.revoke(1);
    soon("the revocation waits", || held.count() == 1);
    rig.wait(rig.count(2)).expect("a count that writes");
    rig.wait(rig.writer.submit_count(|_| Ok(()))).expect("a count that only reads");
    let refused = rig.submit(|_| Err(REFUSED));
    let unchanged = rig.submit(|_| Ok(()));
    let other = rig.make(3);
    soon("what may tell what is valid waits", || held.count() == 4);
    held.let_go();
    assert_eq!(rig.wait(revoked), Ok(()));
    assert_eq!([refused, unchanged, other].map(|reply| rig.wait(reply)), [Err(REFUSED), Ok(()), Ok(())]);
    assert_eq!(rig.made(), [1, 2, 3]);
}

#[test]
fn a_count_in_one_transaction_with_a_revocation_is_answered_and_the_others_in_it_wait() {
    let held = Held::default();
    let Some(rig) = Rig::answered_by(held.finish()) else { return };
    let waiting = Mutex::new(Vec::new());
    let counted = rig.together(|| {
        let others = [rig.revoke(1), rig.submit(|_| Err(REFUSED)), rig.make(2)];
        waiting.lock().expect("unpoisoned").extend(others);
        vec![rig.count(3), rig.count(4)]
    });
    assert_eq!(counted, [Ok(()), Ok(())]);
    soon("the others wait", || held.count() == 3);
    held.let_go();
    let waited: Vec<_> = waiting.into_inner().expect("unpoisoned").into_iter().map(|reply| rig.wait(reply)).collect();
    assert_eq!(waited, [Ok(()), Err(REFUSED), Ok(())]);
    assert_eq!((rig.made(), rig.transactions()), (vec![1, 2, 3, 4], 1));
}

#[test]
fn permits_and_attempts_wait_for_no_node() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open(Access::Server);
    soon("it has a lease", || store.is_coherent());
    let waits = || Measured::measurements(&store).acknowledgements.distribution().count();
    let none = waits();
    let [burst, per_minute] = [5, 2].map(|number| NonZeroU32::new(number).expect("positive"));
    let key = CounterKey { scope: Scope::Account, subject: [1; 16], origin: [0; 16] };
    let counted: Result<(), StoreError> = database.runtime.block_on(async {
        let permits = store.take_permits(TokenId::new(Uuid::from_u128(7)), 60).await?;
        assert!(permits.count > 0);
        // More than are left: a permit that is refused changes nothing.
        while store.take_permits(TokenId::new(Uuid::from_u128(8)), 1).await?.count > 0 {}
        let AttemptAnswer::Counted(attempt) =
            store.count_attempt(vec![(key, AttemptRate::new(burst, per_minute))]).await?
        else {
            panic!("refused")
        };
        let held = store.held_attempts(vec![CountersOf::Subject([1; 16])]).await?;
        assert_eq!(held.len(), 1);
        store.take_back(attempt).await?;
        store.delete_rested_counters().await
    });
    counted.expect("counted");
    assert_eq!(waits(), none);
    let now = Timestamp::parse("2030-01-01T00:00:00Z").expect("a time");
    database.runtime.block_on(store.record_time(now)).expect("written");
    assert_eq!(waits(), none + 1, "a write that is no count");
}
