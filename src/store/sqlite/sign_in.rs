//! SQL that signs a user in. It runs inside one transaction of its caller.

use rusqlite::{Connection, named_params};

use super::{audit, users};
use crate::{
    domain::{audit::Attribution, events},
    store::{SignIn, StoreError},
};

pub(super) fn sign_in(connection: &Connection, sign_in: &SignIn, by: &Attribution) -> Result<(), StoreError> {
    let session = &sign_in.session.session;
    users::expect_credentials(connection, session.user, &sign_in.verified)?;
    if let Some(rehashed) = &sign_in.rehashed {
        users::set_password(connection, session.user, rehashed)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, user_id, hash, device_name, created_at, last_used_at, expires_at)
             VALUES (:id, :user_id, :hash, :device_name, :created_at, :created_at, :expires_at)",
        )?
        .execute(named_params! {
            ":id": session.id.uuid().into_bytes(),
            ":user_id": session.user.uuid().into_bytes(),
            ":hash": sign_in.session.hash.as_bytes(),
            ":device_name": session.device_name.as_ref().map(|name| name.as_str()),
            ":created_at": session.created_at.unix(),
            ":expires_at": session.expires_at.unix(),
        })?;
    audit::record(connection, by, &events::session_created(session.user, session.id))
}
