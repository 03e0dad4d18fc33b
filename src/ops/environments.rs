//! Environments, who works in them and with whom they are shared.
//!
//! Roles are judged by the store, in the moment of the change: a role that was taken away meanwhile allows nothing.

use super::{
    context::Context,
    cursor::List,
    error::{Error, FieldError},
    new_id::new_id,
};
use crate::{
    domain::{
        account::User,
        audit::RequestSource,
        environment::{Environment, EnvironmentAccess, Member, MemberRole, Role},
        id::{EnvironmentId, UserId},
        text::Name,
    },
    store::{Conflict, EnvironmentQuery, StoreError},
};

/// Makes an environment of the user's.
pub async fn create(
    ctx: &Context,
    owner: UserId,
    name: Name,
    origin: RequestSource,
) -> Result<EnvironmentAccess, Error> {
    let by = ctx.attribution_to_issue(origin)?;
    let id = EnvironmentId::new(new_id());
    let environment = Environment { id, owner, name, is_default: false, created_at: by.at };
    ctx.store.add_environment(environment.clone(), by).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyEnvironments) => {
            let most = Environment::MAX_PER_OWNER;
            let message = format!("You have {most} environments, as many as this server allows. Delete one first.");
            FieldError { field: "name".into(), message }.into()
        }
        other => Error::from(other),
    })?;
    Ok(EnvironmentAccess { environment, role: Role::Owner })
}

/// Which of the environments that a user sees to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Where the previous page ended, as it was told with that page.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// One page of environments.
#[derive(Clone, Debug)]
pub struct Page {
    /// The environments, newest first.
    pub environments: Vec<EnvironmentAccess>,
    /// Asks for the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

/// Lists the environments that are the user's or shared with them, newest first.
pub async fn list(ctx: &Context, user: UserId, request: ListRequest) -> Result<Page, Error> {
    let (list, whose) = (List::Environments, user.uuid());
    let before = request.cursor.map(|cursor| list.parse_id_cursor(whose, &cursor)).transpose()?;
    let query = EnvironmentQuery { before: before.map(EnvironmentId::new), limit: request.limit + 1 };
    let mut environments = ctx.store.environments_of(user, query).await?;
    let more = environments.len() > request.limit as usize;
    environments.truncate(request.limit as usize);
    let last = environments.last().filter(|_| more);
    let next_cursor = last.map(|last| list.write_id_cursor(whose, last.environment.id.uuid()));
    Ok(Page { environments, next_cursor })
}

/// One environment that the user sees.
pub async fn get(ctx: &Context, user: UserId, id: EnvironmentId) -> Result<EnvironmentAccess, Error> {
    Ok(ctx.store.environment(user, id).await?)
}

/// Makes an environment that the user sees the one that they work in.
pub async fn set_current(ctx: &Context, user: UserId, id: EnvironmentId, origin: RequestSource) -> Result<User, Error> {
    Ok(ctx.store.set_current_environment(user, id, ctx.attribution(origin)).await?)
}

/// Gives an environment another name.
pub async fn rename(
    ctx: &Context,
    user: UserId,
    id: EnvironmentId,
    name: Name,
    origin: RequestSource,
) -> Result<EnvironmentAccess, Error> {
    Ok(ctx.store.rename_environment(user, id, name, ctx.attribution(origin)).await?)
}

/// Deletes an environment with its tokens: a check of one that starts after the answer is refused.
pub async fn delete(ctx: &Context, user: UserId, id: EnvironmentId, origin: RequestSource) -> Result<(), Error> {
    Ok(ctx.store.delete_environment(user, id, ctx.attribution(origin)).await?)
}

/// With whom an environment is shared, for its owner.
pub async fn members(ctx: &Context, user: UserId, id: EnvironmentId) -> Result<Vec<Member>, Error> {
    Ok(ctx.store.members_of(user, id).await?)
}

/// Shares an environment with somebody, or gives them another role.
pub async fn set_member(
    ctx: &Context,
    user: UserId,
    id: EnvironmentId,
    with: UserId,
    role: MemberRole,
    origin: RequestSource,
) -> Result<Member, Error> {
    let shared = ctx.store.set_member(user, id, with, role, ctx.attribution(origin)).await;
    shared.map_err(|error| match error {
        StoreError::Conflict(Conflict::OwnerIsNoMember) => {
            FieldError::new("user_id", "must not be the owner of the environment.").into()
        }
        StoreError::Conflict(Conflict::TooManyMembers) => {
            let most = Environment::MAX_MEMBERS;
            let message = format!("The environment is shared with {most} people, as many as this server allows.");
            FieldError { field: "user_id".into(), message }.into()
        }
        other => other.into(),
    })
}

/// Shares an environment with somebody no more: asked by its owner, or by them.
pub async fn remove_member(
    ctx: &Context,
    user: UserId,
    id: EnvironmentId,
    with: UserId,
    origin: RequestSource,
) -> Result<(), Error> {
    Ok(ctx.store.remove_member(user, id, with, ctx.attribution(origin)).await?)
}
