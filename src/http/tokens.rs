//! The personal access tokens of the user.

use std::{slice::from_ref, time::Duration};

use actix_web::{
    HttpResponse,
    http::header,
    web::{Json, Path},
};
use serde::Serialize;

use super::{
    annotations,
    error::ApiError,
    input::{
        body::Body,
        form::Form,
        guard::{Guard, SessionUser},
        keyed::Keyed,
        page,
        query_pairs::QueryPairs,
        request_source::Source,
    },
    state::{AppState, current::State},
    usage_limits,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{
        ability::{Abilities, Ability},
        annotations::Annotations,
        id::{TokenId, UserId},
        keyed_request::KeyOwner,
        page::Page,
        text::Name,
        time::Timestamp,
        token::{IssuedToken, Token, TokenState},
        usage_limits::UsageLimits,
    },
    ops::{
        self, FieldError,
        environment_tokens::EnvironmentTokenRequest,
        owners, revocation,
        rotation::{SuccessorsOf, successors_of},
        token_usage::unused_abilities,
        tokens::{self, Expiry, ListRequest, TokenDetails, TokenRequest},
        usage_limits::{QuotasLeft, quotas_left},
        use_locations::last_uses,
    },
    store::{Successors, TokenChange},
    views::{DataView, IssuedTokenView, PageView, TokenView, UseView, ability_names},
};

/// The longest lifetime that can be asked for: a hundred years.
pub(super) const MAX_DAYS: u64 = 36_500;

/// A page with the remaining quota and the successor of each token.
pub(super) struct FullPage {
    page: Page<Token>,
    left: QuotasLeft,
    successors: SuccessorsOf,
}

impl FullPage {
    pub(super) async fn of(state: &AppState, page: Page<Token>) -> Result<Self, ApiError> {
        let left = quotas_left(&state.ops, &page.items).await?;
        let successors = successors_of(&state.ops, &page.items).await?;
        Ok(Self { page, left, successors })
    }

    pub(super) fn into_view(self) -> PageView<TokenView> {
        let Self { page, left, successors } = self;
        PageView::new(page, |token| token_view(details(token, &left, &successors)))
    }
}

fn details(token: Token, left: &QuotasLeft, successors: &SuccessorsOf) -> TokenDetails {
    TokenDetails { quota_left: left.of(&token), successor: successors.of(&token), token }
}

/// The view of one token.
pub(super) fn token_view(TokenDetails { token, quota_left, successor }: TokenDetails) -> TokenView {
    TokenView::new(token, quota_left, successor)
}

/// The view of one token with its use locations.
pub(super) async fn detail_view(state: &AppState, token: Token) -> Result<DetailView, ApiError> {
    let last_uses = last_uses(&state.ops, token.id).await?.into_iter().map(UseView::from).collect();
    let left = quotas_left(&state.ops, from_ref(&token)).await?;
    let successors = successors_of(&state.ops, from_ref(&token)).await?;
    let abilities_unused = unused_abilities(&state.ops, &token).await?.map(|unused| ability_names(&unused));
    Ok(DetailView { token: token_view(details(token, &left, &successors)), last_uses, abilities_unused })
}

/// The parameters of a list of tokens.
pub(super) const LIST_PARAMETERS: &[&str] = &["limit", "cursor", "search", "state", annotations::PARAMETER];

/// The parameters of the list of personal tokens.
pub(super) const PERSONAL_LIST_PARAMETERS: &[&str] =
    &["limit", "cursor", "search", "state", "owner", annotations::PARAMETER];

/// The fields of a new token of an environment.
pub(super) const CREATION_FIELDS: &[&str] = &[
    "name",
    "description",
    "metadata",
    "abilities",
    "expires_at",
    "expires_in_days",
    "ip_allowlist",
    "requests_per_minute",
    "quota",
    "canary",
];

/// The fields of a new personal token.
pub(super) const WITH_OWNER: &[&str] = &[
    "name",
    "description",
    "metadata",
    "abilities",
    "expires_at",
    "expires_in_days",
    "ip_allowlist",
    "requests_per_minute",
    "quota",
    "canary",
    "owner",
];

pub(super) async fn create(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let create = async |source: Source, body| {
        let form = NewTokenForm::read(body, WITH_OWNER).await?;
        let owner = owners::named(&state.ops, signed_in.user.id, form.owner).await?;
        if owner != signed_in.user.id {
            owners::expect_useful(&state.ops, owner, form.abilities.as_ref()).await?;
        }
        let authority = signed_in.authority_to_grant(owner);
        let issued = tokens::create(&state.ops, authority, form.personal(owner), source.by(&signed_in)).await?;
        Ok(created("/api/v1/user/api-tokens", issued))
    };
    keyed.once(&state, KeyOwner::User(signed_in.user.id), WAY_OUT, create).await
}

