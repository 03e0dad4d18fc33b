//! Which of the nodes deletes what is old and seals the audit trail.
//!
//! A row names the registration of the node that does. It stays the one as long as it is active, because the leases of nodes
//! already decide that: a node that hangs or is killed is fenced by the others within about a second, one that stops leaves, and
//! one that comes back has another registration. So there is no second lease to renew, no clock, and nothing that a pooler or
//! a failover could lose. An advisory lock of the session would be: nobody takes it from a process that hangs.
//!
//! A node that was just fenced may still be at work while another begins. That does no harm: each deletion and each seal is decided
//! in its own transaction, from what is there then, and the transactions of all nodes run one after the other.

use uuid::Uuid;

use super::connection::WriteConnection;
use crate::store::StoreError;

const IS_TAKEN: &str = "SELECT node_id FROM housekeeping WHERE node_id = :me";

const TAKE: &str = "UPDATE housekeeping SET node_id = :me
     WHERE NOT EXISTS (SELECT FROM nodes WHERE id = housekeeping.node_id AND state = 'active')";

const IS_ACTIVE: &str = "SELECT id FROM nodes WHERE id = :me AND state = 'active'";

/// Whether the node with this registration does the housekeeping. If no active node does, it does from now on.
pub(super) fn take(connection: &WriteConnection, me: Uuid) -> Result<bool, StoreError> {
    if connection.run(IS_ACTIVE, &[(":me", &me)])?.rows.is_empty() {
        return Ok(false);
    }
    if !connection.run(IS_TAKEN, &[(":me", &me)])?.rows.is_empty() {
        return Ok(true);
    }
    let is_taken = connection.run(TAKE, &[(":me", &me)])?.count > 0;
    if is_taken {
        log::info!("store: this node does the housekeeping of the database from now on");
    }
    Ok(is_taken)
}
