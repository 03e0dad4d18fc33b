//! Ending and stopping tokens: one of them for a while, many at once, or what was found where it should not be.

use std::{collections::BTreeSet, mem, net::IpAddr};

use uuid::Uuid;

use super::{Context, Error, FieldError, tokens};
use crate::{
    domain::{
        ability::Ability,
        audit::{Action, Attribution, Entry, Outcome, RequestSource, Target},
        id::{TokenId, UserId},
        secret::{CredentialKind, PresentedCredential},
        time::Timestamp,
        token::{RevocationReason, Token, TokenState},
    },
    store::{Conflict, LeakReport, StoreError, Successors, TokenQuery, TokenSelection},
};

/// How many tokens are asked of the store at once.
const PAGE: u32 = 500;

/// How many tokens and sessions that leaked are ended in one change: 9 ms of the writer's time.
const REVOKED_AT_ONCE: usize = 100;

/// Which of their live tokens an owner wants to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkRevocation {
    /// All of them.
    All,
    /// Those that were not used at that time or later; of those that never were, those that are older.
    UnusedSince(Timestamp),
    /// Those that may do this.
    Covering(Ability),
}

/// Disables a token of the owner, with the successors that it made by itself: it is refused from now on, until somebody
/// enables it. [`Error::Replaced`] where rotation has ended it, and only a successor that the owner made is good.
pub async fn disable(
    ctx: &Context,
    owner: UserId,
    id: TokenId,
    origin: RequestSource,
) -> Result<(Token, Successors), Error> {
    let by = ctx.by(origin);
    match ctx.store.disable_token(owner, id, by.clone()).await {
        Ok((mut token, successors)) => {
            tokens::apply_unwritten_use(ctx, &mut token);
            Ok((token, successors))
        }
        Err(error) => {
            let attempt = Entry::done(owner, Action::TokenDisabled, Target::PersonalAccessToken(id));
            Err(note_replaced(ctx, attempt, by, error).await)
        }
    }
}

/// Notes in the owner's trail that a token was not revoked or disabled because a successor had taken its place. What is
/// answered must be there, so that the owner finds the token that lives on.
pub(super) async fn note_replaced(ctx: &Context, attempt: Entry, by: Attribution, error: StoreError) -> Error {
    let StoreError::Conflict(Conflict::AlreadyRotated(Some(successor))) = error else { return error.into() };
    let refused =
        Entry { outcome: Outcome::Refused, ..attempt.with(format!("already rotated, successor {successor}")) };
    match ctx.store.record_refusal(refused, by).await {
        Ok(()) => Error::Replaced(successor),
        Err(error) => error.into(),
    }
}

/// Enables a token of the owner, and no other: what was disabled with it is enabled by itself.
pub async fn enable(ctx: &Context, owner: UserId, id: TokenId, origin: RequestSource) -> Result<Token, Error> {
    let mut token = ctx.store.enable_token(owner, id, ctx.by(origin)).await?;
    tokens::apply_unwritten_use(ctx, &mut token);
    Ok(token)
}

/// Revokes those of the owner's live tokens, all in one moment, and answers how many. A token of which a use was noted,
/// on disk or not yet, counts as used.
pub async fn revoke_many(
    ctx: &Context,
    owner: UserId,
    bulk: BulkRevocation,
    origin: RequestSource,
) -> Result<u64, Error> {
    let by = ctx.by(origin);
    let selection = match bulk {
        BulkRevocation::All => TokenSelection::All,
        BulkRevocation::UnusedSince(since) if since > by.at => {
            return Err(FieldError::new("unused_since", "must not be a time in the future.").into());
        }
        BulkRevocation::UnusedSince(since) => {
            let latest_use = |token: &Token| ctx.uses.latest_token(token.number, token.last_used_at);
            let unused = |token: &Token| latest_use(token).unwrap_or(token.created_at) < since;
            TokenSelection::These(select(ctx, owner, by.at, unused).await?.into_iter().map(|token| token.id).collect())
        }
        BulkRevocation::Covering(ability) => {
            // By family, which has the same abilities throughout: a token that is rotated meanwhile does not escape.
            let covering = |token: &Token| token.abilities.cover(ability.as_str());
            let families: BTreeSet<Uuid> =
                select(ctx, owner, by.at, covering).await?.into_iter().map(|token| token.family.uuid()).collect();
            TokenSelection::Families(families.into_iter().map(TokenId::new).collect())
        }
    };
    Ok(ctx.store.revoke_tokens(owner, selection, RevocationReason::RevokedByOwner, by).await?)
}

async fn select(
    ctx: &Context,
    owner: UserId,
    now: Timestamp,
    wanted: impl Fn(&Token) -> bool,
) -> Result<Vec<Token>, Error> {
    let (mut selected, mut before) = (Vec::new(), None);
    loop {
        // Idle ones, too: they may be used again once the settings change.
        let query = TokenQuery { search: None, state: Some(TokenState::Active), idle_since: None, before, limit: PAGE };
        let page = ctx.store.tokens_of(owner, query, now).await?;
        before = page.last().map(|token| token.number);
        let is_last = page.len() < PAGE as usize;
        selected.extend(page.into_iter().filter(&wanted));
        if is_last {
            return Ok(selected);
        }
    }
}

/// Ends whatever these secrets stand for and tells their owners in their trails. Whoever has a secret may: it is worthless
/// from then on. Nothing in the answer, nor how long it takes, depends on which of them exist: each is looked up, and a
/// report is one change, which notes something also where it is of nothing. (It is more only where so many exist that
/// others would wait long behind it.)
pub async fn revoke_leaked(
    ctx: &Context,
    credentials: &[String],
    client: IpAddr,
    origin: RequestSource,
) -> Result<(), Error> {
    ctx.throttle.report(client).map_err(Error::Throttled)?;
    let by = ctx.by(origin);
    let mut leaked = LeakReport { presented: Some(credentials.len()), ..LeakReport::default() };
    for credential in credentials {
        find(ctx, credential, &mut leaked).await?;
        if leaked.tokens.len() + leaked.sessions.len() == REVOKED_AT_ONCE {
            end_leaked(ctx, mem::take(&mut leaked), by.clone()).await?;
        }
    }
    if leaked.presented.is_some() || !leaked.tokens.is_empty() || !leaked.sessions.is_empty() {
        end_leaked(ctx, leaked, by).await?;
    }
    Ok(())
}

/// One change of a report. The first says how many were presented.
async fn end_leaked(ctx: &Context, leaked: LeakReport, by: Attribution) -> Result<(), StoreError> {
    let is_first = leaked.presented.is_some();
    let ended = ctx.store.revoke_leaked(leaked, by).await;
    ended.map_err(|error| if is_first { error } else { error.after_a_part() })
}

/// A wrong row number in front of a secret makes it no less public.
async fn find(ctx: &Context, credential: &str, leaked: &mut LeakReport) -> Result<(), Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else { return Ok(()) };
    match presented.kind {
        CredentialKind::Session => {
            let found = ctx.credentials.session_by_hash(&presented.hash).await?;
            leaked.sessions.extend(found.map(|record| record.session.id));
        }
        CredentialKind::PersonalAccessToken | CredentialKind::EnvironmentToken => {
            let found = ctx.credentials.token_by_hash(&presented.hash).await?;
            leaked.tokens.extend(found.map(|record| record.token.id));
        }
    }
    Ok(())
}
