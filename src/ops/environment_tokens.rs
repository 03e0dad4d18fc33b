//! Tokens of environments: making, listing, regenerating and revoking them, by the rules of [`super::tokens`].
//!
//! They stand for their environment and for no person, and whoever has the role may make them.

use futures_util::future::join_all;

use super::{
    context::Context,
    cursor::List,
    error::Error,
    new_id::new_id,
    replaced,
    tokens::{self, ListRequest, Page, TokenRequest},
    usage_limits,
};
use crate::{
    domain::{
        ability::Abilities,
        audit::{Action, Entry, RequestSource, Target},
        environment::{Role, Successor},
        id::{EnvironmentId, TokenId, UserId},
        secret::{CredentialKind, Plaintext},
        text::Name,
        token::{IssuedToken, RevocationReason, Token, TokenState},
        usage_limits::UsageLimits,
    },
    store::{ChangedToken, Conflict, StoreError, TokenQuery},
};

/// How many tokens are asked of the store at once.
const PAGE: u32 = 100;

/// What makes a token of an environment.
#[derive(Clone, Debug)]
pub struct EnvironmentTokenRequest {
    /// What it is called.
    pub name: Name,
    /// What it may do, as in [`TokenRequest::abilities`].
    pub abilities: Option<Abilities>,
    /// When it ends.
    pub expiry: tokens::Expiry,
    /// From where and how much it may be used.
    pub limits: UsageLimits,
}

/// Makes a token of an environment, asked by the user. Its plaintext is in the answer and nowhere else.
pub async fn create(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    request: EnvironmentTokenRequest,
    origin: RequestSource,
) -> Result<IssuedToken, Error> {
    // For whose it is, and so that who may not ask is told nothing else; the store judges the role again.
    let seen = ctx.store.environment(user, environment).await?;
    if seen.role < Role::Admin {
        return Err(Error::RoleRequired);
    }
    let EnvironmentTokenRequest { name, abilities, expiry, limits } = request;
    let request = TokenRequest { owner: seen.environment.owner, name, abilities, expiry, limits };
    let (by, most) = (ctx.attribution_to_issue(origin)?, ctx.rules.max_tokens_per_user);
    let (new, plaintext) = tokens::prepare(ctx, request, Some(environment), &by)?;
    let token = ctx.store.add_environment_token(user, new, most, by).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyTokens) => tokens::too_many("This environment has", most),
        other => other.into(),
    })?;
    Ok(IssuedToken { quota_left: tokens::full_quota(&token), token, plaintext })
}

/// Lists the tokens of an environment that the user sees, newest first, with their latest use.
pub async fn list(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    request: ListRequest,
) -> Result<Page, Error> {
    let (list, whose) = (List::EnvironmentTokens, environment.uuid());
    let now = ctx.clock.now();
    let (query, limit) = tokens::query(ctx, request, list, whose, now)?;
    let tokens = ctx.store.environment_tokens(user, environment, query, now).await?;
    Ok(tokens::page(ctx, tokens, limit, list, whose))
}

/// One token of an environment that the user sees, in any state.
pub async fn get(ctx: &Context, user: UserId, environment: EnvironmentId, id: TokenId) -> Result<Token, Error> {
    let mut token = ctx.store.environment_token(user, environment, id).await?;
    tokens::apply_unwritten_use(ctx, &mut token);
    Ok(token)
}

/// Makes a new secret for the same name, abilities, limits and expiry. The old one is refused from the answer on.
pub async fn regenerate(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
    origin: RequestSource,
) -> Result<IssuedToken, Error> {
    let by = ctx.attribution_to_issue(origin)?;
    let plaintext = Plaintext::generate(CredentialKind::EnvironmentToken, &ctx.rules.prefixes)?;
    let successor = Successor { id: TokenId::new(new_id()), hash: plaintext.hash(), hint: plaintext.hint() };
    let ChangedToken { token, quota_used, .. } =
        ctx.store.regenerate_environment_token(user, environment, id, successor, by).await?;
    Ok(IssuedToken { quota_left: usage_limits::quota_left(ctx, &token, quota_used), token, plaintext })
}

/// Revokes a token of an environment: at once and for good. [`Error::Replaced`] where it was regenerated and what took its
/// place is good.
pub async fn revoke(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
    origin: RequestSource,
) -> Result<(), Error> {
    let (reason, by) = (RevocationReason::RevokedByOwner, ctx.attribution(origin));
    match ctx.store.revoke_environment_token(user, environment, id, reason, by.clone()).await {
        Err(error @ StoreError::Conflict(Conflict::AlreadyRotated(_))) => {
            let owner = ctx.store.environment(user, environment).await?.environment.owner;
            let attempt = Entry::done(owner, Action::TokenRevoked, Target::EnvironmentToken(id));
            Err(replaced::refuse(ctx, attempt, by, error).await)
        }
        revoked => Ok(revoked?),
    }
}

/// Revokes all tokens of an environment that are neither revoked nor expired, one after the other, and those that are made
/// meanwhile; answers how many.
pub async fn revoke_all(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    origin: RequestSource,
) -> Result<u64, Error> {
    let mut revoked = 0;
    loop {
        // Idle ones, too: they may be used again once the settings change. And also those that have expired only by a clock
        // that is not believed.
        let state = Some(TokenState::Active);
        let query = TokenQuery { search: None, state, idle_since: None, before: None, limit: PAGE };
        let live = ctx.store.environment_tokens(user, environment, query, ctx.clock.recordable()).await?;
        if live.is_empty() {
            return Ok(revoked);
        }
        // All at once, so that one commit is for many.
        let revocations = live.iter().map(|token| revoke(ctx, user, environment, token.id, origin.clone()));
        let mut failed = None;
        for outcome in join_all(revocations).await {
            match outcome {
                Ok(()) => revoked += 1,
                // Somebody else was faster.
                Err(Error::NotFound | Error::Replaced(_)) => {}
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(Error::Store(error)) if revoked > 0 => return Err(Error::Store(error.after_a_part())),
            Some(error) => return Err(error),
            None => {}
        }
    }
}
