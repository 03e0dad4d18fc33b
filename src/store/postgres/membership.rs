//! The thread of a node: it renews the lease, applies the changes of others to its memory, and sets nodes that do not live any
//! more to gone. [`cluster`](crate::store::cluster) has the decisions and says why they are right.

use std::{
    sync::{Arc, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    announce::{self, CHANNEL},
    connector::{Connector, Link},
    error::{Stage, store_error},
    lease::{Shared, boot_time},
    listening,
    primary::STARTED,
};
use crate::{
    domain::node::NodeState,
    store::{
        Change, StoreError,
        cluster::{
            Departure, Invalidation, LeaseTerms, Mark, Membership, Neighbours, NodeId, NodeRow, Position, Reading,
            RenewalOutcome, ServerId,
        },
        sql::connection::is_unreadable,
    },
};

/// How often the lease is renewed.
const RENEWAL: Duration = Duration::from_millis(250);
/// How long a step of a renewal may take. Later, its lease would be over anyway.
const STEP_LIMIT: Duration = Duration::from_secs(1);
/// How soon after the begin of a renewal that failed the next one begins, if somebody waits for it.
const RETRY: Duration = Duration::from_millis(50);
/// How often old rows of changes and nodes are deleted, in renewals.
const PRUNE_EVERY: u32 = 240;

/// What the thread knows.
pub(super) struct Member {
    shared: Arc<Shared>,
    connector: Connector,
    name: String,
    membership: Membership,
    neighbours: Neighbours,
    link: Option<Link>,
    /// Where the link leads to.
    server: ServerId,
    acknowledged: Option<Position>,
    renewed: u32,
    /// Whether it was said that notifications do not arrive.
    has_warned: Arc<AtomicBool>,
    /// A registration that was sent, and may have been made.
    registering: Option<Uuid>,
}

impl Member {
    pub(super) fn new(shared: Arc<Shared>, connector: Connector, name: String) -> Self {
        Self {
            shared,
            connector,
            name,
            membership: Membership::new(LeaseTerms::NODES),
            neighbours: Neighbours::default(),
            link: None,
            server: ServerId(0),
            acknowledged: None,
            renewed: 0,
            has_warned: Arc::default(),
            registering: None,
        }
    }

    /// Renews the lease again and again, until the node is to stop.
    pub(super) async fn run(mut self) {
        let mut stop = self.shared.stop.subscribe();
        loop {
            let begun = Instant::now();
            let outcome = tokio::select! {
                outcome = self.turn() => outcome,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let is_renewed = outcome.is_ok();
            self.report(outcome);
            if !is_renewed {
                tokio::select! {
                    () = sleep_until(begun + RETRY) => {}
                    _ = stop.wait_for(|stop| *stop) => break,
                }
            }
            let hints = self.link.as_ref().map(|link| Arc::clone(&link.notified));
            tokio::select! {
                () = sleep_until(begun + RENEWAL) => {}
                () = self.shared.wake.notified() => {}
                // A revocation waits for this node.
                () = hint(hints.as_deref()) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.leave().await;
    }

    fn report(&mut self, outcome: Result<(), StoreError>) {
        let was_good = self.shared.renewals.borrow().1.is_none();
        match &outcome {
            Err(error) if was_good => log::warn!("store: the lease of this node was not renewed: {error}"),
            Ok(()) if !was_good => log::info!("store: the lease of this node is renewed again"),
            _ => {}
        }
        if outcome.is_err() {
            // Its statements may still run, and another connection must not mix with them.
            self.link = None;
            // The first host may not be the primary any more.
            self.connector.begin_with_next_host();
        }
        self.shared.renewals.send_modify(|(count, error)| {
            *count += 1;
            *error = outcome.err();
        });
    }

    /// One renewal, and what else is due.
    async fn turn(&mut self) -> Result<(), StoreError> {
        if self.link.as_ref().is_none_or(|link| link.client.is_closed()) {
            let link = self.connector.connect().await?;
            limited(link.client.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
            let started = limited(link.client.query_one(STARTED, &[])).await?.get(0);
            let (shared, membership) = (&self.shared, &mut self.membership);
            // The lease covers what is read on the server of the old link only.
            shared.primary.renews_on(started, || {
                membership.moved();
                shared.set_lease(None);
            });
            self.server = ServerId(started);
            listening::test(&link, &self.connector, &self.has_warned);
            self.link = Some(link);
        }
        while self.renew().await? == RenewalOutcome::NotActive {
            log::warn!("store: other nodes took this one for dead: it empties its memory and registers again");
        }
        self.look_at_neighbours().await?;
        self.renewed = self.renewed.wrapping_add(1);
        if self.renewed.is_multiple_of(PRUNE_EVERY) {
            self.prune().await?;
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<RenewalOutcome, StoreError> {
        // Before the statement is sent.
        let renewal = self.membership.begin(boot_time());
        if self.membership.is_registered() {
            let id = self.id();
            let renewed = self
                .commit("UPDATE nodes SET renewal = gen_random_uuid() WHERE id = $1 AND state = 'active'", &[&id])
                .await?;
            if renewed == 0 {
                self.shared.set_lease(None);
                self.membership.lost();
                return Ok(RenewalOutcome::NotActive);
            }
        } else {
            self.register().await?;
        }
        let reading = self.read().await?;
        let shared = &self.shared;
        let applied = self.membership.apply(renewal, reading, |invalidation| forget(shared, invalidation));
        let acknowledgement = self.membership.extend(applied);
        self.shared.set_lease(self.membership.lease_end());
        self.acknowledge(acknowledgement.position).await?;
        Ok(RenewalOutcome::Committed)
    }

    async fn register(&mut self) -> Result<(), StoreError> {
        let id = Uuid::new_v4();
        self.registering = Some(id);
        let version = env!("CARGO_PKG_VERSION");
        self.commit(
            "INSERT INTO nodes (id, name, version, started_at)
             VALUES ($1, $2, $3, extract(epoch FROM statement_timestamp())::bigint)",
            &[&id, &self.name, &version],
        )
        .await?;
        *self.shared.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(NodeId(id.as_u128()));
        self.registering = None;
        self.acknowledged = None;
        self.membership.registered();
        Ok(())
    }

    /// The changes from this node's position on, and the latest one, in one snapshot.
    async fn read(&self) -> Result<Reading<Change>, StoreError> {
        const CHANGES: &str = "SELECT latest.sequence, latest.mark, c.sequence, c.mark, c.kind, c.subject
             FROM change_counter latest LEFT JOIN changes c ON c.sequence >= $1 ORDER BY c.sequence";
        let from = self.membership.position().map_or(i64::MAX, |position| position.sequence);
        let rows = self.query(CHANGES, &[&from]).await?;
        let first = rows.first().ok_or_else(|| StoreError::Internal("the counter of changes is missing".to_owned()))?;
        let latest = position(first, 0).ok_or_else(|| StoreError::Internal("the counter has no number".to_owned()))?;
        let changes = rows.iter().filter_map(|row| Some((position(row, 2)?, announce::read(row, 4))));
        Ok(Reading { latest, changes: changes.collect() })
    }

    /// Tells the others up to which change the memory is current, unless they know. The database may be another one by now, so
    /// the change must be part of its history.
    async fn acknowledge(&mut self, position: Position) -> Result<(), StoreError> {
        const ACKNOWLEDGE: &str = "UPDATE nodes SET acknowledged = $2
             WHERE id = $1 AND state = 'active'
               AND EXISTS (SELECT FROM changes WHERE sequence = $2 AND mark = $3
                           UNION ALL SELECT FROM change_counter WHERE sequence = $2 AND mark = $3)";
        if self.acknowledged == Some(position) {
            return Ok(());
        }
        let (id, mark) = (self.id(), Uuid::from_u128(position.mark.0));
        self.execute(ACKNOWLEDGE, &[&id, &position.sequence, &mark]).await?;
        self.acknowledged = Some(position);
        Ok(())
    }

    async fn look_at_neighbours(&mut self) -> Result<(), StoreError> {
        let rows = self.query(NODES, &[]).await?;
        let rows: Vec<NodeRow> = rows.iter().map(node).collect::<Result<_, _>>()?;
        for Departure { node: NodeId(id), state, renewal } in
            self.neighbours.observe(self.server, &rows, boot_time(), LeaseTerms::NODES)
        {
            let (id, renewal) = (Uuid::from_u128(id), Uuid::from_u128(renewal.0));
            self.execute(DEPART, &[&id, &state.as_str(), &renewal]).await?;
        }
        Ok(())
    }

    /// Deletes what no node needs any more. A node that is further behind empties its memory.
    async fn prune(&self) -> Result<(), StoreError> {
        self.execute(
            "DELETE FROM changes WHERE sequence < (SELECT sequence FROM change_counter) - 10000
                 AND at < extract(epoch FROM statement_timestamp())::bigint - 60",
            &[],
        )
        .await?;
        self.execute(
            "DELETE FROM nodes
             WHERE state = 'gone' AND started_at < extract(epoch FROM statement_timestamp())::bigint - 3600",
            &[],
        )
        .await?;
        Ok(())
    }

    /// Gives up the lease, so that no revocation waits for this node.
    async fn leave(mut self) {
        self.shared.set_lease(None);
        self.shared.renewals.send_modify(|(_, error)| {
            *error = Some(StoreError::Unavailable("this node has stopped".to_owned()));
        });
        let registered = self.id().filter(|_| self.membership.is_registered());
        self.membership.lost();
        // A registration that was sent comes first on the connection.
        let ids: Vec<Uuid> = registered.into_iter().chain(self.registering).collect();
        if !ids.is_empty() && self.link.is_some() {
            // Otherwise others find out.
            let _ = self.execute("UPDATE nodes SET state = 'gone' WHERE id = ANY ($1)", &[&ids]).await;
        }
        self.shared.left.send_replace(true);
    }

    fn id(&self) -> Option<Uuid> {
        self.shared.id.lock().unwrap_or_else(PoisonError::into_inner).map(|NodeId(id)| Uuid::from_u128(id))
    }

    async fn execute(&self, statement: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let link = self.link()?;
        limited(async { link.client.execute(&link.prepare(statement).await?, parameters).await }).await
    }

    /// Executes a statement that gives a lease. A warning says that somebody ended the wait for the synchronous standby. A server
    /// that has lost its standby may not be the primary any more, and there is no lease on another.
    async fn commit(&self, statement: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let link = self.link()?;
        link.take_warning();
        let changed = self.execute(statement, parameters).await?;
        match link.take_warning() {
            true => Err(StoreError::Unavailable("PostgreSQL warned at a commit; the log has its message".to_owned())),
            false => Ok(changed),
        }
    }

    async fn query(&self, statement: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let link = self.link()?;
        limited(async { link.client.query(&link.prepare(statement).await?, parameters).await }).await
    }

    fn link(&self) -> Result<&Link, StoreError> {
        self.link.as_ref().ok_or_else(|| StoreError::NotMade("no connection to PostgreSQL".to_owned()))
    }
}

/// The rows of all nodes, as [`node`] reads them.
pub(super) const NODES: &str = "SELECT id, state, acknowledged, renewal FROM nodes";

/// Sets a node to gone, in PostgreSQL's dialect: its id, and the state and the renewal that were seen for a whole lease.
pub(super) const DEPART: &str = "UPDATE nodes SET state = 'gone' WHERE id = $1 AND state = $2 AND renewal = $3";

pub(super) fn node(row: &Row) -> Result<NodeRow, StoreError> {
    Ok(NodeRow {
        id: NodeId(row.get::<_, Uuid>(0).as_u128()),
        state: NodeState::parse(row.get(1)).ok_or_else(|| is_unreadable(1))?,
        acknowledged: row.get(2),
        renewal: Mark(row.get::<_, Uuid>(3).as_u128()),
    })
}

/// sequence, mark
fn position(row: &Row, at: usize) -> Option<Position> {
    let sequence: Option<i64> = row.get(at);
    let mark: Option<Uuid> = row.get(at + 1);
    Some(Position { sequence: sequence?, mark: Mark(mark?.as_u128()) })
}

fn forget(shared: &Shared, invalidation: Invalidation<Change>) {
    match invalidation {
        Invalidation::These(changes) => changes.into_iter().for_each(|change| shared.notify(change)),
        Invalidation::Everything => shared.notify(Change::Anything),
    }
}

async fn hint(notified: Option<&Notify>) {
    match notified {
        Some(notified) => notified.notified().await,
        None => std::future::pending().await,
    }
}

/// Waits for an answer, but not longer than a lease lasts.
async fn limited<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
    match timeout(STEP_LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| store_error(&error, Stage::Work)),
        Err(_) => Err(StoreError::NotMade("PostgreSQL did not answer within 1 s".to_owned())),
    }
}
