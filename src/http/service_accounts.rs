//! Service accounts: their managers read and rename them, administrators do the rest.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Json, Path, Query},
};
use serde::Deserialize;

use super::{
    error::ApiError,
    input::{
        body::Body,
        form::Form,
        guard::{Admin, AdminSession, Guard, ServiceAccountEditor, ServiceAccountReader},
        keyed::Keyed,
        page,
        request_source::Source,
    },
    state::current::State,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{
        annotations::Description,
        id::UserId,
        owner::{ServiceAccount, ServiceAccountDetails},
        page::PageRequest,
        text::Name,
    },
    ops::{
        self,
        service_accounts::{self, ServiceAccountRequest},
    },
    store::ServiceAccountChange,
    views::{DataView, MessageView, PageView, ServiceAccountView},
};

type Answer = Result<Json<DataView<ServiceAccountView>>, ApiError>;

/// The parameters of the list.
pub(super) const LIST_PARAMETERS: &[&str] = &["limit", "cursor", "search"];

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    search: Option<String>,
}

pub(super) async fn list(
    state: State,
    Guard(ServiceAccountReader(reader)): Guard<ServiceAccountReader>,
    query: Result<Query<ListQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let ListQuery { limit, cursor, search } = page::read(query)?;
    let (search, request) = (page::search(search)?, PageRequest { cursor, limit: page::limit(limit)? });
    let find = async { Ok(service_accounts::list(&state.ops, reader.authority, search, request).await?) };
    answer.page(reader.user.uuid(), find, |page| PageView::new(page, ServiceAccountView::from)).await
}

pub(super) async fn create(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let create = async |source: Source, body: Body| {
        let mut form = body.form(&["name", "description", "managers"]).await?;
        let name = form.required("name", Name::parse);
        let description = form.optional("description", Description::parse_optional).flatten();
        let is_user_id = |text: &str| UserId::parse(text).ok_or("must be the id of a user.");
        let managers = form.optional_list("managers", ServiceAccount::MAX_MANAGERS as usize, is_user_id);
        let name = form.finish(name)?;
        let request = ServiceAccountRequest { id: None, name, description, managers: managers.unwrap_or_default() };
        let source = source.by_admin(&admin);
        Ok(created(service_accounts::create(&state.ops, admin.administrator, request, source).await?))
    };
    let again = async |id| match service_accounts::get(&state.ops, admin.administrator.into(), UserId::new(id)).await {
        Err(ops::Error::NotFound) => Err(ApiError::AlreadyCreated { id, way_out: GONE }),
        found => Ok(created(found?)),
    };
    keyed.once_or_again(&state, admin.key_owner()?, again, create).await
}

fn created(account: ServiceAccountDetails) -> HttpResponse {
    let data = ServiceAccountView::from(account);
    let location = format!("/api/v1/service-accounts/{}", data.id);
    HttpResponse::Created().insert_header((header::LOCATION, location)).json(DataView { data })
}

const GONE: &str = "This request was made before, and created the service account with this id, which was deleted since. To \
                    create another one, send the request with another Idempotency-Key.";

pub(super) async fn show(
    state: State,
    Guard(ServiceAccountReader(reader)): Guard<ServiceAccountReader>,
    id: Path<String>,
) -> Answer {
    let found = service_accounts::get(&state.ops, reader.authority, account_id(&id)?).await?;
    Ok(Json(DataView { data: found.into() }))
}

pub(super) async fn update(
    state: State,
    Guard(ServiceAccountEditor(editor)): Guard<ServiceAccountEditor>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Answer {
    let id = account_id(&id)?;
    let mut form = body.form(&["name", "description"]).await?;
    let change = read_change(&mut form);
    let change = form.finish(change)?;
    let source = source.by_manager(&editor);
    let changed = service_accounts::update(&state.ops, editor.authority, id, change, source).await?;
    Ok(Json(DataView { data: changed.into() }))
}

/// A description that is null or empty is removed.
fn read_change(form: &mut Form) -> Option<ServiceAccountChange> {
    if !form.has("name") && !form.has("description") {
        form.refuse("name", "must be given, or description, or both.");
    }
    form.refuse_null("name", "Leave it out to keep the name.");
    let has_description = form.has("description");
    let name = form.optional("name", Name::parse);
    let description = form.optional("description", Description::parse_optional).flatten();
    Some(ServiceAccountChange { name, description: has_description.then_some(description) })
}

pub(super) async fn delete(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<MessageView>, ApiError> {
    service_accounts::delete(&state.ops, admin.administrator, account_id(&id)?, source.by_admin(&admin)).await?;
    Ok(Json(MessageView { message: "Service account deleted" }))
}

pub(super) async fn disable(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Answer {
    let id = account_id(&id)?;
    let disabled = service_accounts::disable(&state.ops, admin.administrator, id, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: disabled.into() }))
}

pub(super) async fn enable(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Answer {
    let id = account_id(&id)?;
    let enabled = service_accounts::enable(&state.ops, admin.administrator, id, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: enabled.into() }))
}

/// A manager can make tokens for the service account, so only a session can add one.
pub(super) async fn add_manager(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    source: Source,
    path: Path<(String, String)>,
) -> Answer {
    let (id, user) = (account_id(&path.0)?, account_id(&path.1)?);
    let source = source.by_admin(&admin);
    let changed = service_accounts::add_manager(&state.ops, admin.administrator, id, user, source).await?;
    Ok(Json(DataView { data: changed.into() }))
}

pub(super) async fn remove_manager(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    path: Path<(String, String)>,
) -> Answer {
    let (id, user) = (account_id(&path.0)?, account_id(&path.1)?);
    let source = source.by_admin(&admin);
    let changed = service_accounts::remove_manager(&state.ops, admin.administrator, id, user, source).await?;
    Ok(Json(DataView { data: changed.into() }))
}

/// A malformed id is answered like an unknown one.
fn account_id(text: &str) -> Result<UserId, ops::Error> {
    UserId::parse(text).ok_or(ops::Error::NotFound)
}
