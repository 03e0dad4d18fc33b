//! Rotation: a successor replaces a token. At every moment at least one of the two is valid.
//!
//! The use of a secret after rotation has ended it shows that two parties hold it ([`super::reuse`]). [`super::first_use`]
//! records the first use of a successor.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    caller::Caller,
    context::Context,
    error::{Error, FieldError},
    expiry::{self, Expiry},
    first_use,
    new_id::id_to_make,
    principal::Principal,
    rejection::Rejection,
    reuse,
    state::{
        endings::{Ended, Ending, RequestStart},
        measurements::ThrottledAction,
    },
    token_usage, tokens, usage_limits, verification,
};
use crate::{
    domain::{
        ability::{Abilities, ServerAbility},
        audit::{Actor, RequestSource},
        id::{TokenId, UserId},
        secret::{CredentialKind, Plaintext, PresentedCredential},
        token::{IssuedToken, Token, TokenRecord},
    },
    store::{ChangedToken, Conflict, Rotation, StoreError, SuccessorEnd},
};

/// How to rotate a token. `None` means the configured value.
#[derive(Clone, Debug)]
pub struct RotationRequest {
    /// The abilities of the successor. Each must be covered by one of the predecessor. `None` keeps them.
    pub abilities: Option<Abilities>,
    /// How long the predecessor stays valid, at most the configured maximum.
    pub grace: Option<Duration>,
    /// Whether the first use of the successor ends the predecessor.
    pub end_on_first_use: Option<bool>,
    /// The expiry of the successor. It must not be later than that of the predecessor.
    pub expiry: Expiry,
    /// Whether an unused successor may be replaced by another one.
    pub replace_unused: bool,
}

/// A finished rotation.
#[derive(Debug)]
pub struct Rotated {
    /// The successor.
    pub issued: IssuedToken,
    /// Drop it once the answer is sent.
    pub ending: Ending,
}

/// Rotates a token of the owner. Fails with [`Error::NotFound`] if it is not valid, and with [`Error::AlreadyRotated`] if it
/// has a successor that stays.
pub async fn rotate(
    ctx: &Context,
    owner: UserId,
    id: TokenId,
    request: RotationRequest,
    source: RequestSource,
) -> Result<Rotated, Error> {
    ctx.expect_reliable_clock()?;
    let token = tokens::get(ctx, owner, id).await?;
    if token.revoked.is_some() || token.has_expired(ctx.clock.now()) {
        return Err(Error::NotFound);
    }
    replace(ctx, &token, request, source).await
}

/// Accepts a credential that asks for its own rotation. It must hold `tokens:rotate-self`, and must be a personal access
/// token ([`Error::NotSelfRotating`]).
///
/// A secret that rotation has ended is rejected, and its whole family is revoked: two parties hold secrets of the family,
/// one of them stole them, and the server cannot tell which. If the request started before the end was answered, it has only
/// lost a race ([`Error::AlreadyRotated`], [`super::state::endings`]).
pub async fn authenticate_for_rotation(
    ctx: &Context,
    credential: &str,
    caller: Caller<'_>,
    source: RequestSource,
) -> Result<Principal, Error> {
    let since = caller.since.unwrap_or(ctx.moment());
    match verification::authenticate(ctx, credential, Caller { since: Some(since), ..caller }).await {
        Ok(principal @ Principal::PersonalAccessToken { .. }) => {
            let ability = ServerAbility::TokensRotateSelf;
            let passed = principal.require(ability);
            if let Some(record) = principal.token() {
                token_usage::count_guarded(ctx, record, ability, &passed);
            }
            passed.map(|()| principal)
        }
        Ok(other) => Err(Error::NotSelfRotating(other.kind())),
        Err(Error::Rejected(Rejection::Rotated)) => Err(refuse_ended(ctx, credential, since, source).await),
        Err(error) => Err(error),
    }
}

/// The rejection of a secret that rotation has ended: in a race, or before this request started.
async fn refuse_ended(ctx: &Context, credential: &str, since: RequestStart, source: RequestSource) -> Error {
    match find_ended(ctx, credential).await {
        Ok(Some(record)) if ctx.endings.is_race(&record.token, since) => lost_race(ctx, &record.token).await,
        Ok(Some(record)) => {
            let by = ctx.attribution(RequestSource { actor: Actor::token(&record.token), ..source });
            if let Err(error) = reuse::revoke_family(ctx, &record.token, by).await {
                log::error!(error:%; "a secret was reused, and its family could not be revoked yet");
            }
            Rejection::Rotated.into()
        }
        Ok(None) => Rejection::Rotated.into(),
        Err(error) => {
            log::error!(error:%; "a secret was reused, and its family could not be revoked");
            Rejection::Rotated.into()
        }
    }
}

