//! The audit trail of the user.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use serde::Serialize;

use super::{
    error::ApiError,
    input::{
        guard::{Guard, SessionUser},
        page::{self, PageQuery},
    },
    state::AppState,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::audit::{Actor, Event, Target},
    ops::audit,
    views::PageView,
};

#[derive(Serialize)]
struct EventView {
    id: String,
    action: &'static str,
    outcome: &'static str,
    actor: ActorView,
    target: TargetView,
    address: Option<String>,
    request_id: Option<String>,
    detail: Option<String>,
    at: String,
}

#[derive(Serialize)]
struct ActorView {
    r#type: &'static str,
    id: Option<String>,
    user_id: Option<String>,
}

impl From<Actor> for ActorView {
    fn from(actor: Actor) -> Self {
        Self {
            r#type: actor.kind(),
            id: actor.id().map(|id| id.to_string()),
            user_id: actor.user().map(|user| user.to_string()),
        }
    }
}

#[derive(Serialize)]
struct TargetView {
    r#type: &'static str,
    id: Option<String>,
}

impl From<Target> for TargetView {
    fn from(target: Target) -> Self {
        Self { r#type: target.kind(), id: target.id().map(|id| id.to_string()) }
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
            actor: by.origin.actor.into(),
            target: entry.target.into(),
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
