//! What is known about the nodes.

use crate::{
    domain::node::{NodeState, NodeStatus},
    store::{
        StoreError,
        sql::{
            connection::{Connection, NONE, is_unreadable},
            row,
        },
    },
};

/// A node that is gone is listed for an hour, as long as its row is kept.
const LIST: &str = "SELECT n.id, n.name, n.version, n.started_at, n.state,
            CASE WHEN n.acknowledged < c.sequence THEN c.sequence - n.acknowledged ELSE 0 END
     FROM nodes n CROSS JOIN change_counter c ON TRUE ORDER BY n.started_at, n.id";

pub(super) fn list(connection: &dyn Connection) -> Result<Vec<NodeStatus>, StoreError> {
    connection.all(LIST, NONE, |row| {
        let behind: i64 = row.get(5)?;
        Ok(NodeStatus {
            id: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            registered_at: row::time(row, 3)?,
            state: NodeState::parse(row.text(4)?).ok_or_else(|| is_unreadable(4))?,
            behind: u64::try_from(behind).unwrap_or(0),
        })
    })
}
