//! SQL on accounts as administrators see and change them. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, OptionalExtension, named_params, types::Value};

use super::{audit, password_links, roles, row, sessions, users};
use crate::{
    domain::{
        account::{PasswordHash, UserCredentials},
        account_state::{Account, AccountDetails},
        audit::Attribution,
        events,
        id::UserId,
        password_link::NewPasswordLink,
        secret::TokenHash,
        time::Timestamp,
    },
    store::{AccountChange, AccountQuery, Change, LastAdmin, ProfileChange, StoreError, UserOrder},
};

pub(super) const ACCOUNT: &str = "SELECT id, name, email, created_at, disabled_at, current_environment_id, role,
            password_hash IS NOT NULL
     FROM users WHERE kind = 'user' AND ";

/// The filters of lists.
pub(super) const FILTERS: &str = " AND (:role IS NULL OR role = :role)
     AND (:search IS NULL OR instr(folded(name), :search) > 0 OR instr(email_canonical, :search) > 0)
     AND CASE :state
             WHEN 'active' THEN disabled_at IS NULL AND password_hash IS NOT NULL
             WHEN 'disabled' THEN disabled_at IS NOT NULL
             WHEN 'invited' THEN disabled_at IS NULL AND password_hash IS NULL
             ELSE 1
         END";

pub(super) fn by_id(connection: &Connection, id: UserId) -> Result<Account, StoreError> {
    connection
        .prepare_cached(&[ACCOUNT, "id = :id"].concat())?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, row::account)
        .optional()?
        .ok_or(StoreError::NotFound)
}

/// The statement for a list. Each order is that of an index.
pub(super) fn list_statement(order: UserOrder, reversed: bool) -> String {
    // Each condition uses both parameters, so that all statements have the same parameters.
    let (after, order) = match (order, reversed) {
        (UserOrder::Created, false) => ("id > :id AND :key IS NOT NULL", "id"),
        (UserOrder::Created, true) => ("id < :id AND :key IS NOT NULL", "id DESC"),
        (UserOrder::Name, false) => {
            ("name COLLATE NOCASE >= :key AND (name COLLATE NOCASE > :key OR id > :id)", "name COLLATE NOCASE, id")
        }
        (UserOrder::Name, true) => (
            "name COLLATE NOCASE <= :key AND (name COLLATE NOCASE < :key OR id < :id)",
            "name COLLATE NOCASE DESC, id DESC",
        ),
        (UserOrder::Email, false) => ("email_canonical > :key AND :id IS NOT NULL", "email_canonical"),
        (UserOrder::Email, true) => ("email_canonical < :key AND :id IS NOT NULL", "email_canonical DESC"),
    };
    [ACCOUNT, after, FILTERS, " ORDER BY ", order, " LIMIT :limit"].concat()
}

pub(super) fn list(connection: &Connection, query: &AccountQuery) -> Result<Vec<Account>, StoreError> {
    let (key, id) = match &query.after {
        Some(place) => (Value::Text(place.key.clone()), place.id.uuid().into_bytes().to_vec()),
        // Before every key and id, or after: a blob sorts after every text.
        None if query.reversed => (Value::Blob(Vec::new()), vec![u8::MAX; 17]),
        None => (Value::Text(String::new()), Vec::new()),
    };
    let mut statement = connection.prepare_cached(&list_statement(query.order, query.reversed))?;
    let rows = statement.query_map(
        named_params! {
            ":key": key,
            ":id": id,
            ":role": query.role.map(|role| role.as_str()),
            ":search": query.search,
            ":state": query.state.map(|state| state.as_str()),
            ":limit": query.limit,
        },
        row::account,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads at most the latest thousand events of the user's trail. If none of them is a sign-in, an open session tells.
pub(super) const LAST_SIGN_IN: &str = "SELECT max(coalesce(
            (SELECT at FROM (SELECT at, action FROM audit_events WHERE user_id = :id ORDER BY seq DESC LIMIT 1000)
             WHERE action = 'session.created' LIMIT 1), 0),
        coalesce((SELECT max(created_at) FROM sessions WHERE user_id = :id), 0))";

/// What belongs to a user. Each part uses an index of the user.
pub(super) const BELONGINGS: &str =
    "SELECT (SELECT expires_at FROM password_links WHERE user_id = :id AND expires_at > :now),
            (SELECT count(*) FROM tokens WHERE owner_id = :id AND revoked_at IS NULL AND environment_id IS NULL
                 AND (expires_at IS NULL OR expires_at > :now)),
            (SELECT count(*) FROM sessions WHERE user_id = :id AND expires_at > :now),
            (SELECT count(*) FROM environments WHERE owner_id = :id)";

pub(super) fn details(connection: &Connection, id: UserId, now: Timestamp) -> Result<AccountDetails, StoreError> {
    let account = by_id(connection, id)?;
    let id = id.uuid().into_bytes();
    let last_sign_in: i64 =
        connection.prepare_cached(LAST_SIGN_IN)?.query_row(named_params! {":id": id}, |row| row.get(0))?;
    let details =
        connection.prepare_cached(BELONGINGS)?.query_row(named_params! {":id": id, ":now": now.unix()}, |row| {
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

pub(super) fn change(
    connection: &Connection,
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

pub(super) fn disable(
    connection: &Connection,
    id: UserId,
    last: LastAdmin,
    by: &Attribution,
) -> Result<Account, StoreError> {
    let user = users::by_id(connection, id)?;
    if user.disabled_at.is_none() {
        roles::expect_other_admin(connection, &user, last)?;
        connection
            .prepare_cached("UPDATE users SET disabled_at = :at WHERE id = :id")?
            .execute(named_params! {":id": id.uuid().into_bytes(), ":at": by.at.unix()})?;
        audit::record(connection, by, &events::user_disabled(id))?;
        sessions::end_all(connection, id, None, by)?;
        password_links::end(connection, id)?;
    }
    by_id(connection, id)
}

pub(super) fn enable(connection: &Connection, id: UserId, by: &Attribution) -> Result<Account, StoreError> {
    let user = users::by_id(connection, id)?;
    if user.disabled_at.is_some() {
        connection
            .prepare_cached("UPDATE users SET disabled_at = NULL WHERE id = :id")?
            .execute(named_params! {":id": id.uuid().into_bytes()})?;
        audit::record(connection, by, &events::user_enabled(id))?;
    }
    by_id(connection, id)
}

pub(super) fn end_sessions(connection: &Connection, id: UserId, by: &Attribution) -> Result<u64, StoreError> {
    users::by_id(connection, id)?;
    sessions::end_all(connection, id, None, by)
}

pub(super) fn reset_password(
    connection: &Connection,
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
    connection
        .prepare_cached("UPDATE users SET password_hash = NULL WHERE id = :id")?
        .execute(named_params! {":id": id.uuid().into_bytes()})?;
    password_links::replace(connection, id, link, by)?;
    audit::record(connection, by, &events::password_link_created(id, had_password))?;
    sessions::end_all(connection, id, None, by)?;
    by_id(connection, id)
}

/// Sets the password of the link's user, and removes the link. Returns the user.
pub(super) fn set_password_by_link(
    connection: &Connection,
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
