//! Sign-in, sign-out and the account of the user.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web::Json};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    error::ApiError,
    input::{
        body::Body,
        guard::{AccountReader, AnyCredential, Guard, SessionUser},
        request_source::Source,
    },
    state::current::State,
    wire::log_subject,
};
use crate::{
    domain::{
        account::{Email, Password},
        owner::{Owner, ServiceAccount},
        text::{Name, ParseNameError},
    },
    ops::{
        accounts, deletion, password_links,
        profile::{self, ProfileUpdate},
        sessions,
        sessions::IssuedSession,
    },
    views::{DataView, DeletionView, MessageView, UserView},
};

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NewSession"))]
pub(super) struct SignedInView {
    id: String,
    token: String,
    expires_at: String,
    user: UserView,
}

impl From<IssuedSession> for SignedInView {
    fn from(issued: IssuedSession) -> Self {
        Self {
            id: issued.session.id.to_string(),
            token: issued.plaintext.expose().to_owned(),
            expires_at: issued.session.expires_at.to_string(),
            user: issued.user.into(),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct IdentityView {
    r#type: &'static str,
    id: String,
    abilities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_id: Option<String>,
    /// The kind of principal that it stands for. Only for a token of a service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_id: Option<String>,
}

pub(super) async fn register(
    request: HttpRequest,
    state: State,
    source: Source,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    accounts::registration_open(&state.ops)?;
    let mut form = body.form(&["name", "email", "password"]).await?;
    let name = form.required("name", Name::parse);
    let email = form.required("email", Email::parse);
    let password = form.required("password", Password::parse);
    let ((name, email), password) = form.finish(name.zip(email).zip(password))?;
    log_subject::note_account(&request, &email);
    let account = accounts::NewAccount { ids: None, name, email, password };
    let user = accounts::register(&state.ops, source.address, account, source.anonymous()).await?;
    Ok(HttpResponse::Created()
        .insert_header(("Location", "/api/v1/user"))
        .json(DataView { data: UserView::from(user) }))
}

pub(super) async fn login(
    request: HttpRequest,
    state: State,
    source: Source,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let mut form = body.form(&["email", "password", "device_name"]).await?;
    // Addresses that were accepted by earlier releases still sign in.
    let email = form.required("email", Email::parse_stored);
    let password = form.required("password", Password::parse);
    let device_name = form.optional("device_name", optional_name);
    let (email, password) = form.finish(email.zip(password))?;
    log_subject::note_account(&request, &email);
    let attempt = accounts::SignInAttempt { client: source.address, email, password, device_name };
    let issued = accounts::sign_in(&state.ops, attempt, source.anonymous()).await?;
    Ok(HttpResponse::Created().json(DataView { data: SignedInView::from(issued) }))
}

pub(super) async fn set_password_by_link(
    state: State,
    source: Source,
    body: Body,
) -> Result<Json<MessageView>, ApiError> {
    let mut form = body.form(&["token", "password"]).await?;
    let token = form.required("token", |text| Ok::<_, Infallible>(Zeroizing::new(text.to_owned())));
    let password = form.required("password", Password::parse);
    let (token, password) = form.finish(token.zip(password))?;
    let client = source.address;
    password_links::set_password(&state.ops, client, &token, password, source.anonymous()).await?;
    Ok(Json(MessageView { message: "Password set" }))
}

pub(super) async fn logout(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
) -> Result<Json<MessageView>, ApiError> {
    sessions::end(&state.ops, signed_in.user.id, signed_in.session.id, source.by(&signed_in)).await?;
    Ok(Json(MessageView { message: "Signed out" }))
}

pub(super) async fn identify(Guard(AnyCredential(principal)): Guard<AnyCredential>) -> Json<DataView<IdentityView>> {
    Json(DataView {
        data: IdentityView {
            r#type: principal.kind().as_str(),
            id: principal.id().to_string(),
            abilities: principal.abilities().iter().map(ToString::to_string).collect(),
            environment_id: principal.environment().map(|id| id.to_string()),
            principal_type: principal.service_account().map(|_| ServiceAccount::KIND),
            service_account_id: principal.service_account().map(|account| account.id.to_string()),
        },
    })
}

/// The account that a credential stands for.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "OwnAccount"))]
#[serde(untagged)]
pub(super) enum AccountView {
    User(UserView),
    ServiceAccount(ServiceAccountSelfView),
}

/// A service account as its own token sees it, with the fields of a user. It has no address and selects no environment.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "OwnServiceAccount"))]
pub(super) struct ServiceAccountSelfView {
    id: String,
    r#type: &'static str,
    name: String,
    email: Option<String>,
    current_environment_id: Option<String>,
    created_at: String,
}

pub(super) async fn show(Guard(AccountReader(owner)): Guard<AccountReader>) -> Json<AccountView> {
    Json(match owner {
        Owner::User(user) => AccountView::User(user.into()),
        Owner::ServiceAccount(account) => AccountView::ServiceAccount(ServiceAccountSelfView {
            id: account.id.to_string(),
            r#type: ServiceAccount::KIND,
            name: account.name.to_string(),
            email: None,
            current_environment_id: None,
            created_at: account.created_at.to_string(),
        }),
    })
}

pub(super) async fn update(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    body: Body,
) -> Result<Json<UserView>, ApiError> {
    let mut form = body.form(&["name", "email", "current_password"]).await?;
    let change = ProfileUpdate {
        name: form.optional("name", optional_name),
        email: form.optional("email", Email::parse),
        current_password: form.optional("current_password", Password::parse),
    };
    let change = form.finish(Some(change))?;
    let (client, origin) = (source.address, source.by(&signed_in));
    Ok(Json(profile::update(&state.ops, &signed_in.session, client, change, origin).await?.into()))
}

pub(super) async fn change_password(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    body: Body,
) -> Result<Json<MessageView>, ApiError> {
    let mut form = body.form(&["current_password", "password"]).await?;
    let current = form.required("current_password", Password::parse);
    let new = form.required("password", Password::parse);
    let (current, new) = form.finish(current.zip(new))?;
    let (client, origin) = (source.address, source.by(&signed_in));
    accounts::change_password(&state.ops, &signed_in.session, client, current, new, origin).await?;
    Ok(Json(MessageView { message: "Password changed" }))
}

pub(super) async fn delete(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    body: Body,
) -> Result<Json<DataView<DeletionView>>, ApiError> {
    let mut form = body.form(&["current_password"]).await?;
    let current = form.required("current_password", Password::parse);
    let current = form.finish(current)?;
    let (client, origin) = (source.address, source.by(&signed_in));
    let ended = deletion::delete_own(&state.ops, &signed_in.session, client, current, origin).await?;
    Ok(Json(DataView { data: DeletionView::new(signed_in.user.id, ended) }))
}

/// An optional name. The error for an empty one does not say that it is required.
fn optional_name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| match error {
        ParseNameError::Empty => "must not be empty; it can be left out.".to_owned(),
        other => other.to_string(),
    })
}
