//! Revokes and disables tokens: one, many at once, or those of a leak report.

use std::{mem, net::IpAddr};

use super::{
    caller::Caller,
    canary,
    context::Context,
    environment_tokens,
    error::{Error, FieldError},
    replaced,
    state::measurements::ThrottledAction,
    tokens::{self, TokenDetails},
};
use crate::{
    domain::{
        ability::Ability,
        account::Role,
        audit::{Action, Actor, Attribution, Entry, RequestSource, Target},
        authority::Authority,
        id::{TokenId, UserId},
        secret::{CredentialKind, PresentedCredential},
        time::Timestamp,
        token::{RevocationReason, Token, TokenState},
    },
    store::{Conflict, LeakReport, StoreError, Successors, TokenQuery, TokenSelection},
};

/// How many tokens are read at once.
const PAGE: u32 = 500;

/// How many leaked tokens and sessions are ended in one change: 9 ms of the writer's time.
const REVOKED_AT_ONCE: usize = 100;

/// Which live tokens of an owner to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkRevocation {
    /// All of them.
    All,
    /// These, as far as the owner has them.
    These(Vec<TokenId>),
    /// Tokens that were neither used nor created at this time or later.
    UnusedSince(Timestamp),
    /// Tokens that cover this ability.
    Covering(Ability),
}

/// Revokes a token, and the successors that it made by itself. Later checks are refused. A user can revoke their personal
/// tokens here, an administrator every token. Fails with [`Error::Replaced`] if rotation has ended the token and only a
/// successor that the owner made is valid.
pub async fn revoke(
    ctx: &Context,
    authority: Authority,
    id: TokenId,
    source: RequestSource,
) -> Result<Successors, Error> {
    let owner = match authority {
        Authority::User(owner) => owner,
        Authority::Administrator(_) => {
            let token = ctx.store.token_in_any_state(id).await?;
            if let Some(environment) = token.environment {
                environment_tokens::revoke(ctx, authority, environment, id, source).await?;
                return Ok(Successors::default());
            }
            token.owner
        }
    };
    let (reason, by) = (RevocationReason::RevokedByOwner, ctx.attribution(source));
    match ctx.store.revoke_token(owner, id, reason, by.clone()).await {
        Err(error) => {
            let attempt = Entry::done(owner, Action::TokenRevoked, Target::PersonalAccessToken(id));
            let actor = by.origin.actor;
            Err(refusal(ctx, authority, actor, replaced::refuse(ctx, attempt, by, error).await).await)
        }
        revoked => Ok(revoked?),
    }
}

/// Revokes a token on behalf of its owner.
async fn end(ctx: &Context, token: &Token, by: Attribution) -> Result<(), StoreError> {
    let (id, owner, reason) = (token.id, token.owner, RevocationReason::RevokedByOwner);
    match token.environment {
        None => ctx.store.revoke_token(owner, id, reason, by).await.map(drop),
        Some(environment) => {
            ctx.store.revoke_environment_token(Authority::User(owner), environment, id, reason, by).await
        }
    }
}

/// Ends the token or session with this secret (RFC 7009), and the successors that a token made by itself. Holding the secret
/// is enough: the credential itself is the actor. An unknown secret is not an error, so that the answer does not reveal
/// which secrets exist.
pub async fn revoke_by_possession(
    ctx: &Context,
    credential: &str,
    user_agent: Option<&str>,
    source: RequestSource,
) -> Result<(), Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else { return Ok(()) };
    let by = |actor| ctx.attribution(RequestSource { actor, ..source.clone() });
    let ended = match presented.kind {
        CredentialKind::Session => match ctx.credentials.session_by_hash(&presented.hash).await? {
            Some(record) => {
                let id = record.session.id;
                ctx.store.end_session(record.session.user, id, by(Actor::session(&record.session))).await
            }
            None => Err(StoreError::NotFound),
        },
        CredentialKind::PersonalAccessToken | CredentialKind::EnvironmentToken => {
            match ctx.credentials.token_by_hash(&presented.hash).await? {
                Some(record) if record.token.is_canary => {
                    let caller = Caller { address: source.address, user_agent, since: None };
                    canary::note_use(ctx, &record, caller, ctx.clock.recordable());
                    // Answered like an unknown secret, and as late.
                    Err(StoreError::NotFound)
                }
                Some(record)
                    if presented.kind == record.token.kind()
                        && presented.number.is_none_or(|number| number == record.token.number) =>
                {
                    end_presented(ctx, &presented, &record.token, by).await
                }
                _ => Err(StoreError::NotFound),
            }
        }
    };
    match ended {
        // It has ended already, perhaps on another node, which others still have to hear of. A successor that the owner made is
        // not revealed to the holder of the old secret.
        Err(StoreError::NotFound | StoreError::Conflict(Conflict::SessionEnded | Conflict::AlreadyRotated(_))) => {
            Ok(ctx.store.wait_until_known().await?)
        }
        ended => Ok(ended?),
    }
}

