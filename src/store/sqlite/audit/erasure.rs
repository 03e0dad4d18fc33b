//! Erases the personal data of a user from the audit trail.

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::{
    domain::{
        id::UserId,
        seal::{PersonalField, SHARED_SALT, Salt, digest_field, is_personal_detail},
    },
    store::StoreError,
};

/// The events of the user's trail. An address belongs to the user who acted, or to the user of the trail if nobody is known
/// to have acted.
pub(in crate::store::sqlite) const OWN_TRAIL: &str =
    "SELECT seq, iif(actor_user_id IS NULL OR actor_user_id = :user_id, address, NULL), detail, action
     FROM audit_events WHERE user_id = :user_id";

/// The events of the user in the trails of others.
pub(in crate::store::sqlite) const OTHER_TRAILS: &str = "SELECT seq, address, NULL, action FROM audit_events
     WHERE actor_user_id = :user_id AND user_id IS NOT actor_user_id";

/// Replaces the user's addresses in all events, and the personal details in the user's trail, with digests, and deletes the
/// salt of these digests. Call it in the transaction that deletes the user, after the last event of the user. Later events
/// use the shared salt.
pub(in crate::store::sqlite) fn erase(connection: &Connection, user: UserId) -> Result<(), StoreError> {
    let id = user.uuid().into_bytes();
    let salt = salt_of(connection, user)?;
    connection
        .prepare_cached("INSERT INTO audit_erasure (only_row, user_id) VALUES (1, :user_id)")?
        .execute(named_params! {":user_id": id})?;
    for select in [OWN_TRAIL, OTHER_TRAILS] {
        for event in find(connection, select, user)? {
            erase_event(connection, &salt, &event)?;
        }
    }
    connection.prepare_cached("DELETE FROM audit_erasure")?.execute([])?;
    connection
        .prepare_cached("DELETE FROM audit_salts WHERE user_id = :user_id")?
        .execute(named_params! {":user_id": id})?;
    Ok(())
}

/// The user's salt, or the shared one if it is deleted.
fn salt_of(connection: &Connection, user: UserId) -> Result<Salt, StoreError> {
    let mut statement = connection.prepare_cached("SELECT salt FROM audit_salts WHERE user_id = :user_id")?;
    let mut salt = |id: uuid::Uuid| {
        statement.query_row(named_params! {":user_id": id.into_bytes()}, |row| row.get::<_, Salt>(0)).optional()
    };
    match salt(user.uuid())? {
        Some(own) => Ok(own),
        None => salt(SHARED_SALT)?.ok_or_else(|| StoreError::Internal("the audit trail has no shared salt".into())),
    }
}

/// An event and what is to be erased of it.
struct Erased {
    seq: i64,
    address: Option<String>,
    detail: Option<String>,
}

fn find(connection: &Connection, select: &str, user: UserId) -> Result<Vec<Erased>, StoreError> {
    let mut statement = connection.prepare_cached(select)?;
    let rows = statement.query_map(named_params! {":user_id": user.uuid().into_bytes()}, |row| {
        let (detail, action): (Option<String>, String) = (row.get(2)?, row.get(3)?);
        let detail = detail.filter(|detail| is_personal_detail(&action, detail));
        Ok(Erased { seq: row.get(0)?, address: row.get(1)?, detail })
    })?;
    let mut found = Vec::new();
    for event in rows {
        let event = event?;
        if event.address.is_some() || event.detail.is_some() {
            found.push(event);
        }
    }
    Ok(found)
}

fn erase_event(connection: &Connection, salt: &Salt, event: &Erased) -> Result<(), StoreError> {
    let digest =
        |field, text: &Option<String>| text.as_ref().map(|text| *digest_field(salt, field, event.seq, text).as_bytes());
    connection
        .prepare_cached(
            "UPDATE audit_events
             SET address = iif(:address IS NULL, address, NULL), erased_address = coalesce(:address, erased_address),
                 detail = iif(:detail IS NULL, detail, NULL), erased_detail = coalesce(:detail, erased_detail)
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":seq": event.seq,
            ":address": digest(PersonalField::Address, &event.address),
            ":detail": digest(PersonalField::Detail, &event.detail),
        })?;
    Ok(())
}
