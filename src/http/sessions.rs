//! A person's sessions.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;

use super::{
    AppState,
    error::ApiError,
    guard::SessionUser,
    origin::Source,
    view::{DataView, MessageView},
};
use crate::{
    domain::{id::SessionId, session::Session},
    ops::{self, sessions},
};

#[derive(Serialize)]
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
    state: Data<AppState>,
    asking: SessionUser,
) -> Result<Json<DataView<Vec<SessionView>>>, ApiError> {
    let sessions = sessions::list(&state.ops, asking.user.id).await?;
    let data = sessions.into_iter().map(|session| SessionView::new(session, asking.session.id)).collect();
    Ok(Json(DataView { data }))
}

pub(super) async fn end(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    id: Path<String>,
) -> Result<Json<MessageView>, ApiError> {
    let id = SessionId::parse(&id).ok_or(ops::Error::NotFound)?;
    sessions::end(&state.ops, asking.user.id, id, source.by(&asking)).await?;
    Ok(Json(MessageView { message: "Session revoked" }))
}

pub(super) async fn end_others(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
) -> Result<Json<MessageView>, ApiError> {
    sessions::end_others(&state.ops, &asking.session, source.by(&asking)).await?;
    Ok(Json(MessageView { message: "Other sessions revoked" }))
}
