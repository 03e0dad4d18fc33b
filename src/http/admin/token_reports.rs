//! Reports about the tokens of everybody.

use actix_web::{HttpResponse, web::Path};

use crate::{
    http::{
        error::ApiError,
        input::guard::{AdminReader, Guard},
        state::current::State,
        token_reports,
        tokens::token_id,
        wire::large_answer::LargeAnswer,
    },
    ops::tokens,
};

pub(crate) async fn show(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let token = tokens::show(&state.ops, admin.administrator.into(), token_id(&id)?).await?;
    token_reports::respond(&state, admin.administrator.into(), token, answer).await
}
