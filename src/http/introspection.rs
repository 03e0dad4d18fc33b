//! Checks of credentials by other software: introspection (RFC 7662), revocation by possession (RFC 7009), and our own
//! check with more details, for one token or a hundred.

use std::net::IpAddr;

use actix_web::{HttpResponse, web::Json};
use serde::Serialize;

use super::{
    error::ApiError,
    input::{
        body::Body,
        form::Form,
        guard::{Guard, Introspector},
        request_source::{ClientAgent, Source},
    },
    state::current::State,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{
        ability::{Abilities, Ability},
        annotations::Annotations,
        owner::ServiceAccount,
    },
    ops::{
        principal::Principal,
        revocation,
        state::{endings::RequestStart, measurements::Via},
        verification::{self, Caller, Check, Verdict},
    },
    views::{AnnotationsView, DataView, MessageView, OwnerView},
};

/// The most tokens of one batch.
pub(super) const MAX_BATCH: usize = 100;

/// The answer of RFC 7662, section 2.2. For an inactive credential it has `active` only.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct IntrospectionView {
    active: bool,
    #[serde(flatten)]
    details: Option<IntrospectionDetails>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct IntrospectionDetails {
    scope: String,
    client_id: String,
    /// The address of the user. An environment token has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iat: i64,
    /// The id of the user, service account or environment.
    sub: String,
    /// `service_account` if `sub` is one. Otherwise it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_id: Option<String>,
    aud: &'static str,
    iss: &'static str,
    jti: String,
    #[serde(flatten)]
    annotations: AnnotationsView,
}

/// The caller of introspection, whose address is unknown because RFC 7662 has no parameter for it. So a token with
/// allowed addresses is inactive there.
const fn unknown_caller(since: RequestStart) -> Caller<'static> {
    Caller { address: None, user_agent: None, since: Some(since) }
}

/// The issuer and the audience of all credentials.
const ISSUER: &str = "patd";

impl From<Principal> for IntrospectionDetails {
    fn from(principal: Principal) -> Self {
        let (issued, expires) = principal.lifetime();
        Self {
            scope: principal.abilities().to_string(),
            client_id: principal.id().to_string(),
            username: principal.person().map(|user| user.email.to_string()),
            token_type: "Bearer",
            exp: expires.map(|at| at.unix()),
            iat: issued.unix(),
            sub: principal.subject().to_string(),
            principal_type: principal.service_account().map(|_| ServiceAccount::KIND),
            environment_id: principal.environment().map(|id| id.to_string()),
            aud: ISSUER,
            iss: ISSUER,
            jti: principal.id().to_string(),
            annotations: AnnotationsView::new(principal.annotations()),
        }
    }
}

/// Ignores `token_type_hint`, because the prefix tells the kind of a credential.
pub(super) async fn introspect(
    state: State,
    _: Guard<Introspector>,
    body: Body,
) -> Result<Json<IntrospectionView>, ApiError> {
    let caller = unknown_caller(state.ops.moment());
    let credential = body.parameter("token").await?;
    let details = verification::introspect(&state.ops, &credential, caller).await?.ok().map(IntrospectionDetails::from);
    Ok(Json(IntrospectionView { active: details.is_some(), details }))
}

pub(super) async fn revoke(
    state: State,
    source: Source,
    ClientAgent(agent): ClientAgent,
    body: Body,
) -> Result<Json<MessageView>, ApiError> {
    let credential = body.parameter("token").await?;
    revocation::revoke_by_possession(&state.ops, &credential, agent.as_deref(), source.anonymous()).await?;
    Ok(Json(MessageView { message: "Token revoked" }))
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct VerdictView {
    valid: bool,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<CredentialView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_id: Option<String>,
    /// The abilities that were asked for, as in a 403 `missing_ability`, if the credential lacks one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<Vec<String>>,
    /// Those of them that it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CredentialView {
    id: String,
    r#type: &'static str,
    name: Option<String>,
    abilities: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    #[serde(flatten)]
    annotations: AnnotationsView,
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        let code = verdict.code();
        let mut view =
            Self { valid: false, code, token: None, owner: None, environment_id: None, required: None, missing: None };
        let principal = match verdict {
            Verdict::Valid(principal) => principal,
            Verdict::MissingAbility { required, missing } => {
                view.required = Some(texts(&required));
                view.missing = Some(texts(&missing));
                return view;
            }
            Verdict::Rejected(_) => return view,
        };
        let (created_at, expires_at) = principal.lifetime();
        let token = CredentialView {
            id: principal.id().to_string(),
            r#type: principal.kind().as_str(),
            name: principal.name().map(ToString::to_string),
            abilities: texts(principal.abilities().iter()),
            created_at: created_at.to_string(),
            expires_at: expires_at.map(|at| at.to_string()),
            annotations: AnnotationsView::new(principal.annotations()),
        };
        let owner = match &*principal {
            Principal::Session { record } => Some(OwnerView::user(&record.user)),
            Principal::PersonalAccessToken { record, .. } => Some(OwnerView::from(&*record.owner)),
            Principal::EnvironmentToken { .. } => None,
        };
        let environment_id = principal.environment().map(|id| id.to_string());
        Self { valid: true, token: Some(token), owner, environment_id, ..view }
    }
}