/// What to do if the answer to the creation of a token was lost.
const WAY_OUT: &str = "This request was made before, and created the token with this id. Its secret was in the first answer \
                       only. If that was lost, rotate the token: POST /api/v1/user/api-tokens/{id}/rotate.";

/// The answer to the creation of a token in the list at the path `list`.
pub(super) fn created(list: &str, issued: IssuedToken) -> HttpResponse {
    let location = format!("{list}/{}", issued.token.id);
    let view = IssuedTokenView::numbered(issued);
    HttpResponse::Created().insert_header((header::LOCATION, location)).json(DataView { data: view })
}

/// The fields that create a token of any kind.
pub(super) struct NewTokenForm {
    pub(super) name: Name,
    /// `None` if the field is missing.
    pub(super) abilities: Option<Abilities>,
    pub(super) expiry: Expiry,
    pub(super) limits: UsageLimits,
    pub(super) annotations: Annotations,
    pub(super) is_canary: bool,
    /// The owner of a personal token. `None` if the field is missing.
    pub(super) owner: Option<UserId>,
}

impl NewTokenForm {
    /// Reads a body with these fields: [`CREATION_FIELDS`] or [`WITH_OWNER`].
    pub(super) async fn read(body: Body, fields: &'static [&'static str]) -> Result<Self, ApiError> {
        Self::of(body.form(fields).await?, fields)
    }

    /// Reads a form with these fields.
    pub(super) fn of(mut form: Form, fields: &'static [&'static str]) -> Result<Self, ApiError> {
        let name = form.required("name", Name::parse);
        let abilities = abilities(&mut form);
        let expiry = expiry(&mut form);
        let limits = usage_limits::read(&mut form);
        let annotations = annotations::read(&mut form);
        let is_canary = form.optional_bool("canary").unwrap_or(false);
        let owner = match fields.contains(&"owner") {
            true => read_owner(&mut form),
            false => None,
        };
        let name = form.finish(name)?;
        Ok(Self { name, abilities, expiry, limits, annotations, is_canary, owner })
    }

    /// A personal token of `owner`.
    pub(super) fn personal(self, owner: UserId) -> TokenRequest {
        let Self { name, abilities, expiry, limits, annotations, is_canary, owner: _ } = self;
        TokenRequest { id: None, owner, name, abilities, expiry, limits, annotations, is_canary }
    }

    /// A token of an environment.
    pub(super) fn of_environment(self) -> EnvironmentTokenRequest {
        let Self { name, abilities, expiry, limits, annotations, is_canary, owner: _ } = self;
        EnvironmentTokenRequest { id: None, name, abilities, expiry, limits, annotations, is_canary }
    }
}

/// The owner that a body names. Null is refused: an unset variable must not choose the user.
pub(super) fn read_owner(form: &mut Form) -> Option<UserId> {
    form.refuse_null("owner", "Leave it out for a token of your own.");
    form.optional("owner", |text| UserId::parse(text).ok_or(owners::NOT_MANAGED))
}