/// Revokes a token on behalf of its holder. If the token got another owner since it was looked up, it is revoked as theirs:
/// an answer that was not an error must not leave it valid.
async fn end_presented(
    ctx: &Context,
    presented: &PresentedCredential,
    token: &Token,
    by: impl Fn(Actor) -> Attribution,
) -> Result<(), StoreError> {
    match end(ctx, token, by(Actor::token(token))).await {
        Err(StoreError::NotFound) => match ctx.credentials.token_by_hash(&presented.hash).await? {
            Some(now) if now.token.owner != token.owner => end(ctx, &now.token, by(Actor::token(&now.token))).await,
            _ => Err(StoreError::NotFound),
        },
        ended => ended,
    }
}

/// Disables a token, and the successors that it made by itself. A user can disable their personal tokens here, an
/// administrator every token. Checks are refused until it is enabled. Fails with
/// [`Error::Replaced`] if rotation has ended the token and only a successor that the owner made is valid.
pub async fn disable(
    ctx: &Context,
    authority: Authority,
    id: TokenId,
    source: RequestSource,
) -> Result<(TokenDetails, Successors), Error> {
    let by = ctx.attribution(source);
    let owner = match holder_of(ctx, authority, id).await? {
        Holder::Owner(owner) => owner,
        Holder::Environment => {
            let changed = ctx.store.disable_environment_token(id, by).await?;
            return Ok((tokens::details(ctx, changed), Successors::default()));
        }
    };
    match ctx.store.disable_token(owner, id, by.clone()).await {
        Ok((changed, successors)) => Ok((tokens::details(ctx, changed), successors)),
        Err(error) => {
            let attempt = Entry::done(owner, Action::TokenDisabled, Target::PersonalAccessToken(id));
            let actor = by.origin.actor;
            Err(refusal(ctx, authority, actor, replaced::refuse(ctx, attempt, by, error).await).await)
        }
    }
}

/// Enables a token and no other. Successors that were disabled with it stay disabled.
pub async fn enable(
    ctx: &Context,
    authority: Authority,
    id: TokenId,
    source: RequestSource,
) -> Result<TokenDetails, Error> {
    let by = ctx.attribution(source);
    let actor = by.origin.actor;
    let changed = match holder_of(ctx, authority, id).await? {
        Holder::Owner(owner) => ctx.store.enable_token(owner, id, by).await,
        Holder::Environment => ctx.store.enable_environment_token(id, by).await,
    };
    match changed {
        Ok(changed) => Ok(tokens::details(ctx, changed)),
        Err(error) => Err(refusal(ctx, authority, actor, error.into()).await),
    }
}

/// The error of a change that the store refused. For the store, a token of another owner does not exist to somebody who lost
/// the role of an administrator during the request. They are told about the role, like in the next request.
async fn refusal(ctx: &Context, authority: Authority, actor: Actor, error: Error) -> Error {
    let (Error::NotFound, Authority::Administrator(_), Some(user)) = (&error, authority, actor.user()) else {
        return error;
    };
    match ctx.store.user(user).await {
        Ok(user) if user.role != Role::Admin => Error::AdminRequired,
        Ok(_) | Err(StoreError::NotFound) => error,
        Err(failure) => failure.into(),
    }
}

/// Whose a token is.
enum Holder {
    /// A personal token of this owner.
    Owner(UserId),
    /// A token of an environment.
    Environment,
}

/// Whose token to change. A user changes their own tokens, an administrator those of every owner.
async fn holder_of(ctx: &Context, authority: Authority, id: TokenId) -> Result<Holder, Error> {
    match authority {
        Authority::User(owner) => Ok(Holder::Owner(owner)),
        Authority::Administrator(_) => {
            let token = ctx.store.token_in_any_state(id).await?;
            Ok(if token.environment.is_some() { Holder::Environment } else { Holder::Owner(token.owner) })
        }
    }
}

