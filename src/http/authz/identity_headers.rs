//! The identity headers: for the application if the request is allowed, and for the proxy's log if it is refused.

use actix_web::{
    body::BoxBody,
    dev::Response,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::BytesMut,
};
use uuid::Uuid;

use crate::{
    domain::{
        owner::ServiceAccount,
        policy_options::{IdentityHeader, IdentityHeaders},
    },
    http::{error::ApiError, headers::add_rate_state},
    ops::{self, principal::Principal},
};

/// 200 with the identity of the principal, under the names of Authelia and oauth2-proxy and under our own. All headers
/// are set, so that the proxy replaces the ones that a client sent. Those that are not `wanted` are empty.
pub(super) fn allow(principal: Option<&Principal>, wanted: IdentityHeaders) -> Result<Response<BoxBody>, ApiError> {
    let identity = match principal {
        Some(principal) => Identity::new(principal, wanted)?,
        None => Identity::EMPTY,
    };
    let for_header = |header, value: HeaderValue| if wanted.wants(header) { value } else { NO_VALUE };
    let mut response = Response::new(StatusCode::OK);
    let headers = response.headers_mut();
    headers.append(REMOTE_USER, for_header(IdentityHeader::RemoteUser, identity.user.clone()));
    headers.append(REMOTE_EMAIL, for_header(IdentityHeader::RemoteEmail, identity.email.clone()));
    headers.append(REMOTE_NAME, identity.name);
    headers.append(REMOTE_GROUPS, for_header(IdentityHeader::RemoteGroups, identity.groups));
    headers.append(X_AUTH_REQUEST_USER, for_header(IdentityHeader::AuthRequestUser, identity.user));
    headers.append(X_AUTH_REQUEST_EMAIL, for_header(IdentityHeader::AuthRequestEmail, identity.email));
    headers.append(X_AUTH_TOKEN_ID, identity.token);
    headers.append(X_AUTH_TOKEN_KIND, identity.kind);
    headers.append(X_AUTH_ABILITIES, identity.abilities);
    headers.append(X_AUTH_ENVIRONMENT_ID, identity.environment);
    if let Some(rate_state) = principal.and_then(Principal::rate_state) {
        add_rate_state(headers, rate_state);
    }
    Ok(response)
}

/// Adds the identity of a principal whose request was refused, for the proxy's log. `X-Auth-Required` has the abilities
/// that are needed as the items of a JSON array, so that a proxy can put them into a body of its own.
pub(super) fn add_refused(headers: &mut HeaderMap, principal: &Principal, error: &ApiError) -> Result<(), ApiError> {
    let mut values = Values(BytesMut::with_capacity(128));
    let owner = match principal {
        Principal::Session { record } => Some(record.user.id),
        Principal::PersonalAccessToken { record, .. } => Some(record.owner.id()),
        Principal::EnvironmentToken { .. } => None,
    };
    headers.append(REMOTE_USER, owner.map_or(Ok(NO_VALUE), |owner| values.take_id(owner.uuid()))?);
    if let Some(environment) = principal.environment() {
        headers.append(X_AUTH_ENVIRONMENT_ID, values.take_id(environment.uuid())?);
    }
    headers.append(X_AUTH_TOKEN_ID, values.take_id(principal.id())?);
    if let ApiError::Ops(ops::Error::MissingAbility(needed)) = error {
        let quoted: Vec<String> = needed.iter().map(|ability| format!("\"{ability}\"")).collect();
        headers.append(X_AUTH_REQUIRED, values.take(&quoted.join(", "))?);
    }
    Ok(())
}

/// The values of the identity headers of a principal. Those that are not wanted are empty.
struct Identity {
    user: HeaderValue,
    email: HeaderValue,
    name: HeaderValue,
    groups: HeaderValue,
    token: HeaderValue,
    kind: HeaderValue,
    abilities: HeaderValue,
    environment: HeaderValue,
}

impl Identity {
    const EMPTY: Self = Self {
        user: NO_VALUE,
        email: NO_VALUE,
        name: NO_VALUE,
        groups: NO_VALUE,
        token: NO_VALUE,
        kind: NO_VALUE,
        abilities: NO_VALUE,
        environment: NO_VALUE,
    };

    fn new(principal: &Principal, wanted: IdentityHeaders) -> Result<Self, ApiError> {
        use IdentityHeader as Header;
        // One allocation for all values, because this runs for every allowed check.
        let mut values = Values(BytesMut::with_capacity(512));
        let mut identity = Self::EMPTY;
        // Remote-User has the id and not the address, because a user can change the address.
        if let Some(person) = principal.person() {
            if wanted.wants(Header::RemoteUser) || wanted.wants(Header::AuthRequestUser) {
                identity.user = values.take_id(person.id.uuid())?;
            }
            if wanted.wants(Header::RemoteEmail) || wanted.wants(Header::AuthRequestEmail) {
                identity.email = values.take(person.email.as_str())?;
            }
            if wanted.wants(Header::RemoteName) {
                identity.name = values.take(person.name.as_str())?;
            }
        }
        if let Some(account) = principal.service_account() {
            identity.user = values.take_id(account.id.uuid())?;
            if wanted.wants(Header::RemoteName) {
                identity.name = values.take(account.name.as_str())?;
            }
            identity.groups = SERVICE_ACCOUNT;
        }
        if wanted.wants(Header::EnvironmentId)
            && let Some(environment) = principal.environment()
        {
            identity.environment = values.take_id(environment.uuid())?;
        }
        if wanted.wants(Header::TokenId) {
            identity.token = values.take_id(principal.id())?;
        }
        if wanted.wants(Header::TokenKind) {
            identity.kind = HeaderValue::from_static(principal.kind().as_str());
        }
        if wanted.wants(Header::Abilities) {
            for (at, ability) in principal.abilities().iter().enumerate() {
                values.0.extend_from_slice(if at > 0 { b" " } else { b"" });
                values.0.extend_from_slice(ability.as_str().as_bytes());
            }
            identity.abilities = values.take("")?;
        }
        Ok(identity)
    }
}

const NO_VALUE: HeaderValue = HeaderValue::from_static("");
/// The group by which an application tells service accounts from people.
const SERVICE_ACCOUNT: HeaderValue = HeaderValue::from_static(ServiceAccount::KIND);
const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");
const X_AUTH_REQUEST_USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const X_AUTH_REQUEST_EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const X_AUTH_TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");
const X_AUTH_TOKEN_KIND: HeaderName = HeaderName::from_static("x-auth-token-kind");
const X_AUTH_ABILITIES: HeaderName = HeaderName::from_static("x-auth-abilities");
const X_AUTH_REQUIRED: HeaderName = HeaderName::from_static("x-auth-required");
const X_AUTH_ENVIRONMENT_ID: HeaderName = HeaderName::from_static("x-auth-environment-id");

/// Header values that share one buffer.
struct Values(BytesMut);

impl Values {
    fn take_id(&mut self, id: Uuid) -> Result<HeaderValue, ApiError> {
        self.take(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    /// A value of the bytes that were added since the last one, followed by `text`.
    fn take(&mut self, text: &str) -> Result<HeaderValue, ApiError> {
        self.0.extend_from_slice(text.as_bytes());
        let value = HeaderValue::from_maybe_shared(self.0.split().freeze());
        Ok(value.map_err(|error| ops::Error::Internal(format!("a header cannot be sent: {error}")))?)
    }
}
