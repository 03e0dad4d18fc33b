//! The export of everything that is held about a user.

use super::{context::Context, error::Error};
use crate::{
    domain::{authority::Administrator, id::UserId},
    store::{ExportBatch, ExportPosition},
};

/// Writes what is in memory only, so that the export has it.
pub async fn prepare(ctx: &Context) -> Result<(), Error> {
    ctx.use_locations.flush(&*ctx.store).await?;
    Ok(ctx.uses.flush(&*ctx.store).await?)
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
