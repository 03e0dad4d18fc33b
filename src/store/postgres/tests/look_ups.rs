//! Look-ups of secrets that share a statement.

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use tokio::sync::oneshot;

use super::{super::PostgresStore, store::hash, *};
use crate::{
    domain::{secret::TokenHash, token::TokenRecord},
    store::{
        Access, CredentialSource, Credentials, Reply, StoreError,
        sql::{connection::NONE, engine::Engine},
    },
};

/// How often the statement was executed that looks up tokens, and how often it was planned for that. It is asked on the only
/// connection that looks up.
const EXECUTED: &str =
    "SELECT coalesce(sum(generic_plans + custom_plans), 0)::bigint, coalesce(sum(custom_plans), 0)::bigint
     FROM pg_prepared_statements WHERE statement LIKE 'SELECT found.%tokens%'";

impl TestDatabase {
    fn with_one_connection(&self, access: Access) -> Arc<PostgresStore> {
        let settings = PostgresSettings { max_readers: 1, ..self.settings("") };
        Arc::new(PostgresStore::open(&settings, access).expect("open"))
    }

    /// A token with this hash, whose name is `name`.
    fn insert_token(&self, hash: &TokenHash, name: &str) {
        let hex: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.execute(&format!(
            "INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
             SELECT id, '00000000-0000-0000-0000-000000000001', '\\x{hex}', 'abcd', '{name}', '*', 1, id
             FROM (VALUES (gen_random_uuid())) made (id)"
        ));
    }
}

/// Holds the only connection until the sender is dropped.
async fn hold(store: &Arc<PostgresStore>) -> (oneshot::Sender<()>, impl Future<Output = Result<(), StoreError>>) {
    let (begun, has_begun) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let holding = Arc::clone(store);
    let held = tokio::spawn(async move {
        let read = holding.read(move |connection| {
            connection.exists("SELECT 1", NONE)?;
            let _ = begun.send(());
            let _ = ended.blocking_recv();
            Ok(())
        });
        read.await
    });
    has_begun.await.expect("it holds the connection");
    (end, async { held.await.expect("it ends") })
}

async fn name(look_up: Reply<'_, Option<Arc<TokenRecord>>>) -> Option<String> {
    look_up.await.expect("looked up").map(|record| record.token.name.as_str().to_owned())
}

/// Polls it once, so that it waits now.
fn begun<F: Future + Unpin>(future: &mut F) {
    assert!(future.now_or_never().is_none());
}

#[test]
fn secrets_that_wait_together_are_looked_up_by_few_statements_and_each_gets_its_own_row() {
    let Some(database) = TestDatabase::new() else { return };
    let hashes: Vec<_> = (0..200).map(|_| hash()).collect();
    // Every other one is unknown.
    for (number, hash) in hashes.iter().enumerate().step_by(2).take(50) {
        database.insert_token(hash, &format!("token {number}"));
    }
    let store = database.with_one_connection(Access::Existing);
    database.runtime.block_on(async {
        let executed =
            || store.read(|connection| connection.one(EXECUTED, NONE, |row| Ok((row.get(0)?, row.get::<i64>(1)?))));
        let (before, _): (i64, _) = executed().await.expect("counted");
        let (end, held) = hold(&store).await;
        // The first hash is asked for twice.
        let wanted: Vec<_> = hashes.iter().chain(&hashes[..1]).collect();
        let look_ups = join_all(wanted.iter().map(|hash| name(store.token_by_hash(hash))));
        let release = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(end);
        };
        let (found, ()) = join(look_ups, release).await;
        held.await.expect("read");
        for (at, found) in found.iter().enumerate() {
            let number = at % hashes.len();
            let expected = (number % 2 == 0 && number < 100).then(|| format!("token {number}"));
            assert_eq!(*found, expected, "{at}");
        }
        let (after, _) = executed().await.expect("counted");
        assert!((1..=10).contains(&(after - before)), "{before} and then {after} statements for {}", wanted.len());
    });
}

#[test]
fn the_statement_of_look_ups_is_not_planned_each_time() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_connection(Access::Existing);
    database.runtime.block_on(async {
        for _ in 0..20 {
            assert_eq!(name(store.token_by_hash(&hash())).await, None);
        }
        let counts = store.read(|connection| connection.one(EXECUTED, NONE, |row| Ok((row.get(0)?, row.get(1)?))));
        let (executed, planned): (i64, i64) = counts.await.expect("counted");
        assert!(executed == 20 && planned <= 5, "{executed} statements, and {planned} plans");
    });
}

