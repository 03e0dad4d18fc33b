//! Who may act for an owner, what an owner owns, and how it gets another owner.

use super::{
    context::Context,
    error::{Error, FieldError, StateConflict},
};
use crate::{
    domain::{
        ability::{Abilities, ServerAbility},
        audit::RequestSource,
        authority::Administrator,
        id::{EnvironmentId, TokenId, UserId},
        owner::{HandedOver, Owned, Owner},
    },
    store::{Conflict, HandOver, Selection, StoreError, Transfer},
};

/// The user or service account with this id.
pub async fn find(ctx: &Context, _: Administrator, id: UserId) -> Result<Owner, Error> {
    Ok(ctx.store.owner(id).await?)
}

/// The owner of a token that the user may manage: the user, or a service account that they manage. The store checks it again
/// in the transaction of a change. [`Error::NotFound`] for every other token.
pub async fn of_token(ctx: &Context, user: UserId, id: TokenId) -> Result<UserId, Error> {
    let owner = ctx.store.token_in_any_state(id).await?.owner;
    match owner == user || ctx.store.manages(user, owner).await? {
        true => Ok(owner),
        false => Err(Error::NotFound),
    }
}

/// The owner that a user names in the field `owner`: themselves, who are also the default, or a service account that they
/// manage. Every other id gets the same error, whether it exists or not.
pub async fn named(ctx: &Context, user: UserId, owner: Option<UserId>) -> Result<UserId, Error> {
    match owner {
        None => Ok(user),
        Some(owner) if ctx.store.manages(user, owner).await? => Ok(owner),
        Some(_) => Err(FieldError::new("owner", NOT_MANAGED).into()),
    }
}

/// What the field `owner` must be.
pub const NOT_MANAGED: &str = "must be your id, or that of a service account that you manage.";

