//! Reads the credential of a forwarded request: from `Authorization`, and from the other places that the policy names.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap};

use crate::{
    domain::{
        policy_options::{CredentialPlace, PolicyOptions},
        secret::{Prefixes, PresentedCredential},
    },
    http::{
        error::ApiError,
        input::authorization_header::{basic_pair, bearer_or_basic, scheme_and_value, token},
    },
    ops::{self, verification::Rejection},
};

const TWO_CREDENTIALS: ApiError =
    ApiError::MalformedAuthorization("There must be one credential, in one place. This request has two.");

/// The credential that `options` accept.
pub(super) fn credential<'h>(
    headers: &'h HeaderMap,
    options: &PolicyOptions,
    prefixes: &Prefixes,
) -> Result<Cow<'h, str>, ApiError> {
    if options.credential_from.is_empty() && !options.challenges.basic {
        return bearer_or_basic(headers);
    }
    let mut found = match from_authorization(headers, options, prefixes) {
        Err(ApiError::Ops(ops::Error::Rejected(Rejection::Missing))) => None,
        other => Some(other?),
    };
    for place in &options.credential_from {
        for value in values(headers, place) {
            if found.is_some() {
                return Err(TWO_CREDENTIALS);
            }
            found = Some(Cow::Borrowed(token(value).map_err(|_| Rejection::Malformed)?));
        }
    }
    found.ok_or_else(|| Rejection::Missing.into())
}

fn from_authorization<'h>(
    headers: &'h HeaderMap,
    options: &PolicyOptions,
    prefixes: &Prefixes,
) -> Result<Cow<'h, str>, ApiError> {
    match scheme_and_value(headers)? {
        (scheme, value) if options.challenges.basic && scheme.eq_ignore_ascii_case(b"basic") => {
            token_of_basic(&basic_pair(value)?, prefixes).map(Cow::Owned)
        }
        _ => bearer_or_basic(headers),
    }
}

/// The token of a `user:password`. git and its hosts use `user:TOKEN`, `TOKEN:` and `TOKEN:x-oauth-basic`.
fn token_of_basic(pair: &str, prefixes: &Prefixes) -> Result<String, ApiError> {
    let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
    let is_token = |text: &str| PresentedCredential::parse(text, prefixes).is_ok();
    let chosen = match (is_token(user), is_token(password)) {
        (true, true) => return Err(TWO_CREDENTIALS),
        (true, false) => user,
        (false, _) if password.is_empty() => user,
        (false, _) => password,
    };
    // People type these in a dialog. On 401 it asks again.
    match chosen {
        "" => Err(Rejection::Missing.into()),
        text => token(text.as_bytes()).map(str::to_owned).map_err(|_| Rejection::Malformed.into()),
    }
}

/// All values in `place` that are not empty.
fn values<'h>(headers: &'h HeaderMap, place: &CredentialPlace) -> Vec<&'h [u8]> {
    let values: Vec<&[u8]> = match place {
        CredentialPlace::Header(name) => headers.get_all(name.as_str()).map(|value| value.as_bytes()).collect(),
        CredentialPlace::Cookie(name) => headers
            .get_all(header::COOKIE)
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| cookie(pair, name))
            .collect(),
    };
    values.into_iter().map(<[u8]>::trim_ascii).filter(|value| !value.is_empty()).collect()
}

/// The value of the cookie `name`, without the optional quotes (RFC 6265, section 4.1.1).
fn cookie<'h>(pair: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}
