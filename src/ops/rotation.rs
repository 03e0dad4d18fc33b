//! Rotation: a token is replaced by a successor without a moment in which neither is good, and a secret that comes back
//! after its end gives away that two parties hold it.
//!
//! The first use of a successor is on disk before it is answered. So whether a successor was used is known exactly, and
//! the secret that it replaces can end in the same transaction.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    caller::Caller,
    context::Context,
    error::{Error, FieldError},
    expiry::{self, Expiry},
    first_use,
    new_id::new_id,
    principal::Principal,
    rejection::Rejection,
    reuse,
    state::endings::{Ended, Ending, RequestStart},
    tokens, usage_limits, verification,
};
use crate::{
    domain::{
        ability::ServerAbility,
        audit::{Actor, RequestSource},
        id::{TokenId, UserId},
        secret::{CredentialKind, Plaintext, PresentedCredential},
        token::{IssuedToken, Token, TokenRecord},
    },
    store::{ChangedToken, Conflict, Rotation, StoreError, SuccessorEnd},
};

/// How a token is to be replaced; what is `None` is as configured.
#[derive(Clone, Copy, Debug)]
pub struct RotationRequest {
    /// How long the old secret goes on, at most as long as is configured.
    pub grace: Option<Duration>,
    /// Whether the first use of the new secret ends the old one.
    pub end_on_first_use: Option<bool>,
    /// When the successor ends: not after the token that it replaces.
    pub expiry: Expiry,
    /// Whether a successor that nobody has used gives way to another one.
    pub replace_unused: bool,
}

/// A rotation that was made.
#[derive(Debug)]
pub struct Rotated {
    /// The successor.
    pub issued: IssuedToken,
    /// To be dropped once it was answered.
    pub ending: Ending,
}

/// Replaces a token of the owner. [`Error::NotFound`] where it is not good, [`Error::AlreadyRotated`] where it has a
/// successor that stays.
pub async fn rotate(
    ctx: &Context,
    owner: UserId,
    id: TokenId,
    request: RotationRequest,
    origin: RequestSource,
) -> Result<Rotated, Error> {
    ctx.expect_reliable_clock()?;
    let token = tokens::get(ctx, owner, id).await?;
    if token.revoked.is_some() || token.expires_at.is_some_and(|end| end.has_passed(ctx.clock.now())) {
        return Err(Error::NotFound);
    }
    replace(ctx, &token, request, origin).await
}

/// Accepts a credential that wants to be replaced: it must hold the power to. A secret that rotation has ended is refused
/// like any other. It ends its whole family, since one of the two who hold the family's secrets stole them and nobody can
/// tell which; but if the request started before the ending was answered, it has only lost a race
/// ([`Error::AlreadyRotated`], [`super::state::endings`]). [`Error::NotSelfRotating`] where it is no personal access token.
pub async fn authenticate_for_rotation(
    ctx: &Context,
    credential: &str,
    caller: Caller<'_>,
    origin: RequestSource,
) -> Result<Principal, Error> {
    let since = caller.since.unwrap_or(ctx.moment());
    match verification::authenticate(ctx, credential, Caller { since: Some(since), ..caller }).await {
        Ok(principal @ Principal::PersonalAccessToken { .. }) => {
            principal.require(ServerAbility::TokensRotateSelf)?;
            Ok(principal)
        }
        Ok(other) => Err(Error::NotSelfRotating(other.kind())),
        Err(Error::Rejected(Rejection::Rotated)) => Err(refuse_ended(ctx, credential, since, origin).await),
        Err(error) => Err(error),
    }
}

/// The refusal of a secret that rotation has ended: by one that won a race, or before this request started.
async fn refuse_ended(ctx: &Context, credential: &str, since: RequestStart, origin: RequestSource) -> Error {
    match find_ended(ctx, credential).await {
        Ok(Some(record)) if ctx.endings.is_race(&record.token, since) => lost_race(ctx, &record.token).await,
        Ok(Some(record)) => {
            let by = ctx.attribution(RequestSource { actor: Actor::PersonalAccessToken(record.token.id), ..origin });
            if let Err(error) = reuse::revoke_family(ctx, &record.token, by).await {
                log::error!(error:%; "a token was reused after its end, and its family could not be ended yet");
            }
            Rejection::Rotated.into()
        }
        Ok(None) => Rejection::Rotated.into(),
        Err(error) => {
            log::error!(error:%; "a token was reused after its end, and its family could not be ended");
            Rejection::Rotated.into()
        }
    }
}

/// What is answered to a rotation that another one was faster than.
async fn lost_race(ctx: &Context, token: &Token) -> Error {
    if !token.abilities.cover(ServerAbility::TokensRotateSelf.as_str()) {
        return Rejection::Rotated.into();
    }
    match ctx.store.successors_of(vec![token.id]).await {
        Ok(found) => Error::AlreadyRotated(found.first().map(|(_, successor)| *successor)),
        Err(error) => error.into(),
    }
}

