//! What a user or a service account owns, and handing it over.

use actix_web::web::{Data, Json, Path};

use super::users::user_id;
use crate::{
    domain::id::{EnvironmentId, TokenId, UserId},
    http::{
        error::ApiError,
        input::{
            body::Body,
            form::Form,
            guard::{AdminReader, AdminSession, Guard},
            request_source::Source,
        },
        state::AppState,
    },
    ops::owners::{self, HandOverRequest},
    store::Selection,
    views::{DataView, HandedOverView, OwnedView},
};

pub(crate) async fn show(
    state: Data<AppState>,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
) -> Result<Json<DataView<OwnedView>>, ApiError> {
    let owned = owners::owned_by(&state.ops, admin.administrator, user_id(&id)?).await?;
    Ok(Json(DataView { data: owned.into() }))
}

pub(crate) async fn hand_over(
    state: Data<AppState>,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<HandedOverView>>, ApiError> {
    let from = user_id(&id)?;
    let mut form = body.form(&["to", "tokens", "environments"]).await?;
    if !form.has("tokens") && !form.has("environments") {
        form.refuse("tokens", "must be given, or environments, or both: true for all, or a list of ids.");
    }
    let to = form.required("to", |text| UserId::parse(text).ok_or("must be the id of a user or of a service account."));
    let tokens = selection(&mut form, "tokens", TokenId::parse);
    let environments = selection(&mut form, "environments", EnvironmentId::parse);
    let to = form.finish(to)?;
    let request = HandOverRequest { from, to, tokens, environments };
    let handed_over = owners::hand_over(&state.ops, admin.administrator, request, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: handed_over.into() }))
}

/// How many ids one request may name.
const MAX_IDS: usize = 1000;

/// `true` or a list of ids. A field that is missing selects nothing.
fn selection<Id>(form: &mut Form, field: &str, parse: fn(&str) -> Option<Id>) -> Selection<Id> {
    let parse = |text: &str| parse(text).ok_or("must be a UUID.");
    match form.optional_true_or_list(field, MAX_IDS, parse) {
        Some(None) => Selection::All,
        Some(Some(ids)) => Selection::These(ids),
        None => Selection::none(),
    }
}
