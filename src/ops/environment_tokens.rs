//! Creates, lists, regenerates and revokes tokens of environments, by the rules of [`super::tokens`].
//!
//! Such a token stands for its environment and for no person. Admins and owners of the environment may create them.

use futures_util::future::join_all;

use super::{
    context::Context,
    cursor::List,
    error::Error,
    new_id::id_to_make,
    replaced, rotation,
    tokens::{self, ListRequest, TokenDetails, TokenRequest},
    usage_limits,
};
use crate::{
    domain::{
        ability::Abilities,
        annotations::Annotations,
        audit::{Action, Entry, RequestSource, Target},
        authority::Authority,
        environment::{Role, Successor},
        id::{EnvironmentId, TokenId, UserId},
        page::Page,
        secret::{CredentialKind, Plaintext},
        text::Name,
        token::{IssuedToken, RevocationReason, Token, TokenState},
        usage_limits::UsageLimits,
    },
    store::{ChangedToken, Conflict, StoreError, TokenChange, TokenQuery},
};

/// How many tokens are read and revoked at once.
const PAGE: u32 = 100;

/// The data of a new token.
#[derive(Clone, Debug)]
pub struct EnvironmentTokenRequest {
    /// Its id, as in [`TokenRequest::id`].
    pub id: Option<TokenId>,
    /// The name.
    pub name: Name,
    /// The abilities, as in [`TokenRequest::abilities`].
    pub abilities: Option<Abilities>,
    /// The requested expiry.
    pub expiry: tokens::Expiry,
    /// The usage limits.
    pub limits: UsageLimits,
    /// The description and the metadata.
    pub annotations: Annotations,
    /// Whether it is a canary token.
    pub is_canary: bool,
}

/// Creates a token of an environment on behalf of the user. Its secret is in the answer and nowhere else.
pub async fn create(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    request: EnvironmentTokenRequest,
    source: RequestSource,
) -> Result<IssuedToken, Error> {
    // For the owner's id, and so that a user without the role gets no other error. The store checks the role again.
    let access = ctx.store.environment(user, environment).await?;
    if access.role < Role::Admin {
        return Err(Error::RoleRequired);
    }
    let EnvironmentTokenRequest { id, name, abilities, expiry, limits, annotations, is_canary } = request;
    let owner = access.environment.owner;
    let request = TokenRequest { id, owner, name, abilities, expiry, limits, annotations, is_canary };
    let (by, most) = (ctx.attribution_to_issue(source)?, ctx.rules.max_tokens_per_user);
    let (new, plaintext) = tokens::prepare(ctx, Authority::User(user), request, Some(environment), &by)?;
    let token = ctx.store.add_environment_token(user, new, most, by).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyTokens) => tokens::too_many("This environment has", most),
        other => other.into(),
    })?;
    Ok(IssuedToken { quota_left: tokens::full_quota(&token), token, plaintext })
}

/// Lists the tokens of an environment that the user sees, newest first.
pub async fn list(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    request: ListRequest,
) -> Result<Page<Token>, Error> {
    let (list, scope) = (List::EnvironmentTokens, tokens::scope(environment.uuid(), &request));
    let now = ctx.clock.now();
    let (query, limit) = tokens::query(ctx, request, list, scope, now)?;
    let tokens = ctx.store.environment_tokens(Authority::User(user), environment, query, now).await?;
    Ok(tokens::page(ctx, tokens, limit, list, scope))
}

/// A token of an environment that the user sees, in any state.
pub async fn get(ctx: &Context, user: UserId, environment: EnvironmentId, id: TokenId) -> Result<Token, Error> {
    let mut token = ctx.store.environment_token(user, environment, id).await?;
    tokens::apply_unwritten_use(ctx, &mut token);
    Ok(token)
}

/// Changes name and annotations of a token.
pub async fn change(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
    change: TokenChange,
    source: RequestSource,
) -> Result<TokenDetails, Error> {
    let changed = ctx.store.change_environment_token(user, environment, id, change, ctx.attribution(source)).await?;
    Ok(tokens::details(ctx, changed))
}

/// Replaces the secret of a token. Name, annotations, limits and expiry stay, and so do the abilities, unless narrower ones are
/// named. Later checks of the old secret are refused.
pub async fn regenerate(
    ctx: &Context,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
    abilities: Option<Abilities>,
    source: RequestSource,
) -> Result<IssuedToken, Error> {
    let by = ctx.attribution_to_issue(source)?;
    if let Some(wanted) = &abilities {
        let held = ctx.store.environment_token(user, environment, id).await?.abilities;
        rotation::check_narrower(ctx, &held, wanted)?;
    }
    let plaintext = Plaintext::generate(CredentialKind::EnvironmentToken, &ctx.rules.prefixes)?;
    let successor = Successor {
        id: TokenId::new(id_to_make(&by.origin)),
        hash: plaintext.hash(),
        hint: plaintext.hint(),
        abilities,
    };
    let ChangedToken { token, quota_used, .. } =
        ctx.store.regenerate_environment_token(user, environment, id, successor, by).await?;
    Ok(IssuedToken { quota_left: usage_limits::quota_left(ctx, &token, quota_used), token, plaintext })
}

/// Revokes a token of an environment. Fails with [`Error::Replaced`] if it was regenerated and its successor is valid.
pub async fn revoke(
    ctx: &Context,
    authority: Authority,
    environment: EnvironmentId,
    id: TokenId,
    source: RequestSource,
) -> Result<(), Error> {
    let (reason, by) = (RevocationReason::RevokedByOwner, ctx.attribution(source));
    match ctx.store.revoke_environment_token(authority, environment, id, reason, by.clone()).await {
        Err(error @ StoreError::Conflict(Conflict::AlreadyRotated(_))) => {
            let owner = ctx.store.environment_owner(environment).await?;
            let attempt = Entry::done(owner, Action::TokenRevoked, Target::EnvironmentToken(id));
            Err(replaced::refuse(ctx, attempt, by, error).await)
        }
        revoked => Ok(revoked?),
    }
}

/// Revokes all tokens of an environment that are neither revoked nor expired, and those that are created in the meantime.
/// Returns how many.
pub async fn revoke_all(
    ctx: &Context,
    authority: Authority,
    environment: EnvironmentId,
    source: RequestSource,
) -> Result<u64, Error> {
    let mut revoked = 0;
    loop {
        // Idle tokens as well: after a change of the settings they could be valid again. So are tokens that have
        // expired only by a clock that is not reliable.
        let state = Some(TokenState::Active);
        let query = TokenQuery { state, limit: PAGE, ..TokenQuery::default() };
        let live = ctx.store.environment_tokens(authority, environment, query, ctx.clock.recordable()).await?;
        if live.is_empty() {
            let known = ctx.store.wait_until_known().await;
            return known.map(|()| revoked).map_err(|error| Error::from(error).after_revocations(revoked));
        }
        // All at once, so that they share a commit.
        let revocations = live.iter().map(|token| revoke(ctx, authority, environment, token.id, source.clone()));
        let mut failed = None;
        for outcome in join_all(revocations).await {
            match outcome {
                Ok(()) => revoked += 1,
                // Another request has revoked or replaced it.
                Err(Error::NotFound | Error::Replaced(_)) => {}
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error.after_revocations(revoked));
        }
    }
}
