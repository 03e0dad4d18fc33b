//! PostgreSQL as an engine of the store: [`store`](super::store) says where work runs.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{attempts, counters, housekeeping, status, store::PostgresStore};
use crate::{
    domain::{
        attempts::{AttemptRate, CounterKey, CountersOf},
        id::TokenId,
        node::{NodeStatus, Readiness},
        secret::TokenHash,
        session::SessionRecord,
        token::TokenRecord,
    },
    store::{
        AttemptAnswer, Change, Counted, CredentialSource, Credentials, Observer, Permits, Reply, SharedCounters,
        StoreError, StoreKind, StoreMeasurements,
        cluster::NodeId,
        sql::{connection::Connection, engine::Engine, headroom::Headroom, sessions, tokens},
    },
};

/// A list that its consumer reads slowly may take longer than a statement otherwise may.
const INVENTORY: &str =
    "BEGIN READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Engine for PostgresStore {
    fn read<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_on_thread(&self.readers, None, move |connection| work(connection))
    }

    fn read_long<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_on_thread(&self.long_readers, None, move |connection| work(connection))
    }

    fn read_snapshot<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_on_thread(&self.long_readers, Some(SNAPSHOT), move |connection| work(connection))
    }

    fn read_inventory<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_on_thread(&self.inventory_reader, Some(INVENTORY), move |connection| work(connection))
    }

    fn write_reporting<T, F>(&self, changes: Vec<Change>, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit(changes, move |connection, changes| work(connection, changes))
    }

    fn wait_until_known(&self) -> Reply<'_, ()> {
        // The answer to a job that changes nothing waits for the latest change that its transaction sees.
        self.write(Vec::new(), |_| Ok(()))
    }

    fn check_readiness(&self) -> Reply<'_, Readiness> {
        self.readiness()
    }

    fn scrub(&self) -> Reply<'_, bool> {
        // Deleted rows stay in PostgreSQL's files until they are vacuumed; that is the operator's part.
        Reply::ready(Ok(true))
    }

    fn nodes(&self) -> Reply<'_, Vec<NodeStatus>> {
        self.read_on_thread(&self.long_readers, None, |connection| status::list(connection))
    }

    fn does_housekeeping(&self) -> Reply<'_, bool> {
        let Some(NodeId(id)) = self.node.as_ref().and_then(|node| node.id()) else { return Reply::ready(Ok(false)) };
        self.writer.submit(Vec::new(), move |connection, _| housekeeping::take(connection, Uuid::from_u128(id)))
    }

    fn shared_counters(&self) -> Option<&dyn SharedCounters> {
        Some(self)
    }

    fn close(&self) -> Reply<'_, ()> {
        let closed = self.writer.close();
        let node = self.node.clone();
        Reply::Pending(Box::pin(async move {
            let closed = closed.await;
            if let Some(node) = node {
                node.leave().await;
            }
            closed
        }))
    }

    fn measurements(&self) -> &StoreMeasurements {
        &self.measurements
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Shared { lag: self.node.as_ref().and_then(|node| node.lag()) }
    }

    fn headroom(&self) -> &Arc<Headroom> {
        &self.headroom
    }
}

impl SharedCounters for PostgresStore {
    fn take_permits(&self, family: TokenId, per_minute: u32) -> Reply<'_, Permits> {
        self.writer.submit_count(move |connection| counters::take_permits(connection, family, per_minute))
    }

    fn count_attempt(&self, counters: Vec<(CounterKey, AttemptRate)>) -> Reply<'_, AttemptAnswer> {
        self.writer.submit_count(move |connection| attempts::count(connection, &counters))
    }

    fn take_back(&self, counted: Vec<Counted>) -> Reply<'_, ()> {
        self.writer.submit_count(move |connection| attempts::take_back(connection, &counted))
    }

    fn held_attempts(&self, wanted: Vec<CountersOf>) -> Reply<'_, Vec<(CounterKey, Duration)>> {
        self.writer.submit_count(move |connection| attempts::held(connection, &wanted))
    }

    fn delete_rested_counters(&self) -> Reply<'_, ()> {
        self.writer.submit_count(counters::delete_rested)
    }
}

impl Credentials for PostgresStore {
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        let shared = Arc::clone(&self.shared);
        self.look_up(&self.tokens, hash, move |row| tokens::record(row, &shared))
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        self.look_up(&self.sessions, hash, |row| sessions::record(row))
    }
}

impl CredentialSource for PostgresStore {
    fn observe(&self, observer: Observer) {
        self.observers.add(observer);
    }

    fn is_coherent(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.may_answer())
    }
}