/// Fails if a new token would be of no use to its owner: if the owner is disabled, or a service account that gets an ability
/// which only administrators can use.
pub async fn expect_useful(ctx: &Context, owner: UserId, abilities: Option<&Abilities>) -> Result<(), Error> {
    let owner = ctx.store.owner(owner).await?;
    if owner.disabled_at().is_some() {
        return Err(StateConflict::OwnerDisabled.into());
    }
    let errors = useless_abilities(&owner, abilities);
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

fn useless_abilities(owner: &Owner, abilities: Option<&Abilities>) -> Vec<FieldError> {
    if owner.service_account().is_none() {
        return Vec::new();
    }
    let given = abilities.into_iter().flat_map(Abilities::iter).enumerate();
    let useless = given.filter(|(_, ability)| ability.covers(ServerAbility::AdminRead.as_str()));
    useless
        .map(|(at, _)| {
            let predicate = "is of no use to a service account, which is never an administrator.";
            FieldError::new(format!("abilities.{at}"), predicate)
        })
        .collect()
}

/// How many items of each kind are answered beside their number.
const OWNED_ITEMS: u32 = 100;

/// What a user or a service account owns.
pub async fn owned_by(ctx: &Context, _: Administrator, owner: UserId) -> Result<Owned, Error> {
    Ok(ctx.store.owned_by(owner, ctx.clock.now(), OWNED_ITEMS).await?)
}

/// What to hand over, and to whom.
#[derive(Clone, Debug)]
pub struct HandOverRequest {
    /// The owner: a user or a service account.
    pub from: UserId,
    /// The new owner: a user or a service account.
    pub to: UserId,
    /// Which personal tokens.
    pub tokens: Selection<TokenId>,
    /// Which environments.
    pub environments: Selection<EnvironmentId>,
}

/// Hands over personal tokens and environments, all in one change. Secrets stay valid, and from then on stand for the new
/// owner.
pub async fn hand_over(
    ctx: &Context,
    _: Administrator,
    request: HandOverRequest,
    source: RequestSource,
) -> Result<HandedOver, Error> {
    let HandOverRequest { from, to, tokens, environments } = request;
    ctx.store.owner(from).await?;
    expect_new_owner(ctx, from, to, "to").await?;
    expect_owned(ctx, from, &tokens, &environments).await?;
    // The addresses of earlier uses are deleted with the change, so they must be in the store.
    ctx.use_locations.flush(&*ctx.store).await?;
    let max_live_tokens = ctx.rules.max_tokens_per_user;
    let hand_over = HandOver { from, to, tokens, environments, max_live_tokens };
    ctx.store.hand_over(hand_over, ctx.attribution(source)).await.map_err(|error| refusal(error, "to", max_live_tokens))
}

/// The transfer of everything that a user owns to the owner that a request names in the field `transfer_to`.
pub(super) async fn transfer(ctx: &Context, from: UserId, to: Option<UserId>) -> Result<Option<Transfer>, Error> {
    ctx.store.user(from).await?;
    let Some(to) = to else { return Ok(None) };
    expect_new_owner(ctx, from, to, TRANSFER_TO).await?;
    // The addresses of earlier uses are deleted with the change, so they must be in the store.
    ctx.use_locations.flush(&*ctx.store).await?;
    Ok(Some(Transfer { to, max_live_tokens: ctx.rules.max_tokens_per_user }))
}

/// The error of a change with such a transfer.
pub(super) fn transfer_refusal(ctx: &Context, error: StoreError) -> Error {
    refusal(error, TRANSFER_TO, ctx.rules.max_tokens_per_user)
}

const TRANSFER_TO: &str = "transfer_to";

/// Fails unless `to`, which a request names in `field`, can be the new owner of what `from` owns.
pub(super) async fn expect_new_owner(
    ctx: &Context,
    from: UserId,
    to: UserId,
    field: &'static str,
) -> Result<(), Error> {
    let predicate = match ctx.store.owner(to).await {
        Ok(_) if from == to => "must not be the present owner.",
        Ok(owner) if owner.disabled_at().is_some() => "must not be disabled. Enable the account first.",
        Ok(_) => return Ok(()),
        Err(StoreError::NotFound) => "must be the id of a user or of a service account.",
        Err(error) => return Err(error.into()),
    };
    Err(FieldError::new(field, predicate).into())
}

async fn expect_owned(
    ctx: &Context,
    from: UserId,
    tokens: &Selection<TokenId>,
    environments: &Selection<EnvironmentId>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    if let Selection::These(ids) = tokens {
        for (at, id) in ids.iter().enumerate() {
            match ctx.store.token_in_any_state(*id).await {
                Ok(token) if token.owner == from && token.environment.is_none() => {}
                Ok(_) | Err(StoreError::NotFound) => {
                    let predicate = "must be the id of a personal access token of this owner.";
                    errors.push(FieldError::new(format!("tokens.{at}"), predicate));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    if let Selection::These(ids) = environments {
        for (at, id) in ids.iter().enumerate() {
            match ctx.store.environment_owner(*id).await {
                Ok(owner) if owner == from => {}
                Ok(_) | Err(StoreError::NotFound) => {
                    let predicate = "must be the id of an environment of this owner.";
                    errors.push(FieldError::new(format!("environments.{at}"), predicate));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// The error of a hand-over that the store refused. `field` names the new owner in the request.
pub(super) fn refusal(error: StoreError, field: &'static str, max_live_tokens: u32) -> Error {
    use crate::domain::environment::Environment;
    let predicate = match error {
        StoreError::Conflict(Conflict::TooManyTokens) => {
            format!(
                "must not be an owner who would then have more than {max_live_tokens} live tokens, the limit of this server."
            )
        }
        StoreError::Conflict(Conflict::TooManyEnvironments) => {
            format!(
                "must not be an owner who would then have more than {} environments, the limit.",
                Environment::MAX_PER_OWNER
            )
        }
        StoreError::Conflict(Conflict::GrantsAdmin(token)) => format!(
            "must not be a user: the token {token} has an ability of administrators. If the user becomes an administrator, \
             everybody who knows its secret has that power. Revoke that token first, or choose a service account."
        ),
        StoreError::Conflict(Conflict::OwnerDisabled) => "must not be disabled. Enable the account first.".to_owned(),
        other => return other.into(),
    };
    FieldError::new(field, predicate).into()
}
