//! What is deleted long after its end: sessions, tokens, and events of the audit trail.

use std::sync::atomic::{AtomicI64, Ordering};

use super::Context;
use crate::store::{Ended, LongAgo, StoreError};

/// How far the pruning of tokens has come.
#[derive(Default)]
pub(super) struct Pruning {
    last_token: AtomicI64,
}

/// How many stretches of the table of tokens are looked at in one turn.
const STRETCHES: usize = 10;

/// In how many writes events are deleted in one turn: up to 20,000.
const WRITES_OF_EVENTS: usize = 100;

/// Deletes what ended long enough ago: all sessions, and some of the tokens and the events. The next turn goes on from
/// there.
pub(super) async fn prune(ctx: &Context) -> Result<(), StoreError> {
    let sessions = ctx.store.prune_sessions(ctx.clock.now()).await.map(|_| ());
    let tokens = prune_tokens(ctx).await;
    prune_events(ctx).await.and(tokens).and(sessions)
}

async fn prune_tokens(ctx: &Context) -> Result<(), StoreError> {
    let lifetimes = &ctx.rules.token_lifetimes;
    let Some(prune_after) = lifetimes.prune_after else { return Ok(()) };
    let ended_by = ctx.clock.now().minus(prune_after);
    let long_ago = LongAgo { ended_by, unused_since: lifetimes.idle_since(ended_by) };
    for _ in 0..STRETCHES {
        let after = ctx.pruning.last_token.load(Ordering::Relaxed);
        let Ended { mut tokens, next } = ctx.store.ended_tokens(long_ago, after).await?;
        // One that was used lately may have been found by the use before, since the latest is perhaps not on disk.
        tokens.retain(|(number, _)| ctx.uses.latest_token(*number, None).is_none());
        if !tokens.is_empty() {
            ctx.store.prune_tokens(tokens, long_ago).await?;
        }
        ctx.pruning.last_token.store(next.unwrap_or(0), Ordering::Relaxed);
        if next.is_none() {
            break;
        }
    }
    Ok(())
}

async fn prune_events(ctx: &Context) -> Result<(), StoreError> {
    let Some(prune_after) = ctx.rules.prune_events_after else { return Ok(()) };
    let before = ctx.clock.now().minus(prune_after);
    for _ in 0..WRITES_OF_EVENTS {
        if ctx.store.prune_events(before).await? == 0 {
            break;
        }
    }
    Ok(())
}
