//! The wait of a change that takes rights away, between its commit and its answer.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    error::{Stage, store_error},
    lease::boot_time,
    membership::{DEPART, NODES, node},
    node::Node,
    primary::STARTED,
    readers::Readers,
    writer::{Announced, Finish, answer},
};
use crate::{
    domain::node::NodeState,
    store::{
        StoreError, StoreMeasurements,
        cluster::{
            BootTime, Departure, LeaseTerms, Neighbours, NodeId, NodeRow, PendingRevocation, Position, ServerId,
            Verdict,
        },
    },
};

/// How long to wait before looking at the nodes again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// How much longer than a lease to wait for a node that neither answers nor is gone. Until then, the row of a node that died just
/// before the commit has not been seen for a whole lease.
const DEPARTURE_LIMIT: Duration = Duration::from_millis(100);

/// How long a look may take. A server that is there but does not answer must not delay the answer for ever.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// Answers jobs when no other node can accept what they have taken away. The writer goes on meanwhile.
pub(super) fn finisher(
    runtime: Handle,
    readers: Readers,
    own: Option<Arc<Node>>,
    measurements: Arc<StoreMeasurements>,
) -> Finish {
    Box::new(move |jobs, Announced { position, is_own, committed }| {
        let own = own.as_ref().filter(|_| is_own).and_then(|node| node.id());
        let (readers, measurements) = (readers.clone(), Arc::clone(&measurements));
        runtime.spawn(async move {
            let known = wait_for_nodes(&readers, own, position, committed).await;
            measurements.acknowledgements.observe(boot_time().since(committed));
            answer(jobs, &known);
        });
    })
}

/// Waits until no other node can accept what the change has taken away. `committed` must be read from the clock after the commit
/// was answered. `own` is this process's registration: its memory has forgotten already.
///
/// An error says that it is unknown whether the change was made: the database has another history now.
pub(super) async fn wait_for_nodes(
    readers: &Readers,
    own: Option<NodeId>,
    change: Position,
    committed: BootTime,
) -> Result<(), StoreError> {
    let pending = PendingRevocation::new(change, committed, LeaseTerms::NODES);
    let mut neighbours = Neighbours::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let seen = timeout(LOOK_LIMIT, look(readers, change, &mut neighbours)).await;
        match seen.unwrap_or_else(|_| Err(StoreError::NotMade("PostgreSQL did not answer within 1 s".to_owned()))) {
            Ok((mut rows, is_in_history)) => {
                rows.retain(|row| Some(row.id) != own);
                let now = boot_time();
                match pending.judge(&rows, is_in_history, now) {
                    // The next revocation must not wait for the same node, so it is to be gone first.
                    Verdict::Answer if pending.waits_for(&rows) && !pending.is_older_than(DEPARTURE_LIMIT, now) => {}
                    Verdict::Answer => return Ok(()),
                    Verdict::Lost => {
                        return Err(StoreError::Unavailable("the database went back to an earlier state".to_owned()));
                    }
                    Verdict::Wait { .. } => {}
                }
            }
            // What cannot be read does not matter any more when every lease is over that began before the commit.
            Err(_) if pending.may_answer_unseen(boot_time()) => return Ok(()),
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The rows of all nodes, and whether the change is part of the history, in one snapshot. Sets nodes that have not renewed their lease
/// for a whole one to gone.
async fn look(
    readers: &Readers,
    change: Position,
    neighbours: &mut Neighbours,
) -> Result<(Vec<NodeRow>, bool), StoreError> {
    let connection = readers.get().await?;
    let look = format!(
        "SELECT n.*, EXISTS (SELECT FROM changes WHERE sequence = $1 AND mark = $2
                            UNION ALL SELECT FROM change_counter WHERE sequence = $1 AND mark = $2),
                ({STARTED})
         FROM (VALUES (1)) AS always LEFT JOIN ({NODES}) n ON true"
    );
    let statement = connection.prepare_cached(&look).await.map_err(failed)?;
    let mark = Uuid::from_u128(change.mark.0);
    let rows = connection.query(&statement, &[&change.sequence, &mark]).await.map_err(failed)?;
    let is_in_history = rows.first().is_some_and(|row| row.get(4));
    let server = ServerId(rows.first().map_or(0, |row| row.get(5)));
    let nodes = rows.iter().filter(|row| row.get::<_, Option<Uuid>>(0).is_some());
    let mut nodes: Vec<NodeRow> = nodes.map(node).collect::<Result<_, _>>()?;
    for Departure { node, state, renewal } in neighbours.observe(server, &nodes, boot_time(), LeaseTerms::NODES) {
        let statement = connection.prepare_cached(DEPART).await.map_err(failed)?;
        let (id, renewal) = (Uuid::from_u128(node.0), Uuid::from_u128(renewal.0));
        if connection.execute(&statement, &[&id, &state.as_str(), &renewal]).await.map_err(failed)? > 0 {
            nodes.iter_mut().filter(|row| row.id == node).for_each(|row| row.state = NodeState::Gone);
        }
    }
    Ok((nodes, is_in_history))
}

fn failed(error: tokio_postgres::Error) -> StoreError {
    store_error(&error, Stage::Work)
}
