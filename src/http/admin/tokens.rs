//! The tokens of everybody: a list with filters, and what administrators do with one token or all that a filter finds.

use actix_web::{
    HttpResponse,
    web::{Json, Path},
};
use serde::Serialize;

use crate::{
    domain::{id::TokenId, owner::Owner, page::Page, token::Token},
    http::{
        annotations,
        error::ApiError,
        input::{
            body::Body,
            form::Form,
            guard::{Admin, AdminReader, Guard},
            query_pairs::QueryPairs,
            request_source::Source,
        },
        revocation::DisabledView,
        state::current::State,
        tokens::{DetailView, RevokedTokenView, detail_view, token_id, token_view},
        wire::large_answer::LargeAnswer,
    },
    ops::{
        FieldError, revocation,
        token_search::{self, FilterTexts, OwnedToken, RevokedByFilter, SearchRequest},
    },
    store::SortTime,
    views::{DataView, OwnerView, PageView, TokenView},
};

/// The parameters of the list.
pub(crate) const PARAMETERS: &[&str] = &[
    "owner",
    "environment",
    "service_account",
    "kind",
    "state",
    "name",
    "ability",
    "created_after",
    "created_before",
    "expires_after",
    "expires_before",
    "last_used_after",
    "last_used_before",
    "unused_for",
    "canary",
    annotations::PARAMETER,
    "sort",
    "order",
    "limit",
    "cursor",
];

/// The fields of a revocation by a filter.
const REVOCATION_FIELDS: &[&str] = &[
    "owner",
    "environment",
    "service_account",
    "kind",
    "state",
    "name",
    "ability",
    "created_after",
    "created_before",
    "expires_after",
    "expires_before",
    "last_used_after",
    "last_used_before",
    "unused_for",
    "canary",
    "metadata",
    "all",
    "dry_run",
];

/// A token with what only administrators see of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Owned{T}"))]
pub(crate) struct OwnedView<T> {
    #[serde(flatten)]
    token: T,
    r#type: &'static str,
    owner: OwnerView,
    environment_id: Option<String>,
}

impl<T> OwnedView<T> {
    fn new(view: T, kind: &'static str, environment_id: Option<String>, owner: &Owner) -> Self {
        Self { token: view, r#type: kind, owner: owner.into(), environment_id }
    }
}

fn environment_id(token: &Token) -> Option<String> {
    token.environment.map(|id| id.to_string())
}

fn found_view(found: OwnedToken) -> OwnedView<TokenView> {
    let OwnedToken { details, owner } = found;
    let (kind, environment) = (details.token.kind().as_str(), environment_id(&details.token));
    OwnedView::new(token_view(details), kind, environment, &owner)
}

pub(crate) async fn list(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    query: QueryPairs,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let request = read_search(query)?;
    let find = async { Ok(token_search::search(&state.ops, admin.administrator, request).await?) };
    let view = |page: Page<OwnedToken>| PageView::new(page, found_view);
    answer.page(admin.actor.id().unwrap_or_default(), find, view).await
}

fn read_search(mut query: QueryPairs) -> Result<SearchRequest, ApiError> {
    let mut filter = FilterTexts::default();
    for name in FilterTexts::NAMES {
        if let Some(field) = filter.field(name) {
            *field = query.take(name)?;
        }
    }
    filter.metadata = query.take_indexed("metadata");
    let sort = match query.take("sort")?.as_deref() {
        None | Some("created") => SortTime::Created,
        Some("expires") => SortTime::Expires,
        Some("last_used") => SortTime::LastUsed,
        Some(_) => return Err(FieldError::new("sort", "must be created, expires or last_used.").into()),
    };
    let descending = match query.take("order")?.as_deref() {
        None => sort != SortTime::Expires,
        Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(FieldError::new("order", "must be asc or desc.").into()),
    };
    let (limit, cursor) = (query.take_limit()?, query.take("cursor")?);
    Ok(SearchRequest { filter, sort, descending, cursor, limit })
}

pub(crate) async fn show(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
) -> Result<Json<DataView<OwnedView<DetailView>>>, ApiError> {
    let (token, owner) = token_search::show(&state.ops, admin.administrator, token_id(&id)?).await?;
    let (kind, environment) = (token.kind().as_str(), environment_id(&token));
    let view = detail_view(&state, token).await?;
    Ok(Json(DataView { data: OwnedView::new(view, kind, environment, &owner) }))
}

pub(crate) async fn disable(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DisabledView>, ApiError> {
    let authority = admin.administrator.into();
    let disabled = revocation::disable(&state.ops, authority, token_id(&id)?, source.by_admin(&admin)).await?;
    Ok(Json(DisabledView::new(disabled)))
}

pub(crate) async fn enable(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DataView<TokenView>>, ApiError> {
    let authority = admin.administrator.into();
    let details = revocation::enable(&state.ops, authority, token_id(&id)?, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: token_view(details) }))
}

pub(crate) async fn revoke(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<RevokedTokenView>, ApiError> {
    let authority = admin.administrator.into();
    let successors = revocation::revoke(&state.ops, authority, token_id(&id)?, source.by_admin(&admin)).await?;
    Ok(Json(RevokedTokenView::new(&successors)))
}

/// What was revoked, or would be.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RevocationByFilter"))]
pub(crate) struct RevocationView {
    dry_run: bool,
    matching: u64,
    successors: u64,
    revoked: u64,
    ids: Vec<String>,
}

pub(crate) async fn revoke_many(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    body: Body,
) -> Result<Json<DataView<RevocationView>>, ApiError> {
    let mut form = body.form(REVOCATION_FIELDS).await?;
    let filter = read_filter(&mut form);
    let all = form.optional_true("all").is_some();
    let dry_run = form.optional_bool("dry_run").unwrap_or(false);
    let filter = form.finish(Some(filter))?;
    let source = source.by_admin(&admin);
    let RevokedByFilter { matching, successors, ids, revoked } =
        token_search::revoke(&state.ops, admin.administrator, &filter, all, dry_run, source).await?;
    let ids = ids.iter().map(TokenId::to_string).collect();
    Ok(Json(DataView { data: RevocationView { dry_run, matching, successors, revoked, ids } }))
}

/// Reads the filters of a body. Null is refused: a variable that is not set must not revoke more.
fn read_filter(form: &mut Form) -> FilterTexts {
    let mut filter = FilterTexts::default();
    for name in FilterTexts::NAMES {
        form.refuse_null(name, "Leave it out to filter by something else.");
        let Some(field) = filter.field(name) else { continue };
        *field = match *name {
            "service_account" | "canary" => form.optional_bool(name).map(|value| value.to_string()),
            _ => form.optional(name, |text| Ok::<_, &str>(text.to_owned())),
        };
    }
    form.refuse_null("metadata", "Leave it out to filter by something else.");
    let metadata = annotations::metadata(form).unwrap_or_default();
    filter.metadata = metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_a_parameter_and_a_field() {
        for name in FilterTexts::NAMES {
            assert!(PARAMETERS.contains(name) && REVOCATION_FIELDS.contains(name), "{name}");
            assert!(FilterTexts::default().field(name).is_some(), "{name}");
        }
    }
}
