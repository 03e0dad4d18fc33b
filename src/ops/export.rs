//! The export of everything that is held about a user.

use super::{
    context::Context,
    error::Error,
    principal::Principal,
    rejection::Rejection,
    verification::{Caller, authenticate},
};
use crate::{
    domain::{authority::Administrator, id::UserId},
    store::{ExportBatch, ExportPosition},
};

/// Writes what is in memory only, so that the export has it.
pub async fn prepare(ctx: &Context) -> Result<(), Error> {
    ctx.use_locations.flush(&*ctx.store).await?;
    ctx.usage.flush(&*ctx.store, ctx.clock.recordable()).await?;
    Ok(ctx.uses.flush(&*ctx.store).await?)
}

/// Fails if `credential` is no longer a session of the user. An export can take long, and its answer begins while the session
/// is good: call this before each part of it.
pub async fn expect_session(ctx: &Context, credential: &str, user: UserId) -> Result<(), Error> {
    match authenticate(ctx, credential, Caller::default()).await? {
        Principal::Session { record } if record.user.id == user => Ok(()),
        _ => Err(Rejection::Unknown.into()),
    }
}

/// The next rows about the signed-in user. `None` at the end.
pub async fn next(ctx: &Context, user: UserId, position: ExportPosition) -> Result<Option<ExportBatch>, Error> {
    Ok(ctx.store.export(user, position).await?)
}

/// The same about any user.
pub async fn next_of(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    position: ExportPosition,
) -> Result<Option<ExportBatch>, Error> {
    next(ctx, user, position).await
}
