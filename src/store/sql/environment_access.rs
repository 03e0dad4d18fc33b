//! SQL on who sees an environment, and in which role. Each function runs inside one transaction of its caller.

use super::{
    connection::{Connection, named},
    row,
};
use crate::{
    domain::{
        environment::EnvironmentAccess,
        id::{EnvironmentId, UserId},
    },
    store::StoreError,
};

macro_rules! seen {
    ($also_owner:literal) => {
        concat!(
            "SELECT id, owner_id, name, is_default, created_at, CASE WHEN NOT is_owner THEN role END,
                    (SELECT o.name FROM users o WHERE o.id = owner_id AND o.kind = 'service_account')
             FROM (
                 SELECT e.id, e.owner_id, e.name, e.is_default, e.created_at, m.role,
                        e.owner_id = :user_id
                        OR EXISTS (SELECT 1 FROM service_account_managers s
                                   WHERE s.service_account_id = e.owner_id AND s.user_id = :user_id)",
            $also_owner,
            "            AS is_owner
                 FROM environments e
                 LEFT JOIN environment_members m ON m.environment_id = e.id AND m.user_id = :user_id
                 WHERE e.id = :id
             ) AS seen WHERE is_owner OR role IS NOT NULL"
        )
    };
}

/// By primary keys. A manager of the service account that owns an environment has the rights of its owner.
pub(crate) const SEEN: &str = seen!(
    " OR EXISTS (SELECT 1 FROM users o JOIN users a ON a.id = :user_id AND a.role = 'admin'
                 WHERE o.id = e.owner_id AND o.kind = 'service_account') "
);
/// The same without the rights of an administrator.
pub(crate) const SEEN_WITHOUT_ROLE: &str = seen!(" ");

/// The environment as the user sees it; [`StoreError::NotFound`] where they do not.
pub(crate) fn seen(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
) -> Result<EnvironmentAccess, StoreError> {
    find(connection, SEEN, user, id)
}

/// Like [`seen()`], but the user's role of an administrator does not count.
pub(crate) fn seen_without_role(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
) -> Result<EnvironmentAccess, StoreError> {
    find(connection, SEEN_WITHOUT_ROLE, user, id)
}

fn find(
    connection: &dyn Connection,
    statement: &str,
    user: UserId,
    id: EnvironmentId,
) -> Result<EnvironmentAccess, StoreError> {
    connection
        .optional(statement, named! {":user_id": user.uuid(), ":id": id.uuid()}, row::environment_access)?
        .ok_or(StoreError::NotFound)
}
