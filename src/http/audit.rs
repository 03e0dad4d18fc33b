//! A person's audit trail.

use actix_web::web::{Data, Json, Query};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AppState, error::ApiError, guard::SessionUser, page};
use crate::{
    domain::audit::Event,
    ops::audit::{self, ListRequest},
};

#[derive(Serialize)]
pub(super) struct EventView {
    id: String,
    action: &'static str,
    outcome: &'static str,
    actor: PartyView,
    target: PartyView,
    address: Option<String>,
    request_id: Option<String>,
    detail: Option<String>,
    at: String,
}

/// Who did it, or what it was done to.
#[derive(Serialize)]
struct PartyView {
    r#type: &'static str,
    id: Option<String>,
}

impl PartyView {
    fn new(r#type: &'static str, id: Option<Uuid>) -> Self {
        Self { r#type, id: id.map(|id| id.to_string()) }
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let id = event.id().to_string();
        let Event { by, entry, .. } = event;
        Self {
            id,
            action: entry.action.as_str(),
            outcome: entry.outcome.as_str(),
            actor: PartyView::new(by.origin.actor.kind(), by.origin.actor.id()),
            target: PartyView::new(entry.target.kind(), entry.target.id()),
            address: by.origin.address.map(|address| address.to_string()),
            request_id: by.origin.request_id,
            detail: entry.detail.map(|detail| detail.into_owned()),
            at: by.at.to_string(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct PageView {
    data: Vec<EventView>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list(
    state: Data<AppState>,
    asking: SessionUser,
    query: Result<Query<ListQuery>, actix_web::Error>,
) -> Result<Json<PageView>, ApiError> {
    let ListQuery { limit, cursor } = page::read(query)?;
    let request = ListRequest { cursor, limit: page::limit(limit)? };
    let page = audit::list(&state.ops, asking.user.id, request).await?;
    let data = page.events.into_iter().map(EventView::from).collect();
    Ok(Json(PageView { data, next_cursor: page.next_cursor }))
}
