//! Requests about service accounts.

use super::users;
use crate::{
    control::{error::Error, frame::Output, owner_requests::ServiceAccountRequest},
    domain::{
        annotations::Description, audit::RequestSource, authority::Administrator, id::UserId,
        owner::ServiceAccountDetails, page::PageRequest, text::Name,
    },
    ops::{self, Context, FieldError, service_accounts},
    store::ServiceAccountChange,
    views::ServiceAccountView,
};

const SOURCE: RequestSource = RequestSource::COMMAND_LINE;

pub(super) async fn execute(
    ctx: &Context,
    administrator: Administrator,
    request: ServiceAccountRequest,
    output: &mut Output,
) -> Result<(), Error> {
    let done = match request {
        ServiceAccountRequest::Create { name, description, managers } => {
            create(ctx, administrator, &name, description.as_deref(), &managers).await?
        }
        ServiceAccountRequest::List { search } => return list(ctx, administrator, search, output).await,
        ServiceAccountRequest::Show(id) => show(ctx, administrator, &id).await?,
        ServiceAccountRequest::Update { id, name, description } => {
            let change = parse_change(name.as_deref(), description.as_deref())?;
            let updated = service_accounts::update(ctx, administrator.into(), parse(&id)?, change, SOURCE).await;
            updated.map_err(|error| not_found(error, &id))?
        }
        ServiceAccountRequest::Disable(id) => {
            let disabled = service_accounts::disable(ctx, administrator, parse(&id)?, SOURCE).await;
            disabled.map_err(|error| not_found(error, &id))?
        }
        ServiceAccountRequest::Enable(id) => {
            let enabled = service_accounts::enable(ctx, administrator, parse(&id)?, SOURCE).await;
            enabled.map_err(|error| not_found(error, &id))?
        }
        ServiceAccountRequest::Delete(id) => {
            let found = show(ctx, administrator, &id).await.map_err(Error::before_change)?;
            let deleted = service_accounts::delete(ctx, administrator, found.account.id, SOURCE).await;
            deleted.map_err(|error| not_found(error, &id))?;
            found
        }
        ServiceAccountRequest::AddManager { id, user } => {
            let user = users::find(ctx, administrator, &user).await?;
            let added = service_accounts::add_manager(ctx, administrator, parse(&id)?, user.id, SOURCE).await;
            added.map_err(|error| not_found(error, &id))?
        }
        ServiceAccountRequest::RemoveManager { id, user } => {
            let user = users::find(ctx, administrator, &user).await?;
            let found = show(ctx, administrator, &id).await.map_err(Error::before_change)?;
            if !found.managers.iter().any(|manager| manager.user == user.id) {
                return Err(Error::Refused(format!("{} does not manage {}", user.email, found.account.id)));
            }
            let removed = service_accounts::remove_manager(ctx, administrator, parse(&id)?, user.id, SOURCE).await;
            removed.map_err(|error| not_found(error, &id))?
        }
    };
    Ok(output.item(&ServiceAccountView::from(done)).await?)
}

async fn create(
    ctx: &Context,
    administrator: Administrator,
    name: &str,
    description: Option<&str>,
    managers: &[String],
) -> Result<ServiceAccountDetails, Error> {
    let change = parse_change(Some(name), description)?;
    let mut ids = Vec::with_capacity(managers.len());
    for manager in managers {
        ids.push(users::find(ctx, administrator, manager).await?.id);
    }
    let name = change.name.ok_or_else(|| vec![FieldError::new("name", "is required.")])?;
    let request = service_accounts::ServiceAccountRequest {
        id: None,
        name,
        description: change.description.flatten(),
        managers: ids,
    };
    Ok(service_accounts::create(ctx, administrator, request, SOURCE).await?)
}

fn parse_change(name: Option<&str>, description: Option<&str>) -> Result<ServiceAccountChange, Vec<FieldError>> {
    let name = name.map(|text| Name::parse(text).map_err(|error| FieldError::new("name", error))).transpose();
    let description = description
        .map(|text| Description::parse_optional(text).map_err(|error| FieldError::new("description", error)))
        .transpose();
    match (name, description) {
        (Ok(name), Ok(description)) => Ok(ServiceAccountChange { name, description }),
        (name, description) => Err(name.err().into_iter().chain(description.err()).collect()),
    }
}

async fn list(
    ctx: &Context,
    administrator: Administrator,
    search: Option<String>,
    output: &mut Output,
) -> Result<(), Error> {
    let mut cursor = None;
    loop {
        let request = PageRequest { cursor, limit: 100 };
        let page = service_accounts::list(ctx, administrator.into(), search.clone(), request).await?;
        for account in page.items {
            output.item(&ServiceAccountView::from(account)).await?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn show(ctx: &Context, administrator: Administrator, id: &str) -> Result<ServiceAccountDetails, Error> {
    service_accounts::get(ctx, administrator.into(), parse(id)?).await.map_err(|error| not_found(error, id))
}

fn parse(id: &str) -> Result<UserId, Error> {
    UserId::parse(id).ok_or_else(|| Error::NoServiceAccount(id.to_owned()))
}

fn not_found(error: ops::Error, id: &str) -> Error {
    match error {
        ops::Error::NotFound => Error::NoServiceAccount(id.to_owned()),
        other => other.into(),
    }
}
