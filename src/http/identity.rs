//! Who asked, as a proxy's answer says it: to the application where the request passes, and to the proxy's log where it
//! does not.

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

use super::{envelope::add_rate_state, error::ApiError};
use crate::{
    domain::policy_options::{IdentityHeader, IdentityHeaders},
    ops::{self, principal::Principal},
};

/// 200, and who it is under the names that upstreams read already (Authelia's and oauth2-proxy's) and under our own. All
/// are set, so that nothing that a client sent under these names survives: what is not `wanted` is empty.
pub(super) fn allow(principal: Option<&Principal>, wanted: IdentityHeaders) -> Result<Response<BoxBody>, ApiError> {
    let who = match principal {
        Some(principal) => Identity::of(principal, wanted)?,
        None => Identity::NOBODY,
    };
    let for_header = |header, value: HeaderValue| if wanted.wants(header) { value } else { NOTHING };
    let mut response = Response::new(StatusCode::OK);
    let headers = response.headers_mut();
    headers.append(REMOTE_USER, for_header(IdentityHeader::RemoteUser, who.user.clone()));
    headers.append(REMOTE_EMAIL, for_header(IdentityHeader::RemoteEmail, who.email.clone()));
    headers.append(REMOTE_NAME, who.name);
    headers.append(REMOTE_GROUPS, NOTHING);
    headers.append(X_AUTH_REQUEST_USER, for_header(IdentityHeader::AuthRequestUser, who.user));
    headers.append(X_AUTH_REQUEST_EMAIL, for_header(IdentityHeader::AuthRequestEmail, who.email));
    headers.append(X_AUTH_TOKEN_ID, who.token);
    headers.append(X_AUTH_TOKEN_KIND, who.kind);
    headers.append(X_AUTH_ABILITIES, who.abilities);
    headers.append(X_AUTH_ENVIRONMENT_ID, who.environment);
    if let Some(rate_state) = principal.and_then(Principal::rate_state) {
        add_rate_state(headers, rate_state);
    }
    Ok(response)
}

/// Says whose request was refused, for the proxy's log. The abilities that were needed are in `X-Auth-Required`, as the
/// items of a JSON array, so that a proxy can put them into a body of its own.
pub(super) fn add_refused(headers: &mut HeaderMap, principal: &Principal, error: &ApiError) -> Result<(), ApiError> {
    let mut values = Values(BytesMut::with_capacity(128));
    headers.append(
        REMOTE_USER,
        match principal.person() {
            Some(person) => values.take_id(person.id.uuid())?,
            None => NOTHING,
        },
    );
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

/// A principal as headers say it; what is not wanted is empty.
struct Identity {
    user: HeaderValue,
    email: HeaderValue,
    name: HeaderValue,
    token: HeaderValue,
    kind: HeaderValue,
    abilities: HeaderValue,
    environment: HeaderValue,
}

impl Identity {
    const NOBODY: Self = Self {
        user: NOTHING,
        email: NOTHING,
        name: NOTHING,
        token: NOTHING,
        kind: NOTHING,
        abilities: NOTHING,
        environment: NOTHING,
    };

    fn of(principal: &Principal, wanted: IdentityHeaders) -> Result<Self, ApiError> {
        use IdentityHeader as Header;
        // One buffer for all the values: this is done for every request of every application.
        let mut values = Values(BytesMut::with_capacity(512));
        let mut who = Self::NOBODY;
        // What an upstream tells people apart by must be theirs for good; an address is what its owner last typed.
        if let Some(person) = principal.person() {
            if wanted.wants(Header::RemoteUser) || wanted.wants(Header::AuthRequestUser) {
                who.user = values.take_id(person.id.uuid())?;
            }
            if wanted.wants(Header::RemoteEmail) || wanted.wants(Header::AuthRequestEmail) {
                who.email = values.take(person.email.as_str())?;
            }
            if wanted.wants(Header::RemoteName) {
                who.name = values.take(person.name.as_str())?;
            }
        }
        if wanted.wants(Header::EnvironmentId)
            && let Some(environment) = principal.environment()
        {
            who.environment = values.take_id(environment.uuid())?;
        }
        if wanted.wants(Header::TokenId) {
            who.token = values.take_id(principal.id())?;
        }
        if wanted.wants(Header::TokenKind) {
            who.kind = HeaderValue::from_static(principal.kind().as_str());
        }
        if wanted.wants(Header::Abilities) {
            for (at, ability) in principal.abilities().iter().enumerate() {
                values.0.extend_from_slice(if at > 0 { b" " } else { b"" });
                values.0.extend_from_slice(ability.as_str().as_bytes());
            }
            who.abilities = values.take("")?;
        }
        Ok(who)
    }
}

const NOTHING: HeaderValue = HeaderValue::from_static("");
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

/// Header values cut from one buffer.
struct Values(BytesMut);

impl Values {
    fn take_id(&mut self, id: Uuid) -> Result<HeaderValue, ApiError> {
        self.take(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    /// What was added since the last one, and `text`.
    fn take(&mut self, text: &str) -> Result<HeaderValue, ApiError> {
        self.0.extend_from_slice(text.as_bytes());
        let value = HeaderValue::from_maybe_shared(self.0.split().freeze());
        Ok(value.map_err(|error| ops::Error::Internal(format!("a header cannot be sent: {error}")))?)
    }
}
