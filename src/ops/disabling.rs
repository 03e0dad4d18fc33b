//! Disabling users who own something: it is listed, and can be handed over.

use super::{accounts, context::Context, error::Error, owners};
use crate::{
    domain::{
        account_state::DisabledAccount, audit::RequestSource, authority::Administrator, id::UserId, owner::HandedOver,
    },
    store::LastAdmin,
};

/// Disables a user, like [`accounts::disable`]. With `transfer_to`, everything that they own is handed over first, in the
/// same change.
pub async fn disable(
    ctx: &Context,
    administrator: Administrator,
    user: UserId,
    transfer_to: Option<UserId>,
    last: LastAdmin,
    source: RequestSource,
) -> Result<DisabledAccount, Error> {
    let transfer = owners::transfer(ctx, user, transfer_to).await?;
    let owned = owners::owned_by(ctx, administrator, user).await?;
    let (account, handed_over) = match transfer {
        None => (accounts::disable(ctx, administrator, user, last, source).await?, None),
        Some(transfer) => {
            let by = ctx.attribution(source);
            let changed = ctx.store.hand_over_and_disable(user, transfer, last, by).await;
            let (account, handed_over) = changed.map_err(|error| owners::transfer_refusal(ctx, error))?;
            (account, Some(handed_over))
        }
    };
    Ok(DisabledAccount { account, owned, handed_over })
}

/// What [`disable`] would answer, without a change.
pub async fn preview(
    ctx: &Context,
    administrator: Administrator,
    user: UserId,
    transfer_to: Option<UserId>,
) -> Result<DisabledAccount, Error> {
    let transfer = owners::transfer(ctx, user, transfer_to).await?;
    let account = ctx.store.account_details(user, ctx.clock.now()).await?.account;
    let owned = owners::owned_by(ctx, administrator, user).await?;
    // The default environment is not handed over.
    let environments = owned.environments.count.saturating_sub(1);
    let handed_over = transfer.map(|_| HandedOver { tokens: owned.tokens.count, environments });
    Ok(DisabledAccount { account, owned, handed_over })
}