/// The error of a rotation that has lost a race.
async fn lost_race(ctx: &Context, token: &Token) -> Error {
    if !token.abilities.cover(ServerAbility::TokensRotateSelf.as_str()) {
        return Rejection::Rotated.into();
    }
    match ctx.store.successors_of(vec![token.id]).await {
        Ok(found) => Error::AlreadyRotated(found.first().map(|(_, successor)| *successor)),
        Err(error) => error.into(),
    }
}

/// Rotates the token of the principal. The throttle limits this by family. Fails with [`Error::AlreadyRotated`] if another
/// rotation has ended the token since it was accepted.
pub async fn rotate_self(
    ctx: &Context,
    principal: &Principal,
    request: RotationRequest,
    source: RequestSource,
) -> Result<Rotated, Error> {
    let Principal::PersonalAccessToken { record, .. } = principal else {
        return Err(Error::NotSelfRotating(principal.kind()));
    };
    ctx.throttle
        .rotation(record.token.family)
        .count(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::SelfRotation))?;
    let source = RequestSource { actor: Actor::token(&record.token), ..source };
    replace(ctx, &record.token, request, source).await.map_err(|error| match error {
        // It was revoked after it was accepted.
        Error::NotFound => Rejection::Revoked.into(),
        other => other,
    })
}

/// The successors of some tokens.
#[derive(Clone, Debug, Default)]
pub struct SuccessorsOf(HashMap<TokenId, TokenId>);

impl SuccessorsOf {
    /// The latest successor of `token`.
    pub fn of(&self, token: &Token) -> Option<TokenId> {
        self.0.get(&token.id).copied()
    }
}

/// The successors of those `tokens` that were rotated, from one read.
pub async fn successors_of(ctx: &Context, tokens: &[Token]) -> Result<SuccessorsOf, Error> {
    let rotated: Vec<TokenId> = tokens.iter().filter(|token| token.is_replaced()).map(|token| token.id).collect();
    if rotated.is_empty() {
        return Ok(SuccessorsOf::default());
    }
    Ok(SuccessorsOf(ctx.store.successors_of(rotated).await?.into_iter().collect()))
}

async fn replace(
    ctx: &Context,
    token: &Token,
    request: RotationRequest,
    source: RequestSource,
) -> Result<Rotated, Error> {
    let by = ctx.attribution_to_issue(source)?;
    let end = match request.expiry {
        Expiry::Never => SuccessorEnd::Never,
        expiry => expiry::requested(&ctx.rules.token_lifetimes, expiry, by.at)?
            .map_or(SuccessorEnd::WithPredecessor, SuccessorEnd::At),
    };
    if request.replace_unused && first_use::write_pending_of(ctx, token.id).await? {
        // That use was answered before this request started. If it has ended the token, this is not a race.
        ctx.store.token(token.id).await?;
    }
    if let Some(wanted) = &request.abilities {
        check_narrower(ctx, &token.abilities, wanted)?;
    }
    let rules = &ctx.rules.rotation;
    let plaintext = Plaintext::generate(CredentialKind::PersonalAccessToken, &ctx.rules.prefixes)?;
    let rotation = Rotation {
        owner: token.owner,
        token: token.id,
        rotated_from: token.rotated_from,
        successor: TokenId::new(id_to_make(&by.origin)),
        hash: plaintext.hash(),
        hint: plaintext.hint(),
        abilities: request.abilities,
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
        // The rotation may have been committed.
        Err(error @ StoreError::Unavailable(_)) => Err(error.into()),
        Err(error) => {
            ending.did_not_happen();
            Err(refusal(error, request.expiry))
        }
    }
}

/// Fails unless each of the `wanted` abilities is covered by one of those that are `held`. It names each that is not.
pub(super) fn check_narrower(ctx: &Context, held: &Abilities, wanted: &Abilities) -> Result<(), Error> {
    let mut errors = Vec::new();
    for (at, ability) in wanted.iter().enumerate() {
        let field = format!("abilities.{at}");
        if !held.cover(ability.as_str()) {
            let predicate = format!(
                "must be covered by the token that is replaced, which does not have {ability}. A rotation only takes abilities away."
            );
            errors.push(FieldError::new(field, predicate));
        } else if !held.iter().any(|known| known == ability) && !tokens::is_known(&ctx.rules.catalogue, ability) {
            errors.push(FieldError::new(field, "is not an ability that this server knows."));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

fn refusal(error: StoreError, expiry: Expiry) -> Error {
    match error {
        StoreError::Conflict(Conflict::OutlivesPredecessor) => {}
        // The abilities were checked against those of the token itself.
        StoreError::Conflict(Conflict::WidensAbilities) => {
            let predicate =
                "must be covered by the unused successor that is replaced: it has fewer abilities than this token.";
            return FieldError::new("abilities", predicate).into();
        }
        error => return error.into(),
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