fn texts<'a>(abilities: impl IntoIterator<Item = &'a Ability>) -> Vec<String> {
    abilities.into_iter().map(ToString::to_string).collect()
}

const CHECK_FIELDS: &[&str] = &["token", "abilities", "ip"];

pub(super) async fn verify(
    state: State,
    _: Guard<Introspector>,
    body: Body,
) -> Result<Json<DataView<VerdictView>>, ApiError> {
    let since = state.ops.moment();
    let mut form = body.form(CHECK_FIELDS).await?;
    let check = read_check(&mut form, since);
    let check = form.finish(check)?;
    Ok(Json(DataView { data: verification::verify(&state.ops, Via::Verify, &check).await?.into() }))
}

pub(super) async fn verify_batch(
    state: State,
    _: Guard<Introspector>,
    body: Body,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let since = state.ops.moment();
    let mut form = body.form(&["tokens"]).await?;
    let checks = form.required_forms("tokens", MAX_BATCH, CHECK_FIELDS, |form| read_check(form, since));
    let checks = form.finish(checks)?;
    let mut verdicts = Vec::with_capacity(checks.len());
    for check in &checks {
        verdicts.push(verification::verify(&state.ops, Via::VerifyBatch, check).await?);
    }
    let size = verdicts.iter().map(size).sum::<usize>().div_ceil(1024);
    let view =
        |verdicts: Vec<Verdict>| DataView { data: verdicts.into_iter().map(VerdictView::from).collect::<Vec<_>>() };
    match size {
        0..=SMALL => Ok(HttpResponse::Ok().json(view(verdicts))),
        _ => answer.sized(u32::try_from(size).unwrap_or(u32::MAX), async { Ok(verdicts) }, view).await,
    }
}

/// Answers of up to this many KiB are serialized on this thread, because passing them to another one would take longer.
const SMALL: usize = 32;

/// An upper estimate of the size of a verdict in JSON, in bytes.
fn size(verdict: &Verdict) -> usize {
    const NAMES_AND_IDS: usize = 3 * 1024;
    const INVALID: usize = 128;
    let listed = |ability: &Ability| ability.as_str().len() + "\"\",".len();
    match verdict {
        Verdict::Valid(principal) => {
            let annotations = principal.annotations().map_or(0, Annotations::listed_size);
            NAMES_AND_IDS + annotations + principal.abilities().iter().map(listed).sum::<usize>()
        }
        Verdict::MissingAbility { required, missing } => {
            INVALID + required.iter().chain(missing).map(listed).sum::<usize>()
        }
        Verdict::Rejected(_) => INVALID,
    }
}

/// Accepts any text as a token. A malformed one gets a verdict and not an error.
fn read_check(form: &mut Form, since: RequestStart) -> Option<Check> {
    let token = form.required("token", |text| Ok::<_, &str>(text.to_owned()));
    form.refuse_null("abilities", "Leave it out to ask for no ability.");
    let abilities = form.optional_list("abilities", Abilities::MAX, Ability::parse).unwrap_or_default();
    let address = form.optional("ip", |text| text.parse::<IpAddr>().map_err(|_| "must be an IP address."));
    Some(Check { token: token?, abilities, caller: Caller { address, user_agent: None, since: Some(since) } })
}
