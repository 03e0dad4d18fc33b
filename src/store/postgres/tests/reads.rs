//! Reads do not wait for other kinds of reads, nor for ever.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{super::PostgresStore, store::hash, *};
use crate::{
    domain::node::Readiness,
    store::{
        Access, CredentialSource, Credentials, StoreError,
        sql::{
            connection::{Connection, NONE},
            engine::Engine,
        },
    },
};

/// The limit, and some time for a busy machine. One batch of look-ups after another would take longer.
const IN_TIME: Duration = Duration::from_secs(9);

impl TestDatabase {
    /// With one connection for each kind of reads.
    fn with_few_readers(&self, access: Access) -> Arc<PostgresStore> {
        let settings = PostgresSettings { max_readers: 1, ..self.settings("") };
        Arc::new(PostgresStore::open(&settings, access).expect("open"))
    }
}

#[test]
fn long_reads_and_lists_that_nobody_takes_leave_look_ups_their_connections() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_few_readers(Access::Server);
    database.runtime.block_on(async {
        // The first one waits for the start of the node.
        assert!(matches!(store.session_by_hash(&hash()).await, Ok(None)));
        let mut ends = Vec::new();
        let mut held = Vec::new();
        for is_list in [true, false] {
            let (begun, has_begun) = oneshot::channel();
            let (end, ended) = oneshot::channel::<()>();
            let work = move |connection: &dyn Connection| {
                connection.exists("SELECT 1", NONE)?;
                let _ = begun.send(());
                // Like a list whose consumer does not take its rows.
                let _ = ended.blocking_recv();
                Ok(())
            };
            let store = Arc::clone(&store);
            held.push(tokio::spawn(async move {
                match is_list {
                    true => store.read_inventory(work).await,
                    false => store.read_long(work).await,
                }
            }));
            has_begun.await.expect("it holds a connection");
            ends.push(end);
        }
        let begun = Instant::now();
        assert_eq!(store.token_by_hash(&hash()).await.map(|found| found.is_none()), Ok(true));
        assert_eq!(store.check_readiness().await, Ok(Readiness::Ready));
        assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
        drop(ends);
        for read in held {
            assert_eq!(read.await.expect("it ends"), Ok(()));
        }
    });
}

#[test]
fn look_ups_without_a_lease_wait_together_and_too_many_are_refused_at_once() {
    const LOOK_UPS: u32 = 5000;
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_few_readers(Access::Server);
    database.runtime.block_on(async {
        assert!(matches!(store.session_by_hash(&hash()).await, Ok(None)));
        // As if the commit of a renewal waited for a standby that is gone.
        let other = client_at(&database.url).await;
        other.batch_execute("BEGIN; LOCK TABLE nodes IN EXCLUSIVE MODE").await.expect("locked");
        while store.is_coherent() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A server that may not be the primary any more must not say that nothing is left to change.
        let mut written = store.write(Vec::new(), |connection| connection.exists("SELECT 1", NONE));
        assert!(matches!((&mut written).await, Err(StoreError::NotMade(why)) if why.contains("no lease")));
        let begun = Instant::now();
        let look_up = async |_| {
            let found = store.token_by_hash(&hash()).await.map(|found| found.is_none());
            (found, begun.elapsed())
        };
        let probe = async { (store.check_readiness().await, begun.elapsed()) };
        let (found, (ready, took)) = futures_util::future::join(join_all((0..LOOK_UPS).map(look_up)), probe).await;
        assert_eq!(ready, Ok(Readiness::NoLease));
        assert!(took < IN_TIME, "the probe took {took:?}");
        let is_refused = |(found, _): &(Result<bool, StoreError>, _)| match found {
            Err(StoreError::NotMade(why)) => why.contains("too many"),
            _ => false,
        };
        let refused = found.iter().filter(|one| is_refused(one)).count();
        assert!(refused > 0 && found.len() - refused >= 1000, "{refused} were refused");
        for (found, took) in &found {
            assert!(matches!(found, Err(StoreError::NotMade(_) | StoreError::Unavailable(_))), "{found:?}");
            assert!(*took < IN_TIME, "a look-up took {took:?}");
        }
        other.batch_execute("ROLLBACK").await.expect("unlocked");
        let found = store.session_by_hash(&hash()).await.map(|found| found.is_none());
        assert_eq!(found, Ok(true));
    });
}
