//! Reuse: the use of a secret that rotation has ended. The check adds it to a queue, and housekeeping records it in the
//! owner's audit trail or revokes the family.

use std::slice;

use futures_util::future::join_all;

use super::{
    caller::Caller,
    context::Context,
    state::reuse_queue::{CanaryUse, Reuse},
};
use crate::{
    config::OnReuse,
    domain::{
        audit::{Action, Actor, Attribution, Entry, Outcome, RequestSource, Target},
        events::TokenRef,
        id::{TokenId, UserId},
        time::Timestamp,
        token::{Token, TokenRecord},
    },
    store::StoreError,
};

/// How many reuses are written at once. A flood of them must not fill the queue of other changes.
const WRITTEN_AT_ONCE: usize = 64;

/// Adds a reuse to the queue. It takes no longer than any other rejection.
pub(super) fn enqueue(ctx: &Context, record: &TokenRecord, caller: Caller<'_>, at: Timestamp) {
    ctx.measurements.reuses.increment();
    let actor = Actor::token(&record.token);
    let by =
        Attribution { origin: RequestSource { actor, address: caller.address, request_id: None, keyed: None }, at };
    ctx.reuses.enqueue(Reuse::new(&record.token, by), ctx.clock.uptime());
}

/// Writes the reuses in the queue. Those that fail stay in it.
pub(super) async fn flush(ctx: &Context) -> Result<(), StoreError> {
    let mut taken = ctx.reuses.take_all();
    let reuses = taken.reuses();
    let mut outcome = Ok(());
    for some in reuses.chunks(WRITTEN_AT_ONCE) {
        let written = join_all(some.iter().map(|reuse| write(ctx, reuse))).await;
        for (reuse, result) in some.iter().zip(written) {
            match result {
                Ok(()) => taken.done(slice::from_ref(reuse)),
                Err(error) => outcome = Err(error),
            }
        }
    }
    outcome
}

/// Revokes the family of an ended token that a client wanted to rotate. If the queue holds a reuse of the token, that is
/// recorded in the same change. After a failure the revocation is in the queue.
pub(super) async fn revoke_family(ctx: &Context, token: &Token, by: Attribution) -> Result<(), StoreError> {
    let mut taken = ctx.reuses.take_for_revocation(token, by);
    let reuses = taken.reuses();
    for reuse in &reuses {
        write(ctx, reuse).await?;
    }
    taken.done(&reuses);
    Ok(())
}

async fn write(ctx: &Context, reuse: &Reuse) -> Result<(), StoreError> {
    let Reuse { owner, family, token, by, is_new, revokes_family, canary } = reuse.clone();
    if let Some(CanaryUse { environment, user_agent }) = canary {
        let used = TokenRef { id: token, owner, environment }.canary_used(user_agent.as_ref());
        return ctx.store.record_refusal(used, by).await;
    }
    if revokes_family || ctx.rules.rotation.on_reuse == OnReuse::RevokeFamily {
        return revoke_family_of(ctx, (owner, family, token), is_new, by).await;
    }
    let entry = Entry::done(owner, Action::TokenReuseDetected, Target::PersonalAccessToken(token));
    ctx.store.record_refusal(Entry { outcome: Outcome::Refused, ..entry }, by).await
}

/// The family can get another owner between the use and this change. Then the family of the new owner is revoked.
async fn revoke_family_of(
    ctx: &Context,
    (owner, family, token): (UserId, TokenId, TokenId),
    is_new: bool,
    by: Attribution,
) -> Result<(), StoreError> {
    if ctx.store.revoke_family(owner, family, token, is_new, by.clone()).await? > 0 {
        return Ok(());
    }
    match ctx.store.token_in_any_state(token).await {
        Ok(now) if now.owner != owner => ctx.store.revoke_family(now.owner, family, token, false, by).await.map(drop),
        Ok(_) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
