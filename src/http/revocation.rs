//! Disabling and enabling tokens, revoking many at once, and leak reports.

use actix_web::web::{Json, Path};
use serde::Serialize;

use super::{
    error::ApiError,
    input::{
        body::Body,
        form::Form,
        guard::{Guard, SessionUser},
        request_source::{ClientAgent, Source},
    },
    state::current::State,
    tokens::{ids, read_owner, token_id, token_view},
};
use crate::{
    domain::{ability::Ability, time::Timestamp},
    ops::{
        owners,
        revocation::{self, BulkRevocation},
        tokens::TokenDetails,
    },
    store::Successors,
    views::{DataView, MessageView, TokenView},
};

/// The most secrets of one leak report.
pub(super) const MAX_REPORTED: usize = 1000;
/// A body of this many bytes has room for [`MAX_REPORTED`] secrets with prefixes of any length.
pub(super) const REPORT_SIZE: usize = 128 * 1024;

/// The disabled token and its successors.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DisabledToken"))]
pub(super) struct DisabledView {
    data: TokenView,
    /// The successors that the token made by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_disabled: Vec<String>,
    /// The successor that the owner made, if it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

impl DisabledView {
    pub(super) fn new((details, successors): (TokenDetails, Successors)) -> Self {
        Self {
            data: token_view(details),
            also_disabled: ids(&successors.changed),
            successor: successors.unchanged.map(|id| id.to_string()),
        }
    }
}

pub(super) async fn disable(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DisabledView>, ApiError> {
    let id = token_id(&id)?;
    let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
    let (details, successors) = revocation::disable(&state.ops, owner.into(), id, source.by(&signed_in)).await?;
    Ok(Json(DisabledView::new((details, successors))))
}

pub(super) async fn enable(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DataView<TokenView>>, ApiError> {
    let id = token_id(&id)?;
    let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
    let details = revocation::enable(&state.ops, owner.into(), id, source.by(&signed_in)).await?;
    Ok(Json(DataView { data: token_view(details) }))
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RevokedCount"))]
pub(super) struct RevokedView {
    revoked: u64,
}

pub(super) async fn revoke_many(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    body: Body,
) -> Result<Json<DataView<RevokedView>>, ApiError> {
    let mut form = body.form(&["all", "unused_since", "ability", "owner"]).await?;
    let owner = read_owner(&mut form);
    let bulk = read_bulk(&mut form);
    let bulk = form.finish(bulk)?;
    let owner = owners::named(&state.ops, signed_in.user.id, owner).await?;
    let revoked = revocation::revoke_many(&state.ops, owner.into(), owner, bulk, source.by(&signed_in)).await?;
    Ok(Json(DataView { data: RevokedView { revoked } }))
}

const BULK_FIELDS: &[&str] = &["all", "unused_since", "ability"];

/// Requires exactly one field, so that an empty body does not revoke all tokens.
fn read_bulk(form: &mut Form) -> Option<BulkRevocation> {
    if form.count_given() != 1 {
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
    state: State,
    source: Source,
    ClientAgent(agent): ClientAgent,
    body: Body,
) -> Result<Json<MessageView>, ApiError> {
    let mut form = body.with_min_limit(REPORT_SIZE).form(&["tokens"]).await?;
    let credentials = form.required_list("tokens", MAX_REPORTED, |text| Ok::<_, &str>(text.to_owned()));
    let credentials = form.finish(credentials)?;
    let client = source.address;
    revocation::revoke_leaked(&state.ops, &credentials, client, agent.as_deref(), source.anonymous()).await?;
    Ok(Json(MessageView { message: "Thank you. The valid secrets were revoked, and their owners can see why" }))
}
