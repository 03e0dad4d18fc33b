//! Who is asking: extractors, so that the credential which a route needs stands in its handler's signature.
//!
//! A credential is read from one `Authorization: Bearer` header and from nowhere else (RFC 6750, section 2.1).

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web};
use futures_util::future::LocalBoxFuture;

use super::{AppState, error::ApiError};
use crate::{
    domain::{ability::Power, account::User, session::Session},
    ops::{
        self,
        verification::{self, Denied, Principal},
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

/// Who asked, for the log line.
#[derive(Clone, Debug)]
pub(super) struct Asker(pub(super) String);

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
                Principal::Session { session, user } => Ok(Self { session, user }),
                Principal::PersonalAccessToken { .. } => Err(ops::Error::SessionRequired.into()),
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
            principal.require(Power::UserRead)?;
            Ok(Self(principal.user().clone()))
        })
    }
}

async fn authenticate(request: &HttpRequest) -> Result<Principal, ApiError> {
    let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application");
    let principal = verification::authenticate(&state.ops, bearer(request)?).await?;
    request.extensions_mut().insert(Asker(format!("{}:{}", principal.kind().as_str(), principal.id())));
    Ok(principal)
}

/// The bearer token of the request. Another scheme is as good as none; an unreadable header is the client's mistake.
fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let value = headers.next().ok_or(Denied::Missing)?.as_bytes();
    if headers.next().is_some() {
        return Err(ApiError::MalformedAuthorization("There must be one Authorization header."));
    }
    let end_of_scheme = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end_of_scheme);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Denied::Missing.into());
    }
    let token = rest.trim_ascii_start();
    match std::str::from_utf8(token) {
        Ok(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token),
        _ => Err(ApiError::MalformedAuthorization(
            "The Authorization header must be Bearer and one token without white space.",
        )),
    }
}
