//! Environments and their members.
//!
//! The store checks roles in the transaction of the change, so a role that was just removed allows nothing.

use super::{
    context::Context,
    cursor::{List, ListScope},
    error::{Error, FieldError},
    new_id::id_to_make,
};
use crate::{
    domain::{
        account::User,
        audit::RequestSource,
        environment::{Environment, EnvironmentAccess, Member, MemberRole, Role},
        id::{EnvironmentId, UserId},
        page::{Page, PageRequest},
        text::Name,
    },
    store::{Conflict, EnvironmentQuery, StoreError},
};

/// Creates an environment for the user, or for a service account that they manage.
pub async fn create(
    ctx: &Context,
    owner: UserId,
    name: Name,
    source: RequestSource,
) -> Result<EnvironmentAccess, Error> {
    create_with_id(ctx, owner, (EnvironmentId::new(id_to_make(&source)), name), source).await
}

/// The same with an id that the caller has chosen.
pub async fn create_with_id(
    ctx: &Context,
    owner: UserId,
    (id, name): (EnvironmentId, Name),
    source: RequestSource,
) -> Result<EnvironmentAccess, Error> {
    // Read before the change, which must not fail afterwards.
    let service_account = ctx.store.owner(owner).await?.service_account().map(|account| account.name.clone());
    let by = ctx.attribution_to_issue(source)?;
    let environment = Environment { id, owner, name, is_default: false, created_at: by.at };
    ctx.store.add_environment(environment.clone(), by).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyEnvironments) => {
            let most = Environment::MAX_PER_OWNER;
            let message = format!("You have {most} environments, as many as this server allows. Delete one first.");
            FieldError { field: "name".into(), message }.into()
        }
        other => Error::from(other),
    })?;
    Ok(EnvironmentAccess { environment, role: Role::Owner, service_account })
}

/// Lists the environments that the user owns or is a member of, newest first.
pub async fn list(ctx: &Context, user: UserId, request: PageRequest) -> Result<Page<EnvironmentAccess>, Error> {
    let (list, scope) = (List::Environments, ListScope::all_of(user.uuid()));
    let before = request.cursor.map(|cursor| list.parse_id_cursor(scope, &cursor)).transpose()?;
    let query = EnvironmentQuery { before: before.map(EnvironmentId::new), limit: request.limit + 1 };
    let mut environments = ctx.store.environments_of(user, query).await?;
    let has_more = environments.len() > request.limit as usize;
    environments.truncate(request.limit as usize);
    let last = environments.last().filter(|_| has_more);
    let next_cursor = last.map(|last| list.write_id_cursor(scope, last.environment.id.uuid()));
    Ok(Page { items: environments, next_cursor })
}

/// One environment that the user sees.
pub async fn get(ctx: &Context, user: UserId, id: EnvironmentId) -> Result<EnvironmentAccess, Error> {
    Ok(ctx.store.environment(user, id).await?)
}

/// One environment that the user sees without the role of an administrator: for a token, which has no such power here.
pub async fn get_without_role(ctx: &Context, user: UserId, id: EnvironmentId) -> Result<EnvironmentAccess, Error> {
    Ok(ctx.store.environment_without_role(user, id).await?)
}

/// Selects the user's current environment.
pub async fn set_current(ctx: &Context, user: UserId, id: EnvironmentId, source: RequestSource) -> Result<User, Error> {
    Ok(ctx.store.set_current_environment(user, id, ctx.attribution(source)).await?)
}

/// Renames an environment.
pub async fn rename(
    ctx: &Context,
    user: UserId,
    id: EnvironmentId,
    name: Name,
    source: RequestSource,
) -> Result<EnvironmentAccess, Error> {
    Ok(ctx.store.rename_environment(user, id, name, ctx.attribution(source)).await?)
}

/// Deletes an environment and its tokens. Later checks of the tokens are refused.
pub async fn delete(ctx: &Context, user: UserId, id: EnvironmentId, source: RequestSource) -> Result<(), Error> {
    Ok(ctx.store.delete_environment(user, id, ctx.attribution(source)).await?)
}

/// The members of an environment, for its owner.
pub async fn members(ctx: &Context, user: UserId, id: EnvironmentId) -> Result<Vec<Member>, Error> {
    Ok(ctx.store.members_of(user, id).await?)
}

/// Shares an environment with a user, or changes their role.
pub async fn set_member(
    ctx: &Context,
    user: UserId,
    id: EnvironmentId,
    member: UserId,
    role: MemberRole,
    source: RequestSource,
) -> Result<Member, Error> {
    let member = ctx.store.set_member(user, id, member, role, ctx.attribution(source)).await;
    member.map_err(|error| match error {
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

/// Removes a member from an environment. The owner and the member may do this.
pub async fn remove_member(
    ctx: &Context,
    user: UserId,
    id: EnvironmentId,
    member: UserId,
    source: RequestSource,
) -> Result<(), Error> {
    Ok(ctx.store.remove_member(user, id, member, ctx.attribution(source)).await?)
}