/// Replaces the token that asks for it, which its family may not do too often. Where another rotation has ended the token
/// since it was accepted, this one has lost a race: [`Error::AlreadyRotated`].
pub async fn rotate_self(
    ctx: &Context,
    asking: &Principal,
    request: RotationRequest,
    origin: RequestSource,
) -> Result<Rotated, Error> {
    let Principal::PersonalAccessToken { record, .. } = asking else {
        return Err(Error::NotSelfRotating(asking.kind()));
    };
    ctx.throttle.rotation(record.token.family).map_err(Error::Throttled)?;
    let origin = RequestSource { actor: Actor::PersonalAccessToken(record.token.id), ..origin };
    replace(ctx, &record.token, request, origin).await.map_err(|error| match error {
        // It ended after it was accepted.
        Error::NotFound => Rejection::Revoked.into(),
        other => other,
    })
}

/// The successors of some tokens.
#[derive(Clone, Debug, Default)]
pub struct SuccessorsOf(HashMap<TokenId, TokenId>);

impl SuccessorsOf {
    /// The latest one that was made to replace `token`.
    pub fn of(&self, token: &Token) -> Option<TokenId> {
        self.0.get(&token.id).copied()
    }
}

/// The successors of those among `tokens` that were replaced, in one question to the store.
pub async fn successors_of(ctx: &Context, tokens: &[Token]) -> Result<SuccessorsOf, Error> {
    let replaced: Vec<TokenId> = tokens.iter().filter(|token| token.is_replaced()).map(|token| token.id).collect();
    if replaced.is_empty() {
        return Ok(SuccessorsOf::default());
    }
    Ok(SuccessorsOf(ctx.store.successors_of(replaced).await?.into_iter().collect()))
}

async fn replace(
    ctx: &Context,
    token: &Token,
    request: RotationRequest,
    origin: RequestSource,
) -> Result<Rotated, Error> {
    let by = ctx.attribution_to_issue(origin)?;
    let end = match request.expiry {
        Expiry::Never => SuccessorEnd::Never,
        expiry => expiry::requested(&ctx.rules.token_lifetimes, expiry, by.at)?
            .map_or(SuccessorEnd::WithPredecessor, SuccessorEnd::At),
    };
    if request.replace_unused && first_use::write_pending_of(ctx, token.id).await? {
        // That use was answered before this request began. If it has ended the token, this is not a race.
        ctx.store.token(token.id).await?;
    }
    let rules = &ctx.rules.rotation;
    let plaintext = Plaintext::generate(CredentialKind::PersonalAccessToken, &ctx.rules.prefixes)?;
    let rotation = Rotation {
        owner: token.owner,
        token: token.id,
        rotated_from: token.rotated_from,
        successor: TokenId::new(new_id()),
        hash: plaintext.hash(),
        hint: plaintext.hint(),
        end,
        grace: request.grace.unwrap_or(rules.grace).min(rules.max_grace),
        end_on_first_use: request.end_on_first_use.unwrap_or(rules.end_on_first_use),
        replace_unused: request.replace_unused,
    };
    let mut ended = vec![Ended::Token(token.id)];
    ended.extend(token.rotated_from.map(Ended::Token));
    ended.extend(request.replace_unused.then_some(Ended::SuccessorOf(token.id)));
    let ending = ctx.endings.begin(ended);
    match ctx.store.rotate_token(rotation, by).await {
        Ok(ChangedToken { token, quota_used, .. }) => {
            let quota_left = usage_limits::quota_left(ctx, &token, quota_used);
            let plaintext = plaintext.numbered(token.number);
            Ok(Rotated { issued: IssuedToken { token, plaintext, quota_left }, ending })
        }
        // It may have happened.
        Err(error @ StoreError::Unavailable(_)) => Err(error.into()),
        Err(error) => {
            ending.did_not_happen();
            Err(refusal(error, request.expiry))
        }
    }
}

fn refusal(error: StoreError, expiry: Expiry) -> Error {
    if error != StoreError::Conflict(Conflict::OutlivesPredecessor) {
        return error.into();
    }
    let predicate = match expiry {
        Expiry::Never => {
            "must not be null: the token that is replaced has an end, and its successor lasts no longer. Leave the field \
             out to keep that end."
        }
        _ => "must not be later than the end of the token that is replaced.",
    };
    FieldError::new(expiry.field(), predicate).into()
}

async fn find_ended(ctx: &Context, credential: &str) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    match PresentedCredential::parse(credential, &ctx.rules.prefixes) {
        Ok(presented) => ctx.credentials.token_by_hash(&presented.hash).await,
        Err(_) => Ok(None),
    }
}
