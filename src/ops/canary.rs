//! Canary tokens: left where only a thief looks, refused like unknown ones, and their use is recorded.

use super::{
    caller::Caller,
    context::Context,
    state::reuse_queue::{CanaryUse, Reuse},
};
use crate::domain::{
    audit::{Actor, Attribution, RequestSource},
    time::Timestamp,
    token::{Token, TokenRecord},
    use_location::UserAgent,
};

/// Notes that `caller` presented a canary token, for the owner's audit trail. Like a reuse it is recorded at most once a
/// minute, by housekeeping, so that the refusal takes no longer than any other. A canary token that has ended or is
/// disabled records nothing.
pub(super) fn note_use(ctx: &Context, record: &TokenRecord, caller: Caller<'_>, at: Timestamp) {
    let token = &record.token;
    let Token { environment, .. } = *token;
    if token.revoked.is_some() || token.disabled_at.is_some() || token.has_expired(at) {
        return;
    }
    let actor = Actor::token(token);
    let by =
        Attribution { origin: RequestSource { actor, address: caller.address, request_id: None, keyed: None }, at };
    let user_agent = caller.user_agent.and_then(UserAgent::clean);
    let canary = Some(CanaryUse { environment, user_agent });
    ctx.reuses.enqueue(Reuse { canary, ..Reuse::new(token, by) }, ctx.clock.uptime());
}
