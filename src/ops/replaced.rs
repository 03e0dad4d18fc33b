//! The refusal to revoke or disable a token that rotation has ended, while a successor that the owner made is valid.

use super::{context::Context, error::Error};
use crate::{
    domain::audit::{Attribution, Entry, Outcome},
    store::{Conflict, StoreError},
};

/// Turns the store's refusal of `attempt` into an error. If a successor has replaced the token, the refusal is recorded in
/// the owner's audit trail first, so that the owner learns which token is still valid.
pub(super) async fn refuse(ctx: &Context, attempt: Entry, by: Attribution, error: StoreError) -> Error {
    let StoreError::Conflict(Conflict::AlreadyRotated(Some(successor))) = error else { return error.into() };
    let refused =
        Entry { outcome: Outcome::Refused, ..attempt.with(format!("already rotated, successor {successor}")) };
    match ctx.store.record_refusal(refused, by).await {
        Ok(()) => Error::Replaced(successor),
        Err(error) => error.into(),
    }
}
