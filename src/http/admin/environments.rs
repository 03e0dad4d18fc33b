//! The environments of everybody.

use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use serde::Deserialize;

use crate::{
    domain::{
        id::{EnvironmentId, UserId},
        page::PageRequest,
    },
    http::{
        error::ApiError,
        input::{
            body::Body,
            guard::{AdminReader, AdminSession, Guard},
            page,
            request_source::Source,
        },
        state::current::State,
        wire::large_answer::LargeAnswer,
    },
    ops::{self, FieldError, environment_administration},
    views::{DataView, OwnedEnvironmentView, PageView},
};

/// The parameters of the list.
pub(crate) const LIST_PARAMETERS: &[&str] = &["limit", "cursor", "search", "owner"];

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    search: Option<String>,
    owner: Option<String>,
}

const NO_OWNER: &str = "must be the id of a user or of a service account.";

pub(crate) async fn list(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    query: Result<Query<ListQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let ListQuery { limit, cursor, search, owner } = page::read(query)?;
    let owner = owner.map(|text| UserId::parse(&text).ok_or_else(|| FieldError::new("owner", NO_OWNER)));
    let (owner, search) = (owner.transpose()?, page::search(search)?);
    let request = PageRequest { cursor, limit: page::limit(limit)? };
    let list = environment_administration::list(&state.ops, admin.administrator, owner, search, request);
    let find = async { Ok(list.await?) };
    answer
        .page(admin.actor.id().unwrap_or_default(), find, |page| PageView::new(page, OwnedEnvironmentView::from))
        .await
}

pub(crate) async fn show(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
) -> Result<Json<DataView<OwnedEnvironmentView>>, ApiError> {
    let found = environment_administration::get(&state.ops, admin.administrator, environment_id(&id)?).await?;
    Ok(Json(DataView { data: found.into() }))
}

pub(crate) async fn transfer(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<OwnedEnvironmentView>>, ApiError> {
    let id = environment_id(&id)?;
    let mut form = body.form(&["to"]).await?;
    let to = form.required("to", |text| UserId::parse(text).ok_or(NO_OWNER));
    let to = form.finish(to)?;
    let source = source.by_admin(&admin);
    let transferred = environment_administration::transfer(&state.ops, admin.administrator, id, to, source).await?;
    Ok(Json(DataView { data: transferred.into() }))
}

/// A malformed id is answered like an unknown one.
fn environment_id(text: &str) -> Result<EnvironmentId, ops::Error> {
    EnvironmentId::parse(text).ok_or(ops::Error::NotFound)
}
