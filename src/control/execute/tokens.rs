//! Requests about tokens of users and of environments.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::timeout;

use super::owners;
use crate::{
    control::{
        error::Error,
        frame::Output,
        request::{JudgeToken, NewToken, ParsedToken, RevokeMatching, TokenList, TokenSort, WhoseTokens},
        views::{ChangedTokenView, IssuedView, JudgedView, ListedTokenView, RevokedMatchingView, RevokedView, Verdict},
    },
    domain::{
        ability::Ability,
        audit::RequestSource,
        authority::Administrator,
        id::{EnvironmentId, TokenId, UserId},
        secret::CredentialKind,
        token::Token,
    },
    ops::{
        self, Context, FieldError,
        authorization::{self, PolicyRejection, Refusal, RuleRequirement},
        environment_tokens,
        inventory::{self, ListedToken},
        revocation::{self, BulkRevocation},
        token_search::{self, FilterTexts, RevokedByFilter},
        tokens::{self, Expiry, TokenRequest},
        verification::{Caller, Rejection},
    },
    store::{Successors, TokenOrder, Whose},
    views::IssuedTokenView,
};

/// How long a revocation that is done waits for the count of the tokens that it left. The client's own wait is longer, so a
/// long list that runs meanwhile does not hide that the tokens are revoked.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn create(
    ctx: &Context,
    administrator: Administrator,
    new: &NewToken,
    output: &mut Output,
) -> Result<(), Error> {
    let ParsedToken { name, abilities, limits, annotations } = new.parse()?;
    let owner = owners::find(ctx, administrator, &new.user).await?;
    owners::expect_enabled(&owner)?;
    if owner.user().is_none() {
        ops::owners::expect_useful(ctx, owner.id(), abilities.as_ref()).await?;
    }
    let expiry = new.lifetime().map_or(Expiry::Default, Expiry::After);
    let (owner_id, is_canary) = (owner.id(), new.canary);
    let request = TokenRequest { id: None, owner: owner_id, name, abilities, expiry, limits, annotations, is_canary };
    let issued = tokens::create(ctx, administrator.into(), request, RequestSource::COMMAND_LINE).await?;
    let issued = IssuedView { owner: owners::label(&owner), issued: IssuedTokenView::unnumbered(issued) };
    Ok(output.item(&issued).await?)
}

pub(super) async fn list(
    ctx: &Context,
    administrator: Administrator,
    list: TokenList,
    output: &mut Output,
) -> Result<(), Error> {
    let TokenList { whose, filter, search, expires_before, unused_since, sort, reverse, limit } = list;
    let now = ctx.clock.now();
    let environment = match &whose {
        Some(WhoseTokens::Environment(id)) => Some(id.clone()),
        _ => None,
    };
    let whose = match whose {
        None => Whose::All,
        Some(WhoseTokens::User(who)) => Whose::User(owners::find(ctx, administrator, &who).await?.id()),
        Some(WhoseTokens::Environment(id)) => Whose::Environment(environment_id(&id)?),
    };
    let order = match sort {
        TokenSort::Created => TokenOrder::Created,
        TokenSort::Name => TokenOrder::Name,
        TokenSort::User => TokenOrder::User,
        TokenSort::LastUsed => TokenOrder::LastUsed,
        TokenSort::Expires => TokenOrder::Expires,
    };
    let list = inventory::TokenList {
        whose,
        filter,
        search,
        ends_before: expires_before.map(|moment| moment.resolve(now)),
        unused_since: unused_since.map(|moment| moment.resolve(now)),
        order,
        reversed: reverse,
        limit,
    };
    let each = async |listed: ListedToken| match output.item(&ListedTokenView::new(listed, now)).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    inventory::tokens(ctx, administrator, list, each).await.map_err(|error| match (error, environment) {
        (ops::Error::NotFound, Some(id)) => Error::NoEnvironment(id),
        (error, _) => error.into(),
    })
}

pub(super) async fn revoke(
    ctx: &Context,
    administrator: Administrator,
    id: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let token = find(ctx, administrator, id).await?;
    let revoked = revocation::revoke(ctx, administrator.into(), token.id, RequestSource::COMMAND_LINE).await;
    let successors = revoked.map_err(|error| refused(error, token.id))?;
    Ok(output.item(&ChangedTokenView::new(token, &successors)).await?)
}

pub(super) async fn disable(
    ctx: &Context,
    administrator: Administrator,
    id: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let token = find(ctx, administrator, id).await?;
    let disabled = revocation::disable(ctx, administrator.into(), token.id, RequestSource::COMMAND_LINE).await;
    let (details, successors) = disabled.map_err(|error| refused(error, token.id))?;
    Ok(output.item(&ChangedTokenView::new(details.token, &successors)).await?)
}

pub(super) async fn enable(
    ctx: &Context,
    administrator: Administrator,
    id: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let token = find(ctx, administrator, id).await?;
    let enabled = revocation::enable(ctx, administrator.into(), token.id, RequestSource::COMMAND_LINE).await;
    let details = enabled.map_err(|error| refused(error, token.id))?;
    Ok(output.item(&ChangedTokenView::new(details.token, &Successors::default())).await?)
}

