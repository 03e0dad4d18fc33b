//! Who is asking: extractors, so that the credential which a route needs stands in its handler's signature.
//!
//! A credential is read from one `Authorization: Bearer` header and from nowhere else (RFC 6750, section 2.1).

use std::{borrow::Cow, fmt, sync::Arc};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
    web,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use super::{AppState, client::caller, error::ApiError, refused};
use crate::{
    domain::{
        ability::ServerAbility,
        account::User,
        id::UserId,
        secret::CredentialKind,
        session::{Session, SessionRecord},
        time::Timestamp,
    },
    ops::{
        self,
        principal::Principal,
        usage_limits::RateState,
        verification::{self, Rejection},
    },
};

/// Any accepted credential.
pub(super) struct AnyCredential(pub(super) Principal);

/// A signed-in person: what changes accounts and credentials takes nothing else.
pub(super) struct SessionUser {
    pub(super) session: Session,
    pub(super) user: User,
}

/// A person, by their session or by a token that may read its owner.
pub(super) struct AccountReader(pub(super) User);

/// Who asked, for the log line and what every answer says.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrincipalSummary {
    kind: CredentialKind,
    id: Uuid,
    /// When their token ends, which is announced; a session has no need of that.
    pub(super) token_end: Option<Timestamp>,
    /// What its answer tells of its rate, where that is limited.
    pub(super) rate_state: Option<RateState>,
}

impl PrincipalSummary {
    pub(super) fn of(principal: &Principal) -> Self {
        let token_end = match principal {
            Principal::PersonalAccessToken { record, .. } | Principal::EnvironmentToken { record, .. } => {
                record.token.expires_at
            }
            Principal::Session { .. } => None,
        };
        Self { kind: principal.kind(), id: principal.id(), token_end, rate_state: principal.rate_state() }
    }
}

impl fmt::Display for PrincipalSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

impl FromRequest for AnyCredential {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { authenticate(&request).await.map(Self) })
    }
}

impl FromRequest for SessionUser {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match authenticate(&request).await? {
                Principal::Session { record } => {
                    let SessionRecord { session, user, .. } = Arc::unwrap_or_clone(record);
                    Ok(Self { session, user })
                }
                Principal::PersonalAccessToken { .. } | Principal::EnvironmentToken { .. } => {
                    Err(ops::Error::SessionRequired.into())
                }
            }
        })
    }
}

impl FromRequest for AccountReader {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let principal = authenticate(&request).await?;
            let person = person_with(&principal, ServerAbility::UserRead)?;
            Ok(Self(person.clone()))
        })
    }
}

/// A person, by their session or by a token that may read their environments.
pub(super) struct EnvironmentReader(pub(super) UserId);

impl FromRequest for EnvironmentReader {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let principal = authenticate(&request).await?;
            let person = person_with(&principal, ServerAbility::EnvironmentsRead)?;
            Ok(Self(person.id))
        })
    }
}

/// The person behind a credential that has `power`. Whatever an environment's token holds, it is no person's.
fn person_with(principal: &Principal, power: ServerAbility) -> Result<&User, ops::Error> {
    let person = principal.person().ok_or(ops::Error::SessionRequired)?;
    principal.require(power)?;
    Ok(person)
}

/// A caller that may ask what any credential may do: by a token that holds `tokens:introspect`, as Bearer or, as
/// introspection clients send it, as the password of Basic.
pub(super) struct Introspector;

impl FromRequest for Introspector {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let principal = accept(&request, &bearer_or_basic(request.headers())?).await?;
            principal.require(ServerAbility::TokensIntrospect)?;
            Ok(Self)
        })
    }
}

async fn authenticate(request: &HttpRequest) -> Result<Principal, ApiError> {
    accept(request, bearer(request.headers())?).await
}

async fn accept(request: &HttpRequest, credential: &str) -> Result<Principal, ApiError> {
    let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application");
    let caller = caller(request.peer_addr(), request.headers(), state);
    let principal = match verification::authenticate(&state.ops, credential, caller).await {
        Ok(principal) => principal,
        Err(error) => {
            refused::note_token(request, credential, &error).await;
            return Err(error.into());
        }
    };
    request.extensions_mut().insert(PrincipalSummary::of(&principal));
    Ok(principal)
}

/// The bearer token of the request. Another scheme is as good as none; an unreadable header is the client's mistake.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    bearer_of(authorization(headers)?)
}

fn bearer_of<'h>((scheme, rest): (&[u8], &'h [u8])) -> Result<&'h str, ApiError> {
    if scheme.eq_ignore_ascii_case(b"bearer") { token(rest) } else { Err(Rejection::Missing.into()) }
}

/// The same, or the password of Basic (RFC 7617), whose user name may be anything: git and curl send tokens that way.
pub(super) fn bearer_or_basic(headers: &HeaderMap) -> Result<Cow<'_, str>, ApiError> {
    match authorization(headers)? {
        (scheme, rest) if scheme.eq_ignore_ascii_case(b"basic") => {
            let pair = basic_pair(rest)?;
            let (_, password) = pair.split_once(':').unwrap_or_default();
            token(password.as_bytes()).map(|token| Cow::Owned(token.to_owned()))
        }
        other => bearer_of(other).map(Cow::Borrowed),
    }
}

/// What follows `Basic`, decoded.
pub(super) fn basic_pair(encoded: &[u8]) -> Result<String, ApiError> {
    let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or(ApiError::MalformedAuthorization("Basic must be followed by base64 of user:token."))
}

/// The scheme and what follows it, of the one header that there may be. Between the two stand spaces and nothing else
/// (RFC 9110, section 11.4).
pub(super) fn authorization(headers: &HeaderMap) -> Result<(&[u8], &[u8]), ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = values.next().ok_or(Rejection::Missing)?.as_bytes();
    if values.next().is_some() {
        return Err(ApiError::MalformedAuthorization("There must be one Authorization header."));
    }
    let end_of_scheme = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let (scheme, mut rest) = value.split_at(end_of_scheme);
    while let [b' ', behind @ ..] = rest {
        rest = behind;
    }
    match rest {
        [b'\t', ..] => Err(NOT_ONE_TOKEN),
        _ => Ok((scheme, rest)),
    }
}

pub(super) fn token(bytes: &[u8]) -> Result<&str, ApiError> {
    match std::str::from_utf8(bytes) {
        // Without a way out in the middle, many characters are looked at in one step.
        Ok(token) if !token.is_empty() && token.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic()) => {
            Ok(token)
        }
        _ => Err(NOT_ONE_TOKEN),
    }
}

const NOT_ONE_TOKEN: ApiError =
    ApiError::MalformedAuthorization("The Authorization header must be Bearer and one token without white space.");
