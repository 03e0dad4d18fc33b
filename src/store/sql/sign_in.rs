//! SQL that signs a user in. It runs inside one transaction of its caller.

use super::{
    audit,
    connection::{Connection, named},
    users,
};
use crate::{
    domain::{audit::Attribution, events},
    store::{SignIn, StoreError},
};

pub(crate) fn sign_in(connection: &dyn Connection, sign_in: &SignIn, by: &Attribution) -> Result<(), StoreError> {
    let session = &sign_in.session.session;
    users::expect_credentials(connection, session.user, &sign_in.verified)?;
    if let Some(rehashed) = &sign_in.rehashed {
        users::set_password(connection, session.user, rehashed)?;
    }
    connection.execute(
        "INSERT INTO sessions (id, user_id, hash, device_name, created_at, last_used_at, expires_at)
             VALUES (:id, :user_id, :hash, :device_name, :created_at, :created_at, :expires_at)",
        named! {
            ":id": session.id.uuid(),
            ":user_id": session.user.uuid(),
            ":hash": sign_in.session.hash.as_bytes(),
            ":device_name": session.device_name.as_ref().map(|name| name.as_str()),
            ":created_at": session.created_at.unix(),
            ":expires_at": session.expires_at.unix(),
        },
    )?;
    audit::record(connection, by, &events::session_created(session.user, session.id))
}
