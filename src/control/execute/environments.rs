//! Requests about the environments of everybody.

use super::owners;
use crate::{
    control::{error::Error, frame::Output, owner_requests::EnvironmentRequest},
    domain::{
        audit::RequestSource, authority::Administrator, environment::OwnedEnvironment, id::EnvironmentId,
        page::PageRequest,
    },
    ops::{self, Context, StateConflict, environment_administration},
    views::OwnedEnvironmentView,
};

const SOURCE: RequestSource = RequestSource::COMMAND_LINE;

pub(super) async fn execute(
    ctx: &Context,
    administrator: Administrator,
    request: EnvironmentRequest,
    output: &mut Output,
) -> Result<(), Error> {
    let done = match request {
        EnvironmentRequest::List { owner, search } => return list(ctx, administrator, owner, search, output).await,
        EnvironmentRequest::Show(id) => find(ctx, administrator, &id).await?,
        EnvironmentRequest::Transfer { id, to } => {
            let found = find(ctx, administrator, &id).await.map_err(Error::before_change)?;
            let to = owners::find(ctx, administrator, &to).await?.id();
            let moved =
                environment_administration::transfer(ctx, administrator, found.environment.id, to, SOURCE).await;
            moved.map_err(|error| refused(error, &id))?
        }
        EnvironmentRequest::Delete(id) => {
            let found = find(ctx, administrator, &id).await.map_err(Error::before_change)?;
            let deleted = environment_administration::delete(ctx, administrator, found.environment.id, SOURCE).await;
            deleted.map_err(|error| refused(error, &id))?;
            found
        }
    };
    Ok(output.item(&OwnedEnvironmentView::from(done)).await?)
}

async fn list(
    ctx: &Context,
    administrator: Administrator,
    owner: Option<String>,
    search: Option<String>,
    output: &mut Output,
) -> Result<(), Error> {
    let owner = match owner {
        Some(owner) => Some(owners::find(ctx, administrator, &owner).await?.id()),
        None => None,
    };
    let mut cursor = None;
    loop {
        let request = PageRequest { cursor, limit: 100 };
        let page = environment_administration::list(ctx, administrator, owner, search.clone(), request).await?;
        for environment in page.items {
            output.item(&OwnedEnvironmentView::from(environment)).await?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn find(ctx: &Context, administrator: Administrator, id: &str) -> Result<OwnedEnvironment, Error> {
    let parsed = EnvironmentId::parse(id).ok_or_else(|| Error::NoEnvironment(id.to_owned()))?;
    environment_administration::get(ctx, administrator, parsed).await.map_err(|error| refused(error, id))
}

fn refused(error: ops::Error, id: &str) -> Error {
    match error {
        ops::Error::NotFound => Error::NoEnvironment(id.to_owned()),
        ops::Error::Conflict(StateConflict::DefaultEnvironment) => Error::Refused(format!(
            "{id} is the default environment of its owner, which is neither deleted nor transferred"
        )),
        other => other.into(),
    }
}