/// Revokes live personal tokens of the owner in one change. Returns how many. Uses that are not written yet count.
pub async fn revoke_many(
    ctx: &Context,
    authority: Authority,
    owner: UserId,
    bulk: BulkRevocation,
    source: RequestSource,
) -> Result<u64, Error> {
    if !authority.covers(owner) {
        return Err(Error::NotFound);
    }
    let by = ctx.attribution(source);
    let selection = match bulk {
        BulkRevocation::All => TokenSelection::All,
        BulkRevocation::These(ids) => TokenSelection::These(ids),
        // Later than any use that is recorded while the clock is unreliable, so tokens in use would count as unused.
        BulkRevocation::UnusedSince(since) if since > by.at => {
            ctx.expect_reliable_clock()?;
            return Err(FieldError::new("unused_since", "must not be a time in the future.").into());
        }
        BulkRevocation::UnusedSince(since) => {
            let latest_use = |token: &Token| ctx.uses.latest_token(token.number, token.last_used_at);
            let unused = |token: &Token| latest_use(token).unwrap_or(token.created_at) < since;
            TokenSelection::These(select(ctx, owner, by.at, unused).await?.into_iter().map(|token| token.id).collect())
        }
        BulkRevocation::Covering(ability) => {
            // A successor that is made between this and the change is revoked, too, if it covers the ability.
            let covering = |token: &Token| token.abilities.cover(ability.as_str());
            let found = select(ctx, owner, by.at, covering).await?;
            TokenSelection::Covering(found.into_iter().map(|token| token.id).collect(), ability)
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
        // Idle tokens as well: after a change of the settings they could be valid again.
        let query = TokenQuery { state: Some(TokenState::Active), before, limit: PAGE, ..TokenQuery::default() };
        let page = ctx.store.tokens_of(owner, query, now).await?;
        before = page.last().map(|token| token.number);
        let is_last = page.len() < PAGE as usize;
        selected.extend(page.into_iter().filter(&wanted));
        if is_last {
            return Ok(selected);
        }
    }
}

/// Revokes the tokens and ends the sessions with these secrets, and records it in their owners' audit trails. Holding a
/// secret is enough.
///
/// Neither the answer nor its time reveals which secrets exist: each is looked up, and the report is one change that records
/// an event even if no secret exists. (A large report is several changes, so that others do not wait long.)
pub async fn revoke_leaked(
    ctx: &Context,
    credentials: &[String],
    client: IpAddr,
    user_agent: Option<&str>,
    source: RequestSource,
) -> Result<(), Error> {
    let caller = Caller { address: Some(client), user_agent, since: None };
    ctx.throttle.report(client).count(&*ctx.store).await.inspect_err(ctx.throttled(ThrottledAction::LeakReport))?;
    let by = ctx.attribution(source);
    let mut leaked = LeakReport { presented: Some(credentials.len()), ..LeakReport::default() };
    for credential in credentials {
        find(ctx, credential, caller, &mut leaked).await?;
        if leaked.tokens.len() + leaked.sessions.len() == REVOKED_AT_ONCE {
            end_leaked(ctx, mem::take(&mut leaked), by.clone()).await?;
        }
    }
    if leaked.presented.is_some() || !leaked.tokens.is_empty() || !leaked.sessions.is_empty() {
        end_leaked(ctx, leaked, by).await?;
    } else {
        // The last ones were found to have ended.
        ctx.store.wait_until_known().await.map_err(StoreError::after_partial_change)?;
    }
    Ok(())
}

/// One change of a report. The first one records how many secrets were presented.
async fn end_leaked(ctx: &Context, leaked: LeakReport, by: Attribution) -> Result<(), StoreError> {
    let is_first = leaked.presented.is_some();
    let ended = ctx.store.revoke_leaked(leaked, by).await;
    ended.map_err(|error| if is_first { error } else { error.after_partial_change() })
}

/// Adds the token or session with this secret, unless it is a canary token, whose use is noted. A wrong row number in front
/// of the secret does not matter.
async fn find(ctx: &Context, credential: &str, caller: Caller<'_>, leaked: &mut LeakReport) -> Result<(), Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else { return Ok(()) };
    match presented.kind {
        CredentialKind::Session => {
            let found = ctx.credentials.session_by_hash(&presented.hash).await?;
            leaked.sessions.extend(found.map(|record| record.session.id));
        }
        CredentialKind::PersonalAccessToken | CredentialKind::EnvironmentToken => {
            let found = ctx.credentials.token_by_hash(&presented.hash).await?;
            match found {
                Some(record) if record.token.is_canary => {
                    canary::note_use(ctx, &record, caller, ctx.clock.recordable());
                }
                found => leaked.tokens.extend(found.map(|record| record.token.id)),
            }
        }
    }
    Ok(())
}
