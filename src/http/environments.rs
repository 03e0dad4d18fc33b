//! The environments of the user, their members, and the user's current environment.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Json, Path, Query},
};
use serde::Serialize;

use super::{
    error::ApiError,
    input::{
        body::Body,
        guard::{EnvironmentReader, Guard, SessionUser},
        keyed::Keyed,
        page::{self, PageQuery},
        request_source::Source,
    },
    state::current::State,
    tokens::read_owner,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{
        environment::{EnvironmentAccess, Member, MemberRole},
        id::{EnvironmentId, UserId},
        keyed_request::KeyOwner,
        text::Name,
    },
    ops::{self, environments, owners},
    views::{DataView, MessageView, OwnerView, PageView, UserView},
};

/// An environment with the role of the user in it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct EnvironmentView {
    id: String,
    name: String,
    role: &'static str,
    is_default: bool,
    created_at: String,
    /// The service account that owns it. Omitted if a user does: members do not see who that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerView>,
}

impl From<EnvironmentAccess> for EnvironmentView {
    fn from(EnvironmentAccess { environment, role, service_account }: EnvironmentAccess) -> Self {
        Self {
            owner: service_account.map(|name| OwnerView::service_account(environment.owner, &name)),
            id: environment.id.to_string(),
            name: environment.name.to_string(),
            role: role.as_str(),
            is_default: environment.is_default,
            created_at: environment.created_at.to_string(),
        }
    }
}

/// A member of an environment. The address of a member is not shown.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct MemberView {
    user_id: String,
    name: String,
    role: &'static str,
    created_at: String,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user.to_string(),
            name: member.name.to_string(),
            role: member.role.as_str(),
            created_at: member.created_at.to_string(),
        }
    }
}

pub(super) async fn list(
    state: State,
    Guard(EnvironmentReader { owner: user, .. }): Guard<EnvironmentReader>,
    query: Result<Query<PageQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let request = page::read(query)?.request()?;
    let find = async { Ok(environments::list(&state.ops, user, request).await?) };
    answer.page(user.uuid(), find, |page| PageView::new(page, EnvironmentView::from)).await
}

pub(super) async fn create(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let user = signed_in.user.id;
    let create = async |source: Source, body: Body| {
        let mut form = body.form(&["name", "owner"]).await?;
        let name = form.required("name", Name::parse);
        let owner = read_owner(&mut form);
        let name = form.finish(name)?;
        let owner = owners::named(&state.ops, user, owner).await?;
        Ok(created(environments::create(&state.ops, owner, name, source.by(&signed_in)).await?))
    };
    let again = async |id| match environments::get(&state.ops, user, EnvironmentId::new(id)).await {
        Err(ops::Error::NotFound) => Err(ApiError::AlreadyCreated { id, way_out: GONE }),
        found => Ok(created(found?)),
    };
    keyed.once_or_again(&state, KeyOwner::User(user), again, create).await
}

fn created(environment: EnvironmentAccess) -> HttpResponse {
    let data = EnvironmentView::from(environment);
    let location = format!("/api/v1/environments/{}", data.id);
    HttpResponse::Created().insert_header((header::LOCATION, location)).json(DataView { data })
}

const GONE: &str = "This request was made before, and created the environment with this id, which you no longer see. To create \
                    another one, send the request with another Idempotency-Key.";

async fn read_name(body: Body) -> Result<Name, ApiError> {
    let mut form = body.form(&["name"]).await?;
    let name = form.required("name", Name::parse);
    form.finish(name)
}

pub(super) async fn show(
    state: State,
    Guard(EnvironmentReader { owner: user, is_token }): Guard<EnvironmentReader>,
    id: Path<String>,
) -> Result<Json<DataView<EnvironmentView>>, ApiError> {
    let id = environment_id(&id)?;
    let environment = match is_token {
        true => environments::get_without_role(&state.ops, user, id).await?,
        false => environments::get(&state.ops, user, id).await?,
    };
    Ok(Json(DataView { data: environment.into() }))
}

pub(super) async fn rename(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<EnvironmentView>>, ApiError> {
    let id = environment_id(&id)?;
    let name = read_name(body).await?;
    let environment = environments::rename(&state.ops, signed_in.user.id, id, name, source.by(&signed_in)).await?;
    Ok(Json(DataView { data: environment.into() }))
}

pub(super) async fn delete(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
) -> Result<Json<MessageView>, ApiError> {
    environments::delete(&state.ops, signed_in.user.id, environment_id(&id)?, source.by(&signed_in)).await?;
    Ok(Json(MessageView { message: "Environment deleted" }))
}

pub(super) async fn set_current(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    body: Body,
) -> Result<Json<UserView>, ApiError> {
    let mut form = body.form(&["environment_id"]).await?;
    let id = form.required("environment_id", |text| EnvironmentId::parse(text).ok_or("must be a UUID."));
    let id = form.finish(id)?;
    Ok(Json(environments::set_current(&state.ops, signed_in.user.id, id, source.by(&signed_in)).await?.into()))
}

pub(super) async fn members(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    id: Path<String>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = (signed_in.user.id, environment_id(&id)?);
    let find = async { Ok(environments::members(&state.ops, user, id).await?) };
    let view = |members: Vec<Member>| DataView { data: members.into_iter().map(MemberView::from).collect::<Vec<_>>() };
    answer.page(user.uuid(), find, view).await
}

pub(super) async fn set_member(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    path: Path<(String, String)>,
    body: Body,
) -> Result<Json<DataView<MemberView>>, ApiError> {
    let (id, member) = (environment_id(&path.0)?, user_id(&path.1)?);
    let mut form = body.form(&["role"]).await?;
    let role = form.required("role", MemberRole::parse);
    let role = form.finish(role)?;
    let member =
        environments::set_member(&state.ops, signed_in.user.id, id, member, role, source.by(&signed_in)).await?;
    Ok(Json(DataView { data: member.into() }))
}

pub(super) async fn remove_member(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    path: Path<(String, String)>,
) -> Result<Json<MessageView>, ApiError> {
    let (id, member) = (environment_id(&path.0)?, user_id(&path.1)?);
    environments::remove_member(&state.ops, signed_in.user.id, id, member, source.by(&signed_in)).await?;
    Ok(Json(MessageView { message: "Member removed" }))
}

/// A malformed id is answered like an unknown one.
pub(super) fn environment_id(text: &str) -> Result<EnvironmentId, ops::Error> {
    EnvironmentId::parse(text).ok_or(ops::Error::NotFound)
}

fn user_id(text: &str) -> Result<UserId, ops::Error> {
    UserId::parse(text).ok_or(ops::Error::NotFound)
}
