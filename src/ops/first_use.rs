//! Records the first use of a successor.
//!
//! The first use is in the store before it is answered. So the store knows exactly whether a successor was used, and can
//! end its predecessor in the same transaction.

use super::{
    context::Context,
    rejection::Rejection,
    state::{endings::Ended, first_uses::Successor},
};
use crate::{
    domain::{
        audit::{Actor, Attribution, RequestSource},
        id::TokenId,
        time::Timestamp,
        token::TokenRecord,
    },
    store::StoreError,
};

/// Records the first use of a successor, which may end its predecessor. Returns whether it is in the store. If the store
/// cannot write, the use is accepted all the same and the next use tries again.
pub(super) async fn record(ctx: &Context, record: &TokenRecord, used_at: Timestamp) -> Result<bool, Rejection> {
    let TokenRecord { token, .. } = record;
    let Some(predecessor) = token.rotated_from else { return Ok(true) };
    let successor = Successor { id: token.id, owner: token.owner };
    let ending = ctx.endings.begin(vec![Ended::Token(predecessor)]);
    match ctx.store.record_first_use(token.id, predecessor, attribution(successor, used_at)).await {
        Ok(()) => {
            ctx.first_uses.remove(predecessor);
            Ok(true)
        }
        // It was replaced or revoked after its record was read.
        Err(StoreError::NotFound) => {
            ending.did_not_happen();
            Err(Rejection::Revoked)
        }
        Err(error) => {
            log::warn!(error:%; "the first use of a successor was not recorded, so its predecessor stays valid");
            ctx.first_uses.add(predecessor, successor);
            Ok(false)
        }
    }
}

/// Records the first uses that could not be recorded before.
pub(super) async fn write_pending(ctx: &Context) -> Result<(), StoreError> {
    for predecessor in ctx.first_uses.predecessors() {
        write_pending_of(ctx, predecessor).await?;
    }
    Ok(())
}

/// The same for one predecessor. Returns whether there was a first use to record.
pub(super) async fn write_pending_of(ctx: &Context, predecessor: TokenId) -> Result<bool, StoreError> {
    let Some(successor) = ctx.first_uses.successor_of(predecessor) else { return Ok(false) };
    let _ending = ctx.endings.begin(vec![Ended::Token(predecessor)]);
    match ctx.store.record_first_use(successor.id, predecessor, attribution(successor, ctx.clock.recordable())).await {
        Ok(()) | Err(StoreError::NotFound) => {
            ctx.first_uses.remove(predecessor);
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

const fn attribution(successor: Successor, at: Timestamp) -> Attribution {
    Attribution {
        origin: RequestSource::without_request(Actor::personal_access_token(successor.id, successor.owner)),
        at,
    }
}