/// Revokes all personal tokens of a user, or all tokens of an environment, that are neither revoked nor expired.
pub(super) async fn revoke_all(
    ctx: &Context,
    administrator: Administrator,
    whose: &WhoseTokens,
    output: &mut Output,
) -> Result<(), Error> {
    let revoked = match whose {
        WhoseTokens::User(who) => {
            let owner = owners::find(ctx, administrator, who).await?;
            let revoked = revocation::revoke_many(
                ctx,
                administrator.into(),
                owner.id(),
                BulkRevocation::All,
                RequestSource::COMMAND_LINE,
            )
            .await?;
            let left = timeout(COUNT_TIMEOUT, count_environment_tokens(ctx, administrator, owner.id())).await;
            let left = left.ok().and_then(Result::ok);
            RevokedView { user_email: Some(owners::label(&owner)), revoked, left }
        }
        WhoseTokens::Environment(id) => {
            let environment = environment_id(id)?;
            let revoked =
                environment_tokens::revoke_all(ctx, administrator.into(), environment, RequestSource::COMMAND_LINE)
                    .await
                    .map_err(|error| match error {
                        ops::Error::NotFound => Error::NoEnvironment(id.clone()),
                        other => other.into(),
                    })?;
            RevokedView { user_email: None, revoked, left: Some(0) }
        }
    };
    Ok(output.item(&revoked).await?)
}

/// Revokes all tokens that a filter finds, or only counts them.
pub(super) async fn revoke_matching(
    ctx: &Context,
    administrator: Administrator,
    RevokeMatching { filter, dry_run }: RevokeMatching,
    output: &mut Output,
) -> Result<(), Error> {
    let source = RequestSource::COMMAND_LINE;
    let RevokedByFilter { matching, successors, ids, revoked } =
        token_search::revoke(ctx, administrator, &filter, false, dry_run, source).await?;
    let ids = ids.iter().map(ToString::to_string).collect();
    Ok(output.item(&RevokedMatchingView { matching, successors, revoked, ids }).await?)
}

/// How many valid tokens the user's environments have.
async fn count_environment_tokens(
    ctx: &Context,
    administrator: Administrator,
    owner: UserId,
) -> Result<u64, ops::Error> {
    let whose = Whose::User(owner);
    let active = inventory::TokenList {
        whose,
        filter: FilterTexts { state: Some("active".to_owned()), ..FilterTexts::default() },
        ..inventory::TokenList::default()
    };
    let mut count = 0;
    let each = async |listed: ListedToken| {
        count += u64::from(listed.token.environment.is_some());
        ControlFlow::Continue(())
    };
    inventory::tokens(ctx, administrator, active, each).await?;
    Ok(count)
}

/// Checks a credential. Like every check, this is a use of it.
pub(super) async fn judge(ctx: &Context, judge: &JudgeToken, output: &mut Output) -> Result<(), Error> {
    let kinds = CredentialKind::ALL.into_iter().filter(|kind| judge.kinds.iter().any(|word| word == kind.as_str()));
    let kinds: Vec<CredentialKind> = kinds.collect();
    let abilities: Result<Vec<Ability>, _> = judge.abilities.iter().map(|text| Ability::parse(text)).collect();
    let abilities = abilities.map_err(|error| vec![FieldError::new("abilities", error)])?;
    let caller = Caller { address: judge.address, ..Caller::default() };
    let rule = RuleRequirement { kinds: &kinds, abilities: &abilities, counted: None };
    let judged = authorization::authorize(ctx, judge.token.expose(), caller, rule).await;
    let (principal, refused) = match judged {
        Ok(principal) => (Some(Box::new(principal)), None),
        Err(Refusal { error, principal }) => (principal, Some(error)),
    };
    let verdict = match refused {
        None => Verdict::Passes,
        Some(ops::Error::Rejected(Rejection::AddressNotAllowed)) if judge.address.is_none() => Verdict::AddressMissing,
        Some(ops::Error::Rejected(reason)) => Verdict::Denied(reason.to_string()),
        Some(ops::Error::MissingAbility(needed)) => {
            let lacks = |ability: &&Ability| principal.as_ref().is_some_and(|who| !who.holds(ability.as_str()));
            Verdict::Lacks(needed.iter().filter(lacks).map(ToString::to_string).collect())
        }
        Some(ops::Error::Policy(PolicyRejection::WrongKind)) => Verdict::WrongKind,
        Some(other) => return Err(other.into()),
    };
    let who = principal.as_ref().map(|principal| match principal.person() {
        Some(person) => person.email.to_string(),
        None => match principal.service_account() {
            Some(account) => format!("service account {}", account.name),
            None => format!("environment {}", principal.subject()),
        },
    });
    let person = principal.as_ref().and_then(|principal| principal.person());
    let user_id = person.map(|person| person.id.to_string());
    let token_id = principal.as_ref().map(|principal| principal.id().to_string());
    Ok(output.item(&JudgedView { who, user_id, token_id, verdict }).await?)
}

/// Finds a token by id. A malformed id is not repeated in the error: it may be the secret, pasted by mistake.
pub(super) async fn find(ctx: &Context, administrator: Administrator, text: &str) -> Result<Token, Error> {
    let id = TokenId::parse(text).ok_or(Error::NoToken(None))?;
    tokens::show(ctx, administrator.into(), id).await.map_err(|error| refused(error, id).before_change())
}

pub(super) fn refused(error: ops::Error, id: TokenId) -> Error {
    match error {
        ops::Error::NotFound => Error::NoToken(Some(id.to_string())),
        ops::Error::Replaced(successor) => Error::Refused(format!(
            "{id} was replaced by {successor}, which is good, and nothing was changed; name that id instead if it is to end"
        )),
        ops::Error::AlreadyRotated(successor) => Error::Refused(match successor {
            Some(successor) => format!("{id} was rotated already; rotate its successor {successor} instead"),
            None => format!("{id} was rotated already"),
        }),
        other => other.into(),
    }
}

fn environment_id(text: &str) -> Result<EnvironmentId, Error> {
    EnvironmentId::parse(text).ok_or_else(|| Error::NoEnvironment(text.to_owned()))
}
