//! SQL on who sees an environment, and in which role. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::row;
use crate::{
    domain::{
        environment::EnvironmentAccess,
        id::{EnvironmentId, UserId},
    },
    store::StoreError,
};

/// By primary keys. Whoever manages the service account that owns an environment has the rights of its owner.
pub(super) const SEEN: &str = "SELECT id, owner_id, name, is_default, created_at, iif(is_owner, NULL, role) FROM (
         SELECT e.id, e.owner_id, e.name, e.is_default, e.created_at, m.role,
                e.owner_id = :user_id
                OR EXISTS (SELECT 1 FROM service_account_managers s
                           WHERE s.service_account_id = e.owner_id AND s.user_id = :user_id)
                OR EXISTS (SELECT 1 FROM users o JOIN users a ON a.id = :user_id AND a.role = 'admin'
                           WHERE o.id = e.owner_id AND o.kind = 'service_account') AS is_owner
         FROM environments e
         LEFT JOIN environment_members m ON m.environment_id = e.id AND m.user_id = :user_id
         WHERE e.id = :id
     ) WHERE is_owner OR role IS NOT NULL";

/// The environment as the user sees it; [`StoreError::NotFound`] where they do not.
pub(super) fn seen(connection: &Connection, user: UserId, id: EnvironmentId) -> Result<EnvironmentAccess, StoreError> {
    connection
        .prepare_cached(SEEN)?
        .query_row(
            named_params! {":user_id": user.uuid().into_bytes(), ":id": id.uuid().into_bytes()},
            row::environment_access,
        )
        .optional()?
        .ok_or(StoreError::NotFound)
}
