//! The environments of everybody, for administrators.

use uuid::Uuid;

use super::{
    context::Context,
    cursor::{List, ListScope},
    error::Error,
    owners,
};
use crate::{
    domain::{
        audit::RequestSource,
        authority::Administrator,
        environment::OwnedEnvironment,
        id::{EnvironmentId, UserId},
        page::{Page, PageRequest},
        text::folded,
    },
    store::OwnedEnvironmentQuery,
};

/// Lists environments, newest first: all of them, or those of a user or a service account.
pub async fn list(
    ctx: &Context,
    _: Administrator,
    owner: Option<UserId>,
    search: Option<String>,
    request: PageRequest,
) -> Result<Page<OwnedEnvironment>, Error> {
    let whose = owner.map_or(Uuid::nil(), UserId::uuid);
    let (list, scope) = (List::AllEnvironments, ListScope::search(whose, &search));
    let before = request.cursor.map(|cursor| list.parse_timed_cursor(scope, &cursor)).transpose()?;
    let query = OwnedEnvironmentQuery {
        owner,
        search: search.map(|text| folded(&text)),
        before: before.map(|(at, id)| (at, EnvironmentId::new(id))),
        limit: request.limit + 1,
    };
    let mut items = ctx.store.owned_environments(query).await?;
    let has_more = items.len() > request.limit as usize;
    items.truncate(request.limit as usize);
    let last = items.last().filter(|_| has_more).map(|last| &last.environment);
    let next_cursor = last.map(|last| list.write_timed_cursor(scope, last.created_at, last.id.uuid()));
    Ok(Page { items, next_cursor })
}

/// One environment.
pub async fn get(ctx: &Context, _: Administrator, id: EnvironmentId) -> Result<OwnedEnvironment, Error> {
    Ok(ctx.store.owned_environment(id).await?)
}

/// Gives an environment, with its tokens, to another user or service account. The tokens stay valid.
pub async fn transfer(
    ctx: &Context,
    _: Administrator,
    id: EnvironmentId,
    to: UserId,
    source: RequestSource,
) -> Result<OwnedEnvironment, Error> {
    let found = ctx.store.owned_environment(id).await?;
    owners::expect_new_owner(ctx, found.owner.id(), to, "to").await?;
    // The addresses of earlier uses are deleted with the change, so they must be in the store.
    ctx.use_locations.flush(&*ctx.store).await?;
    let transferred = ctx.store.transfer_environment(id, to, ctx.attribution(source)).await;
    transferred.map_err(|error| owners::refusal(error, "to", ctx.rules.max_tokens_per_user))
}

/// Deletes an environment and its tokens, on behalf of its owner.
pub async fn delete(ctx: &Context, _: Administrator, id: EnvironmentId, source: RequestSource) -> Result<(), Error> {
    let owner = ctx.store.environment_owner(id).await?;
    Ok(ctx.store.delete_environment(owner, id, ctx.attribution(source)).await?)
}
