//! Reads credentials from the `Authorization` header. There may be one such header (RFC 6750, section 2.1).

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap};
use base64::prelude::{BASE64_STANDARD, Engine};

use crate::{http::error::ApiError, ops::verification::Rejection};

const NOT_ONE_TOKEN: ApiError =
    ApiError::MalformedAuthorization("The Authorization header must be Bearer and one token without white space.");

/// The bearer token of the request. A header with another scheme counts as missing; a malformed header is an error.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    bearer_token(scheme_and_value(headers)?)
}

fn bearer_token<'h>((scheme, value): (&[u8], &'h [u8])) -> Result<&'h str, ApiError> {
    if scheme.eq_ignore_ascii_case(b"bearer") { token(value) } else { Err(Rejection::Missing.into()) }
}

/// The bearer token, or the password of Basic (RFC 7617). The user name may be anything. git and curl send tokens like
/// this.
pub(crate) fn bearer_or_basic(headers: &HeaderMap) -> Result<Cow<'_, str>, ApiError> {
    match scheme_and_value(headers)? {
        (scheme, value) if scheme.eq_ignore_ascii_case(b"basic") => {
            let pair = basic_pair(value)?;
            let (_, password) = pair.split_once(':').unwrap_or_default();
            token(password.as_bytes()).map(|token| Cow::Owned(token.to_owned()))
        }
        other => bearer_token(other).map(Cow::Borrowed),
    }
}

/// Decodes the `user:password` of Basic.
pub(crate) fn basic_pair(encoded: &[u8]) -> Result<String, ApiError> {
    let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or(ApiError::MalformedAuthorization("Basic must be followed by base64 of user:token."))
}

/// The scheme and the value of the only `Authorization` header. Only spaces may separate them (RFC 9110, section 11.4).
pub(crate) fn scheme_and_value(headers: &HeaderMap) -> Result<(&[u8], &[u8]), ApiError> {
    let mut headers = headers.get_all(header::AUTHORIZATION);
    let header = headers.next().ok_or(Rejection::Missing)?.as_bytes();
    if headers.next().is_some() {
        return Err(ApiError::MalformedAuthorization("There must be one Authorization header."));
    }
    let end_of_scheme = header.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(header.len());
    let (scheme, mut value) = header.split_at(end_of_scheme);
    while let [b' ', after @ ..] = value {
        value = after;
    }
    match value {
        [b'\t', ..] => Err(NOT_ONE_TOKEN),
        _ => Ok((scheme, value)),
    }
}

/// `bytes` as a token, if they can be one: visible ASCII characters without white space.
pub(crate) fn token(bytes: &[u8]) -> Result<&str, ApiError> {
    match std::str::from_utf8(bytes) {
        // The loop has no early exit, so that it is vectorised.
        Ok(token) if !token.is_empty() && token.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic()) => {
            Ok(token)
        }
        _ => Err(NOT_ONE_TOKEN),
    }
}
