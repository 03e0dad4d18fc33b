//! What a user or a service account owns, handing it over, and disabling and deleting users with what they own.

use actix_web::web::{Json, Path};

use super::users::user_id;
use crate::{
    domain::id::{EnvironmentId, TokenId, UserId},
    http::{
        error::ApiError,
        input::{
            body::Body,
            form::Form,
            guard::{Admin, AdminReader, AdminSession, Guard},
            query_pairs::QueryPairs,
            request_source::Source,
        },
        state::current::State,
    },
    ops::{
        FieldError, deletion, disabling,
        owners::{self, HandOverRequest},
    },
    store::{LastAdmin, Selection},
    views::{DataView, DeletionView, DisabledAccountView, HandedOverView, OwnedView},
};

pub(crate) async fn show(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
) -> Result<Json<DataView<OwnedView>>, ApiError> {
    let owned = owners::owned_by(&state.ops, admin.administrator, user_id(&id)?).await?;
    Ok(Json(DataView { data: owned.into() }))
}

pub(crate) async fn hand_over(
    state: State,
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
    let to = form.required("to", new_owner);
    let tokens = selection(&mut form, "tokens", TokenId::parse);
    let environments = selection(&mut form, "environments", EnvironmentId::parse);
    let to = form.finish(to)?;
    let request = HandOverRequest { from, to, tokens, environments };
    let handed_over = owners::hand_over(&state.ops, admin.administrator, request, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: handed_over.into() }))
}

/// How many ids one request may name.
pub(crate) const MAX_IDS: usize = 1000;

/// `true` or a list of ids. A field that is missing selects nothing.
fn selection<Id>(form: &mut Form, field: &str, parse: fn(&str) -> Option<Id>) -> Selection<Id> {
    let parse = |text: &str| parse(text).ok_or("must be a UUID.");
    match form.optional_true_or_list(field, MAX_IDS, parse) {
        Some(None) => Selection::All,
        Some(Some(ids)) => Selection::These(ids),
        None => Selection::none(),
    }
}

fn new_owner(text: &str) -> Result<UserId, &'static str> {
    UserId::parse(text).ok_or("must be the id of a user or of a service account.")
}

const TRANSFER_TO: &str = "transfer_to";

pub(crate) async fn disable(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<DisabledAccountView>>, ApiError> {
    let id = user_id(&id)?;
    let mut form = body.form_or_nothing(&["dry_run", TRANSFER_TO]).await?;
    // A variable that is not set must not disable more than was meant.
    form.refuse_null("dry_run", "Leave it out to disable the user.");
    form.refuse_null(TRANSFER_TO, "Leave it out to hand over nothing.");
    let dry_run = form.optional_bool("dry_run").unwrap_or(false);
    let transfer_to = form.optional(TRANSFER_TO, new_owner);
    let transfer_to = form.finish(Some(transfer_to))?;
    if transfer_to.is_some() {
        admin.expect_session()?;
    }
    let (administrator, source) = (admin.administrator, source.by_admin(&admin));
    let disabled = match dry_run {
        true => disabling::preview(&state.ops, administrator, id, transfer_to).await?,
        false => disabling::disable(&state.ops, administrator, id, transfer_to, LastAdmin::Stays, source).await?,
    };
    Ok(Json(DataView { data: DisabledAccountView::new(disabled, dry_run) }))
}

/// The parameters of a deletion. They are no body: a proxy that drops the body of a DELETE would have everything deleted.
pub(crate) const DELETION_PARAMETERS: &[&str] = &[TRANSFER_TO];

pub(crate) async fn delete(
    state: State,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    source: Source,
    id: Path<String>,
    mut query: QueryPairs,
) -> Result<Json<DataView<DeletionView>>, ApiError> {
    let (id, source) = (user_id(&id)?, source.by_admin(&admin));
    let transfer_to = query.take(TRANSFER_TO)?.map(|text| new_owner(&text)).transpose();
    let transfer_to = transfer_to.map_err(|predicate| FieldError::new(TRANSFER_TO, predicate))?;
    let ended = deletion::delete(&state.ops, admin.administrator, id, transfer_to, LastAdmin::Stays, source).await?;
    Ok(Json(DataView { data: DeletionView::new(id, ended) }))
}
