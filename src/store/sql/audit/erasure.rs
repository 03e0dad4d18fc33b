//! Erases the personal data of a user from the audit trail.

use crate::store::sql::connection::{Connection, NONE, named};
use crate::{
    domain::{
        id::UserId,
        seal::{PersonalField, SHARED_SALT, Salt, digest_field, is_personal_detail},
    },
    store::StoreError,
};

/// The events of the user's trail. An address belongs to the user who acted, or to the user of the trail if nobody is known
/// to have acted.
pub(crate) const OWN_TRAIL: &str =
    "SELECT seq, CASE WHEN actor_user_id IS NULL OR actor_user_id = :user_id THEN address END, detail, action
     FROM audit_events WHERE user_id = :user_id";

/// The events of the user in the trails of others.
pub(crate) const OTHER_TRAILS: &str = "SELECT seq, address, CAST(NULL AS text), action FROM audit_events
     WHERE actor_user_id = :user_id AND user_id IS DISTINCT FROM actor_user_id";

/// Replaces the user's addresses in all events, and the personal details in the user's trail, with digests, and deletes the
/// salt of these digests. Call it in the transaction that deletes the user, after the last event of the user. Later events
/// use the shared salt.
pub(crate) fn erase(connection: &dyn Connection, user: UserId) -> Result<(), StoreError> {
    let id = user.uuid();
    let salt = salt_of(connection, user)?;
    connection
        .execute("INSERT INTO audit_erasure (only_row, user_id) VALUES (1, :user_id)", named! {":user_id": id})?;
    for select in [OWN_TRAIL, OTHER_TRAILS] {
        for event in find(connection, select, user)? {
            erase_event(connection, &salt, &event)?;
        }
    }
    connection.execute("DELETE FROM audit_erasure", NONE)?;
    connection.execute("DELETE FROM audit_salts WHERE user_id = :user_id", named! {":user_id": id})?;
    Ok(())
}

/// The user's salt, or the shared one if it is deleted.
fn salt_of(connection: &dyn Connection, user: UserId) -> Result<Salt, StoreError> {
    let salt = |id: uuid::Uuid| {
        connection.optional("SELECT salt FROM audit_salts WHERE user_id = :user_id", named! {":user_id": id}, |row| {
            row.get(0)
        })
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

fn find(connection: &dyn Connection, select: &str, user: UserId) -> Result<Vec<Erased>, StoreError> {
    let mut found = connection.all(select, named! {":user_id": user.uuid()}, |row| {
        let (detail, action): (Option<String>, String) = (row.get(2)?, row.get(3)?);
        let detail = detail.filter(|detail| is_personal_detail(&action, detail));
        Ok(Erased { seq: row.get(0)?, address: row.get(1)?, detail })
    })?;
    found.retain(|event| event.address.is_some() || event.detail.is_some());
    Ok(found)
}

fn erase_event(connection: &dyn Connection, salt: &Salt, event: &Erased) -> Result<(), StoreError> {
    let digest =
        |field, text: &Option<String>| text.as_ref().map(|text| *digest_field(salt, field, event.seq, text).as_bytes());
    connection.execute(
        "UPDATE audit_events
             SET address = CASE WHEN :address IS NULL THEN address END, erased_address = coalesce(:address, erased_address),
                 detail = CASE WHEN :detail IS NULL THEN detail END, erased_detail = coalesce(:detail, erased_detail)
             WHERE seq = :seq",
        named! {
            ":seq": event.seq,
            ":address": digest(PersonalField::Address, &event.address),
            ":detail": digest(PersonalField::Detail, &event.detail),
        },
    )?;
    Ok(())
}