/// An empty list means no abilities. [`tokens::create`] decides what a missing one means.
fn abilities(form: &mut Form) -> Option<Abilities> {
    form.refuse_null("abilities", r#"List what the token may do, for example ["calls:read"]; [] is nothing."#);
    let list = form.optional_list("abilities", Abilities::MAX, Ability::parse)?;
    Abilities::new(list).map_err(|error| form.refuse("abilities", error)).ok()
}

/// The abilities of a successor. A missing field keeps those of the predecessor.
pub(super) fn narrower_abilities(form: &mut Form) -> Option<Abilities> {
    form.refuse_null("abilities", "Leave it out to keep those of the token that is replaced.");
    let list = form.optional_list("abilities", Abilities::MAX, Ability::parse)?;
    Abilities::new(list).map_err(|error| form.refuse("abilities", error)).ok()
}

/// Without an expiry, the configured default applies. `"expires_at": null` means no expiry.
pub(super) fn expiry(form: &mut Form) -> Expiry {
    if form.has("expires_at") && form.has("expires_in_days") {
        form.refuse("expires_in_days", "must not be given together with expires_at.");
    }
    form.refuse_null("expires_in_days", r#"Send "expires_at": null for a token that never ends."#);
    let is_never = form.is_null("expires_at");
    let at = form.optional("expires_at", Timestamp::parse);
    let days = form.optional_number("expires_in_days", 1..=MAX_DAYS);
    match (at, days) {
        (Some(at), _) => Expiry::At(at),
        (None, Some(days)) => Expiry::After(Duration::from_secs(days * 24 * 60 * 60)),
        (None, None) if is_never => Expiry::Never,
        (None, None) => Expiry::Default,
    }
}

pub(super) async fn list(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    mut query: QueryPairs,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let owner = owner_parameter(query.take("owner")?)?;
    let owner = owners::named(&state.ops, signed_in.user.id, owner).await?;
    let request = list_request(query)?;
    let find = async { FullPage::of(&state, tokens::list(&state.ops, owner, request).await?).await };
    answer.page(signed_in.user.id.uuid(), find, FullPage::into_view).await
}

fn owner_parameter(text: Option<String>) -> Result<Option<UserId>, ops::Error> {
    let Some(text) = text else { return Ok(None) };
    match UserId::parse(&text) {
        Some(owner) => Ok(Some(owner)),
        None => Err(FieldError::new("owner", owners::NOT_MANAGED).into()),
    }
}

pub(super) fn list_request(mut query: QueryPairs) -> Result<ListRequest, ApiError> {
    let limit = query.take_limit()?;
    let state = query.take("state")?.map(|state| match &*state {
        "active" => Ok(TokenState::Active),
        "expired" => Ok(TokenState::Expired),
        "revoked" => Ok(TokenState::Revoked),
        _ => Err(FieldError::new("state", "must be active, expired or revoked.")),
    });
    let search = page::search(query.take("search")?)?;
    let metadata = annotations::filter(&mut query)?;
    Ok(ListRequest { search, metadata, state: state.transpose()?, cursor: query.take("cursor")?, limit })
}

/// A single token, with details that lists omit.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TokenDetails"))]
pub(super) struct DetailView {
    #[serde(flatten)]
    token: TokenView,
    last_uses: Vec<UseView>,
    /// Null if it is not known.
    abilities_unused: Option<Vec<String>>,
}

pub(super) async fn show(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    id: Path<String>,
) -> Result<Json<DataView<DetailView>>, ApiError> {
    let id = token_id(&id)?;
    let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
    let token = tokens::show(&state.ops, owner.into(), id).await?;
    Ok(Json(DataView { data: detail_view(&state, token).await? }))
}

/// The fields of a change. At least one must be sent.
const CHANGE_FIELDS: &[&str] = &["name", "description", "metadata"];

/// Reads a change of a token.
pub(super) async fn read_change(body: Body) -> Result<TokenChange, ApiError> {
    let mut form = body.form(CHANGE_FIELDS).await?;
    if !CHANGE_FIELDS.iter().any(|field| form.has(field)) {
        form.refuse("name", "is required, or else description or metadata: at least one of the three.");
    }
    form.refuse_null("name", "Leave it out to keep the name.");
    let name = form.optional("name", Name::parse);
    let description = annotations::new_description(&mut form);
    let metadata = annotations::metadata(&mut form);
    form.finish(Some(TokenChange { name, description, metadata }))
}

pub(super) async fn change(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<TokenView>>, ApiError> {
    let id = token_id(&id)?;
    let change = read_change(body).await?;
    let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
    let details = tokens::change(&state.ops, owner, id, change, source.by(&signed_in)).await?;
    Ok(Json(DataView { data: token_view(details) }))
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RevokedToken"))]
pub(super) struct RevokedTokenView {
    message: &'static str,
    /// The successors that the token made by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_revoked: Vec<String>,
    /// The successor that the owner made, if it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

impl RevokedTokenView {
    pub(super) fn new(successors: &Successors) -> Self {
        Self {
            message: "Token revoked",
            also_revoked: ids(&successors.changed),
            successor: successors.unchanged.map(|id| id.to_string()),
        }
    }
}

pub(super) fn ids(ids: &[TokenId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

pub(super) async fn revoke(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    id: Path<String>,
) -> Result<Json<RevokedTokenView>, ApiError> {
    let id = token_id(&id)?;
    let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
    let successors = revocation::revoke(&state.ops, owner.into(), id, source.by(&signed_in)).await?;
    Ok(Json(RevokedTokenView::new(&successors)))
}

/// A malformed id is answered like an unknown one.
pub(super) fn token_id(text: &str) -> Result<TokenId, ops::Error> {
    TokenId::parse(text).ok_or(ops::Error::NotFound)
}
