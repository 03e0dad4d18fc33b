//! The accounts of all users.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Json, Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        account::{Email, Role},
        account_state::AccountState,
        id::UserId,
        page::PageRequest,
        text::Name,
    },
    http::{
        error::ApiError,
        input::{
            body::Body,
            guard::{Admin, AdminReader, AdminSession, Guard},
            keyed::Keyed,
            page,
            request_source::Source,
        },
        state::current::State,
        wire::large_answer::LargeAnswer,
    },
    ops::{
        self, FieldError, accounts,
        administration::{self, AccountList},
        password_links::{self, Invited},
    },
    store::{AccountChange, LastAdmin, UserOrder},
    views::{AccountDetailsView, AccountView, DataView, InvitedView, PageView, SessionView},
};

/// The parameters of the list.
pub(crate) const LIST_PARAMETERS: &[&str] = &["limit", "cursor", "search", "role", "state", "sort"];

/// The query of the list. Its values are kept as text, so that an invalid one is answered like an invalid field.
#[derive(Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    search: Option<String>,
    role: Option<String>,
    state: Option<String>,
    sort: Option<String>,
}

impl ListQuery {
    fn read(self) -> Result<(AccountList, PageRequest), ApiError> {
        let role = self.role.map(|text| Role::parse(&text).map_err(|error| FieldError::new("role", error)));
        let state = self.state.map(|text| AccountState::parse(&text).map_err(|error| FieldError::new("state", error)));
        let (order, reversed) = sort(self.sort.as_deref().unwrap_or("-created"))?;
        let (role, state) = (role.transpose()?, state.transpose()?);
        let request = PageRequest { cursor: self.cursor, limit: page::limit(self.limit)? };
        Ok((AccountList { search: self.search, role, state, order, reversed }, request))
    }
}

/// The order, and whether it is reversed.
fn sort(text: &str) -> Result<(UserOrder, bool), ApiError> {
    let (reversed, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    let order = match name {
        "created" => UserOrder::Created,
        "name" => UserOrder::Name,
        "email" => UserOrder::Email,
        _ => return Err(FieldError::new("sort", "must be created, name or email, with - before it to reverse.").into()),
    };
    Ok((order, reversed))
}

pub(crate) async fn list(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    query: Result<Query<ListQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (list, request) = page::read(query)?.read()?;
    let find = async { Ok(administration::accounts(&state.ops, admin.administrator, list, request).await?) };
    answer.page(admin.actor.id().unwrap_or_default(), find, |page| PageView::new(page, AccountView::from)).await
}

pub(crate) async fn create(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let create = async |source: Source, body: Body| {
        let mut form = body.form(&["name", "email", "role"]).await?;
        let name = form.required("name", Name::parse);
        let email = form.required("email", Email::parse);
        let role = form.optional("role", Role::parse).unwrap_or_default();
        let person = form.finish(name.zip(email))?;
        let source = source.by_admin(&admin);
        let Invited { account, link } =
            password_links::invite(&state.ops, admin.administrator, person, role, source).await?;
        let location = format!("/api/v1/admin/users/{}", account.user.id);
        Ok(HttpResponse::Created()
            .insert_header((header::LOCATION, location))
            .json(DataView { data: InvitedView::new(account, &link) }))
    };
    keyed.once(&state, admin.key_owner()?, INVITED, create).await
}

const INVITED: &str = "This request was made before, and created the user with this id. The link to set a password was in the \
                       first answer only. If that was lost, make another one: POST /api/v1/admin/users/{id}/reset-password.";

pub(crate) async fn show(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
) -> Result<Json<DataView<AccountDetailsView>>, ApiError> {
    let details = administration::account(&state.ops, admin.administrator, user_id(&id)?).await?;
    Ok(Json(DataView { data: details.into() }))
}

pub(crate) async fn update(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<AccountView>>, ApiError> {
    let id = user_id(&id)?;
    let mut form = body.form(&["name", "email", "role"]).await?;
    let change = AccountChange {
        name: form.optional("name", Name::parse),
        email: form.optional("email", Email::parse),
        role: form.optional("role", Role::parse),
    };
    let change = form.finish(Some(change))?;
    let source = source.by_admin(&admin);
    let account = administration::change(&state.ops, admin.administrator, id, change, LastAdmin::Stays, source).await?;
    Ok(Json(DataView { data: account.into() }))
}

pub(crate) async fn enable(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DataView<AccountView>>, ApiError> {
    let account = accounts::enable(&state.ops, admin.administrator, user_id(&id)?, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: account.into() }))
}

pub(crate) async fn reset_password(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    id: Path<String>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let id = user_id(&id)?;
    let reset = async |source: Source, body: Body| {
        body.form_or_nothing(&[]).await?.finish(Some(()))?;
        let source = source.making(id.uuid()).by_admin(&admin);
        let Invited { account, link } =
            password_links::reset(&state.ops, admin.administrator, id, LastAdmin::Stays, source).await?;
        Ok(HttpResponse::Ok().json(DataView { data: InvitedView::new(account, &link) }))
    };
    keyed.once(&state, admin.key_owner()?, RESET, reset).await
}

const RESET: &str = "This request was made before, and made a link for the user with this id. The link was in the first answer \
                     only. If that was lost, send the request with another Idempotency-Key.";

pub(crate) async fn sessions(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
    query: Result<Query<page::PageQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (id, request) = (user_id(&id)?, page::read(query)?.request()?);
    let find = async { Ok(administration::sessions(&state.ops, admin.administrator, id, request).await?) };
    answer.page(admin.actor.id().unwrap_or_default(), find, |page| PageView::new(page, SessionView::from)).await
}

/// How many sessions were ended.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "EndedCount"))]
pub(crate) struct EndedView {
    ended: u64,
}

pub(crate) async fn end_sessions(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DataView<EndedView>>, ApiError> {
    let (id, source) = (user_id(&id)?, source.by_admin(&admin));
    let ended = administration::end_sessions(&state.ops, admin.administrator, id, source).await?;
    Ok(Json(DataView { data: EndedView { ended } }))
}

/// A malformed id is answered like an unknown one.
pub(in crate::http) fn user_id(text: &str) -> Result<UserId, ops::Error> {
    UserId::parse(text).ok_or(ops::Error::NotFound)
}
