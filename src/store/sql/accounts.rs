//! SQL on accounts as administrators see and change them. Each function runs inside one transaction of its caller.

use uuid::Uuid;

use super::{
    audit,
    connection::{Connection, named},
    password_links, roles, row, sessions, users,
};
use crate::{
    domain::{
        account::{PasswordHash, UserCredentials},
        account_state::{Account, AccountDetails},
        audit::Attribution,
        events,
        id::UserId,
        password_link::NewPasswordLink,
        secret::TokenHash,
        text::Name,
        time::Timestamp,
    },
    store::{AccountChange, AccountQuery, Change, LastAdmin, ProfileChange, StoreError, UserOrder},
};

pub(crate) const ACCOUNT: &str = "SELECT id, name, email, created_at, disabled_at, current_environment_id, role,
            password_hash IS NOT NULL
     FROM users WHERE kind = 'user' AND ";

/// The filters of lists.
pub(crate) const FILTERS: &str = " AND (:role IS NULL OR role = :role)
     AND (:search IS NULL OR instr(folded(name), :search) > 0 OR instr(email_canonical, :search) > 0)
     AND CASE :state
             WHEN 'active' THEN disabled_at IS NULL AND password_hash IS NOT NULL
             WHEN 'disabled' THEN disabled_at IS NOT NULL
             WHEN 'invited' THEN disabled_at IS NULL AND password_hash IS NULL
             ELSE TRUE
         END";

pub(crate) fn by_id(connection: &dyn Connection, id: UserId) -> Result<Account, StoreError> {
    connection
        .optional(&[ACCOUNT, "id = :id"].concat(), named! {":id": id.uuid()}, row::account)?
        .ok_or(StoreError::NotFound)
}

/// The statement for a list. Each order is that of an index.
pub(crate) fn list_statement(order: UserOrder, reversed: bool) -> String {
    // Each condition uses both parameters, so that all statements have the same parameters.
    let (after, order) = match (order, reversed) {
        (UserOrder::Created, false) => ("id > :id AND CAST(:key AS text) IS NOT NULL", "id"),
        (UserOrder::Created, true) => ("id < :id AND CAST(:key AS text) IS NOT NULL", "id DESC"),
        (UserOrder::Name, false) => ("lower(name) >= :key AND (lower(name) > :key OR id > :id)", "lower(name), id"),
        (UserOrder::Name, true) => {
            ("lower(name) <= :key AND (lower(name) < :key OR id < :id)", "lower(name) DESC, id DESC")
        }
        (UserOrder::Email, false) => ("email_canonical > :key AND CAST(:id AS uuid) IS NOT NULL", "email_canonical"),
        (UserOrder::Email, true) => {
            ("email_canonical < :key AND CAST(:id AS uuid) IS NOT NULL", "email_canonical DESC")
        }
    };
    [ACCOUNT, after, FILTERS, " ORDER BY ", order, " LIMIT :limit"].concat()
}

pub(crate) fn list(connection: &dyn Connection, query: &AccountQuery) -> Result<Vec<Account>, StoreError> {
    let (key, id) = match &query.after {
        // As `lower` does it with a name: only the letters A to Z.
        Some(place) => (place.key.to_ascii_lowercase(), place.id.uuid()),
        // After every key and id, or before.
        None if query.reversed => ("\u{10ffff}".repeat(Name::MAX_CHARS + 1), Uuid::max()),
        None => (String::new(), Uuid::nil()),
    };
    connection.all(
        &list_statement(query.order, query.reversed),
        named! {
            ":key": key,
            ":id": id,
            ":role": query.role.map(|role| role.as_str()),
            ":search": query.search.as_deref(),
            ":state": query.state.map(|state| state.as_str()),
            ":limit": query.limit,
        },
        row::account,
    )
}

/// Reads at most the latest thousand events of the user's trail. If none of them is a sign-in, an open session tells.
pub(crate) const LAST_SIGN_IN: &str = "SELECT coalesce(max(at), 0) FROM (
         SELECT at FROM (
             SELECT at, action FROM audit_events WHERE user_id = :id ORDER BY seq DESC LIMIT 1000) AS latest
         WHERE action = 'session.created'
         UNION ALL
         SELECT created_at FROM sessions WHERE user_id = :id) AS sign_ins";

