//! The sessions of the user.

use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use serde::Serialize;

use super::{
    error::ApiError,
    input::{
        guard::{Guard, SessionUser},
        page::{self, PageQuery},
        request_source::Source,
    },
    state::current::State,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{id::SessionId, session::Session},
    ops::{self, sessions},
    views::{MessageView, PageView},
};

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "OwnSession"))]
pub(super) struct SessionView {
    id: String,
    device_name: Option<String>,
    current: bool,
    last_used_at: String,
    created_at: String,
    expires_at: String,
}

impl SessionView {
    fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id.to_string(),
            device_name: session.device_name.map(|name| name.to_string()),
            current: session.id == current,
            last_used_at: session.last_used_at.to_string(),
            created_at: session.created_at.to_string(),
            expires_at: session.expires_at.to_string(),
        }
    }
}

pub(super) async fn list(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    query: Result<Query<PageQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (user, current) = (signed_in.user.id, signed_in.session.id);
    let request = page::read(query)?.request()?;
    let find = async { Ok(sessions::list(&state.ops, user, request).await?) };
    let view = move |page| PageView::without_null(page, |session| SessionView::new(session, current));
    answer.page(user.uuid(), find, view).await
}

pub(super) async fn end(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
) -> Result<Json<MessageView>, ApiError> {
    let id = SessionId::parse(&id).ok_or(ops::Error::NotFound)?;
    sessions::end(&state.ops, signed_in.user.id, id, source.by(&signed_in)).await?;
    Ok(Json(MessageView { message: "Session revoked" }))
}

pub(super) async fn end_others(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
) -> Result<Json<MessageView>, ApiError> {
    sessions::end_others(&state.ops, &signed_in.session, source.by(&signed_in)).await?;
    Ok(Json(MessageView { message: "Other sessions revoked" }))
}
