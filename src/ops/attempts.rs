//! What the throttle holds against an account or an address, for administrators.

use std::net::IpAddr;

pub use super::state::throttle::held::HeldAttempts;
use super::{context::Context, error::Error};
use crate::domain::{
    account::Email, attempts::CountersOf, audit::RequestSource, authority::Administrator, events, id::UserId,
};

/// Whose attempts.
#[derive(Clone, Debug)]
pub enum AttemptsOf {
    /// Sign-ins to the account with this address, which may not exist, and confirmations of its user.
    Account(Email),
    /// Attempts from this client address.
    Address(IpAddr),
}

/// What is held, the longest block first.
pub async fn held(ctx: &Context, _: Administrator, whose: AttemptsOf) -> Result<Vec<HeldAttempts>, Error> {
    let (counters, _) = select(ctx, &whose).await?;
    Ok(ctx.throttle.held(&*ctx.store, &counters).await?)
}

/// Clears what is held, also what is saved in the store. Returns how many counters held something.
pub async fn clear(ctx: &Context, _: Administrator, whose: AttemptsOf, source: RequestSource) -> Result<usize, Error> {
    let (counters, user) = select(ctx, &whose).await?;
    let what = match whose {
        AttemptsOf::Account(_) => "account",
        AttemptsOf::Address(_) => "address",
    };
    let event = events::throttle_cleared(user, what);
    Ok(ctx.throttle.clear(&*ctx.store, counters, event, ctx.attribution(source)).await?)
}

async fn select(ctx: &Context, whose: &AttemptsOf) -> Result<(Vec<CountersOf>, Option<UserId>), Error> {
    ctx.throttle.restore_once(&*ctx.store).await?;
    match whose {
        AttemptsOf::Account(email) => {
            let user = ctx.store.credentials_by_email(email).await?.map(|known| known.user.id);
            Ok((ctx.throttle.of_account(email, user), user))
        }
        AttemptsOf::Address(address) => Ok((ctx.throttle.of_address(*address), None)),
    }
}
