//! Ending and stopping tokens: disabling one for a while, ending many at once, and reporting what was found where it should
//! not be.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;

use super::{
    AppState,
    error::ApiError,
    form::{Body, Form},
    guard::SessionUser,
    origin::Source,
    tokens::{TokenView, ids, token_id},
    view::{DataView, MessageView},
};
use crate::{
    domain::{ability::Ability, time::Timestamp},
    ops::revocation::{self, BulkRevocation},
};

/// The most secrets of one report, and a body in which so many of them fit, whatever their prefixes.
const REPORTED: usize = 1000;
const REPORT: usize = 128 * 1024;

/// The token, and what was done to its successors.
#[derive(Serialize)]
pub(super) struct DisabledView {
    data: TokenView,
    /// The successors that the token made by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_disabled: Vec<String>,
    /// The successor that the owner made, if it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

pub(super) async fn disable(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    id: Path<String>,
) -> Result<Json<DisabledView>, ApiError> {
    let id = token_id(&id)?;
    let (details, successors) = revocation::disable(&state.ops, asking.user.id, id, source.by(&asking)).await?;
    Ok(Json(DisabledView {
        data: TokenView::new(details),
        also_disabled: ids(&successors.changed),
        successor: successors.unchanged.map(|id| id.to_string()),
    }))
}

pub(super) async fn enable(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    id: Path<String>,
) -> Result<Json<DataView<TokenView>>, ApiError> {
    let details = revocation::enable(&state.ops, asking.user.id, token_id(&id)?, source.by(&asking)).await?;
    Ok(Json(DataView { data: TokenView::new(details) }))
}

#[derive(Serialize)]
pub(super) struct RevokedView {
    revoked: u64,
}

pub(super) async fn revoke_many(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    body: Body,
) -> Result<Json<DataView<RevokedView>>, ApiError> {
    let mut form = body.form(BULK_FIELDS).await?;
    let bulk = read_bulk(&mut form);
    let bulk = form.finish(bulk)?;
    let revoked = revocation::revoke_many(&state.ops, asking.user.id, bulk, source.by(&asking)).await?;
    Ok(Json(DataView { data: RevokedView { revoked } }))
}

const BULK_FIELDS: &[&str] = &["all", "unused_since", "ability"];

/// Exactly one: an empty form must not be all of them.
fn read_bulk(form: &mut Form) -> Option<BulkRevocation> {
    if form.given() != 1 {
        form.refuse("all", "must be given, or else unused_since or ability: exactly one of the three.");
    } else {
        for field in BULK_FIELDS {
            form.refuse_null(field, "Leave it out.");
        }
    }
    let all = form.optional_true("all").map(|()| BulkRevocation::All);
    let unused_since = form.optional("unused_since", Timestamp::parse).map(BulkRevocation::UnusedSince);
    let ability = form.optional("ability", Ability::parse).map(BulkRevocation::Covering);
    all.or(unused_since).or(ability)
}

pub(super) async fn revoke_leaked(
    state: Data<AppState>,
    source: Source,
    body: Body,
) -> Result<Json<MessageView>, ApiError> {
    let mut form = body.of_up_to(REPORT).form(&["tokens"]).await?;
    let credentials = form.required_list("tokens", REPORTED, |text| Ok::<_, &str>(text.to_owned()));
    let credentials = form.finish(credentials)?;
    let client = source.address;
    revocation::revoke_leaked(&state.ops, &credentials, client, source.anonymous()).await?;
    Ok(Json(MessageView { message: "Thank you. What was still good is revoked, and its owners can see why" }))
}