/// What belongs to a user. Each part uses an index of the user.
pub(crate) const BELONGINGS: &str =
    "SELECT (SELECT expires_at FROM password_links WHERE user_id = :id AND expires_at > :now),
            (SELECT count(*) FROM tokens WHERE owner_id = :id AND revoked_at IS NULL AND environment_id IS NULL
                 AND (expires_at IS NULL OR expires_at > :now)),
            (SELECT count(*) FROM sessions WHERE user_id = :id AND expires_at > :now),
            (SELECT count(*) FROM environments WHERE owner_id = :id)";

pub(crate) fn details(connection: &dyn Connection, id: UserId, now: Timestamp) -> Result<AccountDetails, StoreError> {
    let account = by_id(connection, id)?;
    let id = id.uuid();
    let last_sign_in: i64 = connection.one(LAST_SIGN_IN, named! {":id": id}, |row| row.get(0))?;
    let details = connection.one(BELONGINGS, named! {":id": id, ":now": now.unix()}, |row| {
        Ok(AccountDetails {
            account,
            password_link_expires_at: row::optional_time(row, 0)?,
            last_sign_in_at: (last_sign_in > 0).then(|| Timestamp::from_unix(last_sign_in)),
            tokens: row.get(1)?,
            sessions: row.get(2)?,
            environments: row.get(3)?,
        })
    })?;
    Ok(details)
}

pub(crate) fn change(
    connection: &dyn Connection,
    id: UserId,
    change: &AccountChange,
    last: LastAdmin,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<Account, StoreError> {
    let AccountChange { name, email, role } = change.clone();
    users::change_profile(connection, id, &ProfileChange { verified: None, name, email }, by)?;
    if let Some(role) = role {
        roles::set(connection, id, role, last, by, changes)?;
    }
    by_id(connection, id)
}

pub(crate) fn disable(
    connection: &dyn Connection,
    id: UserId,
    last: LastAdmin,
    by: &Attribution,
) -> Result<Account, StoreError> {
    let user = users::by_id(connection, id)?;
    if user.disabled_at.is_none() {
        roles::expect_other_admin(connection, &user, last)?;
        connection.execute(
            "UPDATE users SET disabled_at = :at WHERE id = :id",
            named! {":id": id.uuid(), ":at": by.at.unix()},
        )?;
        audit::record(connection, by, &events::user_disabled(id))?;
        sessions::end_all(connection, id, None, by)?;
        password_links::end(connection, id)?;
    }
    by_id(connection, id)
}

pub(crate) fn enable(connection: &dyn Connection, id: UserId, by: &Attribution) -> Result<Account, StoreError> {
    let user = users::by_id(connection, id)?;
    if user.disabled_at.is_some() {
        connection.execute("UPDATE users SET disabled_at = NULL WHERE id = :id", named! {":id": id.uuid()})?;
        audit::record(connection, by, &events::user_enabled(id))?;
    }
    by_id(connection, id)
}

pub(crate) fn end_sessions(connection: &dyn Connection, id: UserId, by: &Attribution) -> Result<u64, StoreError> {
    users::by_id(connection, id)?;
    sessions::end_all(connection, id, None, by)
}

pub(crate) fn reset_password(
    connection: &dyn Connection,
    id: UserId,
    link: &NewPasswordLink,
    last: LastAdmin,
    by: &Attribution,
) -> Result<Account, StoreError> {
    let UserCredentials { user, password } = users::credentials(connection, id)?;
    let had_password = password.is_some();
    if had_password {
        // Without a password they cannot sign in.
        roles::expect_other_admin(connection, &user, last)?;
    }
    connection.execute("UPDATE users SET password_hash = NULL WHERE id = :id", named! {":id": id.uuid()})?;
    password_links::replace(connection, id, link, by)?;
    audit::record(connection, by, &events::password_link_created(id, had_password))?;
    sessions::end_all(connection, id, None, by)?;
    by_id(connection, id)
}

/// Sets the password of the link's user, and removes the link. Returns the user.
pub(crate) fn set_password_by_link(
    connection: &dyn Connection,
    hash: &TokenHash,
    password: &PasswordHash,
    by: &Attribution,
) -> Result<UserId, StoreError> {
    let link =
        password_links::by_hash(connection, hash)?.filter(|link| link.is_usable(by.at)).ok_or(StoreError::NotFound)?;
    let user = link.user.id;
    password_links::end(connection, user)?;
    users::set_password(connection, user, password)?;
    audit::record(connection, by, &events::password_set_by_link(user))?;
    sessions::end_all(connection, user, None, by)?;
    Ok(user)
}
