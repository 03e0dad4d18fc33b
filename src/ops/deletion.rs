//! The deletion of users, and the scrub of the files that follows it.

use std::{
    net::IpAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    accounts::{refuse_confirmation, wrong_current_password},
    context::Context,
    error::Error,
    owners,
    state::measurements::ThrottledAction,
};
use crate::{
    domain::{
        account::{Password, UserCredentials},
        audit::{Action, RequestSource},
        authority::Administrator,
        deletion::EndsWithUser,
        id::UserId,
        session::Session,
    },
    store::{Conflict, LastAdmin, StoreError, UserDeletion},
};

/// How long one turn of the scrub may take. Other housekeeping waits meanwhile.
const TURN: Duration = Duration::from_millis(200);

/// Deletes the signed-in user, who gives their current password. Wrong passwords are throttled like those of a password
/// change.
pub async fn delete_own(
    ctx: &Context,
    session: &Session,
    client: IpAddr,
    current: Password,
    source: RequestSource,
) -> Result<EndsWithUser, Error> {
    let mut throttled = ctx
        .throttle
        .confirmation(session.id, session.user)
        .open(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::Confirmation))?;
    let deleted = async {
        let UserCredentials { user, password } = ctx.store.credentials(session.user).await?;
        // An administrator has just reset it.
        let stored = password.ok_or_else(wrong_current_password)?;
        let slot = ctx.passwords.acquire_slot().await?;
        throttled.begin();
        if !ctx.passwords.confirm(slot, current, &stored).await? {
            return Err(refuse_confirmation(ctx, &user, client, Action::UserDeleted, source).await);
        }
        let how = UserDeletion { verified: Some(stored), transfer: None, last: LastAdmin::Stays };
        match delete_as(ctx, user.id, how, source).await {
            Err(Error::Store(StoreError::Conflict(Conflict::CredentialsChanged))) => Err(wrong_current_password()),
            deleted => deleted,
        }
    };
    let deleted = deleted.await;
    throttled.end(&deleted).await;
    deleted
}

/// Deletes a user. With `transfer_to`, everything that they own is handed over first, in the same change.
/// [`StateConflict::LastAdmin`](super::StateConflict::LastAdmin) if the user is the last enabled
/// administrator and `last` protects them.
pub async fn delete(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    transfer_to: Option<UserId>,
    last: LastAdmin,
    source: RequestSource,
) -> Result<EndsWithUser, Error> {
    let transfer = owners::transfer(ctx, user, transfer_to).await?;
    delete_as(ctx, user, UserDeletion { verified: None, transfer, last }, source).await
}

/// What the deletion of a user would end, and what it would hand over.
pub async fn preview(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    transfer_to: Option<UserId>,
) -> Result<EndsWithUser, Error> {
    let transfer = owners::transfer(ctx, user, transfer_to).await?;
    Ok(ctx.store.ends_with_user(user, transfer.is_some(), ctx.clock.now()).await?)
}

async fn delete_as(
    ctx: &Context,
    user: UserId,
    how: UserDeletion,
    source: RequestSource,
) -> Result<EndsWithUser, Error> {
    let ended = ctx.store.delete_user(user, how, ctx.attribution(source)).await;
    // Also after an error that leaves open whether the user was deleted.
    ctx.scrub_due.store(true, Ordering::Relaxed);
    let ended = ended.map_err(|error| owners::transfer_refusal(ctx, error))?;
    log::info!(user:%; "a user was deleted");
    Ok(ended)
}

impl Context {
    /// Due often: overwrites some of what deleted users left in the files of the store. After a failure, the next
    /// [`Context::run_maintenance`] has it tried again.
    pub async fn scrub_some(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        while self.scrub_due.load(Ordering::Relaxed) && begun.elapsed() < TURN {
            // Before the call, so that a deletion meanwhile is not missed.
            self.scrub_due.store(false, Ordering::Relaxed);
            if !self.store.scrub().await? {
                self.scrub_due.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Overwrites all of it, for a command that deleted a user itself. What another process prevents is left to the next
    /// server.
    pub async fn scrub_all(&self) -> Result<(), StoreError> {
        while self.scrub_due.load(Ordering::Relaxed) {
            self.scrub_some().await?;
        }
        Ok(())
    }
}
