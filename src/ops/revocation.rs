//! Ending and stopping tokens: one of them for a while, many at once, or what was found where it should not be.

use std::{collections::BTreeSet, mem, net::IpAddr};

use uuid::Uuid;

use super::{
    context::Context,
    environment_tokens,
    error::{Error, FieldError},
    replaced,
    tokens::{self, TokenDetails},
};
use crate::{
    domain::{
        ability::Ability,
        audit::{Action, Actor, Attribution, Entry, RequestSource, Target},
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

/// Revokes a token of the owner, with the successors that it made by itself: at once and for good. A check that starts
/// after the answer is refused. [`Error::Replaced`] where rotation has ended it, and only a successor that the owner made
/// is good.
pub async fn revoke(ctx: &Context, owner: UserId, id: TokenId, origin: RequestSource) -> Result<Successors, Error> {
    let (reason, by) = (RevocationReason::RevokedByOwner, ctx.attribution(origin));
    match ctx.store.revoke_token(owner, id, reason, by.clone()).await {
        Err(error) => {
            let attempt = Entry::done(owner, Action::TokenRevoked, Target::PersonalAccessToken(id));
            Err(replaced::refuse(ctx, attempt, by, error).await)
        }
        revoked => Ok(revoked?),
    }
}

/// Revokes a token of whatever kind, whoever owns it: for the administrator.
pub async fn revoke_any(ctx: &Context, token: &Token, origin: RequestSource) -> Result<Successors, Error> {
    match token.environment {
        None => revoke(ctx, token.owner, token.id, origin).await,
        Some(environment) => {
            environment_tokens::revoke(ctx, token.owner, environment, token.id, origin).await?;
            Ok(Successors::default())
        }
    }
}

async fn end(ctx: &Context, token: &Token, by: Attribution) -> Result<(), StoreError> {
    let (id, owner, reason) = (token.id, token.owner, RevocationReason::RevokedByOwner);
    match token.environment {
        None => ctx.store.revoke_token(owner, id, reason, by).await.map(drop),
        Some(environment) => ctx.store.revoke_environment_token(owner, environment, id, reason, by).await,
    }
}

/// Ends the token or session whose secret this is, whatever its state (RFC 7009), and with a token the successors that it
/// made by itself: whoever holds it may, and so it is the
/// one that acts. A secret of nothing is no error, so that the answer tells nobody what exists.
pub async fn revoke_by_possession(ctx: &Context, credential: &str, origin: RequestSource) -> Result<(), Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else { return Ok(()) };
    let by = |actor| ctx.attribution(RequestSource { actor, ..origin });
    let ended = match presented.kind {
        CredentialKind::Session => match ctx.credentials.session_by_hash(&presented.hash).await? {
            Some(record) => {
                let id = record.session.id;
                ctx.store.end_session(record.session.user, id, by(Actor::Session(id))).await
            }
            None => Ok(()),
        },
        CredentialKind::PersonalAccessToken | CredentialKind::EnvironmentToken => {
            match ctx.credentials.token_by_hash(&presented.hash).await? {
                Some(record)
                    if presented.kind == record.token.kind()
                        && presented.number.is_none_or(|number| number == record.token.number) =>
                {
                    let actor = match record.token.environment {
                        None => Actor::PersonalAccessToken(record.token.id),
                        Some(_) => Actor::EnvironmentToken(record.token.id),
                    };
                    end(ctx, &record.token, by(actor)).await
                }
                _ => Ok(()),
            }
        }
    };
    match ended {
        // Somebody else ended it meanwhile, or it was ended before. A successor that the owner made is no business of
        // whoever holds the old secret.
        Err(StoreError::NotFound | StoreError::Conflict(Conflict::SessionEnded | Conflict::AlreadyRotated(_))) => {
            Ok(())
        }
        ended => Ok(ended?),
    }
}

/// Disables a token of the owner, with the successors that it made by itself: it is refused from now on, until somebody
/// enables it. [`Error::Replaced`] where rotation has ended it, and only a successor that the owner made is good.
pub async fn disable(
    ctx: &Context,
    owner: UserId,
    id: TokenId,
    origin: RequestSource,
) -> Result<(TokenDetails, Successors), Error> {
    let by = ctx.attribution(origin);
    match ctx.store.disable_token(owner, id, by.clone()).await {
        Ok((changed, successors)) => Ok((tokens::details(ctx, changed), successors)),
        Err(error) => {
            let attempt = Entry::done(owner, Action::TokenDisabled, Target::PersonalAccessToken(id));
            Err(replaced::refuse(ctx, attempt, by, error).await)
        }
    }
}

/// Enables a token of the owner, and no other: what was disabled with it is enabled by itself.
pub async fn enable(ctx: &Context, owner: UserId, id: TokenId, origin: RequestSource) -> Result<TokenDetails, Error> {
    Ok(tokens::details(ctx, ctx.store.enable_token(owner, id, ctx.attribution(origin)).await?))
}

/// Revokes those of the owner's live tokens, all in one moment, and answers how many. A token of which a use was noted,
/// on disk or not yet, counts as used.
pub async fn revoke_many(
    ctx: &Context,
    owner: UserId,
    bulk: BulkRevocation,
    origin: RequestSource,
) -> Result<u64, Error> {
    let by = ctx.attribution(origin);
    let selection = match bulk {
        BulkRevocation::All => TokenSelection::All,
        BulkRevocation::UnusedSince(since) if since > ctx.clock.now() => {
            ctx.expect_reliable_clock()?;
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
    let by = ctx.attribution(origin);
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