#[test]
fn a_look_up_never_gets_what_a_statement_finds_that_began_before_it() {
    let Some(database) = TestDatabase::new() else { return };
    let hash = hash();
    // A thread that reads tokens waits for the lock, and what it reads is from before its wait.
    database.execute(
        "CREATE FUNCTION wait() RETURNS boolean LANGUAGE plpgsql VOLATILE AS
             $$ BEGIN PERFORM pg_advisory_lock_shared(1); PERFORM pg_advisory_unlock_shared(1); RETURN true; END $$;
         ALTER TABLE tokens RENAME TO stored;
         CREATE VIEW tokens AS SELECT stored.* FROM (SELECT wait() AS waited OFFSET 0) w LEFT JOIN stored ON w.waited",
    );
    let store = Arc::new(database.open(Access::Existing));
    database.runtime.block_on(async {
        let other = client_at(&database.url).await;
        other.batch_execute("SELECT pg_advisory_lock(1)").await.expect("locked");
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted
                           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let waits = async |statements: i64| {
            while other.query_one(waiting, &[]).await.expect("read").get::<_, i64>(0) < statements {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let mut early = store.token_by_hash(&hash);
        begun(&mut early);
        waits(1).await;
        let hex: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let insert = format!(
            "INSERT INTO stored (id, owner_id, hash, hint, name, abilities, created_at, family_id)
             VALUES (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', '\\x{hex}', 'abcd', 'ci', '*', 1,
                     gen_random_uuid())"
        );
        other.batch_execute(&insert).await.expect("inserted");
        // The first of these begins with a statement of its own, and the others wait for one that is under way to end.
        let mut late: Vec<_> = (0..5).map(|_| Box::pin(name(store.token_by_hash(&hash)))).collect();
        begun(&mut late[0]);
        waits(2).await;
        for late in &mut late[1..] {
            begun(late);
        }
        other.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("unlocked");
        let (early, late) = join(early, join_all(late)).await;
        // On a busy machine, it may have waited for too long.
        assert!(!matches!(early, Ok(Some(_))));
        assert_eq!(late, vec![Some("ci".to_owned()); 5]);
    });
}

#[test]
fn a_look_up_needs_a_lease_from_after_it_was_asked_for() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_connection(Access::Server);
    database.runtime.block_on(async {
        assert_eq!(name(store.token_by_hash(&hash())).await, None);
        let (end, held) = hold(&store).await;
        // With a lease, it waits for the connection.
        let hashes = [hash(), hash()];
        let mut early = store.token_by_hash(&hashes[0]);
        begun(&mut early);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let other = client_at(&database.url).await;
        other.batch_execute("BEGIN; LOCK TABLE nodes IN EXCLUSIVE MODE").await.expect("locked");
        while store.is_coherent() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut late = store.token_by_hash(&hashes[1]);
        begun(&mut late);
        drop(end);
        let (late, _) = join(late, early).await;
        assert!(matches!(late, Err(StoreError::NotMade(_) | StoreError::Unavailable(_))), "{:?}", late.map(|_| ()));
        other.batch_execute("ROLLBACK").await.expect("unlocked");
        held.await.expect("read");
        assert_eq!(name(store.token_by_hash(&hash())).await, None);
    });
}

#[test]
fn an_error_is_the_answer_to_all_that_wait_for_the_statement() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_connection(Access::Existing);
    database.runtime.block_on(async {
        assert_eq!(name(store.token_by_hash(&hash())).await, None);
        let other = client_at(&database.url).await;
        other.batch_execute("ALTER TABLE tokens RENAME TO stored").await.expect("renamed");
        let found =
            join_all((0..100).map(|_| async { store.token_by_hash(&hash()).await.map(|found| found.is_some()) }));
        for found in found.await {
            assert!(matches!(found, Err(StoreError::Internal(_))), "{found:?}");
        }
        other.batch_execute("ALTER TABLE stored RENAME TO tokens").await.expect("renamed");
        assert_eq!(name(store.token_by_hash(&hash())).await, None);
    });
}
