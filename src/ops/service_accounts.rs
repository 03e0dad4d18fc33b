//! Service accounts and their managers.

use uuid::Uuid;

use super::{
    context::Context,
    cursor::{List, ListScope},
    error::{Error, FieldError},
    new_id::id_to_make,
};
use crate::{
    domain::{
        annotations::Description,
        audit::RequestSource,
        authority::{Administrator, Authority},
        id::UserId,
        owner::{ServiceAccount, ServiceAccountDetails},
        page::{self, Page, PageRequest},
        text::{Name, folded},
    },
    store::{Conflict, NewServiceAccount, ServiceAccountChange, ServiceAccountQuery, StoreError},
};

/// The data of a new service account.
#[derive(Clone, Debug)]
pub struct ServiceAccountRequest {
    /// Its id, if the caller has chosen one.
    pub id: Option<UserId>,
    /// The name.
    pub name: Name,
    /// What it is for.
    pub description: Option<Description>,
    /// The users who manage it.
    pub managers: Vec<UserId>,
}

/// Creates a service account.
pub async fn create(
    ctx: &Context,
    _: Administrator,
    request: ServiceAccountRequest,
    source: RequestSource,
) -> Result<ServiceAccountDetails, Error> {
    let ServiceAccountRequest { id, name, description, mut managers } = request;
    let mut errors = Vec::new();
    for (at, user) in managers.iter().enumerate() {
        match ctx.store.user(*user).await {
            Ok(_) => {}
            Err(StoreError::NotFound) => errors.push(FieldError::new(format!("managers.{at}"), NO_USER)),
            Err(error) => return Err(error.into()),
        }
    }
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    managers.sort_unstable();
    managers.dedup();
    let by = ctx.attribution_to_issue(source)?;
    let id = id.unwrap_or_else(|| UserId::new(id_to_make(&by.origin)));
    let account = ServiceAccount { id, name, created_at: by.at, disabled_at: None };
    let new = NewServiceAccount { account, description, managers };
    ctx.store.add_service_account(new, by).await.map_err(|error| match error {
        // A user who was deleted meanwhile.
        StoreError::NotFound => FieldError::new("managers", "must be users of this server.").into(),
        other => too_many_managers(other, "managers"),
    })
}

const NO_USER: &str = "must be the id of a user.";

fn too_many_managers(error: StoreError, field: &str) -> Error {
    match error {
        StoreError::Conflict(Conflict::TooManyManagers) => {
            let most = ServiceAccount::MAX_MANAGERS;
            FieldError::new(
                field,
                format!("would be one manager more than the {most} that a service account may have."),
            )
            .into()
        }
        other => other.into(),
    }
}

/// Lists the service accounts that a user manages, or all of them for an administrator, newest first.
pub async fn list(
    ctx: &Context,
    authority: Authority,
    search: Option<String>,
    request: PageRequest,
) -> Result<Page<ServiceAccountDetails>, Error> {
    let whose = match authority {
        Authority::User(user) => user.uuid(),
        Authority::Administrator(_) => Uuid::nil(),
    };
    let (list, scope) = (List::ServiceAccounts, ListScope::search(whose, &search));
    let before = request.cursor.map(|cursor| list.parse_id_cursor(scope, &cursor)).transpose()?;
    let query = ServiceAccountQuery {
        search: search.map(|text| folded(&text)),
        before: before.map(UserId::new),
        limit: request.limit + 1,
    };
    let mut items = ctx.store.service_accounts(authority, query).await?;
    let has_more = page::cut(&mut items, request.limit as usize, ServiceAccountDetails::listed_size);
    let last = items.last().filter(|_| has_more);
    let next_cursor = last.map(|last| list.write_id_cursor(scope, last.account.id.uuid()));
    Ok(Page { items, next_cursor })
}

/// One service account, for its managers and for administrators.
pub async fn get(ctx: &Context, authority: Authority, id: UserId) -> Result<ServiceAccountDetails, Error> {
    Ok(ctx.store.service_account(authority, id).await?)
}

/// Changes the name or the description.
pub async fn update(
    ctx: &Context,
    authority: Authority,
    id: UserId,
    change: ServiceAccountChange,
    source: RequestSource,
) -> Result<ServiceAccountDetails, Error> {
    Ok(ctx.store.change_service_account(authority, id, change, ctx.attribution(source)).await?)
}

/// Disables a service account. Later checks of its tokens are refused until it is enabled.
pub async fn disable(
    ctx: &Context,
    _: Administrator,
    id: UserId,
    source: RequestSource,
) -> Result<ServiceAccountDetails, Error> {
    Ok(ctx.store.disable_service_account(id, ctx.attribution(source)).await?)
}

/// Enables a service account.
pub async fn enable(
    ctx: &Context,
    _: Administrator,
    id: UserId,
    source: RequestSource,
) -> Result<ServiceAccountDetails, Error> {
    Ok(ctx.store.enable_service_account(id, ctx.attribution(source)).await?)
}

/// Deletes a service account with its tokens and environments. Later checks of the tokens are refused.
pub async fn delete(ctx: &Context, _: Administrator, id: UserId, source: RequestSource) -> Result<(), Error> {
    Ok(ctx.store.delete_service_account(id, ctx.attribution(source)).await?)
}

/// Makes a user a manager of a service account.
pub async fn add_manager(
    ctx: &Context,
    _: Administrator,
    id: UserId,
    user: UserId,
    source: RequestSource,
) -> Result<ServiceAccountDetails, Error> {
    let added = ctx.store.add_manager(id, user, ctx.attribution(source)).await;
    added.map_err(|error| too_many_managers(error, "user_id"))
}

/// Removes a manager of a service account. Later requests of the user for its tokens are refused.
pub async fn remove_manager(
    ctx: &Context,
    _: Administrator,
    id: UserId,
    user: UserId,
    source: RequestSource,
) -> Result<ServiceAccountDetails, Error> {
    Ok(ctx.store.remove_manager(id, user, ctx.attribution(source)).await?)
}
