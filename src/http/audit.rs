//! The audit trail of the user.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    error::ApiError,
    input::{
        guard::{Guard, SessionUser},
        page::{self, PageQuery},
    },
    state::AppState,
    wire::large_answer::LargeAnswer,
};
use crate::{domain::audit::Event, ops::audit, views::PageView};

#[derive(Serialize)]
struct EventView {
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

/// The actor or the target of an event.
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

pub(super) async fn list(
    state: Data<AppState>,
    Guard(signed_in): Guard<SessionUser>,
    query: Result<Query<PageQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (user, request) = (signed_in.user.id, page::read(query)?.request()?);
    let find = async { Ok(audit::list(&state.ops, user, request).await?) };
    answer.page(user.uuid(), find, |page| PageView::new(page, EventView::from)).await
}
