//! The audit trail of the user.

use actix_web::{HttpResponse, web::Query};

use super::{
    error::ApiError,
    input::{
        guard::{Guard, SessionUser},
        page::{self, PageQuery},
    },
    state::current::State,
    wire::large_answer::LargeAnswer,
};
use crate::{
    ops::audit,
    views::{EventView, PageView},
};

pub(super) async fn list(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    query: Result<Query<PageQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (user, request) = (signed_in.user.id, page::read(query)?.request()?);
    let find = async { Ok(audit::list(&state.ops, user, request).await?) };
    answer.page(user.uuid(), find, |page| PageView::new(page, EventView::from)).await
}
